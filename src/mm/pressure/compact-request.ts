/**
 * A request's own compaction: zone by zone of its list, at one of three priorities,
 * and whether another try is worth it.
 *
 * Linux: try_to_compact_pages(), mm/compaction.c; should_compact_retry(), mm/page_alloc.c;
 * enum compact_priority, include/linux/compaction.h
 */
import { COSTLY_ORDER, Z_INDEX, ZONE_WORDS } from "../memory.ts";
import { type CompactResult, runOver } from "./compact.ts";
import { deferCompaction, endDeferral, isDeferred } from "./compact-defer.ts";
import { newRun } from "./compact-run.ts";
import { zonelistSuitable } from "./compact-suitable.ts";
import type { Pages } from "./pages.ts";

/** Priorities: the whole zone whatever hints say; waiting for locks; never waiting. */
export const PRIO_FULL = 0;
export const PRIO_LIGHT = 1;
export const PRIO_ASYNC = 2;

/** A request's tries so far: the priority of the next one, and how many made a block in vain. */
export interface CompactTries {
  priority: number;
  retries: number;
  /** What the last one came to. */
  result: CompactResult;
}

/** Linux: DEF_COMPACT_PRIORITY, __alloc_pages_slowpath(), mm/page_alloc.c */
export function newTries(): CompactTries {
  return { priority: PRIO_LIGHT, retries: 0, result: "skipped" };
}

/** Who asks. */
export interface CompactRequest {
  readonly gfp: number;
  readonly order: number;
  readonly type: number;
  /** Highest zone, list of zones, and ALLOC_*. */
  readonly highest: number;
  readonly list: number;
  readonly flags: number;
}

const RANKS: readonly CompactResult[] = [
  "skipped",
  "deferred",
  "complete",
  "partial_skipped",
  "contended",
  "success",
];

/** Whether a request may compact at all. Linux: gfp_compaction_allowed(), include/linux/gfp.h */
export function mayCompact({ m, migration, compaction }: Pages, gfp: number): boolean {
  const { direct, withoutFs } = compaction.rule;
  const { bits } = m.gfp.era;
  const needed = (bits.get("__GFP_IO") ?? 0) | (withoutFs ? 0 : (bits.get("__GFP_FS") ?? 0));
  return migration && direct && (gfp & needed) === needed;
}

/**
 * Compacts the zones of a list until one should be able to serve. The best that a zone came to is
 * returned. Linux: try_to_compact_pages(), compact_zone_order(), mm/compaction.c
 */
export function tryToCompact(
  pages: Pages,
  request: CompactRequest,
  priority: number,
): CompactResult {
  const { m, compaction } = pages;
  const { gfp, order, type, highest, list, flags } = request;
  if (!mayCompact(pages, gfp)) return "skipped";
  const full = priority === PRIO_FULL;
  const fs = m.gfp.era.bits.get("__GFP_FS") ?? 0;
  let best = 0;
  for (let i = list + 1; m.zonelist[i] >= 0; i++) {
    const zone = m.zonelist[i];
    if (m.zone[zone * ZONE_WORDS + Z_INDEX] > highest) continue;
    if (!full && isDeferred(compaction, zone, order)) {
      best = Math.max(best, RANKS.indexOf("deferred"));
      continue;
    }
    const run = newRun(pages, zone, {
      order,
      type,
      flags,
      highest,
      mode: priority === PRIO_ASYNC ? "async" : "light",
      direct: true,
      whole: full,
      ignoreSkipHint: full,
      anyBlock: full,
      noFs: (gfp & fs) === 0,
    });
    const result = runOver(run);
    best = Math.max(best, RANKS.indexOf(result));
    if (result === "success") {
      endDeferral(compaction, zone, order, false);
      break;
    }
    const isVain = result === "complete" || result === "partial_skipped";
    if (priority !== PRIO_ASYNC && isVain) deferCompaction(compaction, zone, order);
  }
  return RANKS[best] ?? "skipped";
}

/** Blocks that were made and lost to others before a request tries harder; a quarter of it for costly orders. */
const MAX_COMPACT_RETRIES = 16;

/**
 * Whether a request whose compaction came to `tries.result` goes on; the priority of the next try may
 * be higher then. Linux: should_compact_retry(), mm/page_alloc.c
 */
export function shouldRetry(pages: Pages, request: CompactRequest, tries: CompactTries): boolean {
  const { order, highest, list, flags } = request;
  const { result } = tries;
  if (order === 0) return false;
  if (result === "success") {
    tries.retries++;
    const most = order > COSTLY_ORDER ? MAX_COMPACT_RETRIES / 4 : MAX_COMPACT_RETRIES;
    if (tries.retries <= most) return true;
  }
  // Nothing to move pages to: only if reclaim can help that.
  if (result === "skipped") return zonelistSuitable(pages, order, highest, list, flags);
  const least = order > COSTLY_ORDER ? PRIO_LIGHT : PRIO_FULL;
  if (tries.priority <= least) return false;
  tries.priority--;
  tries.retries = 0;
  return true;
}
