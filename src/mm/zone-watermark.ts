/**
 * May this request be served from this zone? Free pages against a mark and the
 * zone's reserve, and whether a block is large enough: two questions, because
 * free pages may be plentiful and all in pieces.
 *
 * Pure functions over a row of counts: the words of a zone in the image, or a
 * row that somebody filled in from a report. No list is walked.
 *
 * Linux: __zone_watermark_ok(), zone_watermark_fast(), mm/page_alloc.c
 */
import type { WatermarkRule } from "../kernels/watermark.ts";
import {
  ALLOC_CMA,
  ALLOC_HIGHATOMIC,
  ALLOC_MIN_RESERVE,
  ALLOC_NON_BLOCK,
  ALLOC_OOM,
  ALLOC_RESERVES,
  ALLOC_WMARK_MASK,
  ALLOC_WMARK_MIN,
} from "./gfp-alloc.ts";
import { CMA, HIGHATOMIC, MOVABLE, RECLAIMABLE, UNMOVABLE } from "./rule.ts";
import {
  Z_BLOCKS,
  Z_BOOST,
  Z_FREE,
  Z_FREE_CMA,
  Z_HIGHATOMIC,
  Z_MIN,
  Z_ORDERS_OF,
  Z_RESERVE,
} from "./words.ts";

/** The mark that `allocFlags` name, with the boost. Pages. Linux: wmark_pages() */
export function markOf(row: Int32Array, at: number, allocFlags: number): number {
  return row[at + Z_MIN + (allocFlags & ALLOC_WMARK_MASK)] + row[at + Z_BOOST];
}

/**
 * Free pages that the request must not count on, besides its own. Up to 6.2 ALLOC_HIGH lowers the
 * mark, but does not open the highatomic reserve. Linux: __zone_watermark_unusable_free()
 */
export function unusableFree(
  row: Int32Array,
  at: number,
  allocFlags: number,
  rule: WatermarkRule,
): number {
  const opens = rule.harderAlone ? ALLOC_NON_BLOCK | ALLOC_OOM : ALLOC_RESERVES;
  let pages = 0;
  if ((allocFlags & opens) === 0) pages += row[at + Z_HIGHATOMIC];
  if ((allocFlags & ALLOC_CMA) === 0) pages += row[at + Z_FREE_CMA];
  return pages;
}

/** `mark` as low as `allocFlags` allow. */
export function loweredMark(mark: number, allocFlags: number, rule: WatermarkRule): number {
  if ((allocFlags & ALLOC_RESERVES) === 0) return mark;
  let min = mark;
  const half = (allocFlags & ALLOC_MIN_RESERVE) !== 0;
  if (half) min -= Math.floor(min / 2);
  const oom = (allocFlags & ALLOC_OOM) !== 0;
  const harder = (allocFlags & ALLOC_NON_BLOCK) !== 0 && (half || rule.harderAlone);
  if (rule.harderAlone) {
    if (oom) min -= Math.floor(min / 2);
    else if (harder) min -= Math.floor(min / 4);
    return min;
  }
  if (harder) min -= Math.floor(min / 4);
  if (oom) min -= Math.floor(min / 2);
  return min;
}

/**
 * Whether the zone whose words start at `at` in `row` may give a block of
 * `order` against `mark`, to a request whose highest zone is `highest`.
 *
 * Linux: __zone_watermark_ok(), mm/page_alloc.c
 */
export function watermarkOk(
  row: Int32Array,
  at: number,
  order: number,
  mark: number,
  highest: number,
  allocFlags: number,
  rule: WatermarkRule,
): boolean {
  const less = unusableFree(row, at, allocFlags, rule) + rule.lessFree;
  const free = row[at + Z_FREE] - ((1 << order) - 1) - less;
  const min = loweredMark(mark, allocFlags, rule);
  if (free <= min + row[at + Z_RESERVE + highest]) return false;
  if (order === 0 || rule.watermark === "sum") return true;
  return rule.watermark === "orders"
    ? ordersOk(row, at, order, free, min)
    : hasBlock(row, at, order, allocFlags);
}

/** Whether a list that the request may use holds a block of `order` or more. */
export function hasBlock(row: Int32Array, at: number, order: number, allocFlags: number): boolean {
  const lists = at + Z_ORDERS_OF;
  let orders = row[lists + UNMOVABLE] | row[lists + MOVABLE] | row[lists + RECLAIMABLE];
  if ((allocFlags & ALLOC_CMA) !== 0) orders |= row[lists + CMA];
  if ((allocFlags & (ALLOC_HIGHATOMIC | ALLOC_OOM)) !== 0) orders |= row[lists + HIGHATOMIC];
  return orders >> order !== 0;
}

/** 2.6: without the blocks below each order, more than a halving mark must be left. */
function ordersOk(row: Int32Array, at: number, order: number, free: number, mark: number): boolean {
  let left = free;
  let min = mark;
  for (let o = 0; o < order; o++) {
    left -= row[at + Z_BLOCKS + o] << o;
    min >>= 1;
    if (left <= min) return false;
  }
  return true;
}

/**
 * The same question as the hot path asks it: a quick yes for single pages, and
 * a second chance against the mark without boost for those who cannot wait.
 *
 * Linux: zone_watermark_fast(), mm/page_alloc.c
 */
export function watermarkFast(
  row: Int32Array,
  at: number,
  order: number,
  highest: number,
  allocFlags: number,
  rule: WatermarkRule,
): boolean {
  const mark = row[at + Z_MIN + (allocFlags & ALLOC_WMARK_MASK)] + row[at + Z_BOOST];
  if (order === 0 && rule.lessFree === 0) {
    const free = row[at + Z_FREE];
    const usable = free - Math.min(free, unusableFree(row, at, allocFlags, rule));
    if (usable > mark + row[at + Z_RESERVE + highest]) return true;
  }
  if (watermarkOk(row, at, order, mark, highest, allocFlags, rule)) return true;
  // Up to 6.2 it is for __GFP_ATOMIC, which makes a request try harder.
  const atomic = rule.harderAlone ? ALLOC_NON_BLOCK : ALLOC_MIN_RESERVE;
  if (order > 0 || (allocFlags & atomic) === 0 || row[at + Z_BOOST] === 0) return false;
  if ((allocFlags & ALLOC_WMARK_MASK) !== ALLOC_WMARK_MIN) return false;
  if (!rule.atomicSkipsBoost) return false;
  return watermarkOk(row, at, 0, row[at + Z_MIN], highest, allocFlags, rule);
}
