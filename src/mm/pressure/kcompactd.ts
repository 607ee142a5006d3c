/**
 * kcompactd: once kswapd has freed enough, it makes blocks of the order that somebody
 * wanted; and unasked, where a node's free memory is too much in pieces. Nothing runs by
 * itself here: whoever drives the memory calls `runKcompactd` when the nodes' threads
 * would get the CPU. A call that nobody asked for stands for half a second that has passed.
 *
 * Linux: kcompactd(), kcompactd_do_work(), wakeup_kcompactd(), mm/compaction.c
 */
import { drainZone } from "../drain-all.ts";
import { tryWord, unlockWord } from "../lock.ts";
import { Z_INDEX, Z_PRESENT, ZONE_WORDS } from "../memory.ts";
import { type CompactResult, isKswapdRunning, runOver } from "./compact.ts";
import { deferCompaction, endDeferral, isDeferred, MAX_DEFER_SHIFT } from "./compact-defer.ts";
import { newRun, type Run } from "./compact-run.ts";
import {
  assertProactiveness,
  DAEMON_WORDS,
  K_HIGHEST,
  K_LOCK,
  K_ORDER,
  K_TRIGGER,
  K_WAITS,
  K_WOKEN,
  NO_LIMIT,
} from "./compact-state.ts";
import { compactionSuitable, nodeScore, scoreMark } from "./compact-suitable.ts";
import type { Pages } from "./pages.ts";
import { zonesOfNode } from "./scan-node.ts";

/** What one run came to. */
export interface KcompactdRun {
  readonly node: number;
  /** -1 where nobody asked for it. */
  readonly order: number;
  /** Highest zone that it was for. */
  readonly highest: number;
  /** Zones that were gone through, and what of it came. */
  readonly zones: readonly { readonly zone: number; readonly result: CompactResult }[];
}

/**
 * A block of `order` is wanted in zones up to `highest` of the node at `place`. It is noted; kcompactd
 * is woken for it where compaction may help some zone. Linux: wakeup_kcompactd(), mm/compaction.c
 */
export function wakeKcompactd(pages: Pages, place: number, order: number, highest: number): void {
  const { compaction, migration } = pages;
  const { daemon, rule } = compaction;
  if (order === 0 || !rule.kcompactd || !migration) return;
  const at = place * DAEMON_WORDS;
  daemon[at + K_ORDER] = Math.max(daemon[at + K_ORDER], order);
  daemon[at + K_HIGHEST] = Math.min(daemon[at + K_HIGHEST], highest);
  if (daemon[at + K_WOKEN] === 1 || !isNodeSuitable(pages, place)) return;
  daemon[at + K_WOKEN] = 1;
}

/** Whether some zone that was asked for can be compacted. Linux: kcompactd_node_suitable(), mm/compaction.c */
function isNodeSuitable(pages: Pages, place: number): boolean {
  const { daemon } = pages.compaction;
  const order = daemon[place * DAEMON_WORDS + K_ORDER];
  const highest = daemon[place * DAEMON_WORDS + K_HIGHEST];
  return populated(pages, place, highest).some(
    (zone) => compactionSuitable(pages.m, zone, order, 0, highest) === "continue",
  );
}

/** Zones of a node with memory, up to `highest`. Linux: populated_zone() */
function populated({ m }: Pages, place: number, highest: number): number[] {
  return zonesOfNode(m, m.nodes[place] ?? 0).filter((zone) => {
    const at = zone * ZONE_WORDS;
    return m.zone[at + Z_PRESENT] > 0 && m.zone[at + Z_INDEX] <= highest;
  });
}

/** Runs kcompactd of every node once, from one sleep to the next. Runs that did something are told. */
export function runKcompactd(pages: Pages): KcompactdRun[] {
  const { m, compaction, migration } = pages;
  if (!compaction.rule.kcompactd || !migration || pages.reclaiming) return [];
  pages.reclaiming = true;
  try {
    return m.nodes.flatMap((_, place) => runOne(pages, place));
  } finally {
    // An owner that is asked may throw.
    pages.reclaiming = false;
  }
}

/** Of one node, where no other worker runs it. */
function runOne(pages: Pages, place: number): KcompactdRun[] {
  const { m, compaction } = pages;
  const { daemon } = compaction;
  const at = place * DAEMON_WORDS;
  if (m.cpus !== null && !tryWord(daemon, at + K_LOCK, m.cpu)) return [];
  try {
    if (!isUp(pages, place)) return [];
    const isAsked = daemon[at + K_ORDER] > 0;
    const isTriggered = daemon[at + K_TRIGGER] === 1;
    daemon[at + K_TRIGGER] = 0;
    daemon[at + K_WAITS] = 0;
    // Whoever sets the proactiveness goes first; what was asked for waits for the next round.
    return isAsked && !isTriggered ? [work(pages, place)] : actUnasked(pages, place);
  } finally {
    if (m.cpus !== null) unlockWord(daemon, at + K_LOCK);
  }
}

