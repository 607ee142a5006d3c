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
import { BulkPages } from "./bulk-pages.ts";
import { Checks, type MissSink } from "./checks.ts";
import { ContigCalls } from "./contig.ts";
import type { BulkCall, ReplayEvent } from "./event.ts";
import { Evidence } from "./evidence.ts";
import { Follower } from "./follow.ts";
import { GfpReader } from "./gfp-words.ts";
import type { WrittenMarks } from "./marks.ts";
import { beforeFree, decayLowered, drainFull, type LastFree } from "./pageset-highs.ts";
import { ReclaimState } from "./reclaim.ts";
import { drainOutside } from "./remote-drain.ts";
import { request } from "./request.ts";
import { restock, undrain } from "./resync.ts";
import { emptyScore, type Miss, noteMiss, noteStrange, type Score } from "./score.ts";
import type { StartState } from "./start-state.ts";
import { Substitutes } from "./substitutes.ts";
import { isBlock, mendAnswer, putDown, settle } from "./surgery.ts";
import { WaitingFrees } from "./waiting-frees.ts";
import type { Watch } from "./watch.ts";

export interface DriveOptions {
  /** null: blind, or following. */
  readonly assumptions: Assumptions | null;
  /** Of a repaired run: watermarks that the recording does not tell. */
  readonly marks?: WrittenMarks;
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
  /** null: blind. */
  readonly #evidence: Evidence | null;
  /** Requests that an assumption served before their event. */
  readonly #served: Map<ReplayEvent, number> = new Map();
  readonly #bulks: BulkPages;
  /** Pages that a repair took from a recorded refill: right answers with them are none. */
  readonly #told: Set<number> = new Set();
  /** Node of each kswapd, by its wake-ups. */
  readonly #nodeOf: Map<number, number> = new Map();
  /** By CPU: where the page went that the last event freed; null when it was no such event. */
  readonly #freed: (LastFree | null)[] = [];
  readonly #waiting: WaitingFrees;
  #at: ReplayEvent | null = null;

