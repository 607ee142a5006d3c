/**
 * kswapd: woken where a request found less than the low mark, it frees pages up to
 * the high marks. Nothing runs by itself here: whoever drives the memory calls
 * `runKswapd` when the node's thread would get the CPU.
 *
 * Linux: wakeup_kswapd(), kswapd(), prepare_kswapd_sleep(), mm/vmscan.c
 */
import { tryWord, unlockWord } from "../lock.ts";
import {
  type Memory,
  Z_BOOST,
  Z_FREE,
  Z_INDEX,
  Z_MANAGED,
  Z_MIN,
  Z_NODE,
  ZONE_WORDS,
} from "../memory.ts";
import { Z_LOW } from "../words.ts";
import { watermarkOk } from "../zone-watermark.ts";
import { type Balance, balanceNode, isBalanced, isBoosted } from "./balance-node.ts";
import { balanceSplit, balanceZones } from "./balance-zones.ts";
import { resetNodeHints } from "./compact.ts";
import { wakeKcompactd } from "./kcompactd.ts";
import {
  N_FAILURES,
  N_KSWAPD_HIGHEST,
  N_KSWAPD_LAST,
  N_KSWAPD_LOCK,
  N_KSWAPD_ORDER,
  N_KSWAPD_WOKEN,
  NODE_WORDS,
  nodePlace,
  type Pages,
} from "./pages.ts";
import { EVERY_ZONE, zoneReclaimable } from "./scan-counts.ts";
import { zonesOfNode } from "./scan-node.ts";
import { sweepSlots } from "./stored.ts";

/** What one run came to. */
export interface KswapdRun {
  readonly node: number;
  readonly order: number;
  /** Highest zone that it was for. */
  readonly highest: number;
  readonly reclaimed: number;
  /** It came to its mark. */
  readonly balanced: boolean;
  /** It has nothing more to do till somebody wakes it; else the next call goes on. */
  readonly sleeps: boolean;
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
  const at = zone * ZONE_WORDS;
  if (m.zone[at + Z_MANAGED] === 0) return;
  const words = nodePlace(m, zone) * NODE_WORDS;
  const isLow = !watermarkOk(m.zone, at, order, m.zone[at + Z_LOW], 0, 0, m.marks);
  if (rule.lists === "zone" && !isLow) return;
  // What was asked for counts at the next run, even if this does not wake it.
  noteWanted(pages, words, order, highest);
  if (node[words + N_KSWAPD_WOKEN] === 1) return;
  if (rule.lists === "zone-split" && !isLow) return;
  if (rule.lists === "node") {
    const zones = zonesOfNode(m, m.zone[at + Z_NODE]);
    const isEnough = isBalanced(m, zones, order, highest) && !isBoosted(m, zones, highest);
    if (isHopeless(pages, words) || isEnough) {
      if (!waits) wakeKcompactd(pages, nodePlace(m, zone), order, highest);
      return;
    }
  }
  wakeUp(pages, words);
}

function noteWanted({ node, rule }: Pages, words: number, order: number, highest: number): void {
  const before = node[words + N_KSWAPD_HIGHEST];
  if (rule.lists !== "zone-split") node[words + N_KSWAPD_HIGHEST] = Math.max(before, highest);
  else if (order > node[words + N_KSWAPD_ORDER]) {
    // A larger block was asked for in lower zones only; single pages in any.
    node[words + N_KSWAPD_HIGHEST] = before < 0 ? highest : Math.min(before, highest);
  }
  node[words + N_KSWAPD_ORDER] = Math.max(node[words + N_KSWAPD_ORDER], order);
}

function wakeUp({ node, counts }: Pages, words: number): void {
  if (node[words + N_KSWAPD_WOKEN] === 0) counts.kswapdWakes++;
  node[words + N_KSWAPD_WOKEN] = 1;
}

/** kswapd has given the node up until somebody else finds a page there. */
function isHopeless({ node, rule }: Pages, words: number): boolean {
  return rule.hopeless > 0 && node[words + N_FAILURES] >= rule.hopeless;
}

/**
 * Runs kswapd of every node where it is awake, once. A run that does not come to its mark leaves it
 * awake: the next call goes on.
 */
export function runKswapd(pages: Pages): KswapdRun[] {
  return pages.m.nodes.flatMap((id) => {
    if (pages.reclaiming) return [];
    pages.reclaiming = true;
    try {
      return runWoken(pages, id);
    } finally {
      // An owner that is asked may throw.
      pages.reclaiming = false;
    }
  });
}

