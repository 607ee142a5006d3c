/**
 * When kswapd would be awake, by one rule for any memory: asked for by a request
 * below the low mark or by a boosted zone, it wakes unless its node is balanced,
 * and sleeps again when a zone of the node is above its high mark. What it
 * reclaims is not known here, so this compares two memories; it does not predict.
 *
 * Linux: wakeup_kswapd(), pgdat_balanced(), mm/vmscan.c
 */
import {
  type Memory,
  Z_BOOST,
  Z_HIGH,
  Z_INDEX,
  Z_MANAGED,
  Z_NODE,
  ZONE_WORDS,
} from "../mm/memory.ts";
import { watermarkOk } from "../mm/zone-watermark.ts";

export class KswapdGuess {
  wakes = 0;
  /** Requests that found no zone above its low mark. */
  belowLow = 0;
  /** Microseconds of the trace's clock. */
  awake = 0;
  readonly #m: Memory;
  /** When the kswapd of each node woke, by node; sleeping ones are not in it. */
  readonly #since: Map<number, number> = new Map();
  #now = 0;
  #asked = false;

  constructor(m: Memory) {
    this.#m = m;
  }

  /** Before each event of the recording. */
  step(time: number): void {
    this.#now = time;
    this.#asked = false;
    for (const [node, since] of this.#since) {
      if (!this.#isBalanced(node, 0)) continue;
      this.awake += time - since;
      this.#since.delete(node);
    }
  }

  wake(zone: number, order: number): void {
    if (!this.#asked) this.belowLow++;
    this.#asked = true;
    const at = zone * ZONE_WORDS;
    const node = this.#m.zone[at + Z_NODE];
    if (this.#since.has(node) || this.#m.zone[at + Z_MANAGED] === 0) return;
    if (this.#m.zone[at + Z_BOOST] === 0 && this.#isBalanced(node, order)) return;
    this.wakes++;
    this.#since.set(node, this.#now);
  }

  /** The recording is over. */
  end(): void {
    for (const since of this.#since.values()) this.awake += this.#now - since;
    this.#since.clear();
  }

  #isBalanced(node: number, order: number): boolean {
    const { zone, zoneCount, marks } = this.#m;
    let highest = 0;
    for (let z = 0; z < zoneCount; z++) {
      const at = z * ZONE_WORDS;
      if (zone[at + Z_NODE] === node && zone[at + Z_MANAGED] > 0) highest = zone[at + Z_INDEX];
    }
    for (let z = 0; z < zoneCount; z++) {
      const at = z * ZONE_WORDS;
      if (zone[at + Z_NODE] !== node || zone[at + Z_MANAGED] === 0) continue;
      const mark = zone[at + Z_HIGH] + zone[at + Z_BOOST];
      if (watermarkOk(zone, at, order, mark, highest, 0, marks)) return true;
    }
    return false;
  }
}
