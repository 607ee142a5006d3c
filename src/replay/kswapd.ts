/**
 * kswapd's passes: which zones one is for, that their per-CPU lists are short
 * meanwhile, and that it pays the boosts that it found.
 *
 * A pass is for the zones up to the highest that anybody woke kswapd for since the
 * pass before began; where nobody did, it is for the same zones again.
 *
 * Linux: wakeup_kswapd(), kswapd_highest_zoneidx(), balance_pgdat(), mm/vmscan.c
 */
import {
  type Memory,
  P_BATCH,
  P_COUNT,
  P_HIGH,
  PCP_WORDS,
  Z_BOOST,
  Z_FLAGS,
  Z_INDEX,
  Z_NODE,
  ZONE_RECLAIM_ACTIVE,
  ZONE_WORDS,
} from "../mm/memory.ts";

/** MAX_NR_ZONES - 1 or more: every zone. */
const ALL_ZONES = 15;

interface Node {
  /** Highest zone of the wake-ups since the last pass began; -1 for none. */
  asked: number;
  /** Of the last pass. */
  highest: number;
  /** The pass did nothing more that is recorded, but nobody told that it was over. */
  unsure: boolean;
}

export class KswapdPasses {
  readonly #m: Memory;
  readonly #nodes: Map<number, Node> = new Map();
  /** Boost of each zone when the running pass of its node began. */
  readonly #boosts: number[];

  constructor(m: Memory) {
    this.#m = m;
    this.#boosts = m.names.map(() => 0);
  }

  /** Somebody wants kswapd of `node` to free memory up to a zone; it may run already. */
  wanted(node: number, highest: number): void {
    const own = this.#node(node);
    own.asked = Math.max(own.asked, highest);
  }

  begins(node: number): void {
    const own = this.#node(node);
    if (own.asked >= 0) own.highest = own.asked;
    own.asked = -1;
    own.unsure = false;
    const { zone } = this.#m;
    this.#eachZone(node, own.highest, (z, at) => {
      this.#boosts[z] = zone[at + Z_BOOST];
      zone[at + Z_FLAGS] |= ZONE_RECLAIM_ACTIVE;
    });
  }

  /**
   * kswapd of `node` is through: what was boosted when it began is paid. Where that is not
   * `sure`, later drains may show that it was only kept waiting.
   */
  ends(node: number, sure: boolean): void {
    const { zone } = this.#m;
    this.#node(node).unsure = !sure;
    this.#eachZone(node, this.#node(node).highest, (z, at) => {
      zone[at + Z_FLAGS] &= ~ZONE_RECLAIM_ACTIVE;
      zone[at + Z_BOOST] -= Math.min(zone[at + Z_BOOST], this.#boosts[z]);
    });
  }

  sleeps(node: number): void {
    this.#eachZone(node, this.#node(node).highest, (_, at) => {
      this.#m.zone[at + Z_FLAGS] &= ~ZONE_RECLAIM_ACTIVE;
    });
    this.#node(node).unsure = false;
  }

  /**
   * Before a single page goes to this CPU's list of a zone: where only a pass would have the
   * list drained at its length, `drained` tells whether the pass goes on.
   */
  seen(zone: number, drained: boolean): void {
    const { pcp, zone: words, cpuCount, cpu } = this.#m;
    const at = zone * ZONE_WORDS;
    const own = this.#nodes.get(words[at + Z_NODE]);
    if (own === undefined || !own.unsure || words[at + Z_INDEX] > own.highest) return;
    const set = (zone * cpuCount + cpu) * PCP_WORDS;
    const count = pcp[set + P_COUNT] + 1;
    if (count < 4 * pcp[set + P_BATCH] || count >= pcp[set + P_HIGH]) return;
    if (drained) words[at + Z_FLAGS] |= ZONE_RECLAIM_ACTIVE;
    else words[at + Z_FLAGS] &= ~ZONE_RECLAIM_ACTIVE;
  }

  #eachZone(node: number, highest: number, use: (zone: number, at: number) => void): void {
    const { zone, zoneCount } = this.#m;
    for (let z = 0; z < zoneCount; z++) {
      const at = z * ZONE_WORDS;
      if (zone[at + Z_NODE] === node && zone[at + Z_INDEX] <= highest) use(z, at);
    }
  }

  #node(node: number): Node {
    let own = this.#nodes.get(node);
    if (own === undefined) {
      own = { asked: -1, highest: ALL_ZONES, unsure: false };
      this.#nodes.set(node, own);
    }
    return own;
  }
}
