/**
 * Disjoint ranges of page numbers in order, as columns of one region, with
 * O(log n) answers to the one question an IOVA allocator asks: which is the
 * next range downwards with a gap of so many pages below it?
 *
 * Linux keeps a red-black tree and walks it range by range. What it answers
 * depends on the order alone, so this is a treap whose nodes know the largest
 * gap below any range of their subtree.
 *
 *   column   row = range; row 0 is none, row 1 the anchor above all
 *   lo, hi   first and last page, inclusive
 *   gap      largest run of free pages just below a range of the subtree
 *   left, right, up   the treap; a row's priority is a hash of its number
 *   next, prev        neighbours in order; `next` also links unused rows
 *
 *   T1  ranges are disjoint and ascend along `next`, the anchor is last
 *   T2  the treap has the same order, and priorities fall towards the leaves
 *   T3  `gap` is the largest of the subtree
 *   T4  every row is in the order or unused, once
 *
 * Linux: struct iova, iova_insert_rbtree(), drivers/iommu/iova.c
 */
import type { Region } from "../../mm/image.ts";

/** Above every address: the kernel has ~0UL there. */
export const ANCHOR_PFN: number = Number.MAX_SAFE_INTEGER;
export const NONE = 0;
export const ANCHOR = 1;

const W_ROOT = 0;
const W_UNUSED = 1;
const W_TOP = 2;
const W_COUNT = 3;
const WORDS = 4;

export interface RangeTree {
  readonly capacity: number;
  readonly lo: Float64Array;
  readonly hi: Float64Array;
  readonly gap: Float64Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly up: Int32Array;
  readonly next: Int32Array;
  readonly prev: Int32Array;
  readonly words: Int32Array;
}

/** Bytes of a tree for `ranges` ranges. */
export function rangeTreeBytes(ranges: number): number {
  const rows = evenRows(ranges);
  return rows * (3 * 8 + 5 * 4) + WORDS * 4;
}

function evenRows(ranges: number): number {
  return (ranges + 3) & ~1;
}

/** Lays an empty tree into the region at `offset`, a multiple of 8. */
export function layRangeTree(region: Region, offset: number, ranges: number): RangeTree {
  const rows = evenRows(ranges);
  let at = region.byteOffset + offset;
  const doubles = (): Float64Array => {
    const view = new Float64Array(region.buffer, at, rows);
    at += rows * 8;
    return view;
  };
  const ints = (length: number): Int32Array => {
    const view = new Int32Array(region.buffer, at, length);
    at += length * 4;
    return view;
  };
  const tree: RangeTree = {
    capacity: rows,
    lo: doubles(),
    hi: doubles(),
    gap: doubles(),
    left: ints(rows),
    right: ints(rows),
    up: ints(rows),
    next: ints(rows),
    prev: ints(rows),
    words: ints(WORDS),
  };
  tree.lo[ANCHOR] = ANCHOR_PFN;
  tree.hi[ANCHOR] = ANCHOR_PFN;
  tree.gap[ANCHOR] = ANCHOR_PFN;
  tree.words[W_ROOT] = ANCHOR;
  tree.words[W_TOP] = ANCHOR + 1;
  return tree;
}

/** Ranges in the tree, the anchor not counted. */
export function rangeCount(t: RangeTree): number {
  return t.words[W_COUNT];
}

/** Whether no row is left for another range. */
export function isFull(t: RangeTree): boolean {
  return t.words[W_UNUSED] === NONE && t.words[W_TOP] === t.capacity;
}

/** Puts [lo, hi] just below range `above`. The tree must not be full, the pages must be free. */
export function insertBelow(t: RangeTree, above: number, lo: number, hi: number): number {
  let row = t.words[W_UNUSED];
  if (row === NONE) row = t.words[W_TOP]++;
  else t.words[W_UNUSED] = t.next[row];
  t.words[W_COUNT]++;
  const below = t.prev[above];
  t.lo[row] = lo;
  t.hi[row] = hi;
  t.left[row] = NONE;
  t.right[row] = NONE;
  t.next[row] = above;
  t.prev[row] = below;
  t.prev[above] = row;
  if (below !== NONE) t.next[below] = row;
  // One of the two has room: `below` is the rightmost row left of `above`, if there is one.
  if (t.left[above] === NONE) {
    t.left[above] = row;
    t.up[row] = above;
  } else {
    t.right[below] = row;
    t.up[row] = below;
  }
  refresh(t, row);
  refreshUp(t, t.up[row]);
  refreshUp(t, above);
  const own = priority(row);
  while (t.up[row] !== NONE && priority(t.up[row]) < own) rotateUp(t, row);
  return row;
}

export function removeRange(t: RangeTree, row: number): void {
  const above = t.next[row];
  const below = t.prev[row];
  while (t.left[row] !== NONE && t.right[row] !== NONE) {
    const { left, right } = t;
    rotateUp(t, priority(left[row]) > priority(right[row]) ? left[row] : right[row]);
  }
  const child = t.left[row] === NONE ? t.right[row] : t.left[row];
  const parent = t.up[row];
  replaceChild(t, parent, row, child);
  t.prev[above] = below;
  if (below !== NONE) t.next[below] = above;
  if (parent !== NONE) refreshUp(t, parent);
  refreshUp(t, above);
  t.next[row] = t.words[W_UNUSED];
  t.words[W_UNUSED] = row;
  t.words[W_COUNT]--;
}

