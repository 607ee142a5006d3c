/**
 * Coherent memory of a device's own: declared by its driver, or given by
 * firmware. Powers of two of pages are taken first fit, aligned to their size
 * within the area.
 *
 * The CPU sees the area at its bus address, the device at its own address.
 *
 * Linux: dma_declare_coherent_memory(), dma_alloc_from_dev_coherent(),
 * dma_mark_declared_memory_occupied(), kernel/dma/coherent.c (drivers/base/dma-coherent.c,
 * arch/i386/kernel/pci-dma.c)
 */
import type { DeclaredPolicy } from "../kernels/dma.ts";
import { EBUSY, EINVAL } from "./runtime-device.ts";

/** Flags of 2004 to 4.12. */
export const DMA_MEMORY_MAP = 0x01;
export const DMA_MEMORY_IO = 0x02;
export const DMA_MEMORY_INCLUDES_CHILDREN = 0x04;
export const DMA_MEMORY_EXCLUSIVE = 0x08;

export class DeclaredArea {
  /** Where the CPU sees it. */
  readonly busStart: number;
  /** Where the device sees it. */
  readonly deviceStart: number;
  readonly pageSize: number;
  readonly pages: number;
  readonly flags: number;
  readonly #used: Uint8Array;

  constructor(
    busStart: number,
    deviceStart: number,
    size: number,
    flags: number,
    pageSize: number,
  ) {
    this.busStart = busStart;
    this.deviceStart = deviceStart;
    this.pageSize = pageSize;
    this.pages = Math.floor(size / pageSize);
    this.flags = flags;
    this.#used = new Uint8Array(this.pages);
  }

  /** Pages in use. */
  used(): number {
    return this.#used.reduce((sum, page) => sum + page, 0);
  }

  /** Offset of 2^order pages, bytes; -1 for none. Linux: bitmap_find_free_region() */
  take(order: number): number {
    const count = 2 ** order;
    for (let at = 0; at + count <= this.pages; at += count) {
      if (this.#used.subarray(at, at + count).includes(1)) continue;
      this.#used.fill(1, at, at + count);
      return at * this.pageSize;
    }
    return -1;
  }

  /** Gives back what was taken at a CPU's address; false when it is not of this area. */
  give(physical: number, order: number): boolean {
    const at = (physical - this.busStart) / this.pageSize;
    if (!(at >= 0 && at < this.pages)) return false;
    this.#used.fill(0, Math.floor(at), Math.floor(at) + 2 ** order);
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
    if (this.#used.subarray(first, first + count).includes(1)) return EBUSY;
    this.#used.fill(1, first, first + count);
    return this.busStart + first * this.pageSize;
  }
}
