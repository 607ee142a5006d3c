/**
 * What dma_pools hold, in the memory's image. A pool's handle has a number; under it lie
 *
 *   table   first page, newest first, and the free block of all pages that is next
 *   page    a record of the heap: the words below, then two of each block: next free
 *           block, or -1 while it is in use, and its page
 *   run     a record: where a part of a page's memory lies; most pages have one
 *
 * A block is named by the cell of its first word.
 */
import { addRegion } from "../mm/image.ts";
import type { Memory } from "../mm/memory.ts";
import type { DmaBuffer } from "./coherent.ts";
import type { Heap } from "./heap.ts";

export const G_NEXT = 0;
export const G_DMA = 1;
export const G_IN_USE = 2;
/** The free block of the page that is next; 0 for none. */
export const G_FREE = 3;
/** Bytes of the memory it was cut from, its order + 2 where it has one, its first run. */
const G_SIZE = 4;
const G_ORDER = 5;
const G_RUN = 6;
/** Device + 1 whose own memory it is of. */
const G_DECLARED = 7;
export const G_BLOCKS = 8;

/** Words of a block. */
export const BLOCK_CELLS = 2;
export const BLOCK_USED = -1;

const RUN_PHYSICAL = 0;
const RUN_LENGTH = 1;
const RUN_NEXT = 2;
const RUN_CELLS = 3;

/** Pools that live at once. */
const POOLS = 1024;
const LIVE = 0;
export const T_PAGES = 1;
export const T_FREE = 2;
const TABLE_CELLS = 3;

export class PoolTable {
  readonly heap: Heap;
  /** Of each pool whether it lives, its first page, its next free block. */
  readonly words: Float64Array;

  constructor(memory: Memory, name: string, heap: Heap) {
    this.heap = heap;
    const region = addRegion(memory.image, `${name}.pools`, POOLS * TABLE_CELLS * 8);
    this.words = new Float64Array(region.buffer, region.byteOffset, POOLS * TABLE_CELLS);
  }

  /** First word of a new pool; -1 when there are too many. */
  open(): number {
    for (let at = 0; at < this.words.length; at += TABLE_CELLS) {
      if (this.words[at + LIVE] !== 0) continue;
      this.words[at + LIVE] = 1;
      return at;
    }
    return -1;
  }

  close(pool: number): void {
    this.words.fill(0, pool, pool + TABLE_CELLS);
  }

  /** A record of a page with `blocks` blocks over the memory `buffer`; 0 where there is no room. */
  newPage(buffer: DmaBuffer, blocks: number): number {
    const { cells } = this.heap;
    const page = this.heap.alloc(G_BLOCKS + blocks * BLOCK_CELLS);
    if (page === 0) return 0;
    const { block, declared } = buffer;
    cells[page + G_DMA] = buffer.dma;
    cells[page + G_SIZE] = block.size;
    cells[page + G_ORDER] = block.order === undefined ? 0 : block.order + 2;
    cells[page + G_DECLARED] = declared === null ? 0 : declared.device + 1;
    let from = page + G_RUN;
    for (const { physical, length } of block.runs) {
      const run = this.heap.alloc(RUN_CELLS);
      if (run === 0) {
        this.dropPage(page, blocks);
        return 0;
      }
      cells[run + RUN_PHYSICAL] = physical;
      cells[run + RUN_LENGTH] = length;
      cells[from] = run;
      from = run + RUN_NEXT;
    }
    return page;
  }

  dropPage(page: number, blocks: number): void {
    const { cells } = this.heap;
    for (let run = cells[page + G_RUN]; run !== 0; ) {
      const next = cells[run + RUN_NEXT];
      this.heap.free(run, RUN_CELLS);
      run = next;
    }
    this.heap.free(page, G_BLOCKS + blocks * BLOCK_CELLS);
  }

  /** Physical address of a byte of a page, counted from its first. */
  physicalAt(page: number, offset: number): number {
    const { cells } = this.heap;
    let run = cells[page + G_RUN];
    let left = offset;
    while (left >= cells[run + RUN_LENGTH] && cells[run + RUN_NEXT] !== 0) {
      left -= cells[run + RUN_LENGTH];
      run = cells[run + RUN_NEXT];
    }
    return cells[run + RUN_PHYSICAL] + left;
  }

  /** A page's memory, as it was allocated: `size` bytes were asked for. */
  bufferOf(
    page: number,
    size: number,
    areaOf: (device: number) => DmaBuffer["declared"],
  ): DmaBuffer {
    const { cells } = this.heap;
    const runs: { physical: number; length: number }[] = [];
    for (let run = cells[page + G_RUN]; run !== 0; run = cells[run + RUN_NEXT]) {
      runs.push({ physical: cells[run + RUN_PHYSICAL], length: cells[run + RUN_LENGTH] });
    }
    const dma = cells[page + G_DMA];
    const order = cells[page + G_ORDER];
    const own = { dma, size: cells[page + G_SIZE], runs };
    const block = order === 0 ? own : { ...own, order: order - 2 };
    const device = cells[page + G_DECLARED];
    const declared = device === 0 ? null : areaOf(device - 1);
    return { dma, size, physical: this.physicalAt(page, 0), block, declared };
  }
}
