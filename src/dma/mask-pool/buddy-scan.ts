/**
 * The same by brute force, as proposed in 2006: free blocks of powers of two on lists by
 * order; a request scans every list from its own order up for a block that has a place
 * inside the limits, and halves it until only that place is left.
 *
 * The patch compared with OR where both bounds must hold, kernel addresses where physical
 * ones were meant, and looked at a block's start only; here the place itself must fit.
 *
 *   region  words
 *   next    4 bytes a page, then one list head an order: circular lists by position
 *   prev    likewise
 *   state   1 byte a page: 0, FREE + order or TAKEN + order of the block it heads
 *
 *   S1  a block on list k is FREE + k, aligned, and all of it in the pool
 *   S2  blocks do not overlap, and cover the pool
 *   S3  no free block has a free buddy that it could merge with
 *   S4  the free count is the sum of the free blocks
 *
 * Linux: alloc_pages_range() as posted to linux-mm on 22 September 2006; never merged
 */
import { assert } from "../../base/assert.ts";
import { type Range, totalLength } from "../../base/range.ts";
import { addRegion, type Image } from "../../mm/image.ts";
import { NO_PAGES, type PageSource } from "./page-source.ts";

const FREE = 0x20;
const TAKEN = 0x40;
const KIND = 0x60;
const ORDER = 0x1f;

interface Lists {
  /** pfn of position 0, a multiple of the largest block. */
  readonly base: number;
  readonly span: number;
  readonly maxOrder: number;
  readonly next: Int32Array;
  readonly prev: Int32Array;
  readonly state: Uint8Array;
  /** Free pages; then blocks that searches have looked at, which wraps. */
  readonly count: Int32Array;
  readonly pages: number;
}

export interface BuddyScan extends PageSource {
  /** Blocks that searches have looked at since the last call. */
  looked(): number;
}

/** Lists of the pages of `ranges` (pfns, sorted), all of them free, in blocks of up to 2^maxOrder. */
export function createBuddyScan(
  image: Image,
  name: string,
  ranges: readonly Range[],
  maxOrder: number,
): BuddyScan {
  const lists = layLists(image, name, ranges, maxOrder);
  for (const { start, end } of ranges) feed(lists, start - lists.base, end - lists.base);
  const { base, count } = lists;
  return {
    name: "buddy scan",
    take: (pages, low, end, align, boundary) => {
      const order = orderOf(pages);
      const tooLong = boundary !== 0 && pages > boundary;
      if (pages < 1 || order > maxOrder || tooLong) return NO_PAGES;
      const at = takePlace(lists, order, low - base, end - base, Math.max(align, 1 << order));
      return at < 0 ? NO_PAGES : base + at;
    },
    give: (pfn, pages) => {
      const at = pfn - base;
      const order = orderOf(pages);
      assert(at >= 0 && at < lists.span, "these pages are not in the pool", pfn);
      assert(lists.state[at] === (TAKEN | order), "given back, but not taken so", pfn);
      count[0] += 1 << order;
      merge(lists, at, order);
    },
    free: () => count[0],
    verify: () => verifyLists(lists),
    looked: () => {
      const looked = count[1];
      count[1] = 0;
      return looked;
    },
  };
}

/** log2 of the block that `pages` need. */
export function orderOf(pages: number): number {
  return 32 - Math.clz32(pages - 1);
}

function layLists(image: Image, name: string, ranges: readonly Range[], maxOrder: number): Lists {
  assert(maxOrder >= 0 && maxOrder < ORDER, "largest order out of range", maxOrder);
  const first = ranges[0]?.start ?? 0;
  const end = ranges.at(-1)?.end ?? first;
  const base = first - (first % 2 ** maxOrder);
  const span = end - base;
  assert(end < 2 ** 31 && span < 2 ** 28, "the pool spans too many pages", span);
  const links = span + maxOrder + 1;
  const { buffer } = addRegion(image, name, links * 8 + 8 + span);
  const lists = {
    base,
    span,
    maxOrder,
    next: new Int32Array(buffer, 0, links),
    prev: new Int32Array(buffer, links * 4, links),
    count: new Int32Array(buffer, links * 8, 2),
    state: new Uint8Array(buffer, links * 8 + 8, span),
    pages: totalLength(ranges),
  };
  for (let head = span; head < links; head++) {
    lists.next[head] = head;
    lists.prev[head] = head;
  }
  lists.count[0] = lists.pages;
  return lists;
}

