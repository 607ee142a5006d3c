/**
 * What a recording tells beyond single events, without a look at any checked
 * pfn: which frees are done later in a batch, how many pages a bulk call took,
 * when kswapd's pass is over, and which interrupts came between two frees of a
 * batch, so that they found this CPU's lists of the zone locked.
 *
 * These look ahead in the trace, at kinds, tasks and the pfns of frees only.
 *
 * Linux: free_unref_page_list(), __alloc_pages_bulk(), balance_pgdat()
 */
import { isPageEvent, type ReplayEvent } from "./event.ts";

export interface BulkCall {
  /** Single pages that no mm_page_alloc tells. */
  readonly pages: number;
  readonly gfp: number;
}

export interface Inputs {
  /** Frees that are only announced: their `batched` event does them. */
  readonly announced: ReadonlySet<ReplayEvent>;
  /** Order of a batch's free: its own event does not tell. */
  readonly orderOf: ReadonlyMap<ReplayEvent, number>;
  /** Before this event the bulk call took its pages. */
  readonly bulks: ReadonlyMap<ReplayEvent, BulkCall>;
  /** After these kswapd's pass is over. */
  readonly passEnds: ReadonlySet<ReplayEvent>;
  /** Events of an interrupt between two frees of a batch, and that batch's last free before it. */
  readonly between: ReadonlyMap<ReplayEvent, ReplayEvent>;
  /** Pages in the run of drains of one CPU that begins here. */
  readonly drainRun: ReadonlyMap<ReplayEvent, number>;
}

export function inputsOf(events: readonly ReplayEvent[]): Inputs {
  const perCpu: ReplayEvent[][] = [];
  for (const e of events) {
    perCpu[e.cpu] ??= [];
    perCpu[e.cpu].push(e);
  }
  const lists = perCpu.filter((list) => list !== undefined);
  return {
    ...pairFrees(events),
    bulks: bulkCalls(events),
    passEnds: passEnds(events),
    between: lockedBursts(lists),
    drainRun: drainRuns(lists),
  };
}

/** A free of a list is announced page by page first, and done at mm_page_free_batched. */
function pairFrees(events: readonly ReplayEvent[]): Pick<Inputs, "announced" | "orderOf"> {
  const announced = new Set<ReplayEvent>();
  const orderOf = new Map<ReplayEvent, number>();
  const waiting = new Map<number, ReplayEvent>();
  for (const e of events) {
    if (e.kind === "free") waiting.set(e.pfn, e);
    else if (e.kind === "batched") {
      const free = waiting.get(e.pfn);
      if (free === undefined) continue;
      announced.add(free);
      orderOf.set(e, free.order);
      waiting.delete(e.pfn);
    }
  }
  return { announced, orderOf };
}

/** Pages come at a call's first request, which is for what the list lacked, or at its return. */
function bulkCalls(events: readonly ReplayEvent[]): Map<ReplayEvent, BulkCall> {
  const calls = new Map<ReplayEvent, BulkCall>();
  const open = new Map<number, { gfp: number; singles: number; first: ReplayEvent | null }>();
  for (const e of events) {
    const own = open.get(e.pid);
    if (e.kind === "bulk") open.set(e.pid, { gfp: Number(e.gfp), singles: 0, first: null });
    else if (own === undefined) continue;
    else if (e.kind === "alloc" && !e.interrupt) {
      own.singles++;
      own.first ??= e;
    } else if (e.kind === "bulk-end") {
      const pages = e.a - own.singles;
      if (pages > 0) calls.set(own.first ?? e, { pages, gfp: own.gfp });
      open.delete(e.pid);
    }
  }
  return calls;
}

/** kswapd's last page event before it next wakes, or the check of compaction after that. */
function passEnds(events: readonly ReplayEvent[]): Set<ReplayEvent> {
  const ends = new Set<ReplayEvent>();
  const open = new Map<number, { last: ReplayEvent; suitable: ReplayEvent | null }>();
  for (const e of events) {
    if (!e.kswapd) continue;
    const own = open.get(e.pid);
    if (e.kind === "kswapd") {
      if (own !== undefined) ends.add(own.suitable ?? own.last);
      open.set(e.pid, { last: e, suitable: null });
    } else if (own === undefined) continue;
    else if (isPageEvent(e)) {
      own.last = e;
      own.suitable = null;
    } else if (e.kind === "suitable") own.suitable ??= e;
  }
  for (const own of open.values()) ends.add(own.suitable ?? own.last);
  return ends;
}

function lockedBursts(perCpu: readonly (readonly ReplayEvent[])[]): Map<ReplayEvent, ReplayEvent> {
  const between = new Map<ReplayEvent, ReplayEvent>();
  for (const list of perCpu) {
    let batched: ReplayEvent | null = null;
    for (let i = 0; i < list.length; i++) {
      if (!list[i].interrupt) {
        if (list[i].kind === "batched") batched = list[i];
        else if (list[i].kind !== "drain") batched = null;
        continue;
      }
      const end = burstEnd(list, i);
      const then = list[end]?.kind;
      if (batched !== null && (then === "batched" || then === "drain")) {
        for (let k = i; k < end; k++) between.set(list[k], batched);
      }
      i = end - 1;
    }
  }
  return between;
}

/** Index after the events of the interrupt that begins at `from`. */
export function burstEnd(list: readonly ReplayEvent[], from: number): number {
  let end = from;
  while (end < list.length && list[end].interrupt && list[end].pid === list[from].pid) end++;
  return end;
}

function drainRuns(perCpu: readonly (readonly ReplayEvent[])[]): Map<ReplayEvent, number> {
  const runs = new Map<ReplayEvent, number>();
  for (const list of perCpu) {
    let pages = 0;
    for (let i = list.length - 1; i >= 0; i--) {
      const e = list[i];
      if (e.kind !== "drain") pages = 0;
      else {
        pages += 1 << e.order;
        runs.set(e, pages);
      }
    }
  }
  return runs;
}
