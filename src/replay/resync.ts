/**
 * After a refill or a drain that went otherwise than recorded: the lists are put as
 * the recording shows them, so that one difference does not grow into many. Only a
 * repaired run does this, and counts each time as a repair.
 *
 *   refill   the kernel fills a list when it is empty: it holds what the refill brought, and no more
 *   drain    what only we gave back returns to its list's tail, where it was
 */
import { KIND_MASK, type Memory, PCP, PCP_LISTS, rowOf, zoneOf } from "../mm/memory.ts";
import type { Block } from "./block-queue.ts";
import {
  giveToZone,
  isBlock,
  settle,
  stockList,
  stockOrder,
  stockTail,
  takeOff,
} from "./surgery.ts";

/**
 * The list that the recorded refill `real` filled holds its blocks after `taken`, which a request
 * or a bulk call has, and what came before it; blocks of `own`, our refill, are free again.
 */
export function restock(
  m: Memory,
  own: readonly Block[],
  real: readonly Block[],
  taken: number,
): void {
  for (const { pfn } of own) giveStock(m, rowOf(m, pfn));
  const [first] = real;
  if (first === undefined || !isBlock(m, rowOf(m, first.pfn), first.order)) return;
  const list = listOf(m, first);
  if (list < 0) return;
  // From the end: that is one step from the list's head.
  while (m.prev[list] !== list && giveStock(m, m.prev[list]));
  const from = real.findIndex(({ pfn }) => pfn === taken);
  for (const [i, block] of real.entries()) {
    const row = rowOf(m, block.pfn);
    if (block.pfn === taken || listOf(m, block) !== list) continue;
    if (!isBlock(m, row, block.order)) continue;
    // Made whole first: it may be part of what somebody has here.
    settle(m, row, block.order);
    if (i >= from) stockTail(m, list - m.pcpHeads, row, block.order, block.type);
  }
}

/** Blocks that the kernel did not drain go back to the tails of their lists. */
export function undrain(m: Memory, blocks: readonly Block[]): void {
  for (const block of blocks.toReversed()) {
    const row = rowOf(m, block.pfn);
    const list = listOf(m, block);
    if (list < 0 || !isBlock(m, row, block.order) || !settle(m, row, block.order)) continue;
    stockTail(m, list - m.pcpHeads, row, block.order, block.type);
  }
}

/** Head of this CPU's list for such a block; -1 when there is none. */
function listOf(m: Memory, { pfn, order, type }: Block): number {
  const row = rowOf(m, pfn);
  const zone = row < 0 ? -1 : zoneOf(m, row);
  const list = m.pcpListOf[order * 8 + type];
  if (zone < 0 || zone >= m.zoneCount || list === undefined || list < 0) return -1;
  return m.pcpHeads + (zone * m.cpuCount + m.cpu) * PCP_LISTS + list;
}

/** A block on a per-CPU list becomes free in its zone. */
function giveStock(m: Memory, row: number): boolean {
  if (row < m.firstRow || (m.state[row] & KIND_MASK) !== PCP) return false;
  const order = stockOrder(m, stockList(m, row));
  takeOff(m, row, order);
  giveToZone(m, row, order, m.blockType[row >> m.pageblockOrder]);
  return true;
}
