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
import { type Memory, MOBILE, pfnOf, rowOf, zoneOf } from "../mm/memory.ts";
import { MOVABLE } from "../mm/rule.ts";
import type { Assumptions } from "./assumptions.ts";
import type { BootSteps } from "./boot-start.ts";
import { BulkCalls } from "./bulk-calls.ts";
import { Checks, type MissSink } from "./checks.ts";
import { ContigCalls } from "./contig.ts";
import type { ReplayEvent } from "./event.ts";
import { Follower } from "./follow.ts";
import { GfpReader } from "./gfp-words.ts";
import { beforeFree, decayLowered, drainFull, type LastFree } from "./pageset-highs.ts";
import { ReclaimState } from "./reclaim.ts";
import { drainOutside } from "./remote-drain.ts";
import { request } from "./request.ts";
import { emptyScore, type Miss, type Score } from "./score.ts";
import type { StartState } from "./start-state.ts";
import { Substitutes } from "./substitutes.ts";
import { isBlock, mendAnswer, putDown, settle } from "./surgery.ts";
import type { Watch } from "./watch.ts";

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
  /** Told of what the run does to its memory. */
  readonly watch?: Watch;
  /** Called before an event is replayed; false ends the run there. */
  readonly before?: (e: ReplayEvent, score: Score) => boolean;
}

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
  readonly #contig: ContigCalls;
  readonly #gfp: GfpReader;
  /** Requests that an assumption served before their event. */
  readonly #served: Map<ReplayEvent, number> = new Map();
  readonly #bulks = new BulkCalls();
  /** By CPU: where the page went that the last event freed; null when it was no such event. */
  readonly #freed: (LastFree | null)[] = [];
  /** Node of each kswapd, by its wake-ups. */
  readonly #nodeOf: Map<number, number> = new Map();
  #at: ReplayEvent | null = null;

  constructor(state: StartState, options: DriveOptions) {
    this.#state = state;
    this.#m = state.m;
    this.#options = options;
    const { assumptions, watch } = options;
    const miss: MissSink = (kind, ours, theirs) => this.#miss(kind, ours, theirs);
    this.#checks = new Checks(state.m, state.typeOf, miss, watch?.wake);
    state.m.events = this.#checks;
    this.#follower = options.follow === true ? new Follower(state, this.#checks, options) : null;
    this.#substitutes = options.substitute === true ? new Substitutes(state.m) : null;
    this.#reclaim = new ReclaimState(state.m, watch?.compacted);
    this.#contig = new ContigCalls(state.m, watch);
    this.#gfp = new GfpReader(state.m);
    if (assumptions !== null) assumptions.watch = watch ?? null;
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
    const { watch } = this.#options;
    watch?.event(e);
    const due = e.kind === "drain" && this.#checks.isDrainDue(e.cpu);
    if (!this.#contig.before(e, due)) this.#reclaim.note(e);
    this.score.inputs.contigCalls = this.#contig.begun;
    if (e.kind === "isolate" || e.kind === "take") watch?.compactionDone(e);
    if (e.kind !== "refill" && e.kind !== "extfrag") {
      this.#options.assumptions?.endRun(m, e, this.score);
    }
    this.#takeBulk(e);
    this.#serveEarly(e);
    if (!e.interrupt && (e.kind === "alloc" || e.kind === "free" || e.kind === "batched")) {
      this.#follower?.beginCall(e.cpu);
      this.#checks.beginCall(e.cpu);
    }
    if (e.kind !== "drain") this.#freed[e.cpu] = null;
    this.#replay(e);
    this.#contig.after(e);
    this.#checks.settleFrags();
    const node = e.passEnd ? this.#nodeOf.get(e.pid) : undefined;
    if (node !== undefined) {
      this.#reclaim.passEnds(node);
      watch?.passEnds(node);
    }
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
        this.#noteRefill(e);
        this.#checks.realRefill(e);
        this.#follower?.refill(e);
        if (assumptions?.hiddenBulks === true) this.#checks.settleRefills(e.cpu);
        return;
      case "drain":
        if (this.#follower === null) this.#drain(e);
        else this.#follower.drain(e);
        return;
      case "extfrag":
        if (this.#m.rule.fallback === "claim") this.#noteRefill(e);
        this.#checks.realFrag(e);
        return;
      case "kswapd":
        this.#nodeOf.set(e.pid, e.a);
        return;
      case "bulk":
        this.#bulks.begin(e);
        return;
      case "bulk-end":
        this.#bulks.end(e);
        return;
      case "vmap":
        this.#bulks.compare(e, this.score);
        return;
      case "isolate":
      case "take":
        this.score.inputs.compaction++;
        return;
      default:
        return;
    }
  }

  #noteRefill(e: ReplayEvent): void {
    if (this.#checks.isRefillDue(e.cpu)) return;
    this.#options.assumptions?.noteRefill(e, this.#state.typeOf(e.type));
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
      this.#options.watch?.answered(e, own);
      this.#settleRequest(e, own);
      return;
    }
    this.score.allocations++;
    const row = rowOf(m, e.pfn);
    if (!isBlock(m, row, e.order)) this.#strange(e);
    else if (ownZone === zoneOf(m, row)) this.score.zoneEqual++;
    if (own === e.pfn) this.score.pfnEqual++;
    else this.#wrongPage(e, own);
    this.#options.watch?.answered(e, own);
    this.#settleRequest(e, own);
    this.#bulks.single(e, own);
  }

  #settleRequest(e: ReplayEvent, own: number): void {
    if (this.#follower === null) this.#checks.settleRefills(e.cpu);
    else this.#follower.request(e, own);
  }

  #wrongPage(e: ReplayEvent, own: number): void {
    this.#miss("page", hex(own), hex(e.pfn));
    if (this.#options.assumptions === null) return;
    this.score.repairs++;
    mendAnswer(this.#m, own, e.pfn, e.order, e.type === MOVABLE);
  }

  #request(e: ReplayEvent): number {
    const m = this.#m;
    const { bits, cache } = this.#gfp.read(e.gfp);
    const rights = {
      past: this.#reclaim.takePast(e),
      reclaimer: this.#reclaim.isReclaimer(e),
    };
    const pfn = request(m, bits, e.order, rights);
    this.#options.watch?.request(e, { gfp: bits, rights, cache }, pfn);
    if (pfn >= 0 && cache && e.order === 0) m.state[rowOf(m, pfn)] = MOBILE;
    if (pfn >= 0) this.#substitutes?.took(rowOf(m, pfn), e.order, e.pid);
    return pfn;
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
    const past = this.#isLocked(e);
    const list = m.pcpListOf[order * 8 + m.blockType[row >> m.pageblockOrder]] ?? -1;
    if (list >= 0 && !past && this.#options.assumptions !== null) {
      const zone = zoneOf(m, row);
      this.#freed[e.cpu] = { pid: e.pid, zone, list };
      beforeFree(m, zone, order, e.drains, this.score);
    }
    const pfn = other < 0 ? e.pfn : pfnOf(m, other);
    if (past) freePagesPastPcp(m, pfn, order);
    else freePages(m, pfn, order);
    this.#options.watch?.free(e, order, past);
  }

  /** Past the lists. The lock is one zone's: a page of another zone still gets onto its list. */
  #isLocked(e: ReplayEvent): boolean {
    const m = this.#m;
    if (e.lockedBy >= 0 && zoneOf(m, rowOf(m, e.lockedBy)) === zoneOf(m, rowOf(m, e.pfn))) {
      this.score.inputs.lockedFrees++;
      return true;
    }
    return this.#options.assumptions?.isLocked(e, this.score) ?? false;
  }

  #drain(e: ReplayEvent): void {
    if (!this.#checks.isDrainDue(e.cpu)) {
      const freed = this.#freed[e.cpu] ?? null;
      const assumes = this.#options.assumptions !== null;
      if (!assumes || !drainFull(this.#m, e, freed, this.score)) this.#drainOutside(e);
    }
    this.#checks.realDrain(e);
  }

  #drainOutside(e: ReplayEvent): void {
    const { assumptions, watch } = this.#options;
    const type = this.#state.typeOf(e.type);
    const own = drainOutside(this.#m, e, type);
    if (own !== null) this.score.inputs[own.kind === "remote" ? "remoteDrains" : "decays"]++;
    const lowered = assumptions !== null && own === null;
    const found = lowered ? decayLowered(this.#m, e, type, this.score) : own;
    if (found === null) this.#strangeDrain(e);
    else watch?.drained(found.kind, found.zone, found.cpu);
  }

  /** A block that we hold on another list, or not at all: repaired, it goes where it went. */
  #strangeDrain(e: ReplayEvent): void {
    const m = this.#m;
    this.score.strangeDrains++;
    const type = this.#state.typeOf(e.type);
    if (this.#options.assumptions === null || !putDown(m, rowOf(m, e.pfn), e.order, type)) return;
    this.score.repairs++;
    this.#options.watch?.putDown(e, type);
  }

  #takeBulk(e: ReplayEvent): void {
    const call = e.bulk;
    if (call === null) return;
    const pfns = this.#bulks.take(this.#m, e, call, this.score);
    this.#options.watch?.bulk(call.gfp, pfns);
    if (pfns.length !== call.pages) {
      this.#miss("bulk", `${pfns.length} pages`, `${call.pages} pages`);
    }
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
