/**
 * kswapd's work zone by zone, as long as lists were theirs: from the lowest to the
 * highest that is short.
 *
 * Linux: balance_pgdat(), mm/vmscan.c of 2.6.11, 2.6.18; of 2.6.39 and 3.10, with
 * pgdat_balanced()
 */
import { Z_HIGH, Z_INDEX, Z_MANAGED, ZONE_WORDS } from "../memory.ts";
import {
  DEF_PRIORITY,
  Z_ALL_UNRECLAIMABLE,
  Z_LOW,
  Z_PREV_PRIORITY,
  Z_TEMP_PRIORITY,
} from "../words.ts";
import { watermarkOk } from "../zone-watermark.ts";
import type { Balance } from "./balance-node.ts";
import { compactionSuitable } from "./compact-suitable.ts";
import type { Pages } from "./pages.ts";
import { newControl, type ScanControl, SWAP_CLUSTER } from "./scan.ts";
import { EVERY_ZONE, isUnreclaimable } from "./scan-counts.ts";
import { ageAnon, shrinkNode } from "./scan-node.ts";
import { isLeftAlone, noteUnreclaimable, setPriority, shrinkZone } from "./scan-zone.ts";

/** KSWAPD_ZONE_BALANCE_GAP_RATIO: a zone is reclaimed until it is this part of it above its high mark. */
export const GAP_RATIO = 100;

/** 2.6.9 to 2.6.27: until every zone that is not unreclaimable is above its high mark. */
export function balanceZones(pages: Pages, zones: readonly number[], order: number): Balance {
  const { m } = pages;
  let total = 0;
  for (;;) {
    const control = newControl(order, EVERY_ZONE, null);
    for (const zone of zones) m.zone[zone * ZONE_WORDS + Z_TEMP_PRIORITY] = DEF_PRIORITY;
    let balanced = false;
    for (; control.priority >= 0 && !balanced; control.priority--) {
      balanced = lookOnce(pages, zones, order, control);
      // Enough for now: from the start again, gently.
      if (control.reclaimed >= SWAP_CLUSTER) break;
    }
    total += control.reclaimed;
    for (const zone of zones) {
      const at = zone * ZONE_WORDS;
      m.zone[at + Z_PREV_PRIORITY] = m.zone[at + Z_TEMP_PRIORITY];
    }
    if (balanced) return { reclaimed: total, balanced, endOrder: order };
  }
}

/** One priority; whether all zones were balanced when it came to them. */
function lookOnce(
  pages: Pages,
  zones: readonly number[],
  order: number,
  control: ScanControl,
): boolean {
  const { m } = pages;
  const { priority } = control;
  const end = zones.findLastIndex(
    (zone) => !isLeftAlone(pages, zone, priority) && !isHigh(pages, zone, order, 0),
  );
  if (end < 0) return true;
  const class_ = m.zone[(zones[end] ?? 0) * ZONE_WORDS + Z_INDEX];
  let balanced = true;
  for (const zone of zones.slice(0, end + 1)) {
    if (isLeftAlone(pages, zone, priority)) continue;
    if (!isHigh(pages, zone, order, class_)) balanced = false;
    setPriority(m, zone, priority);
    shrinkZone(pages, zone, control);
    noteUnreclaimable(pages, zone);
  }
  return balanced;
}

function isHigh({ m }: Pages, zone: number, order: number, highest: number, more = 0): boolean {
  const at = zone * ZONE_WORDS;
  return watermarkOk(m.zone, at, order, m.zone[at + Z_HIGH] + more, highest, 0, m.marks);
}

/**
 * 2.6.38 to 4.7: until every zone is balanced or unreclaimable; for a larger block zones that are a
 * quarter of those asked for are enough. `zones` are a node's, `highest` the highest asked for.
 */
