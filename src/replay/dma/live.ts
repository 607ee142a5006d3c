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
