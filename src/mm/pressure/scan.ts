/**
 * Pages off a list's tail, and what becomes of them: which go, which stay, which
 * are used again is judged in judge.ts.
 *
 * Linux: shrink_inactive_list(), shrink_active_list(), isolate_lru_folios(), mm/vmscan.c;
 * 2.6: shrink_cache(), refill_inactive_zone()
 */
import { freePages } from "../allocate.ts";
import { ORDER_MASK, pfnOf, Z_INDEX, ZONE_WORDS, zoneOf } from "../memory.ts";
import { DEF_PRIORITY } from "../words.ts";
import { forget, rowBytes } from "./handles.ts";
import { GO, judge, KEEP, mustWrite } from "./judge.ts";
import { addLru, homeZone, removeLru } from "./lru.ts";
import { type Pages, PG_ACTIVE, PG_ANON, PG_YOUNG, R_ROTATED, RECLAIM_WORDS } from "./pages.ts";

/** What a request allows; kswapd is allowed all. */
export interface Caller {
  /** To write to devices; and to enter file systems. */
  readonly mayIo: boolean;
  readonly mayFs: boolean;
  /** It may fail, but only after much was tried: __GFP_RETRY_MAYFAIL, __GFP_REPEAT. */
  readonly triesHard: boolean;
}

/** One reclaim, by kswapd or by a request. Linux: struct scan_control */
export interface ScanControl extends Caller {
  readonly kswapd: boolean;
  order: number;
  /** Highest zone that pages may come from. */
  readonly reclaimIdx: number;
  /** From 12, which looks at 1/4096 of a list, to 0. */
  priority: number;
  /** Dirty pages may be written out. */
  mayWrite: boolean;
  /** Anonymous pages may go. */
  maySwap: boolean;
  /** Active pages are taken although there are enough inactive ones; and they were not, for that reason. */
  forceDeactivate: boolean;
  skippedDeactivate: boolean;
  /** File pages alone are not enough any more; they were looked at alone, and nothing was freed. */
  noTrim: boolean;
  trimFailed: boolean;
  /** Pages wanted. */
  toReclaim: number;
  scanned: number;
  reclaimed: number;
}

/** SWAP_CLUSTER_MAX: pages looked at in one go, and wanted by a request. */
export const SWAP_CLUSTER = 32;
/** PAGEVEC_SIZE: pages freed in one go where they are not freed all together. */
const BATCH = 31;

/** For a request, or for kswapd where there is none. */
export function newControl(order: number, highest: number, caller: Caller | null): ScanControl {
  return {
    kswapd: caller === null,
    order,
    reclaimIdx: highest,
    mayIo: caller?.mayIo ?? true,
    mayFs: caller?.mayFs ?? true,
    triesHard: caller?.triesHard ?? false,
    priority: DEF_PRIORITY,
    mayWrite: true,
    maySwap: true,
    forceDeactivate: false,
    skippedDeactivate: false,
    noTrim: false,
    trimFailed: false,
    toReclaim: SWAP_CLUSTER,
    scanned: 0,
    reclaimed: 0,
  };
}

/** What a look at an inactive list came to, in pages. */
export interface Look {
  /** Taken off the list or passed over. */
  scanned: number;
  taken: number;
  freed: number;
  written: number;
}

/**
 * Looks at `count` pages from the tail of an inactive list; those that can go are freed. Pages of
 * zones that are too high are passed over.
 */
export function shrinkInactive(
  pages: Pages,
  head: number,
  count: number,
  control: ScanControl,
): Look {
  const { counts, rule } = pages;
  const { taken, scanned } = isolate(pages, head, count, control.reclaimIdx);
  const look: Look = { scanned, taken: 0, freed: 0, written: 0 };
  const written = counts.pswpout;
  const gone: number[] = [];
  for (const row of taken) {
    const size = 1 << (pages.m.state[row] & ORDER_MASK);
    const zone = zoneOf(pages.m, row);
    look.taken += size;
    pages.scanned[zone] += size;
    const verdict = judge(pages, row, control);
    if (verdict === GO && giveUp(pages, row)) {
      look.freed += size;
      pages.freed[zone] += size;
      gone.push(row);
      if (rule.frees === "each" || (rule.frees === "batches" && gone.length === BATCH)) {
        freeRows(pages, gone);
      }
      continue;
    }
    // What could not go after all is used again as far as anybody knows.
    if (verdict !== KEEP) pages.flags[row] |= PG_ACTIVE;
    addLru(pages, row);
    if ((pages.flags[row] & PG_ACTIVE) !== 0) noteRotated(pages, row, size);
  }
  if (rule.frees === "backward") gone.reverse();
  freeRows(pages, gone);
  look.written = counts.pswpout - written;
  control.reclaimed += look.freed;
  control.scanned += look.taken;
  if (control.kswapd) {
    counts.pgscanKswapd += scanned;
    counts.pgstealKswapd += look.freed;
  } else {
    counts.pgscanDirect += scanned;
    counts.pgstealDirect += look.freed;
  }
  return look;
}

