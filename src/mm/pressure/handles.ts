/**
 * Pages by handle: a caller keeps the handle, and the page is where it is needed.
 *
 *   const h = newPage(pages, GFP_HIGHUSER_MOVABLE, "anon");
 *   const pfn = touchPage(pages, h, true);     here now, perhaps from swap
 *   …use its bytes until the next request for memory…
 *   dropPage(pages, h);
 *
 * A pfn is good until memory is asked for again: then the page may have moved or
 * gone. `pinPage` keeps it where it is, `lockPage` (mlock) keeps it in memory.
 *
 * In a shared memory any worker may do any of this with any handle, and others move
 * and reclaim meanwhile: there only a pinned pfn is good.
 *
 *   usePinned(pages, h, true, (pfn, bytes) => { … });
 *
 * Pins keep a page in place and nobody out: those who write and read one at once
 * agree between themselves, for instance by `lockFrame` of the pinned pfn. A handle
 * goes with the worker that made it, should that die; `passHandle` gives it to another.
 *
 * Linux: do_anonymous_page(), do_swap_page(), mm/memory.c; mlock_folio(), mm/mlock.c;
 * pin_user_pages(), mm/gup.c
 */
import { assert } from "../../base/assert.ts";
import { allocPages, freePages, NO_PFN } from "../allocate.ts";
import { assertCpu } from "../arguments.ts";
import { pageBytes } from "../bytes.ts";
import { type Memory, ORDER_MASK, OWNED, pfnOf, rowOf } from "../memory.ts";
import { giveTo, lockHandle, tryFreeHandle, unlockHandle } from "./handle-lock.ts";
import { addLru, removeLru } from "./lru.ts";
import {
  HANDLE_ANON,
  HANDLE_FILE,
  HANDLE_FREE,
  HANDLE_GONE,
  type Pages,
  PG_ACTIVE,
  PG_ANON,
  PG_DIRTY,
  PG_LRU,
  PG_MLOCKED,
  PG_REFERENCED,
  PG_YOUNG,
  W_STORE,
} from "./pages.ts";
import { setSlot, sweepSlots } from "./stored.ts";

/** What a call answers where a page cannot be had. */
export const NO_HANDLE = 0;
/** The bytes of a page are in a store that cannot give them back: they are lost. */
export const LOST = -2;

/** The bytes of a page are in a store that only another worker has: touch it there. */
export const ELSEWHERE = -3;

/** Bytes of a page; null in a memory without. */
export function rowBytes(m: Memory, row: number): Uint8Array | null {
  if (m.bytes === null) return null;
  return pageBytes(m, pfnOf(m, row), m.state[row] & ORDER_MASK);
}

/**
 * A new page: zeros, of a kind that goes to swap ("anon"), or one with a copy elsewhere that can be
 * read again while it is clean ("file"). Returns its handle; NO_HANDLE where memory is refused or
 * there are no more handles.
 */
export function newPage(pages: Pages, gfp: number, kind: "anon" | "file"): number {
  sweepSlots(pages);
  const handle = takeHandle(pages);
  if (handle === NO_HANDLE) return NO_HANDLE;
  try {
    const row = takeRow(pages, gfp);
    if (row < 0) return NO_HANDLE;
    rowBytes(pages.m, row)?.fill(0);
    if (pages.shared !== null) pages.shared.owner[handle] = pages.m.cpu + 1;
    // Nobody has its bytes yet but memory.
    settle(pages, handle, row, PG_DIRTY, kind === "anon" ? HANDLE_ANON : HANDLE_FILE);
    pages.nextHandle[hintAt(pages)] = handle + 1;
    return handle;
  } finally {
    unlockHandle(pages, handle);
  }
}

function hintAt({ m, shared }: Pages): number {
  return shared === null ? 0 : m.cpu;
}

/** A free handle, locked; NO_HANDLE for none. */
function takeHandle(pages: Pages): number {
  const first = Math.max(pages.nextHandle[hintAt(pages)], 1);
  const handle = takeHandleBetween(pages, first, pages.kind.length);
  return handle === NO_HANDLE ? takeHandleBetween(pages, 1, first) : handle;
}

function takeHandleBetween(pages: Pages, first: number, end: number): number {
  const { kind } = pages;
  for (let at = first; at < end; at++) {
    at = kind.indexOf(HANDLE_FREE, at);
    if (at < 0 || at >= end) return NO_HANDLE;
    if (!tryFreeHandle(pages, at)) continue;
    if (kind[at] === HANDLE_FREE) return at;
    unlockHandle(pages, at);
  }
  return NO_HANDLE;
}

