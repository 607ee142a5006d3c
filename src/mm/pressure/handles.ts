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
 * Linux: do_anonymous_page(), do_swap_page(), mm/memory.c; mlock_folio(), mm/mlock.c
 */
import { assert } from "../../base/assert.ts";
import { allocPages, freePages, NO_PFN } from "../allocate.ts";
import { pageBytes } from "../bytes.ts";
import { KIND_MASK, type Memory, MOBILE, ORDER_MASK, pfnOf, rowOf, TAKEN } from "../memory.ts";
import { addLru, removeLru } from "./lru.ts";
import {
  HANDLE_ANON,
  HANDLE_FILE,
  HANDLE_FREE,
  type PageOwner,
  type Pages,
  PG_ACTIVE,
  PG_ANON,
  PG_DIRTY,
  PG_LRU,
  PG_MLOCKED,
  PG_REFERENCED,
  PG_YOUNG,
} from "./pages.ts";

/** What a call answers where a page cannot be had. */
export const NO_HANDLE = 0;
/** The bytes of a page are in a store that cannot give them back: they are lost. */
export const LOST = -2;

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
  const handle = freeHandle(pages);
  if (handle === NO_HANDLE) return NO_HANDLE;
  const row = takeRow(pages, gfp);
  if (row < 0) return NO_HANDLE;
  rowBytes(pages.m, row)?.fill(0);
  pages.kind[handle] = kind === "anon" ? HANDLE_ANON : HANDLE_FILE;
  // Nobody has its bytes yet but memory.
  settle(pages, handle, row, PG_DIRTY);
  pages.nextHandle = handle + 1;
  return handle;
}

function freeHandle(pages: Pages): number {
  const { kind } = pages;
  const last = kind.indexOf(HANDLE_FREE, Math.max(pages.nextHandle, 1));
  if (last >= 0) return last;
  return Math.max(kind.indexOf(HANDLE_FREE, 1), NO_HANDLE);
}

function takeRow(pages: Pages, gfp: number): number {
  const pfn = allocPages(pages.m, gfp, 0);
  return pfn === NO_PFN ? -1 : rowOf(pages.m, pfn);
}

/** The page of a handle is at `row` from now on. */
function settle(pages: Pages, handle: number, row: number, flags: number): void {
  const isAnon = pages.kind[handle] === HANDLE_ANON;
  const isActive = isAnon && !pages.rule.anonInactive;
  pages.place[handle] = row;
  pages.handleOf[row] = handle;
  pages.flags[row] = flags | (isAnon ? PG_ANON : 0) | (isActive ? PG_ACTIVE : 0);
  addLru(pages, row);
}

/**
 * The pfn of a page, brought back where it was out; `write` where its bytes will change. NO_PFN when
 * there is no room for it, LOST when its bytes cannot be had any more. Asserts that the handle is used.
 *
 * Linux: do_swap_page(), mm/memory.c; folio_mark_accessed(), mm/swap.c
 */
export function touchPage(
  pages: Pages,
  handle: number,
  write: boolean,
  gfp: number = pages.gfp,
): number {
  const { m, flags } = pages;
  assertUsed(pages, handle);
  if (pages.place[handle] === 0) {
    const answer = bringBack(pages, handle, gfp);
    if (answer < 0) return answer;
  }
  const row = pages.place[handle];
  if ((flags[row] & PG_ANON) !== 0) flags[row] |= PG_YOUNG;
  else markAccessed(pages, row);
  if (write) {
    flags[row] |= PG_DIRTY;
    dropSlot(pages, handle);
  }
  return pfnOf(m, row);
}

/** Returns 0, or why not. */
function bringBack(pages: Pages, handle: number, gfp: number): number {
  const row = takeRow(pages, gfp);
  if (row < 0) return NO_PFN;
  const slot = pages.slot[handle] - 1;
  const bytes = rowBytes(pages.m, row);
  const { store } = pages;
  if (slot < 0) bytes?.fill(0);
  else if (store?.read(slot, bytes) !== true) {
    freePages(pages.m, pfnOf(pages.m, row), 0);
    return LOST;
  }
  if (slot >= 0) pages.counts.pswpin++;
  settle(pages, handle, row, 0);
  // What is in memory again is not kept twice once the store fills up: vm_swap_full().
  if (slot >= 0 && store !== null && store.free * 2 < store.slots) {
    dropSlot(pages, handle);
    pages.flags[row] |= PG_DIRTY;
  }
  return 0;
}