/** Moves the lower end of a range down over free pages. */
export function extendDown(t: RangeTree, row: number, lo: number): void {
  t.lo[row] = lo;
  refreshUp(t, row);
}

/** The range that has `pfn`, or none. */
export function rangeAt(t: RangeTree, pfn: number): number {
  let row = t.words[W_ROOT];
  while (row !== NONE) {
    if (pfn < t.lo[row]) row = t.left[row];
    else if (pfn > t.hi[row]) row = t.right[row];
    else return row;
  }
  return NONE;
}

/** The lowest range that begins at `pfn` or above. */
export function firstFrom(t: RangeTree, pfn: number): number {
  let row = t.words[W_ROOT];
  let found = ANCHOR;
  while (row !== NONE) {
    if (t.lo[row] >= pfn) {
      found = row;
      row = t.left[row];
    } else row = t.right[row];
  }
  return found;
}

/** The next range below `row` with at least `size` free pages under it, or none. */
export function nextGapBelow(t: RangeTree, row: number, size: number): number {
  const { left, right, up, gap } = t;
  let child = left[row];
  for (;;) {
    if (gap[child] >= size) {
      // The rightmost of the subtree; the maximum says that there is one.
      for (;;) {
        if (gap[right[child]] >= size) child = right[child];
        else if (ownGap(t, child) >= size) return child;
        else child = left[child];
      }
    }
    let parent = up[row];
    while (parent !== NONE && left[parent] === row) {
      row = parent;
      parent = up[row];
    }
    if (parent === NONE) return NONE;
    row = parent;
    if (ownGap(t, row) >= size) return row;
    child = left[row];
  }
}

/** Free pages just below a range. */
function ownGap(t: RangeTree, row: number): number {
  const below = t.prev[row];
  return below === NONE ? t.lo[row] : t.lo[row] - t.hi[below] - 1;
}

/** Mixes a row's number: rows are given out in order, priorities must not be. */
function priority(row: number): number {
  let x = Math.imul(row ^ (row >>> 16), 0x45d9f3b);
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  return (x ^ (x >>> 16)) >>> 0;
}

function refresh(t: RangeTree, row: number): void {
  let most = ownGap(t, row);
  const a = t.gap[t.left[row]];
  const b = t.gap[t.right[row]];
  if (a > most) most = a;
  if (b > most) most = b;
  t.gap[row] = most;
}

/** Up to where nothing changes any more. */
function refreshUp(t: RangeTree, row: number): void {
  for (let at = row; at !== NONE; at = t.up[at]) {
    const before = t.gap[at];
    refresh(t, at);
    if (t.gap[at] === before) return;
  }
}

function replaceChild(t: RangeTree, parent: number, old: number, child: number): void {
  if (parent === NONE) t.words[W_ROOT] = child;
  else if (t.left[parent] === old) t.left[parent] = child;
  else t.right[parent] = child;
  if (child !== NONE) t.up[child] = parent;
}

/** Swaps a row with its parent. */
function rotateUp(t: RangeTree, row: number): void {
  const { left, right, up } = t;
  const parent = up[row];
  replaceChild(t, up[parent], parent, row);
  if (left[parent] === row) {
    left[parent] = right[row];
    if (right[row] !== NONE) up[right[row]] = parent;
    right[row] = parent;
  } else {
    right[parent] = left[row];
    if (left[row] !== NONE) up[left[row]] = parent;
    left[row] = parent;
  }
  up[parent] = row;
  refresh(t, parent);
  refresh(t, row);
}

/** What is wrong with the tree, by invariant; empty when nothing is. */
export function verifyRangeTree(t: RangeTree): string[] {
  const wrong: string[] = [];
  const order: number[] = [];
  const visit = (row: number): void => {
    if (row === NONE) return;
    for (const child of [t.left[row], t.right[row]]) {
      if (child === NONE) continue;
      if (t.up[child] !== row) wrong.push(`T2: row ${child} has another parent`);
      if (priority(child) > priority(row)) wrong.push(`T2: row ${child} is above its priority`);
    }
    visit(t.left[row]);
    order.push(row);
    visit(t.right[row]);
    const most = Math.max(ownGap(t, row), t.gap[t.left[row]], t.gap[t.right[row]]);
    if (t.gap[row] !== most) wrong.push(`T3: row ${row} says ${t.gap[row]}, not ${most}`);
  };
  visit(t.words[W_ROOT]);
  if (order.at(-1) !== ANCHOR) wrong.push("T1: the anchor is not last");
  for (const [i, row] of order.entries()) {
    const below = order[i - 1] ?? NONE;
    if (t.prev[row] !== below) wrong.push(`T1: row ${row} follows another`);
    if (below !== NONE && t.next[below] !== row) wrong.push(`T1: row ${below} precedes another`);
    if (t.lo[row] > t.hi[row] || (below !== NONE && t.hi[below] >= t.lo[row])) {
      wrong.push(`T1: row ${row} overlaps`);
    }
  }
  let unused = 0;
  for (let row = t.words[W_UNUSED]; row !== NONE; row = t.next[row]) unused++;
  if (order.length !== t.words[W_COUNT] + 1) wrong.push("T4: the count is wrong");
  if (order.length + unused !== t.words[W_TOP] - 1) wrong.push("T4: rows are lost");
  return wrong;
}
