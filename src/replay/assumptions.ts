/**
 * What a repaired run may assume where a recording does not say in which order
 * things happened: each is read off the recorded pages, so a blind run has none.
 *
 *   early        mm_page_alloc is told after the page was taken; an interrupt told before it
 *                came in between. Assumed when the page lies first on our list then.
 *   locked       an interrupt found the zone's lists locked, so its frees went to the buddy.
 *                Assumed when one of its pages next comes from a free list, undrained.
 *   hidden bulk  bulk calls tell nothing where no probe was set. A page on our list that is
 *                next freed, or not free at the end, was taken by one; so was a block of a
 *                refill that no request explains.
 *   hidden state what a refill takes tells what no snapshot holds: refill-runs.ts, counter-folds.ts;
 *                what a free drains tells it, too: pageset-highs.ts.
 *
 * Linux: rmqueue_pcplist(), free_unref_page(), __alloc_pages_bulk(), mm/page_alloc.c
 */
import { allocPagesBulk } from "../mm/bulk.ts";
import { KIND_MASK, type Memory, PCP, PCP_LISTS, pfnOf, rowOf, zoneOf } from "../mm/memory.ts";
import { MOVABLE, PCP_TYPES } from "../mm/rule.ts";
import { fitDrifts } from "./counter-folds.ts";
import type { ReplayEvent } from "./event.ts";
import { Bursts } from "./inputs.ts";
import type { Scanner } from "./look-ahead.ts";
import { adaptFactor, RefillRuns } from "./refill-runs.ts";
import type { Score } from "./score.ts";
import { stockList, takeOff } from "./surgery.ts";
import type { Watch } from "./watch.ts";

/** What becomes of a page next. */
type Fate = "free" | "alloc" | "drain" | "refill";

/** Free pages at the end of the recording. */
export interface FreeAtEnd {
  /** On free lists, and on those or per-CPU lists. */
  readonly buddy: ReadonlySet<number>;
  readonly any: ReadonlySet<number>;
}

const GFP_KERNEL_BITS = 0xcc0;

export interface AssumptionOptions {
  /** No probe told the bulk calls of this recording. */
  readonly hiddenBulks: boolean;
  /** null where nobody looked. */
  readonly end: FreeAtEnd | null;
}

interface Fated {
  readonly line: number;
  readonly fate: Fate;
}

/** Frees of one interrupt. */
interface Burst {
  readonly frees: readonly ReplayEvent[];
  /** Its frees went past the per-CPU lists; null until it was asked. */
  past: boolean | null;
}

export class Assumptions implements Scanner {
  readonly hiddenBulks: boolean;
  readonly #end: FreeAtEnd | null;
  readonly #bursts = new Bursts();
  /** By the first event of an interrupt: the request that may have been served before it. */
  readonly #early: WeakMap<ReplayEvent, ReplayEvent> = new WeakMap();
  readonly #burstOf: WeakMap<ReplayEvent, Burst> = new WeakMap();
  readonly #runs: RefillRuns = new RefillRuns();
  /** By CPU: the blocks that the next request's refill took. */
  readonly #refilled: (readonly ReplayEvent[])[] = [];
  /** By pfn: what becomes of it within the window, soonest first. */
  readonly #fates: Map<number, Fated[]> = new Map();
  /** Told of pages taken by hidden bulk calls. */
  watch: Watch | null = null;
  /** What the driver has got, and is through with when it gets more. */
  #driven: readonly ReplayEvent[] = [];
  /** The window reaches the end of the recording. */
  #whole = false;

  constructor({ hiddenBulks, end }: AssumptionOptions) {
    this.hiddenBulks = hiddenBulks;
    this.#end = end;
  }

  note(e: ReplayEvent): void {
    this.#noteFate(e);
    const burst = this.#bursts.note(e);
    const [first] = burst ?? [];
    if (burst === null || first === undefined) return;
    if (e.kind === "alloc" && !e.interrupt) this.#early.set(first, e);
    const frees = burst.filter(({ kind }) => kind === "free");
    const own = { frees, past: null };
    for (const free of frees) this.#burstOf.set(free, own);
  }

