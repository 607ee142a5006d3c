/**
 * Per-CPU page lists: a CPU's own stock of small blocks and huge pages of each
 * zone, so that most requests never reach the buddy.
 *
 * The life of a page in a list:
 *   1. a refill takes `batch` blocks from the zone and queues them at the tail
 *   2. an allocation takes the head; a free puts the page back at the head
 *   3. when the count reaches `high`, the oldest go back to the zone, list by list
 *
 *   P1  P_COUNT is the number of pages on the pageset's lists
 *   P2  a row on such a list is PCP, with the type it was freed with
 *
 * Linux: struct per_cpu_pages; rmqueue_pcplist(), free_unref_page_commit(),
 * free_pcppages_bulk(), mm/page_alloc.c
 */

import { drainFrom, drainRoundRobin } from "./drain.ts";
import { serve } from "./drain-all.ts";
import { stealOne } from "./fallback.ts";
import { lockZone, unlockZone } from "./lock.ts";
import {
  COSTLY_ORDER,
  type Memory,
  P_BATCH,
  P_COUNT,
  P_FACTOR,
  P_FREE_COUNT,
  P_FREED_HIGH_ORDER,
  P_HIGH,
  P_HIGH_MAX,
  P_HIGH_MIN,
  P_KEEPS_SMALL,
  PCP,
  PCP_LISTS,
  PCP_WORDS,
  Z_FLAGS,
  ZONE_BELOW_HIGH,
  ZONE_RECLAIM_ACTIVE,
  ZONE_WORDS,
} from "./memory.ts";
import { countCma, countFree, takeFromZone, takeMostlyCma } from "./queue.ts";
import { CMA, MOVABLE, PCP_TYPES } from "./rule.ts";
import { SCALE_MAX } from "./words.ts";

/**
 * Takes a block from this CPU's list, refilling it first when it is empty.
 * Returns its row, or -1. Linux: rmqueue_pcplist(), mm/page_alloc.c
 */
export function takeFromPcp(
  m: Memory,
  zone: number,
  order: number,
  type: number,
  allocFlags: number,
): number {
  m.pcp[(zone * m.cpuCount + m.cpu) * PCP_WORDS + m.pcpHalved] >>= 1;
  return popFromPcp(m, zone, order, type, allocFlags);
}

/** The same for one page of many, which a pageset does not count as a request. Linux: __rmqueue_pcplist() */
export function popFromPcp(
  m: Memory,
  zone: number,
  order: number,
  type: number,
  allocFlags: number,
): number {
  const { next, prev, pcp } = m;
  const set = zone * m.cpuCount + m.cpu;
  const words = set * PCP_WORDS;
  const head = m.pcpHeads + set * PCP_LISTS + m.pcpListOf[order * 8 + type];
  let row = next[head];
  if (row === head) {
    if (m.cpus !== null) serve(m, m.cpus);
    lockZone(m, zone);
    refill(m, zone, words, head, order, type, allocFlags);
    unlockZone(m, zone);
    row = next[head];
    if (row === head) return -1;
  }
  const second = next[row];
  next[head] = second;
  prev[second] = head;
  pcp[words + P_COUNT] -= 1 << order;
  return row;
}

/** Queues a batch of blocks at the list's tail. Linux: rmqueue_bulk() */
function refill(
  m: Memory,
  zone: number,
  words: number,
  head: number,
  order: number,
  type: number,
  allocFlags: number,
): void {
  const { next, prev, state } = m;
  const wanted = refillCount(m, zone, words, order);
  const each = m.rule.refillCountsEach;
  const lent = m.cma && type === MOVABLE;
  let taken = 0;
  let stolen = false;
  while (taken < wanted) {
    let row = takeMostlyCma(m, zone, order, allocFlags);
    if (row < 0) {
      row = stolen
        ? stealOne(m, zone, order, type)
        : takeFromZone(m, zone, order, type, allocFlags);
      stolen = wasStolen(m, row, type);
    }
    if (row < 0) break;
    const last = prev[head];
    next[row] = head;
    prev[row] = last;
    next[last] = row;
    prev[head] = row;
    if (m.cpus !== null) m.owner[row] = ((m.cpu + 1) << 8) | order;
    state[row] = PCP | type;
    taken++;
    if (each) countFree(m, zone, -(1 << order));
    if (lent && m.blockType[row >> m.pageblockOrder] === CMA) {
      state[row] = PCP | CMA;
      countCma(m, zone, -(1 << order));
    }
  }
  m.pcp[words + P_COUNT] += taken << order;
  if (!each) countFree(m, zone, -(taken << order));
}

/**
 * Whether a block was taken from a pageblock that could not be claimed (6.15): a refill then goes on
 * stealing, and does not look for one to claim again. Linux: enum rmqueue_mode, mm/page_alloc.c
 */
