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
 *
 * Linux: rmqueue_pcplist(), free_unref_page(), __alloc_pages_bulk(), mm/page_alloc.c
 */
import { allocPagesBulk } from "../mm/bulk.ts";
import { type Memory, PCP_LISTS, pfnOf, rowOf, zoneOf } from "../mm/memory.ts";
import { PCP_TYPES } from "../mm/rule.ts";
import type { Checks } from "./checks.ts";
import type { ReplayEvent } from "./event.ts";
import { Bursts } from "./inputs.ts";
import type { Scanner } from "./look-ahead.ts";
import type { Score } from "./score.ts";
import { takeOff } from "./surgery.ts";

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
  /** Zones of its frees that went past the per-CPU lists; null until it was asked. */
  past: readonly number[] | null;
}

export class Assumptions implements Scanner {
  readonly hiddenBulks: boolean;
  readonly #end: FreeAtEnd | null;
  readonly #bursts = new Bursts();
  /** By the first event of an interrupt: the request that may have been served before it. */
  readonly #early: WeakMap<ReplayEvent, ReplayEvent> = new WeakMap();
  readonly #burstOf: WeakMap<ReplayEvent, Burst> = new WeakMap();
  /** By a refill: the next event of its CPU that is neither that nor a fallback's. */
  readonly #after: WeakMap<ReplayEvent, ReplayEvent> = new WeakMap();
  /** By CPU: refills that wait for that event. */
  readonly #refills: ReplayEvent[][] = [];
  /** By pfn: what becomes of it within the window, soonest first. */
  readonly #fates: Map<number, Fated[]> = new Map();
  /** CPUs in the middle of a refill that the next request explains. */
  readonly #explained: Set<number> = new Set();
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
    this.#noteRefill(e);
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

  #noteRefill(e: ReplayEvent): void {
    this.#refills[e.cpu] ??= [];
    const waiting = this.#refills[e.cpu];
    if (e.kind === "refill") waiting.push(e);
    else if (e.kind !== "extfrag" && waiting.length > 0) {
      for (const refill of waiting) this.#after.set(refill, e);
      waiting.length = 0;
    }
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

  /** The lock is one zone's: pages of others got onto their lists. */
  isLocked(m: Memory, e: ReplayEvent, score: Score): boolean {
    const burst = this.#burstOf.get(e);
    if (burst === undefined) return false;
    burst.past ??= burst.frees
      .filter((free) => !free.announced && this.#wentPast(free))
      .map(({ pfn }) => zoneOf(m, rowOf(m, pfn)));
    const locked = burst.past.includes(zoneOf(m, rowOf(m, e.pfn)));
    if (locked) score.assumptions.locked++;
    return locked;
  }

  /** Somebody has the page after `line`, though a list of ours holds it. */
  #isGone(pfn: number, line: number): boolean {
    const next = this.#fates.get(pfn)?.find((own) => own.line > line && own.fate !== "refill");
    if (next !== undefined) return next.fate === "free";
    return this.#whole && this.#end !== null && !this.#end.any.has(pfn);
  }

  /** Before a request: pages before its own were taken by bulk calls. */
  beforeRequest(m: Memory, e: ReplayEvent, score: Score): void {
    this.#explained.delete(e.cpu);
    if (!this.hiddenBulks || e.order !== 0) return;
    for (let pfn = headOf(m, e); pfn >= 0 && pfn !== e.pfn; pfn = headOf(m, e)) {
      if (!this.#isGone(pfn, e.line)) return;
      if (!takeHidden(m, e.type, score)) return;
    }
  }

  /** A refill that no request explains: a bulk call emptied the list and asks for one page more. */
  beforeRefill(m: Memory, e: ReplayEvent, checks: Checks, score: Score): void {
    if (!this.hiddenBulks || e.order !== 0 || !e.flag) return;
    const after = this.#after.get(e);
    if (after?.kind === "alloc" && after.pfn === e.pfn) this.#explained.add(e.cpu);
    if (this.#explained.has(e.cpu) || checks.isRefillDue(e.cpu)) return;
    for (let pfn = headOf(m, e); pfn >= 0; pfn = headOf(m, e)) {
      if (!this.#isGone(pfn, e.line) || !takeHidden(m, e.type, score)) return;
    }
    score.assumptions.hiddenBulkRefills++;
    takeHidden(m, e.type, score);
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

function takeHidden(m: Memory, type: number, score: Score): boolean {
  // Mobility is in bits 3 and 4 of the flags.
  const taken = allocPagesBulk(m, GFP_KERNEL_BITS | (type << 3), 1, []);
  score.assumptions.hiddenBulkPages += taken;
  return taken === 1;
}

/** First page of the list that would serve the request from the recorded zone, -1 for none. */
function headOf(m: Memory, e: ReplayEvent): number {
  if (e.pfn < 0) return -1;
  const row = rowOf(m, e.pfn);
  const zone = row < 0 ? -1 : zoneOf(m, row);
  const list = m.pcpListOf[e.order * 8 + e.type];
  if (zone < 0 || zone >= m.zoneCount || list === undefined || list < 0) return -1;
  const head = m.pcpHeads + (zone * m.cpuCount + e.cpu) * PCP_LISTS + list;
  return m.next[head] === head ? -1 : pfnOf(m, m.next[head]);
}
