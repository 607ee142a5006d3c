/**
 * Which slots a request gets. The kernel goes slot by slot; here runs that are
 * too short are stepped over at once, and so are whole segments whose longest
 * run is known to be too short. Each step is as far as the kernel's own steps
 * would have come, so the answer is the kernel's.
 *
 * Linux: swiotlb_search_pool_area(), kernel/dma/swiotlb.c; swiotlb_do_find_slots() in 6.1,
 * map_single(), lib/swiotlb.c before 4.20; iommu_is_span_boundary(), lib/iommu-helper.c
 */
import type { SwiotlbRule } from "../../kernels/swiotlb.ts";
import type { DmaDevice } from "../dma-device.ts";
import { DMA_ADDRESS_NONE, dmaAddressOf } from "./address.ts";
import { freeRun, nextFree, SEGMENT, SLOT_BYTES, SLOT_SHIFT } from "./bits.ts";
import {
  A_INDEX,
  A_USED,
  AREA_WORDS,
  GROUP_SHIFT,
  P_AREA_SLOTS,
  P_FIRST,
  P_FIRST_AREA,
  POOL_WORDS,
  type SwiotlbState,
} from "./state.ts";

export const NOT_FOUND = -1;
/** The kernel would go round for ever, with the area's lock held. */
export const SPINS = -2;

/** A request as the search sees it; filled anew for each, so that none is allocated. */
export interface Wanted {
  slots: number;
  stride: number;
  /** Address bits that must be 0, those compared with the original's, and what these are. */
  zero: number;
  same: number;
  bits: number;
  /** Steps of `stride` keep the address bits above. */
  regular: boolean;
  /** Slots between two segment boundaries; 0 for no boundary. */
  boundarySlots: number;
  /** Last address that the whole buffer may have; -1 when that is not asked. */
  limit: number;
}

export function newWanted(): Wanted {
  return {
    slots: 0,
    stride: 1,
    zero: 0,
    same: 0,
    bits: 0,
    regular: true,
    boundarySlots: 0,
    limit: -1,
  };
}

/** What `total` bytes, offset included, for `orig` ask of their place; `orig` 0 stands for pages of the pool. */
export function fillWanted(
  wanted: Wanted,
  rule: SwiotlbRule,
  device: DmaDevice,
  orig: number,
  total: number,
  alignMask: number,
  pageSize: number,
): void {
  const slots = Math.ceil(total / SLOT_BYTES);
  wanted.slots = slots;
  const kept = rule.minAlign ? device.minAlignMask : 0;
  const isPage = rule.pageFrom === "at" ? total >= pageSize : total > pageSize;
  let align = alignMask;
  if (rule.walk === "count" && align === 0 && kept === 0 && isPage) align = pageSize - 1;
  align |= SLOT_BYTES - 1;
  const same = kept & ~align;
  if (rule.walk === "count") {
    wanted.stride = Math.ceil((Math.max(align, same) + 1) / SLOT_BYTES);
    wanted.zero = align;
  } else {
    let stride = (same >>> SLOT_SHIFT) + 1;
    if (isPage) stride *= Math.max(1, pageSize >>> SLOT_SHIFT);
    wanted.stride = Math.max(stride, (align >>> SLOT_SHIFT) + 1);
    wanted.zero = 0;
  }
  wanted.same = orig === 0 ? 0 : same;
  wanted.bits = lowBits(orig) & wanted.same;
  const period = wanted.stride << SLOT_SHIFT;
  wanted.regular =
    (period & (period - 1)) === 0 && ((wanted.zero | wanted.same) & ~(period - 1)) === 0;
  const { segmentBoundary } = device;
  const isBound = rule.boundary && segmentBoundary < 2 ** 42;
  wanted.boundarySlots = isBound ? Math.ceil((segmentBoundary + 1) / SLOT_BYTES) : 0;
}

/** The low 32 bits of an address: what `|` makes of any number. */
function lowBits(address: number): number {
  return address | 0;
}

