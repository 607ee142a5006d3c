/**
 * Does the engine call for help where the kernel did? Decisions that drive nothing
 * here are compared with what was recorded: that a request wakes kswapd, because no
 * zone is above its low mark or because a zone is boosted, and no zone of the node is
 * balanced; that it has nothing left but to reclaim memory itself; what order kswapd
 * then works for, that it goes on while its node is not balanced, and when it sleeps.
 *
 * Linux: wakeup_kswapd(), kswapd(), prepare_kswapd_sleep(), mm/vmscan.c;
 * __alloc_pages_slowpath(), rmqueue(), mm/page_alloc.c
 */
import { type Memory, requestOf, Z_NODE, ZONE_WORDS } from "../mm/memory.ts";
import { isBalanced, isBoosted } from "../mm/pressure/balance-node.ts";
import { type ReclaimRule, reclaimRule } from "../mm/pressure/rule.ts";
import { zonesOfNode } from "../mm/pressure/scan-node.ts";
import type { CheckCount } from "./checks.ts";
import type { ReplayEvent } from "./event.ts";
import { servingZone, wantsKswapd } from "./request.ts";

/** What the kernel prints for a gfp mask of 0: the wake-up is for a boosted zone. */
export const NO_FLAGS = "none";

/** What is compared, beside the answers themselves. */
export interface ReclaimCounts {
  readonly wakes: CheckCount;
  readonly reclaims: CheckCount;
  readonly runs: CheckCount;
  readonly sleeps: CheckCount;
}

/** kswapd of a node, as far as the recording and the engine's requests tell. */
interface Thread {
  readonly zones: readonly number[];
  /** Known to be asleep: it said so, and nobody has woken it since. */
  asleep: boolean;
  /** Somebody woke it since its last run. */
  woken: boolean;
  /** What was asked for since then; and the highest zone of its last run. */
  order: number;
  highest: number;
  last: number;
  /** Order that may have been asked for too. */
  guess: number;
  /** A run goes on, and it freed so many pages. */
  runs: boolean;
  freed: number;
  /** Runs in a row that freed little or nothing, and no request freed anything meanwhile. */
  failures: number;
}

/**
 * Pages that a run may have freed that reclaimed none: it hands over what CPUs kept back from the LRU
 * lists first, and some of these are nobody's any more. Linux: lru_add_drain(), SWAP_CLUSTER_MAX
 */
const LITTLE = 32;

export class ReclaimChecks {
  readonly #m: Memory;
  readonly #rule: ReclaimRule;
  readonly #gfpBits: (text: string) => number;
  readonly #counts: ReclaimCounts;
  readonly #threads: ReadonlyMap<number, Thread>;
  /** Boosted zones' wake-ups whose request has not been answered, by task, interrupts of it apart. */
  readonly #told: Map<number, ReplayEvent> = new Map();
  #isGuess = false;
  /** Wake-ups that the engine asked for since the last event: node, order; and only those that it would wake for. */
  readonly #asked: number[] = [];

  constructor(m: Memory, gfpBits: (text: string) => number, counts: ReclaimCounts) {
    this.#m = m;
    this.#rule = reclaimRule(m.rule.name);
    this.#gfpBits = gfpBits;
    this.#counts = counts;
    const nodes = this.#rule.lists === "node" ? m.nodes : [];
    this.#threads = new Map(nodes.map((node) => [node, newThread(zonesOfNode(m, node))]));
  }