function feed(lists: Lists, start: number, end: number): void {
  for (let at = start; at < end; ) {
    let order = at === 0 ? lists.maxOrder : Math.min(lists.maxOrder, 31 - Math.clz32(at & -at));
    while (at + (1 << order) > end) order--;
    merge(lists, at, order);
    at += 1 << order;
  }
}

function takePlace(lists: Lists, order: number, low: number, end: number, align: number): number {
  const { span, maxOrder, next, count, base } = lists;
  for (let own = order; own <= maxOrder; own++) {
    const head = span + own;
    for (let block = next[head]; block !== head; block = next[block]) {
      count[1]++;
      const top = Math.min(block + (1 << own), end);
      // The base is a multiple of the largest block, alignments may be larger.
      const at = ((base + top - (1 << order)) & -align) - base;
      if (at < block || at < low) continue;
      unlink(lists, block);
      halve(lists, block, own, at, order);
      lists.state[at] = TAKEN | order;
      count[0] -= 1 << order;
      return at;
    }
  }
  return -1;
}

/** Cuts a block down to the place at `at`; what is cut off goes to the lists. */
function halve(lists: Lists, from: number, own: number, at: number, order: number): void {
  let block = from;
  for (let half = own - 1; half >= order; half--) {
    const upper = block + (1 << half);
    if (at >= upper) {
      link(lists, block, half);
      block = upper;
    } else link(lists, upper, half);
  }
}

function merge(lists: Lists, from: number, own: number): void {
  const { state, span, maxOrder } = lists;
  let at = from;
  let order = own;
  state[at] = 0;
  while (order < maxOrder) {
    const buddy = at ^ (1 << order);
    if (buddy >= span || state[buddy] !== (FREE | order)) break;
    unlink(lists, buddy);
    at &= buddy;
    order++;
  }
  link(lists, at, order);
}

function link({ next, prev, state, span }: Lists, at: number, order: number): void {
  const head = span + order;
  const first = next[head];
  next[at] = first;
  prev[at] = head;
  prev[first] = at;
  next[head] = at;
  state[at] = FREE | order;
}

function unlink({ next, prev, state }: Lists, at: number): void {
  next[prev[at]] = next[at];
  prev[next[at]] = prev[at];
  state[at] = 0;
}

function verifyLists(lists: Lists): string[] {
  const { base, span, maxOrder, next, prev, state, count, pages } = lists;
  const broken: string[] = [];
  let free = 0;
  let listed = 0;
  for (let order = 0; order <= maxOrder; order++) {
    const head = span + order;
    for (let at = next[head]; at !== head; at = next[at]) {
      listed++;
      free += 1 << order;
      if (prev[next[at]] !== at) broken.push(`S1: the links around ${base + at} differ`);
      if (state[at] !== (FREE | order)) broken.push(`S1: ${base + at} is not FREE ${order}`);
      if ((at & ((1 << order) - 1)) !== 0) broken.push(`S1: ${base + at} is not aligned`);
      const buddy = at ^ (1 << order);
      if (order < maxOrder && buddy < span && state[buddy] === (FREE | order))
        broken.push(`S3: ${base + at} and its buddy are both free`);
      if (listed > span) return [...broken, `S1: list ${order} never ends`];
    }
  }
  let covered = 0;
  for (let at = 0; at < span; ) {
    if ((state[at] & KIND) === 0) {
      at++;
      continue;
    }
    if ((state[at] & KIND) === FREE) listed--;
    const after = at + (1 << (state[at] & ORDER));
    covered += after - at;
    for (at++; at < after; at++)
      if (state[at] !== 0) broken.push(`S2: ${base + at} lies inside another block`);
  }
  if (listed !== 0) broken.push(`S1: ${-listed} free blocks are on no list`);
  if (covered !== pages) broken.push(`S2: blocks cover ${covered} pages of ${pages}`);
  if (free !== count[0]) broken.push(`S4: ${free} pages are free, ${count[0]} are counted`);
  return broken;
}
