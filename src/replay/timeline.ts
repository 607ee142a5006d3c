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

/** There are at most twice as many, however long the recording is. */
const PARTS = 60;

export class Timeline {
  readonly parts: TimelinePart[] = [];
  readonly #m: Memory;
  /** Events of a part: doubled whenever there are too many parts. */
  #size = 1;
  #seen = 0;
  #time = 0;
  #allocations = 0;
  #wakes = 0;
  #fallbacks = 0;

  constructor(m: Memory) {
    this.#m = m;
  }

  /** Before each event. */
  note(e: ReplayEvent): void {
    if (this.#seen > 0 && this.#seen % this.#size === 0) {
      this.close();
      if (this.parts.length === 2 * PARTS) this.#join();
    }
    this.#seen++;
    this.#time = e.time;
    if (e.kind === "alloc") this.#allocations++;
    else if (e.kind === "kswapd") this.#wakes++;
    else if (e.kind === "extfrag") this.#fallbacks++;
  }

  /** Pairs become parts of twice the size. */
  #join(): void {
    const { parts } = this;
    for (let i = 0; i < PARTS; i++) parts[i] = joined(parts[2 * i], parts[2 * i + 1]);
    parts.length = PARTS;
    this.#size *= 2;
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

/** Two of the same recording, one after the other. */
function joined(a: TimelinePart, b: TimelinePart): TimelinePart {
  return {
    ...b,
    allocations: a.allocations + b.allocations,
    kswapdWakes: a.kswapdWakes + b.kswapdWakes,
    fallbacks: a.fallbacks + b.fallbacks,
  };
}

export function freeOf(m: Memory, zone: number): number {
  let free = m.zone[zone * ZONE_WORDS + Z_FREE];
  for (let cpu = 0; cpu < m.cpuCount; cpu++) {
    free += m.pcp[(zone * m.cpuCount + cpu) * PCP_WORDS + P_DRIFT];
  }
  return free;
}