  release(events: readonly ReplayEvent[]): void {
    for (const e of this.#driven) {
      this.#forget(e.pfn, e.line);
      for (const pfn of e.pages) this.#forget(pfn, e.line);
    }
    this.#driven = events;
  }

  end(): void {
    this.#whole = true;
  }

  #noteFate(e: ReplayEvent): void {
    const note = (pfn: number, fate: Fate): void => {
      const list = this.#fates.get(pfn);
      if (list === undefined) this.#fates.set(pfn, [{ line: e.line, fate }]);
      else list.push({ line: e.line, fate });
    };
    if (e.kind === "alloc" || e.kind === "free" || e.kind === "drain" || e.kind === "refill") {
      note(e.pfn, e.kind);
    } else if (e.kind === "vmap") for (const pfn of e.pages) note(pfn, "free");
  }

  #forget(pfn: number, line: number): void {
    const list = this.#fates.get(pfn);
    if (list === undefined) return;
    while (list[0] !== undefined && list[0].line <= line) list.shift();
    if (list.length === 0) this.#fates.delete(pfn);
  }

  /** A page that a refill takes without a drain before it was on no per-CPU list. */
  #wentPast(e: ReplayEvent): boolean {
    const next = this.#fates.get(e.pfn)?.find(({ line }) => line > e.line);
    if (next !== undefined) return next.fate === "refill";
    return this.#whole && (this.#end?.buddy.has(e.pfn) ?? false);
  }

  /** The request that was served before the interrupt that `e` begins. */
  earlyBefore(m: Memory, e: ReplayEvent, score: Score): ReplayEvent | undefined {
    const early = this.#early.get(e);
    if (early === undefined || headOf(m, early) !== early.pfn) return undefined;
    score.assumptions.early++;
    return early;
  }

  isLocked(e: ReplayEvent, score: Score): boolean {
    const burst = this.#burstOf.get(e);
    if (burst === undefined) return false;
    burst.past ??= burst.frees.some((free) => !free.announced && this.#wentPast(free));
    if (burst.past) score.assumptions.locked++;
    return burst.past;
  }

  /** Somebody has the page after `line`, though a list of ours holds it; null: nobody tells. */
  #isGone(pfn: number, line: number): boolean | null {
    const next = this.#fates.get(pfn)?.find((own) => own.line > line && own.fate !== "refill");
    if (next !== undefined) return next.fate === "free";
    return this.#whole && this.#end !== null ? !this.#end.any.has(pfn) : null;
  }

  /** Before a request: pages before its own were taken by bulk calls. */
  beforeRequest(m: Memory, e: ReplayEvent, score: Score): void {
    if (e.order !== 0) return;
    const own = this.#refilled[e.cpu] ?? [];
    const refilled = own[0]?.pfn === e.pfn;
    if (this.hiddenBulks) this.#takeGone(m, e, refilled || isListed(m, e), score);
    if (own.length === 0) return;
    this.#refilled[e.cpu] = [];
    if (refilled && headOf(m, e) < 0) this.#fit(m, own, true, score);
  }

  /**
   * Takes what is gone off the list that serves `e`, up to its own page. With `sure`, what stands
   * before that page must be gone if nobody tells otherwise. Returns whether the list is empty.
   */
  #takeGone(m: Memory, e: ReplayEvent, sure: boolean, score: Score): boolean {
    for (let pfn = headOf(m, e); pfn >= 0; pfn = headOf(m, e)) {
      if (pfn === e.pfn || !(this.#isGone(pfn, e.line) ?? sure)) return false;
      if (!takeHidden(m, listType(e), score, this.watch)) return false;
    }
    return true;
  }

  /** `type` is ours. */
  noteRefill(e: ReplayEvent, type: number): void {
    this.#runs.note(e, type);
  }

  /**
   * Before the event that ends a run of refills: what no request explains, bulk calls had. They
   * emptied the list and asked for one page more.
   */
  endRun(m: Memory, e: ReplayEvent, score: Score): void {
    const run = this.#runs.end(e.cpu, e.kind === "alloc" ? e : this.#early.get(e));
    if (run === null) return;
    this.#refilled[e.cpu] = run.own;
    const { bulk } = run;
    for (let at = 0; this.hiddenBulks && at < bulk.length; ) {
      let end = at + 1;
      while (end < bulk.length && listType(bulk[end]) === listType(bulk[at])) end++;
      this.#bulkRefills(m, bulk.slice(at, end), score);
      at = end;
    }
  }

  /** What no snapshot holds, as the refill that comes next needs it; `once` if it is one alone. */
  #fit(m: Memory, run: readonly ReplayEvent[], once: boolean, score: Score): void {
    const [first] = run;
    const row = rowOf(m, first.pfn);
    const zone = row < 0 ? -1 : zoneOf(m, row);
    if (zone < 0 || zone >= m.zoneCount) return;
    if (adaptFactor(m, zone, run.length, once)) score.assumptions.allocFactors++;
    if (once && listType(first) === MOVABLE && fitDrifts(m, zone, run)) {
      score.assumptions.counterFolds++;
    }
  }

  #bulkRefills(m: Memory, run: readonly ReplayEvent[], score: Score): void {
    const [first] = run;
    // A page that is in no zone refills no list.
    if (headRow(m, first) < 0) return;
    for (let left = run.length; left > 0; ) {
      if (!this.#takeGone(m, first, true, score)) return;
      if (left === run.length) this.#fit(m, run, false, score);
      if (!takeHidden(m, listType(first), score, this.watch)) return;
      score.assumptions.hiddenBulkRefills++;
      left -= 1 + stockLength(m, first);
    }
  }

  /** Pages on our lists that are not free at the end were taken by the last bulk calls. */
  atEnd(m: Memory, score: Score): void {
    if (!this.hiddenBulks || this.#end === null) return;
    for (let set = 0; set < m.zoneCount * m.cpuCount; set++) {
      for (let type = 0; type < PCP_TYPES; type++) {
        const head = m.pcpHeads + set * PCP_LISTS + type;
        for (let row = m.next[head]; row !== head; ) {
          const next = m.next[row];
          if (!this.#end.any.has(pfnOf(m, row))) {
            takeOff(m, row, 0);
            score.assumptions.hiddenAtEnd++;
          }
          row = next;
        }
      }
    }
  }
}

