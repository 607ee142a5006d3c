/**
 * What a request that may wait does when its passes have failed: compaction for larger
 * blocks, reclaim, a look at the lists after each, and the rules by which it tries
 * again or gives up.
 *
 * Linux: __alloc_pages_slowpath(), __alloc_pages_direct_reclaim(),
 * __alloc_pages_direct_compact(), should_reclaim_retry(), mm/page_alloc.c
 */
import { takeFromList, wakeAll } from "../allocate.ts";
import { drainAllPages } from "../drain-all.ts";
import { reserveFlags } from "../gfp-alloc.ts";
import { unreserveHighatomic } from "../highatomic.ts";
import { COSTLY_ORDER, Z_BOOST, Z_FREE, Z_INDEX, Z_MIN, ZONE_WORDS, zoneOf } from "../memory.ts";
import { MOVABLE } from "../rule.ts";
import { watermarkOk } from "../zone-watermark.ts";
import { endDeferral } from "./compact-defer.ts";
import {
  type CompactRequest,
  type CompactTries,
  mayCompact,
  newTries,
  PRIO_ASYNC,
  shouldRetry,
  tryToCompact,
} from "./compact-request.ts";
import { tryToFreePages, zonesOfList } from "./direct.ts";
import { runWoken, wakeKswapd } from "./kswapd.ts";
import type { Pages } from "./pages.ts";
import { zoneReclaimable } from "./scan-counts.ts";

/** Reclaims in a row that freed nothing before a request gives up. */
const MAX_RECLAIM_RETRIES = 16;

/** From now on requests that may wait reclaim and compact. */
export function usePressure(pages: Pages): void {
  pages.m.pressure = {
    wake: (zone, order, highest, waits) => wakeKswapd(pages, zone, order, highest, waits),
    relieve: (gfp, order, highest, type, list, flags) => {
      const request = { gfp, order, highest, type, list, flags };
      // Who reclaims already takes what there is.
      if (pages.reclaiming) return takeDrained(pages, request);
      return serve(pages, request);
    },
  };
}

function serve(pages: Pages, request: CompactRequest): number {
  const { m } = pages;
  const { gfp, order, type, highest, list } = request;
  const tries = newTries();
  const isCostly = order > COSTLY_ORDER;
  const noRetry = (gfp & m.gfp.noretry) !== 0;
  // Where reclaim is not likely to help, or pageblocks would mix: a light look first. Not for those whom
  // no mark holds.
  const isFree = reserveFlags(gfp, m.gfp.era, {}) !== 0;
  if (!isFree && (isCostly || (order > 0 && type !== MOVABLE))) {
    const row = compactFor(pages, request, PRIO_ASYNC, tries);
    if (row >= 0) return row;
    if (isCostly && noRetry) {
      const isVain = tries.result === "skipped" || tries.result === "deferred";
      if (isVain || isForOneNode(pages, gfp)) return -1;
      tries.priority = PRIO_ASYNC;
    }
  }
  let total = 0;
  let vain = 0;
  for (let loops = 0; ; ) {
    if (m.gfp.kswapd === 0 || (gfp & m.gfp.kswapd) !== 0) wakeAll(m, gfp, order, highest, list);
    let row = take(pages, request);
    if (row >= 0) return row;
    const before = stolen(pages);
    const freed = reclaimFor(pages, request);
    if (freed > 0) row = takeFreed(pages, request);
    if (row < 0) row = compactFor(pages, request, tries.priority, tries);
    if (row >= 0) return row;
    if (noRetry || (isCostly && (gfp & m.gfp.retry) === 0)) return -1;
    if (isCostly && !mayCompact(pages, gfp)) return -1;
    if (pages.rule.retries === "progress") {
      total += freed;
      vain = stolen(pages) === before ? vain + 1 : 0;
      if (freed > 0 && vain <= MAX_RECLAIM_RETRIES && goesOn(pages, order, total)) continue;
      return takeDrained(pages, request);
    }
    loops = freed > 0 && !isCostly ? 0 : loops + 1;
    if (loops <= MAX_RECLAIM_RETRIES && couldServe(pages, request, loops)) continue;
    if (m.rule.highatomic && unreserveHighatomic(m, list, type, true)) continue;
    if (freed > 0 && mayCompact(pages, gfp) && shouldRetry(pages, request, tries)) continue;
    return takeDrained(pages, request);
  }
}

