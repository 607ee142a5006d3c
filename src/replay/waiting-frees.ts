/**
 * Frees that are told, but not known to be done. A list's frees are told first
 * and done afterwards: where nothing tells when, they are done as late as what
 * comes next allows, so a drain is led up to by just the frees that it takes.
 *
 * Linux: release_pages(), mm/swap.c; free_unref_page_list(), mm/page_alloc.c
 */
import { type Memory, rowOf } from "../mm/memory.ts";
import { ISOLATE } from "../mm/rule.ts";
import type { Checks } from "./checks.ts";
import type { ReplayEvent } from "./event.ts";

/** Frees that may wait for a CPU at a time: far more than a list of pages has. */
const MOST = 65_536;

export class WaitingFrees {
  /** The recording has mm_page_free_batched, so that nothing needs to wait. */
  tellsLists = false;
  readonly #m: Memory;
  readonly #checks: Checks;
  readonly #free: (e: ReplayEvent) => void;
  /** By CPU. */
  readonly #waiting: ReplayEvent[][];

  constructor(m: Memory, checks: Checks, free: (e: ReplayEvent) => void) {
    this.#m = m;
    this.#checks = checks;
    this.#free = free;
    this.#waiting = Array.from({ length: m.cpuCount }, () => []);
  }

  /** Whether the free waits; otherwise it is done now. */
  takes(e: ReplayEvent): boolean {
    const waiting = this.#waiting[e.cpu];
    // Lists are of single pages; where they are told, the rest is freed at once.
    if (!this.tellsLists && e.order === 0 && !this.#isIsolated(e.pfn)) {
      waiting.push(e);
      return true;
    }
    // A list's huge pages are freed while it is gone through, its single pages afterwards.
    const [first] = waiting;
    if (first?.pid !== e.pid || e.order !== this.#m.pageblockOrder) this.#catchUp(e.cpu, null);
    return false;
  }

  /** Such a page passes the lists by, and its pageblock is opened when the last one is back. */
  #isIsolated(pfn: number): boolean {
    const row = rowOf(this.#m, pfn);
    return row >= 0 && this.#m.blockType[row >> this.#m.pageblockOrder] === ISOLATE;
  }

  /** Does those that are done before `e` is. */
  before(e: ReplayEvent): void {
    this.#catchUp(e.cpu, e);
  }

  /** The recording is over. */
  end(): void {
    for (let cpu = 0; cpu < this.#m.cpuCount; cpu++) this.#catchUp(cpu, null);
  }

  #catchUp(cpu: number, e: ReplayEvent | null): void {
    const waiting = this.#waiting[cpu];
    if (waiting.length === 0) return;
    if (e?.kind === "free" && !e.interrupt && waiting.length < MOST) return;
    const now = this.#m.cpu;
    this.#m.cpu = cpu;
    let done = 0;
    while (done < waiting.length) {
      if (e?.kind === "drain" && this.#checks.isDrainDue(cpu)) break;
      this.#free(waiting[done++]);
    }
    if (done === waiting.length) waiting.length = 0;
    else waiting.splice(0, done);
    this.#m.cpu = now;
  }
}
