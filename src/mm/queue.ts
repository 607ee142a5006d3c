/**
 * A zone's own way to a block, without per-CPU lists: the smallest of the own
 * type, else a fallback by the era's rule. And the count of free pages, which
 * every CPU keeps back a little of.
 *
 *   C1  Z_FREE plus the P_DRIFT of all CPUs is the number of pages on the zone's free lists, those of
 *       isolated blocks aside
 *   C2  Z_FREE_CMA plus the P_DRIFT_CMA of all CPUs is the number of those on the CMA lists
 *
 * Linux: __rmqueue(), rmqueue_buddy(), __mod_zone_page_state(), mm/page_alloc.c and mm/vmstat.c
 */
import { giveBlock, takeSmallest } from "./buddy.ts";
import { claimFallback, stealFallback, stealOne, takeFallback } from "./fallback.ts";
import { ALLOC_CMA, ALLOC_KSWAPD, ALLOC_NOFRAGMENT } from "./gfp-alloc.ts";
import { lockZone, unlockZone } from "./lock.ts";
import {
  type Memory,
  P_DRIFT,
  P_DRIFT_CMA,
  PCP_WORDS,
  Z_ALL_UNRECLAIMABLE,
  Z_FREE,
  Z_FREE_CMA,
  Z_PAGES_SCANNED,
  Z_THRESHOLD,
  ZONE_WORDS,
} from "./memory.ts";
import { CMA, ISOLATE } from "./rule.ts";

/**
 * Takes a block of `type` from the zone, or from another type where it has
 * none. A request that may have CMA pages gets them before types mix, and first
 * of all when they are more than half of what is free. Returns its row, or -1.
 * Does not count it out of Z_FREE.
 */
export function takeFromZone(
  m: Memory,
  zone: number,
  order: number,
  type: number,
  allocFlags: number,
): number {
  let row = takeMostlyCma(m, zone, order, allocFlags);
  if (row >= 0) return row;
  row = takeSmallest(m, zone, order, type);
  if (row < 0 && m.cma && (allocFlags & ALLOC_CMA) !== 0) row = takeSmallest(m, zone, order, CMA);
  if (row >= 0 || m.rule.fallback === "none") return row;
  if (m.rule.fallback === "direct") return takeFallback(m, zone, order, type);
  const whole = (allocFlags & ALLOC_NOFRAGMENT) !== 0;
  const minOrder = whole && order < m.pageblockOrder ? m.pageblockOrder : order;
  const mayBoost = (allocFlags & ALLOC_KSWAPD) !== 0;
  if (m.rule.fallback === "steal") {
    if (!stealFallback(m, zone, order, type, minOrder, mayBoost)) return -1;
    return takeSmallest(m, zone, order, type);
  }
  const claimed = claimFallback(m, zone, order, type, minOrder, mayBoost);
  if (claimed >= 0 || whole) return claimed;
  return stealOne(m, zone, order, type);
}

/**
 * A CMA block for a request that may have one, while CMA's are more than half of the zone's free
 * pages; -1 else. Linux: __rmqueue(), mm/page_alloc.c
 */
export function takeMostlyCma(m: Memory, zone: number, order: number, allocFlags: number): number {
  if (!m.cma || (allocFlags & ALLOC_CMA) === 0 || !m.rule.mostlyCmaFirst) return -1;
  const words = zone * ZONE_WORDS;
  if (m.zone[words + Z_FREE_CMA] <= m.zone[words + Z_FREE] >> 1) return -1;
  return takeSmallest(m, zone, order, CMA);
}

/**
 * Counts pages of the block at `row` as free by its pageblock's type, or as no longer free when
 * negative: isolated ones never, CMA's twice. Linux: account_freepages(), mm/page_alloc.c
 */
export function countPages(m: Memory, zone: number, row: number, pages: number): void {
  const type = m.blockType[row >> m.pageblockOrder];
  if (type === ISOLATE) return;
  countFree(m, zone, pages);
  if (type === CMA && m.cma) countCma(m, zone, pages);
}

/** Pages came back to a zone: it can be reclaimed after all. Linux: free_pages_bulk(), mm/page_alloc.c of 2.6.11 */
export function noteFreed(m: Memory, zone: number): void {
  const words = zone * ZONE_WORDS;
  m.zone[words + Z_PAGES_SCANNED] = 0;
  m.zone[words + Z_ALL_UNRECLAIMABLE] = 0;
}

/** A block that nobody has any more goes to its zone. Linux: free_one_page(), mm/page_alloc.c */
export function returnToZone(m: Memory, zone: number, row: number, order: number): void {
  m.state[row] = 0;
  if (m.rule.countsScanned) noteFreed(m, zone);
  if (m.rule.mergeRetypes && order > m.pageblockOrder) {
    giveByPageblock(m, zone, row, order);
    return;
  }
  countPages(m, zone, row, 1 << order);
  giveBlock(m, zone, row, order, m.blockType[row >> m.pageblockOrder], false);
}

/**
 * Since 6.10 every pageblock of a large block goes to the list of its own type, counted.
 * Linux: split_large_buddy(), mm/page_alloc.c
 */
export function giveByPageblock(m: Memory, zone: number, row: number, order: number): void {
  const size = 1 << m.pageblockOrder;
  for (let at = row; at < row + (1 << order); at += size) {
    countPages(m, zone, at, size);
    giveBlock(m, zone, at, m.pageblockOrder, m.blockType[at >> m.pageblockOrder], false);
  }
}

/** Adds `pages` to the zone's count, in this CPU's share until that passes the threshold. */
export function countFree(m: Memory, zone: number, pages: number): void {
  count(m, zone, pages, P_DRIFT, Z_FREE);
}

/** The same for free pages of CMA areas. */
export function countCma(m: Memory, zone: number, pages: number): void {
  count(m, zone, pages, P_DRIFT_CMA, Z_FREE_CMA);
}

function count(m: Memory, zone: number, pages: number, drifts: number, sums: number): void {
  const own = (zone * m.cpuCount + m.cpu) * PCP_WORDS + drifts;
  const words = zone * ZONE_WORDS;
  const drift = m.pcp[own] + pages;
  const threshold = m.zone[words + Z_THRESHOLD];
  if (drift > threshold || -drift > threshold) {
    m.zone[words + sums] += drift;
    m.pcp[own] = 0;
  } else m.pcp[own] = drift;
}

/** Adds what every CPU kept back. Linux: refresh_cpu_vm_stats() */
export function foldCounts(m: Memory): void {
  for (let zone = 0; zone < m.zoneCount; zone++) {
    lockZone(m, zone);
    for (let cpu = 0; cpu < m.cpuCount; cpu++) {
      const own = (zone * m.cpuCount + cpu) * PCP_WORDS;
      m.zone[zone * ZONE_WORDS + Z_FREE] += m.pcp[own + P_DRIFT];
      m.zone[zone * ZONE_WORDS + Z_FREE_CMA] += m.pcp[own + P_DRIFT_CMA];
      m.pcp[own + P_DRIFT] = 0;
      m.pcp[own + P_DRIFT_CMA] = 0;
    }
    unlockZone(m, zone);
  }
}