/** kswapd of one node, where it is awake, and no other worker runs it. The caller reclaims. */
export function runWoken(pages: Pages, id: number): KswapdRun[] {
  const { m, node } = pages;
  const words = m.nodes.indexOf(id) * NODE_WORDS;
  if (node[words + N_KSWAPD_WOKEN] === 0) return [];
  if (m.cpus === null) return runLocked(pages, id, words);
  if (!tryWord(node, words + N_KSWAPD_LOCK, m.cpu)) return [];
  try {
    sweepSlots(pages);
    return runLocked(pages, id, words);
  } finally {
    unlockWord(node, words + N_KSWAPD_LOCK);
  }
}

function runLocked(pages: Pages, id: number, words: number): KswapdRun[] {
  const { m, node, rule } = pages;
  const wanted = node[words + N_KSWAPD_HIGHEST];
  const highest = wanted < 0 ? node[words + N_KSWAPD_LAST] : wanted;
  const order = node[words + N_KSWAPD_ORDER];
  node[words + N_KSWAPD_LAST] = rule.lists === "zone-split" ? EVERY_ZONE : highest;
  node[words + N_KSWAPD_HIGHEST] = -1;
  node[words + N_KSWAPD_ORDER] = 0;
  const zones = zonesOfNode(m, id).filter((zone) => m.zone[zone * ZONE_WORDS + Z_MANAGED] > 0);
  const run = balance(pages, zones, order, highest);
  const sleeps =
    rule.lists === "node"
      ? maySleep(pages, zones, words, highest, run.endOrder < order ? run.endOrder : -1)
      : run.balanced;
  if (sleeps) fallAsleep(pages, id, words, order, highest);
  const { reclaimed, balanced } = run;
  return [{ node: id, order, highest, reclaimed, balanced, sleeps }];
}

function fallAsleep(pages: Pages, id: number, words: number, order: number, highest: number): void {
  pages.node[words + N_KSWAPD_WOKEN] = 0;
  if (pages.rule.lists !== "node") return;
  // What compaction passed over may be worth a look now, and what was wanted made.
  resetNodeHints(pages, id);
  wakeKcompactd(pages, words / NODE_WORDS, order, highest);
}

function balance(pages: Pages, zones: readonly number[], order: number, highest: number): Balance {
  if (pages.rule.lists === "zone") return balanceZones(pages, zones, order);
  if (pages.rule.lists === "zone-split") return balanceSplit(pages, zones, order, highest);
  return balanceNode(pages, zones, order, highest);
}

/**
 * Asked by what the run fell back to, where it did (`fell`, -1 for not); else by what was asked for
 * meanwhile, by those who found it awake. Linux: kswapd(), prepare_kswapd_sleep()
 */
function maySleep(
  pages: Pages,
  zones: readonly number[],
  words: number,
  highest: number,
  fell: number,
): boolean {
  const { m, node, rule } = pages;
  if (isHopeless(pages, words)) return true;
  const wanted = node[words + N_KSWAPD_HIGHEST];
  const top = fell >= 0 || wanted < 0 ? highest : wanted;
  const order = fell >= 0 ? fell : node[words + N_KSWAPD_ORDER];
  return isBalanced(m, zones, order, top, rule.sleepsWhen === "all");
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
  if (node[words + N_KSWAPD_WOKEN] === 0) {
    const highest = Math.min(node[words + N_KSWAPD_HIGHEST], normal);
    node[words + N_KSWAPD_HIGHEST] = highest < 0 ? normal : highest;
    wakeUp(pages, words);
  }
  for (;;) {
    const [run] = runWoken(pages, id);
    if (run === undefined || run.sleeps || allowsDirect(pages, low)) return;
    if (run.reclaimed === 0 && rule.hopeless === 0) return;
  }
}

function allowsDirect(pages: Pages, zones: readonly number[]): boolean {
  const { m, rule } = pages;
  let reserve = 0;
  let free = 0;
  let reclaimable = 0;
  for (const zone of zones) {
    const at = zone * ZONE_WORDS;
    if (m.zone[at + Z_MANAGED] === 0) continue;
    const size = zoneReclaimable(pages, zone);
    reclaimable += size;
    if (size === 0 && isLeftOut(rule.emptyZone, m.zone[at + Z_FREE])) continue;
    reserve += m.zone[at + Z_MIN] + m.zone[at + Z_BOOST];
    free += m.zone[at + Z_FREE];
  }
  if (reclaimable === 0 && rule.emptyZone === "with-node") return true;
  return reserve === 0 || free > Math.floor(reserve / 2);
}

function isLeftOut(rule: string, free: number): boolean {
  if (rule === "left-out-while-free") return free > 0;
  return rule === "left-out" || rule === "free-counts";
}

/** Index of ZONE_NORMAL; of the highest zone where there is none of that name. */
function normalIndex(m: Memory): number {
  let index = EVERY_ZONE;
  m.spec.zones.forEach(({ name }, zone) => {
    if (name === "Normal") index = m.zone[zone * ZONE_WORDS + Z_INDEX];
  });
  return index;
}