/** First slot (of all pools') for the request in `area` of pool `row`, or NOT_FOUND, or SPINS. */
export function findSlots(
  s: SwiotlbState,
  rule: SwiotlbRule,
  device: DmaDevice,
  row: number,
  area: number,
  wanted: Wanted,
): number {
  const pool = row * POOL_WORDS;
  const areaSlots = s.pools[pool + P_AREA_SLOTS];
  const words = (s.pools[pool + P_FIRST_AREA] + area) * AREA_WORDS;
  const { slots, stride, zero, same, bits, regular, boundarySlots } = wanted;
  if (slots > areaSlots - s.areas[words + A_USED]) return NOT_FOUND;
  const dma = dmaAddressOf(device, s.starts[row]);
  const start = dma === DMA_ADDRESS_NONE ? s.starts[row] : dma;
  const shift = boundarySlots === 0 ? 0 : boundaryShift(start, device.segmentBoundary);
  const base = lowBits(start);
  const before = area * areaSlots;
  const first = s.pools[pool + P_FIRST] + before;
  const fit = wanted.limit < 0 ? Infinity : fittingSlots(wanted.limit, start) - before;
  const isBack = rule.walk === "back";
  let index = s.areas[words + A_INDEX];
  if (isBack) {
    index = Math.ceil(index / stride) * stride;
    if (index >= areaSlots) index = 0;
  }
  const home = index;
  let checked = 0;
  let turns = 0;
  for (;;) {
    const address = (base + ((before + index) << SLOT_SHIFT)) | 0;
    let step = 1;
    let unit = 1;
    if ((address & zero) === 0 && (address & same) === bits) {
      const slot = first + index;
      const run = freeRun(s.used, slot);
      if (run >= slots && index + slots <= fit) {
        if (boundarySlots === 0) return slot;
        const into = (shift + before + index) & (boundarySlots - 1);
        if (into + slots <= boundarySlots) return slot;
      }
      unit = stride;
      step = stride;
      if (regular && run < slots) {
        const ahead = longerRun(s, slot, run, slots, first + areaSlots) - slot;
        step = Math.ceil(ahead / stride) * stride;
      }
    }
    if (isBack) {
      if (home > index && home <= index + step && (home - index) % unit === 0) return NOT_FOUND;
      index += step;
      if (index >= areaSlots) {
        index = 0;
        if (home === 0) return NOT_FOUND;
        turns++;
        if (turns === 2) return SPINS;
      }
    } else {
      checked += step;
      if (checked >= areaSlots) return NOT_FOUND;
      index += step;
      if (index >= areaSlots) index = 0;
    }
  }
}

/** Slots of the pool that end at or below `limit`. */
function fittingSlots(limit: number, start: number): number {
  return Math.floor((limit + 1 - start) / SLOT_BYTES);
}

/** Where in its boundary the pool starts, slots. A boundary is a power of two less one. */
function boundaryShift(start: number, boundary: number): number {
  const into = boundary <= 0xffffffff ? (start & boundary) >>> 0 : start % (boundary + 1);
  return Math.ceil(into / SLOT_BYTES);
}

/**
 * The next run of `wanted` slots behind the too short `run` at `slot`, or `end`.
 * Writes down what it learns about segments that it went through whole.
 */
function longerRun(
  s: SwiotlbState,
  slot: number,
  run: number,
  wanted: number,
  end: number,
): number {
  const { used, room, group } = s;
  const stop = (slot | (SEGMENT - 1)) + 1;
  let at = runInSegment(used, slot + run, stop, wanted);
  if (at < stop) return Math.min(at, end);
  let segment = stop / SEGMENT;
  let longest = 0;
  let isWhole = false;
  for (; segment * SEGMENT < end; segment++) {
    const mine = segment >> GROUP_SHIFT;
    const place = segment & ((1 << GROUP_SHIFT) - 1);
    if (place === 0) {
      if (group[mine] < wanted) {
        segment += (1 << GROUP_SHIFT) - 1;
        continue;
      }
      isWhole = true;
      longest = 0;
    }
    if (room[segment] >= wanted) {
      const from = segment * SEGMENT;
      at = runInSegment(used, from, from + SEGMENT, wanted);
      if (at < from + SEGMENT) return Math.min(at, end);
      room[segment] = longestRun(used, from);
    }
    if (room[segment] > longest) longest = room[segment];
    if (isWhole && place === (1 << GROUP_SHIFT) - 1) group[mine] = longest;
  }
  return end;
}

/** First run of `wanted` slots from `from` on; `stop` for none. */
function runInSegment(used: Uint32Array, from: number, stop: number, wanted: number): number {
  let at = from;
  while (at < stop) {
    at = nextFree(used, at);
    if (at >= stop) break;
    const run = freeRun(used, at);
    if (run >= wanted) return at;
    at += run;
  }
  return stop;
}

function longestRun(used: Uint32Array, from: number): number {
  let longest = 0;
  for (let at = nextFree(used, from); at < from + SEGMENT; ) {
    const run = freeRun(used, at);
    if (run > longest) longest = run;
    at += run;
    if (at < from + SEGMENT) at = nextFree(used, at);
  }
  return longest;
}
