/**
 * A request that finds nothing frees pages itself: compaction for larger blocks,
 * reclaim, and the rules by which it tries again or gives up.
 *
 * Linux: try_to_free_pages(), mm/vmscan.c; should_reclaim_retry(), should_compact_retry(),
 * mm/page_alloc.c
 */
import {
  COSTLY_ORDER,
  type Memory,
  Z_BOOST,
  Z_FREE,
  Z_HIGH,
  Z_INDEX,
  Z_MIN,
  Z_NODE,
  ZONE_WORDS,
} from "../memory.ts";
import { DEF_PRIORITY, Z_PREV_PRIORITY, Z_TEMP_PRIORITY } from "../words.ts";
import { watermarkOk } from "../zone-watermark.ts";
import { compactList, isSuitable } from "./compact.ts";
import { newControl, throttleDirectReclaim, wakeKswapd } from "./kswapd.ts";
import type { Pages } from "./pages.ts";
import type { ScanControl } from "./scan.ts";
import { shrinkNode, zoneReclaimable } from "./scan-node.ts";
import { isLeftAlone, shrinkZone } from "./scan-zone.ts";

/** Reclaims in a row that freed nothing before a request gives up. */
const MAX_RECLAIM_RETRIES = 16;
/** Tries of compaction for blocks that are not costly; a quarter of it for others. */
const MAX_COMPACT_RETRIES = 16;

/** From now on requests that may wait reclaim and compact. */
export function usePressure(pages: Pages): void {
  const { m } = pages;
  let loops = 0;
  m.pressure = {
    wake: (zone, order, highest) => wakeKswapd(pages, zone, order, highest),
    relieve: (attempt, gfp, order, highest, list, flags) => {
      if (pages.reclaiming) return false;
      if (attempt === 0) loops = 0;
      let freed = 0;
      pages.reclaiming = true;
      try {
        if (order > 0 && tryCompaction(pages, attempt, order, highest, list, flags)) return true;
        throttleDirectReclaim(pages, zonesOfList(m, list));
        freed = tryToFreePages(pages, order, highest, list);
      } finally {
        // An owner that is asked may throw.
        pages.reclaiming = false;
      }
      if ((gfp & m.gfp.noretry) !== 0) return false;
      if (order > COSTLY_ORDER && (gfp & m.gfp.retry) === 0) return false;
      if (pages.rule.lists === "zone") return freed > 0;
      loops = freed > 0 && order <= COSTLY_ORDER ? 0 : loops + 1;
      return loops <= MAX_RECLAIM_RETRIES && couldServe(pages, order, highest, list, flags);
    },
  };
}

function tryCompaction(
  pages: Pages,
  attempt: number,
  order: number,
  highest: number,
  list: number,
  flags: number,
): boolean {
  const most = order > COSTLY_ORDER ? MAX_COMPACT_RETRIES / 4 : MAX_COMPACT_RETRIES;
  if (!pages.migration || attempt > most) return false;
  // The first try is a light one, which tells nothing of those after it: COMPACT_PRIO_ASYNC.
  return compactList(pages, order, highest, list, flags, attempt > 0);
}

/**
 * What reclaim for a request came to: 0 for no progress, else pages, or 1 where compaction has all it
 * needs. Linux: try_to_free_pages(), do_try_to_free_pages()
 */
export function tryToFreePages(pages: Pages, order: number, highest: number, list: number): number {
  pages.counts.allocstall++;
  const zones = zonesOfList(pages.m, list);
  if (pages.rule.lists === "zone")
    return freeFromZones(pages, zones, newControl(order, highest, false));
  const control = newControl(order, highest, false);
  const first = freeFromNodes(pages, zones, control);
  if (first > 0 || !control.skippedDeactivate) return first;
  // What is used is better than nothing.
  const last = newControl(order, highest, false);
  last.forceDeactivate = true;
  return freeFromNodes(pages, zones, last);
}

function freeFromNodes(pages: Pages, zones: readonly number[], control: ScanControl): number {
  const { m } = pages;
  const isReady = (zone: number): boolean =>
    control.order > COSTLY_ORDER && isCompactionReady(pages, zone, control);
  let ready = false;
  for (; control.priority >= 0; control.priority--) {
    const nodes = new Set<number>();
    for (const zone of zones) {
      if (isReady(zone)) ready = true;
      else nodes.add(m.zone[zone * ZONE_WORDS + Z_NODE]);
    }
    for (const node of nodes) shrinkNode(pages, node, control);
    if (control.reclaimed >= control.toReclaim || ready) break;
  }
  if (control.reclaimed > 0) return control.reclaimed;
  return ready ? 1 : 0;
}

/** Only a pass that frees a cluster is progress. Linux: try_to_free_pages() of 2.6.11 */
function freeFromZones(pages: Pages, zones: readonly number[], control: ScanControl): number {
  const { m } = pages;
  for (const zone of zones) m.zone[zone * ZONE_WORDS + Z_TEMP_PRIORITY] = DEF_PRIORITY;
  let freed = 0;
  for (; control.priority >= 0 && freed === 0; control.priority--) {
    control.reclaimed = 0;
    for (const zone of zones) {
      if (!isLeftAlone(pages, zone, control.priority)) shrinkZone(pages, zone, control);
    }
    if (control.reclaimed >= control.toReclaim) freed = control.reclaimed;
  }
  for (const zone of zones) {
    const at = zone * ZONE_WORDS;
    m.zone[at + Z_PREV_PRIORITY] = m.zone[at + Z_TEMP_PRIORITY];
  }
  return freed;
}

/** Enough is free for compaction to do the rest. Linux: compaction_ready() */
function isCompactionReady(
  pages: Pages,
  zone: number,
  { order, reclaimIdx }: ScanControl,
): boolean {
  const { m } = pages;
  const at = zone * ZONE_WORDS;
  if (!pages.migration || m.zone[at + Z_INDEX] > reclaimIdx) return false;
  const min = m.zone[at + Z_MIN] + m.zone[at + Z_BOOST];
  if (watermarkOk(m.zone, at, order, min, reclaimIdx, 0, m.marks)) return true;
  if (!isSuitable(m, zone, order, reclaimIdx)) return false;
  const mark = m.zone[at + Z_HIGH] + m.zone[at + Z_BOOST] + (2 << order);
  return watermarkOk(m.zone, at, 0, mark, reclaimIdx, 0, m.marks);
}

/** Zones of a zonelist. */
export function zonesOfList(m: Memory, list: number): number[] {
  const zones: number[] = [];
  for (let i = list + 1; m.zonelist[i] >= 0; i++) zones.push(m.zonelist[i]);
  return zones;
}

/** Whether some zone would serve if all that can go went. Linux: should_reclaim_retry() */
function couldServe(
  pages: Pages,
  order: number,
  highest: number,
  list: number,
  flags: number,
): boolean {
  const { m } = pages;
  return zonesOfList(m, list).some((zone) => {
    const at = zone * ZONE_WORDS;
    if (m.zone[at + Z_INDEX] > highest) return false;
    const row = m.zone.slice(at, at + ZONE_WORDS);
    row[Z_FREE] += zoneReclaimable(pages, zone);
    const min = m.zone[at + Z_MIN] + m.zone[at + Z_BOOST];
    return watermarkOk(row, 0, order, min, highest, flags, m.marks);
  });
}
