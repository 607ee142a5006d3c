/**
 * A run over time, in equal parts of its events: what was free in each zone at
 * the end of a part, and what happened in it.
 */
import { type Memory, P_DRIFT, PCP_WORDS, Z_FREE, ZONE_WORDS } from "../mm/memory.ts";
import type { ReplayEvent } from "./event.ts";

export interface TimelinePart {
  /** Of its last event; the trace's clock, microseconds. */
  readonly time: number;
  /** Pages on the free lists, by zone number. */
  readonly free: readonly number[];
  readonly allocations: number;
  readonly kswapdWakes: number;
  readonly fallbacks: number;
}

export class Timeline {
  readonly parts: TimelinePart[] = [];
  readonly #m: Memory;
  readonly #size: number;
  #seen = 0;
  #time = 0;
  #allocations = 0;
  #wakes = 0;
  #fallbacks = 0;

  constructor(m: Memory, events: number, parts: number) {
    this.#m = m;
    this.#size = Math.max(1, Math.ceil(events / parts));
  }

  /** Before each event. */
  note(e: ReplayEvent): void {
    if (this.#seen > 0 && this.#seen % this.#size === 0) this.close();
    this.#seen++;
    this.#time = e.time;
    if (e.kind === "alloc") this.#allocations++;
    else if (e.kind === "kswapd") this.#wakes++;
    else if (e.kind === "extfrag") this.#fallbacks++;
  }

  /** Ends the part; call once after the last event, too. */
  close(): void {
    this.parts.push({
      time: this.#time,
      free: this.#m.names.map((_, zone) => freeOf(this.#m, zone)),
      allocations: this.#allocations,
      kswapdWakes: this.#wakes,
      fallbacks: this.#fallbacks,
    });
    this.#allocations = 0;
    this.#wakes = 0;
    this.#fallbacks = 0;
  }
}

function freeOf(m: Memory, zone: number): number {
  let free = m.zone[zone * ZONE_WORDS + Z_FREE];
  for (let cpu = 0; cpu < m.cpuCount; cpu++) {
    free += m.pcp[(zone * m.cpuCount + cpu) * PCP_WORDS + P_DRIFT];
  }
  return free;
}
