/**
 * Caches of freed blocks by size, so that most requests touch no tree: each CPU
 * has two magazines a size, the one used and the previous one; full ones go to
 * a depot that all CPUs share. Last freed is first reused.
 *
 *   magazine   row of `magazineSize` first pages; row 0 is none
 *   sizes      how many a magazine holds
 *   links      the next magazine of a depot, or of the unused ones
 *   loaded     by (CPU, size): the magazine used, behind it the previous one
 *   depot      by size: top of its stack, and how many it has
 *   times      now, and by size when its depot is looked at next; 0 for never; ms
 *
 *   C1  a magazine is in one place: loaded, previous, in a depot, or unused
 *   C2  magazines of depots are full, unused ones are empty
 *
 * Linux: struct iova_rcache, iova_magazine_*(), drivers/iommu/iova.c
 */
import type { IovaRule } from "../../kernels/iommu.ts";
import type { Region } from "../../mm/image.ts";

export interface Rcache {
  readonly orders: number;
  readonly cpus: number;
  readonly magazineSize: number;
  /** Rows, row 0 included. */
  readonly magazines: number;
  /** Magazines that a depot keeps; Infinity for no limit. */
  readonly depotLimit: number;
  readonly trimMs: number;
  readonly pfns: Float64Array;
  readonly times: Float64Array;
  readonly sizes: Int32Array;
  readonly links: Int32Array;
  readonly loaded: Int32Array;
  readonly depot: Int32Array;
  readonly unused: Int32Array;
}

/** Depots never hold more blocks than there are ranges. */
function magazineRows(rule: IovaRule, cpus: number, maxRanges: number): number {
  const inDepots = Math.ceil(maxRanges / rule.magazineSize) + 1;
  return 1 + cpus * rule.cacheOrders * 2 + inDepots;
}

function intsOf(rule: IovaRule, cpus: number, rows: number): number {
  const count = rows * 2 + cpus * rule.cacheOrders * 2 + rule.cacheOrders * 2 + 1;
  return count + (count & 1);
}

/** Bytes, a multiple of 8. */
export function rcacheBytes(rule: IovaRule, cpus: number, maxRanges: number): number {
  const rows = magazineRows(rule, cpus, maxRanges);
  return (rows * rule.magazineSize + 1 + rule.cacheOrders) * 8 + intsOf(rule, cpus, rows) * 4;
}

/** Lays empty caches into the region at `offset`, a multiple of 4; `pfns` need 8. */
export function layRcache(
  region: Region,
  offset: number,
  rule: IovaRule,
  cpus: number,
  maxRanges: number,
): Rcache {
  const rows = magazineRows(rule, cpus, maxRanges);
  const { cacheOrders: orders, magazineSize, depotLimit } = rule;
  let at = region.byteOffset + offset;
  const pfns = new Float64Array(region.buffer, at, rows * magazineSize);
  at += pfns.byteLength;
  const times = new Float64Array(region.buffer, at, 1 + orders);
  at += times.byteLength;
  const ints = (length: number): Int32Array => {
    const view = new Int32Array(region.buffer, at, length);
    at += length * 4;
    return view;
  };
  const cache: Rcache = {
    orders,
    cpus,
    magazineSize,
    magazines: rows,
    depotLimit: depotLimit ?? Number.POSITIVE_INFINITY,
    trimMs: rule.depotTrimMs ?? 0,
    pfns,
    times,
    sizes: ints(rows),
    links: ints(rows),
    loaded: ints(cpus * orders * 2),
    depot: ints(orders * 2),
    unused: ints(1),
  };
  for (let row = rows - 1; row > 0; row--) release(cache, row);
  for (let i = 0; i < cache.loaded.length; i++) cache.loaded[i] = take(cache);
  return cache;
}

/** Bin of a size: order of the power of two from it on. */
function binOf(size: number): number {
  return size <= 1 ? 0 : 32 - Math.clz32(size - 1);
}

/** A cached block of `size` pages below `limit` (exclusive), or 0. Linux: iova_rcache_get() */
export function cacheGet(c: Rcache, size: number, limit: number, cpu: number): number {
  const bin = binOf(size);
  if (size > 1 << 30 || bin >= c.orders) return 0;
  const { loaded, sizes } = c;
  const at = (cpu * c.orders + bin) * 2;
  if (sizes[loaded[at]] === 0) {
    if (sizes[loaded[at + 1]] !== 0) swap(c, at);
    else {
      const full = pop(c, bin);
      if (full === 0) return 0;
      release(c, loaded[at]);
      loaded[at] = full;
    }
  }
  return takeBelow(c, loaded[at], limit - size);
}

/** The topmost block that does not begin above `last`; the magazine is not empty. Linux: iova_magazine_pop() */
function takeBelow(c: Rcache, mag: number, last: number): number {
  const base = mag * c.magazineSize;
  let i = c.sizes[mag] - 1;
  while (c.pfns[base + i] > last) if (i-- === 0) return 0;
  const pfn = c.pfns[base + i];
  c.pfns[base + i] = c.pfns[base + --c.sizes[mag]];
  return pfn;
}

const KEPT: readonly number[] = [];

