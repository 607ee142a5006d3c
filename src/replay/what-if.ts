/**
 * The demand of a recording on a changed machine. Beside a run over the recorded
 * machine, everything that its owners did is done to a second memory: the same
 * requests, and a free of recorded page p frees the page that our request got
 * for the one that got p.
 *
 *   W1  #page has, by row of the recorded memory, the pfn that its owner has in ours:
 *       itself at the start, NOBODY for free ones, REFUSED where we gave nothing
 *   W2  #owned has the rows of ours that an owner's page lies in
 *   W3  a change that changes nothing gives every page that the recording gave
 *
 * Reclaim is the recording's: what it freed is freed, no page more. A request
 * that would have to reclaim first goes unserved, and is counted as one that may
 * wait. What the recorded machine refused and ours serves is given back at once:
 * nobody knows what its owner would have done with it.
 *
 * Linux: __alloc_pages_direct_reclaim(), mm/page_alloc.c
 */
import { freePages, freePagesPastPcp } from "../mm/allocate.ts";
import { allocPagesBulk } from "../mm/bulk.ts";
import { decayPcp, drainFrom } from "../mm/drain.ts";
import { drainAllPages } from "../mm/drain-all.ts";
import {
  type Memory,
  MOBILE,
  P_BATCH,
  P_COUNT,
  PCP_WORDS,
  pfnOf,
  rowOf,
  zoneOf,
} from "../mm/memory.ts";
import { MOVABLE } from "../mm/rule.ts";
import { BoostDebt } from "./boost-debt.ts";
import type { TakenSink } from "./compaction-pages.ts";
import type { ReplayEvent } from "./event.ts";
import { GfpReader } from "./gfp-words.ts";
import { KswapdGuess } from "./kswapd-guess.ts";
import { addPages, NOBODY, ownersAtStart } from "./owners.ts";
import { ReclaimState } from "./reclaim.ts";
import { Refusals } from "./refusals.ts";
import { request } from "./request.ts";
import type { StartState } from "./start-state.ts";
import { isBlock, mendAnswer, putDown, settle } from "./surgery.ts";
import { freeOf, Timeline } from "./timeline.ts";
import type { Asked, Watch } from "./watch.ts";

const REFUSED = -2;

/** Requests that another zone serves than in the recording. */
export interface ZoneShift {
  /** Zone numbers. */
  readonly from: number;
  readonly to: number;
  requests: number;
  pages: number;
}

export class WhatIfRun implements Watch {
  allocations = 0;
  served = 0;
  samePage = 0;
  /** Requests that only the recorded machine refused. */
  rescued = 0;
  recordedRefusals = 0;
  frees = 0;
  /** Frees of what we did not give. */
  lostFrees = 0;
  /** Frees of what nobody was seen to take, while somebody has that page here. */
  unseenFrees = 0;
  fallbacks = 0;
  recordedFallbacks = 0;
  recordedWakes = 0;
  /** Requests that entered direct reclaim here only, all lists drained for them. */
  extraReclaims = 0;
  readonly shifts: Map<string, ZoneShift> = new Map();
  /** Told of each request that goes without here; `there` says whether the recorded machine refused it, too. */
  unserved: ((e: ReplayEvent, gfp: number, there: boolean) => void) | null = null;
  readonly refusals: Refusals = new Refusals();
  readonly timeline: Timeline;
  /** Of the recorded memory, and of ours. */
  readonly kswapd: readonly [KswapdGuess, KswapdGuess];
  readonly recorded: StartState;
  readonly ours: StartState;
  readonly #theirs: Memory;
  readonly #m: Memory;
  readonly #page: Int32Array;
  readonly #owned: Uint8Array;
  /** What we gave for requests that were not answered yet. */
  readonly #given: Map<ReplayEvent, { readonly pfn: number; readonly gfp: number }> = new Map();
  readonly #reclaim: ReclaimState;
  readonly #boosts: BoostDebt;
  /** Pages that compaction took in this event, by pfn. */
  readonly #taken: Set<number> = new Set();
  readonly #ownTaken: Set<number> = new Set();
  readonly #low: Float64Array;
  readonly #ownLow: Float64Array;

