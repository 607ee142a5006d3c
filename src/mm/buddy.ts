/**
 * The buddy allocator: free blocks by order and mobility type, split on the
 * way out, merged on the way in. Which list a block goes to, and at which end,
 * decides later addresses: both are reproduced.
 *
 *   B1  a row on free list (zone, type, order) is FREE with that order, aligned, and inside the zone
 *   B2  no two free blocks share a frame
 *   B3  no free block has a free buddy of its own order that it may merge with
 *   B4  Z_BLOCKS[order] counts the blocks of that order, untouched ones of extents too
 *   B5  bit k of Z_ORDERS_OF[type] is set exactly when list k of the type is not empty
 *
 * Nothing here touches Z_FREE: callers count, once for each call of theirs.
 *
 * Linux: struct free_area; __rmqueue_smallest(), expand(), __free_one_page(), mm/page_alloc.c
 */
import {
  EXTENT,
  FREE,
  KIND_MASK,
  type Memory,
  ORDERS,
  Z_BLOCKS,
  Z_ORDERS_OF,
  Z_ROW,
  Z_ROW_END,
  ZONE_WORDS,
} from "./memory.ts";
import { PCP_TYPES, TYPE_COUNT } from "./rule.ts";

/**
 * Takes the smallest block of `type` that is at least `order`, from its list's
 * head; gives the upper halves back. Returns its row, or -1.
 *
 * Linux: __rmqueue_smallest(), mm/page_alloc.c
 */
export function takeSmallest(m: Memory, zone: number, order: number, type: number): number {
  const fits = m.zone[zone * ZONE_WORDS + Z_ORDERS_OF + type] & (-1 << order);
  if (fits === 0) return -1;
  const from = 31 - Math.clz32(fits & -fits);
  const row = takeHead(m, zone, from, type);
  if (from > order) giveHalves(m, zone, row, from, order, type);
  m.events?.refill(zone, row, order, type);
  return row;
}

/** Halves a block down to `order`: upper halves go to their lists' heads. Linux: expand() */
export function giveHalves(
  m: Memory,
  zone: number,
  row: number,
  from: number,
  order: number,
  type: number,
): void {
  for (let half = from - 1; half >= order; half--) {
    linkHead(m, zone, row + (1 << half), half, type);
  }
}

/** Takes the first block off a list that is not empty. */
export function takeHead(m: Memory, zone: number, order: number, type: number): number {
  const { next, prev, state } = m;
  const head = (zone * TYPE_COUNT + type) * ORDERS + order;
  const row = next[head];
  if ((state[row] & KIND_MASK) === EXTENT) return carve(m, zone, head, row, type);
  const second = next[row];
  next[head] = second;
  prev[second] = head;
  state[row] = 0;
  const words = zone * ZONE_WORDS;
  m.zone[words + Z_BLOCKS + order]--;
  if (second === head) m.zone[words + Z_ORDERS_OF + type] &= ~(1 << order);
  return row;
}

/**
 * Takes the first block of an extent: the rest of the extent takes its place in
 * the list. Only here does untouched memory become touched.
 */
function carve(m: Memory, zone: number, head: number, row: number, type: number): number {
  const { next, prev, state, maxOrder } = m;
  const words = zone * ZONE_WORDS;
  const end = next[row + 1];
  const rest = row + (1 << maxOrder);
  const before = prev[row];
  let after = next[row];
  state[row] = 0;
  m.zone[words + Z_BLOCKS + maxOrder]--;
  if (rest < end) {
    next[rest] = after;
    prev[rest] = before;
    next[rest + 1] = end;
    state[rest] = EXTENT | maxOrder;
    m.touched[rest >> m.sectionShift] = 1;
    prev[after] = rest;
    after = rest;
  }
  next[before] = after;
  if (rest >= end) {
    prev[after] = before;
    if (after === head && before === head) {
      m.zone[words + Z_ORDERS_OF + type] &= ~(1 << maxOrder);
    }
  }
  return row;
}

