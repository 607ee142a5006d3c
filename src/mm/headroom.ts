/**
 * How many more allocations a zone grants before the watermark check refuses one: the check itself,
 * asked about the zone as it would be then.
 *
 * Counts what the zone holds now. What happens meanwhile is left out: reclaim and frees add, boosts of
 * the marks after a fallback and pages in the stocks of CPUs take away.
 *
 * Linux: get_page_from_freelist(), zone_watermark_fast(), mm/page_alloc.c
 */
import type { WatermarkRule } from "../kernels/watermark.ts";
import { type Blocks, blocksAfter, piecesIn } from "./fragmentation.ts";
import { ALLOC_CMA, ALLOC_HIGHATOMIC, ALLOC_NON_BLOCK, ALLOC_OOM } from "./gfp-alloc.ts";
import { CMA, HIGHATOMIC, MOVABLE, RECLAIMABLE, UNMOVABLE } from "./rule.ts";
import { Z_BLOCKS, Z_FREE, Z_FREE_CMA, Z_ORDERS_OF } from "./words.ts";
import { watermarkFast } from "./zone-watermark.ts";

/** A zone's words (`mm/words.ts`) and its free blocks by mobility; the words of lists are filled in here. */
export interface FreeZone {
  readonly words: Int32Array;
  /** By type: blocks of each order. */
  readonly blocks: readonly Blocks[];
}

/** What a word holds: 8 TiB of 4 KiB pages in one zone. */
const PAGES_MAX = 2 ** 31 - 1;

/** One request, many times. */
export interface RequestClass {
  readonly order: number;
  /** Index of the highest zone: the column of lowmem_reserve. */
  readonly highest: number;
  /** ALLOC_*: which mark, and which reserves. */
  readonly allocFlags: number;
}

/**
 * Types whose lists a request may use, those of CMA last. Who may not wait takes of the highatomic
 * reserve at last, also where it was not let in by its order (6.3). Linux: rmqueue_buddy()
 */
function usableTypes(allocFlags: number, { harderAlone }: WatermarkRule): number[] {
  const types = [UNMOVABLE, MOVABLE, RECLAIMABLE];
  const last = harderAlone ? 0 : ALLOC_NON_BLOCK;
  if ((allocFlags & (ALLOC_HIGHATOMIC | ALLOC_OOM | last)) !== 0) types.push(HIGHATOMIC);
  if ((allocFlags & ALLOC_CMA) !== 0) types.push(CMA);
  return types;
}

/** Allocations of the class that `zone` grants one after another. */
export function allocationsLeft(
  zone: FreeZone,
  request: RequestClass,
  rule: WatermarkRule,
): number {
  const usable = usableTypes(request.allocFlags, rule);
  const pieces = usable.map((type) => piecesIn(zone.blocks[type] ?? [], request.order));
  const words = zone.words.slice();
  let least = 0;
  const all = pieces.reduce((sum, count) => sum + count, 0);
  let most = Math.min(all, PAGES_MAX);
  // Each allocation makes the next no likelier, so what is granted is a first part of the row.
  while (least < most) {
    const middle = Math.floor((least + most) / 2);
    words.set(zone.words);
    takeFrom(words, zone, request, usable, middle);
    if (watermarkFast(words, 0, request.order, request.highest, request.allocFlags, rule)) {
      least = middle + 1;
    } else most = middle;
  }
  return least;
}

/** Changes `words` to those of the zone after `count` allocations. */
function takeFrom(
  words: Int32Array,
  zone: FreeZone,
  { order }: RequestClass,
  usable: readonly number[],
  count: number,
): void {
  let left = count;
  const after = zone.blocks.map((blocks) => [...blocks]);
  for (const type of usable) {
    const blocks = zone.blocks[type] ?? [];
    const taken = Math.min(left, piecesIn(blocks, order));
    after[type] = blocksAfter(blocks, order, taken);
    left -= taken;
    if (type === CMA) words[Z_FREE_CMA] = (words[Z_FREE_CMA] ?? 0) - taken * 2 ** order;
  }
  words[Z_FREE] = (words[Z_FREE] ?? 0) - count * 2 ** order;
  words.fill(0, Z_BLOCKS, Z_ORDERS_OF + after.length);
  for (const [type, blocks] of after.entries()) {
    for (const [own, blocksOfOrder] of blocks.entries()) {
      if (blocksOfOrder === 0) continue;
      words[Z_BLOCKS + own] = (words[Z_BLOCKS + own] ?? 0) + blocksOfOrder;
      words[Z_ORDERS_OF + type] = (words[Z_ORDERS_OF + type] ?? 0) | (1 << own);
    }
  }
}
