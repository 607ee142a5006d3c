/**
 * The DMA API on a machine with a mask pool: coherent memory by address instead of by
 * zone, and bounce buffers that come from the pool. What a device reaches is handed out
 * as it is, shifted by the windows of its bus.
 *
 * Any mask is taken that reaches a page of the pool: there is no zone that it would have
 * to cover.
 *
 * Linux: dma_alloc_coherent() and lib/swiotlb.c after "mask allocator" 8/13 and 11/13, posted
 * 7 March 2008; never merged
 */
import { type Memory, Z_PRESENT, Z_SPANNED, ZONE_WORDS } from "../../mm/memory.ts";
import { BOUNCE_FULL, BOUNCE_NO_POOL, BOUNCE_TOO_LARGE, BOUNCE_UNREACHABLE } from "../bounce.ts";
import type { DmaDevice } from "../dma-device.ts";
import type { BusFault, CoherentBlock, DmaOps, OpsRefusal, SgEntry } from "../ops.ts";
import { coherentLast, dmaToPhys, maskCovering, physToDma, streamingLast } from "../translate.ts";
import {
  DMA_ATTR_MMIO,
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_MAPPING_ERROR,
  type DmaDirection,
  NO_LIMIT,
} from "../words.ts";
import {
  allocMask,
  freeMask,
  MAY_WAIT,
  type MaskPool,
  type MaskWish,
  maskRefusalLine,
} from "./mask-pool.ts";
import type { PoolBounce } from "./pool-bounce.ts";
import { windowsOf } from "./pool-windows.ts";

const REASONS: ReadonlyMap<number, string> = new Map([
  [BOUNCE_FULL, "bounce pool full"],
  [BOUNCE_TOO_LARGE, "larger than a bounce buffer"],
  [BOUNCE_UNREACHABLE, "bounce pool out of reach"],
  [BOUNCE_NO_POOL, "no bounce pool"],
]);

/** Ops over one memory: its zones first, its mask pool last. */
export function createPoolOps(memory: Memory, pool: MaskPool, bounce: PoolBounce): DmaOps {
  const { pageSize } = memory;
  const ramEnd = endOfRam(memory, pool) * pageSize;
  let lastRefusal: OpsRefusal | null = null;

  const refuse = (reason: string, message: string | null = null): number => {
    lastRefusal = { reason, message };
    return DMA_MAPPING_ERROR;
  };

  function mapPhysical(
    device: DmaDevice,
    physical: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number {
    const limit = streamingLast(device);
    if (limit < 0) return refuse("no mask");
    if ((attrs & DMA_ATTR_MMIO) !== 0) {
      return physical + size - 1 <= limit ? physical : refuse("mask");
    }
    const dma = physToDma(device, physical);
    if (!device.forceBounce && dma >= 0 && dma + size - 1 <= limit) return dma;
    const buffer = bounce.map(device, physical, size, size, 0, direction, attrs, cpu);
    if (buffer >= 0) return physToDma(device, buffer);
    return refuse(REASONS.get(buffer) ?? "no bounce buffer", bounce.lastMessage);
  }

  function unmap(
    device: DmaDevice,
    dma: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
  ): void {
    const physical = dmaToPhys(device, dma);
    if (bounce.holds(physical)) bounce.unmap(device, physical, size, direction, attrs);
  }

  function mapSg(
    device: DmaDevice,
    entries: SgEntry[],
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number {
    for (const [i, entry] of entries.entries()) {
      entry.dma = mapPhysical(device, entry.physical, entry.length, direction, attrs, cpu);
      if (entry.dma === DMA_MAPPING_ERROR) {
        const skip = attrs | DMA_ATTR_SKIP_CPU_SYNC;
        for (const done of entries.slice(0, i))
          unmap(device, done.dma, done.length, direction, skip);
        return 0;
      }
      entry.dmaLength = entry.length;
    }
    return entries.length;
  }

  function sync(
    device: DmaDevice,
    dma: number,
    size: number,
    direction: DmaDirection,
    forCpu: boolean,
  ): void {
    const physical = dmaToPhys(device, dma);
    if (!bounce.holds(physical)) return;
    if (forCpu) bounce.syncForCpu(device, physical, size, direction);
    else bounce.syncForDevice(device, physical, size, direction);
  }

  function allocCoherent(device: DmaDevice, size: number, gfp: number): CoherentBlock | null {
    const bytes = Math.ceil(size / pageSize) * pageSize;
    const flags = (gfp & memory.gfp.direct) === 0 ? 0 : MAY_WAIT;
    let wish: MaskWish = { bytes, limit: coherentLast(device), gfp, flags };
    for (const { low, limit } of windowsOf(device, coherentLast(device), NO_LIMIT)) {
      wish = { ...wish, low, limit };
      const pfn = allocMask(pool, wish);
      if (pfn < 0) continue;
      const physical = pfn * pageSize;
      zero(physical, bytes);
      return { dma: physToDma(device, physical), size: bytes, runs: [{ physical, length: bytes }] };
    }
    refuse("no memory", maskRefusalLine(device.driver, wish));
    return null;
  }

  function zero(physical: number, length: number): void {
    const at = physical - memory.bytesPfn * pageSize;
    if (memory.bytes !== null && at >= 0) memory.bytes.fill(0, at, at + length);
  }

  function maskSupported(device: DmaDevice, limit: number): boolean {
    if (limit >= requiredMask(device)) return true;
    return windowsOf(device, Math.min(limit, device.busLimit), NO_LIMIT).some(
      ({ low, limit: last }) =>
        pool.ranges.some(
          ({ start }) => start * pageSize >= low && (start + 1) * pageSize - 1 <= last,
        ),
    );
  }

  function requiredMask(device: DmaDevice): number {
    const dma = physToDma(device, ramEnd - pageSize);
    return dma < 0 ? NO_LIMIT : maskCovering(dma);
  }

  return {
    name: "mask pool",
    get lastRefusal() {
      return lastRefusal;
    },
    mapPhysical,
    unmap,
    mapSg,
    unmapSg: (device, entries, direction, attrs) => {
      for (const entry of entries) unmap(device, entry.dma, entry.dmaLength, direction, attrs);
    },
    syncForCpu: (device, dma, size, direction) => {
      sync(device, dma, size, direction, true);
    },
    syncForDevice: (device, dma, size, direction) => {
      sync(device, dma, size, direction, false);
    },
    allocCoherent,
    freeCoherent: (_device, { runs }) => {
      for (const { physical, length } of runs) freeMask(pool, physical / pageSize, length);
    },
    maskSupported,
    requiredMask,
    maxMappingSize: (device) => {
      const isLimited = streamingLast(device) < requiredMask(device);
      return isLimited || device.forceBounce ? bounce.maxMapping(device) : NO_LIMIT;
    },
    translate,
  };
}

/** Without an IOMMU: windows, and the addresses that the bus carries. */
function translate(device: DmaDevice, dma: number): number | BusFault {
  if (dma > device.busLimit) return { reason: "bus limit", address: dma, message: "" };
  const physical = dmaToPhys(device, dma);
  return physical >= 0 ? physical : { reason: "window", address: dma, message: "" };
}

function endOfRam(m: Memory, pool: MaskPool): number {
  let end = pool.end;
  for (let z = 0; z < m.zoneCount; z++) {
    const words = z * ZONE_WORDS;
    if (m.zone[words + Z_PRESENT] > 0) {
      end = Math.max(end, m.zoneStart[z] + m.zone[words + Z_SPANNED]);
    }
  }
  return end;
}
