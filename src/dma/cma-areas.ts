/**
 * CMA areas as the DMA layer uses them: taken first fit from the lowest page,
 * lent to movable pages while nobody asks.
 *
 * Linux: cma_alloc(), mm/cma.c; dma_alloc_contiguous(), kernel/dma/contiguous.c
 */
import { freePages } from "../mm/allocate.ts";
import { allocContigRange } from "../mm/contig.ts";
import { addRegion } from "../mm/image.ts";
import type { Memory } from "../mm/memory.ts";
import { CMA } from "../mm/rule.ts";

/** CONFIG_CMA_ALIGNMENT: areas are aligned to their size up to this order. */
const ALIGNMENT_ORDER = 8;

/** One area: pages, and which of them are taken, a byte each in the image. */
export class CmaArea {
  readonly startPfn: number;
  readonly pages: number;
  readonly #used: Uint8Array;

  constructor(memory: Memory, name: string, startPfn: number, pages: number) {
    this.startPfn = startPfn;
    this.pages = pages;
    const region = addRegion(memory.image, name, pages);
    this.#used = new Uint8Array(region.buffer, region.byteOffset, pages);
  }

  /** First pfn of `count` pages, or -1. Where pages cannot be taken the search goes on behind them. */
  take(memory: Memory, count: number, order: number): number {
    const align = 2 ** Math.min(order, ALIGNMENT_ORDER);
    let at = alignUp(this.startPfn, align) - this.startPfn;
    while (at + count <= this.pages) {
      const used = this.#used.subarray(at, at + count).lastIndexOf(1);
      if (used >= 0) {
        at = alignUp(this.startPfn + at + used + 1, align) - this.startPfn;
        continue;
      }
      if (allocContigRange(memory, this.startPfn + at, count, CMA)) {
        this.#used.fill(1, at, at + count);
        return this.startPfn + at;
      }
      at += align;
    }
    return -1;
  }

  /** Gives pages back; false when they are not of this area. */
  give(memory: Memory, pfn: number, count: number): boolean {
    const at = pfn - this.startPfn;
    if (at < 0 || at + count > this.pages) return false;
    this.#used.fill(0, at, at + count);
    for (let page = pfn; page < pfn + count; page++) freePages(memory, page, 0);
    return true;
  }
}

function alignUp(pfn: number, align: number): number {
  return Math.ceil(pfn / align) * align;
}
