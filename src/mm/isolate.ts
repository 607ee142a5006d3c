/**
 * Pageblocks that somebody wants for himself: their free pages go to lists that
 * no request looks at, pages freed into them go there at once, and none of them
 * counts as free. What is taken in them is its owner's to move away.
 *
 * Written after 6.12. Up to 6.9 a free block of two pageblocks is moved whole or split by other
 * means; which lists its halves are on is the same.
 *
 * Linux: start_isolate_page_range(), undo_isolate_page_range(), mm/page_isolation.c;
 * move_freepages_block_isolate(), mm/page_alloc.c
 */
import { giveBlock, unlink } from "./buddy.ts";
import { partExtent } from "./extent.ts";
import { movableFrom, moveFree } from "./fallback.ts";
import { lockZone, unlockZone } from "./lock.ts";
import {
  FREE,
  KIND_MASK,
  type Memory,
  ORDER_MASK,
  PCP,
  Z_ROW,
  Z_ROW_END,
  ZONE_WORDS,
  zoneOf,
} from "./memory.ts";
import { countPages, giveByPageblock } from "./queue.ts";
import { ISOLATE } from "./rule.ts";

/** Whether the pageblock of these rows may be isolated: nothing in it that can never leave. */
export type IsFit = (from: number, to: number) => boolean;

/**
 * Isolates the pageblocks from row `from` to row `to`: the first, the last, then those between.
 * Returns false, with all of them of `type` again, when one is isolated already, cut by a zone
 * boundary, or refused by `isFit`.
 *
 * Linux: start_isolate_page_range(), mm/page_isolation.c
 */
export function isolateBlocks(
  m: Memory,
  from: number,
  to: number,
  type: number,
  isFit: IsFit | null,
): boolean {
  const size = 1 << m.pageblockOrder;
  if (!isolateOne(m, from, isFit)) return false;
  if (to - from > size && !isolateOne(m, to - size, isFit)) {
    restoreOne(m, from, type);
    return false;
  }
  for (let start = from + size; start < to - size; start += size) {
    if (isolateOne(m, start, isFit)) continue;
    restoreBlocks(m, from, start, type);
    restoreOne(m, to - size, type);
    return false;
  }
  return true;
}

/** Gives isolated pageblocks back to `type`, with what is free in them. */
export function restoreBlocks(m: Memory, from: number, to: number, type: number): void {
  for (let start = from; start < to; start += 1 << m.pageblockOrder) restoreOne(m, start, type);
}

/** First row of the free block that reaches over `start`; `start` itself when there is none. Linux: find_large_buddy() */
export function largeBuddy(m: Memory, start: number): number {
  for (let order = 0; order <= m.maxOrder; order++) {
    const row = start & (-1 << order);
    const state = m.state[row];
    if ((state & KIND_MASK) !== FREE) continue;
    return row + (1 << (state & ORDER_MASK)) > start ? row : start;
  }
  return start;
}

/** Whether a pageblock is a hole: nothing in it, and no larger block, free or in use, reaches over it. Takes the zone's lock. */
export function isHole(m: Memory, start: number): boolean {
  const rows = m.state.subarray(start, start + (1 << m.pageblockOrder));
  const zone = zoneOf(m, start);
  if (zone >= 0) {
    lockZone(m, zone);
    partExtent(m, zone, start);
    unlockZone(m, zone);
  }
  for (let order = m.pageblockOrder + 1; order <= m.maxOrder; order++) {
    const row = start & (-1 << order);
    const state = m.state[row];
    const isBlock = (state & KIND_MASK) !== 0 && (state & KIND_MASK) !== PCP;
    if (isBlock && row + (1 << (state & ORDER_MASK)) > start) return false;
  }
  return rows.every((state) => state === 0);
}

/** Linux: set_migratetype_isolate(), mm/page_isolation.c */
function isolateOne(m: Memory, start: number, isFit: IsFit | null): boolean {
  const zone = zoneOf(m, start);
  if (zone < 0 || m.blockType[start >> m.pageblockOrder] === ISOLATE) return false;
  partExtent(m, zone, start);
  if (isFit !== null && !isFit(start, start + (1 << m.pageblockOrder))) return false;
  return retype(m, zone, start, ISOLATE);
}

/** Linux: unset_migratetype_isolate() */
function restoreOne(m: Memory, start: number, type: number): void {
  const block = start >> m.pageblockOrder;
  if (m.blockType[block] !== ISOLATE) return;
  const zone = zoneOf(m, start);
  const state = m.state[start];
  const order = state & ORDER_MASK;
  if (
    (state & KIND_MASK) !== FREE ||
    order < m.pageblockOrder ||
    !hasEqual(m, zone, start, order)
  ) {
    retype(m, zone, start, type);
    return;
  }
  // Merged with its buddy, which moving alone would not do.
  unlink(m, zone, start, order);
  m.blockType[block] = type;
  countPages(m, zone, start, 1 << order);
  giveBlock(m, zone, start, order, type, true);
}

/** Whether the buddy is free, and nobody's own. */
function hasEqual(m: Memory, zone: number, row: number, order: number): boolean {
  if (order >= m.maxOrder) return false;
  const buddy = row ^ (1 << order);
  const words = zone * ZONE_WORDS;
  if (buddy < m.zone[words + Z_ROW] || buddy >= m.zone[words + Z_ROW_END]) return false;
  return m.state[buddy] === (FREE | order) && m.blockType[buddy >> m.pageblockOrder] !== ISOLATE;
}

/** Moves a pageblock's free pages to `type`; a larger block that it is part of is split. */
function retype(m: Memory, zone: number, start: number, type: number): boolean {
  if (movableFrom(m, zone, start) !== start) return false;
  const block = start >> m.pageblockOrder;
  const large = largeBuddy(m, start);
  const order = (m.state[large] & KIND_MASK) === FREE ? m.state[large] & ORDER_MASK : 0;
  if (order > m.pageblockOrder) {
    countPages(m, zone, large, -(1 << order));
    unlink(m, zone, large, order);
    m.blockType[block] = type;
    giveByPageblock(m, zone, large, order);
    return true;
  }
  const moved = moveFree(m, zone, start, type);
  countPages(m, zone, start, -moved);
  m.blockType[block] = type;
  countPages(m, zone, start, moved);
  return true;
}
