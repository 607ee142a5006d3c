/**
 * After a worker died: what it held goes back to the zones, and what it was in
 * the middle of is put right.
 *
 * The state of the frames is the truth, lists and counts are derived from it. A
 * page is the dead CPU's when `owner` says so. Pages can only have got lost under
 * a zone lock (S1): if the dead CPU holds that of a zone, the zone's free lists
 * are built anew from its frames, and RAM that no block covers is free.
 *
 * A CPU of a kernel does not die alone; what is like it there is one that goes offline.
 *
 * Linux: page_alloc_cpu_dead(), mm/page_alloc.c
 */
import { assert } from "../base/assert.ts";
import { assertOthers } from "./arguments.ts";
import { borrowedBy, type Claim, claim, type Dead, deadOf, tryClaim } from "./claim.ts";
import { endLoan, stopAsking } from "./drain-all.ts";
import { restoreBlocks } from "./isolate.ts";
import { inheritLock, lockHolder, tryLock, unlockZone } from "./lock.ts";
import { type Memory, ORDER_MASK, pfnOf, zoneOf } from "./memory.ts";
import { leaveQueue } from "./page-lock.ts";
import { returnToZone } from "./queue.ts";
import { emptyLists, giveRun, rebuildFree, walkZone } from "./recover-zone.ts";
import {
  C_ASKED,
  C_ISOLATED_FROM,
  C_ISOLATED_TO,
  C_ISOLATED_TYPE,
  C_MANAGED,
  C_RECOVERED,
  C_SERVED,
  CPU_OFFLINE,
  lineOf,
  stateBefore,
} from "./share-words.ts";

/** Times that a lock which a living CPU holds is tried: 5 ms each. */
const TRIES = 1000;

/** What `recover` gave back. */
export interface Recovered {
  /** Blocks that the workers had allocated and nobody had freed, by ascending pfn. */
  readonly held: readonly { readonly pfn: number; readonly order: number }[];
  /** Pages on their per-CPU lists, and on lists that they had borrowed. */
  readonly stocked: number;
  /** Pages that were on their way between lists. */
  readonly inFlight: number;
}

/**
 * Puts a shared memory right after the workers that were these CPUs are gone for
 * good: call it when they have ended, not before, and with all that have. From a
 * thread that hears of it: workers may be waiting for the dead one's lock, for ten
 * seconds at most. Others may go on meanwhile; of two that recover the same CPU one does, and the other
 * has nothing to give back. Asserts that the dead are other CPUs than the caller's,
 * and that nobody else keeps a zone's lock or a CPU's lists for seconds: that one
 * must have died too, and all can be recovered together then.
 */
export function recover(m: Memory, dead: readonly number[]): Recovered {
  const isManaged = m.cpus !== null && m.cpus[lineOf(0) + C_MANAGED] !== 0;
  assert(!isManaged, "pages of this memory have owners: `recoverPages` knows them");
  return recoverFrames(m, dead);
}

/** The same, after whoever knows the pages' owners has done his part. */
export function recoverFrames(m: Memory, dead: readonly number[]): Recovered {
  const { cpus } = m;
  assert(cpus !== null, "this memory was not made with shared: true");
  assertOthers(m, dead);
  const gone = deadOf(cpus, dead);
  const left: Left = { held: [], stocked: 0, inFlight: mendLocks(m, dead) };
  const claims: Claim[] = [];
  let isDone = false;
  try {
    for (const own of gone) keep(claims, claim(m, cpus, own, gone));
    const ours = gone.filter(({ cpu }) => claims.some((own) => own.cpu === cpu));
    for (const own of borrowedBy(m, cpus, ours)) keep(claims, tryClaim(m, cpus, own, ours));
    // Nothing is given back before it is certain that all can be.
    for (let zone = 0; zone < m.zoneCount; zone++) {
      waitForLock(m, zone);
      unlockZone(m, zone);
    }
    for (let zone = 0; zone < m.zoneCount; zone++) giveBack(m, cpus, zone, ours, claims, left);
    for (const { cpu } of ours) sayGone(m, cpus, cpu);
    isDone = true;
  } finally {
    for (const { cpu, lent, seen } of claims) {
      const isDead = gone.some((own) => own.cpu === cpu);
      const after = isDead ? CPU_OFFLINE : stateBefore(lent);
      endLoan(cpus, cpu, lent, isDone ? after : seen);
    }
  }
  return left;
}

