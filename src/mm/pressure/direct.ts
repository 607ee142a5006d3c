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
  Z_FREE,
  Z_INDEX,
  Z_MIN,
  Z_NODE,
  ZONE_WORDS,
} from "../memory.ts";
import { DEF_PRIORITY, LRU_LISTS } from "../words.ts";
import { watermarkOk } from "../zone-watermark.ts";
import { compactList } from "./compact.ts";
import { newControl, wakeKswapd } from "./kswapd.ts";
import { L_ACTIVE, L_ANON, L_INACTIVE, type Pages } from "./pages.ts";
import { SWAP_CLUSTER } from "./scan.ts";
import { shrinkNode } from "./scan-node.ts";
import { isLeftAlone, noteUnreclaimable, shrinkZone } from "./scan-zone.ts";

/** Reclaims in a row that freed nothing before a request gives up. */
const MAX_RECLAIM_RETRIES = 16;
/** Tries of compaction for blocks that are not costly; a quarter of it for others. */
const MAX_COMPACT_RETRIES = 16;

/** From now on requests that may wait reclaim and compact. */
export function usePressure(pages: Pages): void {
  const { m } = pages;
  let idle = 0;
  m.pressure = {
    wake: (zone, order, highest) => wakeKswapd(pages, zone, order, highest),
    relieve: (attempt, order, highest, list, flags, insists) => {
      if (pages.reclaiming) return false;
      if (attempt === 0) idle = 0;
      pages.reclaiming = true;
      const compacted = order > 0 && tryCompaction(pages, attempt, order, highest, list, flags);
      const freed = compacted ? 0 : tryToFreePages(pages, order, highest, list);
      pages.reclaiming = false;
      if (compacted) return true;
      idle = freed > 0 && order <= COSTLY_ORDER ? 0 : idle + 1;
      if (freed > 0 && (attempt === 0 || order <= COSTLY_ORDER || insists)) return attempt < 64;
      if (order > COSTLY_ORDER && !insists) return false;
      return idle <= MAX_RECLAIM_RETRIES && couldServe(pages, order, highest, list, flags);
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
  return compactList(pages, order, highest, list, flags);
}

/** Pages freed for a request, from all zones of its list. Linux: do_try_to_free_pages() */
export function tryToFreePages(pages: Pages, order: number, highest: number, list: number): number {
  const { m } = pages;
  const control = newControl(order, highest, false);
  const zones = zonesOfList(m, list);
  const nodes = [...new Set(zones.map((zone) => m.zone[zone * ZONE_WORDS + Z_NODE]))];
  for (; control.priority >= 0; control.priority--) {
    if (pages.rule.lists === "node") for (const node of nodes) shrinkNode(pages, node, control);
    else {
      for (const zone of zones) {
        if (isLeftAlone(pages, zone, control.priority)) continue;
        shrinkZone(pages, zone, control);
        if (control.priority !== DEF_PRIORITY) noteUnreclaimable(pages, zone);
      }
    }
    if (control.reclaimed >= SWAP_CLUSTER) break;
  }
  return control.reclaimed;
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
    row[Z_FREE] += reclaimable(pages, zone);
    return watermarkOk(row, 0, order, row[Z_MIN] ?? 0, highest, flags, m.marks);
  });
}

/** Linux: zone_reclaimable_pages() */
function reclaimable({ lru, store }: Pages, zone: number): number {
  const at = zone * LRU_LISTS;
  const file = lru[at + L_ACTIVE] + lru[at + L_INACTIVE];
  if (store === null || store.free === 0) return file;
  return file + lru[at + L_ANON + L_ACTIVE] + lru[at + L_ANON + L_INACTIVE];
}
