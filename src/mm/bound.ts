/**
 * The allocator bound to one memory: the same answers as `allocPages` and
 * `freePages`, several times as fast where it counts.
 *
 * What nearly every call comes to is answered here: the preferred zone is far
 * above its low mark and this CPU's list has a block of the own type; or a block
 * goes back to a list that has room. Everything else, with nothing changed, goes
 * to the general functions.
 *
 * The two functions are short enough that V8 puts both of them into the loop that
 * calls them: the bytecode of the shorter one and 1.2 times that of the longer one
 * may be 920 bytes, with what else is inlined there. The rest is in functions that
 * are called. All that they touch is a variable of a closure, so that V8 knows it; as
 * members of `m` each would be loaded and checked again.
 */
import { bindAlloc } from "./bound-alloc.ts";
import { bindFree } from "./bound-free.ts";
import type { Memory } from "./memory.ts";

export interface BoundMemory {
  readonly memory: Memory;
  /** As `allocPages`: pfn of the first of 2^order pages, or NO_PFN. */
  allocPages(gfp: number, order: number): number;
  /** As `freePages`. */
  freePages(pfn: number, order: number): void;
}

/** Binds the hot path to `m`. The memory may also be used through the general functions. */
export function bindMemory(m: Memory): BoundMemory {
  return { memory: m, allocPages: bindAlloc(m), freePages: bindFree(m) };
}
