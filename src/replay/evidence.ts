/**
 * What a repaired run reads off recorded pages about counts and marks that no event
 * tells: from the zone that a request was served from, and from a list's length when it
 * is drained.
 *
 * Linux: node_dirty_ok() in get_page_from_freelist(), mm/page_alloc.c
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
  readonly #write: number;

  constructor(m: Memory, marks: WrittenMarks | null, score: Score) {
    this.#m = m;
    this.#marks = marks;
    this.#score = score;
    this.#write = m.gfp.era.bits.get("__GFP_WRITE") ?? 0;
  }

  /** Before a request that page `pfn` was given to, -1 for none. Returns the rights that it shows. */
  ofRequest(pfn: number, gfp: number, order: number, rights: Rights): Rights {
    const m = this.#m;
    const real = pfn < 0 ? -1 : zoneOf(m, rowOf(m, pfn));
    if (servingZone(m, gfp, order, rights) === real) return rights;
    // A node with too many dirty pages is passed over at first by those who will write to the page.
    const past = { ...rights, past: true };
    if ((gfp & this.#write) !== 0 && servingZone(m, gfp, order, past) === real) {
      this.#score.assumptions.dirtyLimit++;
      return past;
    }
    if (explainByDrift(m, gfp, order, rights, real)) this.#score.assumptions.drift++;
    else if (this.#marks?.explain(gfp, order, rights, real) === true) {
      this.#score.assumptions.marks++;
    }
    return rights;
  }

  /** Before a block goes to this CPU's list, and the list is drained next or is not. */
  ofDrain(zone: number, order: number, drained: boolean): void {
    if (this.#marks?.explainDrain(zone, 1 << order, drained) === true) {
      this.#score.assumptions.marks++;
    }
  }
}
