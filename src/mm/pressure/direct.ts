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
  Z_LOW,
  Z_MANAGED,
  ZONE_WORDS,
} from "../memory.ts";
import { DEF_PRIORITY, Z_ALL_UNRECLAIMABLE, Z_PREV_PRIORITY, Z_TEMP_PRIORITY } from "../words.ts";
import { watermarkOk } from "../zone-watermark.ts";
import { GAP_RATIO } from "./balance-zones.ts";
import { compactGap, compactionSuitable } from "./compact-suitable.ts";
import { throttleDirectReclaim } from "./kswapd.ts";
import type { Pages } from "./pages.ts";
import { type Caller, newControl, type ScanControl } from "./scan.ts";
import { isUnreclaimable } from "./scan-counts.ts";
import { sharers, shrinkNode } from "./scan-node.ts";
import { isLeftAlone, setPriority, shrinkZone } from "./scan-zone.ts";

/**
 * What reclaim for a request came to: 0 for no progress, else pages, or 1 where compaction has all it
 * needs. Linux: try_to_free_pages()
 */
export function tryToFreePages(
  pages: Pages,
  gfp: number,
  order: number,
  highest: number,
  list: number,
): number {
  const { m, rule } = pages;
  const zones = zonesOfList(m, list);
  throttleDirectReclaim(pages, zones);
  const bit = (name: string): boolean => (gfp & (m.gfp.era.bits.get(`__GFP_${name}`) ?? 0)) !== 0;
  const triesHard = (gfp & m.gfp.retry) !== 0;
  const caller: Caller = { mayIo: bit("IO"), mayFs: bit("FS"), triesHard };
  const control = newControl(order, highest, caller);
  if (rule.lists === "zone") {
    pages.counts.allocstall++;
    return freeFromZones(pages, zones, control);
  }
  const first = freeFromLists(pages, zones, control);
  const again =
    rule.secondLook === "always" || (rule.secondLook === "if-spared" && control.skippedDeactivate);
  if (first > 0 || !again) return first;
  const last = newControl(order, highest, caller);
  // What is used is better than nothing.
  last.forceDeactivate = rule.secondLook === "if-spared";
  return freeFromLists(pages, zones, last);
}

/** Linux: do_try_to_free_pages(), shrink_zones() */
function freeFromLists(pages: Pages, zones: readonly number[], control: ScanControl): number {
  pages.counts.allocstall++;
  let ready = false;
  for (; control.priority >= 0; control.priority--) {
    const done = new Set<number>();
    for (const zone of zones) {
      const lists = sharers(pages, zone);
      const home = lists[0] ?? zone;
      if (isPassedOver(pages, zone, lists, control.priority)) continue;
      if (control.order > COSTLY_ORDER && isCompactionReady(pages, zone, control)) ready = true;
      else if (!done.has(home)) {
        done.add(home);
        shrinkNode(pages, lists, control);
      }
    }
    if (control.reclaimed >= control.toReclaim || ready) break;
  }
  if (control.reclaimed > 0) return control.reclaimed;
  return ready || isHopeful(pages, zones) ? 1 : 0;
}

/** Nobody found a page there lately: left to kswapd, but in emergencies. */
function isPassedOver(
  pages: Pages,
  zone: number,
  lists: readonly number[],
  priority: number,
): boolean {
  if (pages.rule.lists === "zone-split") return isLeftAlone(pages, zone, priority);
  return priority !== DEF_PRIORITY && isUnreclaimable(pages, lists);
}

/** As long as zones were given up one by one, one that was not is progress. Linux: all_unreclaimable() of 3.10 */
function isHopeful({ m, rule }: Pages, zones: readonly number[]): boolean {
  if (rule.lists !== "zone-split") return false;
  return zones.some((zone) => {
    const at = zone * ZONE_WORDS;
    return m.zone[at + Z_MANAGED] > 0 && m.zone[at + Z_ALL_UNRECLAIMABLE] === 0;
  });
}

/** Only a cluster is progress. Linux: try_to_free_pages(), shrink_caches() of 2.6.11; shrink_zones() of 2.6.18 */
function freeFromZones(pages: Pages, zones: readonly number[], control: ScanControl): number {
  const { m, rule } = pages;
  for (const zone of zones) m.zone[zone * ZONE_WORDS + Z_TEMP_PRIORITY] = DEF_PRIORITY;
  let freed = 0;
  for (; control.priority >= 0 && freed === 0; control.priority--) {
    if (!rule.passesAddUp) control.reclaimed = 0;
    for (const zone of zones) {
      // Those left alone remember the priority too.
      setPriority(m, zone, control.priority);
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
  const { m, rule } = pages;
  const at = zone * ZONE_WORDS;
  if (!pages.migration || rule.goesOn === "never" || !rule.kswapdCompacts) return false;
  const suitable = compactionSuitable(m, zone, order, 0, reclaimIdx);
  if (suitable !== "continue") return suitable === "success";
  const split = rule.lists === "zone-split";
  const gap = split
    ? Math.min(m.zone[at + Z_LOW], Math.ceil(m.zone[at + Z_MANAGED] / GAP_RATIO))
    : 0;
  const mark = m.zone[at + Z_HIGH] + m.zone[at + Z_BOOST] + gap + compactGap(order);
  return watermarkOk(m.zone, at, 0, mark, split ? 0 : reclaimIdx, 0, m.marks);
}

/** Zones of a zonelist. */
export function zonesOfList(m: Memory, list: number): number[] {
  const zones: number[] = [];
  for (let i = list + 1; m.zonelist[i] >= 0; i++) zones.push(m.zonelist[i]);
  return zones;
}
