/**
 * The migrate scanner: from the zone's lower end up, it takes pages that may move off
 * their lists, a pageblock or 32 pages at a time.
 *
 * Linux: isolate_migratepages(), isolate_migratepages_block(), mm/compaction.c
 */
import { applySearch, blockStart, COMPACT_CLUSTER, findMigrateblock } from "../compaction.ts";
import { isHuge } from "../compaction-hints.ts";
import { lockZone, unlockZone } from "../lock.ts";
import { EXTENT, FREE, KIND_MASK, MOBILE, ORDER_MASK, rowOf, TAKEN } from "../memory.ts";
import { MOVABLE } from "../rule.ts";
import {
  endOf,
  hint,
  isForMovable,
  isHinted,
  isPicky,
  type Run,
  rowOfBlock,
} from "./compact-run.ts";
import { isOnLru, isolatePage, mayIsolate, putBack } from "./migrate.ts";

/**
 * Isolates pages of the next pageblock that has some to move. Returns whether there are any.
 * Linux: isolate_migratepages(), mm/compaction.c
 */
export function isolateMigratepages(run: Run): boolean {
  const { pages } = run;
  const { m } = pages;
  const from = look(run);
  let isFound = from !== run.migratePfn && run.searchFails === 0;
  let low = from;
  let start = Math.max(blockStart(m, low), run.zoneStart);
  for (let end = endOf(low, m.pageblockOrder); end <= run.freePfn; ) {
    const row = rowOfBlock(run, start, end);
    const isWhole = low === blockStart(m, low);
    const isPassed = row < 0 || (isWhole && !isFound && isHinted(run, row));
    if (!isPassed && isSource(run, row)) {
      isolateBlock(run, low, end);
      break;
    }
    if (!isPassed) noteMigrate(run, end);
    isFound = false;
    low = end;
    start = end;
    run.migratePfn = end;
    end += 2 ** m.pageblockOrder;
  }
  return run.migratePages > 0;
}

/** Where the scanner begins: the pageblock that the free lists point to. Linux: fast_find_migrateblock() */
function look(run: Run): number {
  const { m, compaction } = run.pages;
  if (!compaction.rule.searches) return run.migratePfn;
  lockZone(m, run.zone);
  const search = findMigrateblock(m, run, compaction.skip);
  const found = search === null ? -1 : applySearch(m, run, compaction.skip, search);
  unlockZone(m, run.zone);
  return found < 0 ? run.migratePfn : Math.max(blockStart(m, found), run.zoneStart);
}

/** Linux: suitable_migration_source(), mm/compaction.c */
function isSource(run: Run, row: number): boolean {
  const { m } = run.pages;
  if (isHuge(m, row)) return false;
  if (!isPicky(run)) return true;
  const type = m.blockType[row >> m.pageblockOrder];
  return run.type === MOVABLE ? isForMovable(type) : type === run.type;
}

/** The next run begins behind a pageblock that was seen. Linux: update_cached_migrate(), mm/compaction.c */
function noteMigrate(run: Run, pfn: number): void {
  const { m, compaction } = run.pages;
  if (run.wish.contig === true) return;
  const zone = compaction.zones[run.zone];
  if (zone === undefined) return;
  const end = endOf(pfn, m.pageblockOrder);
  if (end > zone.cachedAsync) zone.cachedAsync = end;
  if (run.wish.mode !== "async" && end > zone.cachedSync) zone.cachedSync = end;
}

/**
 * Isolates what may move from `from` to `end`, of one pageblock, until 32 pages are together. The
 * scanner stands behind the last page that it saw.
 *
 * Linux: isolate_migratepages_block(), mm/compaction.c
 */
export function isolateBlock(run: Run, from: number, end: number): void {
  const { pages, order } = run;
  const { m } = pages;
  const base = rowOf(m, from) - from;
  const picky = isPicky(run);
  let border = picky ? endOf(from, order) : 0;
  let taken = 0;
  let seen = 0;
  let first = -1;
  let marked = false;
  let pfn = from;
  for (; pfn < end; pfn++) {
    if (picky && pfn >= border) {
      // A block of the wanted order is free of pages: these first.
      if (taken > 0) break;
      border = endOf(pfn, order);
    }
    seen++;
    const row = base + pfn;
    if (first < 0 && pfn === blockStart(m, pfn)) {
      if (isHinted(run, row)) {
        pfn = end;
        break;
      }
      first = row;
    }
    const kind = m.state[row] & KIND_MASK;
    const size = 1 << (m.state[row] & ORDER_MASK);
    if (kind === FREE || kind === EXTENT) {
      pfn += size - 1;
      continue;
    }
    const isBlock = kind === TAKEN || kind === MOBILE;
    const wasOnLru = isOnLru(pages, row);
    if (isBlock && tryIsolate(run, row, size)) {
      if (wasOnLru && !marked) {
        marked = true;
        // Whoever takes a pageblock's first page keeps others from it.
        if (pfn === blockStart(m, pfn) && !run.ignoreSkipHint) hint(run, row);
      }
      run.isolated.push(row);
      run.migratePages += size;
      taken += size;
      seen += size - 1;
      pfn += size - 1;
      if (run.migratePages >= COMPACT_CLUSTER && !run.rescan) {
        pfn++;
        break;
      }
      continue;
    }
    if (isBlock) pfn += size - 1;
    if (!picky) continue;
    // This block of the wanted order cannot come free.
    if (taken > 0) dropIsolated(run);
    taken = 0;
    if (pfn < border) {
      pfn = border - 1;
      border += 2 ** order;
    }
  }
  pfn = Math.min(pfn, end);
  if (pfn === end && (taken === 0 || run.rescan)) {
    if (first >= 0 && !marked) hint(run, first);
    noteMigrate(run, end);
  }
  run.migrateScanned += seen;
  pages.counts.compactIsolated += taken;
  run.migratePfn = pfn;
}

function tryIsolate({ pages, wish }: Run, row: number, size: number): boolean {
  if (size > 1 && wish.contig !== true) return false;
  return mayIsolate(pages, row, wish) && isolatePage(pages, row);
}

/** Isolated pages that do not move after all go back, the last first. Linux: putback_movable_pages(), mm/migrate.c */
export function dropIsolated(run: Run): void {
  for (let row = run.isolated.pop(); row !== undefined; row = run.isolated.pop()) {
    putBack(run.pages, row);
  }
  run.migratePages = 0;
}
