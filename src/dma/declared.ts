/**
 * Coherent memory of a device's own: declared by its driver, or given by
 * firmware. Powers of two of pages are taken first fit, aligned to their size
 * within the area.
 *
 * The CPU sees the area at its bus address, the device at its own address. A device's
 * area is a record of the heap: bus address, device's address, pages, flags, then a bit
 * a page in use.
 *
 * Linux: dma_declare_coherent_memory(), dma_alloc_from_dev_coherent(),
 * dma_mark_declared_memory_occupied(), kernel/dma/coherent.c (drivers/base/dma-coherent.c,
 * arch/i386/kernel/pci-dma.c)
 */
import type { DeclaredPolicy } from "../kernels/dma.ts";
import { addRegion } from "../mm/image.ts";
import type { Memory } from "../mm/memory.ts";
import { bitCells, countBits, type Heap, lastSet, setBits } from "./heap.ts";
import { EBUSY, EINVAL } from "./runtime-device.ts";

/** Flags of 2004 to 4.12. */
export const DMA_MEMORY_MAP = 0x01;
export const DMA_MEMORY_IO = 0x02;
export const DMA_MEMORY_INCLUDES_CHILDREN = 0x04;
export const DMA_MEMORY_EXCLUSIVE = 0x08;

const A_BUS = 0;
const A_DEVICE = 1;
const A_PAGES = 2;
const A_FLAGS = 3;
const A_USED = 4;

/** The areas of all devices. */
export class DeclaredAreas {
  readonly #heap: Heap;
  readonly #pageSize: number;
  /** Record by device id; 0 for none. */
  readonly #records: Float64Array;
  readonly #areas: DeclaredArea[] = [];

  constructor(memory: Memory, name: string, heap: Heap, maxDevices: number) {
    this.#heap = heap;
    this.#pageSize = memory.pageSize;
    const region = addRegion(memory.image, `${name}.declared`, maxDevices * 8);
    this.#records = new Float64Array(region.buffer, region.byteOffset, maxDevices);
  }

  /** A device's own area, while it has one. */
  get(device: number): DeclaredArea | undefined {
    if (!(this.#records[device] > 0)) return undefined;
    let area = this.#areas[device];
    if (area === undefined) {
      area = new DeclaredArea(this.#heap, this.#records, device, this.#pageSize);
      this.#areas[device] = area;
    }
    return area;
  }

  /** Gives a device an area; undefined where the heap has no room for its bits. */
  add(
    device: number,
    busStart: number,
    deviceStart: number,
    size: number,
    flags: number,
  ): DeclaredArea | undefined {
    const pages = Math.floor(size / this.#pageSize);
    const record = this.#heap.alloc(A_USED + bitCells(pages));
    if (record === 0) return undefined;
    this.#heap.cells.set([busStart, deviceStart, pages, flags], record);
    this.#records[device] = record;
    return this.get(device);
  }

  remove(device: number): void {
    const area = this.get(device);
    if (area === undefined) return;
    this.#heap.free(this.#records[device], A_USED + bitCells(area.pages));
    this.#records[device] = 0;
  }

  /** The area that holds all of these physical addresses. */
  holding(physical: number, length: number): DeclaredArea | undefined {
    const id = this.#records.findIndex((record) => {
      const offset = physical - this.#heap.cells[record + A_BUS];
      const size = this.#heap.cells[record + A_PAGES] * this.#pageSize;
      return record > 0 && offset >= 0 && offset + length <= size;
    });
    return id < 0 ? undefined : this.get(id);
  }
}

/** One device's area: it is as long as the record is. */
export class DeclaredArea {
  readonly device: number;
  readonly pageSize: number;
  readonly #heap: Heap;
  readonly #records: Float64Array;

  constructor(heap: Heap, records: Float64Array, device: number, pageSize: number) {
    this.#heap = heap;
    this.#records = records;
    this.device = device;
    this.pageSize = pageSize;
  }

  /** Where the CPU sees it. */
  get busStart(): number {
    return this.#cell(A_BUS);
  }

  /** Where the device sees it. */
  get deviceStart(): number {
    return this.#cell(A_DEVICE);
  }

  /** 0 once it was released. */
  get pages(): number {
    return this.#cell(A_PAGES);
  }

  get flags(): number {
    return this.#cell(A_FLAGS);
  }

  #cell(which: number): number {
    const record = this.#records[this.device];
    return record === 0 ? 0 : this.#heap.cells[record + which];
  }

  get #bits(): number {
    return this.#records[this.device] + A_USED;
  }

  #isUsed(first: number, count: number): boolean {
    return lastSet(this.#heap, this.#bits, first, count) >= 0;
  }

  /** Pages in use. */
  used(): number {
    return countBits(this.#heap, this.#bits, this.pages);
  }

  /** Offset of 2^order pages, bytes; -1 for none. Linux: bitmap_find_free_region() */
  take(order: number): number {
    const count = 2 ** order;
    for (let at = 0; at + count <= this.pages; at += count) {
      if (this.#isUsed(at, count)) continue;
      setBits(this.#heap, this.#bits, at, count, 1);
      return at * this.pageSize;
    }
    return -1;
  }

  /** Gives back what was taken at a CPU's address; false when it is not of this area. */
  give(physical: number, order: number): boolean {
    const at = Math.floor((physical - this.busStart) / this.pageSize);
    if (!(at >= 0 && at < this.pages)) return false;
    const count = Math.min(2 ** order, this.pages - at);
    setBits(this.#heap, this.#bits, at, count, 0);
    return true;
  }

  /**
   * Keeps a span for somebody else, by the device's address. Returns the CPU's
   * address of its first page, EINVAL where the span is outside, EBUSY where it is in use.
   */
  occupy(deviceAddress: number, size: number, marks: DeclaredPolicy["marks"]): number {
    const offset = deviceAddress % this.pageSize;
    const pages = Math.ceil((size + offset) / this.pageSize);
    const first = Math.floor((deviceAddress - this.deviceStart) / this.pageSize);
    let count = 1;
    if (marks === "whole") while (count < pages) count *= 2;
    if (marks === "one-page") while (count * this.pageSize < pages) count *= 2;
    const taken = first < 0 || first + count > this.pages;
    if (marks === "none" || taken) return EINVAL;
    if (this.#isUsed(first, count)) return EBUSY;
    setBits(this.#heap, this.#bits, first, count, 1);
    return this.busStart + first * this.pageSize;
  }
}
