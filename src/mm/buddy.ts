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

/** The buddy of one memory: what it touches are variables of closures, which V8 knows. See `bound.ts`. */
export interface Buddy {
  takeSmallest(zone: number, order: number, type: number): number;
  takeHead(zone: number, order: number, type: number): number;
  giveHalves(zone: number, row: number, from: number, order: number, type: number): void;
  linkHead(zone: number, row: number, order: number, type: number): void;
  linkTail(zone: number, row: number, order: number, type: number): void;
  unlink(zone: number, row: number, order: number): void;
  giveBlock(zone: number, row: number, order: number, type: number, toTail: boolean): void;
}

/** A memory that has no buddy yet. */
export type Unbound = Omit<Memory, "buddy">;

export function bindBuddy(m: Unbound): Buddy {
  const links = bindLinks(m);
  return { ...links, ...bindTake(m, links), giveBlock: bindGive(m, links) };
}

type Links = Pick<Buddy, "linkHead" | "linkTail" | "unlink">;

function bindLinks(m: Unbound): Links {
  const { next, prev, state, firstRow } = m;
  const blocks = m.zone.subarray(Z_BLOCKS);
  const ordersOf = m.zone.subarray(Z_ORDERS_OF);

  function linkHead(zone: number, row: number, order: number, type: number): void {
    const head = ((zone * TYPE_COUNT + type) * ORDERS + order) | 0;
    const first = next[head];
    next[row] = first;
    prev[row] = head;
    prev[first] = row;
    next[head] = row;
    state[row] = FREE | order;
    blocks[(zone * ZONE_WORDS + order) | 0]++;
    ordersOf[(zone * ZONE_WORDS + type) | 0] |= 1 << order;
  }

  function linkTail(zone: number, row: number, order: number, type: number): void {
    const head = ((zone * TYPE_COUNT + type) * ORDERS + order) | 0;
    const last = prev[head];
    next[row] = head;
    prev[row] = last;
    next[last] = row;
    prev[head] = row;
    state[row] = FREE | order;
    blocks[(zone * ZONE_WORDS + order) | 0]++;
    ordersOf[(zone * ZONE_WORDS + type) | 0] |= 1 << order;
  }

  function unlink(zone: number, row: number, order: number): void {
    const before = prev[row];
    const after = next[row];
    next[before] = after;
    prev[after] = before;
    state[row] = 0;
    blocks[(zone * ZONE_WORDS + order) | 0]--;
    if (before === after && before < firstRow) {
      const type = (before >> 4) - zone * TYPE_COUNT;
      ordersOf[(zone * ZONE_WORDS + type) | 0] &= ~(1 << order);
    }
  }

  return { linkHead, linkTail, unlink };
}

type Take = Pick<Buddy, "takeSmallest" | "takeHead" | "giveHalves">;

function bindTake(m: Unbound, { linkHead }: Links): Take {
  const { next, prev, state } = m;
  const blocks = m.zone.subarray(Z_BLOCKS);
  const ordersOf = m.zone.subarray(Z_ORDERS_OF);

  function takeSmallest(zone: number, order: number, type: number): number {
    const fits = ordersOf[(zone * ZONE_WORDS + type) | 0] & (-1 << order);
    if (fits === 0) return -1;
    const from = 31 - Math.clz32(fits & -fits);
    const row = takeHead(zone, from, type);
    if (from > order) giveHalves(zone, row, from, order, type);
    m.events?.refill(zone, row, order, type);
    return row;
  }

  function giveHalves(zone: number, row: number, from: number, order: number, type: number): void {
    for (let half = from - 1; half >= order; half--) linkHead(zone, row + (1 << half), half, type);
  }

  function takeHead(zone: number, order: number, type: number): number {
    const head = ((zone * TYPE_COUNT + type) * ORDERS + order) | 0;
    const row = next[head];
    if ((state[row] & KIND_MASK) === EXTENT) return carve(m, zone, head, row, type);
    const second = next[row];
    next[head] = second;
    prev[second] = head;
    state[row] = 0;
    blocks[(zone * ZONE_WORDS + order) | 0]--;
    if (second === head) ordersOf[(zone * ZONE_WORDS + type) | 0] &= ~(1 << order);
    return row;
  }

  return { takeSmallest, takeHead, giveHalves };
}