/** What the list is for that the block goes to. */
function listType({ type }: ReplayEvent): number {
  return type < PCP_TYPES ? type : MOVABLE;
}

function takeHidden(m: Memory, type: number, score: Score, watch: Watch | null): boolean {
  // Mobility is in bits 3 and 4 of the flags.
  const gfp = GFP_KERNEL_BITS | (type << 3);
  const pfns: number[] = [];
  const taken = allocPagesBulk(m, gfp, 1, pfns);
  if (taken > 0) watch?.bulk(gfp, pfns);
  score.assumptions.hiddenBulkPages += taken;
  return taken === 1;
}

/** Blocks on the list that would serve the request from the recorded zone. */
function stockLength(m: Memory, e: ReplayEvent): number {
  const head = headRow(m, e);
  let length = 0;
  for (let row = m.next[head]; row !== head; row = m.next[row]) length++;
  return length;
}

/** Whether that list holds the request's own page. */
function isListed(m: Memory, e: ReplayEvent): boolean {
  const row = rowOf(m, e.pfn);
  const own = row >= m.firstRow && (m.state[row] & KIND_MASK) === PCP;
  return own && m.pcpHeads + stockList(m, row) === headRow(m, e);
}

/** First page of the list that would serve the request from the recorded zone, -1 for none. */
function headOf(m: Memory, e: ReplayEvent): number {
  const head = headRow(m, e);
  return head < 0 || m.next[head] === head ? -1 : pfnOf(m, m.next[head]);
}

/** Row of that list's head, -1 for none. */
function headRow(m: Memory, e: ReplayEvent): number {
  if (e.pfn < 0) return -1;
  const row = rowOf(m, e.pfn);
  const zone = row < 0 ? -1 : zoneOf(m, row);
  const list = m.pcpListOf[e.order * 8 + e.type];
  if (zone < 0 || zone >= m.zoneCount || list === undefined || list < 0) return -1;
  return m.pcpHeads + (zone * m.cpuCount + e.cpu) * PCP_LISTS + list;
}
