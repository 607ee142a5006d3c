/**
 * Pages of bulk calls: taken as many as the recording says, kept by task until the
 * probe on vmalloc's mapping tells which ones they were.
 *
 * Linux: __alloc_pages_bulk(), mm/page_alloc.c; __vmap_pages_range_noflush(), mm/vmalloc.c
 */
import { allocPagesBulk } from "../mm/bulk.ts";
import type { Memory } from "../mm/memory.ts";
import type { BulkCall, ReplayEvent } from "./event.ts";
import type { Score } from "./score.ts";

export class BulkPages {
  readonly #m: Memory;
  readonly #score: Score;
  /** By task: pages of its last calls, as we took them. */
  readonly #taken: Map<number, number[]> = new Map();
  readonly #inCall: Set<number> = new Set();

  constructor(m: Memory, score: Score) {
    this.#m = m;
    this.#score = score;
  }

  begins(pid: number): void {
    this.#inCall.add(pid);
  }

  ends(pid: number): void {
    this.#inCall.delete(pid);
  }

  /** Takes what no mm_page_alloc tells. Returns the pages that were had. */
  take(pid: number, call: BulkCall): readonly number[] {
    const pfns: number[] = [];
    allocPagesBulk(this.#m, call.gfp, call.pages, pfns);
    this.#score.inputs.bulkCalls++;
    this.#score.inputs.bulkPages += call.pages;
    this.#taken.set(pid, [...(this.#taken.get(pid) ?? []), ...pfns]);
    return pfns;
  }

  /** A request was served; within a bulk call its page is one of the call's. */
  single(e: ReplayEvent, pfn: number): void {
    if (this.#inCall.size > 0 && this.#inCall.has(e.pid) && !e.interrupt)
      this.#taken.get(e.pid)?.push(pfn);
  }

  /** The probe tells the pages of the task's calls since the last one, some at a time. */
  told(e: ReplayEvent): void {
    const own = this.#taken.get(e.pid);
    for (const [i, pfn] of e.pages.entries()) {
      const taken = own?.[e.b + i];
      if (taken === undefined) continue;
      this.#score.bulkTold++;
      if (taken === pfn) this.#score.bulkEqual++;
    }
    if (e.b === 0) this.#taken.delete(e.pid);
  }
}
