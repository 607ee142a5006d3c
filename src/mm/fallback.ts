/**
 * When a mobility type has no block left: taking from another one.
 *
 *   "direct" (2.6.24 to 4.12) the largest block of another type is taken itself; a large one brings
 *                             the free pages of its pageblock, and the pageblock if half is free
 *   "steal" (4.13 to 6.9)     the largest block of another type moves over, and with it the free
 *                             pages of its pageblock; the pageblock follows when half of it agrees
 *   "claim" (6.15, and the late stable kernels before it)   a whole pageblock is claimed if half
 *                             agrees, and only otherwise a single block is stolen, smallest first
 *
 * Linux: __rmqueue_fallback(), steal_suitable_fallback(), can_steal_fallback(), mm/page_alloc.c;
 * 6.15: __rmqueue_claim(), try_to_claim_block(), __rmqueue_steal()
 */
import { giveHalves, linkHead, moveToList, takeHead, takeSmallest, unlink } from "./buddy.ts";
import {
  FREE,
  freeHead,
  KIND_MASK,
  type Memory,
  MOBILE,
  ORDER_MASK,
  pfnOf,
  TAKEN,
  Z_BOOST,
  Z_FLAGS,
  Z_HIGH,
  Z_MANAGED,
  Z_ORDERS_OF,
  Z_SPANNED,
  ZONE_BOOSTED,
  ZONE_WORDS,
} from "./memory.ts";
import { HIGHATOMIC, MOVABLE, RECLAIMABLE, UNMOVABLE } from "./rule.ts";

/**
 * Whom each of the first three types takes from, first choice first: two entries a type. No request
 * is of another.
 */
const FALLBACKS = new Uint8Array([
  RECLAIMABLE,
  MOVABLE, // Unmovable
  RECLAIMABLE,
  UNMOVABLE, // Movable
  UNMOVABLE,
  MOVABLE, // Reclaimable
]);

/**
 * Moves blocks of another type to `type`'s lists, so that `takeSmallest` finds
 * one. Returns whether it did. `minOrder` keeps smaller blocks from being taken
 * (ALLOC_NOFRAGMENT).
 */
export function stealFallback(
  m: Memory,
  zone: number,
  order: number,
  type: number,
  minOrder: number,
  mayBoost: boolean,
): boolean {
  for (let from = m.maxOrder; from >= minOrder; from--) {
    const other = findFallback(m, zone, from, type);
    if (other < 0) continue;
    if (!canSteal(m, from, type) && type === MOVABLE && from > order) {
      return stealSmallest(m, zone, order, type, mayBoost);
    }
    steal(m, zone, from, other, type, canSteal(m, from, type), mayBoost);
    return true;
  }
  return false;
}

/** A small movable request takes the smallest block there is: it must not break up a large one. */
function stealSmallest(
  m: Memory,
  zone: number,
  order: number,
  type: number,
  mayBoost: boolean,
): boolean {
  for (let from = order; from <= m.maxOrder; from++) {
    const other = findFallback(m, zone, from, type);
    if (other < 0) continue;
    steal(m, zone, from, other, type, canSteal(m, from, type), mayBoost);
    return true;
  }
  return false;
}

/** First type to take a block of `order` from, -1 for none. Linux: find_suitable_fallback() */
function findFallback(m: Memory, zone: number, order: number, type: number): number {
  const lists = zone * ZONE_WORDS + Z_ORDERS_OF;
  const bit = 1 << order;
  const first = FALLBACKS[type * 2];
  if ((m.zone[lists + first] & bit) !== 0) return first;
  const second = FALLBACKS[type * 2 + 1];
  return (m.zone[lists + second] & bit) !== 0 ? second : -1;
}

/** Whether the whole pageblock may change hands. Linux: can_steal_fallback() */
export function canSteal(m: Memory, order: number, type: number): boolean {
  if (order >= m.pageblockOrder >> 1 || type === RECLAIMABLE) return true;
  return type === UNMOVABLE && m.rule.wholeFor === "kernel";
}

/**
 * Up to 4.12: takes the first block that a search from the largest order down finds on another
 * type's list, with the free pages of its pageblock or without. Returns its row, or -1.
 *
 * Linux: __rmqueue_fallback(), mm/page_alloc.c of 2.6.39
 */
