/**
 * Memory without an IOMMU: a DMA address is the physical one, shifted by the
 * windows of the bus; what lies out of reach bounces, or is refused.
 *
 * Linux: dma_direct_map_page(), kernel/dma/direct.h; swiotlb_map(), kernel/dma/swiotlb.c;
 * dma_direct_supported(), dma_direct_get_required_mask(), kernel/dma/direct.c
 */
import type { DmaPolicy, ReachTest } from "../kernels/dma.ts";
import { type Bounce, bounceWords } from "./bounce.ts";
import { type AllocContext, directAlloc, directFree } from "./direct-alloc.ts";
import type { DmaDevice } from "./dma-device.ts";
import { mapEach, unmapEach } from "./each-entry.ts";
import type { Machine } from "./machine.ts";
import type { CoherentBlock, DmaOps, OpsRefusal } from "./ops.ts";
import { hex, type Reports } from "./reports.ts";
import { isSmallBuffer } from "./small-buffers.ts";
import { dmaToPhys, maskForRam, physToDma, streamingLast, throughWindows } from "./translate.ts";
import {
  DMA_ATTR_MMIO,
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_MAPPING_ERROR,
  type DmaDirection,
  NO_LIMIT,
} from "./words.ts";

export interface DirectContext {
  readonly machine: Machine;
  readonly policy: DmaPolicy;
  readonly bounce: Bounce | null;
  /** Buffers smaller than a cache line bounce where the device does not look into caches. */
  readonly bouncesSmall: boolean;
  /** Its own pool for a device with a restricted one; the shared pool, or none, for all others. */
  readonly bounceOf: (device: DmaDevice) => Bounce | null;
  readonly alloc: AllocContext;
  readonly reports: Reports;
  /** A buffer is about to bounce: trace_swiotlb_bounced(). */
  readonly onBounce: ((device: DmaDevice, dma: number, size: number) => void) | null;
}

const BITS_32 = 0xffffffff;

/** What is added to address and size before it is compared, by test. */
const SLACK: Readonly<Record<ReachTest, number>> = {
  none: Number.NEGATIVE_INFINITY,
  start: 0,
  end: -1,
  "end-1": 0,
  "end-2": 1,
};

/** The context with what follows from it, and the last refusal. */
interface Direct extends DirectContext {
  /** Added to address and size before it is compared with a limit. */
  readonly slack: number;
  /** 0 for the test that looks at the first byte only. */
  readonly sized: number;
  refusal: OpsRefusal | null;
}

/** Binds the direct mapping to a machine; the ops that every device without an IOMMU has. */
export function createDirectOps(context: DirectContext): DmaOps {
  const { streaming } = context.policy;
  const test = context.bounce === null ? streaming.withoutPool : streaming.withPool;
  const sized = test === "start" ? 0 : 1;
  const direct: Direct = { ...context, slack: SLACK[test], sized, refusal: null };
  const hot = bindHot(direct);
  return {
    name: "direct",
    get lastRefusal() {
      return direct.refusal;
    },
    ...hot,
    mapSg: (device, entries, direction, attrs, cpu) =>
      mapEach(hot, device, entries, direction, attrs, cpu),
    unmapSg: (device, entries, direction, attrs, cpu) =>
      unmapEach(hot, device, entries, direction, attrs, cpu),
    syncForCpu: (device, dma, size, direction) => sync(direct, device, dma, size, direction, true),
    syncForDevice: (device, dma, size, direction) =>
      sync(direct, device, dma, size, direction, false),
    allocCoherent: (device, size, gfp, _attrs, cpu) => {
      const answer = directAlloc(direct.alloc, device, size, gfp, cpu);
      if (typeof answer !== "string") return answer;
      refuse(direct, answer);
      return null;
    },
    freeCoherent: (device, block: CoherentBlock) => {
      for (const { physical, length } of block.runs) {
        directFree(direct.alloc, device, physical, length);
      }
    },
    maskSupported: (device, limit) => maskSupported(direct, device, limit),
    requiredMask: (device) => requiredMask(direct, device),
    maxMappingSize: (device) => {
      const bounce = direct.bounceOf(device);
      const limited = streamingLast(device) < requiredMask(direct, device);
      const bounces = bounce !== null && (limited || device.forceBounce);
      return bounces ? bounce.maxMapping(device) : NO_LIMIT;
    },
    translate: throughWindows,
  };
}

type Hot = Pick<DmaOps, "mapPhysical" | "unmap">;