function takeRow(pages: Pages, gfp: number): number {
  const pfn = allocPages(pages.m, gfp, 0);
  return pfn === NO_PFN ? -1 : rowOf(pages.m, pfn);
}

/** The page of a handle is at `row` from now on. */
function settle(pages: Pages, handle: number, row: number, flags: number, kind: number): void {
  const isAnon = kind === HANDLE_ANON;
  const isActive = isAnon && !pages.rule.anonInactive;
  claimRow(pages, row, handle);
  pages.flags[row] = flags | (isAnon ? PG_ANON : 0) | (isActive ? PG_ACTIVE : 0);
  pages.place[handle] = row;
  pages.kind[handle] = kind;
  if (pages.shared !== null) giveTo(pages.m, row, pages.shared.owner[handle] - 1);
  addLru(pages, row);
}

/**
 * The pfn of a page, brought back where it was out; `write` where its bytes will change. NO_PFN when
 * there is no room for it, LOST when its bytes cannot be had any more, ELSEWHERE when this worker cannot
 * have them. Asserts that the handle is used.
 *
 * Linux: do_swap_page(), mm/memory.c; folio_mark_accessed(), mm/swap.c
 */
export function touchPage(
  pages: Pages,
  handle: number,
  write: boolean,
  gfp: number = pages.gfp,
): number {
  enter(pages, handle);
  try {
    return touchLocked(pages, handle, write, gfp);
  } finally {
    leave(pages, handle);
  }
}

/** Locks a handle. Asserts that it is used. */
function enter(pages: Pages, handle: number): void {
  const { kind, shared } = pages;
  assert(handle > 0 && handle < kind.length, "no page has this handle", handle);
  if (shared !== null) lockHandle(pages, handle);
  const own = kind[handle];
  if (own === HANDLE_ANON || own === HANDLE_FILE) return;
  leave(pages, handle);
  assert(false, "no page has this handle", handle);
}

function leave(pages: Pages, handle: number): void {
  if (pages.shared !== null) unlockHandle(pages, handle);
}

function touchLocked(pages: Pages, handle: number, write: boolean, gfp: number): number {
  const { m, flags } = pages;
  if (pages.place[handle] === 0) {
    const answer = bringBack(pages, handle, gfp);
    if (answer < 0) return answer;
  }
  const row = pages.place[handle];
  if ((flags[row] & PG_ANON) !== 0) flags[row] |= PG_YOUNG;
  else markAccessed(pages, row);
  if (write) {
    flags[row] |= PG_DIRTY;
    if (pages.slot[handle] !== 0) setSlot(pages, handle, 0);
  }
  return pfnOf(m, row);
}

/** Returns 0, or why not. */
function bringBack(pages: Pages, handle: number, gfp: number): number {
  const word = pages.slot[handle];
  const { store, shared } = pages;
  if (word < 0) return LOST;
  if (word > 0 && store === null) {
    return shared !== null && shared.words[W_STORE] !== 0 ? ELSEWHERE : LOST;
  }
  const row = takeRow(pages, gfp);
  if (row < 0) return NO_PFN;
  const bytes = rowBytes(pages.m, row);
  if (word === 0) bytes?.fill(0);
  else if (store?.read(word - 1, bytes) !== true) {
    freePages(pages.m, pfnOf(pages.m, row), 0);
    return LOST;
  }
  if (word > 0) pages.counts.pswpin++;
  settle(pages, handle, row, 0, pages.kind[handle]);
  // What is in memory again is not kept twice once the store fills up: vm_swap_full().
  if (word > 0 && store !== null && store.free * 2 < store.slots) {
    pages.flags[row] |= PG_DIRTY;
    setSlot(pages, handle, 0);
  }
  return 0;
}

/** A second look makes a page active. Linux: folio_mark_accessed() */
export function markAccessed(pages: Pages, row: number): void {
  const { flags } = pages;
  if ((flags[row] & PG_REFERENCED) === 0) flags[row] |= PG_REFERENCED;
  else if ((flags[row] & (PG_ACTIVE | PG_LRU)) === PG_LRU)
    relist(pages, row, PG_ACTIVE, PG_REFERENCED);
}

/** Gives a page up for good, wherever it is. Asserts that nobody has it pinned. */
export function dropPage(pages: Pages, handle: number): void {
  enter(pages, handle);
  try {
    const row = pages.place[handle];
    const isPinned = row !== 0 && pages.pins[row] > 0;
    assert(!isPinned, "dropped while it is pinned", handle);
    dropLocked(pages, handle);
  } finally {
    leave(pages, handle);
  }
}

