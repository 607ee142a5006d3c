/**
 * Who may change what about a page in a shared memory.
 *
 * A handle is a stable name where a row is not: its lock is the page's. It may be
 * waited for by who has no other handle's, is only tried by who moves or reclaims,
 * and says who was at it when a worker died.
 *
 *   T1  place, slot and kind of a handle, and handleOf, flags and pins of its row, are written by who
 *       has the handle locked. `place` is the truth: it is rewritten in one store, after the new page
 *       has the bytes, and before the old one is given up
 *   T2  links and sizes of LRU lists change under the list's lock, that of its zone or of its node's
 *       first zone. Who takes a page off its list to look at it keeps the handle locked until it is
 *       on one again: nobody who has a handle locked finds its page off the lists
 *   T3  what a callback owner has is its worker's alone. Others pass such pages over, on the lists too
 *   T4  the block that a handle is at has in `owner` the CPU that the handle goes with (but for who is
 *       at it): `recover` of a CPU gives back what was its, whoever moved it
 *   T5  pins of a row are the sum of what CPUs hold of its handle. A pfn that is not pinned is a hint
 *   T6  a block that is locked as a frame (`page-lock.ts`) is neither moved nor reclaimed
 *
 * Order: a handle, then one of LRU lock, zone lock. In a memory of one thread there is no lock.
 *
 * Linux: folio_lock(), include/linux/pagemap.h; lruvec->lru_lock; zone->lru_lock (2.6)
 */
import { assert } from "../../base/assert.ts";
import { lockServing } from "../drain-all.ts";
import { holderOf, lockWord, tryWord, unlockWord } from "../lock.ts";
import { type Memory, ORDER_MASK, ZONE_WORDS } from "../memory.ts";
import { wakeSleepers } from "../page-lock.ts";
import { Z_LRU_LOCK } from "../words.ts";
import type { Pages } from "./pages.ts";

/** Waits for whoever has the handle. Asserts that it is not this CPU, and no owner of its is being asked. */
export function lockHandle(pages: Pages, handle: number): void {
  const { m, shared } = pages;
  if (shared === null) return;
  assert(!pages.asking, "who is asked for a page of a shared memory does not use handles", handle);
  assert(holderOf(shared.lock, handle) !== m.cpu, "this CPU has the handle locked", handle);
  lockServing(m, shared.lock, handle);
}

function tryLockHandle({ m, shared }: Pages, handle: number): boolean {
  return shared === null || tryWord(shared.lock, handle, m.cpu);
}

export function unlockHandle({ shared }: Pages, handle: number): void {
  if (shared !== null) unlockWord(shared.lock, handle);
}

/** A free handle that nobody else has its hands on. */
export function tryFreeHandle(pages: Pages, handle: number): boolean {
  return tryLockHandle(pages, handle);
}

/**
 * Whether the page at `row` is this worker's to move or reclaim now: its handle is locked then, or it
 * belongs to an owner that is asked in this worker. Given up by `letBe`.
 */
export function tryTake(pages: Pages, row: number): boolean {
  const handle = pages.handleOf[row];
  if (handle === 0) return false;
  if (pages.shared === null) return true;
  if (handle < 0) return isAskedHere(pages, handle);
  if (!tryLockHandle(pages, handle)) return false;
  if (pages.place[handle] === row) return true;
  unlockHandle(pages, handle);
  return false;
}

export function letBe(pages: Pages, handle: number): void {
  if (handle > 0) unlockHandle(pages, handle);
}

/** CPU whose worker has an owner, by what `handleOf` says of its pages; their number there, from 1. */
const OWNER_BITS = 16;

export function ownerWord({ m, shared }: Pages, owner: number): number {
  assert(owner > 0 && owner < 1 << OWNER_BITS, "no such owner", owner);
  return -(((shared === null ? 0 : m.cpu) << OWNER_BITS) | owner);
}

export function cpuOfOwner(word: number): number {
  return -word >> OWNER_BITS;
}

export function numberOfOwner(word: number): number {
  return -word & ((1 << OWNER_BITS) - 1);
}

export function isAskedHere({ m, shared }: Pages, word: number): boolean {
  return shared === null || cpuOfOwner(word) === m.cpu;
}

export function lockLru({ m, shared }: Pages, home: number): void {
  if (shared !== null) lockWord(m.zone, home * ZONE_WORDS + Z_LRU_LOCK, m.cpu);
}

export function unlockLru({ m, shared }: Pages, home: number): void {
  if (shared !== null) unlockWord(m.zone, home * ZONE_WORDS + Z_LRU_LOCK);
}

/** Whether somebody has the block locked as a frame. */
export function isFrameLocked(m: Memory, row: number): boolean {
  return m.cpus !== null && Atomics.load(m.pageLock, row) !== 0;
}

/** Locks the block as a frame while it moves or goes; false where somebody has it. */
export function tryFrame(m: Memory, row: number): boolean {
  return m.cpus === null || Atomics.compareExchange(m.pageLock, row, 0, m.cpu + 1) === 0;
}

export function unlockBlock(m: Memory, row: number): void {
  if (m.cpus === null) return;
  Atomics.store(m.pageLock, row, 0);
  wakeSleepers(m, row);
}

/** The block at `row` goes with `cpu`. */
export function giveTo(m: Memory, row: number, cpu: number): void {
  if (m.cpus !== null) m.owner[row] = ((cpu + 1) << 8) | (m.state[row] & ORDER_MASK);
}
