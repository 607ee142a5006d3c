/**
 * A range of pages taken by name, with what is in it moved away first.
 *
 * Linux: alloc_contig_range(), __alloc_contig_migrate_range(), mm/page_alloc.c;
 * isolate_migratepages_range(), mm/compaction.c
 */
import { allocPages, freePages, NO_PFN } from "../allocate.ts";
import { blockStart, COMPACT_CLUSTER } from "../compaction.ts";
import { beginContig, endContig, takeContig } from "../contig.ts";
import {
  COSTLY_ORDER,
  KIND_MASK,
  type Memory,
  MOBILE,
  ORDER_MASK,
  PCP,
  pfnOf,
  rowOf,
  TAKEN,
  zoneOf,
} from "../memory.ts";
import { CMA } from "../rule.ts";
import { endOf, newRun, type Run, rowOfBlock } from "./compact-run.ts";
import { dropIsolated, isolateBlock } from "./compact-source.ts";
import { letBe } from "./handle-lock.ts";
import { isMovable, isOwned, migratePages } from "./migrate.ts";
import { type Pages, PG_ANON, PG_DIRTY, PG_MLOCKED } from "./pages.ts";
import { letGo } from "./scan.ts";

/** How often the same pages are asked to move before a range counts as busy. */
const MAX_TRIES = 5;

/** Why a range could not be had; Linux's names. */
export type RangeRefusal = "-EBUSY" | "-ENOMEM";

/**
 * Takes `count` pages from `pfn` on, all of one zone, whose pageblocks are of `type`. Null when they
 * are the caller's (single pages), or why not: somebody holds a page of the range in place, or there
 * is nowhere to move one to.
 *
 * Linux: alloc_contig_range(), mm/page_alloc.c
 */
export function takeRange(
  pages: Pages,
  pfn: number,
  count: number,
  type: number,
): RangeRefusal | null {
  const { m } = pages;
  const isFit = (from: number, to: number): boolean => !hasUnmovable(pages, from, to);
  if (!beginContig(m, pfn, count, type, type === CMA ? null : isFit)) return "-EBUSY";
  try {
    // Busy pages may have become free since: only having nowhere to go ends it.
    if (emptyRange(pages, pfn, count) === "-ENOMEM") return "-ENOMEM";
    const taken = takeContig(m, pfn, count);
    if (taken === null) return "-EBUSY";
    for (let at = taken.pfn; at < pfn; at++) freePages(m, at, 0);
    for (let at = pfn + count; at < taken.pfn + taken.pages; at++) freePages(m, at, 0);
    return null;
  } finally {
    // An owner that is asked may throw.
    endContig(m, pfn, count, type);
  }
}

/**
 * Moves what may move out of a range, 32 pages or a pageblock at a time. Pages that do not move after
 * five tries end it. Linux: __alloc_contig_migrate_range(), mm/page_alloc.c
 */
function emptyRange(pages: Pages, pfn: number, count: number): RangeRefusal | null {
  const { m } = pages;
  const end = pfn + count;
  if (!pages.migration) return null;
  const zone = zoneOf(m, rowOf(m, pfn));
  const run = newRun(pages, zone, { order: -1, mode: "full", ignoreSkipHint: true, contig: true });
  const gfp = targetGfp(pages, zone);
  try {
    for (let at = pfn; at < end; ) {
      at = isolateRange(run, at, end);
      for (let tries = 0; run.isolated.length > 0; tries++) {
        if (tries === MAX_TRIES) return "-EBUSY";
        freeClean(run);
        const moved = migratePages(
          pages,
          run.isolated,
          (order) => {
            const to = allocPages(m, gfp, order);
            return to === NO_PFN ? -1 : rowOf(m, to);
          },
          (row, order) => freePages(m, pfnOf(m, row), order),
        );
        if (moved === "-ENOMEM") return "-ENOMEM";
      }
      run.migratePages = 0;
    }
    return null;
  } finally {
    dropIsolated(run);
  }
}