function wasStolen(m: Memory, row: number, type: number): boolean {
  const owner = m.blockType[row >> m.pageblockOrder];
  return m.rule.fallback === "claim" && owner !== type && owner < PCP_TYPES;
}

/** Blocks that a refill asks for. Linux: rmqueue_pcplist(); 6.7: nr_pcp_alloc() */
function refillCount(m: Memory, zone: number, words: number, order: number): number {
  const { pcp } = m;
  let batch = pcp[words + P_BATCH];
  if (m.rule.pcp === "tuned") {
    const base = batch;
    if (clampHigh(m, words) < base) return 1;
    const factor = pcp[words + P_FACTOR];
    const grown = grownHigh(m, zone, words, order === 0 ? base << factor : base);
    pcp[words + P_HIGH] = grown;
    if (order === 0) {
      const most = Math.max(grown - pcp[words + P_COUNT] - base, base);
      batch = base << factor;
      if (batch <= most && factor < SCALE_MAX) pcp[words + P_FACTOR] = factor + 1;
      batch = Math.min(batch, most);
    }
  }
  return batch > 1 ? Math.max(batch >> order, 2) : batch;
}

/** `high` after a refill of a tuned pageset that asked for `by` pages at first. */
function grownHigh(m: Memory, zone: number, words: number, by: number): number {
  const { pcp } = m;
  const high = clampHigh(m, words);
  const fixed = pcp[words + P_HIGH_MIN] === pcp[words + P_HIGH_MAX];
  if (fixed || (m.zone[zone * ZONE_WORDS + Z_FLAGS] & ZONE_BELOW_HIGH) !== 0) return high;
  return Math.min(high + by, pcp[words + P_HIGH_MAX]);
}

/** Single pages that would refill this CPU's tuned pageset, had it this alloc_factor. */
export function refillOfFactor(m: Memory, zone: number, factor: number): number {
  const words = (zone * m.cpuCount + m.cpu) * PCP_WORDS;
  const base = m.pcp[words + P_BATCH];
  if (clampHigh(m, words) < base) return 1;
  const room = grownHigh(m, zone, words, base << factor) - m.pcp[words + P_COUNT] - base;
  return Math.min(base << factor, Math.max(room, base));
}

function clampHigh(m: Memory, words: number): number {
  const { pcp } = m;
  const high = Math.max(
    pcp[words + P_HIGH_MIN],
    Math.min(pcp[words + P_HIGH_MAX], pcp[words + P_HIGH]),
  );
  pcp[words + P_HIGH] = high;
  return high;
}

/**
 * Puts a block on this CPU's list, at its head, and gives the oldest back to
 * the zone when there are too many. `type` is the pageblock's.
 *
 * Linux: free_unref_page_commit(), mm/page_alloc.c
 */
export function giveToPcp(
  m: Memory,
  zone: number,
  row: number,
  order: number,
  type: number,
  list: number,
): void {
  const { next, pcp } = m;
  const set = zone * m.cpuCount + m.cpu;
  const words = set * PCP_WORDS;
  const head = m.pcpHeads + set * PCP_LISTS + list;
  const first = next[head];
  next[row] = first;
  m.prev[row] = head;
  m.prev[first] = row;
  next[head] = row;
  if (m.cpus !== null) m.owner[row] = ((m.cpu + 1) << 8) | order;
  m.state[row] = PCP | type;
  pcp[words + P_COUNT] += 1 << order;
  relieve(m, zone, order, list);
}

/** After a free of `order` to `list`: where there are too many now, the oldest go, by the era's rule. */
export function relieve(m: Memory, zone: number, order: number, list: number): void {
  const { pcp, rule } = m;
  if (m.cpus !== null) serve(m, m.cpus);
  const words = (zone * m.cpuCount + m.cpu) * PCP_WORDS;
  if (rule.pcp === "tuned") {
    giveTuned(m, zone, words, order, list);
    return;
  }
  const count = pcp[words + P_COUNT];
  const highOrder = rule.pcpFlushes && order > 0 && order <= COSTLY_ORDER;
  const everything = highOrder && pcp[words + P_FACTOR] > 0;
  const high = everything ? 0 : highNow(m, zone, words);
  if (count < high) return;
  let pages = count;
  if (rule.pcp === "batch") pages = pcp[words + P_BATCH];
  else if (!everything) pages = freeCount(m, words, high);
  if (rule.drainTurns > 0) drainRoundRobin(m, zone, m.cpu, pages);
  else drainFrom(m, zone, m.cpu, pages, list);
}

