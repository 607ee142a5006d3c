/**
 * Drives a memory with a recording's events. Frees, requests and what no
 * allocator can know come from the recording; every answer is the engine's.
 *
 *   blind      nothing is looked at but what event.ts lists as driving: no pfn of a
 *              checked event changes anything, and nothing is repaired
 *   repaired   after each wrong answer the recorded page is put into its owner's hands;
 *              with assumptions, see assumptions.ts, where the recording calls for them
 *
 * In both, a page that is freed while a list of ours holds it leaves the list
 * first: its free says that somebody had it.
 */
import { freePages, freePagesPastPcp } from "../mm/allocate.ts";
import { giveBlock } from "../mm/buddy.ts";
import { allocPagesBulk } from "../mm/bulk.ts";
import { parseGfp } from "../mm/gfp-text.ts";
import { KIND_MASK, type Memory, MOBILE, PCP, rowOf, zoneOf } from "../mm/memory.ts";
import { countFree } from "../mm/queue.ts";
import { MOVABLE } from "../mm/rule.ts";
import type { Assumptions } from "./assumptions.ts";
import type { Block } from "./block-queue.ts";
import { Checks } from "./checks.ts";
import { explainByDrift } from "./drift.ts";
import type { ReplayEvent } from "./event.ts";
import type { WrittenMarks } from "./marks.ts";
import { ReclaimState } from "./reclaim.ts";
import { drainOutside } from "./remote-drain.ts";
import { type Rights, request, servingZone } from "./request.ts";
import { restock, undrain } from "./resync.ts";
import { emptyScore, type Miss, type Score } from "./score.ts";
import type { StartState } from "./start-state.ts";
import { isBlock, isTaken, mend, settle } from "./surgery.ts";

export interface DriveOptions {
  /** null: blind. */
  readonly assumptions: Assumptions | null;
  /** Of a repaired run: watermarks that the recording does not tell. */
  readonly marks?: WrittenMarks;
  /** The answer to each mm_page_alloc, before it is compared; -1 for no page, no zone. */
  readonly decide?: (e: ReplayEvent, pfn: number, zone: number) => void;
  /** Called before an event is replayed; false ends the run there. */
  readonly before?: (e: ReplayEvent, score: Score) => boolean;
}

/** Frees that may wait for a CPU at a time: far more than a list of pages has. */
const WAITING_MOST = 65_536;

/** Page cache, by its flags; not kernel memory that a task pays for. */
const PAGE_CACHE = /HARDWALL|GFP_USER|GFP_HIGHUSER/;

const hex = (pfn: number): string => (pfn < 0 ? "none" : `0x${pfn.toString(16)}`);

export class Driver {
  readonly score: Score = emptyScore();
  readonly #m: Memory;
  readonly #state: StartState;
  readonly #options: DriveOptions;
  readonly #checks: Checks;
  readonly #reclaim: ReclaimState;
  readonly #gfp: Map<string, { readonly bits: number; readonly cache: boolean }> = new Map();
  /** Requests that an assumption served before their event. */
  readonly #served: Map<ReplayEvent, number> = new Map();
  /** By task: pages of its last bulk call, as we took them. */
  readonly #bulked: Map<number, number[]> = new Map();
  readonly #inBulk: Set<number> = new Set();
  /** Node of each kswapd, by its wake-ups. */
  readonly #nodeOf: Map<number, number> = new Map();
  /** By CPU: frees that are told, but not known to be done. */
  readonly #waiting: ReplayEvent[][];
  /** The recording has mm_page_free_batched. */
  #tellsLists = false;
  #at: ReplayEvent | null = null;

