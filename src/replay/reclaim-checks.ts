/**
 * Does the engine call for help where the kernel did? Decisions that drive nothing
 * here are compared with what was recorded: that a request wakes kswapd, because no
 * zone is above its low mark or because a zone is boosted; and that it has nothing
 * left but to reclaim memory itself.
 *
 * Linux: wakeup_kswapd(), mm/vmscan.c; __alloc_pages_slowpath(), rmqueue(), mm/page_alloc.c
 */
import { type Memory, Z_NODE, ZONE_WORDS } from "../mm/memory.ts";
import type { CheckCount } from "./checks.ts";
import type { ReplayEvent } from "./event.ts";
import { servingZone, wantsKswapd } from "./request.ts";

/** What the kernel prints for a gfp mask of 0: the wake-up is for a boosted zone. */
export const NO_FLAGS = "none";

export class ReclaimChecks {
  readonly #m: Memory;
  readonly #gfpBits: (text: string) => number;
  readonly #wakes: CheckCount;
  readonly #reclaims: CheckCount;
  /** Boosted zones' wake-ups whose request has not been answered, by task, interrupts of it apart. */
  readonly #told: Map<number, ReplayEvent> = new Map();
  /** Wake-ups that the engine asked for since the last event: node, order. */
  readonly #asked: number[] = [];

  constructor(
    m: Memory,
    gfpBits: (text: string) => number,
    wakes: CheckCount,
    reclaims: CheckCount,
  ) {
    this.#m = m;
    this.#gfpBits = gfpBits;
    this.#wakes = wakes;
    this.#reclaims = reclaims;
  }

  /** A request of ours asks for kswapd. */
  asked(zone: number, order: number): void {
    if (this.#told.size > 0) this.#asked.push(this.#m.zone[zone * ZONE_WORDS + Z_NODE], order);
  }

  /** Before an event is replayed. `past`: the task's request has reclaimed before. */
  before(e: ReplayEvent, past: boolean): void {
    if (e.kind === "wakeup") {
      this.#wakes.recorded++;
      // Compaction may find what the request wants before it is answered: asked now.
      if (e.gfp === NO_FLAGS) this.#told.set(taskOf(e), e);
      else if (wantsKswapd(this.#m, this.#gfpBits(e.gfp), e.order)) this.#wakes.equal++;
    } else if (e.kind === "reclaim") {
      this.#reclaims.recorded++;
      const rights = { past, reclaimer: false, victim: false };
      const zone = servingZone(this.#m, this.#gfpBits(e.gfp), e.order, rights);
      if (zone < 0) this.#reclaims.equal++;
    }
    this.#asked.length = 0;
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
    if (isEqual) this.#wakes.equal++;
    this.#told.delete(task);
  }
}

function taskOf(e: ReplayEvent): number {
  return e.pid * 2 + (e.interrupt ? 1 : 0);
}