/** Where this CPU's list is full now: lower while the zone is being reclaimed (5.14). Linux: nr_pcp_high() */
function highNow(m: Memory, zone: number, words: number): number {
  const high = m.pcp[words + P_HIGH];
  if (m.rule.pcp === "batch") return high;
  if ((m.zone[zone * ZONE_WORDS + Z_FLAGS] & ZONE_RECLAIM_ACTIVE) === 0) return high;
  return Math.min(m.pcp[words + P_BATCH] << 2, high);
}

/** How many pages go back: twice as many each time, while nothing is allocated. Linux: nr_pcp_free() */
function freeCount(m: Memory, words: number, high: number): number {
  const { pcp } = m;
  const batch = pcp[words + P_BATCH];
  if (high < batch) return 1;
  const most = high - batch;
  const factor = pcp[words + P_FACTOR];
  const scaled = batch << factor;
  if (scaled < most && factor < m.rule.pcpScaleMax) pcp[words + P_FACTOR] = factor + 1;
  return Math.max(batch, Math.min(scaled, most));
}

/** The free path of tuned pagesets (6.7). Linux: free_unref_page_commit(), nr_pcp_high() */
function giveTuned(m: Memory, zone: number, words: number, order: number, list: number): void {
  const { pcp } = m;
  const batch = pcp[words + P_BATCH];
  const highOrder = order > 0 && order <= COSTLY_ORDER;
  const inRow = highOrder && pcp[words + P_FREED_HIGH_ORDER] !== 0;
  const enough = pcp[words + P_KEEPS_SMALL] === 0 || pcp[words + P_COUNT] >= batch;
  const everything = inRow && enough && pcp[words + P_FREE_COUNT] >= batch;
  pcp[words + P_FREED_HIGH_ORDER] = highOrder ? 1 : 0;
  pcp[words + P_FACTOR] >>= 1;
  if (pcp[words + P_FREE_COUNT] < batch << SCALE_MAX) pcp[words + P_FREE_COUNT] += 1 << order;
  const high = clampHigh(m, words);
  if (everything && high > 0) {
    const least = pcp[words + P_HIGH_MIN];
    pcp[words + P_HIGH] = Math.max(high - (batch << SCALE_MAX), least);
    drainFrom(m, zone, m.cpu, Math.min(pcp[words + P_COUNT], batch << SCALE_MAX), list);
    return;
  }
  giveBeyondHigh(m, zone, words, list);
}

/** Linux: nr_pcp_high(), nr_pcp_free(), mm/page_alloc.c */
function giveBeyondHigh(m: Memory, zone: number, words: number, list: number): void {
  const { pcp } = m;
  const batch = pcp[words + P_BATCH];
  const flags = m.zone[zone * ZONE_WORDS + Z_FLAGS];
  const count = pcp[words + P_COUNT];
  const min = pcp[words + P_HIGH_MIN];
  const max = pcp[words + P_HIGH_MAX];
  let high = pcp[words + P_HIGH];
  const freed = Math.max(pcp[words + P_FREE_COUNT], batch);
  if (high > 0 && (flags & ZONE_RECLAIM_ACTIVE) !== 0) {
    pcp[words + P_HIGH] = Math.max(high - freed, min);
    high = Math.min(batch << 2, pcp[words + P_HIGH]);
  } else if (high > 0 && min !== max) {
    if ((flags & ZONE_BELOW_HIGH) !== 0) {
      pcp[words + P_HIGH] = Math.max(high - freed, min);
      high = Math.max(count, min);
    } else if (count >= high) {
      const needed = pcp[words + P_FREE_COUNT] + batch;
      if (high < needed) pcp[words + P_HIGH] = Math.max(min, Math.min(max, needed));
    }
  }
  if (count >= high) drainFrom(m, zone, m.cpu, tunedFreeCount(m, words, high), list);
}

/** How many pages go back from a tuned pageset that is full at `high`. Linux: nr_pcp_free() */
function tunedFreeCount(m: Memory, words: number, high: number): number {
  const batch = m.pcp[words + P_BATCH];
  if (high < batch) return 1;
  return Math.min(Math.max(m.pcp[words + P_FREE_COUNT], batch), Math.max(high - batch, batch));
}

/**
 * This CPU's tuned pageset turned out to be full with what it holds: `high` was lowered meanwhile.
 * Gives back what that free to `list` then gave back, if that is `pages`. Returns whether it is.
 */
export function relieveFull(m: Memory, zone: number, list: number, pages: number): boolean {
  const words = (zone * m.cpuCount + m.cpu) * PCP_WORDS;
  const count = m.pcp[words + P_COUNT];
  const lowered = count < m.pcp[words + P_HIGH] && count >= m.pcp[words + P_HIGH_MIN];
  if (!lowered || tunedFreeCount(m, words, count) !== pages) return false;
  m.pcp[words + P_HIGH] = count;
  giveBeyondHigh(m, zone, words, list);
  return true;
}