/** From the first write on it is nobody's: whoever dies here, `recover` goes on. */
export function dropLocked(pages: Pages, handle: number): void {
  const { m, place, kind } = pages;
  kind[handle] = HANDLE_GONE;
  const row = place[handle];
  place[handle] = 0;
  if (row !== 0) {
    giveTo(m, row, m.cpu);
    forget(pages, row);
    freePages(m, pfnOf(m, row), m.state[row] & ORDER_MASK);
  }
  if (setSlot(pages, handle, 0)) kind[handle] = HANDLE_FREE;
}

/** The block at `row` is a handle's or an owner's: nobody frees it by its pfn (W3). */
export function claimRow({ m, handleOf }: Pages, row: number, word: number): void {
  handleOf[row] = word;
  m.state[row] |= OWNED;
}

/** A page is nobody's: no list, no owner. */
export function forget(pages: Pages, row: number): void {
  if ((pages.flags[row] & PG_LRU) !== 0) removeLru(pages, row);
  pages.flags[row] = 0;
  pages.m.state[row] &= ~OWNED;
  pages.handleOf[row] = 0;
}

/**
 * The page is brought in and stays at this pfn until `unpinPage` of this CPU: a device may use it, or
 * write to it where `write` says so.
 */
export function pinPage(pages: Pages, handle: number, write = true): number {
  enter(pages, handle);
  try {
    const pfn = touchLocked(pages, handle, write, pages.gfp);
    if (pfn >= 0) changePins(pages, handle, 1);
    return pfn;
  } finally {
    leave(pages, handle);
  }
}

/** Asserts that this CPU has it pinned. */
export function unpinPage(pages: Pages, handle: number): void {
  enter(pages, handle);
  try {
    changePins(pages, handle, -1);
  } finally {
    leave(pages, handle);
  }
}

function changePins({ m, shared, place, pins }: Pages, handle: number, by: number): void {
  const row = place[handle];
  const at = shared === null ? 0 : m.cpu * shared.lock.length + handle;
  const own = row === 0 ? 0 : shared === null ? pins[row] : shared.held[at];
  assert(own + by >= 0, "not pinned", handle);
  assert(pins[row] + by <= 255, "pinned too often", handle);
  if (shared !== null) shared.held[at] += by;
  pins[row] += by;
}

/**
 * Pins a page, has it used, and lets it go: the way to its bytes in a shared memory. The bytes are null
 * in a memory without. Returns what `use` does; NO_PFN, LOST or ELSEWHERE where the page cannot be had.
 */
export function usePinned<T>(
  pages: Pages,
  handle: number,
  write: boolean,
  use: (pfn: number, bytes: Uint8Array | null) => T,
): T | number {
  const pfn = pinPage(pages, handle, write);
  if (pfn < 0) return pfn;
  try {
    return use(pfn, rowBytes(pages.m, pages.place[handle]));
  } finally {
    unpinPage(pages, handle);
  }
}

/** The handle goes with `cpu` from now on: before its number is sent there. Asserts that the CPU exists. */
export function passHandle(pages: Pages, handle: number, cpu: number): void {
  const { m, shared } = pages;
  assertCpu(m, cpu);
  if (shared === null) return;
  enter(pages, handle);
  shared.owner[handle] = cpu + 1;
  if (pages.place[handle] !== 0) giveTo(m, pages.place[handle], cpu);
  leave(pages, handle);
}

/** The page stays in memory, where it may move, until `unlockPage`. Linux: mlock_folio() */
export function lockPage(pages: Pages, handle: number): number {
  enter(pages, handle);
  try {
    const pfn = touchLocked(pages, handle, false, pages.gfp);
    if (pfn >= 0) relist(pages, pages.place[handle], PG_MLOCKED, 0);
    return pfn;
  } finally {
    leave(pages, handle);
  }
}

export function unlockPage(pages: Pages, handle: number): void {
  enter(pages, handle);
  try {
    const row = pages.place[handle];
    assert(row !== 0 && (pages.flags[row] & PG_MLOCKED) !== 0, "not locked", handle);
    relist(pages, row, 0, PG_MLOCKED);
  } finally {
    leave(pages, handle);
  }
}

function relist(pages: Pages, row: number, set: number, clear: number): void {
  removeLru(pages, row);
  pages.flags[row] = (pages.flags[row] | set) & ~clear;
  addLru(pages, row);
}
