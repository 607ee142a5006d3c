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
  Z_FREE,
  Z_HIGH,
  Z_INDEX,
  Z_MANAGED,
  Z_MIN,
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
import { resetNodeHints } from "./compact.ts";
import { wakeKcompactd } from "./kcompactd.ts";
import {
  N_FAILURES,
  N_KSWAPD_HIGHEST,
  N_KSWAPD_ORDER,
  N_KSWAPD_WOKEN,
  NODE_WORDS,
  nodePlace,
  type Pages,
} from "./pages.ts";
import { type ScanControl, SWAP_CLUSTER } from "./scan.ts";
import { shrinkNode, zoneReclaimable, zonesOfNode } from "./scan-node.ts";
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

/**
 * A request of `order`, for zones up to `highest`, found `zone` below its mark. Where kswapd would not
 * help, kcompactd may help one that does not wait for either. Linux: wakeup_kswapd()
 */
export function wakeKswapd(
  pages: Pages,
  zone: number,
  order: number,
  highest: number,
  waits: boolean,
): void {
  const { m, node, rule } = pages;
  if (m.zone[zone * ZONE_WORDS + Z_MANAGED] === 0) return;
  const words = nodePlace(m, zone) * NODE_WORDS;
  if (rule.lists === "zone") {
    const at = zone * ZONE_WORDS;
    if (watermarkOk(m.zone, at, order, m.zone[at + Z_LOW], 0, 0, m.marks)) return;
  }
  // What was asked for counts at the next run, even if this does not wake it.
  node[words + N_KSWAPD_HIGHEST] = Math.max(node[words + N_KSWAPD_HIGHEST], highest);
  node[words + N_KSWAPD_ORDER] = Math.max(node[words + N_KSWAPD_ORDER], order);
  if (node[words + N_KSWAPD_WOKEN] === 1) return;
  if (rule.lists === "node") {
    const isEnough = isBalanced(pages, zone, order, highest) && !isBoosted(m, zone, highest);
    if (isHopeless(pages, words) || isEnough) {
      if (!waits) wakeKcompactd(pages, nodePlace(m, zone), order, highest);
      return;
    }
  }
  wakeUp(pages, words);
}

function wakeUp({ node, counts }: Pages, words: number): void {
  if (node[words + N_KSWAPD_WOKEN] === 0) counts.kswapdWakes++;
  node[words + N_KSWAPD_WOKEN] = 1;
}

/** kswapd has given the node up until somebody else finds a page there. */
function isHopeless({ node, rule }: Pages, words: number): boolean {
  return rule.hopeless > 0 && node[words + N_FAILURES] >= rule.hopeless;
}

/** Runs kswapd of every node that it was woken for; they sleep again afterwards. */
export function runKswapd(pages: Pages): KswapdRun[] {
  const { m, node } = pages;
  return m.nodes.flatMap((id, place) => {
    if (node[place * NODE_WORDS + N_KSWAPD_WOKEN] === 0 || pages.reclaiming) return [];
    pages.reclaiming = true;
    try {
      return [runNode(pages, id, place * NODE_WORDS)];
    } finally {
      // An owner that is asked may throw.
      pages.reclaiming = false;
    }
  });
}

function runNode(pages: Pages, id: number, words: number): KswapdRun {
  const { m, node } = pages;
  const highest = node[words + N_KSWAPD_HIGHEST];
  const order = node[words + N_KSWAPD_ORDER];
  node[words + N_KSWAPD_HIGHEST] = -1;
  node[words + N_KSWAPD_ORDER] = 0;
  node[words + N_KSWAPD_WOKEN] = 0;
  const zones = zonesOfNode(m, id).filter((zone) => m.zone[zone * ZONE_WORDS + Z_MANAGED] > 0);
  const run =
    pages.rule.lists === "zone"
      ? balanceZones(pages, zones, order)
      : balanceNode(pages, id, zones, order, highest, words);
  // It sleeps: what compaction passed over may be worth a look now, and what was wanted made.
  if (pages.rule.lists === "node" && (run.balanced || isHopeless(pages, words))) {
    resetNodeHints(pages, id);
    wakeKcompactd(pages, words / NODE_WORDS, order, highest);
  }
  return { node: id, order, highest, ...run };
}

/**
 * A request that would reclaim waits while the first node of its list has less than half of its min
 * marks: for kswapd, which runs now. Linux: throttle_direct_reclaim(), allow_direct_reclaim()
 */
