/**
 * Coherent memory without an IOMMU: which zone is asked first, what happens when
 * the answer lies out of reach, and who helps at last.
 *
 *   1. CMA, for those who may wait, in kernels that have it
 *   2. the zone that the mask falls into; GFP_DMA32 where it fits, by itself
 *   3. the next lower zone, when the block lies too high
 *   4. slots of the bounce pool, in kernels that did that
 *
 * A mask of 29 bits on x86-64 shows the hole between zones: first GFP_DMA32,
 * which may happen to lie low enough, then 16 MiB.
 *
 * Linux: dma_direct_optimal_gfp_mask(), __dma_direct_alloc_pages(), kernel/dma/direct.c;
 * dma_alloc_coherent(), arch/{i386,x86_64,arm}
 */
import type { CoherentPolicy } from "../kernels/dma.ts";
import { allocPages, freePages, NO_PFN } from "../mm/allocate.ts";
import { type Memory, rowOf, TAKEN } from "../mm/memory.ts";
import type { AtomicPools } from "./atomic-pool.ts";
import type { Bounce } from "./bounce.ts";
import { givePages, giveSlots, pagesOf, slotsOf } from "./bounce-pages.ts";
import type { CmaArea } from "./cma-areas.ts";
import type { DmaDevice } from "./dma-device.ts";
import {
  byteAt,
  DMA32_LAST,
  GFP_DMA,
  GFP_DMA32,
  type Machine,
  orderOf,
  pageAlign,
  ZONE_BITS,
} from "./machine.ts";
import type { CoherentBlock } from "./ops.ts";
import { coherentLast, dmaToPhys, physToDma, reaches } from "./translate.ts";
import { NO_LIMIT } from "./words.ts";

export interface AllocContext {
  readonly machine: Machine;
  readonly policy: CoherentPolicy;
  readonly bounce: Bounce | null;
  readonly atomic: AtomicPools | null;
  /** A restricted pool of the device: it gets nothing from anywhere else. */
  readonly restrictedOf: (device: DmaDevice) => Bounce | null;
  /** Areas for a device: its own first, then the global one. */
  readonly cmaOf: (device: DmaDevice) => CmaChoice;
  /** Memory must be remapped before it is coherent: those who may not wait go to the atomic pools. */
  readonly remaps: (device: DmaDevice) => boolean;
}

export interface CmaChoice {
  readonly own: CmaArea | null;
  readonly global: CmaArea | null;
}

/** Why nothing was given. */
export type AllocRefusal =
  | "no memory"
  | "out of reach"
  | "no coherent mask"
  | "mask below GFP_DMA"
  | "atomic pools exhausted"
  | "bounce pool";

/** Memory, or why there is none. */
export type AllocAnswer = CoherentBlock | AllocRefusal;

/** Zeroed coherent memory of `size` bytes, or the reason. `gfp` may have zone bits where the era keeps them. */
export function directAlloc(
  context: AllocContext,
  device: DmaDevice,
  size: number,
  gfp: number,
  cpu: number,
): AllocAnswer {
  const { machine, policy } = context;
  const bytes = pageAlign(machine, size);
  const limit = limitOf(policy, device);
  if (limit < 0) return "no coherent mask";
  if (policy.mustCoverZone && limit < machine.zoneDmaLimit) return "mask below GFP_DMA";
  const restricted = context.restrictedOf(device);
  const ok = (physical: number): boolean => coherentOk(policy, device, physical, bytes, limit);
  if (restricted !== null) {
    const own = pagesOf(restricted, device, bytes, cpu, ok);
    return typeof own === "number" ? blockAt(context, device, own, bytes) : own;
  }
  const mayWait = (gfp & machine.gfpWait) !== 0;
  if (!mayWait && context.atomic !== null && context.remaps(device)) {
    return fromAtomicPools(context, context.atomic, device, bytes, gfp, limit, ok);
  }
  let physical: number | AllocRefusal = tryZones(context, device, bytes, gfp, limit, mayWait);
  if (typeof physical !== "number" && policy.lastResort === "pool" && context.bounce !== null) {
    physical = slotsOf(context.bounce, device, bytes, limit, cpu);
  }
  return typeof physical === "number" ? blockAt(context, device, physical, bytes) : physical;
}

