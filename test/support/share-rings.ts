// Rings of blocks between the workers of a shared memory, one for each pair: pfn * 16 + order.
import type { SharedMemory } from "../../src/mm/index.ts";

export interface Plan {
  readonly shared: SharedMemory;
  readonly cpu: number;
  /** CPU 0 is whoever starts the others; those exchange pages. */
  readonly cpus: number;
  readonly frames: number;
  readonly rings: SharedArrayBuffer;
  /** By CPU and pfn: order + 1 of what it holds, 0 for nothing. */
  readonly ledger: SharedArrayBuffer;
  readonly seed: number;
  readonly steps: number;
  /** Blocks that a worker holds at most. */
  readonly most: number;
  /** Out of a hundred frees, how many are left to another worker. */
  readonly crossing: number;
}

const SLOTS = 64;
const RING_WORDS = SLOTS + 2;

export function ringBytes(cpus: number): number {
  return cpus * cpus * RING_WORDS * 4;
}

export function send(words: Int32Array, cpus: number, from: number, to: number, block: number) {
  const at = (from * cpus + to) * RING_WORDS;
  const tail = Atomics.load(words, at + 1);
  if (tail - Atomics.load(words, at) >= SLOTS) return false;
  words[at + 2 + (tail % SLOTS)] = block;
  Atomics.store(words, at + 1, tail + 1);
  return true;
}

/** A block, or -1. */
export function receive(words: Int32Array, cpus: number, from: number, to: number): number {
  const at = (from * cpus + to) * RING_WORDS;
  const head = Atomics.load(words, at);
  if (head === Atomics.load(words, at + 1)) return -1;
  const block = words[at + 2 + (head % SLOTS)] ?? -1;
  Atomics.store(words, at, head + 1);
  return block;
}
