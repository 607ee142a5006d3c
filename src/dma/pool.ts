/**
 * dma_pool: small blocks of coherent memory of one size, cut from pages that are
 * never given back while the pool lives.
 *
 * Which block is next differs by era:
 *
 *   bitmap  lowest free block of the newest page that has one (up to 2.6.23)
 *   chain   newest page with room; in it the block freed last. A block that would
 *           end exactly on the boundary is not used (up to 6.2)
 *   list    the block freed last of all pages; a new page's blocks ascend (6.3)
 *
 * Linux: dma_pool_create(), pool_initialise_page(), dma_pool_alloc(), dma_pool_destroy(), mm/dmapool.c
 */
import type { DmaPolicy } from "../kernels/dma.ts";
import type { DmaBuffer } from "./coherent.ts";
import { hex, hex16, type Reports } from "./reports.ts";
import type { Device } from "./runtime-device.ts";

/** What a pool asks of the DMA layer it lives in. */
export interface PoolBackend {
  readonly reports: Reports;
  readonly layout: DmaPolicy["pool"];
  readonly pageSize: number;
  allocCoherent(device: Device, size: number, gfp?: number): DmaBuffer | null;
  freeCoherent(device: Device, buffer: DmaBuffer): void;
}

export interface PoolBlock {
  readonly dma: number;
  /** Where the CPU sees it. */
  readonly physical: number;
}

interface PoolPage {
  readonly buffer: DmaBuffer;
  /** Offsets of free blocks; the next one last. */
  readonly free: number[];
  inUse: number;
}

/** Smallest block by layout: a bitmap needs none, a chain an int, the list two pointers. */
const SMALLEST: Readonly<Record<DmaPolicy["pool"]["layout"], number>> = {
  bitmap: 1,
  chain: 4,
  list: 16,
};

/** Size of blocks and pages, and where blocks lie in a page; null for what dma_pool_create() refuses. */
export interface PoolShape {
  readonly size: number;
  /** Bytes of a page of the pool. */
  readonly allocation: number;
  readonly offsets: readonly number[];
}

/** Linux: dma_pool_create(), mm/dmapool.c (drivers/base/dmapool.c) */
export function poolShape(
  layout: DmaPolicy["pool"],
  pageSize: number,
  size: number,
  align: number,
  boundary: number,
): PoolShape | null {
  const by = align === 0 ? 1 : align;
  if (!(size > 0) || !Number.isInteger(Math.log2(by))) return null;
  if (layout.layout === "bitmap") return bitmapShape(pageSize, size, by, boundary);
  const rounded = roundUp(Math.max(size, SMALLEST[layout.layout]), by);
  const allocation = Math.max(rounded, pageSize);
  if (boundary !== 0 && (boundary < rounded || !Number.isInteger(Math.log2(boundary)))) return null;
  const edge = boundary === 0 ? allocation : boundary;
  return { size: rounded, allocation, offsets: offsetsOf(layout, rounded, allocation, edge) };
}

/** The boundary was the size of a page, and rounding up went too far for some sizes. */
function bitmapShape(
  pageSize: number,
  size: number,
  align: number,
  boundary: number,
): PoolShape | null {
  let rounded = size;
  if (size < align) rounded = align;
  else if (size % align !== 0) rounded = Math.floor((size + align + 1) / align) * align;
  if (boundary !== 0 && boundary < rounded) return null;
  const allocation = boundary === 0 ? Math.max(pageSize, rounded) : boundary;
  const count = Math.floor(allocation / rounded);
  const offsets = Array.from({ length: count }, (_, i) => i * rounded);
  return { size: rounded, allocation, offsets };
}

/**
 * Up to 6.2 a boundary beyond the page was kept, and the last block could then run
 * over the end of its page: so it does here.
 *
 * Linux: pool_initialise_page()
 */
function offsetsOf(
  layout: DmaPolicy["pool"],
  size: number,
  allocation: number,
  boundary: number,
): number[] {
  const offsets: number[] = [];
  let edge = boundary;
  if (layout.usesLast) {
    for (let at = 0; at + size <= allocation; ) {
      if (at + size > edge) {
        at = edge;
        edge += boundary;
        continue;
      }
      offsets.push(at);
      at += size;
    }
    return offsets;
  }
  for (let at = 0; at < allocation; ) {
    offsets.push(at);
    let next = at + size;
    if (next + size >= edge) {
      next = edge;
      edge += boundary;
    }
    at = next;
  }
  return offsets;
}

function roundUp(size: number, align: number): number {
  return Math.ceil(size / align) * align;
}

export class DmaPool {
  readonly name: string;
  readonly device: Device;
  readonly shape: PoolShape;
  readonly #backend: PoolBackend;
  /** Newest first. */
  readonly #pages: PoolPage[] = [];
  /** Free blocks of all pages, the next one last: page and offset. */
  readonly #list: { readonly page: PoolPage; readonly offset: number }[] = [];

  constructor(backend: PoolBackend, name: string, device: Device, shape: PoolShape) {
    this.#backend = backend;
    this.name = name;
    this.device = device;
    this.shape = shape;
  }

