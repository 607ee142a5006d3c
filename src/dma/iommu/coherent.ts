/**
 * Coherent memory behind an IOMMU: pages from wherever there are some, side by
 * side only for the device and in the kernel's mapping; one block for callers who
 * may not wait, as nothing can be mapped for the CPU then.
 *
 * Linux: iommu_dma_alloc(), __iommu_dma_alloc_pages(), drivers/iommu/dma-iommu.c
 */
import { allocPages, freePages, NO_PFN, zeroPages } from "../../mm/allocate.ts";
import { type Memory, rowOf, TAKEN } from "../../mm/memory.ts";
import type { CoherentBlock } from "../ops.ts";
import { DMA_ATTR_ALLOC_SINGLE_PAGES, DMA_ATTR_FORCE_CONTIGUOUS } from "../words.ts";
import { PAGE_BYTES } from "./domain.ts";
import { coherentOrders } from "./size.ts";

/** A block with what its pages are freed as. */
interface RemappedBlock extends CoherentBlock {
  /** Order of the one block; -1 for single pages. */
  readonly order: number;
}

interface PiecesRule {
  readonly pageShifts: readonly number[];
  /** Added to and taken from what the caller asks with. */
  readonly set: number;
  readonly clear: number;
  readonly noRetry: number;
}

/** Zeroed memory of `pages` pages, without an address yet; null where there is none. */
export function takeBlock(
  m: Memory,
  pages: number,
  gfp: number,
  attrs: number,
  pageShifts: readonly number[],
): RemappedBlock | null {
  const flags = gfp | m.gfp.zero;
  const mayWait = (gfp & m.gfp.direct) !== 0 && (attrs & DMA_ATTR_FORCE_CONTIGUOUS) === 0;
  const block = mayWait
    ? gatherPages(m, pages, flags, attrs, pageShifts)
    : oneBlock(m, pages, flags);
  if (block !== null && m.gfp.zero === 0) zeroRuns(m, block);
  return block;
}

/** Up to 2.6.10 there is no flag for it: who asks for pages zeroes them. */
function zeroRuns(m: Memory, { runs }: RemappedBlock): void {
  for (const { physical, length } of runs) {
    for (let at = physical; at < physical + length; at += PAGE_BYTES)
      zeroPages(m, at / PAGE_BYTES, 0);
  }
}

/** Pages from wherever there are some; as they are, unless `flags` want zeros. */
export function gatherPages(
  m: Memory,
  pages: number,
  flags: number,
  attrs: number,
  pageShifts: readonly number[],
): RemappedBlock | null {
  const bit = (name: string): number => m.gfp.era.bits.get(name) ?? 0;
  const rule: PiecesRule = {
    pageShifts: (attrs & DMA_ATTR_ALLOC_SINGLE_PAGES) !== 0 ? [12] : pageShifts,
    set: bit("__GFP_NOWARN") | bit("__GFP_HIGHMEM"),
    clear: bit("__GFP_COMP"),
    noRetry: bit("__GFP_NORETRY"),
  };
  const runs = takePieces(m, pages, flags, rule);
  return runs === null ? null : { dma: 0, size: pages * PAGE_BYTES, runs, order: -1 };
}

function oneBlock(m: Memory, pages: number, gfp: number): RemappedBlock | null {
  const order = pages <= 1 ? 0 : 32 - Math.clz32(pages - 1);
  const pfn = order > m.maxOrder ? NO_PFN : allocPages(m, gfp, order);
  if (pfn === NO_PFN) return null;
  const length = pages * PAGE_BYTES;
  return { dma: 0, size: length, runs: [{ physical: pfn * PAGE_BYTES, length }], order };
}

/** Gives the pages back. */
export function freeBlock(m: Memory, block: CoherentBlock): void {
  const first = block.runs[0];
  if (first === undefined) return;
  if (isRemapped(block) && block.order >= 0) {
    freePages(m, first.physical / PAGE_BYTES, block.order);
  } else freePieces(m, block.runs);
}

type Run = { physical: number; length: number };

/** `pages` single pages, as runs of neighbours; null when there are too few. */
function takePieces(m: Memory, pages: number, gfp: number, rule: PiecesRule): Run[] | null {
  const flags = (gfp & ~rule.clear) | rule.set;
  const runs: Run[] = [];
  for (let left = pages; left > 0; ) {
    const orders = coherentOrders(left, rule.pageShifts).filter((order) => order <= m.maxOrder);
    let pfn = NO_PFN;
    let order = 0;
    for (const [i, one] of orders.entries()) {
      order = one;
      pfn = allocPages(m, i < orders.length - 1 ? flags | rule.noRetry : flags, order);
      if (pfn !== NO_PFN) break;
    }
    if (pfn === NO_PFN) {
      freePieces(m, runs);
      return null;
    }
    // Single pages from here on, each to be freed by itself: split_page().
    if (order > 0) {
      const row = rowOf(m, pfn);
      m.state.fill(TAKEN, row, row + 2 ** order);
    }
    append(runs, pfn * PAGE_BYTES, PAGE_BYTES * 2 ** order);
    left -= 2 ** order;
  }
  return runs;
}

function append(runs: Run[], physical: number, length: number): void {
  const last = runs.at(-1);
  if (last !== undefined && last.physical + last.length === physical) last.length += length;
  else runs.push({ physical, length });
}

function freePieces(m: Memory, runs: CoherentBlock["runs"]): void {
  for (const { physical, length } of runs) {
    for (let at = 0; at < length; at += PAGE_BYTES) freePages(m, (physical + at) / PAGE_BYTES, 0);
  }
}

function isRemapped(block: CoherentBlock): block is RemappedBlock {
  return "order" in block;
}
