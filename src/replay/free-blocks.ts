/**
 * Blocks of the buddy allocator out of runs of free pages. Free neighbours have
 * always merged, so a run is its largest aligned blocks, but for two limits:
 * zones, and areas whose blocks merge with no other type's.
 *
 * Linux: __free_one_page(), mm/page_alloc.c
 */
import { clip, type Range, rangeList, totalLength } from "../base/range.ts";
import type { PageClass, SnapRun } from "../formats/snap-pages.ts";
import { LRU_CLASSES } from "./from-snapshot.ts";

export interface FreeBlock {
  readonly pfn: number;
  readonly order: number;
}

/** The blocks of one zone in ascending order; `apart` are pfns that no block reaches across. */
export function freeBlocks(
  free: readonly Range[],
  zone: Range,
  apart: readonly number[],
  maxOrder: number,
): FreeBlock[] {
  const blocks: FreeBlock[] = [];
  const cuts = apart.filter((pfn) => pfn > zone.start && pfn < zone.end).sort((a, b) => a - b);
  let from = zone.start;
  for (const to of [...cuts, zone.end]) {
    for (const { start, end } of clip(free, from, to)) {
      for (let pfn = start; pfn < end; ) {
        let order = 0;
        while (order < maxOrder && pfn % 2 ** (order + 1) === 0 && pfn + 2 ** (order + 1) <= end) {
          order++;
        }
        blocks.push({ pfn, order });
        pfn += 2 ** order;
      }
    }
    from = to;
  }
  return blocks;
}

/** Number of blocks of each order. */
export function countOrders(blocks: readonly FreeBlock[], maxOrder: number): number[] {
  const counts = new Array<number>(maxOrder + 1).fill(0);
  for (const { order } of blocks) counts[order]++;
  return counts;
}

/** What the pages of one pageblock are used for. */
export interface BlockUse {
  /** Number of the pageblock: pfn >> pageblock order. */
  readonly block: number;
  /** Pages of the kernel's own, and of those the slabs'. */
  kernel: number;
  slab: number;
  /** Pages on LRU lists. */
  movable: number;
}

const KERNEL_CLASSES: ReadonlySet<PageClass> = new Set(["slab", "pagetable", "compound", "other"]);

const isPlain = (run: SnapRun): boolean => run.class === "other";

/**
 * The pageblocks of a zone, as the kernel counts them: in steps from its first page on. `waiting`
 * of its pages without a flag are no use at all, but on per-CPU lists; nobody knows which.
 */
export function blockUses(
  runs: readonly SnapRun[],
  zone: Range,
  pageblockOrder: number,
  waiting: number,
): BlockUse[] {
  const size = 2 ** pageblockOrder;
  const uses = new Map<number, BlockUse>();
  for (let pfn = zone.start; pfn < zone.end; pfn += size) {
    const block = Math.floor(pfn / size);
    uses.set(block, { block, kernel: 0, slab: 0, movable: 0 });
  }
  const plain = totalLength(clip(rangeList(runs.filter(isPlain)), zone.start, zone.end));
  // Where most of them wait, they tell nothing of their pageblocks.
  const plainWeight = waiting * 2 >= plain ? 0 : 1 - waiting / plain;
  for (const { start, end, class: own } of runs) {
    // Holes have no pageblocks that count.
    if (own === "no-page") {
      for (let block = Math.ceil(start / size); (block + 1) * size <= end; block++) {
        uses.delete(block);
      }
    }
    const kernel = KERNEL_CLASSES.has(own);
    if (!kernel && !LRU_CLASSES.has(own)) continue;
    const last = Math.min(end, zone.end);
    for (let pfn = Math.max(start, zone.start); pfn < last; ) {
      const block = Math.floor(pfn / size);
      const stop = Math.min(last, (block + 1) * size);
      const use = uses.get(block);
      if (use !== undefined) {
        if (kernel) use.kernel += (stop - pfn) * (own === "other" ? plainWeight : 1);
        else use.movable += stop - pfn;
        if (own === "slab") use.slab += stop - pfn;
      }
      pfn = stop;
    }
  }
  return [...uses.values()];
}
