/**
 * The per-CPU lists of all. In a shared memory those of others are asked for where
 * their worker runs, borrowed where it is idle or gone: see `share-words.ts`.
 *
 * Linux: drain_all_pages(), mm/page_alloc.c, sends work to every CPU; a worker
 * cannot be interrupted, so it answers at its next refill or free, and whoever asked
 * waits a while only.
 */
import { assert } from "../base/assert.ts";
import { drainCpu, drainFrom } from "./drain.ts";
import { lockWord, lockZone, nap, unlockZone } from "./lock.ts";
import { type Memory, P_COUNT, PCP_WORDS } from "./memory.ts";
import {
  borrowedState,
  borrowerOf,
  C_ASKED,
  C_ASKING,
  C_ISOLATED_TYPE,
  C_SERVED,
  C_STATE,
  CPU_IDLE,
  CPU_OFFLINE,
  CPU_RUNNING,
  isBorrowed,
  lineOf,
} from "./share-words.ts";
import { Z_FLAGS, ZONE_ASKED, ZONE_WORDS } from "./words.ts";

/** Milliseconds that an asker waits for a running CPU in all, and at a time. */
const PATIENCE = 20;
const NAP = 1;
/** Milliseconds after which whoever borrowed lists must have died: emptying them takes microseconds. */
const LOAN = 10_000;

/** Empties this CPU's lists if somebody asked for them since the last time. */
export function serve(m: Memory, cpus: Int32Array): void {
  const line = lineOf(m.cpu);
  assertAttached(m, cpus);
  const asked = Atomics.load(cpus, line + C_ASKED);
  if (asked === cpus[line + C_SERVED]) return;
  drainCpu(m, m.cpu);
  Atomics.store(cpus, line + C_SERVED, asked);
  Atomics.notify(cpus, line + C_SERVED);
}

/** Locks a word that may be kept for long; whoever has it may want what this CPU's lists hold. */
export function lockServing(m: Memory, words: Int32Array, at: number): void {
  const { cpus } = m;
  lockWord(words, at, m.cpu, cpus === null ? null : () => serve(m, cpus));
}

/** Empties the lists of every CPU. Linux: drain_all_pages() */
export function drainAllPages(m: Memory): void {
  if (m.cpus !== null) {
    drainShared(m, m.cpus);
    return;
  }
  const caller = m.cpu;
  for (let cpu = 0; cpu < m.cpuCount; cpu++) {
    // Up to 5.19 each CPU did it for itself, and kept back what it then counted.
    if (m.rule.drainsItself) m.cpu = cpu;
    drainCpu(m, cpu);
  }
  m.cpu = caller;
}

/** Empties all CPUs' lists of one zone. Linux: drain_all_pages(), drain_pages_zone() */
export function drainZone(m: Memory, zone: number): void {
  if (m.cpus !== null) {
    drainShared(m, m.cpus);
    return;
  }
  for (let cpu = 0; cpu < m.cpuCount; cpu++) {
    drainFrom(m, zone, cpu, m.pcp[(zone * m.cpuCount + cpu) * PCP_WORDS + P_COUNT], 0);
  }
}

/** Empties the lists of all CPUs, as far as those that run answer in time. */
function drainShared(m: Memory, cpus: Int32Array): void {
  drainCpu(m, m.cpu);
  const waiting: number[] = [];
  for (let cpu = 0; cpu < m.cpuCount; cpu++) {
    if (cpu === m.cpu || !holdsPages(m, cpu)) continue;
    if (!borrow(m, cpus, cpu)) waiting.push(cpu);
  }
  if (waiting.length > 0) askAll(m, cpus, waiting);
}

function holdsPages(m: Memory, cpu: number): boolean {
  for (let zone = 0; zone < m.zoneCount; zone++) {
    if (Atomics.load(m.pcp, (zone * m.cpuCount + cpu) * PCP_WORDS + P_COUNT) > 0) return true;
  }
  return false;
}

/** Drains a CPU that does not run; false where it does. */
function borrow(m: Memory, cpus: Int32Array, cpu: number): boolean {
  const at = lineOf(cpu) + C_STATE;
  const before = Atomics.load(cpus, at);
  if (before === CPU_RUNNING) return false;
  if (isBorrowed(before)) return true; // somebody else is at it
  const lent = borrowedState(before, m.cpu);
  if (Atomics.compareExchange(cpus, at, before, lent) !== before) return false;
  drainCpu(m, cpu);
  endLoan(cpus, cpu, lent, before);
  return true;
}

/**
 * The lists that were borrowed are their CPU's again, which is in state `after` then. Nothing where
 * the loan is another's by now: somebody took the borrower for dead.
 */
export function endLoan(cpus: Int32Array, cpu: number, lent: number, after: number): void {
  const at = lineOf(cpu) + C_STATE;
  if (Atomics.compareExchange(cpus, at, lent, after) === lent) Atomics.notify(cpus, at);
}

