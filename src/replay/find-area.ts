/**
 * Where one area of known size may lie, by the free blocks that are told of it:
 * the first place whose free blocks are nearest to the sums.
 */
import { clip, type Range } from "../base/range.ts";
import { countOrders, freeBlocks } from "./free-blocks.ts";

export function findArea(
  free: readonly Range[],
  zone: Range,
  pages: number,
  blocks: readonly number[],
  pageblockOrder: number,
): Range {
  const size = 2 ** pageblockOrder;
  const maxOrder = blocks.length - 1;
  let best: Range = { start: zone.start, end: zone.start + pages };
  let least = Number.POSITIVE_INFINITY;
  for (let start = Math.ceil(zone.start / size) * size; start + pages <= zone.end; start += size) {
    const area = { start, end: start + pages };
    const counts = countOrders(
      freeBlocks(clip(free, start, area.end), area, [], maxOrder),
      maxOrder,
    );
    let off = 0;
    for (const [order, count] of counts.entries())
      off += Math.abs(count - blocks[order]) * 2 ** order;
    if (off < least) {
      least = off;
      best = area;
    }
  }
  return best;
}
