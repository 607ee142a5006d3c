/**
 * The mask pool: low pages that no zone has, given out by address instead of by zone.
 *
 * Planned by Kleen in 2006 and posted in 2008 as the maskable allocator: ZONE_DMA leaves
 * the zonelists, so nobody but those who say how far they reach can fill it, and no
 * reserve has to protect it from the others. Size and method are the user's choice; all
 * state is in regions of the image that the page frames know nothing of.
 *
 * A request in this order:
 *
 *   1. the normal allocator, where the limit reaches above the pool; what does not fit is
 *      given back. A request that may use all memory ends here, come what may: the pool is
 *      not for those who run out of everything
 *   2. the pool: the highest pages that the limit allows
 *   3. who may wait is told MASK_WAIT and asks again after a page came back (`allocAgain`), until
 *      his time is up; who may not has the last `atomicPages` for himself
 *
 * One thread's: unlike the zones of a shared memory it has no lock.
 *
 * Beyond 2008: alignment, boundary, a lower limit, and the reserve for callers that cannot
 * sleep, of which the patch said that it could be added.
 *
 * Linux: alloc_pages_mask(), __free_pages_mask() of "mask allocator" 6/13, posted 7 March 2008; never merged
 */
import { assert } from "../../base/assert.ts";
import { type Range, totalLength } from "../../base/range.ts";
import type { Image } from "../../mm/image.ts";
import { createBuddyScan, orderOf } from "./buddy-scan.ts";
import {
  addMaskCounts,
  MASK_ALLOC,
  MASK_BITMAP_SKIP,
  MASK_FREE,
  MASK_HIGH_WASTE,
  MASK_HIGHER,
  MASK_LOW_WASTE,
  MASK_WAIT_MS,
} from "./mask-counts.ts";
import type { NormalPages } from "./normal-first.ts";
import { highestPlace, NO_PAGES, type PageSource } from "./page-source.ts";
import { createRangeTree } from "./range-tree.ts";

/** There is no such memory, or the caller's time is up. */
export const MASK_REFUSED = -1;
/** There is none now; the caller may wait until something is given back. */
export const MASK_WAIT = -2;

/** Flags of a request: it may sleep. */
export const MAY_WAIT = 1;
/** The normal allocator is not asked. */
export const POOL_ONLY = 2;

/** Fewer bytes than this are an order, passed by mistake. Linux: MASK_MIN_SIZE */
const MASK_MIN_SIZE = 16;
/** How long a caller waits in all, ms; Infinity with __GFP_REPEAT. Linux: mask_timeout */
export const MASK_TIMEOUT_MS = 5000;
/** Largest block of the scan by brute force: the kernel's own, 4 MiB. */
const SCAN_ORDER = 10;

export type PoolMethod = "range tree" | "buddy scan";

export interface MaskPoolOptions {
  /** Its pages: pfns, sorted, of nobody else. */
  readonly ranges: readonly Range[];
  readonly pageSize: number;
  /** The range tree by default. */
  readonly method?: PoolMethod;
  /** Pages that only callers get who cannot sleep; 0 by default. */
  readonly atomicPages?: number;
  /** maskzone=force: the normal allocator is never asked. */
  readonly force?: boolean;
  /** The zones, or null for a pool that stands alone. */
  readonly normal?: NormalPages | null;
}

/** What a request may say. Bytes; limits are addresses. */
export interface MaskWish {
  readonly bytes: number;
  /** Last address in reach, inclusive. */
  readonly limit: number;
  /** First address that will do; 0 by default. */
  readonly low?: number;
  /** A power of two; the page size by default. */
  readonly align?: number;
  /** No multiple of this + 1 is crossed, e.g. 0xffff; none by default. */
  readonly boundary?: number;
  /** For the normal allocator: without zone bits. */
  readonly gfp: number;
  /** MAY_WAIT, POOL_ONLY. */
  readonly flags?: number;
}

/** A caller who waits: how long he still would, ms. */
export interface MaskWaiter {
  left: number;
}

/** One pool. Its numbers live in the image. */
export interface MaskPool {
  readonly source: PageSource;
  readonly ranges: readonly Range[];
  readonly pages: number;
  readonly pageSize: number;
  readonly atomicPages: number;
  readonly force: boolean;
  readonly normal: NormalPages | null;
  readonly counts: Float64Array;
  /** First pfn, and the one after the last. */
  readonly start: number;
  readonly end: number;
}

/** Adds the pool's regions to the image. Asserts that the ranges are not empty. */
export function createMaskPool(image: Image, options: MaskPoolOptions): MaskPool {
  const { ranges, method = "range tree", atomicPages = 0 } = options;
  const first = ranges[0];
  const last = ranges.at(-1);
  assert(first !== undefined && last !== undefined, "a mask pool needs pages");
  const source =
    method === "range tree"
      ? createRangeTree(image, "maskPool.pages", ranges)
      : createBuddyScan(image, "maskPool.pages", ranges, SCAN_ORDER);
  return {
    source,
    ranges,
    pages: totalLength(ranges),
    pageSize: options.pageSize,
    atomicPages,
    force: options.force ?? false,
    normal: options.normal ?? null,
    counts: addMaskCounts(image, "maskPool.counts"),
    start: first.start,
    end: last.end,
  };
}

/** Pages with a limit: pfn of the first, MASK_REFUSED, or MASK_WAIT for callers with MAY_WAIT. */
export function allocMask(pool: MaskPool, wish: MaskWish): number {
  const { bytes, limit, low = 0, align = 0, boundary = -1, gfp, flags = 0 } = wish;
  return allocMaskPages(pool, bytes, low, limit, align, boundary, gfp, flags);
}