function limitOf(policy: CoherentPolicy, device: DmaDevice): number {
  const last = coherentLast(device);
  return policy.limitFrom === "both" ? Math.min(last, device.streamingLimit) : last;
}

/** CMA, then zone after zone. A physical address, or the reason. */
function tryZones(
  context: AllocContext,
  device: DmaDevice,
  bytes: number,
  gfp: number,
  limit: number,
  mayWait: boolean,
): number | "no memory" | "out of reach" {
  const { machine, policy } = context;
  const order = orderOf(machine, bytes);
  const ok = (physical: number): boolean => coherentOk(policy, device, physical, bytes, limit);
  if (policy.cma && mayWait) {
    const lent = fromCma(context, device, bytes, order, ok);
    if (lent >= 0) return lent;
  }
  if (order > machine.memory.maxOrder) return "no memory";
  const physicalLimit = limitPhysical(device, limit);
  if (machine.custom) return byLimits(machine, device, gfp, order, physicalLimit, ok);
  let flags = gfp | firstZone(machine, policy, physicalLimit);
  for (;;) {
    const pfn = allocOnNode(machine.memory, device.node, flags, order);
    if (pfn === NO_PFN) return "no memory";
    const physical = pfn * machine.pageSize;
    if (ok(physical)) return keepExact(machine, policy, pfn, order, bytes);
    freePages(machine.memory, pfn, order);
    const lower = retryZone(machine, policy, flags, limit, physicalLimit);
    if (lower === null) return "out of reach";
    flags = (flags & ~ZONE_BITS) | lower;
  }
}

/** Linux: dma_coherent_ok(), kernel/dma/direct.c */
function coherentOk(
  policy: CoherentPolicy,
  device: DmaDevice,
  physical: number,
  bytes: number,
  limit: number,
): boolean {
  const dma = physToDma(device, physical);
  return dma >= 0 && reaches(policy.test, dma, bytes, limit);
}

/** The limit as a CPU's address; beyond all where no window holds it, as the kernel's all ones are. */
function limitPhysical(device: DmaDevice, limit: number): number {
  const physical = dmaToPhys(device, limit);
  return physical < 0 ? NO_LIMIT : physical;
}

/** Zone bits of the first try. Linux: dma_direct_optimal_gfp_mask() */
export function firstZone(machine: Machine, policy: CoherentPolicy, limit: number): number {
  const dmaUpTo = policy.dmaUpTo === "zone" ? zoneDmaLast(machine) : policy.dmaUpTo;
  if (limit <= dmaUpTo) return GFP_DMA;
  return limit <= policy.dma32UpTo ? GFP_DMA32 : 0;
}

/** What GFP_DMA is compared with; 24 bits in kernels without the zone, where it then asks for Normal. */
function zoneDmaLast(machine: Machine): number {
  return machine.zoneDmaLimit < 0 ? 2 ** 24 - 1 : machine.zoneDmaLimit;
}

/** Zone bits of the next try after a block out of reach; null for none. */
function retryZone(
  machine: Machine,
  policy: CoherentPolicy,
  flags: number,
  limit: number,
  physicalLimit: number,
): number | null {
  const asked = flags & (GFP_DMA | GFP_DMA32);
  if (policy.retryDma32 && machine.hasDma32 && physicalLimit < NO_LIMIT && asked === 0) {
    return GFP_DMA32;
  }
  if ((asked & GFP_DMA) !== 0 || machine.zoneDmaLimit < 0) return null;
  if (policy.retryDma === "always") return GFP_DMA;
  return policy.retryDma === "below-32" && limit < DMA32_LAST ? GFP_DMA : null;
}

/** A machine that no kernel has: the highest zone wholly in reach, then whatever lies low enough. */
function byLimits(
  machine: Machine,
  device: DmaDevice,
  gfp: number,
  order: number,
  limit: number,
  ok: (physical: number) => boolean,
): number | "no memory" | "out of reach" {
  const inside = machine.zoneBits.findIndex((zone) => zone.last <= limit);
  const first = inside < 0 ? machine.zoneBits.length - 1 : inside;
  let refusal: "no memory" | "out of reach" = "no memory";
  for (const { bits } of machine.zoneBits.slice(first)) {
    const pfn = allocOnNode(machine.memory, device.node, (gfp & ~ZONE_BITS) | bits, order);
    if (pfn === NO_PFN) continue;
    if (ok(pfn * machine.pageSize)) return pfn * machine.pageSize;
    freePages(machine.memory, pfn, order);
    refusal = "out of reach";
  }
  return refusal;
}