/**
 * Keeps a freed block. Returns the blocks that must go to the tree to make room,
 * mostly none; null when the block itself must.
 *
 * Linux: iova_rcache_insert(), drivers/iommu/iova.c
 */
export function cacheInsert(
  c: Rcache,
  pfn: number,
  size: number,
  cpu: number,
): readonly number[] | null {
  const bin = binOf(size);
  if (size > 1 << 30 || bin >= c.orders) return null;
  const { loaded, sizes, magazineSize } = c;
  const at = (cpu * c.orders + bin) * 2;
  let freed = KEPT;
  if (sizes[loaded[at]] === magazineSize) {
    if (sizes[loaded[at + 1]] !== magazineSize) swap(c, at);
    else {
      const fresh = take(c);
      if (fresh === 0) return null;
      if (c.depot[bin * 2 + 1] < c.depotLimit) push(c, bin, loaded[at]);
      else {
        freed = contents(c, loaded[at]);
        release(c, loaded[at]);
      }
      loaded[at] = fresh;
    }
  }
  const mag = loaded[at];
  c.pfns[mag * magazineSize + sizes[mag]++] = pfn;
  return freed;
}

/** Empties both magazines of each size of a CPU. Linux: free_cpu_cached_iovas() */
export function emptyCpu(c: Rcache, cpu: number, free: (pfn: number) => void): void {
  for (let i = cpu * c.orders * 2; i < (cpu + 1) * c.orders * 2; i++) {
    const mag = c.loaded[i];
    for (const pfn of contents(c, mag)) free(pfn);
    c.sizes[mag] = 0;
  }
}

/** Linux: free_global_cached_iovas() */
export function emptyDepots(c: Rcache, free: (pfn: number) => void): void {
  for (let bin = 0; bin < c.orders; bin++) {
    for (const mag of depotOf(c, bin)) {
      for (const pfn of contents(c, mag)) free(pfn);
      release(c, mag);
    }
    c.depot[bin * 2] = 0;
    c.depot[bin * 2 + 1] = 0;
  }
}

/**
 * One magazine of a depot that has more than one a CPU goes back to the tree.
 * Returns whether there was one. Linux: iova_depot_work_func(), since 6.7
 */
export function trimDepot(c: Rcache, bin: number, free: (pfn: number) => void): boolean {
  if (c.depot[bin * 2 + 1] <= c.cpus) return false;
  const mag = pop(c, bin);
  for (const pfn of contents(c, mag)) free(pfn);
  release(c, mag);
  return true;
}

/** Blocks in all magazines. */
export function cachedBlocks(c: Rcache): number {
  let sum = 0;
  for (const size of c.sizes) sum += size;
  return sum;
}

function contents(c: Rcache, mag: number): number[] {
  const base = mag * c.magazineSize;
  return [...c.pfns.subarray(base, base + c.sizes[mag])];
}

function swap(c: Rcache, at: number): void {
  const first = c.loaded[at];
  c.loaded[at] = c.loaded[at + 1];
  c.loaded[at + 1] = first;
}

function push(c: Rcache, bin: number, mag: number): void {
  c.links[mag] = c.depot[bin * 2];
  c.depot[bin * 2] = mag;
  c.depot[bin * 2 + 1]++;
  if (c.trimMs > 0 && c.times[bin + 1] === 0) c.times[bin + 1] = c.times[0] + c.trimMs;
}

function pop(c: Rcache, bin: number): number {
  const mag = c.depot[bin * 2];
  if (mag === 0) return 0;
  c.depot[bin * 2] = c.links[mag];
  c.depot[bin * 2 + 1]--;
  return mag;
}

/** An empty magazine, or 0. */
function take(c: Rcache): number {
  const mag = c.unused[0];
  if (mag !== 0) c.unused[0] = c.links[mag];
  return mag;
}

function release(c: Rcache, mag: number): void {
  c.sizes[mag] = 0;
  c.links[mag] = c.unused[0];
  c.unused[0] = mag;
}

function depotOf(c: Rcache, bin: number): number[] {
  const found: number[] = [];
  for (let mag = c.depot[bin * 2]; mag !== 0; mag = c.links[mag]) found.push(mag);
  return found;
}

export function verifyRcache(c: Rcache): string[] {
  const wrong: string[] = [];
  const seen = new Set<number>();
  const place = (mag: number, where: string): void => {
    if (mag === 0 || seen.has(mag)) wrong.push(`C1: magazine ${mag} is twice, or none (${where})`);
    seen.add(mag);
  };
  for (const mag of c.loaded) place(mag, "loaded");
  for (let bin = 0; bin < c.orders; bin++) {
    const depot = depotOf(c, bin);
    if (depot.length !== c.depot[bin * 2 + 1]) wrong.push(`C1: depot ${bin} counts wrong`);
    for (const mag of depot) {
      place(mag, "depot");
      if (c.sizes[mag] !== c.magazineSize) wrong.push(`C2: magazine ${mag} of a depot is not full`);
    }
  }
  for (let mag = c.unused[0]; mag !== 0; mag = c.links[mag]) {
    place(mag, "unused");
    if (c.sizes[mag] !== 0) wrong.push(`C2: unused magazine ${mag} is not empty`);
  }
  if (seen.size !== c.magazines - 1) wrong.push("C1: magazines are lost");
  return wrong;
}