export function linkHead(m: Memory, zone: number, row: number, order: number, type: number): void {
  const { next, prev } = m;
  const head = (zone * TYPE_COUNT + type) * ORDERS + order;
  const first = next[head];
  next[row] = first;
  prev[row] = head;
  prev[first] = row;
  next[head] = row;
  m.state[row] = FREE | order;
  const words = zone * ZONE_WORDS;
  m.zone[words + Z_BLOCKS + order]++;
  m.zone[words + Z_ORDERS_OF + type] |= 1 << order;
}

export function linkTail(m: Memory, zone: number, row: number, order: number, type: number): void {
  const { next, prev } = m;
  const head = (zone * TYPE_COUNT + type) * ORDERS + order;
  const last = prev[head];
  next[row] = head;
  prev[row] = last;
  next[last] = row;
  prev[head] = row;
  m.state[row] = FREE | order;
  const words = zone * ZONE_WORDS;
  m.zone[words + Z_BLOCKS + order]++;
  m.zone[words + Z_ORDERS_OF + type] |= 1 << order;
}

/**
 * Takes a FREE block off whichever list it is on. The list may be of another
 * type than its pageblock: its head, when the list runs empty, tells which.
 */
export function unlink(m: Memory, zone: number, row: number, order: number): void {
  const { next, prev } = m;
  const before = prev[row];
  const after = next[row];
  next[before] = after;
  prev[after] = before;
  m.state[row] = 0;
  const words = zone * ZONE_WORDS;
  m.zone[words + Z_BLOCKS + order]--;
  if (before === after) {
    const type = (before >> 4) - zone * TYPE_COUNT;
    if (before < m.firstRow) m.zone[words + Z_ORDERS_OF + type] &= ~(1 << order);
  }
}

/** Moves a FREE block to the tail of another type's list. Linux: move_to_free_list() */
export function moveToList(
  m: Memory,
  zone: number,
  row: number,
  order: number,
  type: number,
): void {
  unlink(m, zone, row, order);
  linkTail(m, zone, row, order, type);
}

/**
 * Puts a block back, merging it with its buddy for as long as that is free and
 * whole. `type` chooses the list. With `toTail` the block is queued last.
 *
 * Linux: __free_one_page(), mm/page_alloc.c
 */
export function giveBlock(
  m: Memory,
  zone: number,
  given: number,
  givenOrder: number,
  type: number,
  toTail: boolean,
): void {
  const { state, zone: zones, maxOrder, pageblockOrder } = m;
  const words = zone * ZONE_WORDS;
  const first = zones[words + Z_ROW];
  const end = zones[words + Z_ROW_END];
  let row = given;
  let order = givenOrder;
  while (order < maxOrder) {
    const buddy = row ^ (1 << order);
    if (state[buddy] !== (FREE | order) || buddy < first || buddy >= end) break;
    if (order >= pageblockOrder && !mayMerge(m, buddy, order, type)) break;
    unlink(m, zone, buddy, order);
    row &= buddy;
    order++;
  }
  const tail = toTail || (m.rule.tailWhenMergeLikely && mergeLikely(m, row, order, first, end));
  if (tail) linkTail(m, zone, row, order, type);
  else linkHead(m, zone, row, order, type);
}

/** Pageblocks of different types meet: only the first three types merge. */
function mayMerge(m: Memory, buddy: number, order: number, type: number): boolean {
  const block = buddy >> m.pageblockOrder;
  const other = m.blockType[block];
  if (other === type) return true;
  if (other >= PCP_TYPES || type >= PCP_TYPES) return false;
  if (m.rule.mergeRetypes) {
    m.blockType.fill(type, block, block + (1 << (order - m.pageblockOrder)));
  }
  return true;
}

/** Whether the parent's buddy is free: then this block had better wait. Linux: buddy_merge_likely() */
function mergeLikely(m: Memory, row: number, order: number, first: number, end: number): boolean {
  if (order >= m.maxOrder - 1) return false;
  const above = (row & ~(1 << order)) ^ (1 << (order + 1));
  return m.state[above] === (FREE | (order + 1)) && above >= first && above < end;
}
