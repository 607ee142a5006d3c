/**
 * The zone lock of a shared memory: one word, the CPU that holds it plus one. It
 * is taken with one exchange, spun for shortly, then slept for. Everything that
 * changes a zone's free lists or counts runs under it; where one thread has the
 * memory to itself there is no lock.
 *
 *   S1  outside the lock every page is in a block whose head says what it is: FREE, EXTENT, PCP
 *       or taken. What is on its way from one to the other is so under the lock only, so the lock
 *       of a CPU that died tells where pages may have got lost
 *
 * Linux: spinlock_t lock of struct zone, include/linux/mmzone.h
 */
import { assert } from "../base/assert.ts";
import type { Memory } from "./memory.ts";
import { Z_LOCK, ZONE_WORDS } from "./words.ts";

/** Somebody sleeps until the lock is free. */
const WAITERS = 0x4000_0000;
/** Looks before sleeping, ten microseconds or so: what a drain takes, and less than to sleep and be woken. */
const SPINS = 1000;
/** Milliseconds after which a sleeper looks again: the holder may have died before it woke anybody. */
const NAP = 5;
/** Naps before it is certain that nobody will give the lock back. Work under it takes microseconds. */
const NAPS = 2000;
/** Looks at a word that fill a millisecond, more or less, where nobody may sleep. */
const LOOKS = 200_000;

export function lockZone(m: Memory, zone: number): void {
  if (m.cpus === null) return;
  const at = zone * ZONE_WORDS + Z_LOCK;
  if (Atomics.compareExchange(m.zone, at, 0, m.cpu + 1) !== 0) lockContended(m.zone, at, m.cpu + 1);
}

export function unlockZone(m: Memory, zone: number): void {
  if (m.cpus === null) return;
  const at = zone * ZONE_WORDS + Z_LOCK;
  if ((Atomics.exchange(m.zone, at, 0) & WAITERS) !== 0) Atomics.notify(m.zone, at, 1);
}

/** Any other word as such a lock, for CPU `cpu`, which does `meanwhile` every now and then. */
export function lockWord(
  words: Int32Array,
  at: number,
  cpu: number,
  meanwhile: (() => void) | null = null,
): void {
  if (Atomics.compareExchange(words, at, 0, cpu + 1) === 0) return;
  lockContended(words, at, cpu + 1, meanwhile);
}

/** The same if it is free right now. */
export function tryWord(words: Int32Array, at: number, cpu: number): boolean {
  return Atomics.compareExchange(words, at, 0, cpu + 1) === 0;
}

export function unlockWord(words: Int32Array, at: number): void {
  if ((Atomics.exchange(words, at, 0) & WAITERS) !== 0) Atomics.notify(words, at, 1);
}

/** CPU that has a word locked; -1 for none. */
export function holderOf(words: Int32Array, at: number): number {
  return (Atomics.load(words, at) & ~WAITERS) - 1;
}

/** The word that CPU `from` will never give back is CPU `to`'s; false where it has another by now. */
export function inheritWord(words: Int32Array, at: number, from: number, to: number): boolean {
  for (;;) {
    const seen = Atomics.load(words, at);
    if ((seen & ~WAITERS) !== from + 1) return false;
    const own = (seen & WAITERS) | (to + 1);
    if (Atomics.compareExchange(words, at, seen, own) === seen) return true;
  }
}

function lockContended(
  words: Int32Array,
  at: number,
  own: number,
  meanwhile: (() => void) | null = null,
): void {
  for (let i = 0; i < SPINS; i++) {
    if (Atomics.load(words, at) === 0 && Atomics.compareExchange(words, at, 0, own) === 0) return;
  }
  for (let naps = 0; ; ) {
    const seen = Atomics.load(words, at);
    if (seen === 0) {
      // Others may sleep still: whoever has slept wakes the next one.
      if (Atomics.compareExchange(words, at, 0, own | WAITERS) === 0) return;
      continue;
    }
    const marked = seen | WAITERS;
    if (seen !== marked && Atomics.compareExchange(words, at, seen, marked) !== seen) continue;
    assert(
      naps < NAPS,
      "a lock is not given back: recover the CPU that died",
      (seen & ~WAITERS) - 1,
    );
    meanwhile?.();
    // Who is woken and comes too late has not waited: others have the lock in turns.
    const time = meanwhile === null ? NAP : 1;
    if (nap(words, at, marked, time)) naps += time / NAP;
  }
}

/** The lock if it is free now or soon. */
export function tryLock(m: Memory, zone: number): boolean {
  const at = zone * ZONE_WORDS + Z_LOCK;
  const own = m.cpu + 1;
  if (Atomics.compareExchange(m.zone, at, 0, own) === 0) return true;
  nap(m.zone, at, Atomics.load(m.zone, at), NAP);
  // Whoever sleeps for it may have been woken for nothing: pass that on.
  return Atomics.compareExchange(m.zone, at, 0, own | WAITERS) === 0;
}

/** CPU that holds a zone's lock; -1 for none. */
export function lockHolder(m: Memory, zone: number): number {
  return holderOf(m.zone, zone * ZONE_WORDS + Z_LOCK);
}

/** The lock of a CPU that will never give it back becomes the caller's; false where it has another by now. */
export function inheritLock(m: Memory, zone: number, from: number): boolean {
  return inheritWord(m.zone, zone * ZONE_WORDS + Z_LOCK, from, m.cpu);
}

/**
 * Sleeps while a word is as seen, for `ms` at most. A browser's main thread may
 * not sleep: it looks on for as long, since whoever has what it waits for may not be running just now.
 * Returns whether the word was as seen all the time.
 */
export function nap(words: Int32Array, at: number, seen: number, ms: number): boolean {
  if (maySleep) {
    try {
      return Atomics.wait(words, at, seen, ms) === "timed-out";
    } catch {
      maySleep = false;
    }
  }
  for (let i = 0; i < ms * LOOKS; i++) if (Atomics.load(words, at) !== seen) return false;
  return true;
}

/** Whether this thread may sleep; found out at the first try. */
let maySleep = true;
