/**
 * A range of pages taken by name, with what is in it moved away first.
 *
 * Linux: alloc_contig_range(), __alloc_contig_migrate_range(), mm/page_alloc.c
 */
import { allocPages, freePages, NO_PFN } from "../allocate.ts";
import { beginContig, type Contig, endContig, takeContig } from "../contig.ts";
import { drainAllPages } from "../drain-all.ts";
import { KIND_MASK, MOBILE, ORDER_MASK, pfnOf, rowOf, TAKEN } from "../memory.ts";
import { isMovable, migratePage } from "./migrate.ts";
import type { Pages } from "./pages.ts";

/** Tries to empty a range before it counts as busy. */
const MAX_TRIES = 5;

/** Why a range could not be had; Linux's names. */
export type RangeRefusal = "-EBUSY" | "-ENOMEM";

/**
 * Takes `count` pages from `pfn` on, all of one zone, whose pageblocks are of `type`. Null when they
 * are the caller's (single pages), or why not: somebody holds a page of the range in place, or there
 * is nowhere to move one to.
 */
export function takeRange(
  pages: Pages,
  pfn: number,
  count: number,
  type: number,
): RangeRefusal | null {
  const { m } = pages;
  if (!beginContig(m, pfn, count, type)) return "-EBUSY";
  let refusal: RangeRefusal | null = "-EBUSY";
  let taken: Contig | null = null;
  for (let tries = 0; tries < MAX_TRIES && taken === null; tries++) {
    refusal = emptyRange(pages, pfn, count);
    if (refusal === "-ENOMEM") break;
    // Pages that moved out wait on per-CPU lists.
    drainAllPages(m);
    taken = takeContig(m, pfn, count);
    refusal = taken === null ? "-EBUSY" : null;
  }
  if (taken !== null) {
    for (let at = taken.pfn; at < pfn; at++) freePages(m, at, 0);
    for (let at = pfn + count; at < taken.pfn + taken.pages; at++) freePages(m, at, 0);
  }
  endContig(m, pfn, count, type);
  return refusal;
}

/** Moves every block that begins or ends in the range, as far as they may move. */
function emptyRange(pages: Pages, pfn: number, count: number): RangeRefusal | null {
  const { m } = pages;
  if (!pages.migration) return null;
  for (let at = pfn; at < pfn + count; at++) {
    const row = headOf(pages, rowOf(m, at));
    if (row < 0 || !isMovable(pages, row)) continue;
    const order = m.state[row] & ORDER_MASK;
    const to = allocPages(m, pages.gfp, order);
    if (to === NO_PFN) return "-ENOMEM";
    if (!migratePage(pages, row, rowOf(m, to))) freePages(m, to, order);
  }
  return null;
}

/** Row of the head of the allocated block that a row is in; -1 for none. */
function headOf({ m }: Pages, row: number): number {
  for (let order = 0; order <= m.maxOrder; order++) {
    const head = row & (-1 << order);
    const state = m.state[head];
    if (state === 0) continue;
    const kind = state & KIND_MASK;
    const covers = head + (1 << (state & ORDER_MASK)) > row;
    return covers && (kind === TAKEN || kind === MOBILE) ? head : -1;
  }
  return -1;
}

/** Whether nothing in a range is held in place: pfns of what is, for those who want to know why. */
export function heldInRange(pages: Pages, pfn: number, count: number): number[] {
  const held: number[] = [];
  for (let at = pfn; at < pfn + count; at++) {
    const row = headOf(pages, rowOf(pages.m, at));
    if (row >= 0 && !isMovable(pages, row) && held.at(-1) !== pfnOf(pages.m, row)) {
      held.push(pfnOf(pages.m, row));
    }
  }
  return held;
}
