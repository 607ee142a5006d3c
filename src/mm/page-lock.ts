/**
 * The lock of a page in a shared memory: who fills it, or writes it out, keeps
 * others away from its bytes. A byte of the page says who has it; those who want
 * it sleep on a queue of the zone's wait table, which pages share by hash.
 *
 *   S3  pageLock[row] is the CPU that has the block at `row` locked plus one, 0 for none; only
 *       allocated blocks are locked
 *
 * Where one thread has the memory to itself there is nobody to wait for, and no lock.
 *
 * Linux: lock_page(), trylock_page(), unlock_page(), page_waitqueue(), mm/filemap.c (2.6); folio_lock() since
 */
import { assert } from "../base/assert.ts";
import { nap } from "./lock.ts";
import {
  KIND_MASK,
  type Memory,
  MOBILE,
  rowOf,
  TAKEN,
  Z_WAIT,
  Z_WAIT_BITS,
  ZONE_WORDS,
  zoneOf,
} from "./memory.ts";
import { C_QUEUE, lineOf } from "./share-words.ts";

/** GOLDEN_RATIO_PRIME_32: spreads neighbouring pages over the queues. */
const GOLDEN = 0x9e370001;
/** Milliseconds that a sleeper naps before it looks again: it may have missed the call. */
const NAP = 1;

/**
 * Locks the block at `pfn`; waits for whoever has it locked, `patience` milliseconds or so. Returns
 * whether it is the caller's. Asserts that it is allocated, and not locked by the caller already.
 */
export function lockFrame(m: Memory, pfn: number, patience = 1000): boolean {
  if (tryLockFrame(m, pfn) || m.cpus === null) return true;
  const row = rowOf(m, pfn);
  assert(Atomics.load(m.pageLock, row) !== m.cpu + 1, "locked by this CPU already", pfn);
  const queue = queueOf(m, row);
  Atomics.add(m.waitTable, queue, 1);
  m.cpus[lineOf(m.cpu) + C_QUEUE] = queue + 1;
  let isOurs = false;
  for (let naps = 0; naps < patience / NAP && !isOurs; naps++) {
    nap(m.waitTable, queue, Atomics.load(m.waitTable, queue), NAP);
    isOurs = tryLockFrame(m, pfn);
  }
  leaveQueue(m, m.cpus, m.cpu);
  return isOurs;
}

/** A CPU sleeps no longer, or never will again. */
export function leaveQueue(m: Memory, cpus: Int32Array, cpu: number): void {
  const queue = cpus[lineOf(cpu) + C_QUEUE] - 1;
  cpus[lineOf(cpu) + C_QUEUE] = 0;
  // A death in between leaves a sleeper too many, who costs a call; one too few would miss it.
  if (queue >= 0) Atomics.sub(m.waitTable, queue, 1);
}

/** Locks the block at `pfn` if nobody has it locked. Returns whether it is the caller's. */
export function tryLockFrame(m: Memory, pfn: number): boolean {
  const row = rowOf(m, pfn);
  const kind = row < 0 ? 0 : m.state[row] & KIND_MASK;
  assert(kind === TAKEN || kind === MOBILE, "this does not head an allocated block", pfn);
  return m.cpus === null || Atomics.compareExchange(m.pageLock, row, 0, m.cpu + 1) === 0;
}

/** Asserts that this CPU has the block locked. To be called before it is freed. */
export function unlockFrame(m: Memory, pfn: number): void {
  if (m.cpus === null) return;
  const row = rowOf(m, pfn);
  assert(row >= 0, "pfn is not in this memory", pfn);
  const holder = Atomics.compareExchange(m.pageLock, row, m.cpu + 1, 0);
  assert(holder === m.cpu + 1, "not locked by this CPU", pfn);
  wakeSleepers(m, row);
}

/** Nobody has the block locked any more, whoever it was. */
export function breakLock(m: Memory, row: number): void {
  if (Atomics.exchange(m.pageLock, row, 0) !== 0) wakeSleepers(m, row);
}

export function wakeSleepers(m: Memory, row: number): void {
  const queue = queueOf(m, row);
  if (Atomics.load(m.waitTable, queue) > 0) Atomics.notify(m.waitTable, queue);
}

function queueOf(m: Memory, row: number): number {
  const words = zoneOf(m, row) * ZONE_WORDS;
  const hash = Math.imul(row, GOLDEN) >>> (32 - m.zone[words + Z_WAIT_BITS]);
  return m.zone[words + Z_WAIT] + hash;
}