/** `allocMask` without an object: `align` 0 for none, `boundary` below 0 for none. */
export function allocMaskPages(
  pool: MaskPool,
  bytes: number,
  low: number,
  limit: number,
  align: number,
  boundary: number,
  gfp: number,
  flags: number,
): number {
  const { counts, pageSize, normal } = pool;
  assert(bytes >= MASK_MIN_SIZE, "fewer bytes than an order could be", bytes);
  counts[MASK_ALLOC]++;
  const end = Math.floor((limit + 1) / pageSize);
  const first = Math.ceil(low / pageSize);
  const pages = Math.ceil(bytes / pageSize);
  const alignPages = Math.max(1, align / pageSize);
  const span = boundaryPages(boundary, bytes, pageSize);
  if (span < 0) return MASK_REFUSED;
  const asksNormal = normal !== null && !pool.force && (flags & POOL_ONLY) === 0 && end > pool.end;
  if (asksNormal) {
    const order = orderOf(pages);
    const pfn = normal.take(gfp, order, first, end, alignPages);
    if (pfn >= 0) {
      counts[MASK_HIGHER]++;
      counts[MASK_HIGH_WASTE] += pageSize * 2 ** order - bytes;
      return pfn;
    }
    if (normal.coversAll(first, end)) {
      counts[MASK_HIGHER]++;
      return MASK_REFUSED;
    }
  }
  return fromPool(pool, bytes, pages, first, end, alignPages, span, flags);
}

/** Pages between boundaries: 0 for no boundary that counts, -1 where the bytes fit between none. */
function boundaryPages(boundary: number, bytes: number, pageSize: number): number {
  if (boundary < 0 || boundary >= Number.MAX_SAFE_INTEGER) return 0;
  if (bytes > boundary + 1) return -1;
  // Inside a page, of which the buffer starts at the first byte.
  if (boundary + 1 <= pageSize) return 0;
  return (boundary + 1) / pageSize;
}

function fromPool(
  pool: MaskPool,
  bytes: number,
  pages: number,
  low: number,
  end: number,
  align: number,
  boundary: number,
  flags: number,
): number {
  const { source, counts, pageSize, atomicPages } = pool;
  const mayWait = (flags & MAY_WAIT) !== 0;
  const isKept = mayWait && source.free() - pages < atomicPages;
  const pfn = isKept ? NO_PAGES : source.take(pages, low, end, align, boundary);
  if (pfn !== NO_PAGES) {
    counts[MASK_BITMAP_SKIP] += Math.min(end, pool.end) - pages - pfn;
    counts[MASK_LOW_WASTE] += pages * pageSize - bytes;
    return pfn;
  }
  const kept = mayWait ? atomicPages : 0;
  return mayWait && canEver(pool, pages, low, end, align, boundary, kept)
    ? MASK_WAIT
    : MASK_REFUSED;
}

/** Whether an empty pool would give such pages: if not, nobody needs to wait for them. */
export function canEver(
  { ranges, pages: all }: Pick<MaskPool, "ranges" | "pages">,
  pages: number,
  low: number,
  end: number,
  align: number,
  boundary: number,
  kept: number,
): boolean {
  if (all - pages < kept || (boundary !== 0 && pages > boundary)) return false;
  return ranges.some(
    (range) =>
      highestPlace(pages, Math.min(end, range.end), align, boundary) >= Math.max(low, range.start),
  );
}

/**
 * After a caller slept `sleptMs` because of MASK_WAIT: the same request again. MASK_REFUSED
 * when his time is up before he gets it. Who drives time wakes him when the pool's
 * `mask_free` has moved, or when `left` is over, whatever is first.
 */
export function allocAgain(
  pool: MaskPool,
  wish: MaskWish,
  waiter: MaskWaiter,
  sleptMs: number,
): number {
  pool.counts[MASK_WAIT_MS] += sleptMs;
  waiter.left -= sleptMs;
  if (waiter.left <= 0) return MASK_REFUSED;
  const { bytes, limit, low = 0, align = 0, boundary = -1, flags = 0 } = wish;
  const { pageSize } = pool;
  const span = boundaryPages(boundary, bytes, pageSize);
  if (span < 0) return MASK_REFUSED;
  // As in 2008: the pool alone, and no attempt counted.
  const first = Math.ceil(low / pageSize);
  const end = Math.floor((limit + 1) / pageSize);
  const alignPages = Math.max(1, align / pageSize);
  return fromPool(pool, bytes, Math.ceil(bytes / pageSize), first, end, alignPages, span, flags);
}

/** Gives back what `allocMask` gave for so many bytes, to whom it came from. */
export function freeMask(pool: MaskPool, pfn: number, bytes: number): void {
  const { source, counts, pageSize, normal } = pool;
  const pages = Math.ceil(bytes / pageSize);
  if (!isPoolPage(pool, pfn)) {
    assert(normal !== null, "these pages are not in the pool", pfn);
    normal.give(pfn, orderOf(pages));
    return;
  }
  source.give(pfn, pages);
  counts[MASK_FREE]++;
}

/** Whether a page is one of the pool's, taken or not. */
export function isPoolPage(pool: MaskPool, pfn: number): boolean {
  if (pfn < pool.start || pfn >= pool.end) return false;
  return pool.ranges.some(({ start, end }) => pfn >= start && pfn < end);
}

/** The line that a refusal was logged as. */
export function maskRefusalLine(task: string, { bytes, gfp, limit }: MaskWish): string {
  const mask = limit >= Number.MAX_SAFE_INTEGER ? "ffffffffffffffff" : limit.toString(16);
  return `${task}: Cannot allocate maskable memory size ${bytes} gfp ${gfp.toString(16)} mask ${mask}`;
}
