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
import { KIND_MASK, type Memory, MOBILE, PCP, pfnOf, rowOf, zoneOf } from "../mm/memory.ts";
import { countFree } from "../mm/queue.ts";
import { MOVABLE } from "../mm/rule.ts";
import type { Assumptions } from "./assumptions.ts";
import type { BootSteps } from "./boot-start.ts";
import { Checks } from "./checks.ts";
import type { ReplayEvent } from "./event.ts";
import { Follower } from "./follow.ts";
import { ReclaimState } from "./reclaim.ts";
import { drainOutside } from "./remote-drain.ts";
import { request } from "./request.ts";
import { emptyScore, type Miss, type Score } from "./score.ts";
import type { StartState } from "./start-state.ts";
import { Substitutes } from "./substitutes.ts";
import { isBlock, isTaken, mend, settle } from "./surgery.ts";

export interface DriveOptions {
  /** null: blind, or following. */
  readonly assumptions: Assumptions | null;
  /** After each answer the memory becomes what was recorded, see follow.ts. */
  readonly follow?: boolean;
  /** A free of a page that nobody has here frees another one, see substitutes.ts. */
  readonly substitute?: boolean;
  /** What a boot does without an event, see boot-start.ts. */
  readonly steps?: BootSteps;
  /** The answer to each mm_page_alloc, before it is compared; -1 for no page, no zone. */
  readonly decide?: (e: ReplayEvent, pfn: number, zone: number) => void;
  /** Called before an event is replayed; false ends the run there. */
  readonly before?: (e: ReplayEvent, score: Score) => boolean;
}

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
  readonly #follower: Follower | null;
  readonly #substitutes: Substitutes | null;
  readonly #gfp: Map<string, { readonly bits: number; readonly cache: boolean }> = new Map();
  /** Requests that an assumption served before their event. */
  readonly #served: Map<ReplayEvent, number> = new Map();
  /** By task: pages of its last bulk call, as we took them. */
  readonly #bulked: Map<number, number[]> = new Map();
  readonly #inBulk: Set<number> = new Set();
  /** Node of each kswapd, by its wake-ups. */
  readonly #nodeOf: Map<number, number> = new Map();
  #at: ReplayEvent | null = null;

  constructor(state: StartState, options: DriveOptions) {
    this.#state = state;
    this.#m = state.m;
    this.#options = options;
    this.#checks = new Checks(state.m, state.typeOf, (kind, ours, theirs) => {
      this.#miss(kind, ours, theirs);
    });
    state.m.events = this.#checks;
    const ordered = options.steps !== undefined;
    this.#follower =
      options.follow === true ? new Follower(state.m, this.#checks, state.typeOf, ordered) : null;
    this.#substitutes = options.substitute === true ? new Substitutes(state.m) : null;
    this.#reclaim = new ReclaimState(state.m);
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
    this.#options.assumptions?.atEnd(this.#m, this.score);
    this.#checks.end();
    this.score.repairs += this.#follower?.repairs ?? 0;
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
    this.#options.steps?.before(m, e);
    this.#reclaim.note(e);
    this.#takeBulk(e);
    this.#serveEarly(e);
    if (!e.interrupt && (e.kind === "alloc" || e.kind === "free" || e.kind === "batched")) {
      this.#follower?.beginCall(e.cpu);
      this.#checks.beginCall(e.cpu);
    }
    this.#replay(e);
    this.#checks.settleFrags();
    const node = e.passEnd ? this.#nodeOf.get(e.pid) : undefined;
    if (node !== undefined) this.#reclaim.passEnds(node);
  }

  #replay(e: ReplayEvent): void {
    const { assumptions } = this.#options;
    switch (e.kind) {
      case "alloc":
        this.#alloc(e);
        return;
      case "free":
        this.score.frees++;
        if (!e.announced) this.#free(e, e.order);
        return;
      case "batched":
        if (e.batchOrder >= 0) this.#free(e, e.batchOrder);
        return;
      case "refill":
        assumptions?.beforeRefill(this.#m, e, this.#checks, this.score);
        this.#checks.realRefill(e);
        this.#follower?.refill(e);
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
      this.#settleRequest(e, own);
      return;
    }
    this.score.allocations++;
    const row = rowOf(m, e.pfn);
    if (!isBlock(m, row, e.order)) this.#strange(e);
    else if (ownZone === zoneOf(m, row)) this.score.zoneEqual++;
    if (own === e.pfn) this.score.pfnEqual++;
    else this.#wrongPage(e, own);
    this.#settleRequest(e, own);
    if (this.#inBulk.has(e.pid) && !e.interrupt) this.#bulked.get(e.pid)?.push(own);
  }

  #settleRequest(e: ReplayEvent, own: number): void {
    if (this.#follower === null) this.#checks.settleRefills(e.cpu);
    else this.#follower.request(e, own);
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
    };
    const pfn = request(m, bits, e.order, rights);
    if (pfn >= 0 && cache && e.order === 0) m.state[rowOf(m, pfn)] = MOBILE;
    if (pfn >= 0) this.#substitutes?.took(rowOf(m, pfn), e.order, e.pid);
    return pfn;
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

  #free(e: ReplayEvent, order: number): void {
    const m = this.#m;
    const row = rowOf(m, e.pfn);
    if (!isBlock(m, row, order)) {
      this.#strange(e);
      return;
    }
    if (this.#options.steps?.free(m, row, order) === true) return;
    const other = this.#substitutes?.insteadOf(row, order, e.pid, e.kind === "batched") ?? -1;
    if (other < 0 && settle(m, row, order)) {
      this.score.inputs.unseenTakers++;
      if (this.score.unseenLine === 0) this.score.unseenLine = e.line;
    }
    const pfn = other < 0 ? e.pfn : pfnOf(m, other);
    if (this.#isLocked(e)) freePagesPastPcp(m, pfn, order);
    else freePages(m, pfn, order);
  }

  /** Past the lists. The lock is one zone's: a page of another zone still gets onto its list. */
  #isLocked(e: ReplayEvent): boolean {
    if (this.#reclaim.isSurplus(e.pfn)) return true;
    if (e.lockedBy >= 0) {
      const zone = zoneOf(this.#m, rowOf(this.#m, e.lockedBy));
      if (zone === zoneOf(this.#m, rowOf(this.#m, e.pfn))) {
        this.score.inputs.lockedFrees++;
        return true;
      }
    }
    return this.#options.assumptions?.isLocked(e, this.score) ?? false;
  }

  #drain(e: ReplayEvent): void {
    if (this.#follower !== null) {
      this.#follower.drain(e);
      return;
    }
    if (!this.#checks.isDrainDue(e.cpu)) {
      const kind = drainOutside(this.#m, e, this.#state.typeOf(e.type), e.drainRun);
      if (kind === "remote") this.score.inputs.remoteDrains++;
      else if (kind === "decay") this.score.inputs.decays++;
      else this.#strangeDrain(e);
    }
    this.#checks.realDrain(e);
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
