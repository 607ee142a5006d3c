/**
 * Records of no fixed number, in the memory's image: what the DMA layer must remember
 * beside its books, and a snapshot therefore has.
 *
 *   cells   f64  records, one after the other; cell 0 is nobody's, so 0 names no record
 *   words   f64  first cell never used, then the first free record of each class
 *
 * A record of n cells is of the class of the next power of two; a free one's first cell
 * is the next free one of its class. Cells never used are zeros and in no snapshot.
 */
import { assert } from "../base/assert.ts";
import { addChunkedRegion, addRegion } from "../mm/image.ts";
import type { Memory } from "../mm/memory.ts";

/** Cells of a chunk of the region: 4 KiB. */
const CHUNK_SHIFT = 12;
const CHUNK_CELLS = 2 ** CHUNK_SHIFT / 8;
const CLASSES = 32;

export class Heap {
  readonly cells: Float64Array;
  readonly #words: Float64Array;
  readonly #touched: Uint8Array;

  /** `capacity` cells at most. */
  constructor(memory: Memory, name: string, capacity: number) {
    const bytes = capacity * 8;
    this.#touched = new Uint8Array(Math.ceil(bytes / 2 ** CHUNK_SHIFT));
    const { image } = memory;
    const region = addChunkedRegion(image, `${name}.heap`, bytes, CHUNK_SHIFT, this.#touched);
    this.cells = new Float64Array(region.buffer, region.byteOffset, capacity);
    const words = addRegion(image, `${name}.heapWords`, (CLASSES + 1) * 8);
    this.#words = new Float64Array(words.buffer, words.byteOffset, CLASSES + 1);
  }

  /** A record of `count` zeros, or 0 where there is no room for it. */
  alloc(count: number): number {
    assert(count > 0, "a record has cells", count);
    const order = classOf(count);
    const words = this.#words;
    let at = words[order + 1];
    if (at !== 0) {
      words[order + 1] = this.cells[at];
      this.cells.fill(0, at, at + 2 ** order);
      return at;
    }
    at = Math.max(1, words[0]);
    const end = at + 2 ** order;
    if (end > this.cells.length) return 0;
    words[0] = end;
    this.#touched.fill(1, Math.floor(at / CHUNK_CELLS), Math.ceil(end / CHUNK_CELLS));
    return at;
  }

  /** Gives a record of `count` cells back. */
  free(at: number, count: number): void {
    const order = classOf(count);
    this.cells[at] = this.#words[order + 1];
    this.#words[order + 1] = at;
  }
}

function classOf(count: number): number {
  return count <= 1 ? 0 : 32 - Math.clz32(count - 1);
}

/** Pages in use, a bit each, in the cells of a record from `at` on. */
const BITS = 32;

/** Cells of so many bits. */
export function bitCells(count: number): number {
  return Math.ceil(count / BITS);
}

/** The last bit that is set of `count` bits from `first` on, counted from `first`; -1 for none. */
export function lastSet(heap: Heap, at: number, first: number, count: number): number {
  for (let bit = first + count - 1; bit >= first; bit--) {
    const word = heap.cells[at + Math.floor(bit / BITS)];
    if (word === 0) bit -= bit % BITS;
    else if (((word >>> (bit % BITS)) & 1) !== 0) return bit - first;
  }
  return -1;
}

export function setBits(heap: Heap, at: number, first: number, count: number, value: 0 | 1): void {
  for (let bit = first; bit < first + count; bit++) {
    const cell = at + Math.floor(bit / BITS);
    const mask = 2 ** (bit % BITS);
    const set = ((heap.cells[cell] >>> (bit % BITS)) & 1) !== 0;
    if (set !== (value === 1)) heap.cells[cell] += value === 1 ? mask : -mask;
  }
}

/** How many of `count` bits are set. */
export function countBits(heap: Heap, at: number, count: number): number {
  let sum = 0;
  for (let bit = 0; bit < count; bit++) {
    sum += (heap.cells[at + Math.floor(bit / BITS)] >>> (bit % BITS)) & 1;
  }
  return sum;
}
