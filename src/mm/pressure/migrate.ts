/**
 * Moving a page: its bytes, its place on the LRU, and the word or the owner that
 * knows where it is.
 *
 *   isolated   a page that somebody is about to move: on no list, its handle locked
 *
 * Linux: migrate_pages(), move_to_new_folio(), putback_movable_pages(), mm/migrate.c
 */
import { freePages } from "../allocate.ts";
import { KIND_MASK, MOBILE, ORDER_MASK, OWNED, pfnOf, TAKEN } from "../memory.ts";
import {
  giveTo,
  isAskedHere,
  isFrameLocked,
  letBe,
  tryFrame,
  tryTake,
  unlockBlock,
} from "./handle-lock.ts";
import { forget, rowBytes } from "./handles.ts";
import { addLru, removeLru } from "./lru.ts";
import { askMoved, ownerOf } from "./owners.ts";
import { type Pages, PG_ANON, PG_ISOLATED, PG_LRU } from "./pages.ts";

/** Whether this worker may move the block at `row` now, as far as can be told without locking it. */
export function isMovable(pages: Pages, row: number): boolean {
  if (!isOwned(pages, row) || pages.pins[row] > 0 || isFrameLocked(pages.m, row)) return false;
  return pages.handleOf[row] > 0 || isAskedHere(pages, pages.handleOf[row]);
}

/**
 * Whether the block has an owner who lets it move, if nobody holds it; of one in another worker that is
 * not known here. Linux: PageLRU(), __PageMovable()
 */
export function isOwned(pages: Pages, row: number): boolean {
  const kind = pages.m.state[row] & KIND_MASK;
  if (kind !== TAKEN && kind !== MOBILE) return false;
  const handle = pages.handleOf[row];
  if (handle === 0) return false;
  if (handle > 0 || !isAskedHere(pages, handle)) return true;
  return ownerOf(pages, handle)?.moved !== undefined;
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

/** Isolates the page; false where somebody else is at it. Linux: isolate_lru_page(), isolate_movable_page() */
export function isolatePage(pages: Pages, row: number): boolean {
  if (!tryTake(pages, row)) return false;
  if (isOnLru(pages, row)) removeLru(pages, row);
  pages.flags[row] |= PG_ISOLATED;
  return true;
}

/** Ends that, if it is still so: the page goes to the head of its list. Linux: putback_lru_page(), mm/vmscan.c */
export function putBack(pages: Pages, row: number): void {
  if ((pages.flags[row] & PG_ISOLATED) === 0) return;
  list(pages, row);
  letBe(pages, pages.handleOf[row]);
}

/** The page is isolated no more, and on its list again if it was on one. */
function list(pages: Pages, row: number): void {
  pages.flags[row] &= ~PG_ISOLATED;
  const handle = pages.handleOf[row];
  if (handle > 0 || ownerOf(pages, handle)?.mayFree !== undefined) addLru(pages, row);
}

/**
 * Moves the isolated block at `from` to the rows at `to`, which are taken, of the same order and
 * nobody's; frees the old ones. False where it may not move or its owner refuses: it is still isolated.
 */
export function migratePage(pages: Pages, from: number, to: number): boolean {
  const { m, handleOf, flags, counts } = pages;
  const order = m.state[from] & ORDER_MASK;
  const handle = handleOf[from];
  let moved = false;
  if (isMovable(pages, from) && (flags[from] & PG_ISOLATED) !== 0 && tryFrame(m, from)) {
    try {
      moved = settleAt(pages, from, to);
    } finally {
      unlockBlock(m, from);
    }
  }
  if (!moved) {
    counts.pgmigrateFail += 1 << order;
    return false;
  }
  list(pages, to);
  forget(pages, from);
  freePages(m, pfnOf(m, from), order);
  letBe(pages, handle);
  counts.pgmigrateSuccess += 1 << order;
  return true;
}

/** Bytes first, then the word or the owner that knows: until then the old place is the page's (T1). */
function settleAt(pages: Pages, from: number, to: number): boolean {
  const { m, handleOf, flags, shared } = pages;
  const handle = handleOf[from];
  const order = m.state[from] & ORDER_MASK;
  const old = rowBytes(m, from);
  if (old !== null) rowBytes(m, to)?.set(old);
  if (handle < 0 && !askMoved(pages, handle, pfnOf(m, from), pfnOf(m, to), order)) return false;
  handleOf[to] = handle;
  flags[to] = flags[from];
  m.state[to] = MOBILE | OWNED | order;
  if (handle > 0) {
    pages.place[handle] = to;
    if (shared !== null) giveTo(m, to, shared.owner[handle] - 1);
    giveTo(m, from, m.cpu);
  }
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
