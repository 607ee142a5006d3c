/**
 * The address space of one IOMMU domain: which pages of it are taken, and where
 * the next block goes. Top-down from the block placed last below 4 GiB (or
 * above, each has a cached range), aligned to the power of two of its size.
 *
 *   V1  no block lies below the first page or holds page 0
 *   V2  the cached ranges are ranges of the tree
 *   V3  a block in a cache is a block of the tree, by its first page
 *
 * Page numbers are of the domain's granule. Numbers, not bytes, throughout.
 *
 * Linux: struct iova_domain, drivers/iommu/iova.c
 */
import { assert } from "../../base/assert.ts";
import type { IovaRule } from "../../kernels/iommu.ts";
import { addRegion, type Image, type Region } from "../../mm/image.ts";
import {
  ANCHOR,
  extendDown,
  firstFrom,
  insertBelow,
  isFull,
  layRangeTree,
  NONE,
  nextGapBelow,
  type RangeTree,
  rangeAt,
  rangeTreeBytes,
  removeRange,
  verifyRangeTree,
} from "./range-tree.ts";
import {
  cacheGet,
  cacheInsert,
  emptyCpu,
  emptyDepots,
  layRcache,
  type Rcache,
  rcacheBytes,
  trimDepot,
  verifyRcache,
} from "./rcache.ts";

/** Why the last request got nothing. */
export const IOVA_NO_SPACE = 1;
/** It is as large as one that failed below 4 GiB, and nothing was freed there since. */
export const IOVA_KNOWN_FULL = 2;
/** No row left to write the block down: the kernel has no memory for a struct iova. */
export const IOVA_NO_ROW = 3;

export interface IovaSpec {
  /** Names the region of the image. */
  readonly name: string;
  readonly rule: IovaRule;
  /** log2 of the granule, bytes: the IOMMU's smallest page. */
  readonly granuleShift: number;
  /** First page that may be given out; at least 1. */
  readonly startPfn: number;
  readonly cpus: number;
  /** Blocks and reserved windows at once, those in caches too. */
  readonly maxRanges: number;
  /** A driver that rounds every size up, in the eras that have such. */
  readonly roundsAll: boolean;
}

const W_CACHED = 0;
const W_CACHED32 = 1;
const W_FAILURE = 2;
const INTS = 4;

const C_MAX32 = 0;
const C_REQUESTS = 1;
const C_FROM_CACHE = 2;
const C_REFUSED = 3;
/** Blocks given back to the tree because nothing else was left. */
const C_FLUSHED = 4;
const DOUBLES = 5;

export interface IovaDomain extends IovaSpec {
  /** First page at 4 GiB. */
  readonly dma32Pfn: number;
  readonly tree: RangeTree;
  readonly rcache: Rcache;
  readonly ints: Int32Array;
  readonly doubles: Float64Array;
}

export function createIovaDomain(image: Image, spec: IovaSpec): IovaDomain {
  assert(spec.startPfn >= 1, "V1: page 0 is no address", spec.startPfn);
  const treeBytes = rangeTreeBytes(spec.maxRanges);
  const cacheBytes = rcacheBytes(spec.rule, spec.cpus, spec.maxRanges);
  const bytes = DOUBLES * 8 + treeBytes + cacheBytes + INTS * 4;
  const region: Region = addRegion(image, `iova.${spec.name}`, bytes);
  const at = region.byteOffset;
  const domain: IovaDomain = {
    ...spec,
    dma32Pfn: 2 ** (32 - spec.granuleShift),
    doubles: new Float64Array(region.buffer, at, DOUBLES),
    tree: layRangeTree(region, DOUBLES * 8, spec.maxRanges),
    rcache: layRcache(region, DOUBLES * 8 + treeBytes, spec.rule, spec.cpus, spec.maxRanges),
    ints: new Int32Array(region.buffer, at + DOUBLES * 8 + treeBytes + cacheBytes, INTS),
  };
  domain.ints[W_CACHED] = ANCHOR;
  domain.ints[W_CACHED32] = ANCHOR;
  domain.doubles[C_MAX32] = domain.dma32Pfn;
  return domain;
}

/** Takes pages lo to hi, inclusive, for good; they may overlap what is reserved. Linux: reserve_iova() */
export function reserveIova(d: IovaDomain, lo: number, hi: number): boolean {
  const { tree } = d;
  let first = lo;
  let row = lo === 0 ? firstFrom(tree, 0) : rangeAt(tree, lo);
  if (row === NONE) row = firstFrom(tree, lo);
  for (; row !== ANCHOR && tree.lo[row] <= hi; row = tree.next[row]) {
    if (first < tree.lo[row]) extendDown(tree, row, first);
    if (hi <= tree.hi[row]) return true;
    first = tree.hi[row] + 1;
  }
  if (isFull(tree)) return false;
  insertBelow(tree, row, first, hi);
  return true;
}

