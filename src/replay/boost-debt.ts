/**
 * Boosted marks of a changed machine. A boost is paid when a pass of kswapd is
 * over, and passes are the recording's; but a boost that the recorded machine does
 * not have would have woken its kswapd. It is paid after as long as a pass took in
 * the recording so far, on average.
 *
 *   B1  memories that are the same stay so: only what is above the recorded boost is paid
 *
 * Linux: boost_watermark(), mm/page_alloc.c; balance_pgdat(), mm/vmscan.c
 */
import { type Memory, Z_BOOST, ZONE_WORDS } from "../mm/memory.ts";

export class BoostDebt {
  readonly #theirs: Memory;
  readonly #ours: Memory;
  /** When a zone's boost rose above the recorded one; NaN while it is not. */
  readonly #since: Float64Array;
  /** By node: when its running pass began. */
  readonly #began: Map<number, number> = new Map();
  #passes = 0;
  #inPasses = 0;
  #now = 0;

  constructor(theirs: Memory, ours: Memory) {
    this.#theirs = theirs;
    this.#ours = ours;
    this.#since = new Float64Array(ours.zoneCount).fill(Number.NaN);
  }

  /** Before each event; microseconds. */
  step(time: number): void {
    this.#now = time;
    for (let zone = 0; zone < this.#since.length; zone++) {
      const at = zone * ZONE_WORDS + Z_BOOST;
      const theirs = this.#theirs.zone[at];
      const since = this.#since[zone];
      if (this.#ours.zone[at] <= theirs) this.#since[zone] = Number.NaN;
      else if (Number.isNaN(since)) this.#since[zone] = time;
      else if (time - since >= this.#length()) this.#ours.zone[at] = theirs;
    }
  }

  passBegins(node: number): void {
    this.#began.set(node, this.#now);
  }

  passEnds(node: number): void {
    const began = this.#began.get(node);
    if (began === undefined) return;
    this.#passes++;
    this.#inPasses += this.#now - began;
    this.#began.delete(node);
  }

  /** Microseconds of a pass. */
  #length(): number {
    return this.#passes === 0 ? 0 : this.#inPasses / this.#passes;
  }
}
