/**
 * Compaction: movable pages of a zone go from its lower end to free places at its
 * upper end, until a block of the wanted order is free or the scanners meet.
 *
 *   compact-run.ts        what one run is
 *   compact-source.ts     the migrate scanner
 *   compact-target.ts     the free scanner
 *   compact-suitable.ts   whether it can help
 *   compact-defer.ts      how it is put off
 *   compact-request.ts    for whom: a request's own
 *   kcompactd.ts          a node's thread
 *
 * Linux: compact_zone(), mm/compaction.c
 */
import { assert } from "../../base/assert.ts";
import { assertOrder, assertZone } from "../arguments.ts";
import { blockStart } from "../compaction.ts";
import { resetIsolationSuitable } from "../compaction-hints.ts";
import { drainFrom } from "../drain.ts";
import { canSteal } from "../fallback.ts";
import { P_COUNT, PCP_WORDS, Z_NODE, Z_ORDERS_OF, ZONE_WORDS } from "../memory.ts";
import { CMA, MOVABLE, PCP_TYPES } from "../rule.ts";
import { isRestarting } from "./compact-defer.ts";
import { endOf, haveMet, isPicky, newRun, type Run, type RunWish } from "./compact-run.ts";
import { dropIsolated, isolateMigratepages } from "./compact-source.ts";
import { D_FLUSH, wordsOf } from "./compact-state.ts";
import { compactionSuitable, scoreMark, zoneScore } from "./compact-suitable.ts";
import { releasePlaces, returnPlace, takePlace } from "./compact-target.ts";
import { migratePages } from "./migrate.ts";
import { N_KSWAPD_WOKEN, NODE_WORDS, nodePlace, type Pages, PG_LRU } from "./pages.ts";

/** By the kernel's names, the worst first. Linux: enum compact_result, include/linux/compaction.h */
export type CompactResult =
  /** Too few free pages to move anything to, or a lack of memory and not of order. */
  | "skipped"
  /** The last runs failed. */
  | "deferred"
  /** The whole zone was gone through. */
  | "complete"
  /** Part of it was: from where earlier runs stopped. */
  | "partial_skipped"
  /** The free scanner found no place any more. */
  | "contended"
  /** There is a block. */
  | "success";

/**
 * Compacts one zone for a block of `order`, as kcompactd would; for -1 all of it, as a write to
 * /proc/sys/vm/compact_memory. Nothing happens in a memory without migration. Asserts zone, order, and
 * `highest`: the index of the highest zone that the block is for.
 *
 * Linux: compact_node(), kcompactd_do_work(), mm/compaction.c
 */
export function compactZone(
  pages: Pages,
  zone: number,
  order: number,
  highest = 15,
  flags = 0,
): CompactResult {
  assertZone(pages.m, zone);
  if (order !== -1) assertOrder(pages.m, order);
  assert(highest >>> 0 === highest, "a zone has an index", highest);
  const all = order < 0;
  const mode = all ? "full" : "light";
  const wish: RunWish = { order, mode, highest, flags, whole: all, ignoreSkipHint: all };
  return runOver(newRun(pages, zone, wish));
}

/** One run, from its checks to its end. Linux: compact_zone(), mm/compaction.c */
export function runOver(run: Run): CompactResult {
  const { pages, zone, wish } = run;
  if (!pages.migration) return "skipped";
  const { order, flags = 0, highest = 15 } = wish;
  const suitable = compactionSuitable(pages.m, zone, order, flags, highest);
  if (suitable !== "continue") return suitable;
  if (isRestarting(pages.compaction, zone, order)) resetHints(pages, zone);
  begin(run);
  try {
    return goThrough(run);
  } finally {
    // An owner that is asked may throw.
    dropIsolated(run);
    end(run);
  }
}

/** Where the scanners begin: where they stopped, if that is known and of this zone. */
function begin(run: Run): void {
  const { m, compaction } = run.pages;
  const { zoneStart, zoneEnd } = run;
  const zone = compaction.zones[run.zone];
  const last = blockStart(m, zoneEnd - 1);
  run.migratePfn = zoneStart;
  run.freePfn = last;
  if (run.whole || zone === undefined) return;
  const isIn = (pfn: number): boolean => pfn >= zoneStart && pfn < zoneEnd;
  const migrate = run.wish.mode === "async" ? zone.cachedAsync : zone.cachedSync;
  if (isIn(zone.cachedFree)) run.freePfn = zone.cachedFree;
  else zone.cachedFree = last;
  if (isIn(migrate)) run.migratePfn = migrate;
  else {
    zone.cachedAsync = zoneStart;
    zone.cachedSync = zoneStart;
  }
  if (run.migratePfn <= zone.initMigrate) run.whole = true;
}

