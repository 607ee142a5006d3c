/**
 * What a recording tells beyond single events, without a look at any checked
 * pfn: which frees are done later in a batch, how many pages a bulk call took,
 * when kswapd's pass is over, which interrupts came between two frees of a
 * batch, so that they found this CPU's lists of the zone locked, and how long a
 * run of drains is.
 *
 * Each is a scan over kinds, tasks and the pfns of frees that goes ahead of the
 * driver (look-ahead.ts) and writes what it finds into the events' own fields.
 *
 * Linux: free_unref_page_list(), __alloc_pages_bulk(), balance_pgdat()
 */
import { isPageEvent, type ReplayEvent } from "./event.ts";
import type { Scanner } from "./look-ahead.ts";

/** One of each; they hold no more than the window. */
export function inputScanners(): Scanner[] {
  return [new FreePairs(), new BulkCalls(), new PassEnds(), new LockedBursts(), new DrainRuns()];
}

/** A free of a list is announced page by page first, and done at mm_page_free_batched. */
class FreePairs implements Scanner {
  readonly #waiting = new Map<number, ReplayEvent>();

  note(e: ReplayEvent): void {
    if (e.kind === "free") this.#waiting.set(e.pfn, e);
    else if (e.kind === "batched") {
      const free = this.#waiting.get(e.pfn);
      if (free === undefined) return;
      free.announced = true;
      e.batchOrder = free.order;
      this.#waiting.delete(e.pfn);
    }
  }

  release(events: readonly ReplayEvent[]): void {
    for (const e of events) {
      if (e.kind === "free" && this.#waiting.get(e.pfn) === e) this.#waiting.delete(e.pfn);
    }
  }
}

interface OpenCall {
  readonly gfp: number;
  singles: number;
  first: ReplayEvent | null;
}

/** Pages come at a call's first request, which is for what the list lacked, or at its return. */
class BulkCalls implements Scanner {
  readonly #open = new Map<number, OpenCall>();

  note(e: ReplayEvent): void {
    if (e.kind === "bulk") {
      this.#open.set(e.pid, { gfp: Number(e.gfp), singles: 0, first: null });
      return;
    }
    const own = this.#open.size === 0 ? undefined : this.#open.get(e.pid);
    if (own === undefined) return;
    if (e.kind === "alloc" && !e.interrupt) {
      own.singles++;
      own.first ??= e;
    } else if (e.kind === "bulk-end") {
      const pages = e.a - own.singles;
      const at = own.first ?? e;
      if (pages > 0) at.bulk = { pages, gfp: own.gfp };
      this.#open.delete(e.pid);
    }
  }

  release(events: readonly ReplayEvent[]): void {
    for (const e of events) {
      const own = e.kind === "alloc" ? this.#open.get(e.pid) : undefined;
      // The call goes on past the window: what it lacks is told at its return.
      if (own?.first === e) own.first = null;
    }
  }
}

/** kswapd's last page event before it next wakes, or the check of compaction after that. */
class PassEnds implements Scanner {
  readonly #open = new Map<number, { last: ReplayEvent; suitable: ReplayEvent | null }>();

  note(e: ReplayEvent): void {
    if (!e.kswapd) return;
    const own = this.#open.get(e.pid);
    if (e.kind === "kswapd") {
      if (own !== undefined) endOf(own).passEnd = true;
      this.#open.set(e.pid, { last: e, suitable: null });
    } else if (own === undefined) return;
    else if (isPageEvent(e)) {
      own.last = e;
      own.suitable = null;
    } else if (e.kind === "suitable") own.suitable ??= e;
  }

  /** Nothing more of it in a whole window: it sleeps. */
  release(events: readonly ReplayEvent[]): void {
    for (const e of events) {
      const own = e.kswapd ? this.#open.get(e.pid) : undefined;
      if (own === undefined || endOf(own) !== e) continue;
      e.passEnd = true;
      this.#open.delete(e.pid);
    }
  }
}

function endOf(own: { last: ReplayEvent; suitable: ReplayEvent | null }): ReplayEvent {
  return own.suitable ?? own.last;
}

/** Events of one interrupt: those in a row, on one CPU, over one task. */
export class Bursts {
  readonly #open: ReplayEvent[][] = [];

  /** The interrupt that `e` ends on its CPU; null when none was open, or when it goes on. */
  note(e: ReplayEvent): ReplayEvent[] | null {
    const burst = this.#open[e.cpu] ?? [];
    const [first] = burst;
    const ended = first !== undefined && !(e.interrupt && e.pid === first.pid);
    if (ended) this.#open[e.cpu] = e.interrupt ? [e] : [];
    else if (e.interrupt) {
      burst.push(e);
      if (first === undefined) this.#open[e.cpu] = burst;
    }
    return ended ? burst : null;
  }
}

class LockedBursts implements Scanner {
  readonly #bursts = new Bursts();
  /** By CPU: the last free of the batch that is going on. */
  readonly #batched: (ReplayEvent | null)[] = [];

  note(e: ReplayEvent): void {
    const burst = this.#bursts.note(e);
    const batched = this.#batched[e.cpu] ?? null;
    if (burst !== null && batched !== null && (e.kind === "batched" || e.kind === "drain")) {
      for (const own of burst) own.lockedBy = batched.pfn;
    }
    if (e.interrupt) return;
    if (e.kind === "batched") this.#batched[e.cpu] = e;
    else if (e.kind !== "drain") this.#batched[e.cpu] = null;
  }
}

class DrainRuns implements Scanner {
  readonly #runs: ReplayEvent[][] = [];

  note(e: ReplayEvent): void {
    this.#runs[e.cpu] ??= [];
    const run = this.#runs[e.cpu];
    if (e.kind === "drain") run.push(e);
    else if (run.length > 0) closeRun(run);
  }

  release(events: readonly ReplayEvent[]): void {
    for (const e of events) {
      if (e.kind === "drain" && e.drainRun === 0) closeRun(this.#runs[e.cpu] ?? []);
    }
  }
}

/** Pages from each drain of the run to its end. */
function closeRun(run: ReplayEvent[]): void {
  let pages = 0;
  for (let i = run.length - 1; i >= 0; i--) {
    pages += 2 ** run[i].order;
    run[i].drainRun = pages;
  }
  run.length = 0;
}