  /** Both fresh; `ours` is the changed one. The run that this watches goes over `recorded`. */
  constructor(recorded: StartState, ours: StartState) {
    this.recorded = recorded;
    this.ours = ours;
    this.#theirs = recorded.m;
    this.#m = ours.m;
    this.#page = ownersAtStart(recorded.m);
    this.#owned = new Uint8Array(ours.m.rows);
    for (const pfn of this.#page) if (pfn >= 0) this.#owned[rowOf(ours.m, pfn)] = 1;
    const gfp = new GfpReader(ours.m);
    const taken: TakenSink = (row, order) => {
      addPages(this.#ownTaken, pfnOf(this.#m, row), order);
    };
    this.#reclaim = new ReclaimState(ours, (text) => gfp.read(text).bits, taken);
    this.#boosts = new BoostDebt(recorded.m, ours.m);
    this.kswapd = [new KswapdGuess(recorded.m), new KswapdGuess(ours.m)];
    this.#low = new Float64Array(recorded.m.zoneCount).fill(Number.POSITIVE_INFINITY);
    this.#ownLow = this.#low.slice();
    this.timeline = new Timeline(ours.m);
    ours.m.events = {
      refill: () => undefined,
      drain: () => undefined,
      extfrag: () => {
        this.fallbacks++;
      },
      wakeKswapd: (zone, order) => this.kswapd[1].wake(zone, order),
    };
  }

  readonly event = (e: ReplayEvent): void => {
    this.#m.cpu = e.cpu;
    for (const guess of this.kswapd) guess.step(e.time);
    this.#boosts.step(e.time);
    this.#noteLowest();
    this.timeline.note(e);
    if (e.kind === "extfrag") this.recordedFallbacks++;
    else if (e.kind === "kswapd") {
      this.recordedWakes++;
      this.#boosts.passBegins(e.a);
    }
    this.#reclaim.note(e);
  };

  readonly compacted = (row: number, order: number): void => {
    addPages(this.#taken, pfnOf(this.#theirs, row), order);
  };

  /** Ours has as many pages taken as theirs, the same ones where they were free. */
  readonly compactionDone = (): void => {
    const more = [...this.#ownTaken].filter((pfn) => !this.#taken.has(pfn));
    for (const pfn of this.#taken) {
      const own = this.#ownTaken.has(pfn) ? pfn : (more.pop() ?? this.#takeForCompaction());
      this.#assign(pfn, 0, own);
    }
    for (const pfn of more) freePagesPastPcp(this.#m, pfn, 0);
    this.#taken.clear();
    this.#ownTaken.clear();
  };

  #takeForCompaction(): number {
    const pfn = request(this.#m, COMPACTION_GFP, 0, { past: true, reclaimer: true, victim: false });
    return pfn;
  }

  readonly request = (e: ReplayEvent, asked: Asked, theirs: number): void => {
    const m = this.#m;
    const { gfp, rights, cache } = asked;
    let own = request(m, gfp, e.order, rights);
    if (own < 0 && theirs >= 0 && (gfp & m.gfp.direct) !== 0 && e.order <= m.maxOrder) {
      // Before it gives up, direct reclaim has all per-CPU lists drained.
      drainAllPages(m);
      this.extraReclaims++;
      own = request(m, gfp, e.order, { ...rights, past: true });
    }
    if (own >= 0 && cache && e.order === 0) m.state[rowOf(m, own)] = MOBILE;
    this.#given.set(e, { pfn: own, gfp });
  };

  readonly answered = (e: ReplayEvent, theirs: number): void => {
    const given = this.#given.get(e);
    if (given === undefined) return;
    this.#given.delete(e);
    let own = given.pfn;
    if (e.pfn < 0) {
      this.recordedRefusals++;
      if (own < 0) {
        this.unserved?.(e, given.gfp, true);
        return;
      }
      if (theirs < 0) this.rescued++;
      freePages(this.#m, own, e.order);
      return;
    }
    this.allocations++;
    const row = rowOf(this.#theirs, e.pfn);
    if (!isBlock(this.#theirs, row, e.order)) return;
    // Where both were wrong alike, the mend of the recorded memory is one of this too.
    if (own !== e.pfn && own === theirs && this.#canHave(row, e)) {
      mendAnswer(this.#m, own, e.pfn, e.order, e.type === MOVABLE);
      own = e.pfn;
    }
    this.#assign(e.pfn, e.order, own);
    const from = zoneOf(this.#theirs, row);
    if (own < 0) {
      this.unserved?.(e, given.gfp, false);
      this.refusals.add(this.#m, e, given.gfp, this.#theirs.names[from]);
      return;
    }
    this.served++;
    if (own === e.pfn) this.samePage++;
    const to = zoneOf(this.#m, rowOf(this.#m, own));
    if (to !== from) this.#shift(from, to, e.order);
  };

  /** Nobody else has the recorded page here. */
  #canHave(theirs: number, e: ReplayEvent): boolean {
    const row = rowOf(this.#m, e.pfn);
    if (!isBlock(this.#m, row, e.order)) return false;
    for (let i = 0; i < 1 << e.order; i++) {
      if (this.#owned[row + i] !== 0 && this.#page[theirs + i] !== e.pfn + i) return false;
    }
    return true;
  }

  /** The owner of recorded pages has these from now on, -1 for none. */
  #assign(recorded: number, order: number, own: number): void {
    const row = rowOf(this.#theirs, recorded);
    const size = 1 << order;
    for (let i = 0; i < size; i++) {
      const stale = this.#page[row + i];
      // Its free was not recorded, but somebody else has the page now.
      if (stale >= 0 && !(own >= 0 && stale >= own && stale < own + size))
        this.#give(stale, 0, false);
      this.#page[row + i] = own < 0 ? REFUSED : own + i;
    }
    if (own < 0) return;
    const ownRow = rowOf(this.#m, own);
    this.#owned.fill(1, ownRow, ownRow + size);
  }

  #shift(from: number, to: number, order: number): void {
    const key = `${from} ${to}`;
    const known = this.shifts.get(key) ?? { from, to, requests: 0, pages: 0 };
    known.requests++;
    known.pages += 1 << order;
    this.shifts.set(key, known);
  }

  readonly bulk = (gfp: number, pfns: readonly number[]): void => {
    const own: number[] = [];
    allocPagesBulk(this.#m, gfp, pfns.length, own);
    for (const [i, pfn] of pfns.entries()) {
      // What a bulk call lacks its caller asks for page by page.
      const got =
        own[i] ?? request(this.#m, gfp, 0, { past: false, reclaimer: false, victim: false });
      this.#assign(pfn, 0, got);
    }
  };

  readonly free = (e: ReplayEvent, order: number, past: boolean): void => {
    const row = rowOf(this.#theirs, e.pfn);
    const first = this.#ownerOf(row, e.pfn);
    let together = first >= 0 && (first & ((1 << order) - 1)) === 0;
    for (let i = 1; together && i < 1 << order; i++) {
      together = this.#ownerOf(row + i, e.pfn + i) === first + i;
    }
    if (together) this.#give(first, order, past);
    else
      for (let i = 0; i < 1 << order; i++) this.#give(this.#ownerOf(row + i, e.pfn + i), 0, past);
    this.#page.fill(NOBODY, row, row + (1 << order));
  };

  /** The page in ours of what is freed. Taken by nobody that we saw: the same one, if nobody has it here. */
  #ownerOf(row: number, pfn: number): number {
    const own = this.#page[row];
    if (own !== NOBODY) return own;
    const ownRow = rowOf(this.#m, pfn);
    return ownRow < 0 || this.#owned[ownRow] !== 0 ? NOBODY : pfn;
  }

  #give(pfn: number, order: number, past: boolean): void {
    const m = this.#m;
    const row = pfn < 0 ? -1 : rowOf(m, pfn);
    if (!isBlock(m, row, order)) {
      if (pfn === NOBODY) this.unseenFrees++;
      else this.lostFrees++;
      return;
    }
    this.frees++;
    this.#owned.fill(0, row, row + (1 << order));
    settle(m, row, order);
    if (past) freePagesPastPcp(m, pfn, order);
    else freePages(m, pfn, order);
  }

  readonly drained = (kind: "remote" | "decay", zone: number, cpu: number): void => {
    const m = this.#m;
    const words = (zone * m.cpuCount + cpu) * PCP_WORDS;
    if (kind === "remote") drainFrom(m, zone, cpu, m.pcp[words + P_COUNT], 0);
    else if (m.rule.pcp === "tuned") decayPcp(m, zone, cpu);
    else drainFrom(m, zone, cpu, m.pcp[words + P_BATCH], 0);
  };

  readonly putDown = (e: ReplayEvent, type: number): void => {
    putDown(this.#m, rowOf(this.#m, e.pfn), e.order, type);
  };

  readonly passEnds = (node: number, e: ReplayEvent): void => {
    this.#reclaim.passEnds(node, e);
    this.#boosts.passEnds(node);
  };

  readonly wake = (zone: number, order: number): void => {
    this.kswapd[0].wake(zone, order);
  };

  /** The recording is over. Call once. */
  end(): void {
    for (const guess of this.kswapd) guess.end();
    this.#noteLowest();
    this.timeline.close();
  }

  /** Fewest free pages of a zone: in the recorded memory, in ours. */
  lowestOf(zone: number): readonly [number, number] {
    return [this.#low[zone], this.#ownLow[zone]];
  }

  #noteLowest(): void {
    for (let zone = 0; zone < this.#low.length; zone++) {
      const free = freeOf(this.#theirs, zone);
      if (free < this.#low[zone]) this.#low[zone] = free;
      const own = freeOf(this.#m, zone);
      if (own < this.#ownLow[zone]) this.#ownLow[zone] = own;
    }
  }
}

/** GFP_MOVABLE_MASK's own type and no zone bits: what takes the place of a block that compaction found. */
const COMPACTION_GFP = 0x8;