/** Whether nobody has any of the pages lo to hi, inclusive. */
export function isFree({ tree }: IovaDomain, lo: number, hi: number): boolean {
  return rangeAt(tree, lo) === NONE && tree.lo[firstFrom(tree, lo)] > hi;
}

/**
 * A block of `size` pages, none above `limitPfn` (inclusive), with the caches
 * first: its first page, or 0. `flush`: where nothing is left, the caches are
 * emptied and it is tried once more.
 *
 * Linux: alloc_iova_fast(), drivers/iommu/iova.c
 */
export function allocIovaFast(
  d: IovaDomain,
  size: number,
  limitPfn: number,
  flush: boolean,
  cpu: number,
): number {
  d.doubles[C_REQUESTS]++;
  const pages = roundedSize(d, size);
  const cached = cacheGet(d.rcache, pages, limitPfn + 1, cpu);
  if (cached !== 0) {
    d.doubles[C_FROM_CACHE]++;
    return cached;
  }
  let pfn = allocIova(d, pages, limitPfn);
  if (pfn === 0 && flush) {
    flushCaches(d);
    pfn = allocIova(d, pages, limitPfn);
  }
  if (pfn === 0) d.doubles[C_REFUSED]++;
  return pfn;
}

/** Pages that a request for `size` takes. */
export function roundedSize(d: IovaDomain, size: number): number {
  if (size >= 1 << (d.rule.cacheOrders - 1) && !d.roundsAll) return size;
  return powerOfTwoFrom(size);
}

/** Gives a block back, to the cache of its size if that has room. Linux: free_iova_fast() */
export function freeIovaFast(d: IovaDomain, pfn: number, size: number, cpu: number): void {
  const freed = cacheInsert(d.rcache, pfn, size, cpu);
  if (freed === null) freeIova(d, pfn);
  else for (const one of freed) freeIova(d, one);
}

/** All cached blocks go back to the tree, CPU by CPU, then the depots. */
export function flushCaches(d: IovaDomain): void {
  const free = (pfn: number): void => {
    d.doubles[C_FLUSHED]++;
    freeIova(d, pfn);
  };
  for (let cpu = 0; cpu < d.cpus; cpu++) emptyCpu(d.rcache, cpu, free);
  emptyDepots(d.rcache, free);
}

/**
 * The time is `now`, ms: depots that have been too full for long give a magazine
 * back, in the eras that do. Linux: iova_depot_work_func(), since 6.7
 */
export function ageCaches(d: IovaDomain, now: number): void {
  const { rcache } = d;
  const every = d.rule.depotTrimMs;
  rcache.times[0] = now;
  if (every === null) return;
  for (let bin = 0; bin < rcache.orders; bin++) {
    while (rcache.times[bin + 1] !== 0 && rcache.times[bin + 1] <= now) {
      const more = trimDepot(rcache, bin, (pfn) => freeIova(d, pfn));
      rcache.times[bin + 1] = more ? rcache.times[bin + 1] + every : 0;
    }
  }
}

/** A CPU went away: its cached blocks go back to the tree. Linux: iova_cpuhp_dead() */
export function forgetCpu(d: IovaDomain, cpu: number): void {
  emptyCpu(d.rcache, cpu, (pfn) => freeIova(d, pfn));
}

/**
 * From the tree: the first gap downwards from the cached range, then, in the
 * eras that do, from the limit down to there.
 *
 * Linux: __alloc_and_insert_iova_range(), drivers/iommu/iova.c
 */
export function allocIova(d: IovaDomain, size: number, limitPfn: number): number {
  const { tree, ints, doubles } = d;
  const limit = limitPfn + 1;
  const below32 = limit <= d.dma32Pfn;
  if (below32 && d.rule.remembersFull32 && size >= doubles[C_MAX32]) {
    ints[W_FAILURE] = IOVA_KNOWN_FULL;
    return 0;
  }
  if (isFull(tree)) {
    ints[W_FAILURE] = IOVA_NO_ROW;
    return 0;
  }
  const cached = below32 ? ints[W_CACHED32] : ints[W_CACHED];
  const align = powerOfTwoFrom(size);
  const top = firstFromLimit(tree, cached, limit);
  let row = findGap(tree, top, size, align, limit, d.startPfn);
  const retryLow = tree.hi[cached] + 1;
  if (row === NONE && d.rule.retriesFromLimit && retryLow <= limit) {
    row = findGap(tree, firstFrom(tree, limit), size, align, limit, retryLow);
  }
  if (row === NONE) {
    doubles[C_MAX32] = size;
    ints[W_FAILURE] = IOVA_NO_SPACE;
    return 0;
  }
  const pfn = fitBelow(tree, row, size, align, limit, d.startPfn);
  const taken = insertBelow(tree, row, pfn, pfn + size - 1);
  if (pfn + size - 1 < d.dma32Pfn) ints[W_CACHED32] = taken;
  else ints[W_CACHED] = taken;
  return pfn;
}

