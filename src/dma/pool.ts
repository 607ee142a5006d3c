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
import {
  BLOCK_CELLS,
  BLOCK_USED,
  G_BLOCKS,
  G_DMA,
  G_FREE,
  G_IN_USE,
  G_NEXT,
  type PoolTable,
  T_FREE,
  T_PAGES,
} from "./pool-table.ts";
import { hex, hex16, type Reports } from "./reports.ts";
import type { Device } from "./runtime-device.ts";

/** What a pool asks of the DMA layer it lives in. */
export interface PoolBackend {
  readonly table: PoolTable;
  readonly reports: Reports;
  readonly layout: DmaPolicy["pool"];
  readonly pageSize: number;
  allocCoherent(device: Device, size: number, gfp?: number): DmaBuffer | null;
  freeCoherent(device: Device, buffer: DmaBuffer): void;
  /** A device's own memory. */
  areaOf(device: number): DmaBuffer["declared"];
}

export interface PoolBlock {
  readonly dma: number;
  /** Where the CPU sees it. */
  readonly physical: number;
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

/** A driver's handle of a pool: what the pool holds is in the image, under `#id`. */
export class DmaPool {
  readonly name: string;
  readonly device: Device;
  readonly shape: PoolShape;
  readonly #backend: PoolBackend;
  readonly #id: number;
  readonly #table: PoolTable;
  readonly #cells: Float64Array;
  /** Place of a block in its page, by its offset. */
  readonly #places = new Map<number, number>();

  /** `id` is what the backend's table opened. */
  constructor(backend: PoolBackend, name: string, device: Device, shape: PoolShape, id: number) {
    this.#backend = backend;
    this.#table = backend.table;
    this.#cells = backend.table.heap.cells;
    this.#id = id;
    this.name = name;
    this.device = device;
    this.shape = shape;
    for (const [place, offset] of shape.offsets.entries()) this.#places.set(offset, place);
  }

  /** A block, or null when no page can be had. Linux: dma_pool_alloc() */
  alloc(gfp?: number): PoolBlock | null {
    const listed = this.#backend.layout.layout === "list";
    const found = listed ? this.#firstListed() : this.#firstOfPages();
    if (found !== 0) return this.#take(found);
    if (this.#newPage(gfp) === 0) return null;
    return this.#take(listed ? this.#firstListed() : this.#firstOfPages());
  }

  #firstListed(): number {
    return this.#table.words[this.#id + T_FREE];
  }

  /** Next block of the newest page that has one free; 0 for none. */
  #firstOfPages(): number {
    for (let page = this.#newest; page !== 0; page = this.#cells[page + G_NEXT]) {
      if (this.#cells[page + G_FREE] !== 0) return this.#cells[page + G_FREE];
    }
    return 0;
  }

  get #newest(): number {
    return this.#table.words[this.#id + T_PAGES];
  }

  /** Takes the block that is next out of its list. */
  #take(block: number): PoolBlock {
    const page = this.#cells[block + 1];
    this.#setNext(page, this.#cells[block]);
    this.#cells[block] = BLOCK_USED;
    this.#cells[page + G_IN_USE]++;
    const offset = this.shape.offsets[(block - page - G_BLOCKS) / BLOCK_CELLS] ?? 0;
    return {
      dma: this.#cells[page + G_DMA] + offset,
      physical: this.#table.physicalAt(page, offset),
    };
  }

  /** Head of the list that a page's blocks are in. */
  #setNext(page: number, block: number): void {
    if (this.#backend.layout.layout === "list") this.#table.words[this.#id + T_FREE] = block;
    else this.#cells[page + G_FREE] = block;
  }

  /** A page whose blocks are free, ascending; 0 where there is no memory for it. */
  #newPage(gfp: number | undefined): number {
    const buffer = this.#backend.allocCoherent(this.device, this.shape.allocation, gfp);
    if (buffer === null) return 0;
    const blocks = this.shape.offsets.length;
    const page = this.#table.newPage(buffer, blocks);
    if (page === 0) {
      this.#backend.freeCoherent(this.device, buffer);
      return 0;
    }
    let next = 0;
    for (let place = blocks - 1; place >= 0; place--) {
      const block = page + G_BLOCKS + place * BLOCK_CELLS;
      this.#cells[block] = next;
      this.#cells[block + 1] = page;
      next = block;
    }
    this.#setNext(page, next);
    this.#cells[page + G_NEXT] = this.#newest;
    this.#table.words[this.#id + T_PAGES] = page;
    return page;
  }

  /** Gives a block back. What is not of the pool, or free already, is reported. Linux: dma_pool_free() */
  free({ dma, physical }: PoolBlock): void {
    const page = this.#pageOf(dma);
    if (page === 0) {
      this.#complain("bad dma", dma, `${hidden(physical)}/0x${hex16(dma)} (bad dma)`);
      return;
    }
    const offset = dma - this.#cells[page + G_DMA];
    const place = this.#places.get(offset);
    if (place === undefined || physical !== this.#table.physicalAt(page, offset)) {
      this.#complain("bad vaddr", dma, `${hidden(physical)} (bad vaddr)/0x${hex16(dma)}`);
      return;
    }
    const block = page + G_BLOCKS + place * BLOCK_CELLS;
    if (this.#cells[block] !== BLOCK_USED) {
      this.#complain("already free", dma, `dma 0x${hex16(dma)} already free`);
      return;
    }
    this.#cells[page + G_IN_USE]--;
    this.#giveBlock(page, block);
  }

  #pageOf(dma: number): number {
    for (let page = this.#newest; page !== 0; page = this.#cells[page + G_NEXT]) {
      const start = this.#cells[page + G_DMA];
      if (dma >= start && dma < start + this.shape.allocation) return page;
    }
    return 0;
  }

  /** Into its list: in front, or where its place is. */
  #giveBlock(page: number, block: number): void {
    const { layout } = this.#backend.layout;
    const head = layout === "list" ? this.#firstListed() : this.#cells[page + G_FREE];
    if (layout !== "bitmap" || head === 0 || head > block) {
      this.#cells[block] = head;
      this.#setNext(page, block);
      return;
    }
    let before = head;
    while (this.#cells[before] !== 0 && this.#cells[before] < block) before = this.#cells[before];
    this.#cells[block] = this.#cells[before];
    this.#cells[before] = block;
  }

  #complain(kind: string, dma: number, what: string): void {
    const { driver, name } = this.device;
    const line = `${driver} ${name}: dma_pool_free ${this.name}, ${what}`;
    this.#backend.reports.say(line);
    this.#backend.reports.misuse(kind, name, dma, line, null);
  }

  /** Blocks in use, blocks in all, pages. */
  counts(): { readonly inUse: number; readonly blocks: number; readonly pages: number } {
    let inUse = 0;
    let pages = 0;
    for (let page = this.#newest; page !== 0; page = this.#cells[page + G_NEXT]) {
      inUse += this.#cells[page + G_IN_USE];
      pages++;
    }
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
    for (let page = this.#newest; page !== 0; ) {
      const next = this.#cells[page + G_NEXT];
      const busy = this.#cells[page + G_IN_USE] > 0;
      const { allocation, offsets } = this.shape;
      const buffer = this.#table.bufferOf(page, allocation, this.#backend.areaOf);
      if (!busy && (layout !== "list" || inUse === 0)) {
        this.#backend.freeCoherent(this.device, buffer);
      } else if (layout !== "list") {
        this.#leak(`${who}, ${hidden(buffer.physical)} busy`, buffer.dma);
      }
      this.#table.dropPage(page, offsets.length);
      page = next;
    }
    this.#table.close(this.#id);
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