  constructor(state: StartState, options: DriveOptions) {
    this.#state = state;
    this.#m = state.m;
    this.#options = options;
    const { assumptions, marks = null, watch } = options;
    const miss: MissSink = (kind, ours, theirs) => this.#miss(kind, ours, theirs);
    this.#checks = new Checks(state.m, state.typeOf, miss, (zone, order, highest) => {
      this.#reclaim.kswapdWanted(zone, highest);
      watch?.wake(zone, order);
    });
    state.m.events = this.#checks;
    this.#follower = options.follow === true ? new Follower(state, this.#checks, options) : null;
    this.#substitutes = options.substitute === true ? new Substitutes(state.m) : null;
    this.#gfp = new GfpReader(state.m);
    const bitsOf = (gfp: string): number => this.#gfp.read(gfp).bits;
    this.#reclaim = new ReclaimState(state, bitsOf, watch?.compacted);
    this.#contig = new ContigCalls(state.m, watch);
    if (assumptions !== null) assumptions.watch = watch ?? null;
    this.#evidence = assumptions === null ? null : new Evidence(state.m, marks, this.score);
    this.#bulks = new BulkPages(state.m, this.score);
    this.#waiting = new WaitingFrees(state.m, this.#checks, (e) => this.#free(e, e.order, null));
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
    this.#waiting.end();
    this.#options.assumptions?.atEnd(this.#m, this.score);
    this.#checks.end();
    this.score.repairs += this.#follower?.repairs ?? 0;
    return this.score;
  }

  #step(e: ReplayEvent): void {
    const m = this.#m;
    this.score.events++;
    if (e.cpu >= m.cpuCount) {
      noteStrange(this.score, e.line);
      return;
    }
    this.#at = e;
    m.cpu = e.cpu;
    const { assumptions, steps, watch } = this.#options;
    steps?.before(m, e);
    watch?.event(e);
    this.#waiting.before(e);
    const due = e.kind === "drain" && this.#checks.isDrainDue(e.cpu);
    if (!this.#contig.before(e, due)) this.#reclaim.note(e);
    this.score.inputs.contigCalls = this.#contig.begun;
    if (e.kind === "isolate" || e.kind === "take") watch?.compactionDone(e);
    if (e.kind !== "refill" && e.kind !== "extfrag") assumptions?.endRun(m, e, this.score);
    if (e.bulk !== null) this.#takeBulk(e.pid, e.bulk);
    this.#serveEarly(e);
    if (!e.interrupt && (e.kind === "alloc" || e.kind === "free" || e.kind === "batched")) {
      this.#beginCall(e.cpu);
    }
    if (e.kind !== "drain") this.#freed[e.cpu] = null;
    this.#replay(e);
    this.#contig.after(e);
    const owned = this.#checks.settleFrags();
    if (owned !== null && this.#evidence !== null) {
      // How many of a pageblock's pages can be moved, nobody tells.
      this.score.repairs++;
      m.blockType[owned.row >> m.pageblockOrder] = owned.type;
    }
    const node = e.passEnd ? this.#nodeOf.get(e.pid) : undefined;
    if (node !== undefined) {
      this.#reclaim.passEnds(node, e);
      watch?.passEnds(node, e);
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
        if (!e.announced && !this.#waiting.takes(e)) this.#free(e, e.order, e.drainsNext);
        return;
      case "batched":
        this.#waiting.tellsLists = true;
        if (e.batchOrder >= 0) this.#free(e, e.batchOrder, e.drainsNext);
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
        this.#bulks.begins(e.pid);
        return;
      case "bulk-end":
        this.#bulks.ends(e.pid);
        return;
      case "vmap":
        this.#bulks.told(e);
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
      this.#settleRefills(e, own);
      return;
    }
    this.score.allocations++;
    const row = rowOf(m, e.pfn);
    if (!isBlock(m, row, e.order)) noteStrange(this.score, e.line);
    else if (ownZone === zoneOf(m, row)) this.score.zoneEqual++;
    if (own !== e.pfn) this.#wrongPage(e, own);
    else if (!this.#told.delete(own)) this.score.pfnEqual++;
    this.#options.watch?.answered(e, own);
    this.#settleRefills(e, own);
    this.#bulks.single(e, own);
  }

  #settleRefills(e: ReplayEvent, own: number): void {
    if (this.#follower !== null) {
      this.#follower.request(e, own);
      return;
    }
    const { assumptions } = this.#options;
    let refills = this.#checks.settleRefills(e.cpu);
    // Where bulk calls are hidden, refills may wait for the call that took them.
    if (assumptions === null || assumptions.hiddenBulks) return;
    // An interrupt's request comes after the refill of the request that it cuts.
    if (refills === null && !e.interrupt) refills = this.#checks.lopsidedRefills(e.cpu);
    if (refills === null) return;
    this.score.repairs++;
    restock(this.#m, refills.own, refills.real, e.pfn);
    for (const { pfn } of refills.real) this.#told.add(pfn);
  }

  /** What only we have drained until now goes back, where differences are mended. */
  #beginCall(cpu: number): void {
    const only = this.#checks.beginCall(cpu);
    this.#follower?.beginCall(cpu, only);
    if (only.length === 0 || this.#options.assumptions === null) return;
    this.score.repairs++;
    undrain(this.#m, only);
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
      victim: this.#reclaim.isVictim(e),
    };
    const shown = this.#evidence?.ofRequest(e.pfn, bits, e.order, rights) ?? rights;
    const pfn = request(m, bits, e.order, shown);
    this.#options.watch?.request(e, { gfp: bits, rights: shown, cache }, pfn);
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

  /** `drained`: a drain is recorded next; null where that cannot be told. */
  #free(e: ReplayEvent, order: number, drained: boolean | null): void {
    const m = this.#m;
    const row = rowOf(m, e.pfn);
    if (!isBlock(m, row, order)) {
      noteStrange(this.score, e.line);
      return;
    }
    if (this.#options.steps?.free(m, row, order) === true) return;
    const other = this.#substitutes?.insteadOf(row, order, e.pid, e.kind === "batched") ?? -1;
    if (other < 0 && settle(m, row, order)) {
      this.score.inputs.unseenTakers++;
      if (this.score.unseenLine === 0) this.score.unseenLine = e.line;
    }
    const past = this.#isLocked(e);
    const pfn = other < 0 ? e.pfn : pfnOf(m, other);
    if (past) freePagesPastPcp(m, pfn, order);
    else {
      this.#beforeFree(e, row, order, drained);
      freePages(m, pfn, order);
    }
    this.#options.watch?.free(e, order, past);
  }

  /** What the recording tells of the per-CPU list that the block goes to now. */
  #beforeFree(e: ReplayEvent, row: number, order: number, drained: boolean | null): void {
    const m = this.#m;
    const zone = zoneOf(m, row);
    if (drained !== null && (order === 0 || order === m.pageblockOrder)) {
      if (order === 0) this.#reclaim.beforeFree(zone, drained);
      this.#evidence?.ofDrain(zone, order, drained);
    }
    const list = m.pcpListOf[order * 8 + m.blockType[row >> m.pageblockOrder]] ?? -1;
    if (list < 0 || this.#options.assumptions === null) return;
    this.#freed[e.cpu] = { pid: e.pid, zone, list };
    beforeFree(m, zone, order, e.drains, this.score);
  }

  /** Past the lists. The lock is one zone's: a page of another zone still gets onto its list. */
  #isLocked(e: ReplayEvent): boolean {
    const m = this.#m;
    if (e.lockedBy >= 0 && zoneOf(m, rowOf(m, e.lockedBy)) === zoneOf(m, rowOf(m, e.pfn))) {
      this.score.inputs.lockedFrees++;
      return true;
    }
    return this.#options.assumptions?.isLocked(this.#m, e, this.score) ?? false;
  }

  #drain(e: ReplayEvent): void {
    if (!this.#checks.isDrainDue(e.cpu)) {
      const freed = this.#freed[e.cpu] ?? null;
      const assumes = this.#options.assumptions !== null;
      if (!assumes || !drainFull(this.#m, e, freed, this.score)) this.#drainOutside(e);
    }
    this.#told.delete(e.pfn);
    if (!this.#checks.realDrain(e)) this.#strangeDrain(e);
  }

  #drainOutside(e: ReplayEvent): void {
    const { assumptions, watch } = this.#options;
    const type = this.#state.typeOf(e.type);
    const own = drainOutside(this.#m, e, type);
    if (own !== null) this.score.inputs[own.kind === "remote" ? "remoteDrains" : "decays"]++;
    const lowered = assumptions !== null && own === null;
    const found = lowered ? decayLowered(this.#m, e, type, this.score) : own;
    if (found !== null) watch?.drained(found.kind, found.zone, found.cpu);
  }

  /** A block that we hold on another list, or not at all: repaired, it goes where it went. */
  #strangeDrain(e: ReplayEvent): void {
    this.score.strangeDrains++;
    const type = this.#state.typeOf(e.type);
    if (this.#options.assumptions === null) return;
    if (!putDown(this.#m, rowOf(this.#m, e.pfn), e.order, type)) return;
    this.score.repairs++;
    this.#options.watch?.putDown(e, type);
  }

  #takeBulk(pid: number, call: BulkCall): void {
    const pfns = this.#bulks.take(pid, call);
    this.#options.watch?.bulk(call.gfp, pfns);
    if (pfns.length === call.pages) return;
    this.#miss("bulk", `${pfns.length} pages`, `${call.pages} pages`);
  }

  #miss(kind: Miss["kind"], ours: string, theirs: string): void {
    if (this.#at !== null) noteMiss(this.score, this.#at, kind, ours, theirs);
  }
}