/** Isolates pages from `from` on; where it stopped is returned. Linux: isolate_migratepages_range(), mm/compaction.c */
function isolateRange(run: Run, from: number, end: number): number {
  const { m } = run.pages;
  let at = from;
  while (at < end) {
    const stop = Math.min(endOf(at, m.pageblockOrder), end);
    const start = Math.max(blockStart(m, at), run.zoneStart);
    if (rowOfBlock(run, start, stop) < 0) {
      at = stop;
      continue;
    }
    isolateBlock(run, at, stop);
    at = run.migratePfn;
    if (run.migratePages >= COMPACT_CLUSTER) break;
  }
  return at;
}

/** Pages of files that can be read again are not worth a move. Linux: reclaim_clean_pages_from_list(), mm/vmscan.c */
function freeClean({ pages, isolated }: Run): void {
  const { handleOf, flags, pins } = pages;
  const kept = isolated.filter((row) => {
    const isClean = handleOf[row] > 0 && (flags[row] & (PG_ANON | PG_DIRTY | PG_MLOCKED)) === 0;
    const handle = handleOf[row];
    if (!isClean || pins[row] > 0 || !letGo(pages, row)) return true;
    letBe(pages, handle);
    return false;
  });
  isolated.splice(0, isolated.length, ...kept);
}

/**
 * GFP_USER, movable; from zones that are for users only, to such zones as well.
 * Linux: alloc_migration_target(), mm/migrate.c
 */
function targetGfp({ m, gfp }: Pages, zone: number): number {
  const isHigh = m.names[zone] === "HighMem" || m.names[zone] === "Movable";
  const high = m.gfp.era.bits.get("__GFP_HIGHMEM") ?? 0;
  const bits = gfp | (m.gfp.era.bits.get("__GFP_RETRY_MAYFAIL") ?? 0);
  return isHigh ? bits : bits & ~high;
}

/**
 * Whether rows of a pageblock hold something that nobody may ever move: a page without an owner, or a
 * hole. Pages that are only held for now are none. Linux: has_unmovable_pages(), mm/page_isolation.c
 */
function hasUnmovable(pages: Pages, from: number, to: number): boolean {
  const { m } = pages;
  const isForMovable = m.names[zoneOf(m, from)] === "Movable";
  if (m.blockType[from >> m.pageblockOrder] === CMA) return true;
  for (let row = from; row < to; ) {
    const head = anyHeadOf(m, row);
    if (head < 0) return true;
    const kind = m.state[head] & KIND_MASK;
    const isPage = kind === TAKEN || kind === MOBILE;
    if (isPage && !isForMovable && !isOwned(pages, head)) return true;
    row = kind === PCP ? row + 1 : head + (1 << (m.state[head] & ORDER_MASK));
  }
  return false;
}

/** Row of the head of the block, in use or not, that a row is in; -1 for a hole. */
function anyHeadOf(m: Memory, row: number): number {
  for (let order = 0; order <= m.maxOrder; order++) {
    const head = row & (-1 << order);
    const state = m.state[head];
    if (state === 0) continue;
    const kind = state & KIND_MASK;
    // How large a waiting block is, only its list tells.
    if (kind === PCP) return order <= COSTLY_ORDER || order === m.pageblockOrder ? head : -1;
    return head + (1 << (state & ORDER_MASK)) > row ? head : -1;
  }
  return -1;
}

/** Row of the head of the allocated block that a row is in; -1 for none. */
function headOf(m: Memory, row: number): number {
  const head = anyHeadOf(m, row);
  const kind = head < 0 ? 0 : m.state[head] & KIND_MASK;
  return kind === TAKEN || kind === MOBILE ? head : -1;
}

/** pfns of what is held in place in a range, for those who want to know why: all of it where nothing moves. */
export function heldInRange(pages: Pages, pfn: number, count: number): number[] {
  const held: number[] = [];
  for (let at = pfn; at < pfn + count; at++) {
    const row = headOf(pages.m, rowOf(pages.m, at));
    const isHeld = row >= 0 && !(pages.migration && isMovable(pages, row));
    if (isHeld && held.at(-1) !== pfnOf(pages.m, row)) {
      held.push(pfnOf(pages.m, row));
    }
  }
  return held;
}
