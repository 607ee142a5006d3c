/**
 * The CPU's cache of a machine whose devices do not look into it: lines that the
 * CPU touched shadow memory until they are cleaned or dropped. Nothing else costs
 * anything.
 *
 * A line is dirty as a whole. A buffer that shares a line with something else can
 * therefore be spoiled, as on the hardware; drivers align buffers for that reason.
 * Lines stay for ever unless told otherwise: `evict` writes back as a CPU may do
 * at any moment.
 *
 * Linux: arch_sync_dma_for_device(), arch_sync_dma_for_cpu(), arch/arm64/mm/dma-mapping.c
 */
import type { Space } from "./space.ts";

interface Line {
  readonly bytes: Uint8Array;
  dirty: boolean;
}

export class CpuCache {
  readonly lineSize: number;
  readonly #space: Space;
  readonly #lines = new Map<number, Line>();
  /** Pages that the CPU reaches past the cache: coherent memory of devices that do not snoop. */
  readonly #uncached = new Set<number>();

  constructor(space: Space, lineSize: number) {
    this.#space = space;
    this.lineSize = lineSize;
  }

  /** Lines that are held; how many of them are dirty. */
  count(): { readonly lines: number; readonly dirty: number } {
    let dirty = 0;
    for (const line of this.#lines.values()) if (line.dirty) dirty++;
    return { lines: this.#lines.size, dirty };
  }

  /** Pages of coherent memory are remapped past the cache, or put back behind it. */
  setUncached(physical: number, length: number, uncached: boolean): void {
    const { pageSize } = this.#space.machine;
    this.flush(physical, length);
    for (let at = physical; at < physical + length; at += pageSize) {
      if (uncached) this.#uncached.add(Math.floor(at / pageSize));
      else this.#uncached.delete(Math.floor(at / pageSize));
    }
  }

  /** What the CPU reads; false where there are no bytes. */
  read(physical: number, into: Uint8Array): boolean {
    return this.#each(physical, into.length, (line, from, to, at) => {
      into.set(line.subarray(from, to), at);
      return false;
    });
  }

  /** The CPU writes; false where there are no bytes. */
  write(physical: number, bytes: Uint8Array): boolean {
    return this.#each(physical, bytes.length, (line, from, to, at) => {
      line.set(bytes.subarray(at, at + to - from), from);
      return true;
    });
  }

  /** Writes dirty lines of a range to memory and keeps them. */
  clean(physical: number, length: number): void {
    for (const number of this.#held(physical, length)) this.#writeBack(number);
  }

  /** Drops lines of a range, dirty or not; but what of a line lies outside of the range is written first. */
  invalidate(physical: number, length: number): void {
    const end = physical + length;
    for (const number of this.#held(physical, length)) {
      const start = number * this.lineSize;
      const whole = start >= physical && start + this.lineSize <= end;
      if (!whole) this.#writeBack(number);
      this.#lines.delete(number);
    }
  }

  /** Writes dirty lines of a range to memory and drops all of them. */
  flush(physical: number, length: number): void {
    for (const number of this.#held(physical, length)) {
      this.#writeBack(number);
      this.#lines.delete(number);
    }
  }

  /** Writes back and drops whatever is held, as a CPU may at any moment; `choose` picks lines by number. */
  evict(choose: (line: number) => boolean = () => true): void {
    for (const number of [...this.#lines.keys()]) {
      if (!choose(number)) continue;
      this.#writeBack(number);
      this.#lines.delete(number);
    }
  }

  /** Whether memory and a held line differ somewhere in a range: the CPU would read other bytes than a device. */
  shadows(physical: number, length: number): boolean {
    return this.#held(physical, length).length > 0;
  }

  #held(physical: number, length: number): number[] {
    if (length <= 0) return [];
    const first = Math.floor(physical / this.lineSize);
    const last = Math.floor((physical + length - 1) / this.lineSize);
    if (last - first < this.#lines.size) {
      const found: number[] = [];
      for (let at = first; at <= last; at++) if (this.#lines.has(at)) found.push(at);
      return found;
    }
    return [...this.#lines.keys()].filter((at) => at >= first && at <= last);
  }

  #writeBack(number: number): void {
    const line = this.#lines.get(number);
    if (line === undefined || !line.dirty) return;
    this.#space.view(number * this.lineSize, this.lineSize)?.set(line.bytes);
    line.dirty = false;
  }

  /** Calls `touch` for each line of a range with the part of it and where the part lies in the range. */
  #each(
    physical: number,
    length: number,
    touch: (line: Uint8Array, from: number, to: number, at: number) => boolean,
  ): boolean {
    const { pageSize } = this.#space.machine;
    for (let at = 0; at < length; ) {
      const here = physical + at;
      const number = Math.floor(here / this.lineSize);
      const from = here - number * this.lineSize;
      const to = Math.min(this.lineSize, from + length - at);
      const past = this.#uncached.has(Math.floor(here / pageSize));
      const memory = this.#space.view(number * this.lineSize, this.lineSize);
      if (memory === null) return false;
      if (past) touch(memory, from, to, at);
      else {
        let line = this.#lines.get(number);
        if (line === undefined) {
          line = { bytes: memory.slice(), dirty: false };
          this.#lines.set(number, line);
        }
        if (touch(line.bytes, from, to, at)) line.dirty = true;
      }
      at += to - from;
    }
    return true;
  }
}
