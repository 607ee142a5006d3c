/**
 * The slot of a handle, and when the store may have it back: never before the handle
 * has forgotten it, so that a worker that dies leaves a slot that nobody uses, and
 * no handle with a slot of somebody else's.
 *
 * Linux: folio_free_swap(), swap_free(), mm/swapfile.c
 */
import { lockHandle, unlockHandle } from "./handle-lock.ts";
import { HANDLE_FREE, HANDLE_GONE, type Pages, W_GONE } from "./pages.ts";

/**
 * The handle, which is the caller's, has another slot (its number plus one; 0 for none). False where the
 * one it had is in a store that this worker has not: nothing has changed then, and a page that is written
 * to is as dirty as one without.
 */
export function setSlot(pages: Pages, handle: number, word: number): boolean {
  const { slot, store, shared } = pages;
  const old = slot[handle];
  if (old === 0 && word === 0) return true;
  if (old > 0 && store === null) {
    if (pages.kind[handle] === HANDLE_GONE && shared !== null) Atomics.add(shared.words, W_GONE, 1);
    return false;
  }
  if (old > 0) store?.shared?.claim(old - 1);
  slot[handle] = word;
  if (old > 0) store?.drop(old - 1);
  return true;
}

/** Drops what others gave up and only this worker can drop. */
export function sweepSlots(pages: Pages): void {
  const { shared, store, kind } = pages;
  if (shared === null || store === null || Atomics.load(shared.words, W_GONE) === 0) return;
  Atomics.store(shared.words, W_GONE, 0);
  for (let at = kind.indexOf(HANDLE_GONE); at >= 0; at = kind.indexOf(HANDLE_GONE, at + 1)) {
    lockHandle(pages, at);
    if (kind[at] === HANDLE_GONE && setSlot(pages, at, 0)) kind[at] = HANDLE_FREE;
    unlockHandle(pages, at);
  }
}
