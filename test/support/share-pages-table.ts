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

export function tableOf(entries: number): SharedArrayBuffer {
  return new SharedArrayBuffer(entries * ENTRY_WORDS * 4);
}
