// Programs of the DMA API: a driver, its device and the CPU in turn, by the rules. Each step is some
// numbers, which are bent to what the rules allow at that moment; every byte that is read is compared
// with the ideal machine's.
import assert from "node:assert/strict";
import fc from "fast-check";
import { isFault, type SgEntry, sgList } from "../../src/dma/index.ts";
import { type DmaDirection, fromDevice, toDevice } from "../../src/dma/words.ts";
import { allocPages, freePages, GFP_KERNEL } from "../../src/mm/index.ts";
import { IdealMachine } from "./dma-ideal.ts";
import type { Setup } from "./dma-setups.ts";

const PAGE = 4096;

/** One step: what, on which buffer, and three numbers of 0 … 2^16. */
export interface Step {
  readonly what: number;
  readonly buffer: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

const word: fc.Arbitrary<number> = fc.nat({ max: 0xffff });
export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({ what: fc.nat({ max: 31 }), buffer: fc.nat({ max: 4 }), a: word, b: word, c: word }),
  { maxLength: 120, size: "max" },
);

interface Mapped {
  readonly direction: DmaDirection;
  /** DMA addresses of its parts, in the order of the bytes. */
  readonly parts: readonly { readonly dma: number; readonly length: number }[];
  readonly list: SgEntry[] | null;
  /** Bytes that belong to the CPU for now. */
  cpu: { readonly start: number; readonly end: number };
}

interface Buffer {
  readonly id: number;
  readonly pfn: number;
  readonly order: number;
  /** Segments of the buffer, physical; one for a single mapping. */
  readonly segments: readonly { readonly physical: number; readonly length: number }[];
  readonly size: number;
  mapped: Mapped | null;
}

/** A program at work on one machine. */
export class Program {
  readonly setup: Setup;
  readonly ideal: IdealMachine = new IdealMachine();
  readonly buffers: (Buffer | undefined)[] = [];
  refused = 0;
  compared = 0;

  constructor(setup: Setup) {
    this.setup = setup;
  }

  run(program: readonly Step[]): void {
    for (const step of program) this.step(step);
  }

  step({ what, buffer, a, b, c }: Step): void {
    const own = this.buffers[buffer];
    if (own === undefined) {
      this.#make(buffer, a, b, c);
      return;
    }
    if (what < 3) this.#evict(a);
    else if (what < 9) this.#cpuWrites(own, a, b, c);
    else if (what < 14) this.#cpuReads(own, a, b);
    else if (own.mapped === null) {
      if (this.map(own, a, b) && this.setup.fills) this.#fill(own, c);
    } else if (what < 18) this.#deviceReads(own, own.mapped, a, b);
    else if (what < 23) this.#deviceWrites(own, own.mapped, a, b, c);
    else if (what < 26) this.#syncForCpu(own, own.mapped, a, b);
    else if (what < 28) this.#syncForDevice(own, own.mapped);
    else if (what < 31) this.unmap(own, own.mapped);
    else this.#free(own);
  }

  /** Ends all mappings, frees all buffers; what is left then is a leak. */
  end(): void {
    for (const own of this.buffers) if (own !== undefined) this.#free(own);
    const { dma, left } = this.setup;
    assert.equal(dma.liveMappings(), 0, "mappings left");
    assert.equal(left(), 0, "bounce buffers or addresses left");
  }

