/**
 * The free scanner: places for pages that move, from the zone's upper end down. It
 * looks at the free lists first, and walks where they give nothing.
 *
 * Linux: isolate_freepages(), isolate_freepages_block(), fast_isolate_around(),
 * compaction_alloc(), mm/compaction.c
 */
import { freePages } from "../allocate.ts";
import {
  addPlaces,
  blockStart,
  COMPACT_CLUSTER,
  fastIsolateFreepages,
  isolateFreePage,
} from "../compaction.ts";
import { lockZone, unlockZone } from "../lock.ts";
import { EXTENT, FREE, KIND_MASK, MOBILE, ORDER_MASK, pfnOf, rowOf, TAKEN } from "../memory.ts";
import {
  endOf,
  hint,
  isForMovable,
  isHinted,
  isPicky,
  type Run,
  rowOfBlock,
} from "./compact-run.ts";

/** Row of a taken single page for one that moves; -1 when there is no more. Linux: compaction_alloc(), mm/compaction.c */
export function takePlace(run: Run): number {
  if (run.places.length === 0) isolateFreepages(run);
  const pfn = run.places.pop();
  return pfn === undefined ? -1 : rowOf(run.pages.m, pfn);
}

/** A place that was not used after all is the next. Linux: compaction_free(), mm/compaction.c */
export function returnPlace(run: Run, row: number): void {
  run.places.push(pfnOf(run.pages.m, row));
}

/** Places that are left at the end of a run; the highest pfn of them, -1 for none. Linux: release_freepages() */
export function releasePlaces(run: Run): number {
  let highest = -1;
  for (let pfn = run.places.pop(); pfn !== undefined; pfn = run.places.pop()) {
    highest = Math.max(highest, pfn);
    freePages(run.pages.m, pfn, 0);
  }
  return highest;
}

/** Linux: isolate_freepages(), mm/compaction.c */
function isolateFreepages(run: Run): void {
  const { pages } = run;
  const { m, compaction } = pages;
  if (compaction.rule.searches) look(run);
  if (run.places.length > 0) return;
  const size = 2 ** m.pageblockOrder;
  const lowest = endOf(run.migratePfn, m.pageblockOrder);
  let from = run.freePfn;
  let start = blockStart(m, from);
  let end = Math.min(start + size, run.zoneEnd);
  let stride = run.wish.mode === "async" ? COMPACT_CLUSTER : 1;
  for (; start >= lowest; end = start, start -= size, from = start) {
    const row = rowOfBlock(run, start, end);
    if (row < 0 || !isTarget(run, row) || isHinted(run, row)) continue;
    const before = run.places.length;
    from = walk(run, from, end, stride);
    if (from === end) noteFree(run, row, start);
    if (run.places.length >= run.migratePages) {
      if (from >= end) from = start - size;
      break;
    }
    if (from < end) break;
    stride = run.places.length > before ? 1 : Math.min(COMPACT_CLUSTER, stride << 1);
  }
  run.freePfn = from;
}

/** The lists' own places, and more around them where that is not enough. Linux: fast_isolate_freepages() */
function look(run: Run): void {
  const { m, compaction } = run.pages;
  const zone = compaction.zones[run.zone];
  if (zone === undefined) return;
  lockZone(m, run.zone);
  const seen = fastIsolateFreepages(m, run, zone);
  unlockZone(m, run.zone);
  run.pages.counts.compactIsolated += run.places.length;
  if (seen < 0 || run.places.length >= run.migratePages || isPicky(run)) return;
  const start = Math.max(blockStart(m, seen), run.zoneStart);
  const end = Math.min(endOf(seen, m.pageblockOrder), run.zoneEnd);
  const row = rowOfBlock(run, start, end);
  if (row < 0) return;
  walk(run, start, end, 1);
  if (run.places.length < run.migratePages) hint(run, row);
}

/** Linux: suitable_migration_target(), mm/compaction.c */
function isTarget({ pages, wish }: Run, row: number): boolean {
  const { m } = pages;
  const kind = m.state[row] & KIND_MASK;
  // A whole free pageblock is what compaction is for.
  if (kind === EXTENT || (kind === FREE && (m.state[row] & ORDER_MASK) >= m.pageblockOrder)) {
    return false;
  }
  return wish.anyBlock === true || isForMovable(m.blockType[row >> m.pageblockOrder]);
}

/** The free scanner has seen all of a pageblock. Linux: update_pageblock_skip(), mm/compaction.c */
function noteFree(run: Run, row: number, start: number): void {
  hint(run, row);
  const zone = run.pages.compaction.zones[run.zone];
  if (zone !== undefined && start < zone.cachedFree) zone.cachedFree = start;
}

/**
 * Takes free blocks from `from` to `end` until there are places enough; where it stopped is returned.
 * A large block in use is stepped over. Linux: isolate_freepages_block(), mm/compaction.c
 */
function walk(run: Run, from: number, end: number, stride: number): number {
  const { m, counts } = run.pages;
  const base = rowOf(m, from) - from;
  let pfn = from;
  lockZone(m, run.zone);
  for (; pfn < end; pfn += stride) {
    run.freeScanned++;
    const row = base + pfn;
    const kind = m.state[row] & KIND_MASK;
    const order = m.state[row] & ORDER_MASK;
    const size = 1 << order;
    if (kind === TAKEN || kind === MOBILE) pfn += size - 1;
    if (kind !== FREE) continue;
    if (!isolateFreePage(m, row, order)) break;
    addPlaces(run, pfn, size);
    run.freeScanned += size - 1;
    counts.compactIsolated += size;
    if (run.migratePages <= run.places.length) {
      pfn += size;
      break;
    }
    pfn += size - 1;
  }
  unlockZone(m, run.zone);
  return Math.min(pfn, end);
}
