// Machines and bounce pools for tests of the DMA layer.
import { BOUNCE_FULL, type Bounce } from "../../src/dma/bounce.ts";
import { fromDevice } from "../../src/dma/words.ts";
import { bootMemory, type Memory } from "../../src/mm/index.ts";

export const MIB: number = 2 ** 20;
export const GIB: number = 2 ** 30;
const PAGE = 4096;

export interface PcOptions {
  /** Bytes of RAM in all; beyond 3 GiB it goes on at 4 GiB. */
  readonly ram: number;
  readonly era?: string;
  /** No DMA32 zone: the kernels before 2.6.15. */
  readonly dma32?: boolean;
}

/** An x86-64 PC without bytes. */
export function pc({ ram, era = "6.1", dma32 = true }: PcOptions): Memory {
  const low = Math.min(ram, 3 * GIB) / PAGE;
  const high = Math.max(0, ram - 3 * GIB) / PAGE;
  const top = high > 0 ? 0x100000 + high : 0;
  const dma = { name: "DMA", startPfn: 1, pages: 4095 };
  const holes = [{ start: 0xc0000, end: 0x100000 }];
  const zones = dma32
    ? [
        dma,
        { name: "DMA32", startPfn: 0x1000, pages: low - 0x1000 },
        { name: "Normal", startPfn: 0x100000, pages: high },
      ]
    : [dma, { name: "Normal", startPfn: 0x1000, pages: Math.max(low, top) - 0x1000, holes }];
  return bootMemory({ era, zones });
}

/** A small memory with bytes: `pages` from pfn 0, the first `dmaPages` of them ZONE_DMA. */
export function small(pages: number, dmaPages: number, era = "6.1"): Memory {
  return bootMemory({
    era,
    zones: [
      { name: "DMA", startPfn: 0, pages: dmaPages },
      { name: "Normal", startPfn: dmaPages, pages: pages - dmaPages },
    ],
    minFreeKbytes: 0,
    lowmemReserveRatio: [0, 0],
    bytes: new Uint8Array(pages * PAGE),
  });
}

/** The simplest bounce pool: first fit by 64 bytes, copies by the rules of 6.1. */
export class PlainBounce implements Bounce {
  readonly #memory: Memory;
  readonly #start: number;
  readonly #used: (number | undefined)[];
  readonly #origins = new Map<number, { orig: number; size: number; slots: number }>();
  lastMessage: string | null = null;

  constructor(memory: Memory, start: number, size: number) {
    this.#memory = memory;
    this.#start = start;
    this.#used = new Array(size / 64).fill(undefined);
  }

  map(...args: Parameters<Bounce["map"]>): number {
    const [, orig, size, allocSize] = args;
    const slots = Math.ceil(allocSize / 64) + 1;
    const at = this.#gap(slots);
    if (at < 0) {
      this.lastMessage = `swiotlb buffer is full (sz: ${size} bytes)`;
      return BOUNCE_FULL;
    }
    const buffer = this.#start + at * 64 + (orig % 64);
    this.#used.fill(at, at, at + slots);
    this.#origins.set(buffer, { orig, size, slots });
    this.#copy(orig, buffer, size);
    return buffer;
  }

  #gap(slots: number): number {
    let run = 0;
    for (const [i, own] of this.#used.entries()) {
      run = own === undefined ? run + 1 : 0;
      if (run === slots) return i + 1 - slots;
    }
    return -1;
  }

  unmap(...[, buffer, , direction, attrs]: Parameters<Bounce["unmap"]>): void {
    const own = this.#origins.get(buffer);
    if (own === undefined) throw new Error(`no bounce buffer at ${buffer}`);
    if (fromDevice(direction) && (attrs & 0x20) === 0) this.#copy(buffer, own.orig, own.size);
    const at = Math.floor((buffer - this.#start) / 64);
    this.#used.fill(undefined, at, at + own.slots);
    this.#origins.delete(buffer);
  }

  syncForCpu(...[, buffer, size, direction]: Parameters<Bounce["syncForCpu"]>): void {
    if (fromDevice(direction)) this.#copy(buffer, this.#originOf(buffer), size);
  }

  syncForDevice(...[, buffer, size, direction]: Parameters<Bounce["syncForDevice"]>): void {
    if (direction < 2) this.#copy(this.#originOf(buffer), buffer, size);
  }

  holds(physical: number): boolean {
    return physical >= this.#start && physical < this.#start + this.#used.length * 64;
  }

  maxMapping(): number {
    return 256 * 1024;
  }

  /** Buffers that nobody gave back. */
  live(): number {
    return this.#origins.size;
  }

  #originOf(address: number): number {
    for (const [buffer, own] of this.#origins) {
      if (address >= buffer && address < buffer + own.size) return own.orig + address - buffer;
    }
    throw new Error(`no bounce buffer around ${address}`);
  }

  #copy(from: number, to: number, size: number): void {
    this.#memory.bytes?.copyWithin(to, from, from + size);
  }
}