  #make(id: number, a: number, b: number, c: number): void {
    const { memory, align } = this.setup;
    const order = a % 5;
    const pfn = allocPages(memory, GFP_KERNEL, order);
    if (pfn < 0) return;
    memory.bytes?.fill(0, pfn * PAGE, (pfn + 2 ** order) * PAGE);
    const total = PAGE * 2 ** order;
    const segments: { physical: number; length: number }[] = [];
    let at = bend(b, total / 4, align);
    for (let i = 0; i <= c % 4 && at < total; i++) {
      const length = Math.max(align, bend((c >> 2) + i * 977, total / 3, align));
      if (at + length > total) break;
      segments.push({ physical: pfn * PAGE + at, length });
      // Neighbours every other time, so that an IOMMU finds something to merge.
      at += length + (i % 2) * align * 3;
    }
    if (segments.length === 0) segments.push({ physical: pfn * PAGE, length: align * 2 });
    const size = segments.reduce((sum, segment) => sum + segment.length, 0);
    this.buffers[id] = { id, pfn, order, segments, size, mapped: null };
    this.ideal.add(id, size);
  }

  #free(own: Buffer): void {
    if (own.mapped !== null) this.unmap(own, own.mapped);
    this.setup.dma.cache?.flush(own.pfn * PAGE, PAGE * 2 ** own.order);
    freePages(this.setup.memory, own.pfn, own.order);
    this.ideal.drop(own.id);
    this.buffers[own.id] = undefined;
  }

  map(own: Buffer, a: number, b: number): boolean {
    const { dma, device } = this.setup;
    const direction: DmaDirection = a % 3 === 0 ? 0 : a % 3 === 1 ? 1 : 2;
    if (own.segments.length === 1 && b % 2 === 0) {
      const [{ physical, length } = { physical: 0, length: 0 }] = own.segments;
      const address = dma.mapSingle(device, physical, length, direction);
      if (dma.mappingError(device, address)) {
        this.refused++;
        return false;
      }
      const parts = [{ dma: address, length }];
      own.mapped = { direction, parts, list: null, cpu: { start: 0, end: 0 } };
      return true;
    }
    const list = sgList(own.segments);
    const used = dma.mapSg(device, list, direction);
    if (used === 0) {
      this.refused++;
      return false;
    }
    const parts = list.slice(0, used).map((entry) => ({ dma: entry.dma, length: entry.dmaLength }));
    own.mapped = { direction, parts, list, cpu: { start: 0, end: 0 } };
    return true;
  }

  unmap(own: Buffer, mapped: Mapped): void {
    const { dma, device } = this.setup;
    const { direction, list, parts } = mapped;
    // What the CPU wrote meanwhile would be overwritten from a bounce buffer.
    this.#syncForDevice(own, mapped);
    if (list !== null) dma.unmapSg(device, list, direction);
    else for (const part of parts) dma.unmapSingle(device, part.dma, part.length, direction);
    own.mapped = null;
  }

  #cpuWrites(own: Buffer, a: number, b: number, c: number): void {
    const range = this.#cpuRange(own, a, b);
    // What comes from the device is not for the CPU to write while it is mapped.
    if (range === null || (own.mapped !== null && !toDevice(own.mapped.direction))) return;
    const bytes = noise(c, range.length);
    this.ideal.write(own.id, range.offset, bytes);
    for (const { physical, at, length } of this.#pieces(own, range.offset, range.length)) {
      assert.ok(this.setup.dma.cpuWrite(physical, bytes.subarray(at, at + length)));
    }
  }

  #cpuReads(own: Buffer, a: number, b: number): void {
    const range = this.#cpuRange(own, a, b);
    if (range === null) return;
    const bytes = new Uint8Array(range.length);
    for (const { physical, at, length } of this.#pieces(own, range.offset, range.length)) {
      bytes.set(this.setup.dma.cpuRead(physical, length) ?? [], at);
    }
    this.#compare(bytes, own, range.offset, "the CPU reads");
  }

  #deviceReads(own: Buffer, mapped: Mapped, a: number, b: number): void {
    if (!toDevice(mapped.direction)) return;
    const range = this.#deviceRange(own, mapped, a, b);
    if (range === null) return;
    const bytes = new Uint8Array(range.length);
    for (const { dma, at, length } of onBus(mapped, range.offset, range.length)) {
      const answer = this.setup.device.read(dma, length);
      assert.ok(!isFault(answer), isFault(answer) ? answer.reason : "");
      bytes.set(answer, at);
    }
    this.#compare(bytes, own, range.offset, "the device reads");
  }

  #deviceWrites(own: Buffer, mapped: Mapped, a: number, b: number, c: number): void {
    if (!fromDevice(mapped.direction)) return;
    const range = this.#deviceRange(own, mapped, a, b);
    if (range === null) return;
    const bytes = noise(c, range.length);
    this.ideal.write(own.id, range.offset, bytes);
    for (const { dma, at, length } of onBus(mapped, range.offset, range.length)) {
      assert.equal(this.setup.device.write(dma, bytes.subarray(at, at + length)), null);
    }
  }

  /** The device fills what it may only write. */
  #fill(own: Buffer, c: number): void {
    const { mapped } = own;
    if (mapped === null || toDevice(mapped.direction)) return;
    const bytes = noise(c, own.size);
    this.ideal.write(own.id, 0, bytes);
    for (const { dma, at, length } of onBus(mapped, 0, own.size)) {
      assert.equal(this.setup.device.write(dma, bytes.subarray(at, at + length)), null);
    }
  }

  #syncForCpu(own: Buffer, mapped: Mapped, a: number, b: number): void {
    const { dma, device } = this.setup;
    // One range belongs to the CPU at a time; what it had goes back first.
    this.#syncForDevice(own, mapped);
    if (mapped.list !== null) {
      dma.syncSgForCpu(device, mapped.list, mapped.direction);
      mapped.cpu = { start: 0, end: own.size };
      return;
    }
    const [part] = mapped.parts;
    const range = this.#bent(0, own.size, a, b);
    if (range === null || part === undefined) return;
    dma.syncSingleForCpu(device, part.dma + range.offset, range.length, mapped.direction);
    mapped.cpu = { start: range.offset, end: range.offset + range.length };
  }

  #syncForDevice(own: Buffer, mapped: Mapped): void {
    const { dma, device } = this.setup;
    const { start, end } = mapped.cpu;
    // What the CPU does not have it cannot hand over: it would undo what the device wrote.
    if (end === start) return;
    if (mapped.list !== null) dma.syncSgForDevice(device, mapped.list, mapped.direction);
    else {
      const [part] = mapped.parts;
      dma.syncSingleForDevice(device, (part?.dma ?? 0) + start, end - start, mapped.direction);
    }
    mapped.cpu = { start: 0, end: 0 };
    assert.ok(own.mapped === mapped);
  }

  #evict(a: number): void {
    this.setup.dma.cache?.evict((line) => (line * 31 + a) % 3 === 0);
  }

  /** What the CPU may touch now, bent from two numbers. */
  #cpuRange(own: Buffer, a: number, b: number): Span | null {
    const { start, end } = own.mapped?.cpu ?? { start: 0, end: own.size };
    return this.#bent(start, end, a, b);
  }

  /** What the device may touch: all but what belongs to the CPU. */
  #deviceRange(own: Buffer, mapped: Mapped, a: number, b: number): Span | null {
    const { start, end } = mapped.cpu;
    if (end === start) return this.#bent(0, own.size, a, b);
    return a % 2 === 0 ? this.#bent(0, start, a, b) : this.#bent(end, own.size, a, b);
  }

  /** A span within [start, end), whole lines of the cache. */
  #bent(start: number, end: number, a: number, b: number): Span | null {
    const { align } = this.setup;
    if (end - start < align) return null;
    const offset = start + bend(a, end - start - align + 1, align);
    const length = Math.max(align, bend(b, end - offset + 1, align));
    return { offset, length: Math.min(length, end - offset) };
  }

  #pieces(own: Buffer, offset: number, length: number): Piece[] {
    const all = own.segments.map((segment) => ({
      start: segment.physical,
      length: segment.length,
    }));
    return cut(all, offset, length).map((piece) => ({ ...piece, physical: piece.start }));
  }

  #compare(bytes: Uint8Array, own: Buffer, offset: number, who: string): void {
    this.compared++;
    const right = this.ideal.read(own.id, offset, bytes.length);
    const differs = bytes.findIndex((byte, i) => byte !== right[i]);
    assert.equal(differs, -1, `${who} something else at byte ${offset + differs} of ${own.id}`);
  }
}

interface Span {
  readonly offset: number;
  readonly length: number;
}

interface Piece {
  readonly physical: number;
  readonly at: number;
  readonly length: number;
}

/** A number of [0, limit), a multiple of `align`. */
function bend(value: number, limit: number, align: number): number {
  const count = Math.max(1, Math.floor(limit / align));
  return (value % count) * align;
}

function noise(seed: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seed * 7 + i * 13 + (i >> 5)) & 0xff);
}

function onBus(mapped: Mapped, offset: number, length: number) {
  const all = mapped.parts.map((part) => ({ start: part.dma, length: part.length }));
  return cut(all, offset, length).map((piece) => ({ ...piece, dma: piece.start }));
}

/** Pieces of [offset, offset + length) of runs that lie one after the other. */
function cut(
  runs: readonly { readonly start: number; readonly length: number }[],
  offset: number,
  length: number,
): { start: number; at: number; length: number }[] {
  const pieces: { start: number; at: number; length: number }[] = [];
  let before = 0;
  for (const run of runs) {
    const from = Math.max(offset, before);
    const to = Math.min(offset + length, before + run.length);
    if (from < to) {
      pieces.push({ start: run.start + from - before, at: from - offset, length: to - from });
    }
    before += run.length;
  }
  return pieces;
}
