/** Who has which page of a changed memory: #page of what-if.ts, by row of the recorded one. */
import { KIND_MASK, type Memory, MOBILE, pfnOf, TAKEN } from "../mm/memory.ts";

export const NOBODY = -1;

/** Taken pages are their owners' at the start; the rest is nobody's. */
export function ownersAtStart(m: Memory): Int32Array {
  const page = new Int32Array(m.rows).fill(NOBODY);
  for (let row = m.firstRow; row < m.rows; row++) {
    const kind = m.state[row] & KIND_MASK;
    if (kind === TAKEN || kind === MOBILE) page[row] = pfnOf(m, row);
  }
  return page;
}

export function addPages(set: Set<number>, pfn: number, order: number): void {
  for (let i = 0; i < 1 << order; i++) set.add(pfn + i);
}
