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
import { type EventSink, type Memory, MOBILE, rowOf, zoneOf } from "../mm/memory.ts";
import { MOVABLE } from "../mm/rule.ts";
import { BulkPages } from "./bulk-pages.ts";
import { Checks, type MissSink } from "./checks.ts";
import { ContigCalls } from "./contig.ts";
import type { DriveOptions } from "./drive-options.ts";
import type { BulkCall, ReplayEvent } from "./event.ts";
import { Evidence } from "./evidence.ts";
import { Follower } from "./follow.ts";
import { GfpReader } from "./gfp-words.ts";
import { GiveBack } from "./give-back.ts";
import { ReclaimState } from "./reclaim.ts";
import { ReclaimChecks } from "./reclaim-checks.ts";
import { request } from "./request.ts";
import { restock, undrain } from "./resync.ts";
import { emptyScore, type Miss, noteMiss, noteStrange, type Score } from "./score.ts";
import type { StartState } from "./start-state.ts";
import { Substitutes } from "./substitutes.ts";
import { isBlock, mendAnswer } from "./surgery.ts";
import { WaitingFrees } from "./waiting-frees.ts";

const hex = (pfn: number): string => (pfn < 0 ? "none" : `0x${pfn.toString(16)}`);

export class Driver {
  readonly score: Score = emptyScore();
  readonly #m: Memory;
  readonly #state: StartState;
  readonly #options: DriveOptions;
  readonly #checks: Checks;
  readonly #reclaim: ReclaimState;
  readonly #help: ReclaimChecks;
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
  readonly #give: GiveBack;
  readonly #waiting: WaitingFrees;
  #at: ReplayEvent | null = null;

  constructor(state: StartState, options: DriveOptions) {
    this.#state = state;
    this.#m = state.m;
    this.#options = options;
    const { assumptions, marks = null, watch } = options;
    const miss: MissSink = (kind, ours, theirs) => this.#miss(kind, ours, theirs);
    const wake: EventSink["wakeKswapd"] = (zone, order, highest) => {
      this.#reclaim.kswapdWanted(zone, highest);
      this.#help.asked(zone, order, highest);
      watch?.wake(zone, order);
    };
    this.#checks = new Checks(state.m, state.typeOf, miss, wake, options.told);
    state.m.events = this.#checks;
    this.#follower = options.follow === true ? new Follower(state, this.#checks, options) : null;
    this.#substitutes = options.substitute === true ? new Substitutes(state.m) : null;
    this.#gfp = new GfpReader(state.m);
    const bitsOf = (gfp: string): number => this.#gfp.read(gfp).bits;
    this.#reclaim = new ReclaimState(state, bitsOf, watch?.compacted);
    this.#help = new ReclaimChecks(state.m, bitsOf, this.score);
    this.#contig = new ContigCalls(state.m, watch);
    if (assumptions !== null) assumptions.watch = watch ?? null;
    this.#evidence = assumptions === null ? null : new Evidence(state.m, marks, this.score);
    this.#bulks = new BulkPages(state.m, this.score);
    this.#give = new GiveBack({
      ...{ state, options, checks: this.#checks, reclaim: this.#reclaim, score: this.score },
      ...{ substitutes: this.#substitutes, evidence: this.#evidence },
    });
    const free = (e: ReplayEvent): void => this.#give.free(e, e.order, null);
    this.#waiting = new WaitingFrees(state.m, this.#checks, free);
    this.score.refills = this.#checks.refills;
    this.score.drains = this.#checks.drains;
    this.score.extfrags = this.#checks.extfrags;
  }

  /** Replays the next events, as look-ahead.ts hands them out. Returns false where `before` ended the run. */
  feed(events: readonly ReplayEvent[]): boolean {
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
    this.#help.before(e, this.#reclaim.isPast(e));
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
    if (e.kind !== "drain") this.#give.otherEvent(e.cpu);
    this.#replay(e);
    this.#help.after(e);
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
        if (!e.announced && !this.#waiting.takes(e)) this.#give.free(e, e.order, e.drainsNext);
        return;
      case "batched":
        this.#waiting.tellsLists = true;
        if (e.batchOrder >= 0) this.#give.free(e, e.batchOrder, e.drainsNext);
        return;
      case "refill":
        this.#noteRefill(e);
        this.#checks.realRefill(e);
        this.#follower?.refill(e);
        if (assumptions?.hiddenBulks === true) this.#checks.settleRefills(e.cpu);
        return;
      case "drain":
        if (this.#told.size > 0) this.#told.delete(e.pfn);
        if (this.#follower === null) this.#give.drain(e);
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
    const early = this.#served.size === 0 ? undefined : this.#served.get(e);
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
    else if (this.#told.size === 0 || !this.#told.delete(own)) this.score.pfnEqual++;
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
