/**
 * Calls that take many single pages at once: how many is told, which ones is
 * compared where a probe tells them later.
 *
 * Linux: __alloc_pages_bulk(), mm/page_alloc.c; __vmap_pages_range_noflush(), mm/vmalloc.c
 */
import { allocPagesBulk } from "../mm/bulk.ts";
import type { Memory } from "../mm/memory.ts";
import type { BulkCall, ReplayEvent } from "./event.ts";
import type { Score } from "./score.ts";

export class BulkCalls {
  /** By task: pages of its last bulk call, as we took them. */
  readonly #taken: Map<number, number[]> = new Map();
  readonly #open: Set<number> = new Set();

  begin(e: ReplayEvent): void {
    this.#open.add(e.pid);
  }

  end(e: ReplayEvent): void {
    this.#open.delete(e.pid);
  }

  /** Takes the pages of a call. Returns them. */
  take(m: Memory, e: ReplayEvent, call: BulkCall, score: Score): number[] {
    const pfns: number[] = [];
    allocPagesBulk(m, call.gfp, call.pages, pfns);
    score.inputs.bulkCalls++;
    score.inputs.bulkPages += call.pages;
    this.#taken.set(e.pid, [...(this.#taken.get(e.pid) ?? []), ...pfns]);
    return pfns;
  }

  /** A request of its own within a call gave `pfn`. */
  single(e: ReplayEvent, pfn: number): void {
    if (this.#open.has(e.pid) && !e.interrupt) this.#taken.get(e.pid)?.push(pfn);
  }

  /** The probe tells the pages of the task's bulk calls since the last one, some at a time. */
  compare(e: ReplayEvent, score: Score): void {
    const own = this.#taken.get(e.pid);
    for (const [i, pfn] of e.pages.entries()) {
      const taken = own?.[e.b + i];
      if (taken === undefined) continue;
      score.bulkTold++;
      if (taken === pfn) score.bulkEqual++;
    }
    if (e.b === 0) this.#taken.delete(e.pid);
  }
}
