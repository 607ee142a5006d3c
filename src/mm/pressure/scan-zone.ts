/**
 * Reclaim of a zone, as kernels did it whose zones had lists of their own: the
 * fields of the book's struct zone at work.
 *
 * Linux: shrink_zone(), refill_inactive_zone(), shrink_cache(), mm/vmscan.c of 2.6.11
 */
import {
  DEF_PRIORITY,
  Z_ACTIVE,
  Z_ALL_UNRECLAIMABLE,
  Z_INACTIVE,
  Z_MANAGED,
  Z_PAGES_SCANNED,
  Z_PREV_PRIORITY,
  Z_SCAN_ACTIVE,
  Z_SCAN_INACTIVE,
  Z_TEMP_PRIORITY,
  ZONE_WORDS,
} from "../words.ts";
import { lruHead } from "./lru.ts";
import { L_ACTIVE, L_INACTIVE, type Pages, PG_ANON, PG_MLOCKED, PG_YOUNG } from "./pages.ts";
import { type ScanControl, SWAP_CLUSTER, shrinkActive, shrinkInactive } from "./scan.ts";

/** Highest zone index that there can be: a zone's own list has no pages of others. */
const ANY = 15;

/** One look at a zone's lists, at the control's priority; less than a cluster is owed till next time. */
export function shrinkZone(pages: Pages, zone: number, control: ScanControl): void {
  const { m } = pages;
  const at = zone * ZONE_WORDS;
  m.zone[at + Z_TEMP_PRIORITY] = control.priority;
  if (m.zone[at + Z_PREV_PRIORITY] > control.priority) {
    m.zone[at + Z_PREV_PRIORITY] = control.priority;
  }
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
      const count = Math.min(inactive, SWAP_CLUSTER);
      inactive -= count;
      const head = lruHead(pages, zone, L_INACTIVE);
      m.zone[at + Z_PAGES_SCANNED] += shrinkInactive(pages, head, count, control);
      if (control.reclaimed - before >= SWAP_CLUSTER) break;
    }
  }
}

/** What a list owes by now: its share and one, and what was owed before. */
function owed(pages: Pages, debt: number, size: number, priority: number): number {
  const { zone } = pages.m;
  zone[debt] += (zone[size] >> priority) + 1;
  if (zone[debt] < SWAP_CLUSTER) return 0;
  const sum = zone[debt];
  zone[debt] = 0;
  return sum;
}

/** Active pages to the inactive list; mapped ones only where reclaim is in distress. */
function refillInactive(pages: Pages, zone: number, count: number): void {
  const reclaimMapped = swapTendency(pages, zone) >= 100;
  const head = lruHead(pages, zone, L_ACTIVE);
  const looked = shrinkActive(pages, head, count, ANY, (row) => {
    const flags = pages.flags[row];
    if ((flags & PG_MLOCKED) !== 0) return true;
    return (flags & PG_ANON) !== 0 && (!reclaimMapped || (flags & PG_YOUNG) !== 0);
  });
  pages.m.zone[zone * ZONE_WORDS + Z_PAGES_SCANNED] += looked;
}

/** distress + mapped ratio / 2 + swappiness: from 100 on mapped pages are taken too. */
function swapTendency(pages: Pages, zone: number): number {
  const { m } = pages;
  let anon = 0;
  let total = 0;
  for (let z = 0; z < m.zoneCount; z++) {
    total += m.zone[z * ZONE_WORDS + Z_MANAGED];
    anon += m.zone[z * ZONE_WORDS + Z_ACTIVE];
  }
  const distress = 100 >> m.zone[zone * ZONE_WORDS + Z_PREV_PRIORITY];
  return Math.floor((anon * 100) / Math.max(total, 1) / 2) + distress + pages.swappiness;
}

/** Whether a zone was scanned four times over and gave nothing; it is then left alone but in emergencies. */
export function noteUnreclaimable(pages: Pages, zone: number): void {
  const { m } = pages;
  const at = zone * ZONE_WORDS;
  const pagesListed = m.zone[at + Z_ACTIVE] + m.zone[at + Z_INACTIVE];
  if (m.zone[at + Z_PAGES_SCANNED] >= pagesListed * 4) m.zone[at + Z_ALL_UNRECLAIMABLE] = 1;
}

/** Whether reclaim passes the zone over at this priority. */
export function isLeftAlone(pages: Pages, zone: number, priority: number): boolean {
  return pages.m.zone[zone * ZONE_WORDS + Z_ALL_UNRECLAIMABLE] !== 0 && priority !== DEF_PRIORITY;
}