function bindGive(m: Unbound, { linkHead, linkTail, unlink }: Links): Buddy["giveBlock"] {
  const { state, zone: words, maxOrder, pageblockOrder } = m;
  const { tailWhenMergeLikely } = m.rule;

  /** Whether the parent's buddy is free: then this block had better wait. Linux: buddy_merge_likely() */
  function mergeLikely(row: number, order: number, first: number, end: number): boolean {
    if (order >= maxOrder - 1) return false;
    const above = (row & ~(1 << order)) ^ (1 << (order + 1));
    return state[above] === (FREE | (order + 1)) && above >= first && above < end;
  }

  return (zone: number, given: number, givenOrder: number, type: number, toTail: boolean): void => {
    const first = words[zone * ZONE_WORDS + Z_ROW];
    const end = words[zone * ZONE_WORDS + Z_ROW_END];
    let row = given;
    let order = givenOrder;
    while (order < maxOrder) {
      const buddy = row ^ (1 << order);
      if (state[buddy] !== (FREE | order) || buddy < first || buddy >= end) break;
      if (order >= pageblockOrder && !mayMerge(m, buddy, order, type)) break;
      unlink(zone, buddy, order);
      row &= buddy;
      order++;
    }
    if (toTail || (tailWhenMergeLikely && mergeLikely(row, order, first, end)))
      linkTail(zone, row, order, type);
    else linkHead(zone, row, order, type);
  };
}

/**
 * Takes the smallest block of `type` that is at least `order`, from its list's
 * head; gives the upper halves back. Returns its row, or -1.
 *
 * Linux: __rmqueue_smallest(), mm/page_alloc.c
 */
export function takeSmallest(m: Memory, zone: number, order: number, type: number): number {
  return m.buddy.takeSmallest(zone, order, type);
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
  m.buddy.giveHalves(zone, row, from, order, type);
}

/** Takes the first block off a list that is not empty. */
export function takeHead(m: Memory, zone: number, order: number, type: number): number {
  return m.buddy.takeHead(zone, order, type);
}

/**
 * Takes the first block of an extent: the rest of the extent takes its place in
 * the list. Only here does untouched memory become touched.
 */
function carve(m: Unbound, zone: number, head: number, row: number, type: number): number {
  const { next, prev, state, maxOrder } = m;
  const words = zone * ZONE_WORDS;
  const end = next[row + 1];
  const rest = row + (1 << maxOrder);
  const before = prev[row];
  let after = next[row];
  state[row] = 0;
  m.zone[words + Z_BLOCKS + maxOrder]--;
  if (rest < end) {
    m.touched[rest >> m.sectionShift] = 1;
    next[rest] = after;
    prev[rest] = before;
    next[rest + 1] = end;
    state[rest] = EXTENT | maxOrder;
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

/** Pageblocks of different types meet: only the first three types merge. */
function mayMerge(m: Unbound, buddy: number, order: number, type: number): boolean {
  const block = buddy >> m.pageblockOrder;
  const other = m.blockType[block];
  if (other === type) return true;
  if (other >= PCP_TYPES || type >= PCP_TYPES) return false;
  if (m.rule.mergeRetypes) {
    m.blockType.fill(type, block, block + (1 << (order - m.pageblockOrder)));
  }
  return true;
}

export function linkHead(m: Memory, zone: number, row: number, order: number, type: number): void {
  m.buddy.linkHead(zone, row, order, type);
}

export function linkTail(m: Memory, zone: number, row: number, order: number, type: number): void {
  m.buddy.linkTail(zone, row, order, type);
}

/**
 * Takes a FREE block off whichever list it is on. The list may be of another
 * type than its pageblock: its head, when the list runs empty, tells which.
 */
export function unlink(m: Memory, zone: number, row: number, order: number): void {
  m.buddy.unlink(zone, row, order);
}

/** Moves a FREE block to another type's list. Linux: move_to_free_list() */
export function moveToList(
  m: Memory,
  zone: number,
  row: number,
  order: number,
  type: number,
): void {
  unlink(m, zone, row, order);
  if (m.rule.movesToTail) linkTail(m, zone, row, order, type);
  else linkHead(m, zone, row, order, type);
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
  row: number,
  order: number,
  type: number,
  toTail: boolean,
): void {
  m.buddy.giveBlock(zone, row, order, type, toTail);
}