  constructor(state: StartState, options: DriveOptions) {
    this.#state = state;
    this.#m = state.m;
    this.#options = options;
    this.#checks = new Checks(
      state.m,
      state.typeOf,
      (kind, ours, theirs) => {
        this.#miss(kind, ours, theirs);
      },
      (zone, highest) => this.#reclaim.kswapdWanted(zone, highest),
    );
    state.m.events = this.#checks;
    this.#reclaim = new ReclaimState(state, (gfp) => this.#gfpOf(gfp).bits);
    this.#waiting = Array.from({ length: state.m.cpuCount }, () => []);
    this.score.refills = this.#checks.refills;
    this.score.drains = this.#checks.drains;
    this.score.extfrags = this.#checks.extfrags;
  }

  /** Replays the next events, as look-ahead.ts hands them out. Returns false where `before` ended the run. */
  feed(events: Iterable<ReplayEvent>): boolean {
    const { before } = this.#options;
    for (const e of events) {
      if (before?.(e, this.score) === false) return false;
      this.#step(e);
    }
    return true;
  }

  /** The recording is over. Call once. */
  end(): Score {
    for (let cpu = 0; cpu < this.#m.cpuCount; cpu++) this.#catchUp(cpu, null);
    this.#options.assumptions?.atEnd(this.#m, this.score);
    this.#checks.end();
    return this.score;
  }

  #step(e: ReplayEvent): void {
    const m = this.#m;
    this.score.events++;
    if (e.cpu >= m.cpuCount) {
      this.#strange(e);
      return;
    }
    this.#at = e;
    m.cpu = e.cpu;
    this.#catchUp(e.cpu, e);
    this.#reclaim.note(e);
    this.#takeBulk(e);
    this.#serveEarly(e);
    if (!e.interrupt && (e.kind === "alloc" || e.kind === "free" || e.kind === "batched")) {
      this.#mendDrains(this.#checks.beginCall(e.cpu));
    }
    this.#replay(e);
    this.#checks.settleFrags();
    const node = e.passEnd ? this.#nodeOf.get(e.pid) : undefined;
    if (node !== undefined) this.#reclaim.passEnds(node, e);
  }

  #replay(e: ReplayEvent): void {
    const { assumptions } = this.#options;
    switch (e.kind) {
      case "alloc":
        this.#alloc(e);
        return;
      case "free":
        this.score.frees++;
        if (e.announced) return;
        // Lists are of single pages; where they are told, the rest is freed at once.
        if (!this.#tellsLists && e.order === 0) this.#waiting[e.cpu].push(e);
        else {
          // A list's huge pages are freed while it is gone through, its single pages afterwards.
          const [first] = this.#waiting[e.cpu];
          if (first?.pid !== e.pid || e.order !== this.#m.pageblockOrder)
            this.#catchUp(e.cpu, null);
          this.#free(e, e.order, e.drainsNext);
        }
        return;
      case "batched":
        this.#tellsLists = true;
        if (e.batchOrder >= 0) this.#free(e, e.batchOrder, e.drainsNext);
        return;
      case "refill":
        assumptions?.beforeRefill(this.#m, e, this.#checks, this.score);
        this.#checks.realRefill(e);
        if (assumptions?.hiddenBulks === true) this.#checks.settleRefills(e.cpu);
        return;
      case "drain":
        this.#drain(e);
        return;
      case "extfrag":
        this.#checks.realFrag(e);
        return;
      case "kswapd":
        this.#nodeOf.set(e.pid, e.a);
        return;
      case "bulk":
        this.#inBulk.add(e.pid);
        return;
      case "bulk-end":
        this.#inBulk.delete(e.pid);
        return;
      case "vmap":
        this.#vmap(e);
        return;
      case "isolate":
      case "take":
        this.score.inputs.compaction++;
        return;
      default:
        return;
    }
  }

  #alloc(e: ReplayEvent): void {
    const m = this.#m;
    const { assumptions, decide } = this.#options;
    const early = this.#served.get(e);
    if (early === undefined) assumptions?.beforeRequest(m, e, this.score);
    const own = early ?? this.#request(e);
    const ownZone = own < 0 ? -1 : zoneOf(m, rowOf(m, own));
    decide?.(e, own, ownZone);
    if (e.pfn < 0) {
      this.score.failed++;
      if (own < 0) this.score.failedEqual++;
      else this.#wrongPage(e, own);
      this.#settleRefills(e);
      return;
    }
    this.score.allocations++;
    const row = rowOf(m, e.pfn);
    if (!isBlock(m, row, e.order)) this.#strange(e);
    else if (ownZone === zoneOf(m, row)) this.score.zoneEqual++;
    if (own === e.pfn) this.score.pfnEqual++;
    else this.#wrongPage(e, own);
    this.#settleRefills(e);
    if (this.#inBulk.has(e.pid) && !e.interrupt) this.#bulked.get(e.pid)?.push(own);
  }

  #settleRefills(e: ReplayEvent): void {
    const { assumptions } = this.#options;
    let refills = this.#checks.settleRefills(e.cpu);
    // Where bulk calls are hidden, refills may wait for the call that took them.
    if (assumptions === null || assumptions.hiddenBulks) return;
    // An interrupt's request comes after the refill of the request that it cuts.
    if (refills === null && !e.interrupt) refills = this.#checks.lopsidedRefills(e.cpu);
    if (refills === null) return;
    this.score.repairs++;
    restock(this.#m, refills.own, refills.real, e.pfn);
  }

  #mendDrains(only: readonly Block[]): void {
    if (only.length === 0 || this.#options.assumptions === null) return;
    this.score.repairs++;
    undrain(this.#m, only);
  }

  #wrongPage(e: ReplayEvent, own: number): void {
    const m = this.#m;
    this.#miss("page", hex(own), hex(e.pfn));
    if (this.#options.assumptions === null) return;
    this.score.repairs++;
    const real = e.pfn < 0 ? -1 : rowOf(m, e.pfn);
    const row = own < 0 ? -1 : rowOf(m, own);
    // What was taken early may be freed by now: a recording that was right would not free it.
    const kept = isTaken(m, row, e.order);
    if (isBlock(m, real, e.order)) {
      mend(m, kept ? row : -1, real, e.order, e.type === MOVABLE);
    } else if (kept) freePages(m, own, e.order);
  }

  #request(e: ReplayEvent): number {
    const m = this.#m;
    const { bits, cache } = this.#gfpOf(e.gfp);
    const rights = {
      past: this.#reclaim.takePast(e),
      reclaimer: this.#reclaim.isReclaimer(e),
      victim: this.#reclaim.isVictim(e),
    };
    if (this.#options.assumptions !== null) this.#explainZone(e, bits, rights);
    const pfn = request(m, bits, e.order, rights);
    if (pfn >= 0 && cache && e.order === 0) m.state[rowOf(m, pfn)] = MOBILE;
    return pfn;
  }

  /** Repaired: what no event tells about marks and counts, where the recorded zone shows it. */
  #explainZone(e: ReplayEvent, bits: number, rights: Rights): void {
    const m = this.#m;
    const real = e.pfn < 0 ? -1 : zoneOf(m, rowOf(m, e.pfn));
    if (servingZone(m, bits, e.order, rights) === real) return;
    if (explainByDrift(m, bits, e.order, rights, real)) this.score.assumptions.drift++;
    else if (this.#options.marks?.explain(bits, e.order, rights, real) === true) {
      this.score.assumptions.marks++;
    }
  }

  #gfpOf(text: string): { readonly bits: number; readonly cache: boolean } {
    let known = this.#gfp.get(text);
    if (known === undefined) {
      const cache = PAGE_CACHE.test(text) && !text.includes("ACCOUNT");
      known = { bits: parseGfp(text, this.#m.gfp.era).value, cache };
      this.#gfp.set(text, known);
    }
    return known;
  }

  #serveEarly(e: ReplayEvent): void {
    const early = this.#options.assumptions?.earlyBefore(this.#m, e, this.score);
    if (early !== undefined && !this.#served.has(early)) {
      this.#served.set(early, this.#request(early));
    }
  }

  /**
   * Does the frees that wait, before `e`. A list's frees are told first and done afterwards: where
   * nothing tells when, they are done as late as what comes next allows. So a drain is led up
   * to by just the frees that it takes.
   */
  #catchUp(cpu: number, e: ReplayEvent | null): void {
    const waiting = this.#waiting[cpu];
    if (waiting.length === 0) return;
    if (e?.kind === "free" && !e.interrupt && waiting.length < WAITING_MOST) return;
    const now = this.#m.cpu;
    this.#m.cpu = cpu;
    let done = 0;
    while (done < waiting.length) {
      if (e?.kind === "drain" && this.#checks.isDrainDue(cpu)) break;
      const free = waiting[done++];
      this.#free(free, free.order, null);
    }
    if (done === waiting.length) waiting.length = 0;
    else waiting.splice(0, done);
    this.#m.cpu = now;
  }

  /** `drained`: a drain is recorded next; null where that cannot be told. */
  #free(e: ReplayEvent, order: number, drained: boolean | null): void {
    const m = this.#m;
    const row = rowOf(m, e.pfn);
    if (!isBlock(m, row, order)) {
      this.#strange(e);
      return;
    }
    if (settle(m, row, order)) {
      this.score.inputs.unseenTakers++;
      if (this.score.unseenLine === 0) this.score.unseenLine = e.line;
    }
    if (this.#isLocked(e)) {
      freePagesPastPcp(m, e.pfn, order);
      return;
    }
    if (drained !== null && (order === 0 || order === m.pageblockOrder)) {
      this.#showDrain(zoneOf(m, row), order, drained);
    }
    freePages(m, e.pfn, order);
  }

  /** A block goes to this CPU's list, and a drain of it is recorded next or is not. */
  #showDrain(zone: number, order: number, drained: boolean): void {
    if (order === 0) this.#reclaim.beforeFree(zone, drained);
    if (this.#options.marks?.explainDrain(zone, 1 << order, drained) === true) {
      this.score.assumptions.marks++;
    }
  }

  /** The lock is one zone's: a page of another zone still gets onto its list. */
  #isLocked(e: ReplayEvent): boolean {
    if (e.lockedBy >= 0) {
      const zone = zoneOf(this.#m, rowOf(this.#m, e.lockedBy));
      if (zone === zoneOf(this.#m, rowOf(this.#m, e.pfn))) {
        this.score.inputs.lockedFrees++;
        return true;
      }
    }
    return this.#options.assumptions?.isLocked(this.#m, e, this.score) ?? false;
  }

  #drain(e: ReplayEvent): void {
    if (!this.#checks.isDrainDue(e.cpu)) {
      const kind = drainOutside(this.#m, e, this.#state.typeOf(e.type), e.drainRun);
      if (kind === "remote") this.score.inputs.remoteDrains++;
      else if (kind === "decay") this.score.inputs.decays++;
    }
    if (!this.#checks.realDrain(e)) this.#strangeDrain(e);
  }

  /** A block that we hold on another list, or not at all: repaired, it goes where it went. */
  #strangeDrain(e: ReplayEvent): void {
    const m = this.#m;
    this.score.strangeDrains++;
    const row = rowOf(m, e.pfn);
    if (this.#options.assumptions === null || !isBlock(m, row, e.order)) return;
    if ((m.state[row] & KIND_MASK) !== PCP) return;
    this.score.repairs++;
    // Made whole first: its other pages may be somebody's here.
    settle(m, row, e.order);
    m.state[row] = 0;
    giveBlock(m, zoneOf(m, row), row, e.order, this.#state.typeOf(e.type), false);
    countFree(m, zoneOf(m, row), 1 << e.order);
  }

  #takeBulk(e: ReplayEvent): void {
    const call = e.bulk;
    if (call === null) return;
    const pfns: number[] = [];
    const taken = allocPagesBulk(this.#m, call.gfp, call.pages, pfns);
    this.score.inputs.bulkCalls++;
    this.score.inputs.bulkPages += call.pages;
    if (taken !== call.pages) this.#miss("bulk", `${taken} pages`, `${call.pages} pages`);
    this.#bulked.set(e.pid, [...(this.#bulked.get(e.pid) ?? []), ...pfns]);
  }

  /** The probe tells the pages of the task's bulk calls since the last one, some at a time. */
  #vmap(e: ReplayEvent): void {
    const own = this.#bulked.get(e.pid);
    for (const [i, pfn] of e.pages.entries()) {
      const taken = own?.[e.b + i];
      if (taken === undefined) continue;
      this.score.bulkTold++;
      if (taken === pfn) this.score.bulkEqual++;
    }
    if (e.b === 0) this.#bulked.delete(e.pid);
  }

  /** It names a page or a CPU that is not there. */
  #strange(e: ReplayEvent): void {
    this.score.strange++;
    if (this.score.strangeLine === 0) this.score.strangeLine = e.line;
  }

  #miss(kind: Miss["kind"], ours: string, theirs: string): void {
    this.score.misses++;
    if (this.score.firstMiss !== null || this.#at === null) return;
    const { allocations, failed, events } = this.score;
    const done = allocations + failed - (kind === "page" ? 1 : 0);
    const at = { event: this.#at, events: events - 1, allocations: done };
    this.score.firstMiss = { ...at, kind, ours, theirs };
  }
}
