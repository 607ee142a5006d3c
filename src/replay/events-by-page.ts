/**
 * At most one event a page. Two for every three events ask it, so pages of any
 * machine that can be booted are places of an array, and only absurd ones keys.
 */
import type { ReplayEvent } from "./event.ts";

/** Pages below are places: 64 GiB of 4 KiB pages, four bytes each as far as there are any. */
const PLACES = 2 ** 24;
const FIRST = 2 ** 16;

export class EventsByPage {
  /** By pfn: 1 + place in `#events`; 0 for none. */
  #places = new Int32Array(FIRST);
  readonly #events: (ReplayEvent | null)[] = [];
  /** Places of `#events` that are free. */
  readonly #free: number[] = [];
  readonly #far: Map<number, ReplayEvent> = new Map();

  get(pfn: number): ReplayEvent | null {
    if (!isPlace(pfn)) return this.#far.get(pfn) ?? null;
    const place = pfn < this.#places.length ? this.#places[pfn] : 0;
    return place === 0 ? null : this.#events[place - 1];
  }

  /** Takes the place of what was there for the event's page. */
  set(e: ReplayEvent): void {
    const { pfn } = e;
    if (!isPlace(pfn)) {
      this.#far.set(pfn, e);
      return;
    }
    if (pfn >= this.#places.length) this.#grow(pfn);
    const place = this.#places[pfn];
    if (place !== 0) {
      this.#events[place - 1] = e;
      return;
    }
    const own = this.#free.pop() ?? this.#events.length;
    this.#events[own] = e;
    this.#places[pfn] = own + 1;
  }

  take(pfn: number): ReplayEvent | null {
    const e = this.get(pfn);
    if (e === null) return null;
    if (!isPlace(pfn)) {
      this.#far.delete(pfn);
      return e;
    }
    const own = this.#places[pfn] - 1;
    this.#places[pfn] = 0;
    this.#events[own] = null;
    this.#free.push(own);
    return e;
  }

  #grow(pfn: number): void {
    let length = this.#places.length;
    while (length <= pfn) length *= 2;
    const places = new Int32Array(length);
    places.set(this.#places);
    this.#places = places;
  }
}

function isPlace(pfn: number): boolean {
  return pfn >= 0 && pfn < PLACES && Number.isInteger(pfn);
}
