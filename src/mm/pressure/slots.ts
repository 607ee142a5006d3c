/**
 * Which slots of a store are taken: the lowest free one is given out first.
 *
 * Linux: swap_map, scan_swap_map_slots(), mm/swapfile.c
 */
import { assert } from "../../base/assert.ts";

export class SlotMap {
  readonly #taken: Uint8Array;
  #free: number;
  /** No slot below is free. */
  #lowest = 0;

  constructor(slots: number) {
    this.#taken = new Uint8Array(slots);
    this.#free = slots;
  }

  get slots(): number {
    return this.#taken.length;
  }

  get free(): number {
    return this.#free;
  }

  /** The slot that `take` would give, or -1: for who may fail before it is taken. */
  next(): number {
    return this.#taken.indexOf(0, this.#lowest);
  }

  take(slot: number): void {
    this.#taken[slot] = 1;
    this.#free--;
    this.#lowest = slot + 1;
  }

  drop(slot: number): void {
    this.assertTaken(slot);
    this.#taken[slot] = 0;
    this.#free++;
    this.#lowest = Math.min(this.#lowest, slot);
  }

  assertTaken(slot: number): void {
    assert(this.#taken[slot] === 1, "no such slot", slot);
  }
}
