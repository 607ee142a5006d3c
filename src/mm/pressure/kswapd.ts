/**
 * kswapd: woken where a request found less than the low mark, it frees pages up to
 * the high marks. Nothing runs by itself here: whoever drives the memory calls
 * `runKswapd` when the node's thread would get the CPU.
 *
 * Linux: wakeup_kswapd(), balance_pgdat(), pgdat_balanced(), mm/vmscan.c
 */
import {
  type Memory,
  Z_BOOST,
  Z_FLAGS,
  Z_HIGH,
  Z_INDEX,
  Z_MANAGED,
  Z_NODE,
  ZONE_RECLAIM_ACTIVE,
  ZONE_WORDS,
} from "../memory.ts";
import {
  DEF_PRIORITY,
  Z_ALL_UNRECLAIMABLE,
  Z_LOW,
  Z_PREV_PRIORITY,
  Z_TEMP_PRIORITY,
} from "../words.ts";
import { watermarkOk } from "../zone-watermark.ts";
import {
  N_FAILURES,
  N_KSWAPD_HIGHEST,
  N_KSWAPD_ORDER,
  NODE_WORDS,
  nodePlace,
  type Pages,
} from "./pages.ts";
import { type ScanControl, SWAP_CLUSTER } from "./scan.ts";
import { shrinkNode, zonesOfNode } from "./scan-node.ts";
import { isLeftAlone, noteUnreclaimable, shrinkZone } from "./scan-zone.ts";

/** What one run came to. */
export interface KswapdRun {
  readonly node: number;
  readonly order: number;
  /** Highest zone that it was for. */
  readonly highest: number;
  readonly reclaimed: number;
  readonly balanced: boolean;
}

/** A request of `order`, for zones up to `highest`, found `zone` below its mark. Linux: wakeup_kswapd() */
export function wakeKswapd(pages: Pages, zone: number, order: number, highest: number): void {
  const { m, node, rule } = pages;
  if (m.zone[zone * ZONE_WORDS + Z_MANAGED] === 0) return;
  const words = nodePlace(m, zone) * NODE_WORDS;
  if (rule.lists === "zone") {
    const at = zone * ZONE_WORDS;
    if (watermarkOk(m.zone, at, order, m.zone[at + Z_LOW], 0, 0, m.marks)) return;
  } else {
    const isHopeless = rule.hopeless > 0 && node[words + N_FAILURES] >= rule.hopeless;
    if (isHopeless || (isBalanced(pages, zone, order, highest) && !isBoosted(m, zone, highest)))
      return;
  }
  if (node[words + N_KSWAPD_HIGHEST] < 0) pages.counts.kswapdWakes++;
  node[words + N_KSWAPD_HIGHEST] = Math.max(node[words + N_KSWAPD_HIGHEST], highest);
  node[words + N_KSWAPD_ORDER] = Math.max(node[words + N_KSWAPD_ORDER], order);
}

/** Runs kswapd of every node that it was woken for; they sleep again afterwards. */
export function runKswapd(pages: Pages): KswapdRun[] {
  const { m, node } = pages;
  return m.nodes.flatMap((id, place) => {
    const words = place * NODE_WORDS;
    const highest = node[words + N_KSWAPD_HIGHEST];
    if (highest < 0 || pages.reclaiming) return [];
    const order = node[words + N_KSWAPD_ORDER];
    pages.reclaiming = true;
    const zones = zonesOfNode(m, id).filter((zone) => m.zone[zone * ZONE_WORDS + Z_MANAGED] > 0);
    const run =
      pages.rule.lists === "zone"
        ? balanceZones(pages, id, zones, order)
        : balanceNode(pages, id, zones, order, highest, words);
    pages.reclaiming = false;
    node[words + N_KSWAPD_HIGHEST] = -1;
    node[words + N_KSWAPD_ORDER] = 0;
    return [{ node: id, order, highest, ...run }];
  });
}

/** Whether kswapd may sleep, by the era's target. Linux: pgdat_balanced() */
function isBalanced(pages: Pages, zone: number, order: number, highest: number): boolean {
  const { m } = pages;
  let hasManaged = false;
  for (const z of zonesOfNode(m, m.zone[zone * ZONE_WORDS + Z_NODE])) {
    const at = z * ZONE_WORDS;
    if (m.zone[at + Z_INDEX] > highest || m.zone[at + Z_MANAGED] === 0) continue;
    hasManaged = true;
    if (watermarkOk(m.zone, at, order, m.zone[at + Z_HIGH], highest, 0, m.marks)) return true;
  }
  return !hasManaged;
}

function isBoosted(m: Memory, zone: number, highest: number): boolean {
  return zonesOfNode(m, m.zone[zone * ZONE_WORDS + Z_NODE]).some((z) => {
    const at = z * ZONE_WORDS;
    return m.zone[at + Z_INDEX] <= highest && m.zone[at + Z_BOOST] > 0;
  });
}

