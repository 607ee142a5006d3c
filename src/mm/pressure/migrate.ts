/**
 * Moving a page: its bytes, its place on the LRU, and the word or the owner that
 * knows where it is.
 *
 *   isolated   a page that somebody is about to move: on no list
 *
 * Linux: migrate_pages(), move_to_new_folio(), putback_movable_pages(), mm/migrate.c
 */
import { freePages } from "../allocate.ts";
import { KIND_MASK, MOBILE, ORDER_MASK, pfnOf, TAKEN } from "../memory.ts";
import { forget, rowBytes } from "./handles.ts";
import { addLru, removeLru } from "./lru.ts";
import { type Pages, PG_ANON, PG_ISOLATED, PG_LRU } from "./pages.ts";

/** Whether anybody may move the block at `row` now. */
export function isMovable(pages: Pages, row: number): boolean {
  return isOwned(pages, row) && pages.pins[row] === 0;
}

/** Whether the block has an owner who lets it move, if nobody holds it. Linux: PageLRU(), __PageMovable() */
export function isOwned(pages: Pages, row: number): boolean {
  const kind = pages.m.state[row] & KIND_MASK;
  if (kind !== TAKEN && kind !== MOBILE) return false;
  const handle = pages.handleOf[row];
  if (handle === 0) return false;
  return handle > 0 || pages.owners[-handle - 1]?.moved !== undefined;
}

export function isOnLru({ flags }: Pages, row: number): boolean {
  return (flags[row] & PG_LRU) !== 0;
}

/**
 * Whether a scanner takes the page along. That an anonymous page is held shows at once; a file's page
 * fails later. `noFs`: files' pages stay.
 *
 * Linux: isolate_migratepages_block(), mm/compaction.c
 */
export function mayIsolate(
  pages: Pages,
  row: number,
  { noFs }: { readonly noFs?: boolean },
): boolean {
  if (!isOwned(pages, row) || (pages.flags[row] & PG_ISOLATED) !== 0) return false;
  if (pages.handleOf[row] < 0) return true;
  return (pages.flags[row] & PG_ANON) !== 0 ? pages.pins[row] === 0 : noFs !== true;
}

/** The page is isolated. Linux: isolate_lru_page(), isolate_movable_page() */
export function isolatePage(pages: Pages, row: number): void {
  if (isOnLru(pages, row)) removeLru(pages, row);
  pages.flags[row] |= PG_ISOLATED;
}

/** Ends that, if it is still so: the page goes to the head of its list. Linux: putback_lru_page(), mm/vmscan.c */
export function putBack(pages: Pages, row: number): void {
  if ((pages.flags[row] & PG_ISOLATED) === 0) return;
  pages.flags[row] &= ~PG_ISOLATED;
  const handle = pages.handleOf[row];
  if (handle > 0 || pages.owners[-handle - 1]?.mayFree !== undefined) addLru(pages, row);
}

/**
 * Moves the isolated block at `from` to the rows at `to`, which are taken, of the same order and
 * nobody's; frees the old ones. False where it may not move or its owner refuses: it is still isolated.
 */
export function migratePage(pages: Pages, from: number, to: number): boolean {
  const { m, handleOf, flags, counts } = pages;
  const order = m.state[from] & ORDER_MASK;
  if (!isMovable(pages, from) || (flags[from] & PG_ISOLATED) === 0) {
    counts.pgmigrateFail += 1 << order;
    return false;
  }
  const handle = handleOf[from];
  const old = rowBytes(m, from);
  if (old !== null) rowBytes(m, to)?.set(old);
  if (handle > 0) pages.place[handle] = to;
  else if (pages.owners[-handle - 1]?.moved?.(pfnOf(m, from), pfnOf(m, to), order) !== true) {
    counts.pgmigrateFail += 1 << order;
    return false;
  }
  handleOf[to] = handle;
  flags[to] = flags[from];
  m.state[to] = MOBILE | order;
  putBack(pages, to);
  forget(pages, from);
  freePages(m, pfnOf(m, from), order);
  counts.pgmigrateSuccess += 1 << order;
  return true;
}

/** What moving a list of pages came to: all are gone, some are left, or there was no place. */
export type MigrateResult = "moved" | "left" | "-ENOMEM";

/**
 * Moves isolated pages, the last one first, each to a place that `take` gives; -1 ends it. What could
 * not move is left in `rows`, still isolated, in their order.
 *
 * Linux: migrate_pages(), mm/migrate.c
 */
export function migratePages(
  pages: Pages,
  rows: number[],
  take: (order: number) => number,
  giveBack: (row: number, order: number) => void,
): MigrateResult {
  const left: number[] = [];
  let noPlace = false;
  try {
    while (rows.length > 0) {
      const from = rows[rows.length - 1] ?? -1;
      const order = pages.m.state[from] & ORDER_MASK;
      const to = take(order);
      noPlace = to < 0;
      if (noPlace) break;
      rows.pop();
      left.push(from);
      if (migrateTo(pages, from, to, giveBack)) left.pop();
    }
  } finally {
    while (left.length > 0) rows.push(left.pop() ?? -1);
  }
  if (noPlace) return "-ENOMEM";
  return rows.length > 0 ? "left" : "moved";
}

/** Moves a page; the place of one that stays is given back, even where an owner throws. */
function migrateTo(
  pages: Pages,
  from: number,
  to: number,
  giveBack: (row: number, order: number) => void,
): boolean {
  let moved = false;
  try {
    moved = migratePage(pages, from, to);
  } finally {
    if (!moved) giveBack(to, pages.m.state[from] & ORDER_MASK);
  }
  return moved;
}