/** Linux: dma_alloc_contiguous(), kernel/dma/contiguous.c */
function fromCma(
  context: AllocContext,
  device: DmaDevice,
  bytes: number,
  order: number,
  ok: (physical: number) => boolean,
): number {
  const { memory, pageSize } = context.machine;
  const { own, global } = context.cmaOf(device);
  const area = own ?? (bytes > pageSize ? global : null);
  if (area === null) return -1;
  const pfn = area.take(memory, bytes / pageSize, order);
  if (pfn < 0) return -1;
  if (ok(pfn * pageSize)) return pfn * pageSize;
  area.give(memory, pfn, bytes / pageSize);
  return -1;
}

/** Pages by the zonelists of a node, whichever CPU asks. Linux: alloc_pages_node() */
export function allocOnNode(memory: Memory, node: number, gfp: number, order: number): number {
  const place = memory.nodes.indexOf(node);
  const own = memory.cpuPlace[memory.cpu];
  if (place < 0 || place === own) return allocPages(memory, gfp, order);
  memory.cpuPlace[memory.cpu] = place;
  const pfn = allocPages(memory, gfp, order);
  memory.cpuPlace[memory.cpu] = own;
  return pfn;
}

/** arm gives back at once what a power of two is too much. Linux: __dma_alloc_buffer() */
function keepExact(
  machine: Machine,
  policy: CoherentPolicy,
  pfn: number,
  order: number,
  bytes: number,
): number {
  if (policy.exactPages && order > 0) {
    splitPages(machine.memory, pfn, order);
    for (let page = pfn + bytes / machine.pageSize; page < pfn + 2 ** order; page++) {
      freePages(machine.memory, page, 0);
    }
  }
  return pfn * machine.pageSize;
}

/** One block becomes single pages, each to be freed by itself. Linux: split_page(), mm/page_alloc.c */
function splitPages(memory: Memory, pfn: number, order: number): void {
  const row = rowOf(memory, pfn);
  memory.state.fill(TAKEN, row, row + 2 ** order);
}

function blockAt(
  context: AllocContext,
  device: DmaDevice,
  physical: number,
  bytes: number,
): CoherentBlock {
  zeroBytes(context.machine, physical, bytes);
  return {
    dma: physToDma(device, physical),
    size: bytes,
    runs: [{ physical, length: bytes }],
  };
}

/** Zeroes real bytes, where there are any. */
export function zeroBytes(machine: Machine, physical: number, length: number): void {
  const at = byteAt(machine, physical, length);
  if (at >= 0) machine.memory.bytes?.fill(0, at, at + length);
}

function fromAtomicPools(
  context: AllocContext,
  pools: AtomicPools,
  device: DmaDevice,
  bytes: number,
  gfp: number,
  limit: number,
  ok: (physical: number) => boolean,
): AllocAnswer {
  const { machine, policy } = context;
  const flags = gfp | firstZone(machine, policy, limitPhysical(device, limit));
  const physical = pools.take(bytes, flags, ok);
  return physical < 0 ? "atomic pools exhausted" : blockAt(context, device, physical, bytes);
}

/** Gives a block of `directAlloc` back to where it came from. */
export function directFree(
  context: AllocContext,
  device: DmaDevice,
  physical: number,
  bytes: number,
): void {
  const { machine, policy, bounce, atomic } = context;
  const { memory, pageSize } = machine;
  const restricted = context.restrictedOf(device);
  if (restricted !== null) {
    givePages(restricted, device, physical, bytes);
    return;
  }
  if (bounce?.holds(physical) === true) {
    giveSlots(bounce, device, physical, bytes);
    return;
  }
  if (atomic?.give(physical, bytes) === true) return;
  const pfn = physical / pageSize;
  const { own, global } = context.cmaOf(device);
  if (own?.give(memory, pfn, bytes / pageSize) === true) return;
  if (global?.give(memory, pfn, bytes / pageSize) === true) return;
  const order = orderOf(machine, bytes);
  if (!policy.exactPages) freePages(memory, pfn, order);
  else for (let page = pfn; page < pfn + bytes / pageSize; page++) freePages(memory, page, 0);
}
