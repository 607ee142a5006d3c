/**
 * A store in memory: slots of a page, given out from the lowest. It stands for a
 * swap device, or for the files that pages came from.
 *
 * Linux: struct swap_info_struct, swap_map, mm/swapfile.c
 */
import { assert } from "../../base/assert.ts";
import type { PageStore } from "./pages.ts";

export class MemoryStore implements PageStore {
  readonly #taken: Uint8Array;
  readonly #bytes: Uint8Array | null;
  readonly #pageSize: number;
  #free: number;
  #lowest = 0;

  /** `slots` pages; without bytes where the memory has none. */
  constructor(slots: number, pageSize: number, hasBytes = true) {
    this.#taken = new Uint8Array(slots);
    this.#bytes = hasBytes ? new Uint8Array(slots * pageSize) : null;
    this.#pageSize = pageSize;
    this.#free = slots;
  }

  get slots(): number {
    return this.#taken.length;
  }

  get free(): number {
    return this.#free;
  }

  write(bytes: Uint8Array | null): number {
    const slot = this.#taken.indexOf(0, this.#lowest);
    if (slot < 0) return -1;
    this.#taken[slot] = 1;
    this.#free--;
    this.#lowest = slot + 1;
    if (bytes !== null) this.#bytes?.set(bytes, slot * this.#pageSize);
    return slot;
  }

  read(slot: number, bytes: Uint8Array | null): boolean {
    assert(this.#taken[slot] === 1, "no such slot", slot);
    const start = slot * this.#pageSize;
    if (bytes !== null && this.#bytes !== null) {
      bytes.set(this.#bytes.subarray(start, start + this.#pageSize));
    }
    return true;
  }

  drop(slot: number): void {
    assert(this.#taken[slot] === 1, "no such slot", slot);
    this.#taken[slot] = 0;
    this.#free++;
    this.#lowest = Math.min(this.#lowest, slot);
  }
}
