/**
 * Untouched largest blocks lie in extents, one list entry for many. Who wants a
 * block in the middle of one cuts it out first.
 */
import { EXTENT, FREE, freeHead, KIND_MASK, type Memory } from "./memory.ts";

/** Makes the largest block around `row` an entry of its own where an extent holds it, in its place in the list. */
export function partExtent(m: Memory, zone: number, row: number): void {
  const size = 1 << m.maxOrder;
  const block = row & -size;
  const head = freeHead(zone, m.blockType[block >> m.pageblockOrder], m.maxOrder);
  for (let at = m.next[head]; at !== head; at = m.next[at]) {
    const holds = (m.state[at] & KIND_MASK) === EXTENT && block >= at && block < m.next[at + 1];
    if (!holds) continue;
    if (block > at) cut(m, at, block);
    if (m.next[block + 1] > block + size) cut(m, block, block + size);
    m.state[block] = FREE | m.maxOrder;
    return;
  }
}

/** The extent at `at` ends at `row` now; its rest is the next entry. */
function cut(m: Memory, at: number, row: number): void {
  const { next, prev } = m;
  const after = next[at];
  m.touched[row >> m.sectionShift] = 1;
  next[row + 1] = next[at + 1];
  next[at + 1] = row;
  next[at] = row;
  prev[row] = at;
  next[row] = after;
  prev[after] = row;
  m.state[row] = EXTENT | m.maxOrder;
}
