/**
 * What a recording tells of those that page parameters are for: requests by the
 * highest zone that they may use, most held at once, and whether memory was ever
 * short. By zone index, as requests name zones.
 */

import { formatCount } from "../../base/units.ts";
import type { ReplayEvent } from "../event.ts";
import { GfpReader } from "../gfp-words.ts";
import type { StartState } from "../start-state.ts";
import { urgency } from "./page-trials.ts";
import type { SizePeak, SizeWorkload } from "./result.ts";

export interface ZoneDemand {
  served: number;
  refused: number;
  /** Bytes that are held now, and the most so far. */
  held: number;
  peak: SizePeak | null;
}

export class PageEvidence {
  /** By zone index. */
  readonly demands: Map<number, ZoneDemand> = new Map();
  /** Wakes of kswapd, and requests that were refused and must not wait. */
  wakes = 0;
  refusedAtOnce = 0;
  #allocations = 0;
  #first = Number.NaN;
  #last = 0;
  /** Zone index and order of blocks that are held, by pfn. */
  readonly #held: Map<number, { readonly index: number; readonly order: number }> = new Map();
  /** Highest index of the machine's zones: requests of that one ask for no zone. */
  #highest = 0;
  #zones: Int8Array = new Int8Array(16);

  readonly look = ({ m, facts }: StartState): ((e: ReplayEvent) => void) => {
    const gfp = new GfpReader(m);
    const isUrgent = urgency(m);
    this.#zones = m.gfpZone;
    this.#highest = Math.max(...facts.zones.map(({ index }) => index));
    return (e) => {
      if (Number.isNaN(this.#first)) this.#first = e.time;
      this.#last = Math.max(this.#last, e.time);
      if (e.kind === "alloc") {
        const { bits } = gfp.read(e.gfp);
        this.#allocated(e, this.zoneOf(bits), m.pageSize);
        if (e.pfn < 0 && isUrgent(bits)) this.refusedAtOnce++;
      } else if (e.kind === "free" || e.kind === "batched") this.#freed(e, m.pageSize);
      else if (e.kind === "kswapd") this.wakes++;
    };
  };

  get workload(): SizeWorkload {
    const length = Number.isNaN(this.#first) ? 0 : this.#last - this.#first;
    return { length, words: `${formatCount(this.#allocations)} requests for pages` };
  }

  /** Index of the highest zone that a request may use. */
  zoneOf(gfp: number): number {
    return this.#zones[gfp & 0xf];
  }

  demandOf(index: number): ZoneDemand {
    return this.demands.get(index) ?? { served: 0, refused: 0, held: 0, peak: null };
  }

  #allocated(e: ReplayEvent, index: number, pageSize: number): void {
    this.#allocations++;
    if (index >= this.#highest) return;
    const demand = this.demandOf(index);
    this.demands.set(index, demand);
    if (e.pfn < 0) {
      demand.refused++;
      return;
    }
    demand.served++;
    demand.held += 2 ** e.order * pageSize;
    this.#held.set(e.pfn, { index, order: e.order });
    if (demand.held <= (demand.peak?.amount ?? 0)) return;
    demand.peak = { amount: demand.held, line: e.line, time: e.time, by: `task ${e.pid}` };
  }

  #freed({ pfn }: ReplayEvent, pageSize: number): void {
    const own = this.#held.get(pfn);
    if (own === undefined) return;
    this.#held.delete(pfn);
    this.demandOf(own.index).held -= 2 ** own.order * pageSize;
  }
}