export function balanceSplit(
  pages: Pages,
  zones: readonly number[],
  wanted: number,
  highest: number,
): Balance {
  let order = wanted;
  let total = 0;
  for (;;) {
    const control = newControl(order, EVERY_ZONE, null);
    control.toReclaim = Number.POSITIVE_INFINITY;
    let balanced = false;
    for (; control.priority >= 0; control.priority--) {
      balanced = lookAtSplit(pages, zones, order, highest, control);
      if (balanced || control.reclaimed >= SWAP_CLUSTER) break;
    }
    total += control.reclaimed;
    if (balanced && (order === 0 || pages.rule.kswapdCompacts || areHigh(pages, zones))) {
      return { reclaimed: total, balanced, endOrder: order };
    }
    if (balanced) {
      order = 0;
      continue;
    }
    // No zone was looked at, nor will one be: the thread would spin.
    if (control.scanned === 0 && control.reclaimed === 0 && order === 0) {
      return { reclaimed: total, balanced, endOrder: order };
    }
    if (control.reclaimed < SWAP_CLUSTER) order = 0;
  }
}

/** For single pages too. */
function areHigh(pages: Pages, zones: readonly number[]): boolean {
  return zones.every(
    (zone) => isHigh(pages, zone, 0, 0) || isLeftAlone(pages, zone, DEF_PRIORITY - 1),
  );
}

function lookAtSplit(
  pages: Pages,
  zones: readonly number[],
  order: number,
  highest: number,
  control: ScanControl,
): boolean {
  const { m } = pages;
  const { priority } = control;
  let end = zones.length - 1;
  for (; end >= 0; end--) {
    const zone = zones[end] ?? 0;
    if (isLeftAlone(pages, zone, priority)) continue;
    ageAnon(pages, [zone], control);
    if (!isZoneBalanced(pages, zone, order, 0)) break;
  }
  if (end < 0) return true;
  for (let i = 0; i <= end; i++) {
    const zone = zones[i] ?? 0;
    const at = zone * ZONE_WORDS;
    if (isLeftAlone(pages, zone, priority)) continue;
    const class_ = m.zone[(zones[end] ?? 0) * ZONE_WORDS + Z_INDEX];
    const gap = Math.min(m.zone[at + Z_LOW], Math.ceil(m.zone[at + Z_MANAGED] / GAP_RATIO));
    const compacts =
      pages.rule.kswapdCompacts &&
      order > 0 &&
      compactionSuitable(m, zone, order, 0, class_) !== "skipped";
    if (!isZoneBalanced(pages, zone, compacts ? 0 : order, class_, gap)) {
      shrinkNode(pages, [zone], control);
      if (isUnreclaimable(pages, [zone])) m.zone[at + Z_ALL_UNRECLAIMABLE] = 1;
    }
    if (m.zone[at + Z_ALL_UNRECLAIMABLE] !== 0 && end > 0 && end === i) end--;
  }
  return isSplitBalanced(pages, zones, order, highest);
}

/** Linux: zone_balanced() of 3.10 */
function isZoneBalanced(
  pages: Pages,
  zone: number,
  order: number,
  highest: number,
  gap = 0,
): boolean {
  if (!isHigh(pages, zone, order, highest, gap)) return false;
  return (
    order === 0 ||
    !pages.rule.kswapdCompacts ||
    compactionSuitable(pages.m, zone, order, 0, highest) !== "skipped"
  );
}

/** Linux: pgdat_balanced() of 3.10 */
export function isSplitBalanced(
  pages: Pages,
  zones: readonly number[],
  order: number,
  highest: number,
): boolean {
  const { m } = pages;
  let all = 0;
  let balanced = 0;
  for (const zone of zones) {
    const at = zone * ZONE_WORDS;
    const index = m.zone[at + Z_INDEX];
    if (index > highest) continue;
    all += m.zone[at + Z_MANAGED];
    const isDone =
      m.zone[at + Z_ALL_UNRECLAIMABLE] !== 0 || isZoneBalanced(pages, zone, order, index);
    if (isDone) balanced += m.zone[at + Z_MANAGED];
    else if (order === 0) return false;
  }
  return order === 0 || balanced >= all >> 2;
}
