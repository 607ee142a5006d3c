/**
 * What the CPUs of a shared memory tell each other, as words of the region
 * `cpus`: a line for each CPU, so that nobody's writing slows down somebody
 * else's reading.
 *
 * A CPU's lists are touched by its own worker while it runs. Others ask, and wait
 * no longer than they have patience; lists of a CPU that is idle, or that nobody
 * is attached as, are borrowed.
 *
 * Linux: cpu_online_mask; work queued on a CPU by __drain_all_pages(), mm/page_alloc.c
 *
 *   OFFLINE ──attach──▶ RUNNING ◀──idle, busy──▶ IDLE
 *      ▲  ╲               │                      ╱
 *      │   ╲───borrow──▶ BORROWED ◀──borrow─────╱        (and back when it is drained)
 *      └───detach─────────┘
 *
 * Whoever recovers a dead CPU borrows it first, and so do two that recover the same one: one after the other.
 */

/** Words of a line: 64 bytes. */
export const CPU_WORDS = 16;

/** Words of a CPU's line. While it is borrowed its state also says from what, and by which CPU. */
export const C_STATE = 0;
/** Times that others asked for its lists, and the last of these that was answered. */
export const C_ASKED = 1;
export const C_SERVED = 2;
/** 1 while this CPU waits for the lists of others. */
export const C_ASKING = 3;
/** Rows of the pageblocks that this CPU keeps isolated, and the type they were of plus one; 0 for none. */
export const C_ISOLATED_FROM = 4;
export const C_ISOLATED_TO = 5;
export const C_ISOLATED_TYPE = 6;
/** Times that it was recovered: who finds another number than before comes too late. */
export const C_RECOVERED = 7;
/** Queue of the wait table on which it sleeps, plus one; 0 for none. */
export const C_QUEUE = 8;
/** On CPU 0's line: 1 when pages of the memory may have owners. See `pressure/`. */
export const C_MANAGED = 9;

export const CPU_OFFLINE = 0;
export const CPU_RUNNING = 1;
export const CPU_IDLE = 2;
export const CPU_BORROWED = 3;

/** First word of a CPU's line; of all lines, the words of so many CPUs. */
export function lineOf(cpu: number): number {
  return cpu * CPU_WORDS;
}

/** State of a CPU that was `before` and whose lists `borrower` empties. */
export function borrowedState(before: number, borrower: number): number {
  return CPU_BORROWED | (before << 4) | (borrower << 8);
}

export function isBorrowed(state: number): boolean {
  return (state & 0xf) === CPU_BORROWED;
}

/** What it was before. */
export function stateBefore(state: number): number {
  return (state >> 4) & 0xf;
}

export function borrowerOf(state: number): number {
  return state >> 8;
}
