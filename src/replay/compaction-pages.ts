/**
 * Free pages that compaction takes, as a recording tells it: all of a range that was
 * walked, or the block around a place that was handed out.
 *
 * Linux: isolate_freepages_block(), fast_isolate_freepages(), mm/compaction.c
 */
import {
  addPlaces,
  type CompactControl,
  moveFreelistHead,
  takeFreePage,
} from "../mm/compaction.ts";
import { FREE, KIND_MASK, type Memory, MOBILE, ORDER_MASK, rowOf, TAKEN } from "../mm/memory.ts";
import { headOf } from "./surgery.ts";

/** Told of each block that compaction takes off a free list. */
export type TakenSink = (row: number, order: number) => void;

/** Takes the free blocks that a walk in strides finds; `run`, if any, gets them as places. */
export function takeRange(
  m: Memory,
  run: CompactControl | null,
  from: number,
  to: number,
  stride: number,
  taken: TakenSink | null,
): void {
  for (let pfn = from; pfn < to; pfn += stride) {
    const row = rowOf(m, pfn);
    const state = row < m.firstRow ? 0 : m.state[row];
    const kind = state & KIND_MASK;
    const order = state & ORDER_MASK;
    if (kind === FREE) {
      takeFreePage(m, row, order);
      taken?.(row, order);
      if (run !== null) addPlaces(run, pfn, 1 << order);
      pfn += (1 << order) - 1;
    } else if (stride > 1 && kind === TAKEN) pfn += (1 << order) - 1;
  }
}

/**
 * A block that compaction found by looking at the lists' ends, without an event:
 * what was queued before it goes behind. Linux: move_freelist_head()
 */
export function takeFast(m: Memory, row: number, taken: TakenSink | null): void {
  if (row < m.firstRow) return;
  for (let order = 0; order <= m.maxOrder; order++) {
    const head = row & ~((1 << order) - 1);
    if (m.state[head] !== (FREE | order)) continue;
    moveFreelistHead(m, headOf(m, head), head);
    takeFreePage(m, head, order);
    taken?.(head, order);
    break;
  }
  if ((m.state[row] & KIND_MASK) === TAKEN) m.state[row] = MOBILE | (m.state[row] & ORDER_MASK);
}
