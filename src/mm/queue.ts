/**
 * A zone's own way to a block, without per-CPU lists: the smallest of the own
 * type, else a fallback by the era's rule. And the count of free pages, which
 * every CPU keeps back a little of.
 *
 *   C1  Z_FREE plus the P_DRIFT of all CPUs is the number of pages on the zone's free lists
 *
 * Linux: __rmqueue(), rmqueue_buddy(), __mod_zone_page_state(), mm/page_alloc.c and mm/vmstat.c
 */
import { takeSmallest } from "./buddy.ts";
import { claimFallback, stealFallback, stealOne } from "./fallback.ts";
import { ALLOC_KSWAPD, ALLOC_NOFRAGMENT } from "./gfp-alloc.ts";
import { type Memory, P_DRIFT, PCP_WORDS, Z_FREE, Z_THRESHOLD, ZONE_WORDS } from "./memory.ts";

/**
 * Takes a block of `type` from the zone, or from another type where it has
 * none. Returns its row, or -1. Does not count it out of Z_FREE.
 */
export function takeFromZone(
  m: Memory,
  zone: number,
  order: number,
  type: number,
  allocFlags: number,
): number {
  const row = takeSmallest(m, zone, order, type);
  if (row >= 0 || m.rule.fallback === "none") return row;
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

/** Adds `pages` to the zone's count, in this CPU's share until that passes the threshold. */
export function countFree(m: Memory, zone: number, pages: number): void {
  const own = (zone * m.cpuCount + m.cpu) * PCP_WORDS + P_DRIFT;
  const words = zone * ZONE_WORDS;
  const drift = m.pcp[own] + pages;
  const threshold = m.zone[words + Z_THRESHOLD];
  if (drift > threshold || -drift > threshold) {
    m.zone[words + Z_FREE] += drift;
    m.pcp[own] = 0;
  } else m.pcp[own] = drift;
}

/** Adds what every CPU kept back. Linux: refresh_cpu_vm_stats() */
export function foldCounts(m: Memory): void {
  for (let zone = 0; zone < m.zoneCount; zone++) {
    for (let cpu = 0; cpu < m.cpuCount; cpu++) {
      const own = (zone * m.cpuCount + cpu) * PCP_WORDS + P_DRIFT;
      m.zone[zone * ZONE_WORDS + Z_FREE] += m.pcp[own];
      m.pcp[own] = 0;
    }
  }
}
