/**
 * The CPU's cache of a machine whose devices do not look into it: lines that the
 * CPU touched shadow memory until they are cleaned or dropped. Nothing else costs
 * anything.
 *
 * A line is dirty as a whole. A buffer that shares a line with something else can
 * therefore be spoiled, as on the hardware; drivers align buffers for that reason.
 * Lines stay for ever unless told otherwise: `evict` writes back as a CPU may do
 * at any moment. Only RAM is cached: memory that lies on devices is mapped past it.
 *
 * State is in the image, as large as RAM, and untouched chunks of it cost nothing:
 *
 *   lines     the bytes of each line that is held
 *   states    a byte a line: not held, clean, dirty
 *   uncached  a byte a page: 1 for coherent memory of devices that do not snoop
 *   counts    f64, lines held and dirty
 *
 * Linux: arch_sync_dma_for_device(), arch_sync_dma_for_cpu(), arch/arm64/mm/dma-mapping.c
 */
import { addChunkedRegion, addRegion } from "../mm/image.ts";
import type { Memory } from "../mm/memory.ts";
import type { Space } from "./space.ts";

const ABSENT = 0;
const CLEAN = 1;
const DIRTY = 2;

const CHUNK_SHIFT = 12;
const CHUNK = 2 ** CHUNK_SHIFT;

export class CpuCache {
  readonly lineSize: number;
  readonly #space: Space;
  /** First byte of RAM, and the one behind it. */
  readonly #start: number;
  readonly #end: number;
  readonly #lines: Marked;
  readonly #states: Marked;
  readonly #uncached: Marked;
  /** Lines that are held; how many of them are dirty. */
  readonly #counts: Float64Array;

  constructor(space: Space, name: string, lineSize: number) {
    this.#space = space;
    this.lineSize = lineSize;
    const { memory, pageSize } = space.machine;
    const size = memory.bytes?.byteLength ?? 0;
    this.#start = memory.bytesPfn * pageSize;
    this.#end = this.#start + size;
    this.#lines = new Marked(memory, `${name}.cacheLines`, size);
    this.#states = new Marked(memory, `${name}.cacheStates`, Math.ceil(size / lineSize));
    this.#uncached = new Marked(memory, `${name}.uncached`, Math.ceil(size / pageSize));
    const counts = addRegion(memory.image, `${name}.cacheCounts`, 2 * 8);
    this.#counts = new Float64Array(counts.buffer, counts.byteOffset, 2);
  }

  /** Lines that are held; how many of them are dirty. */
  count(): { readonly lines: number; readonly dirty: number } {
    return { lines: this.#counts[0], dirty: this.#counts[1] };
  }

  /** Pages of coherent memory are remapped past the cache, or put back behind it. */
  setUncached(physical: number, length: number, uncached: boolean): void {
    const { pageSize } = this.#space.machine;
    this.flush(physical, length);
    for (let at = physical; at < physical + length; at += pageSize) {
      if (at < this.#start || at >= this.#end) continue;
      this.#uncached.set(Math.floor((at - this.#start) / pageSize), uncached ? 1 : 0);
    }
  }

  /** What the CPU reads; false where there are no bytes. */
  read(physical: number, into: Uint8Array): boolean {
    return this.#each(physical, into.length, false, (part, at) => into.set(part, at));
  }

  /** The CPU writes; false where there are no bytes. */
  write(physical: number, bytes: Uint8Array): boolean {
    return this.#each(physical, bytes.length, true, (part, at) => {
      part.set(bytes.subarray(at, at + part.length));
    });
  }

  /** Writes dirty lines of a range to memory and keeps them. */
  clean(physical: number, length: number): void {
    this.#held(physical, length, (line) => this.#writeBack(line));
  }