  /** A request of ours asks for kswapd of a zone's node, for zones up to `highest`. */
  asked(zone: number, order: number, highest: number): void {
    const node = this.#m.zone[zone * ZONE_WORDS + Z_NODE];
    const own = this.#threads.get(node);
    const isEnough = own !== undefined && this.#hasEnough(own, order, highest);
    if (this.#told.size > 0 && !isEnough) this.#asked.push(node, order);
    if (own === undefined) return;
    // A request that reclaims asked some time before; whether it tries again and asks once more, nobody tells.
    if (this.#isGuess) own.guess = Math.max(own.guess, order);
    else noteAsked(own, order, highest);
    if (!own.asleep) return;
    this.#counts.sleeps.recorded++;
    if (isEnough || this.#isHopeless(own)) this.#counts.sleeps.equal++;
  }

  /** Nothing for kswapd to do: a zone is balanced, and none is boosted. */
  #hasEnough({ zones }: Thread, order: number, highest: number): boolean {
    return isBalanced(this.#m, zones, order, highest) && !isBoosted(this.#m, zones, highest);
  }

  /** It may have given the node up. */
  #isHopeless({ failures }: Thread): boolean {
    return this.#rule.hopeless > 0 && failures >= this.#rule.hopeless;
  }

  /** Before an event is replayed. `past`: the task's request has reclaimed before. */
  before(e: ReplayEvent, past: boolean): void {
    this.#isGuess = past || e.kind === "reclaim" || e.kind === "reclaim-end";
    switch (e.kind) {
      case "free":
        if (e.kswapd && !e.interrupt) for (const own of this.#threads.values()) own.freed++;
        break;
      case "wakeup":
        this.#wakeup(e);
        break;
      case "kswapd":
        this.#run(e);
        break;
      case "kswapd-sleep":
        this.#sleep(e);
        break;
      case "reclaim":
        this.#reclaim(e, past);
        break;
      case "reclaim-end":
        // One page may be another answer: that compaction has all it needs.
        if (e.a > 1) for (const own of this.#threads.values()) own.failures = 0;
        break;
    }
    if (this.#asked.length > 0) this.#asked.length = 0;
  }

  /**
   * The request had nothing when it decided to reclaim; that it was kept waiting since, by
   * throttle_direct_reclaim() or by another task, nobody tells.
   */
  #reclaim(e: ReplayEvent, past: boolean): void {
    const { reclaims } = this.#counts;
    reclaims.recorded++;
    const rights = { past, reclaimer: false, victim: false };
    const zone = servingZone(this.#m, this.#gfpBits(e.gfp), e.order, rights);
    if (zone < 0) reclaims.equal++;
  }

  /** Its run is over. */
  #ended(own: Thread): void {
    if (!own.runs) return;
    if (own.freed < LITTLE) own.failures++;
    else own.failures = 0;
    own.runs = false;
  }

  #wakeup(e: ReplayEvent): void {
    const { wakes } = this.#counts;
    const own = this.#threads.get(e.a);
    wakes.recorded++;
    if (own !== undefined) {
      own.asleep = false;
      own.woken = true;
    }
    // Compaction may find what the request wants before it is answered: asked now.
    if (e.gfp === NO_FLAGS) {
      this.#told.set(taskOf(e), e);
      return;
    }
    const bits = this.#gfpBits(e.gfp);
    const highest = (requestOf(this.#m, bits) >> 4) & 0xf;
    if (own !== undefined) noteAsked(own, e.order, highest);
    const isEnough = own !== undefined && this.#hasEnough(own, e.order, highest);
    if (!isEnough && wantsKswapd(this.#m, bits, e.order)) wakes.equal++;
  }

  /** A run is for the largest block asked for since the last; without a wake-up, because the node is not balanced. */
  #run(e: ReplayEvent): void {
    const own = this.#threads.get(e.a);
    if (own === undefined) return;
    const { runs } = this.#counts;
    this.#ended(own);
    const highest = own.highest < 0 ? own.last : own.highest;
    runs.recorded++;
    const goesOn = own.woken || !isBalanced(this.#m, own.zones, e.order, highest);
    const isOrder = e.order === own.order || e.order === Math.max(own.order, own.guess);
    if (goesOn && isOrder) runs.equal++;
    own.asleep = false;
    own.woken = false;
    own.last = highest;
    own.runs = true;
    own.freed = 0;
    own.order = 0;
    own.guess = 0;
    own.highest = -1;
  }

  /** It sleeps once its node is balanced, or given up. */
  #sleep(e: ReplayEvent): void {
    const own = this.#threads.get(e.a);
    if (own === undefined) return;
    const { sleeps } = this.#counts;
    const highest = own.highest < 0 ? own.last : own.highest;
    sleeps.recorded++;
    this.#ended(own);
    const isBalancedNow = isBalanced(this.#m, own.zones, own.order, highest);
    if (isBalancedNow || this.#isHopeless(own)) sleeps.equal++;
    own.asleep = true;
  }

  /** After it: a request that was answered has asked by now. */
  after(e: ReplayEvent): void {
    if (this.#told.size === 0 || e.kind !== "alloc") return;
    const task = taskOf(e);
    const told = this.#told.get(task);
    if (told === undefined) return;
    const isEqual = this.#asked.some(
      (node, i) => i % 2 === 0 && node === told.a && this.#asked[i + 1] === told.order,
    );
    if (isEqual) this.#counts.wakes.equal++;
    this.#told.delete(task);
  }
}

function newThread(zones: readonly number[]): Thread {
  return {
    zones,
    asleep: false,
    woken: false,
    order: 0,
    highest: -1,
    last: 15,
    guess: 0,
    runs: false,
    freed: 0,
    failures: 0,
  };
}

function noteAsked(own: Thread, order: number, highest: number): void {
  own.order = Math.max(own.order, order);
  own.highest = Math.max(own.highest, highest);
}

function taskOf(e: ReplayEvent): number {
  return e.pid * 2 + (e.interrupt ? 1 : 0);
}
