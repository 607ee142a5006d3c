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
import {
  giveTo,
  letBe,
  lockLru,
  tryFrame,
  tryTake,
  unlockBlock,
  unlockLru,
} from "./handle-lock.ts";
import { forget, rowBytes } from "./handles.ts";
import { GO, judge, KEEP, mustWrite } from "./judge.ts";
import { addLru, homeOfHead, homeZone, link, takeOff, unlink } from "./lru.ts";
import { askFree } from "./owners.ts";
import { type Pages, PG_ACTIVE, PG_ANON, PG_YOUNG, R_ROTATED, RECLAIM_WORDS } from "./pages.ts";
import { setSlot } from "./stored.ts";

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
  let done = 0;
  try {
    for (; done < taken.length; done++) {
      const freed = shrinkOne(pages, taken[done] ?? 0, control, look);
      if (freed) gone.push(taken[done] ?? 0);
      if (rule.frees === "each" || (rule.frees === "batches" && gone.length === BATCH)) {
        freeRows(pages, gone);
      }
    }
  } finally {
    // An owner that is asked may throw.
    for (; done < taken.length; done++) putBack(pages, taken[done] ?? 0);
    if (rule.frees === "backward") gone.reverse();
    freeRows(pages, gone);
  }
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

/** Whether a page is nobody's now. */
function shrinkOne(pages: Pages, row: number, control: ScanControl, look: Look): boolean {
  const size = 1 << (pages.m.state[row] & ORDER_MASK);
  const zone = zoneOf(pages.m, row);
  const handle = pages.handleOf[row];
  look.taken += size;
  pages.scanned[zone] += size;
  const verdict = judge(pages, row, control);
  if (verdict === GO && giveUp(pages, row)) {
    look.freed += size;
    pages.freed[zone] += size;
    letBe(pages, handle);
    return true;
  }
  // What could not go after all is used again as far as anybody knows.
  if (verdict !== KEEP) pages.flags[row] |= PG_ACTIVE;
  if ((pages.flags[row] & PG_ACTIVE) !== 0) noteRotated(pages, row, size);
  putBack(pages, row);
  return false;
}

function putBack(pages: Pages, row: number): void {
  addLru(pages, row);
  letBe(pages, pages.handleOf[row]);
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
 * its head, and so do those that somebody else is at. `scanned` counts these too. What was taken is the
 * caller's until `letBe`.
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
  const home = homeOfHead(pages, head);
  lockLru(pages, home);
  for (let row = m.prev[head]; row !== head && scan < count; row = m.prev[head]) {
    const size = 1 << (m.state[row] & ORDER_MASK);
    const isHigh = m.zone[zoneOf(m, row) * ZONE_WORDS + Z_INDEX] > highest;
    scanned += size;
    if (!isHigh && tryTake(pages, row)) {
      takeOff(pages, row);
      taken.push(row);
      scan += size;
      continue;
    }
    unlink(pages, row);
    skipped.push(row);
    if (isHigh) counts.pgscanSkip += size;
    else scan += size;
  }
  for (const row of skipped) link(pages, row, head);
  unlockLru(pages, home);
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
  const { m, handleOf } = pages;
  const handle = handleOf[row];
  const order = m.state[row] & ORDER_MASK;
  if (!tryFrame(m, row)) return false;
  try {
    const goes =
      handle < 0 ? askFree(pages, handle, pfnOf(m, row), order) : writeOut(pages, handle, row);
    if (!goes) return false;
  } finally {
    unlockBlock(m, row);
  }
  if (handle > 0) {
    pages.place[handle] = 0;
    giveTo(m, row, m.cpu);
  }
  forget(pages, row);
  return true;
}

/** Whether a page's bytes are where they can be had again; written there if they were not. */
function writeOut(pages: Pages, handle: number, row: number): boolean {
  if (!mustWrite(pages, row)) return true;
  const slot = pages.store?.write(rowBytes(pages.m, row)) ?? -1;
  if (slot < 0) return false;
  setSlot(pages, handle, slot + 1);
  pages.counts.pswpout++;
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
    putBack(pages, row);
  }
  return { scanned, taken: size, rotated };
}
