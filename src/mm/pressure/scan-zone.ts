/**
 * Reclaim of a zone, as kernels did it whose zones had one active and one inactive
 * list (up to 2.6.27): the fields of the book's struct zone at work.
 *
 * Linux: shrink_zone(), refill_inactive_zone(), shrink_cache(), mm/vmscan.c of 2.6.11;
 * shrink_active_list(), shrink_inactive_list() of 2.6.18
 */
import {
  DEF_PRIORITY,
  type Memory,
  Z_ACTIVE,
  Z_ALL_UNRECLAIMABLE,
  Z_HIGH,
  Z_INACTIVE,
  Z_PAGES_SCANNED,
  Z_PRESENT,
  Z_PREV_PRIORITY,
  Z_SCAN_ACTIVE,
  Z_SCAN_INACTIVE,
  Z_TEMP_PRIORITY,
  ZONE_WORDS,
} from "../memory.ts";
import { lruHead } from "./lru.ts";
import {
  L_ACTIVE,
  L_INACTIVE,
  type Pages,
  PG_ANON,
  PG_MLOCKED,
  PG_REFERENCED,
  PG_YOUNG,
  R_ANON,
  RECLAIM_WORDS,
} from "./pages.ts";
import { type ScanControl, SWAP_CLUSTER, shrinkActive, shrinkInactive } from "./scan.ts";
import { EVERY_ZONE, hasSwap } from "./scan-counts.ts";

/** The priority that a zone is reclaimed at now; the least one is remembered till the next reclaim. */
export function setPriority({ zone: words }: Memory, zone: number, priority: number): void {
  const at = zone * ZONE_WORDS;
  words[at + Z_TEMP_PRIORITY] = priority;
  words[at + Z_PREV_PRIORITY] = Math.min(words[at + Z_PREV_PRIORITY], priority);
}

/** One look at a zone's lists, at the control's priority; less than a cluster is owed till next time. */
export function shrinkZone(pages: Pages, zone: number, control: ScanControl): void {
  const { m, rule } = pages;
  const at = zone * ZONE_WORDS;
  let active = owed(pages, at + Z_SCAN_ACTIVE, at + Z_ACTIVE, control.priority);
  let inactive = owed(pages, at + Z_SCAN_INACTIVE, at + Z_INACTIVE, control.priority);
  const before = control.reclaimed;
  while (active > 0 || inactive > 0) {
    if (active > 0) {
      const count = Math.min(active, SWAP_CLUSTER);
      active -= count;
      refillInactive(pages, zone, count);
    }
    if (inactive > 0) {
      inactive -= Math.min(inactive, SWAP_CLUSTER);
      // A whole cluster at least, whatever is asked for.
      const head = lruHead(pages, zone, L_INACTIVE);
      const { scanned } = shrinkInactive(pages, head, SWAP_CLUSTER, control);
      // shrink_cache() counted the look that ended its loop.
      m.zone[at + Z_PAGES_SCANNED] += scanned + (rule.passesAddUp ? 0 : 1);
      if (!rule.passesAddUp && control.reclaimed - before >= SWAP_CLUSTER) break;
    }
  }
}

/** What a list owes by now: its share and one, and what was owed before. */
function owed(pages: Pages, debt: number, size: number, priority: number): number {
  const { zone } = pages.m;
  const sum = zone[debt] + (zone[size] >> priority) + 1;
  zone[debt] = sum >= SWAP_CLUSTER ? 0 : sum;
  return sum - zone[debt];
}

/** Active pages to the inactive list; mapped ones only where reclaim is in distress. */
function refillInactive(pages: Pages, zone: number, count: number): void {
  const { flags } = pages;
  const reclaimMapped = swapTendency(pages, zone) >= 100;
  const head = lruHead(pages, zone, L_ACTIVE);
  const { scanned } = shrinkActive(pages, head, count, EVERY_ZONE, (row) => {
    const own = flags[row];
    // Who has locked a page in memory has it mapped.
    if ((own & (PG_ANON | PG_MLOCKED)) === 0) return false;
    if (!reclaimMapped || ((own & PG_ANON) !== 0 && !hasSwap(pages))) return true;
    flags[row] &= ~PG_REFERENCED;
    return (own & (PG_YOUNG | PG_REFERENCED)) !== 0;
  });
  pages.m.zone[zone * ZONE_WORDS + Z_PAGES_SCANNED] += scanned;
}

/** distress + mapped ratio / 2 + swappiness: from 100 on mapped pages are taken too. */
function swapTendency({ m, reclaim, swappiness }: Pages, zone: number): number {
  let mapped = 0;
  let total = 0;
  for (let z = 0; z < m.zoneCount; z++) {
    const at = z * ZONE_WORDS;
    // nr_free_pagecache_pages()
    total += Math.max(m.zone[at + Z_PRESENT] - m.zone[at + Z_HIGH], 0);
    mapped += reclaim[z * RECLAIM_WORDS + R_ANON];
  }
  const distress = 100 >> m.zone[zone * ZONE_WORDS + Z_PREV_PRIORITY];
  const ratio = Math.floor((mapped * 100) / Math.max(total, 1));
  return Math.floor(ratio / 2) + distress + swappiness;
}

/** Whether a zone was scanned four times over and gave nothing; it is then left alone but in emergencies. */
export function noteUnreclaimable({ m, rule }: Pages, zone: number): void {
  const at = zone * ZONE_WORDS;
  const listed = m.zone[at + Z_ACTIVE] + m.zone[at + Z_INACTIVE];
  if (m.zone[at + Z_PAGES_SCANNED] >= listed * rule.scannedTimes) {
    m.zone[at + Z_ALL_UNRECLAIMABLE] = 1;
  }
}

/** Whether reclaim passes the zone over at this priority. */
export function isLeftAlone(pages: Pages, zone: number, priority: number): boolean {
  return pages.m.zone[zone * ZONE_WORDS + Z_ALL_UNRECLAIMABLE] !== 0 && priority !== DEF_PRIORITY;
}
