/**
 * What a recording tells beyond single events, without a look at any checked
 * pfn: which frees are done later in a batch, how many pages a bulk call took,
 * when kswapd's pass is over, which interrupts came between two frees of a
 * batch, so that they found this CPU's lists of the zone locked, and how long a
 * run of drains is and which event it follows, where compaction scans next.
 *
 * Each is a scan over kinds, tasks and the pfns of frees that goes ahead of the
 * driver (look-ahead.ts) and writes what it finds into the events' own fields.
 *
 * Linux: free_unref_page_list(), __alloc_pages_bulk(), balance_pgdat()
 */
import { ContigScan } from "./contig-scan.ts";
import { isPageEvent, type ReplayEvent } from "./event.ts";
import { EventsByPage } from "./events-by-page.ts";
import type { Scanner } from "./look-ahead.ts";

/** All of them, in one pass. They hold no more than the window. */
export class InputScan implements Scanner {
  readonly #pairs = new FreePairs();
  readonly #bulks = new BulkCalls();
  readonly #passes = new PassEnds();
  readonly #bursts = new LockedBursts();
  readonly #drains = new DrainRuns();
  readonly #contig = new ContigScan();
  /** By task: compaction that goes on, before it is told where. */
  readonly #scans: Map<number, ReplayEvent> = new Map();

  note(e: ReplayEvent): void {
    e.announced = false;
    e.batchOrder = -1;
    e.bulk = null;
    e.passEnd = false;
    e.lockedBy = -1;
    e.drainRun = 0;
    e.drainsNext = false;
    e.scansAt = -1;
    if (e.kind === "free" || e.kind === "batched") this.#pairs.note(e);
    this.#bulks.note(e);
    if (e.kswapd) this.#passes.note(e);
    this.#bursts.note(e);
    this.#drains.note(e);
    this.#contig.note(e);
    if (e.kind === "compact-next") this.#scans.set(e.pid, e);
    else if (e.kind === "compact-scan" || e.kind === "compact-end") {
      const next = this.#scans.get(e.pid);
      if (next !== undefined && e.kind === "compact-scan") next.scansAt = e.pfn;
      this.#scans.delete(e.pid);
    }
  }

  release(events: readonly ReplayEvent[]): void {
    this.#contig.release(events);
    for (const e of events) {
      if (e.kind === "free") this.#pairs.release(e);
      else if (e.kind === "alloc") this.#bulks.release(e);
      else if (e.kind === "drain") this.#drains.release(e);
      if (e.kswapd) this.#passes.release(e);
    }
  }
}

/** A free of a list is announced page by page first, and done at mm_page_free_batched. */
class FreePairs {
  readonly #waiting = new EventsByPage();

  note(e: ReplayEvent): void {
    if (e.kind === "free") this.#waiting.set(e);
    else if (e.kind === "batched") {
      const free = this.#waiting.take(e.pfn);
      if (free === null) return;
      free.announced = true;
      e.batchOrder = free.order;
    }
  }

  release(e: ReplayEvent): void {
    // A pair took it off already.
    if (!e.announced && this.#waiting.get(e.pfn) === e) this.#waiting.take(e.pfn);
  }
}

interface OpenCall {
  readonly gfp: number;
  singles: number;
  first: ReplayEvent | null;
}

/** Pages come at a call's first request, which is for what the list lacked, or at its return. */
class BulkCalls {
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

  release(e: ReplayEvent): void {
    const own = this.#open.size === 0 ? undefined : this.#open.get(e.pid);
    // The call goes on past the window: what it lacks is told at its return.
    if (own?.first === e) own.first = null;
  }
}

/** kswapd's last page event before it next wakes, or the check of compaction after that. */
class PassEnds {
  readonly #open = new Map<number, { last: ReplayEvent; suitable: ReplayEvent | null }>();

  note(e: ReplayEvent): void {
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
  release(e: ReplayEvent): void {
    const own = this.#open.get(e.pid);
    if (own === undefined || endOf(own) !== e) return;
    e.passEnd = true;
    this.#open.delete(e.pid);
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
    const burst = this.#open[e.cpu];
    if (burst === undefined) {
      this.#open[e.cpu] = e.interrupt ? [e] : [];
      return null;
    }
    if (burst.length === 0 || (e.interrupt && e.pid === burst[0].pid)) {
      if (e.interrupt) burst.push(e);
      return null;
    }
    this.#open[e.cpu] = e.interrupt ? [e] : [];
    return burst;
  }
}

class LockedBursts {
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

class DrainRuns {
  readonly #runs: ReplayEvent[][] = [];
  /** By CPU: the event before. */
  readonly #last: ReplayEvent[] = [];
  /** By CPU: its last event that was no drain. */
  readonly #before: ReplayEvent[] = [];

  note(e: ReplayEvent): void {
    const last = this.#last[e.cpu];
    e.drains = false;
    if (e.kind === "drain" && last !== undefined) last.drains = last.pid === e.pid;
    this.#last[e.cpu] = e;
    const run = this.#runs[e.cpu];
    const before = this.#before[e.cpu];
    if (e.kind !== "drain") this.#before[e.cpu] = e;
    else if (before !== undefined) before.drainsNext = true;
    if (e.kind !== "drain") {
      if (run !== undefined && run.length > 0) closeRun(run);
    } else if (run === undefined) this.#runs[e.cpu] = [e];
    else run.push(e);
  }

  release(e: ReplayEvent): void {
    if (e.drainRun === 0) closeRun(this.#runs[e.cpu] ?? []);
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