export function takeFallback(m: Memory, zone: number, order: number, type: number): number {
  for (let from = m.maxOrder; from >= order; from--) {
    const other = findFallback(m, zone, from, type);
    if (other < 0) continue;
    const row = ownHead(m, zone, from, other);
    const block = row >> m.pageblockOrder;
    const whole = canSteal(m, from, type);
    if (from >= m.pageblockOrder) {
      m.blockType.fill(type, block, block + (1 << (from - m.pageblockOrder)));
    } else if (whole) {
      const start = movableFrom(m, zone, row);
      const moved = start < 0 ? 0 : moveFree(m, zone, start, type);
      if (moved >= 1 << (m.pageblockOrder - 1)) m.blockType[block] = type;
    }
    unlink(m, zone, row, from);
    giveHalves(m, zone, row, from, order, whole || !m.rule.restKeepsType ? type : other);
    m.events?.extfrag(zone, row, from, other, type);
    m.events?.refill(zone, row, order, type);
    return row;
  }
  return -1;
}

/** Linux: steal_suitable_fallback(), mm/page_alloc.c */
function steal(
  m: Memory,
  zone: number,
  order: number,
  from: number,
  type: number,
  wholeBlock: boolean,
  mayBoost: boolean,
): void {
  const row = ownHead(m, zone, order, from);
  m.events?.extfrag(zone, row, order, from, type);
  const block = row >> m.pageblockOrder;
  const owner = m.blockType[block];
  if (owner !== HIGHATOMIC) {
    if (order >= m.pageblockOrder) {
      m.blockType.fill(type, block, block + (1 << (order - m.pageblockOrder)));
    } else {
      if (boost(m, zone) && mayBoost) m.zone[zone * ZONE_WORDS + Z_FLAGS] |= ZONE_BOOSTED;
      if (wholeBlock && moveBlock(m, zone, row, owner, type)) return;
    }
  }
  moveToList(m, zone, row, order, type);
}

/** The first block of a list, as a block of its own: an extent gives up its first. */
function ownHead(m: Memory, zone: number, order: number, type: number): number {
  const head = freeHead(zone, type, order);
  const row = m.next[head];
  if ((m.state[row] & KIND_MASK) === FREE) return row;
  takeHead(m, zone, order, type);
  linkHead(m, zone, row, order, type);
  return row;
}

/** What `countBlock` found in a pageblock, pages. */
let freePages = 0;
let mobilePages = 0;

/**
 * Moves every free block of a pageblock to `type`, and the pageblock too when
 * at least half of it is free or alike. Returns false, with nothing moved, for
 * a pageblock that a zone boundary cuts.
 *
 * Linux: move_freepages_block() and the end of steal_suitable_fallback()
 */
function moveBlock(m: Memory, zone: number, row: number, owner: number, type: number): boolean {
  const start = movableFrom(m, zone, row);
  if (start < 0) return false;
  countBlock(m, start);
  moveFree(m, zone, start, type);
  if (freePages + alikePages(m, owner, type) >= 1 << (m.pageblockOrder - 1)) {
    m.blockType[row >> m.pageblockOrder] = type;
  }
  return true;
}

/**
 * First row of a pageblock's part that may be moved together with the free block at `row`. Where
 * the zone begins inside the pageblock: the block and what follows it, or nothing since 6.10.
 * Where the zone ends inside: nothing, which is -1.
 *
 * Linux: move_freepages_block(), prep_move_freepages_block(), mm/page_alloc.c
 */
export function movableFrom(m: Memory, zone: number, row: number): number {
  const size = 1 << m.pageblockOrder;
  const start = row & ~(size - 1);
  const pfn = pfnOf(m, start);
  const first = m.zoneStart[zone];
  if (pfn + size > first + m.zone[zone * ZONE_WORDS + Z_SPANNED]) return -1;
  if (pfn >= first) return start;
  return m.rule.mergeRetypes ? -1 : row;
}

/** Pages of the block that are not free but of the kind that `type` wants. */
function alikePages(m: Memory, owner: number, type: number): number {
  if (type === MOVABLE) return mobilePages;
  return owner === MOVABLE ? (1 << m.pageblockOrder) - (freePages + mobilePages) : 0;
}