/** Whether a node's thread was woken, or has slept for as long as it wanted to. */
function isUp({ compaction }: Pages, place: number): boolean {
  const { daemon, proactiveness } = compaction;
  const at = place * DAEMON_WORDS;
  const isWoken = daemon[at + K_WOKEN] === 1 || daemon[at + K_TRIGGER] === 1;
  daemon[at + K_WOKEN] = 0;
  if (isWoken) return true;
  // Without work of its own it sleeps until it is woken.
  if (proactiveness === 0) return false;
  if (daemon[at + K_WAITS] === 0) return true;
  daemon[at + K_WAITS]--;
  return false;
}

/** Linux: kcompactd_do_work(), mm/compaction.c */
function work(pages: Pages, place: number): KcompactdRun {
  const { m, compaction, counts } = pages;
  const { daemon } = compaction;
  const at = place * DAEMON_WORDS;
  const order = daemon[at + K_ORDER];
  const highest = daemon[at + K_HIGHEST];
  counts.compactDaemonWake++;
  const zones: { zone: number; result: CompactResult }[] = [];
  let run: Run | null = null;
  for (const zone of populated(pages, place, highest)) {
    if (isDeferred(compaction, zone, order)) continue;
    const index = m.zone[zone * ZONE_WORDS + Z_INDEX];
    if (compactionSuitable(pages.m, zone, order, 0, index) !== "continue") continue;
    run = newRun(pages, zone, { order, mode: "light", highest }, run);
    const result = runOver(run);
    zones.push({ zone, result });
    if (result === "success") endDeferral(compaction, zone, order, false);
    else if (result === "complete" || result === "partial_skipped") {
      // What waits on per-CPU lists may be what lacks.
      drainZone(m, zone);
      deferCompaction(compaction, zone, order);
    }
    counts.compactDaemonMigrateScanned += run.migrateScanned;
    counts.compactDaemonFreeScanned += run.freeScanned;
  }
  // Somebody may have asked for more meanwhile.
  if (daemon[at + K_ORDER] <= order) daemon[at + K_ORDER] = 0;
  if (daemon[at + K_HIGHEST] >= highest) daemon[at + K_HIGHEST] = NO_LIMIT;
  return { node: m.nodes[place] ?? 0, order, highest, zones };
}

/**
 * Unasked: a node whose score is above the upper mark is compacted down to the lower one. Where that
 * does not help, the next 63 rounds are slept through. Linux: kcompactd(), should_proactive_compact_node()
 */
function actUnasked(pages: Pages, place: number): KcompactdRun[] {
  const { m, compaction } = pages;
  const { daemon, proactiveness } = compaction;
  const zones = populated(pages, place, NO_LIMIT);
  const before = nodeScore(m, zones);
  const first = zones[0];
  if (proactiveness === 0 || first === undefined || isKswapdRunning(pages, first)) return [];
  if (before <= scoreMark(proactiveness, false)) return [];
  const done = zones.map((zone) => ({ zone, result: runOver(proactiveRun(pages, zone)) }));
  if (nodeScore(m, zones) >= before) {
    daemon[place * DAEMON_WORDS + K_WAITS] = (1 << MAX_DEFER_SHIFT) - 1;
  }
  return [{ node: m.nodes[place] ?? 0, order: -1, highest: NO_LIMIT, zones: done }];
}

/** Linux: proactive_compact_node(), mm/compaction.c */
function proactiveRun(pages: Pages, zone: number): Run {
  const wish = { order: -1, mode: "light", whole: true, ignoreSkipHint: true } as const;
  return newRun(pages, zone, { ...wish, proactive: true });
}

/**
 * Writes vm.compaction_proactiveness, 0 to 100: kcompactd of every node looks at once. Nothing in eras
 * that have none. Asserts the value. Linux: compaction_proactiveness_sysctl_handler(), mm/compaction.c
 */
export function setProactiveness({ m, compaction }: Pages, value: number): void {
  assertProactiveness(value);
  if (compaction.rule.proactiveness === 0) return;
  compaction.proactiveness = value;
  if (value === 0) return;
  for (let place = 0; place < m.nodes.length; place++) {
    compaction.daemon[place * DAEMON_WORDS + K_TRIGGER] = 1;
  }
}