function keep(claims: Claim[], own: Claim | null): void {
  if (own !== null) claims.push(own);
}

/** What `recover` has found so far. */
interface Left extends Recovered {
  readonly held: { pfn: number; order: number }[];
  stocked: number;
  inFlight: number;
}

/**
 * Zone locks of the dead are given back, the zones' lists built anew: first of all, since whoever is
 * alive and at what was theirs may be waiting for one. Returns the pages that no list had.
 */
export function mendLocks(m: Memory, dead: readonly number[]): number {
  const { cpus } = m;
  assert(cpus !== null, "this memory was not made with shared: true");
  const gone = deadOf(cpus, dead);
  return gone.reduce((sum, own) => sum + mendZones(m, cpus, own, gone), 0);
}

/** Zones whose lock the dead CPU holds get their free lists anew, and the lock is given back. */
function mendZones(m: Memory, cpus: Int32Array, own: Dead, dead: readonly Dead[]): number {
  const mine = tryClaim(m, cpus, own, dead);
  if (mine === null) return 0;
  let inFlight = 0;
  for (let zone = 0; zone < m.zoneCount; zone++) {
    if (lockHolder(m, zone) !== own.cpu || !inheritLock(m, zone, own.cpu)) continue;
    const found = walkZone(m, zone, new Set(), new Set());
    rebuildFree(m, zone, found);
    for (const { row, end } of found.gaps) {
      inFlight += end - row;
      giveRun(m, zone, row, end);
    }
    unlockZone(m, zone);
  }
  endLoan(cpus, own.cpu, mine.lent, mine.seen);
  return inFlight;
}

/** What the dead held of a zone, and what was on lists that are not to be trusted. */
function giveBack(
  m: Memory,
  cpus: Int32Array,
  zone: number,
  ours: readonly Dead[],
  claims: readonly Claim[],
  left: Left,
): void {
  waitForLock(m, zone);
  const broken = new Set(claims.map(({ cpu }) => cpu));
  const found = walkZone(m, zone, new Set(ours.map(({ cpu }) => cpu)), broken);
  for (const { cpu } of ours) endIsolation(m, cpus, zone, cpu);
  for (const row of found.held) {
    const order = m.state[row] & ORDER_MASK;
    left.held.push({ pfn: pfnOf(m, row), order });
    returnToZone(m, zone, row, order);
  }
  for (const row of found.stocked) {
    const order = m.owner[row] & ORDER_MASK;
    left.stocked += 1 << order;
    returnToZone(m, zone, row, order);
  }
  for (const cpu of broken) emptyLists(m, zone, cpu);
  unlockZone(m, zone);
}

/** Nobody waits for a dead CPU's answer, and it waits for nobody's. */
function sayGone(m: Memory, cpus: Int32Array, cpu: number): void {
  const line = lineOf(cpu);
  Atomics.store(cpus, line + C_SERVED, Atomics.load(cpus, line + C_ASKED));
  Atomics.notify(cpus, line + C_SERVED);
  stopAsking(m, cpus, cpu);
  leaveQueue(m, cpus, cpu);
  Atomics.add(cpus, line + C_RECOVERED, 1);
}

/** Pageblocks that the dead CPU kept for itself are open again. Under the zone's lock. */
function endIsolation(m: Memory, cpus: Int32Array, zone: number, cpu: number): void {
  const line = lineOf(cpu);
  const from = cpus[line + C_ISOLATED_FROM];
  const type = cpus[line + C_ISOLATED_TYPE] - 1;
  if (type < 0 || zoneOf(m, from) !== zone) return;
  restoreBlocks(m, from, cpus[line + C_ISOLATED_TO], type);
  cpus[line + C_ISOLATED_TYPE] = 0;
}

/** The lock of a zone, after whoever has it and is alive. */
function waitForLock(m: Memory, zone: number): void {
  for (let tries = 0; !tryLock(m, zone); tries++) {
    assert(
      tries < TRIES,
      "a zone's lock is never given back: has this CPU died too?",
      lockHolder(m, zone),
    );
  }
}
