/** Mappings that are open, found by what the recording calls them when they end. */
export interface LiveMap {
  /** The engine's address; below 0 when it refused. */
  readonly dma: number;
  readonly bytes: number;
  readonly bounced: boolean;
}

export class LiveMaps<T> {
  readonly #byName: Map<string, T[]> = new Map();
  count = 0;

  add(name: string, own: T): void {
    const known = this.#byName.get(name);
    if (known === undefined) this.#byName.set(name, [own]);
    else known.push(own);
    this.count++;
  }

  /** The oldest of that name. */
  take(name: string): T | null {
    const known = this.#byName.get(name);
    const own = known?.shift();
    if (own === undefined) return null;
    if (known?.length === 0) this.#byName.delete(name);
    this.count--;
    return own;
  }
}

interface Moment {
  readonly time: number;
  readonly cpu: number;
}

/**
 * Ends that are printed before their beginnings: two CPUs wrote at one moment of
 * the clock, and the text has one after the other.
 */
export class EarlyEnds {
  readonly #ends: Map<string, number> = new Map();
  #time = 0;
  /** Ends so far whose beginning is not told. */
  unknown = 0;

  /** `counts`: nothing else has ended it already. */
  note(name: string, { time, cpu }: Moment, counts: boolean): void {
    if (time !== this.#time) this.#ends.clear();
    this.#time = time;
    this.#ends.set(name, counts ? cpu : -1 - cpu);
    if (counts) this.unknown++;
  }

  /** Whether what begins here has ended already. */
  take(name: string, { time, cpu }: Moment): boolean {
    const end = time === this.#time ? this.#ends.get(name) : undefined;
    if (end === undefined || end === cpu || end === -1 - cpu) return false;
    if (end >= 0) this.unknown--;
    return this.#ends.delete(name);
  }
}