/** Until it has what it wants, or there is nothing to move or nowhere to. */
function goThrough(run: Run): CompactResult {
  const { pages, order } = run;
  const zone = pages.compaction.zones[run.zone];
  let updates =
    run.wish.mode === "async" && zone !== undefined && zone.cachedAsync === zone.cachedSync;
  // As in the kernel 0 is none, and the pageblock of pfn 0 is always gone over again.
  let last = 0;
  for (;;) {
    const result = finished(run);
    if (result !== null) return result;
    const from = run.migratePfn;
    const again = blockStart(pages.m, last) === blockStart(pages.m, from);
    run.rescan = again && pages.compaction.rule.searches;
    if (isolateMigratepages(run)) {
      updates = false;
      last = from;
      const moved = migratePages(
        pages,
        run.isolated,
        () => takePlace(run),
        (row) => returnPlace(run, row),
      );
      dropIsolated(run);
      if (moved === "-ENOMEM" && !haveMet(run)) return "contended";
      if (moved !== "moved" && isPicky(run)) {
        // One of them stays, so the rest of this block of the wanted order may as well.
        run.migratePfn = endOf(run.migratePfn - 1, order);
        last = 0;
      }
    } else if (updates && zone !== undefined) zone.cachedSync = zone.cachedAsync;
    if (order > 0 && last > 0 && last < endOf(run.migratePfn, order) - 2 ** order) {
      drainOwn(run);
      last = 0;
    }
  }
}

/** Freed pages merge, so that the block of the wanted order shows. Linux: lru_add_drain_cpu_zone(), mm/swap.c */
function drainOwn({ pages, zone }: Run): void {
  const { m } = pages;
  const count = m.pcp[(zone * m.cpuCount + m.cpu) * PCP_WORDS + P_COUNT];
  drainFrom(m, zone, m.cpu, count, 0);
}

/** Null while the run goes on. Linux: __compact_finished(), mm/compaction.c */
function finished(run: Run): CompactResult | null {
  const { pages, wish } = run;
  const { m, compaction } = pages;
  if (haveMet(run)) {
    startAnew(run);
    // kswapd does it when it sleeps, for requests only.
    if (run.direct) compaction.zone[wordsOf(run.zone) + D_FLUSH] = 1;
    return run.whole ? "complete" : "partial_skipped";
  }
  if (wish.proactive === true) {
    if (isKswapdRunning(pages, run.zone)) return "partial_skipped";
    return zoneScore(m, run.zone) > scoreMark(compaction.proactiveness, true) ? null : "success";
  }
  if (run.order < 0 || run.migratePfn !== blockStart(m, run.migratePfn)) return null;
  return hasBlockFor(run) ? "success" : null;
}

/** Linux: reset_cached_positions(), mm/compaction.c */
function startAnew({ pages, zone, zoneStart, zoneEnd }: Run): void {
  const state = pages.compaction.zones[zone];
  if (state === undefined) return;
  state.cachedAsync = zoneStart;
  state.cachedSync = zoneStart;
  state.cachedFree = blockStart(pages.m, zoneEnd - 1);
}

/** Whether the request's type has a block, or would take another's with its pageblock. */
function hasBlockFor({ pages, zone, order, type }: Run): boolean {
  const { m } = pages;
  const lists = zone * ZONE_WORDS + Z_ORDERS_OF;
  let orders = m.zone[lists + type];
  if (type === MOVABLE) orders |= m.zone[lists + CMA];
  for (let other = 0; other < PCP_TYPES; other++) {
    if (other === type) continue;
    for (let own = order; own <= m.maxOrder; own++) {
      if (canSteal(m, own, type)) orders |= m.zone[lists + other] & (1 << own);
    }
  }
  return orders >> order !== 0;
}

/** Whether a node's kswapd has work. Linux: kswapd_is_running(), mm/compaction.c */
export function isKswapdRunning({ m, node }: Pages, zone: number): boolean {
  return node[nodePlace(m, zone) * NODE_WORDS + N_KSWAPD_WOKEN] === 1;
}

/** Places that are left go back, and the next run's free scanner begins no lower. */
function end(run: Run): void {
  const { m, compaction, counts } = run.pages;
  const zone = compaction.zones[run.zone];
  const highest = releasePlaces(run);
  if (highest >= 0 && zone !== undefined) {
    zone.cachedFree = Math.max(zone.cachedFree, blockStart(m, highest));
  }
  counts.compactMigrateScanned += run.migrateScanned;
  counts.compactFreeScanned += run.freeScanned;
}

/** Hints of a zone are forgotten, if a request's run went through it. Linux: __reset_isolation_suitable(), mm/compaction.c */
function resetHints(pages: Pages, zone: number): void {
  const { m, compaction } = pages;
  const flush = wordsOf(zone) + D_FLUSH;
  const state = compaction.zones[zone];
  if (compaction.zone[flush] === 0 || state === undefined) return;
  compaction.zone[flush] = 0;
  const { zoneStart, zoneEnd } = newRun(pages, zone, { order: -1, mode: "full" });
  const isListed = (row: number): boolean => (pages.flags[row] & PG_LRU) !== 0;
  resetIsolationSuitable(m, zone, zoneStart, zoneEnd, compaction.skip, state, isListed);
}

/** kswapd of a node goes to sleep. Linux: reset_isolation_suitable(), mm/compaction.c */
export function resetNodeHints(pages: Pages, id: number): void {
  const { m } = pages;
  for (let zone = 0; zone < m.zoneCount; zone++) {
    if (m.zone[zone * ZONE_WORDS + Z_NODE] === id) resetHints(pages, zone);
  }
}
