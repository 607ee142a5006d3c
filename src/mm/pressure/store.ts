/**
 * A store in memory: slots of a page, given out from the lowest. It stands for a
 * swap device, or for the files that pages came from.
 *
 * Linux: struct swap_info_struct, mm/swapfile.c
 */
import { assert } from "../../base/assert.ts";
import type { PageStore } from "./pages.ts";
import { SlotMap } from "./slots.ts";

export class MemoryStore implements PageStore {
  readonly #slots: SlotMap;
  readonly #bytes: Uint8Array | null;
  readonly #pageSize: number;

  /**
   * `slots` pages of `pageSize` bytes; `hasBytes` is false for memories without, which it must not be
   * for others. Asserts that both are whole numbers, and later that pages are of this size.
   */
  constructor(slots: number, pageSize: number, hasBytes = true) {
    assert(Number.isSafeInteger(slots) && slots >= 0, "a store has a number of slots", slots);
    assert(Number.isSafeInteger(pageSize) && pageSize > 0, "a page has a size", pageSize);
    this.#slots = new SlotMap(slots);
    this.#bytes = hasBytes ? new Uint8Array(slots * pageSize) : null;
    this.#pageSize = pageSize;
  }

  get slots(): number {
    return this.#slots.slots;
  }

  get free(): number {
    return this.#slots.free;
  }

  write(bytes: Uint8Array | null): number {
    assertPage(bytes, this.#pageSize);
    assert(bytes === null || this.#bytes !== null, "this store was made without bytes");
    const slot = this.#slots.next();
    if (slot < 0) return -1;
    this.#slots.take(slot);
    if (bytes !== null) this.#bytes?.set(bytes, slot * this.#pageSize);
    return slot;
  }

  read(slot: number, bytes: Uint8Array | null): boolean {
    this.#slots.assertTaken(slot);
    const start = slot * this.#pageSize;
    if (bytes !== null && this.#bytes !== null) {
      bytes.set(this.#bytes.subarray(start, start + this.#pageSize));
    }
    return true;
  }

  drop(slot: number): void {
    this.#slots.drop(slot);
  }
}

/** A page of another size would reach into the next slot. */
export function assertPage(bytes: Uint8Array | null, pageSize: number): void {
  assert(
    bytes === null || bytes.length === pageSize,
    "the store has pages of another size",
    pageSize,
  );
}