function bindHot(direct: Direct): Hot {
  const { slack, sized, bouncesSmall } = direct;
  const neverBounces = direct.bounce === null;

  function mapPhysical(
    device: DmaDevice,
    physical: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number {
    const last = physical + size * sized + slack;
    if (
      last <= device.streamingLimit &&
      last <= device.busLimit &&
      device.windows === null &&
      !device.forceBounce &&
      !bouncesSmall
    ) {
      return physical;
    }
    return mapSlowly(direct, device, physical, size, direction, attrs, cpu);
  }

  function unmap(
    device: DmaDevice,
    dma: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
  ): void {
    if (neverBounces && !device.forceBounce) return;
    const physical = device.windows === null ? dma : dmaToPhys(device, dma);
    const bounce = direct.bounceOf(device);
    if (bounce?.holds(physical) === true) bounce.unmap(device, physical, size, direction, attrs);
  }

  return { mapPhysical, unmap };
}

function refuse(direct: Direct, reason: string, message: string | null = null): number {
  direct.refusal = { reason, message };
  return DMA_MAPPING_ERROR;
}

/** Windows, registers of other devices, buffers out of reach. */
function mapSlowly(
  direct: Direct,
  device: DmaDevice,
  physical: number,
  size: number,
  direction: DmaDirection,
  attrs: number,
  cpu: number,
): number {
  if (device.streamingLimit < 0) return refuse(direct, "no mask");
  const limit = streamingLast(device);
  if ((attrs & DMA_ATTR_MMIO) !== 0) return mapResource(direct, device, physical, size, limit);
  const dma = physToDma(device, physical);
  const fits = dma >= 0 && dma + size * direct.sized + direct.slack <= limit;
  const small = direct.bouncesSmall && isSmallBuffer(device, size, direction);
  if (fits && !device.forceBounce && !small) return dma;
  const bounce = direct.bounceOf(device);
  if (bounce === null) return refuseUnreachable(direct, device, dma, size);
  direct.onBounce?.(device, dma, size);
  const buffer = bounce.map(device, physical, size, size, 0, direction, attrs, cpu);
  if (buffer < 0) {
    const message = bounce.lastMessage ?? null;
    if (message !== null) direct.reports.say(message);
    return refuse(direct, bounceWords(buffer), message);
  }
  const answer = physToDma(device, buffer);
  // The same test as before: kernels that look at the first byte do so again.
  if (answer >= 0 && answer + size * direct.sized + direct.slack <= limit) return answer;
  bounce.unmap(device, buffer, size, direction, attrs | DMA_ATTR_SKIP_CPU_SYNC);
  const line = overflowLine("swiotlb addr", device, answer, size);
  direct.reports.sayOnce(`swiotlb overflow ${device.name}`, line);
  return refuse(direct, "bounce pool out of reach", line);
}

/** Linux: dma_direct_map_resource(), kernel/dma/direct.c */
function mapResource(
  direct: Direct,
  device: DmaDevice,
  physical: number,
  size: number,
  limit: number,
): number {
  if (physical + size - 1 <= limit) return physical;
  const line = overflowLine("DMA addr", device, physical, size);
  direct.reports.sayOnce(`resource overflow ${device.name}`, line);
  return refuse(direct, "mask", line);
}

/** The era's way to say that no pool helps. */
function refuseUnreachable(direct: Direct, device: DmaDevice, dma: number, size: number): number {
  const { failure } = direct.policy.streaming;
  if (failure === "warn-once") {
    const line = overflowLine("DMA addr", device, dma, size);
    direct.reports.sayOnce(`overflow ${device.name}`, line);
    return refuse(direct, dma < 0 ? "window" : "mask", line);
  }
  // Two of the others are silent about masks that are narrow anyway.
  if (failure !== "panic" && device.streamingLimit < BITS_32) return refuse(direct, "mask");
  const line = failureLine(failure, device, dma, size);
  direct.reports.say(line);
  return refuse(direct, "mask", line);
}

function failureLine(
  failure: "panic" | "nommu" | "overflow-line",
  device: DmaDevice,
  dma: number,
  size: number,
): string {
  const mask = hex(device.streamingLimit);
  switch (failure) {
    case "panic":
      return "Kernel panic - not syncing: PCI-DMA: high address but no IOMMU.";
    case "nommu":
      return `nommu_map_single: overflow ${hex(dma)}+${size} of device mask ${mask}`;
    case "overflow-line": {
      const address = hex(dma).padStart(16, "0");
      const where = `${device.driver} ${device.name}`.trim();
      return `${where}: dma_direct_map_page: overflow 0x${address}+${size} of device mask ${mask}`;
    }
  }
}

function sync(
  direct: Direct,
  device: DmaDevice,
  dma: number,
  size: number,
  direction: DmaDirection,
  forCpu: boolean,
): void {
  const bounce = direct.bounceOf(device);
  if (bounce === null) return;
  const physical = dmaToPhys(device, dma);
  if (!bounce.holds(physical)) return;
  if (forCpu) bounce.syncForCpu(device, physical, size, direction);
  else bounce.syncForDevice(device, physical, size, direction);
}

/** Linux: dma_direct_get_required_mask(), kernel/dma/direct.c */
function requiredMask(direct: Direct, device: DmaDevice): number {
  const { ramEnd, pageSize } = direct.machine;
  return maskForRam(device, ramEnd - pageSize);
}

/** Linux: dma_direct_supported(), kernel/dma/direct.c; dma_supported(), arch/x86_64/kernel/pci-dma.c, arch/arm */
function maskSupported(context: DirectContext, device: DmaDevice, limit: number): boolean {
  const { machine, policy } = context;
  const { supported, busRefuses } = policy.masks;
  if (busRefuses && limit > device.busLimit) return false;
  if (supported === "24-bit") return limit >= 2 ** 24 - 1;
  const zone = machine.zoneDmaLimit;
  if (supported === "zone-dma") {
    // The kernel compares with a limit of the CPU as the device sees it.
    return limit >= asDma(device, zone < 0 ? BITS_32 : zone);
  }
  if (limit >= BITS_32) return true;
  // The start of the last page, not its end.
  const last = machine.ramEnd - machine.pageSize;
  return limit >= asDma(device, zone < 0 ? last : Math.min(last, zone));
}

function asDma(device: DmaDevice, physical: number): number {
  const dma = physToDma(device, physical);
  return dma < 0 ? NO_LIMIT : dma;
}

/** "e1000 0000:00:04.0: DMA addr 0x…+4096 overflow (mask ffffffff, bus limit 0)." */
function overflowLine(what: string, device: DmaDevice, dma: number, size: number): string {
  const where = `${device.driver} ${device.name}`.trim();
  const bus = device.busLimit === NO_LIMIT ? "0" : hex(device.busLimit);
  const address = hex(dma).padStart(16, "0");
  return `${where}: ${what} 0x${address}+${size} overflow (mask ${hex(device.streamingLimit)}, bus limit ${bus}).`;
}
