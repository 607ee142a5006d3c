/**
 * Moving a page: its bytes, its place on the LRU, and the word or the owner that
 * knows where it is.
 *
 * Linux: migrate_pages(), move_to_new_folio(), mm/migrate.c
 */
import { freePages } from "../allocate.ts";
import { KIND_MASK, MOBILE, ORDER_MASK, pfnOf, TAKEN } from "../memory.ts";
import { forget, rowBytes } from "./handles.ts";
import { replaceLru } from "./lru.ts";
import { type Pages, PG_LRU } from "./pages.ts";

/** Whether anybody may move the block at `row` now. */
export function isMovable(pages: Pages, row: number): boolean {
  const kind = pages.m.state[row] & KIND_MASK;
  if (kind !== TAKEN && kind !== MOBILE) return false;
  const handle = pages.handleOf[row];
  if (handle === 0 || pages.pins[row] > 0) return false;
  return handle > 0 || pages.owners[-handle - 1]?.moved !== undefined;
}

/**
 * Moves the block at `from` to the rows at `to`, which are taken, of the same order and nobody's;
 * frees the old ones. False where it may not move or its owner refuses: nothing has changed then.
 */
export function migratePage(pages: Pages, from: number, to: number): boolean {
  const { m, handleOf, flags, counts } = pages;
  if (!pages.migration || !isMovable(pages, from)) {
    counts.pgmigrateFail++;
    return false;
  }
  const handle = handleOf[from];
  const order = m.state[from] & ORDER_MASK;
  const old = rowBytes(m, from);
  if (old !== null) rowBytes(m, to)?.set(old);
  if (handle > 0) pages.place[handle] = to;
  else if (pages.owners[-handle - 1]?.moved?.(pfnOf(m, from), pfnOf(m, to), order) !== true) {
    counts.pgmigrateFail++;
    return false;
  }
  handleOf[to] = handle;
  flags[to] = flags[from] & ~PG_LRU;
  m.state[to] = MOBILE | order;
  if ((flags[from] & PG_LRU) !== 0) {
    replaceLru(pages, from, to);
  }
  forget(pages, from);
  freePages(m, pfnOf(m, from), order);
  counts.pgmigrateSuccess++;
  return true;
}
