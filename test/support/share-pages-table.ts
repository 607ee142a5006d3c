// Handles that the workers of a shared memory use in turns: an entry has a lock, the handle, and what its
// page should say. Plus some that all use at once, under the lock of the frame.
import type { SharedPages } from "../../src/mm/index.ts";

export interface Plan {
  readonly ticket: SharedPages;
  readonly cpu: number;
  /** CPU 0 is whoever starts the others. */
  readonly cpus: number;
  readonly seed: number;
  readonly steps: number;
  readonly table: SharedArrayBuffer;
  readonly entries: number;
  /** Handles that every worker reads, and writes to where nobody is to die at it. */
  readonly common: readonly number[];
  readonly writesCommon: boolean;
}

/** Words of an entry: who is at it plus one, its handle, what it says, and 1 while that is being changed. */
export const E_LOCK = 0;
export const E_HANDLE = 1;
export const E_VALUE = 2;
export const E_CHANGING = 3;
export const ENTRY_WORDS = 4;

/** Behind the entries there is a word more: how many workers have come. */
export function tableOf(entries: number): SharedArrayBuffer {
  return new SharedArrayBuffer((entries * ENTRY_WORDS + 1) * 4);
}

/** Waits until `count` have come: threads that begin one after the other are not at it together. */
export function meet(table: SharedArrayBuffer, count: number): void {
  const words = new Int32Array(table);
  const at = words.length - 1;
  Atomics.add(words, at, 1);
  Atomics.notify(words, at);
  for (let come = 0; come < count; come = Atomics.load(words, at)) {
    Atomics.wait(words, at, come, 100);
  }
}