/** A page that was taken goes back as used. Linux: recent_rotated, putback_inactive_pages() of 5.4 */
function noteRotated(pages: Pages, row: number, size: number): void {
  const { reclaim, flags, m } = pages;
  const words = homeZone(pages, zoneOf(m, row)) * RECLAIM_WORDS;
  reclaim[words + R_ROTATED + ((flags[row] & PG_ANON) !== 0 ? 1 : 0)] += size;
}

function freeRows({ m }: Pages, gone: number[]): void {
  for (const row of gone) freePages(m, pfnOf(m, row), m.state[row] & ORDER_MASK);
  gone.length = 0;
}

/**
 * Takes pages off a list's tail until there are `count` or more of zones up to `highest`; others go to
 * its head. `scanned` counts these too.
 */
export function isolate(
  pages: Pages,
  head: number,
  count: number,
  highest: number,
): { taken: number[]; scanned: number } {
  const { m, counts } = pages;
  const taken: number[] = [];
  const skipped: number[] = [];
  let scan = 0;
  let scanned = 0;
  for (let row = m.prev[head]; row !== head && scan < count; row = m.prev[head]) {
    const size = 1 << (m.state[row] & ORDER_MASK);
    scanned += size;
    removeLru(pages, row);
    if (m.zone[zoneOf(m, row) * ZONE_WORDS + Z_INDEX] > highest) {
      skipped.push(row);
      counts.pgscanSkip += size;
      continue;
    }
    taken.push(row);
    scan += size;
  }
  for (const row of skipped) addLru(pages, row);
  return { taken, scanned };
}

/** Frees a page that goes; false where it cannot. */
export function letGo(pages: Pages, row: number): boolean {
  if (!giveUp(pages, row)) return false;
  freePages(pages.m, pfnOf(pages.m, row), pages.m.state[row] & ORDER_MASK);
  return true;
}

/** A page that goes is nobody's: its owner agrees, or its bytes are in the store. */
function giveUp(pages: Pages, row: number): boolean {
  const { m, handleOf, store, counts } = pages;
  const handle = handleOf[row];
  if (handle < 0) {
    const order = m.state[row] & ORDER_MASK;
    if (pages.owners[-handle - 1]?.mayFree?.(pfnOf(m, row), order) !== true) return false;
  } else {
    if (mustWrite(pages, row)) {
      const slot = store?.write(rowBytes(m, row)) ?? -1;
      if (slot < 0) return false;
      if (pages.slot[handle] !== 0) store?.drop(pages.slot[handle] - 1);
      pages.slot[handle] = slot + 1;
      counts.pswpout++;
    }
    pages.place[handle] = 0;
  }
  forget(pages, row);
  return true;
}

/** What a look at an active list came to, in pages: how many, and how many of them were used again. */
export interface ActiveLook {
  readonly scanned: number;
  readonly taken: number;
  readonly rotated: number;
}

/** Pages of an active list become inactive; `keeps` says which stay. */
export function shrinkActive(
  pages: Pages,
  head: number,
  count: number,
  highest: number,
  keeps: (row: number) => boolean,
): ActiveLook {
  const { m, flags } = pages;
  const { taken, scanned } = isolate(pages, head, count, highest);
  let size = 0;
  let rotated = 0;
  for (const row of taken) {
    const own = 1 << (m.state[row] & ORDER_MASK);
    size += own;
    if ((flags[row] & PG_YOUNG) !== 0) rotated += own;
    const stays = keeps(row);
    flags[row] &= ~PG_YOUNG;
    if (!stays) flags[row] &= ~PG_ACTIVE;
    addLru(pages, row);
  }
  return { scanned, taken: size, rotated };
}
