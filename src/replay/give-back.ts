/**
 * Frees and drains of a recording, done to a memory: which way a page goes back,
 * past the per-CPU lists or through them, and what the recording tells of them on
 * the way.
 *
 * Linux: free_unref_page(), free_unref_page_commit(), free_pcppages_bulk(), mm/page_alloc.c
 */
import { freePages, freePagesPastPcp } from "../mm/allocate.ts";
import { type Memory, pfnOf, rowOf, zoneOf } from "../mm/memory.ts";
import type { Checks } from "./checks.ts";
import type { DriveOptions } from "./drive-options.ts";
import type { ReplayEvent } from "./event.ts";
import type { Evidence } from "./evidence.ts";
import { beforeFree, decayLowered, drainFull, type LastFree } from "./pageset-highs.ts";
import type { ReclaimState } from "./reclaim.ts";
import { drainOutside } from "./remote-drain.ts";
import { noteStrange, type Score } from "./score.ts";
import type { StartState } from "./start-state.ts";
import type { Substitutes } from "./substitutes.ts";
import { isBlock, putDown, settle } from "./surgery.ts";

/** What the driver has of them. */
export interface GiveBackParts {
  readonly state: StartState;
  readonly options: DriveOptions;
  readonly checks: Checks;
  readonly reclaim: ReclaimState;
  readonly substitutes: Substitutes | null;
  readonly evidence: Evidence | null;
  readonly score: Score;
}

export class GiveBack {
  readonly #m: Memory;
  readonly #parts: GiveBackParts;
  /** By CPU: where the page went that the last event freed; null when it was no such event. */
  readonly #freed: (LastFree | null)[] = [];

  constructor(parts: GiveBackParts) {
    this.#m = parts.state.m;
    this.#parts = parts;
  }

  /** Before an event that is no drain: what was freed before it drains no more. */
  otherEvent(cpu: number): void {
    this.#freed[cpu] = null;
  }

  /** `drained`: a drain is recorded next; null where that cannot be told. */
  free(e: ReplayEvent, order: number, drained: boolean | null): void {
    const m = this.#m;
    const row = rowOf(m, e.pfn);
    if (!isBlock(m, row, order)) {
      noteStrange(this.#parts.score, e.line);
      return;
    }
    if (this.#parts.options.steps?.free(m, row, order) === true) return;
    const other = this.#parts.substitutes?.insteadOf(row, order, e.pid, e.kind === "batched") ?? -1;
    if (other < 0 && settle(m, row, order)) {
      this.#parts.score.inputs.unseenTakers++;
      if (this.#parts.score.unseenLine === 0) this.#parts.score.unseenLine = e.line;
    }
    const past = this.#isLocked(e);
    const pfn = other < 0 ? e.pfn : pfnOf(m, other);
    if (past) freePagesPastPcp(m, pfn, order);
    else {
      this.#beforeFree(e, row, order, drained);
      freePages(m, pfn, order);
    }
    this.#parts.options.watch?.free(e, order, past);
  }

  /** What the recording tells of the per-CPU list that the block goes to now. */
  #beforeFree(e: ReplayEvent, row: number, order: number, drained: boolean | null): void {
    const m = this.#m;
    const zone = zoneOf(m, row);
    if (drained !== null && (order === 0 || order === m.pageblockOrder)) {
      if (order === 0) this.#parts.reclaim.beforeFree(zone, drained);
      this.#parts.evidence?.ofDrain(zone, order, drained);
    }
    const list = m.pcpListOf[order * 8 + m.blockType[row >> m.pageblockOrder]] ?? -1;
    if (list < 0 || this.#parts.options.assumptions === null) return;
    this.#freed[e.cpu] = { pid: e.pid, zone, list };
    beforeFree(m, zone, order, e.drains, this.#parts.score);
  }

  /** Past the lists. The lock is one zone's: a page of another zone still gets onto its list. */
  #isLocked(e: ReplayEvent): boolean {
    const m = this.#m;
    if (e.lockedBy >= 0 && zoneOf(m, rowOf(m, e.lockedBy)) === zoneOf(m, rowOf(m, e.pfn))) {
      this.#parts.score.inputs.lockedFrees++;
      return true;
    }
    return this.#parts.options.assumptions?.isLocked(this.#m, e, this.#parts.score) ?? false;
  }

  /** Drained blocks are told: where ours drained none, somebody else did. */
  drain(e: ReplayEvent): void {
    if (!this.#parts.checks.isDrainDue(e.cpu)) {
      const freed = this.#freed[e.cpu] ?? null;
      const assumes = this.#parts.options.assumptions !== null;
      if (!assumes || !drainFull(this.#m, e, freed, this.#parts.score)) this.#drainOutside(e);
    }
    if (!this.#parts.checks.realDrain(e)) this.#strangeDrain(e);
  }

  #drainOutside(e: ReplayEvent): void {
    const { assumptions, watch } = this.#parts.options;
    const type = this.#parts.state.typeOf(e.type);
    const own = drainOutside(this.#m, e, type);
    if (own !== null) this.#parts.score.inputs[own.kind === "remote" ? "remoteDrains" : "decays"]++;
    const lowered = assumptions !== null && own === null;
    const found = lowered ? decayLowered(this.#m, e, type, this.#parts.score) : own;
    if (found !== null) watch?.drained(found.kind, found.zone, found.cpu);
  }

  /** A block that we hold on another list, or not at all: repaired, it goes where it went. */
  #strangeDrain(e: ReplayEvent): void {
    this.#parts.score.strangeDrains++;
    const type = this.#parts.state.typeOf(e.type);
    if (this.#parts.options.assumptions === null) return;
    if (!putDown(this.#m, rowOf(this.#m, e.pfn), e.order, type)) return;
    this.#parts.score.repairs++;
    this.#parts.options.watch?.putDown(e, type);
  }
}
