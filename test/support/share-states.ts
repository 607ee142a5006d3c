// The states of a shared memory's CPUs, and what others do while one sleeps.
import { strict as expect } from "node:assert";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { GFP_KERNEL, type Memory } from "../../src/mm/index.ts";
import { P_COUNT, PCP_WORDS } from "../../src/mm/memory.ts";
import { C_STATE, lineOf } from "../../src/mm/share-words.ts";

/** The words of a shared memory's CPUs. */
export function lines(m: Memory): Int32Array {
  expect.ok(m.cpus);
  return m.cpus;
}

export function stateOf(m: Memory, cpu: number): number {
  return Atomics.load(lines(m), lineOf(cpu) + C_STATE);
}

/** Leaves a page on the CPU's lists. */
export function stock(m: Memory): void {
  freePages(m, allocPages(m, GFP_KERNEL, 0), 0);
}

export function stocked(m: Memory, cpu: number): number {
  let pages = 0;
  for (const zone of m.names.keys())
    pages += m.pcp[(zone * m.cpuCount + cpu) * PCP_WORDS + P_COUNT] ?? 0;
  return pages;
}

/** What happens elsewhere while this thread sleeps; `woken` is whether somebody calls it then. */
export function whileAsleep(then: () => void, run: () => void, woken = false): void {
  const { wait } = Atomics;
  Reflect.set(Atomics, "wait", () => {
    then();
    return woken ? "ok" : "timed-out";
  });
  try {
    run();
  } finally {
    Reflect.set(Atomics, "wait", wait);
  }
}
