/**
 * Whose a dead CPU is: those who recover it borrow it, one after the other, and who comes too late finds
 * that it was recovered. Nobody can attach as it or empty its lists meanwhile; should the one who recovers
 * die too, that can be told from its state.
 *
 * A CPU of a kernel does not die alone; what is like it there is one that goes offline.
 *
 * Linux: cpu_hotplug_lock, which lets one CPU go at a time, kernel/cpu.c
 */
import { assert } from "../base/assert.ts";
import { nap } from "./lock.ts";
import type { Memory } from "./memory.ts";
import {
  borrowedState,
  borrowerOf,
  C_RECOVERED,
  C_STATE,
  isBorrowed,
  lineOf,
  stateBefore,
} from "./share-words.ts";

/** Times that lists which a living CPU borrowed are tried: 5 ms each. */
const TRIES = 1000;
const NAP = 5;

/** A dead CPU as whoever recovers it found it. */
export interface Dead {
  readonly cpu: number;
  /** Times that it had been recovered by then. */
  readonly recovered: number;
}

/** A CPU that is borrowed: the state that says so, and what it was. */
export interface Claim {
  readonly cpu: number;
  readonly lent: number;
  readonly seen: number;
}

/** Each once, ascending: so that two who recover the same ones do not wait for each other. */
export function deadOf(cpus: Int32Array, dead: readonly number[]): Dead[] {
  const each = [...new Set(dead)].sort((a, b) => a - b);
  return each.map((cpu) => ({ cpu, recovered: timesRecovered(cpus, cpu) }));
}

function timesRecovered(cpus: Int32Array, cpu: number): number {
  return Atomics.load(cpus, lineOf(cpu) + C_RECOVERED);
}

/**
 * Borrows a CPU, after whoever is at it and alive. Null where another has recovered it meanwhile:
 * whoever is attached as it now is alive.
 */
export function claim(m: Memory, cpus: Int32Array, own: Dead, dead: readonly Dead[]): Claim | null {
  const at = lineOf(own.cpu) + C_STATE;
  for (let tries = 0; timesRecovered(cpus, own.cpu) === own.recovered; tries++) {
    const found = tryClaim(m, cpus, own, dead);
    if (found !== null) return found;
    const seen = Atomics.load(cpus, at);
    assert(tries < TRIES, "its lists are borrowed: has this CPU died too?", borrowerOf(seen));
    nap(cpus, at, seen, NAP);
  }
  return null;
}

/** The same without waiting: null as well where a living CPU is at it. */
export function tryClaim(
  m: Memory,
  cpus: Int32Array,
  { cpu, recovered }: Dead,
  dead: readonly Dead[],
): Claim | null {
  const at = lineOf(cpu) + C_STATE;
  const seen = Atomics.load(cpus, at);
  if (isBorrowed(seen) && !dead.some((own) => own.cpu === borrowerOf(seen))) return null;
  const lent = borrowedState(isBorrowed(seen) ? stateBefore(seen) : seen, m.cpu);
  if (Atomics.compareExchange(cpus, at, seen, lent) !== seen) return null;
  if (timesRecovered(cpus, cpu) === recovered) return { cpu, lent, seen };
  // In between it was recovered, and somebody attached.
  Atomics.compareExchange(cpus, at, lent, seen);
  return null;
}

/** CPUs whose lists the dead ones were emptying. */
export function borrowedBy(m: Memory, cpus: Int32Array, dead: readonly Dead[]): Dead[] {
  const found: number[] = [];
  for (let cpu = 0; cpu < m.cpuCount; cpu++) {
    const state = Atomics.load(cpus, lineOf(cpu) + C_STATE);
    if (isBorrowed(state) && dead.some((own) => own.cpu === borrowerOf(state))) found.push(cpu);
  }
  return deadOf(cpus, found);
}