  /** Drops lines of a range, dirty or not; but what of a line lies outside of the range is written first. */
  invalidate(physical: number, length: number): void {
    const end = physical + length;
    this.#held(physical, length, (line) => {
      const start = this.#start + line * this.lineSize;
      const whole = start >= physical && start + this.lineSize <= end;
      if (!whole) this.#writeBack(line);
      this.#drop(line);
    });
  }

  /** Writes dirty lines of a range to memory and drops all of them. */
  flush(physical: number, length: number): void {
    this.#held(physical, length, (line) => {
      this.#writeBack(line);
      this.#drop(line);
    });
  }

  /** Writes back and drops whatever is held, as a CPU may at any moment; `choose` picks lines by number. */
  evict(choose: (line: number) => boolean = () => true): void {
    const first = this.#start / this.lineSize;
    this.#states.each((line) => {
      if (!choose(first + line)) return;
      this.#writeBack(line);
      this.#drop(line);
    });
  }

  /** Calls `see` for each line of RAM that is held and has a byte of the range. Lines count from RAM's first. */
  #held(physical: number, length: number, see: (line: number) => void): void {
    const from = Math.max(physical, this.#start) - this.#start;
    const end = Math.min(physical + length, this.#end) - this.#start;
    if (from >= end || this.#counts[0] === 0) return;
    const { bytes } = this.#states;
    const last = Math.floor((end - 1) / this.lineSize);
    for (let line = Math.floor(from / this.lineSize); line <= last; line++) {
      if (bytes[line] !== ABSENT) see(line);
    }
  }

  #writeBack(line: number): void {
    if (this.#states.bytes[line] !== DIRTY) return;
    this.#memoryOf(line)?.set(this.#bytesOf(line));
    this.#states.set(line, CLEAN);
    this.#counts[1]--;
  }

  #drop(line: number): void {
    if (this.#states.bytes[line] === DIRTY) this.#counts[1]--;
    this.#states.set(line, ABSENT);
    this.#counts[0]--;
  }

  #bytesOf(line: number): Uint8Array {
    return this.#lines.bytes.subarray(line * this.lineSize, (line + 1) * this.lineSize);
  }

  #memoryOf(line: number): Uint8Array | null {
    return this.#space.view(this.#start + line * this.lineSize, this.lineSize);
  }

  /** The line's bytes, fetched where it is not held. */
  #fetched(line: number, dirty: boolean): Uint8Array {
    const bytes = this.#bytesOf(line);
    const state = this.#states.bytes[line];
    if (state === ABSENT) {
      this.#lines.mark(line * this.lineSize, this.lineSize);
      const memory = this.#memoryOf(line);
      if (memory !== null) bytes.set(memory);
      this.#counts[0]++;
    }
    if (dirty && state !== DIRTY) this.#counts[1]++;
    this.#states.set(line, dirty || state === DIRTY ? DIRTY : CLEAN);
    return bytes;
  }

  /** Calls `touch` for each part of a range, in its line or in memory, and where it lies in the range. */
  #each(
    physical: number,
    length: number,
    dirty: boolean,
    touch: (part: Uint8Array, at: number) => void,
  ): boolean {
    const { pageSize } = this.#space.machine;
    for (let at = 0; at < length; ) {
      const here = physical + at;
      const from = here % this.lineSize;
      const part = Math.min(this.lineSize - from, length - at);
      const memory = this.#space.view(here, part);
      if (memory === null) return false;
      const inRam = here >= this.#start && here < this.#end;
      const page = Math.floor((here - this.#start) / pageSize);
      if (!inRam || this.#uncached.bytes[page] !== 0) touch(memory, at);
      else {
        const line = Math.floor((here - this.#start) / this.lineSize);
        touch(this.#fetched(line, dirty).subarray(from, from + part), at);
      }
      at += part;
    }
    return true;
  }
}

/** Bytes of a chunked region, with the marks that tell a snapshot what to copy. */
class Marked {
  readonly bytes: Uint8Array;
  readonly #touched: Uint8Array;

  constructor(memory: Memory, name: string, size: number) {
    this.#touched = new Uint8Array(Math.ceil(size / CHUNK));
    const region = addChunkedRegion(memory.image, name, size, CHUNK_SHIFT, this.#touched);
    this.bytes = new Uint8Array(region.buffer, region.byteOffset, size);
  }

  mark(at: number, length: number): void {
    this.#touched.fill(1, Math.floor(at / CHUNK), Math.ceil((at + length) / CHUNK));
  }

  set(at: number, value: number): void {
    this.#touched[at >>> CHUNK_SHIFT] = 1;
    this.bytes[at] = value;
  }

  /** Calls `see` with the place of each byte that is not zero. */
  each(see: (at: number) => void): void {
    for (let chunk = this.#touched.indexOf(1); chunk >= 0; ) {
      const end = Math.min((chunk + 1) * CHUNK, this.bytes.length);
      for (let at = chunk * CHUNK; at < end; at++) if (this.bytes[at] !== 0) see(at);
      chunk = this.#touched.indexOf(1, chunk + 1);
    }
  }
}