  /** A block, or null when no page can be had. Linux: dma_pool_alloc() */
  alloc(gfp?: number): PoolBlock | null {
    if (this.#backend.layout.layout === "list") return this.#allocFromList(gfp);
    let page = this.#pages.find((own) => own.free.length > 0);
    if (page === undefined) {
      page = this.#newPage(gfp);
      if (page === undefined) return null;
    }
    return this.#take(page, page.free.pop() ?? 0);
  }

  #allocFromList(gfp: number | undefined): PoolBlock | null {
    if (this.#list.length === 0) {
      const page = this.#newPage(gfp);
      if (page === undefined) return null;
      for (const offset of page.free) this.#list.push({ page, offset });
    }
    const block = this.#list.pop();
    if (block === undefined) return null;
    block.page.free.splice(block.page.free.indexOf(block.offset), 1);
    return this.#take(block.page, block.offset);
  }

  #take(page: PoolPage, offset: number): PoolBlock {
    page.inUse++;
    return { dma: page.buffer.dma + offset, physical: page.buffer.physical + offset };
  }

  #newPage(gfp: number | undefined): PoolPage | undefined {
    const buffer = this.#backend.allocCoherent(this.device, this.shape.allocation, gfp);
    if (buffer === null) return undefined;
    const page = { buffer, free: this.shape.offsets.toReversed(), inUse: 0 };
    this.#pages.unshift(page);
    return page;
  }

  /** Gives a block back. What is not of the pool, or free already, is reported. Linux: dma_pool_free() */
  free(block: PoolBlock): void {
    const { dma, physical } = block;
    const page = this.#pages.find(({ buffer }) => {
      return dma >= buffer.dma && dma < buffer.dma + this.shape.allocation;
    });
    if (page === undefined) {
      this.#complain("bad dma", dma, `${hidden(physical)}/0x${hex16(dma)} (bad dma)`);
      return;
    }
    const offset = dma - page.buffer.dma;
    if (physical - page.buffer.physical !== offset || !this.shape.offsets.includes(offset)) {
      this.#complain("bad vaddr", dma, `${hidden(physical)} (bad vaddr)/0x${hex16(dma)}`);
      return;
    }
    if (page.free.includes(offset)) {
      this.#complain("already free", dma, `dma 0x${hex16(dma)} already free`);
      return;
    }
    page.inUse--;
    page.free.push(offset);
    if (this.#backend.layout.layout === "bitmap") page.free.sort((a, b) => b - a);
    if (this.#backend.layout.layout === "list") this.#list.push({ page, offset });
  }

  #complain(kind: string, dma: number, what: string): void {
    const { driver, name } = this.device;
    const line = `${driver} ${name}: dma_pool_free ${this.name}, ${what}`;
    this.#backend.reports.say(line);
    this.#backend.reports.misuse(kind, name, dma, line, null);
  }

  /** Blocks in use, blocks in all, pages. */
  counts(): { readonly inUse: number; readonly blocks: number; readonly pages: number } {
    const inUse = this.#pages.reduce((sum, page) => sum + page.inUse, 0);
    const pages = this.#pages.length;
    // Up to 6.2 the file counted what would fit without boundaries.
    const exact = this.#backend.layout.layout === "list";
    const per = exact
      ? this.shape.offsets.length
      : Math.floor(this.shape.allocation / this.shape.size);
    return { inUse, blocks: pages * per, pages };
  }

  /** The pool's line of the device's file `pools`. Linux: pools_show() */
  poolinfo(): string {
    const { inUse, blocks, pages } = this.counts();
    const cell = (value: number, width: number): string => String(value).padStart(width);
    return `${this.name.padEnd(16)} ${cell(inUse, 4)} ${cell(blocks, 4)} ${cell(this.shape.size, 4)} ${cell(pages, 2)}`;
  }

  /**
   * Ends the pool. Pages with blocks in use are leaked, with a line for each (one
   * for the pool since 6.3, which then leaks all of it). Returns blocks that were
   * still in use.
   *
   * Linux: dma_pool_destroy(), mm/dmapool.c
   */
  destroy(): number {
    const { layout } = this.#backend.layout;
    const { inUse } = this.counts();
    const who = `${this.device.driver} ${this.device.name}: dma_pool_destroy ${this.name}`;
    if (layout === "list" && inUse > 0) this.#leak(`${who} busy`, -1);
    for (const page of this.#pages) {
      if (page.inUse === 0 && (layout !== "list" || inUse === 0)) {
        this.#backend.freeCoherent(this.device, page.buffer);
      } else if (layout !== "list") {
        this.#leak(`${who}, ${hidden(page.buffer.physical)} busy`, page.buffer.dma);
      }
    }
    this.#pages.length = 0;
    this.#list.length = 0;
    return inUse;
  }

  #leak(line: string, dma: number): void {
    this.#backend.reports.say(line);
    this.#backend.reports.misuse("pool leak", this.device.name, dma, line, null);
  }
}

/** A pointer: the kernel prints a hash, here it is the physical address. */
function hidden(physical: number): string {
  return hex(physical).padStart(16, "0");
}
