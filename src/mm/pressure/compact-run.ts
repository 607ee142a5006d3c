/**
 * One run of compaction over a zone, or of a range being emptied: who wants it, how
 * hard it tries, and where its scanners are.
 *
 * Linux: struct compact_control, mm/internal.h; compact_zone_order(), mm/compaction.c
 */
import type { CompactControl } from "../compaction.ts";
import { rowOf, Z_SPANNED, ZONE_WORDS, zoneOf } from "../memory.ts";
import { CMA, MOVABLE } from "../rule.ts";
import type { Pages } from "./pages.ts";

/** Never waits; waits for locks; waits for pages to be written too. Linux: enum migrate_mode */
export type Mode = "async" | "light" | "full";

/** How a run came to be; what is left out is no. */
export interface RunWish {
  /** -1 for the whole of memory. */
  readonly order: number;
  readonly mode: Mode;
  /** Migratetype of the request: unmovable by default, as kcompactd's is. */
  readonly type?: number;
  /** ALLOC_* of the request, and its highest zone. */
  readonly flags?: number;
  readonly highest?: number;
  /** A request's own run. */
  readonly direct?: boolean;
  /** From end to end of the zone, whatever was noted of pageblocks. */
  readonly whole?: boolean;
  readonly ignoreSkipHint?: boolean;
  /** Pageblocks of other types are places to move to as well. */
  readonly anyBlock?: boolean;
  /** kcompactd's own: until the zone's score is low. */
  readonly proactive?: boolean;
  /** A range is emptied for somebody: large blocks move too, and nothing is noted. */
  readonly contig?: boolean;
  /** The request may not enter a file system: its pages stay. */
  readonly noFs?: boolean;
}

export interface Run extends CompactControl {
  readonly pages: Pages;
  readonly wish: RunWish;
  readonly type: number;
  /** pfn after the zone's last. */
  readonly zoneEnd: number;
  /** The run is over the whole zone: if it comes to nothing, that is for good. */
  whole: boolean;
  /** The migrate scanner is in the last iteration's pageblock again. */
  rescan: boolean;
  /** Rows of pages that are off their lists: the last one moves first. */
  readonly isolated: number[];
  migrateScanned: number;
  freeScanned: number;
}

/** A run over `zone`; `before` is the same task's last one, over another zone. */
export function newRun(pages: Pages, zone: number, wish: RunWish, before: Run | null = null): Run {
  const { m, compaction } = pages;
  const zoneStart = m.zoneStart[zone];
  const type = wish.type ?? 0;
  return {
    pages,
    wish,
    zone,
    zoneStart,
    zoneEnd: zoneStart + m.zone[zone * ZONE_WORDS + Z_SPANNED],
    order: wish.order,
    type,
    direct: wish.direct === true,
    movable: type === MOVABLE,
    ignoreSkipHint: wish.ignoreSkipHint === true || !compaction.rule.remembers,
    whole: before?.whole ?? (wish.whole === true || !compaction.rule.remembers),
    freePfn: zoneStart,
    migratePfn: zoneStart,
    searchOrder: before?.searchOrder ?? wish.order,
    searchFails: before?.searchFails ?? 0,
    fastStart: 0,
    rescan: false,
    migratePages: 0,
    isolated: [],
    places: [],
    taken: null,
    migrateScanned: 0,
    freeScanned: 0,
  };
}

/** Whether a request's light run looks at pageblocks of its own type only. */
export function isPicky({ wish, direct }: Run): boolean {
  return direct && wish.mode === "async";
}

/** Linux: is_migrate_movable(), include/linux/mmzone.h */
export function isForMovable(type: number): boolean {
  return type === MOVABLE || type === CMA;
}

/** Row of the first page of a pageblock that is the zone's from `start` to `end`; -1 else. Linux: pageblock_pfn_to_page() */
export function rowOfBlock({ pages, zone }: Run, start: number, end: number): number {
  const { m } = pages;
  const row = rowOf(m, start);
  if (row < m.firstRow || zoneOf(m, row) !== zone) return -1;
  return zoneOf(m, row + (end - start) - 1) === zone ? row : -1;
}

/** Up to a multiple of 2^order above a pfn. Linux: block_end_pfn() */
export function endOf(pfn: number, order: number): number {
  return pfn - (pfn % 2 ** order) + 2 ** order;
}

/** Whether hints keep a run from a pageblock. Linux: isolation_suitable() */
export function isHinted({ ignoreSkipHint, pages }: Run, row: number): boolean {
  if (ignoreSkipHint) return false;
  return pages.compaction.skip[row >> pages.m.pageblockOrder] === 1;
}

/** Notes that there is nothing to be had of a pageblock. Linux: set_pageblock_skip() */
export function hint({ pages }: Run, row: number): void {
  pages.compaction.skip[row >> pages.m.pageblockOrder] = 1;
}

/** Whether the scanners are in one pageblock, or past each other. Linux: compact_scanners_met(), mm/compaction.c */
export function haveMet({ freePfn, migratePfn, pages }: Run): boolean {
  const size = 2 ** pages.m.pageblockOrder;
  return Math.floor(freePfn / size) <= Math.floor(migratePfn / size);
}
