/**
 * A request that finds nothing frees pages itself.
 *
 * Linux: try_to_free_pages(), mm/vmscan.c
 */
import {
  COSTLY_ORDER,
  type Memory,
  Z_BOOST,
  Z_HIGH,
  Z_INDEX,
  Z_NODE,
  ZONE_WORDS,
} from "../memory.ts";
import { DEF_PRIORITY, Z_PREV_PRIORITY, Z_TEMP_PRIORITY } from "../words.ts";
import { watermarkOk } from "../zone-watermark.ts";
import { compactGap, compactionSuitable } from "./compact-suitable.ts";
import { newControl } from "./kswapd.ts";
import type { Pages } from "./pages.ts";
import type { ScanControl } from "./scan.ts";
import { shrinkNode } from "./scan-node.ts";
import { isLeftAlone, shrinkZone } from "./scan-zone.ts";

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
  const suitable = compactionSuitable(m, zone, order, 0, reclaimIdx);
  if (suitable !== "continue") return suitable === "success";
  const mark = m.zone[at + Z_HIGH] + m.zone[at + Z_BOOST] + compactGap(order);
  return watermarkOk(m.zone, at, 0, mark, reclaimIdx, 0, m.marks);
}

/** Zones of a zonelist. */
export function zonesOfList(m: Memory, list: number): number[] {
  const zones: number[] = [];
  for (let i = list + 1; m.zonelist[i] >= 0; i++) zones.push(m.zonelist[i]);
  return zones;
}