/** Asks running CPUs and waits for their answers, answering others meanwhile. */
function askAll(m: Memory, cpus: Int32Array, asked: readonly number[]): void {
  const tickets = asked.map((cpu) => Atomics.add(cpus, lineOf(cpu) + C_ASKED, 1) + 1);
  Atomics.store(cpus, lineOf(m.cpu) + C_ASKING, 1);
  markAsked(m, cpus);
  let patience = PATIENCE;
  asked.forEach((cpu, i) => {
    const line = lineOf(cpu);
    const ticket = tickets[i] ?? 0;
    for (; patience > 0; patience -= NAP) {
      const served = Atomics.load(cpus, line + C_SERVED);
      if (served - ticket >= 0 || borrow(m, cpus, cpu)) break;
      serve(m, cpus);
      nap(cpus, line + C_SERVED, served, NAP);
    }
  });
  stopAsking(m, cpus, m.cpu);
}

/** A CPU waits no longer, or never will again. */
export function stopAsking(m: Memory, cpus: Int32Array, asker: number): void {
  Atomics.store(cpus, lineOf(asker) + C_ASKING, 0);
  markAsked(m, cpus);
}

/**
 * Frees look closer while the flag is up, which is while anybody asks. That is looked at under the
 * lock: who begins to ask meanwhile raises the flag after this.
 */
function markAsked(m: Memory, cpus: Int32Array): void {
  for (let zone = 0; zone < m.zoneCount; zone++) {
    lockZone(m, zone);
    if (isAnyAsking(m, cpus)) m.zone[zone * ZONE_WORDS + Z_FLAGS] |= ZONE_ASKED;
    else m.zone[zone * ZONE_WORDS + Z_FLAGS] &= ~ZONE_ASKED;
    unlockZone(m, zone);
  }
}

function isAnyAsking(m: Memory, cpus: Int32Array): boolean {
  for (let cpu = 0; cpu < m.cpuCount; cpu++) {
    if (Atomics.load(cpus, lineOf(cpu) + C_ASKING) !== 0) return true;
  }
  return false;
}

/** This worker becomes `cpu`. Asserts that nobody else is. */
export function enterCpu(m: Memory, cpus: Int32Array): void {
  const state = changeState(cpus, m.cpu, CPU_OFFLINE, CPU_RUNNING);
  assert(state === CPU_OFFLINE, "another worker is attached as this CPU", m.cpu);
}

/**
 * Asserts that this worker may allocate and free. Asked wherever lists meet their zone: what stays on
 * a CPU's own list is too quick for it.
 */
export function assertAttached(m: Memory, cpus: Int32Array): void {
  const state = cpus[lineOf(m.cpu) + C_STATE];
  assert(state !== CPU_IDLE, "this CPU is idle: busy() first", m.cpu);
  assert(state !== CPU_OFFLINE, LEFT, m.cpu);
}

const LEFT = "this CPU has left or was recovered: attach again";

/**
 * From now on others may take what this CPU's lists hold. Nothing may be allocated or freed until
 * `busy`. Asserts that this worker has not left.
 */
export function idle(m: Memory): void {
  if (m.cpus === null) return;
  assert(changeState(m.cpus, m.cpu, CPU_RUNNING, CPU_IDLE) !== CPU_OFFLINE, LEFT, m.cpu);
}

/** Ends `idle`; waits while somebody empties the lists. Asserts that this worker has not left. */
export function busy(m: Memory): void {
  if (m.cpus === null) return;
  assert(changeState(m.cpus, m.cpu, CPU_IDLE, CPU_RUNNING) !== CPU_OFFLINE, LEFT, m.cpu);
}

/**
 * Gives this CPU's lists back to the zones and leaves: another worker may be this CPU then. Pages that
 * it holds stay taken, and that CPU's: freed by anybody, or given back by `recover`. Asserts that this
 * worker has not left, and keeps no range isolated.
 */
export function detach(m: Memory): void {
  if (m.cpus === null) return;
  busy(m);
  const isOpen = m.cpus[lineOf(m.cpu) + C_ISOLATED_TYPE] === 0;
  assert(isOpen, "a range is isolated still: endContig() first", m.cpu);
  drainCpu(m, m.cpu);
  changeState(m.cpus, m.cpu, CPU_RUNNING, CPU_OFFLINE);
}

/** Changes a CPU's own state, after a loan has ended. Returns what it was. */
function changeState(cpus: Int32Array, cpu: number, from: number, to: number): number {
  const at = lineOf(cpu) + C_STATE;
  for (let naps = 0; ; naps++) {
    const seen = Atomics.compareExchange(cpus, at, from, to);
    if (!isBorrowed(seen)) return seen;
    assert(naps < LOAN, "lists are borrowed and not given back: recover the CPU", borrowerOf(seen));
    nap(cpus, at, seen, NAP);
  }
}