/** A second look makes a page active. Linux: folio_mark_accessed() */
function markAccessed(pages: Pages, row: number): void {
  const { flags } = pages;
  if ((flags[row] & PG_REFERENCED) === 0) flags[row] |= PG_REFERENCED;
  else if ((flags[row] & (PG_ACTIVE | PG_LRU)) === PG_LRU) {
    removeLru(pages, row);
    flags[row] = (flags[row] | PG_ACTIVE) & ~PG_REFERENCED;
    addLru(pages, row);
  }
}

function dropSlot(pages: Pages, handle: number): void {
  if (pages.slot[handle] === 0) return;
  pages.store?.drop(pages.slot[handle] - 1);
  pages.slot[handle] = 0;
}

/** Gives a page up for good, wherever it is. Asserts that it is not pinned. */
export function dropPage(pages: Pages, handle: number): void {
  assertUsed(pages, handle);
  const row = pages.place[handle];
  assert(row === 0 || pages.pins[row] === 0, "dropped while it is pinned", handle);
  dropSlot(pages, handle);
  pages.kind[handle] = HANDLE_FREE;
  pages.place[handle] = 0;
  if (row === 0) return;
  forget(pages, row);
  freePages(pages.m, pfnOf(pages.m, row), pages.m.state[row] & ORDER_MASK);
}

/** A page is nobody's: no list, no owner. */
export function forget(pages: Pages, row: number): void {
  if ((pages.flags[row] & PG_LRU) !== 0) removeLru(pages, row);
  pages.handleOf[row] = 0;
  pages.flags[row] = 0;
}

/** The page is brought in and stays at this pfn until `unpinPage`: a device may use it. */
export function pinPage(pages: Pages, handle: number): number {
  const pfn = touchPage(pages, handle, true);
  if (pfn < 0) return pfn;
  const row = pages.place[handle];
  assert(pages.pins[row] < 255, "pinned too often", pfn);
  pages.pins[row]++;
  return pfn;
}

export function unpinPage(pages: Pages, handle: number): void {
  const row = pages.place[handle];
  assert(row !== 0 && pages.pins[row] > 0, "not pinned", handle);
  pages.pins[row]--;
}

/** The page stays in memory, where it may move, until `unlockPage`. Linux: mlock_folio() */
export function lockPage(pages: Pages, handle: number): number {
  const pfn = touchPage(pages, handle, false);
  if (pfn < 0) return pfn;
  relist(pages, pages.place[handle], PG_MLOCKED, 0);
  return pfn;
}

export function unlockPage(pages: Pages, handle: number): void {
  const row = pages.place[handle];
  assert(row !== 0 && (pages.flags[row] & PG_MLOCKED) !== 0, "not locked", handle);
  relist(pages, row, 0, PG_MLOCKED);
}

function relist(pages: Pages, row: number, set: number, clear: number): void {
  removeLru(pages, row);
  pages.flags[row] = (pages.flags[row] | set) & ~clear;
  addLru(pages, row);
}

/** Registers an owner that is asked; its number is what `ownPages` takes. */
export function addOwner(pages: Pages, owner: PageOwner): number {
  return pages.owners.push(owner);
}

/**
 * A block that the caller allocated belongs to an owner: it may be moved, and where the owner gives
 * pages up it ages like other pages. Asserts that it is allocated and nobody's.
 */
export function ownPages(pages: Pages, pfn: number, owner: number): void {
  const { m } = pages;
  const row = rowOf(m, pfn);
  const kind = row < 0 ? 0 : m.state[row] & KIND_MASK;
  assert(kind === TAKEN || kind === MOBILE, "this does not head an allocated block", pfn);
  assert(pages.handleOf[row] === 0, "it belongs to somebody", pfn);
  const own = pages.owners[owner - 1];
  assert(own !== undefined, "no such owner", owner);
  pages.handleOf[row] = -owner;
  pages.flags[row] = 0;
  if (own.mayFree !== undefined) addLru(pages, row);
}

/** The block is used: of two that may go, the one that was used longer ago goes first. Linux: folio_mark_accessed() */
export function usePages(pages: Pages, pfn: number): void {
  const row = rowOf(pages.m, pfn);
  assert(row >= 0 && pages.handleOf[row] < 0, "no owner is registered for this block", pfn);
  markAccessed(pages, row);
}

/** The owner frees the block, or nobody is to move it any more: before `freePages`. */
export function disownPages(pages: Pages, pfn: number): void {
  const row = rowOf(pages.m, pfn);
  assert(row >= 0 && pages.handleOf[row] < 0, "no owner is registered for this block", pfn);
  forget(pages, row);
}

function assertUsed(pages: Pages, handle: number): void {
  const isUsed = handle > 0 && handle < pages.kind.length && pages.kind[handle] > HANDLE_FREE;
  assert(isUsed, "no page has this handle", handle);
}