/** From `start` to the end of its pageblock. */
function countBlock(m: Memory, start: number): void {
  const { state } = m;
  const end = (start | ((1 << m.pageblockOrder) - 1)) + 1;
  freePages = 0;
  mobilePages = 0;
  for (let row = start; row < end; ) {
    const kind = state[row] & KIND_MASK;
    const pages =
      kind === FREE || kind === TAKEN || kind === MOBILE ? 1 << (state[row] & ORDER_MASK) : 1;
    if (kind === FREE) freePages += pages;
    else if (kind === MOBILE) mobilePages += pages;
    row += pages;
  }
}

/** Moves every free block from `start` to its pageblock's end to the tails of `type`'s lists, upward. */
export function moveFree(m: Memory, zone: number, start: number, type: number): number {
  const { state } = m;
  const end = (start | ((1 << m.pageblockOrder) - 1)) + 1;
  let moved = 0;
  for (let row = start; row < end; ) {
    if ((state[row] & KIND_MASK) !== FREE) {
      row++;
      continue;
    }
    const order = state[row] & ORDER_MASK;
    moveToList(m, zone, row, order, type);
    moved += 1 << order;
    row += 1 << order;
  }
  return moved;
}

/**
 * Raises the zone's marks for a while, so that kswapd makes room: fragmenting
 * is paid for by reclaim. Linux: boost_watermark(), mm/page_alloc.c
 */
function boost(m: Memory, zone: number): boolean {
  const factor = m.rule.boostFactor;
  const words = zone * ZONE_WORDS;
  const block = 1 << m.pageblockOrder;
  if (factor === 0 || block * 4 > m.zone[words + Z_MANAGED]) return false;
  const share = Math.floor((m.zone[words + Z_HIGH] * factor) / 10000);
  if (share === 0) return false;
  const most = Math.max(block, share);
  m.zone[words + Z_BOOST] = Math.min(m.zone[words + Z_BOOST] + block, most);
  return true;
}

/**
 * Claims a pageblock of another type whole, largest first, and takes the block
 * from it. Returns its row, or -1 when none agrees.
 *
 * Linux: __rmqueue_claim(), try_to_claim_block(), mm/page_alloc.c (6.15)
 */
export function claimFallback(
  m: Memory,
  zone: number,
  order: number,
  type: number,
  minOrder: number,
  mayBoost: boolean,
): number {
  for (let from = m.maxOrder; from >= minOrder; from--) {
    const other = findFallback(m, zone, from, type);
    if (other < 0) continue;
    // Smaller orders are no easier to claim.
    if (!canSteal(m, from, type)) return -1;
    const row = claim(m, zone, from, order, other, type, mayBoost);
    if (row >= 0) return row;
  }
  return -1;
}

function claim(
  m: Memory,
  zone: number,
  from: number,
  order: number,
  other: number,
  type: number,
  mayBoost: boolean,
): number {
  const row = ownHead(m, zone, from, other);
  const block = row >> m.pageblockOrder;
  if (from >= m.pageblockOrder) {
    takeHead(m, zone, from, other);
    m.blockType.fill(type, block, block + (1 << (from - m.pageblockOrder)));
    m.events?.extfrag(zone, row, from, other, type);
    giveHalves(m, zone, row, from, order, type);
    return row;
  }
  if (boost(m, zone) && mayBoost) m.zone[zone * ZONE_WORDS + Z_FLAGS] |= ZONE_BOOSTED;
  const start = movableFrom(m, zone, row);
  if (start < 0) return -1;
  countBlock(m, start);
  if (freePages + alikePages(m, other, type) < 1 << (m.pageblockOrder - 1)) return -1;
  moveFree(m, zone, start, type);
  m.blockType[block] = type;
  const taken = takeSmallest(m, zone, order, type);
  // Told of what was handed out, not of the block that was found.
  m.events?.extfrag(zone, taken, from, other, type);
  return taken;
}

/**
 * Takes one block of another type and leaves the rest of it there, smallest
 * first. Returns its row, or -1. Linux: __rmqueue_steal(), mm/page_alloc.c (6.15)
 */
export function stealOne(m: Memory, zone: number, order: number, type: number): number {
  for (let from = order; from <= m.maxOrder; from++) {
    const other = findFallback(m, zone, from, type);
    if (other < 0) continue;
    const row = takeHead(m, zone, from, other);
    m.events?.extfrag(zone, row, from, other, type);
    giveHalves(m, zone, row, from, order, other);
    return row;
  }
  return -1;
}