export function throttleDirectReclaim(pages: Pages, zones: readonly number[]): void {
  const { m, node, rule, counts } = pages;
  const normal = normalIndex(m);
  const first = zones.find((zone) => m.zone[zone * ZONE_WORDS + Z_INDEX] <= normal);
  if (!rule.throttles || first === undefined) return;
  const words = nodePlace(m, first) * NODE_WORDS;
  const id = m.zone[first * ZONE_WORDS + Z_NODE];
  const low = zonesOfNode(m, id).filter((zone) => m.zone[zone * ZONE_WORDS + Z_INDEX] <= normal);
  if (isHopeless(pages, words) || allowsDirect(pages, low)) return;
  counts.pgscanDirectThrottle++;
  const highest = Math.min(node[words + N_KSWAPD_HIGHEST], normal);
  node[words + N_KSWAPD_HIGHEST] = highest < 0 ? normal : highest;
  wakeUp(pages, words);
  runNode(pages, id, words);
}

function allowsDirect(pages: Pages, zones: readonly number[]): boolean {
  const { m } = pages;
  let reserve = 0;
  let free = 0;
  for (const zone of zones) {
    const at = zone * ZONE_WORDS;
    if (m.zone[at + Z_MANAGED] === 0 || zoneReclaimable(pages, zone) === 0) continue;
    reserve += m.zone[at + Z_MIN] + m.zone[at + Z_BOOST];
    free += m.zone[at + Z_FREE];
  }
  return reserve === 0 || free > Math.floor(reserve / 2);
}

/** Index of ZONE_NORMAL; of the highest zone where there is none of that name. */
function normalIndex(m: Memory): number {
  let index = 15;
  m.spec.zones.forEach(({ name }, zone) => {
    if (name === "Normal") index = m.zone[zone * ZONE_WORDS + Z_INDEX];
  });
  return index;
}

/** Whether kswapd may sleep, by the era's target. Linux: pgdat_balanced() */
function isBalanced(pages: Pages, zone: number, order: number, highest: number): boolean {
  const { m } = pages;
  let hasManaged = false;
  for (const z of zonesOfNode(m, m.zone[zone * ZONE_WORDS + Z_NODE])) {
    const at = z * ZONE_WORDS;
    if (m.zone[at + Z_INDEX] > highest || m.zone[at + Z_MANAGED] === 0) continue;
    hasManaged = true;
    const mark = m.zone[at + Z_HIGH] + m.zone[at + Z_BOOST];
    if (watermarkOk(m.zone, at, order, mark, highest, 0, m.marks)) return true;
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
  let done = false;
  let total = 0;
  while (control.priority >= 1) {
    balanced = isBalanced(pages, first, control.order, highest);
    // Marks come before boosts: from the start again.
    if (!balanced && boost > 0) {
      boost = 0;
      control.priority = DEF_PRIORITY;
    }
    done = balanced && boost === 0;
    if (done) break;
    // A boost is not worth more than what goes easily.
    const isGentle = boost > 0 && control.priority === DEF_PRIORITY - 2;
    control.mayWrite = boost === 0;
    control.maySwap = boost === 0;
    control.toReclaim = eligible.reduce((sum, zone) => sum + shareOf(m, zone), 0);
    control.scanned = 0;
    control.reclaimed = 0;
    shrinkNode(pages, id, control);
    total += control.reclaimed;
    if (control.order > 0 && total >= 2 << control.order) control.order = 0;
    boost -= Math.min(boost, control.reclaimed);
    if (boost > 0 && control.reclaimed === 0) break;
    const isEnough = control.scanned >= control.toReclaim || isGentle;
    if (!isEnough || control.reclaimed === 0) control.priority--;
  }
  if (!done) balanced = isBalanced(pages, first, control.order, highest);
  if (!done && total === 0) node[words + N_FAILURES]++;
  for (const [i, zone] of eligible.entries()) {
    const at = zone * ZONE_WORDS;
    m.zone[at + Z_FLAGS] &= ~ZONE_RECLAIM_ACTIVE;
    m.zone[at + Z_BOOST] -= Math.min(m.zone[at + Z_BOOST], boosts[i] ?? 0);
  }
  // There is room likely: pageblocks that others broke up are mended.
  if (boosts.some((own) => own > 0)) {
    wakeKcompactd(pages, words / NODE_WORDS, m.pageblockOrder, highest);
  }
  return { reclaimed: total, balanced };
}

/** Pages that a round is to free for a zone. Linux: kswapd_shrink_node() */
function shareOf(m: Memory, zone: number): number {
  const at = zone * ZONE_WORDS;
  return Math.max(m.zone[at + Z_HIGH] + m.zone[at + Z_BOOST], SWAP_CLUSTER);
}

/** Zone by zone, from the lowest to the highest that is short. Linux: balance_pgdat() of 2.6.11 */
function balanceZones(
  pages: Pages,
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
    maySwap: true,
    forceDeactivate: false,
    skippedDeactivate: false,
    toReclaim: SWAP_CLUSTER,
    scanned: 0,
    reclaimed: 0,
  };
}
