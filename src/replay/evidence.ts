/**
 * What a repaired run reads off recorded pages about counts and marks that no event
 * tells: from the zone that a request was served from, and from a list's length when it
 * is drained.
 */
import { type Memory, rowOf, zoneOf } from "../mm/memory.ts";
import { explainByDrift } from "./drift.ts";
import type { WrittenMarks } from "./marks.ts";
import { type Rights, servingZone } from "./request.ts";
import type { Score } from "./score.ts";

export class Evidence {
  readonly #m: Memory;
  readonly #marks: WrittenMarks | null;
  readonly #score: Score;

  constructor(m: Memory, marks: WrittenMarks | null, score: Score) {
    this.#m = m;
    this.#marks = marks;
    this.#score = score;
  }

  /** Before a request that page `pfn` was given to, -1 for none. */
  ofRequest(pfn: number, gfp: number, order: number, rights: Rights): void {
    const m = this.#m;
    const real = pfn < 0 ? -1 : zoneOf(m, rowOf(m, pfn));
    if (servingZone(m, gfp, order, rights) === real) return;
    if (explainByDrift(m, gfp, order, rights, real)) this.#score.assumptions.drift++;
    else if (this.#marks?.explain(gfp, order, rights, real) === true) {
      this.#score.assumptions.marks++;
    }
  }

  /** Before a block goes to this CPU's list, and the list is drained next or is not. */
  ofDrain(zone: number, order: number, drained: boolean): void {
    if (this.#marks?.explainDrain(zone, 1 << order, drained) === true) {
      this.#score.assumptions.marks++;
    }
  }
}
