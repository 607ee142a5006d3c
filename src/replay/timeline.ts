/**
 * A run over time, in parts of equal length: what was free in each zone and in
 * blocks of each order at the end of a part, the fewest within it, and what
 * happened in it.
 */
import {
  type Memory,
  P_DRIFT,
  PCP_WORDS,
  Z_BLOCKS,
  Z_FREE,
  Z_MANAGED,
  ZONE_WORDS,
} from "../mm/memory.ts";
import type { ReplayEvent } from "./event.ts";

export interface TimelinePart {
  /** Its end; the trace's clock, microseconds. */
  readonly time: number;
  /** Pages on the free lists, by zone number: at the end, and the fewest. */
  readonly free: readonly number[];
  readonly lowest: readonly number[];
  /** Pages in free blocks of each order, all zones together. */
  readonly orders: readonly number[];
  readonly allocations: number;
  readonly refusals: number;
  readonly kswapdWakes: number;
  readonly reclaims: number;
  readonly fallbacks: number;
}

export interface RunTimeline {
  /** When it began; the trace's clock, microseconds. */
  readonly start: number;
  readonly parts: readonly TimelinePart[];
}

/** There are at most twice as many, however long the recording is. */
const PARTS = 128;
/** Microseconds of a part at first. */
const FIRST_LENGTH = 16;

interface Counts {
  allocations: number;
  refusals: number;
  kswapdWakes: number;
  reclaims: number;
  fallbacks: number;
}

export class Timeline {
  readonly parts: TimelinePart[] = [];
  readonly #m: Memory;
  /** Microseconds of a part: doubled whenever there are too many parts. */
  #length = FIRST_LENGTH;
  #start = Number.NaN;
  #time = 0;
  /** When the part that is going on ends. */
  #next = Number.NEGATIVE_INFINITY;
  /** By zone number; what CPUs keep back is not looked at for each event. */
  #lowest: number[];
  /** Zones with memory. */
  readonly #zones: Int32Array;
  /** The last event was a request: there may be less free than ever. */
  #asked = true;
  #counts: Counts = none();

  constructor(m: Memory) {
    this.#m = m;
    this.#lowest = freeOfAll(m);
    const hasMemory = (zone: number): boolean => m.zone[zone * ZONE_WORDS + Z_MANAGED] > 0;
    this.#zones = Int32Array.from([...m.names.keys()].filter(hasMemory));
  }

  run(): RunTimeline {
    return { start: Number.isNaN(this.#start) ? 0 : this.#start, parts: this.parts };
  }

  /** Before each event. */
  note(e: ReplayEvent): void {
    // CPUs that are printed one by one may go back in time.
    if (e.time > this.#time) this.#time = e.time;
    if (this.#time >= this.#next) this.#advance();
    if (this.#asked) this.#noteLowest();
    this.#asked = e.kind === "alloc";
    if (e.kind !== "refill" && e.kind !== "drain" && e.kind !== "free") this.#count(e);
  }

  #noteLowest(): void {
    const { zone } = this.#m;
    const zones = this.#zones;
    for (let i = 0; i < zones.length; i++) {
      const own = zones[i];
      const free = zone[own * ZONE_WORDS + Z_FREE];
      if (free < this.#lowest[own]) this.#lowest[own] = free;
    }
  }

  /** Ends parts up to now. */
  #advance(): void {
    if (Number.isNaN(this.#start)) this.#start = this.#time;
    while (this.#time - this.#start >= 2 * PARTS * this.#length) this.#join();
    const end = (): number => this.#start + (this.parts.length + 1) * this.#length;
    while (this.#time >= end()) this.#push(end());
    this.#next = end();
  }

  #count(e: ReplayEvent): void {
    const counts = this.#counts;
    if (e.kind === "alloc") {
      counts.allocations++;
      if (e.pfn < 0) counts.refusals++;
    } else if (e.kind === "kswapd") counts.kswapdWakes++;
    else if (e.kind === "reclaim") counts.reclaims++;
    else if (e.kind === "extfrag") counts.fallbacks++;
  }

  /** Pairs become parts of twice the length. */
  #join(): void {
    const { parts } = this;
    const pairs = Math.floor(parts.length / 2);
    const odd = parts.length % 2 === 1 ? parts[parts.length - 1] : null;
    for (let i = 0; i < pairs; i++) parts[i] = joined(parts[2 * i], parts[2 * i + 1]);
    parts.length = pairs;
    if (odd !== null) {
      // The first half of the part that is going on.
      this.#counts = sum(odd, this.#counts);
      this.#lowest = this.#lowest.map((pages, zone) => Math.min(pages, odd.lowest[zone]));
    }
    this.#length *= 2;
  }

  /** Ends the last part; call once, after the last event. */
  close(): void {
    this.#push(this.#time);
  }

  #push(time: number): void {
    const free = freeOfAll(this.#m);
    const lowest = this.#lowest.map((pages, zone) => Math.min(pages, free[zone]));
    this.parts.push({ time, free, lowest, orders: pagesByOrder(this.#m), ...this.#counts });
    this.#lowest = free.slice();
    this.#counts = none();
  }
}

function none(): Counts {
  return { allocations: 0, refusals: 0, kswapdWakes: 0, reclaims: 0, fallbacks: 0 };
}

function sum(a: Counts, b: Counts): Counts {
  return {
    allocations: a.allocations + b.allocations,
    refusals: a.refusals + b.refusals,
    kswapdWakes: a.kswapdWakes + b.kswapdWakes,
    reclaims: a.reclaims + b.reclaims,
    fallbacks: a.fallbacks + b.fallbacks,
  };
}

/** Two of the same recording, one after the other. */
export function joined(a: TimelinePart, b: TimelinePart): TimelinePart {
  const lowest = a.lowest.map((pages, zone) => Math.min(pages, b.lowest[zone]));
  return { ...b, ...sum(a, b), lowest };
}

function freeOfAll(m: Memory): number[] {
  return m.names.map((_, zone) => freeOf(m, zone));
}

/** Free pages of a zone, with what CPUs keep back. */
export function freeOf(m: Memory, zone: number): number {
  let free = m.zone[zone * ZONE_WORDS + Z_FREE];
  for (let cpu = 0; cpu < m.cpuCount; cpu++) {
    free += m.pcp[(zone * m.cpuCount + cpu) * PCP_WORDS + P_DRIFT];
  }
  return free;
}

function pagesByOrder(m: Memory): number[] {
  return Array.from({ length: m.maxOrder + 1 }, (_, order) => {
    let blocks = 0;
    for (let zone = 0; zone < m.zoneCount; zone++) {
      blocks += m.zone[zone * ZONE_WORDS + Z_BLOCKS + order];
    }
    return blocks * 2 ** order;
  });
}