/**
 * Pages that reclaim has freed. It says 1, and "go on", for none too, where compaction ought to help; a
 * kernel then tries until others free something, but here nobody else runs.
 */
function stolen({ counts }: Pages): number {
  return counts.pgstealDirect + counts.pgstealKswapd;
}

/** One pass. Linux: get_page_from_freelist() */
function take({ m }: Pages, request: CompactRequest): number {
  const { order, highest, type, list, flags } = request;
  return takeFromList(m, order, highest, type, list, flags);
}

/** What was freed may wait on per-CPU lists, or be kept back. Linux: __alloc_pages_direct_reclaim(), mm/page_alloc.c */
function takeFreed(pages: Pages, request: CompactRequest): number {
  const { m } = pages;
  const row = take(pages, request);
  if (row >= 0) return row;
  if (m.rule.highatomic) unreserveHighatomic(m, request.list, request.type, false);
  drainAllPages(m);
  return take(pages, request);
}

/** The last look before an OOM kill: nothing waits on a list any more, nothing is kept back. */
function takeDrained(pages: Pages, request: CompactRequest): number {
  const { m } = pages;
  drainAllPages(m);
  let row = take(pages, request);
  while (row < 0 && m.rule.highatomic && unreserveHighatomic(m, request.list, request.type, true)) {
    row = take(pages, request);
  }
  return row;
}

function isForOneNode({ m }: Pages, gfp: number): boolean {
  return (gfp & (m.gfp.era.bits.get("__GFP_THISNODE") ?? 0)) !== 0;
}

function reclaimFor(pages: Pages, { gfp, order, highest, list }: CompactRequest): number {
  pages.reclaiming = true;
  try {
    return tryToFreePages(pages, gfp, order, highest, list);
  } finally {
    // An owner that is asked may throw.
    pages.reclaiming = false;
  }
}

/**
 * Compaction, and a block if it made one: a row, or -1. It counts unless no zone was fit for it.
 * Linux: __alloc_pages_direct_compact(), mm/page_alloc.c
 */
function compactFor(
  pages: Pages,
  request: CompactRequest,
  priority: number,
  tries: CompactTries,
): number {
  const { m, counts } = pages;
  tries.result = "skipped";
  if (request.order === 0) return -1;
  pages.reclaiming = true;
  try {
    tries.result = tryToCompact(pages, request, priority);
  } finally {
    pages.reclaiming = false;
  }
  if (tries.result === "skipped") return -1;
  counts.compactStall++;
  const row = take(pages, request);
  if (row < 0) {
    counts.compactFail++;
    return -1;
  }
  endDeferral(pages.compaction, zoneOf(m, row), request.order, true);
  counts.compactSuccess++;
  return row;
}

/**
 * While there is progress a request goes on; for a costly block until as much as it is freed. It waits
 * for devices first: kswapd goes on meanwhile. Linux: should_alloc_retry() of 3.10
 */
function goesOn(pages: Pages, order: number, total: number): boolean {
  if (pages.rule.lists === "zone") return true;
  if (order > COSTLY_ORDER && total >= 1 << order) return false;
  pages.reclaiming = true;
  try {
    for (const node of pages.m.nodes) runWoken(pages, node);
  } finally {
    // An owner that is asked may throw.
    pages.reclaiming = false;
  }
  return true;
}

/** Whether some zone would serve if all that can go went. Linux: should_reclaim_retry(), mm/page_alloc.c */
function couldServe(
  pages: Pages,
  { order, highest, list, flags }: CompactRequest,
  loops: number,
): boolean {
  const { m, rule } = pages;
  return zonesOfList(m, list).some((zone) => {
    const at = zone * ZONE_WORDS;
    if (m.zone[at + Z_INDEX] > highest) return false;
    const row = m.zone.slice(at, at + ZONE_WORDS);
    let size = zoneReclaimable(pages, zone);
    // Each try in vain makes what is there less likely to go.
    if (rule.retries === "could-serve-less") {
      size -= Math.ceil((loops * size) / MAX_RECLAIM_RETRIES);
    }
    row[Z_FREE] += size;
    const min = m.zone[at + Z_MIN] + m.zone[at + Z_BOOST];
    return watermarkOk(row, 0, order, min, highest, flags, m.marks);
  });
}