/** Where a walk from `cached` first meets a range whose gap below may lie under `limit`. */
function firstFromLimit(tree: RangeTree, cached: number, limit: number): number {
  return tree.lo[cached] <= limit ? cached : firstFrom(tree, limit);
}

/** The range, from `from` downwards, with room below it and above `low`; none where there is none. */
function findGap(
  tree: RangeTree,
  from: number,
  size: number,
  align: number,
  limit: number,
  low: number,
): number {
  for (let row = from; row !== NONE; row = nextGapBelow(tree, row, size)) {
    if (fitBelow(tree, row, size, align, limit, low) !== 0) return row;
    if (tree.lo[row] <= low) return NONE;
  }
  return NONE;
}

/** The highest aligned place below a range, its limit and above its neighbour; 0 for none. */
function fitBelow(
  tree: RangeTree,
  row: number,
  size: number,
  align: number,
  limit: number,
  low: number,
): number {
  const top = Math.min(tree.lo[row], limit);
  if (top < size) return 0;
  let pfn = top - size;
  if (pfn <= 0x7fffffff && align <= 0x40000000) pfn &= -align;
  else pfn -= pfn % align;
  const below = tree.prev[row];
  if (pfn < low || (below !== NONE && pfn <= tree.hi[below])) return 0;
  return pfn;
}

/** Gives the block that has `pfn` back to the tree; nothing where none has. Linux: free_iova() */
export function freeIova(d: IovaDomain, pfn: number): void {
  const { tree, ints, doubles } = d;
  const row = rangeAt(tree, pfn);
  if (row === NONE || row === ANCHOR) return;
  const { lo, hi, next } = tree;
  const cached32 = ints[W_CACHED32];
  const moves = row === cached32 || (hi[row] < d.dma32Pfn && lo[row] >= lo[cached32]);
  if (moves) ints[W_CACHED32] = next[row];
  const forgets = d.rule.forgetsFull32 === "any-free" ? lo[row] < d.dma32Pfn : moves;
  if (forgets) doubles[C_MAX32] = d.dma32Pfn;
  if (lo[row] >= lo[ints[W_CACHED]]) ints[W_CACHED] = next[row];
  removeRange(tree, row);
}

/** IOVA_* reason of the last refusal. */
export function lastRefusal(d: IovaDomain): number {
  return d.ints[W_FAILURE];
}

export interface IovaCounts {
  readonly requests: number;
  readonly fromCache: number;
  readonly refused: number;
  /** Cached blocks given back because nothing else was left. */
  readonly flushed: number;
}

export function iovaCounts({ doubles }: IovaDomain): IovaCounts {
  return {
    requests: doubles[C_REQUESTS],
    fromCache: doubles[C_FROM_CACHE],
    refused: doubles[C_REFUSED],
    flushed: doubles[C_FLUSHED],
  };
}

export function powerOfTwoFrom(size: number): number {
  if (size <= 0x40000000) return size <= 1 ? 1 : 1 << (32 - Math.clz32(size - 1));
  return 2 ** Math.ceil(Math.log2(size));
}

/** What is wrong, by invariant; empty when nothing is. */
export function verifyIovaDomain(d: IovaDomain): string[] {
  const { tree, ints } = d;
  const wrong = [...verifyRangeTree(tree), ...verifyRcache(d.rcache)];
  const rows = new Set<number>([ANCHOR]);
  for (let row = tree.prev[ANCHOR]; row !== NONE; row = tree.prev[row]) rows.add(row);
  if (!rows.has(ints[W_CACHED]) || !rows.has(ints[W_CACHED32])) {
    wrong.push("V2: a cached range is not in the tree");
  }
  for (const pfn of cachedPfns(d)) {
    const row = rangeAt(tree, pfn);
    if (row === NONE || tree.lo[row] !== pfn) wrong.push(`V3: cached page ${pfn} begins no block`);
  }
  return wrong;
}

function cachedPfns(d: IovaDomain): number[] {
  const { magazines, pfns, sizes, magazineSize } = d.rcache;
  const found: number[] = [];
  for (let mag = 1; mag < magazines; mag++) {
    for (let i = 0; i < sizes[mag]; i++) found.push(pfns[mag * magazineSize + i]);
  }
  return found;
}