/** Node by node (4.8): one zone above its high mark is enough. Linux: balance_pgdat() */
function balanceNode(
  pages: Pages,
  id: number,
  zones: readonly number[],
  wanted: number,
  highest: number,
  words: number,
): { reclaimed: number; balanced: boolean } {
  const { m, node } = pages;
  const eligible = zones.filter((zone) => m.zone[zone * ZONE_WORDS + Z_INDEX] <= highest);
  const first = zones[0];
  if (first === undefined) return { reclaimed: 0, balanced: true };
  const boosts = eligible.map((zone) => m.zone[zone * ZONE_WORDS + Z_BOOST]);
  let boost = boosts.reduce((sum, own) => sum + own, 0);
  for (const zone of eligible) m.zone[zone * ZONE_WORDS + Z_FLAGS] |= ZONE_RECLAIM_ACTIVE;
  const control = newControl(wanted, highest, true);
  let balanced = false;
  let total = 0;
  while (control.priority >= 1) {
    balanced = isBalanced(pages, first, control.order, highest);
    // A boost is not worth more than what goes easily.
    if (balanced && boost > 0 && control.priority <= DEF_PRIORITY - 2) boost = 0;
    if (!balanced && boost > 0) boost = 0;
    if (balanced && boost === 0) break;
    control.mayWrite = boost === 0;
    control.toReclaim = eligible.reduce(
      (sum, zone) => sum + Math.max(m.zone[zone * ZONE_WORDS + Z_HIGH], SWAP_CLUSTER),
      0,
    );
    control.scanned = 0;
    control.reclaimed = 0;
    shrinkNode(pages, id, control);
    total += control.reclaimed;
    if (control.order > 0 && control.reclaimed >= 2 << control.order) control.order = 0;
    if (boost > 0) boost -= Math.min(boost, control.reclaimed);
    if (control.scanned < control.toReclaim || control.reclaimed === 0) control.priority--;
  }
  if (control.priority < 1) balanced = isBalanced(pages, first, control.order, highest);
  for (const [i, zone] of eligible.entries()) {
    const at = zone * ZONE_WORDS;
    m.zone[at + Z_FLAGS] &= ~ZONE_RECLAIM_ACTIVE;
    m.zone[at + Z_BOOST] -= Math.min(m.zone[at + Z_BOOST], boosts[i] ?? 0);
  }
  if (total > 0) node[words + N_FAILURES] = 0;
  else if (!balanced) node[words + N_FAILURES]++;
  return { reclaimed: total, balanced };
}

/** Zone by zone, from the lowest to the highest that is short. Linux: balance_pgdat() of 2.6.11 */
function balanceZones(
  pages: Pages,
  _id: number,
  zones: readonly number[],
  order: number,
): { reclaimed: number; balanced: boolean } {
  const { m } = pages;
  const isHigh = (zone: number, end: number): boolean => {
    const at = zone * ZONE_WORDS;
    return watermarkOk(m.zone, at, order, m.zone[at + Z_HIGH], end, 0, m.marks);
  };
  let total = 0;
  let balanced = false;
  for (let again = true; again; ) {
    again = false;
    const control = newControl(order, 15, true);
    for (const zone of zones) m.zone[zone * ZONE_WORDS + Z_TEMP_PRIORITY] = DEF_PRIORITY;
    for (; control.priority >= 0; control.priority--) {
      const end = zones.findLastIndex(
        (zone) => !isLeftAlone(pages, zone, control.priority) && !isHigh(zone, 0),
      );
      balanced = end < 0;
      if (balanced) break;
      balanced = true;
      control.scanned = 0;
      const class_ = m.zone[(zones[end] ?? 0) * ZONE_WORDS + Z_INDEX];
      for (const zone of zones.slice(0, end + 1)) {
        if (isLeftAlone(pages, zone, control.priority)) continue;
        if (!isHigh(zone, class_)) balanced = false;
        shrinkZone(pages, zone, control);
        if (m.zone[zone * ZONE_WORDS + Z_ALL_UNRECLAIMABLE] === 0) noteUnreclaimable(pages, zone);
      }
      if (balanced) break;
      // Enough for now: from the start again, gently.
      if (control.reclaimed >= SWAP_CLUSTER) {
        again = true;
        break;
      }
    }
    total += control.reclaimed;
    for (const zone of zones) {
      const at = zone * ZONE_WORDS;
      m.zone[at + Z_PREV_PRIORITY] = m.zone[at + Z_TEMP_PRIORITY];
    }
    if (control.reclaimed === 0) again = false;
  }
  return { reclaimed: total, balanced };
}

export function newControl(order: number, highest: number, kswapd: boolean): ScanControl {
  return {
    kswapd,
    order,
    reclaimIdx: highest,
    priority: DEF_PRIORITY,
    mayWrite: true,
    toReclaim: SWAP_CLUSTER,
    scanned: 0,
    reclaimed: 0,
  };
}
