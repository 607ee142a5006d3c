/**
 * A store that all workers of a shared memory have: slots of a page in a
 * SharedArrayBuffer. A slot's word is the CPU that took it, or is about to give it
 * back, plus one; 0 while it is free.
 *
 *   V1  a slot whose word is set and that no handle names belongs to the CPU in its word, which is
 *       at it; when that one has died, it is free
 *
 * Linux: struct swap_info_struct, mm/swapfile.c
 */
import { assert } from "../../base/assert.ts";
import { holderOf, inheritWord, lockWord, unlockWord } from "../lock.ts";
import type { PageStore } from "./pages.ts";
import { assertPage } from "./store.ts";

/** Plain data for postMessage: the buffers are shared, not copied. */
export interface SharedStoreTicket {
  readonly pageSize: number;
  readonly slots: number;
  readonly words: SharedArrayBuffer;
  /** Null where memory has no bytes. */
  readonly bytes: SharedArrayBuffer | null;
}

/** Words before those of the slots: a lock, how many are free, and below which none is. */
const LOCK = 0;
const FREE = 1;
const LOWEST = 2;
const HEAD = 3;

export class SharedStore implements PageStore {
  readonly ticket: SharedStoreTicket;
  readonly #cpu: number;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array | null;

  /** A store for the worker that is CPU `cpu`. */
  constructor(ticket: SharedStoreTicket, cpu: number) {
    this.ticket = ticket;
    this.#cpu = cpu;
    this.#words = new Int32Array(ticket.words);
    this.#bytes = ticket.bytes === null ? null : new Uint8Array(ticket.bytes);
  }

  /** An empty one, for the worker that makes it and is CPU 0; without bytes where the memory has none. */
  static make(slots: number, pageSize: number, hasBytes = true): SharedStore {
    assert(Number.isSafeInteger(slots) && slots >= 0, "a store has a number of slots", slots);
    assert(Number.isSafeInteger(pageSize) && pageSize > 0, "a page has a size", pageSize);
    const words = new SharedArrayBuffer((HEAD + slots) * 4);
    Atomics.store(new Int32Array(words), FREE, slots);
    const bytes = hasBytes ? new SharedArrayBuffer(slots * pageSize) : null;
    return new SharedStore({ pageSize, slots, words, bytes }, 0);
  }

  get shared(): SharedStore {
    return this;
  }

  get slots(): number {
    return this.ticket.slots;
  }

  get free(): number {
    return Atomics.load(this.#words, FREE);
  }

  write(bytes: Uint8Array | null): number {
    assertPage(bytes, this.ticket.pageSize);
    assert(bytes === null || this.#bytes !== null, "this store was made without bytes");
    const slot = this.#take();
    const { pageSize } = this.ticket;
    if (slot >= 0 && bytes !== null) this.#bytes?.set(bytes, slot * pageSize);
    return slot;
  }

  #take(): number {
    const words = this.#words;
    lockWord(words, LOCK, this.#cpu);
    const at = words.indexOf(0, HEAD + words[LOWEST]);
    if (at >= 0) {
      words[at] = this.#cpu + 1;
      words[FREE]--;
      words[LOWEST] = at + 1 - HEAD;
    }
    unlockWord(words, LOCK);
    return at < 0 ? -1 : at - HEAD;
  }

  read(slot: number, bytes: Uint8Array | null): boolean {
    assert(Atomics.load(this.#words, HEAD + slot) !== 0, "no such slot", slot);
    const { pageSize } = this.ticket;
    if (bytes !== null && this.#bytes !== null) {
      bytes.set(this.#bytes.subarray(slot * pageSize, (slot + 1) * pageSize));
    }
    return true;
  }

  /** The slot is this CPU's to drop: before its handle forgets it. */
  claim(slot: number): void {
    Atomics.store(this.#words, HEAD + slot, this.#cpu + 1);
  }

  drop(slot: number): void {
    const words = this.#words;
    lockWord(words, LOCK, this.#cpu);
    const isTaken = words[HEAD + slot] !== 0;
    if (isTaken) {
      words[HEAD + slot] = 0;
      words[FREE]++;
      words[LOWEST] = Math.min(words[LOWEST], slot);
    }
    unlockWord(words, LOCK);
    assert(isTaken, "no such slot", slot);
  }

  /** Frees what dead CPUs were at and no handle names: `named` are the handles' slots plus one. */
  recover(dead: readonly number[], named: Int32Array): void {
    const words = this.#words;
    const holder = holderOf(words, LOCK);
    const isHeir = dead.includes(holder) && inheritWord(words, LOCK, holder, this.#cpu);
    if (!isHeir) lockWord(words, LOCK, this.#cpu);
    const lost = new Set<number>();
    words.subarray(HEAD).forEach((word, slot) => {
      if (dead.includes(word - 1)) lost.add(slot);
    });
    // Looked at afterwards: who drops one meanwhile has put its own number there.
    for (const word of named) lost.delete(word - 1);
    for (const slot of lost) {
      if (dead.includes(words[HEAD + slot] - 1)) words[HEAD + slot] = 0;
    }
    words[FREE] = words.subarray(HEAD).reduce((free, word) => free + (word === 0 ? 1 : 0), 0);
    words[LOWEST] = 0;
    unlockWord(words, LOCK);
  }
}
