/**
 * Free pages as runs, found from the top: a bitmap of 32 pages a word, and over its
 * words a binary tree that knows the longest run below each node. A search climbs
 * once and descends once, whatever is taken: O(log n) for each run that is looked at,
 * and a run of `pages + align` or more never disappoints.
 *
 *   region     words
 *   own        one bit a page: in the pool at all. Never changes
 *   bits       one bit a page: free
 *   nodes      four words a node: free pages at its low end, at its high end, longest run, unused
 *
 * Node 1 is the root, 2i and 2i + 1 the halves of i, the leaves one word of `bits` each.
 * A page is less than one byte of metadata, none of it in the page frames' columns.
 *
 *   R1  a page that is not in the pool is not free
 *   R2  a leaf says what its word holds
 *   R3  a node says what its halves come to
 *   R4  the free count is the number of free bits
 *
 * The highest address goes first, as in the mask allocator of 2008, so that the
 * lowest pages are left for those who reach no others.
 */
import { assert } from "../../base/assert.ts";
import type { Range } from "../../base/range.ts";
import { addRegion, type Image } from "../../mm/image.ts";
import { highestPlace, NO_PAGES, type PageSource } from "./page-source.ts";
import { bindRuns, longestRun, runAtHigh, runAtLow } from "./range-tree-runs.ts";
import {
  N_HIGH,
  N_LOW,
  N_MAX,
  NODE_WORDS,
  type RangeTree,
  WORD_PAGES,
} from "./range-tree-words.ts";

/** A tree over the pages of `ranges` (pfns, sorted), all of them free. Asserts that they span less than 2^30 pages. */
export function createRangeTree(image: Image, name: string, ranges: readonly Range[]): PageSource {
  const tree = layTree(image, name, ranges);
  const setBits = bindSet(tree);
  for (const { start, end } of ranges) {
    forWords(tree.base, start, end - start, (word, mask) => {
      tree.own[word] |= mask;
    });
    setBits(start, end - start, true);
  }
  const { count } = tree;
  return {
    name: "range tree",
    take: bindTake(tree, setBits),
    give: (pfn, pages) => {
      checkTaken(tree, pfn, pages);
      setBits(pfn, pages, true);
    },
    free: () => count[0],
    verify: () => verifyTree(tree),
  };
}

function layTree(image: Image, name: string, ranges: readonly Range[]): RangeTree {
  const first = ranges[0]?.start ?? 0;
  const end = ranges.at(-1)?.end ?? first;
  const base = first - (first % WORD_PAGES);
  assert(end < 2 ** 31 && end - base < 2 ** 30, "the pool spans too many pages", end - base);
  const leaves = 2 ** Math.ceil(Math.log2(Math.max(1, Math.ceil((end - base) / WORD_PAGES))));
  const words = leaves * 2 + leaves * 2 * NODE_WORDS + 1;
  const { buffer } = addRegion(image, name, words * 4);
  return {
    base,
    leaves,
    own: new Int32Array(buffer, 0, leaves),
    bits: new Int32Array(buffer, leaves * 4, leaves),
    nodes: new Int32Array(buffer, leaves * 8, leaves * 2 * NODE_WORDS),
    count: new Int32Array(buffer, (words - 1) * 4, 1),
  };
}

/** Takes the highest place that fits. */
function bindTake(
  tree: RangeTree,
  setBits: (pfn: number, pages: number, free: boolean) => void,
): PageSource["take"] {
  const { base, leaves, nodes } = tree;
  const runs = bindRuns(tree);
  const last = base + leaves * WORD_PAGES;
  return (pages, low, end, align, boundary) => {
    if (pages < 1 || pages > nodes[NODE_WORDS + N_MAX]) return NO_PAGES;
    if (boundary !== 0 && pages > boundary) return NO_PAGES;
    let limit = Math.min(end, last);
    for (;;) {
      const run = runs.below(limit - base, pages);
      if (run < 0) return NO_PAGES;
      // `runs.end` is where the run stops: at a taken page, or at the limit.
      const at = highestPlace(pages, base + runs.end(), align, boundary);
      if (at < low) return NO_PAGES;
      if (at >= base + run) {
        setBits(at, pages, false);
        return at;
      }
      limit = at + pages;
    }
  };
}

/** Marks pages as free or taken, and tells every node above. */
function bindSet(tree: RangeTree): (pfn: number, pages: number, free: boolean) => void {
  const { base, leaves, bits, nodes, count } = tree;

  function setLeaf(word: number): void {
    const at = (leaves + word) * NODE_WORDS;
    const own = bits[word];
    nodes[at + N_LOW] = runAtLow(own);
    nodes[at + N_HIGH] = runAtHigh(own);
    nodes[at + N_MAX] = longestRun(own);
  }

  return (pfn, pages, free) => {
    const first = (pfn - base) >> 5;
    const last = (pfn - base + pages - 1) >> 5;
    for (let word = first; word <= last; word++) {
      const mask = maskOf(word, pfn - base, pages);
      bits[word] = free ? bits[word] | mask : bits[word] & ~mask;
      setLeaf(word);
    }
    count[0] += free ? pages : -pages;
    let from = leaves + first;
    let to = leaves + last;
    for (let half = WORD_PAGES; from > 1; half *= 2) {
      from >>= 1;
      to >>= 1;
      let isChanged = false;
      for (let node = from; node <= to; node++) isChanged = pull(nodes, node, half) || isChanged;
      if (!isChanged) return;
    }
  };
}

/** A node from its halves, each of `half` pages; false when it was so already. */
function pull(nodes: Int32Array, node: number, half: number): boolean {
  const left = node * 2 * NODE_WORDS;
  const right = left + NODE_WORDS;
  const at = node * NODE_WORDS;
  const leftLow = nodes[left + N_LOW];
  const rightHigh = nodes[right + N_HIGH];
  const across = nodes[left + N_HIGH] + nodes[right + N_LOW];
  const low = leftLow === half ? half + nodes[right + N_LOW] : leftLow;
  const high = rightHigh === half ? half + nodes[left + N_HIGH] : rightHigh;
  const max = Math.max(nodes[left + N_MAX], nodes[right + N_MAX], across);
  if (nodes[at + N_LOW] === low && nodes[at + N_HIGH] === high && nodes[at + N_MAX] === max)
    return false;
  nodes[at + N_LOW] = low;
  nodes[at + N_HIGH] = high;
  nodes[at + N_MAX] = max;
  return true;
}

/** Bits of a word that pages from bit `from` on cover. */
function maskOf(word: number, from: number, pages: number): number {
  const low = Math.max(0, from - word * WORD_PAGES);
  const high = Math.min(WORD_PAGES, from + pages - word * WORD_PAGES);
  return high - low === WORD_PAGES ? -1 : ((1 << (high - low)) - 1) << low;
}

function forWords(
  base: number,
  pfn: number,
  pages: number,
  each: (word: number, mask: number) => void,
): void {
  const from = pfn - base;
  for (let word = from >> 5; word <= (from + pages - 1) >> 5; word++) {
    each(word, maskOf(word, from, pages));
  }
}

function checkTaken({ base, leaves, own, bits }: RangeTree, pfn: number, pages: number): void {
  const inside = pages >= 1 && pfn >= base && pfn + pages <= base + leaves * WORD_PAGES;
  assert(inside, "these pages are not in the pool", pfn);
  const from = pfn - base;
  for (let word = from >> 5; word <= (from + pages - 1) >> 5; word++) {
    const mask = maskOf(word, from, pages);
    assert((own[word] & mask) === mask, "these pages are not in the pool", pfn);
    assert((bits[word] & mask) === 0, "given back, but it is free", pfn);
  }
}

function verifyTree(tree: RangeTree): string[] {
  const { leaves, own, bits, nodes, count } = tree;
  const broken: string[] = [];
  let free = 0;
  for (let word = 0; word < leaves; word++) {
    const bad = bits[word] & ~own[word];
    if (bad !== 0) broken.push(`R1: word ${word} has free pages that are not in the pool`);
    for (let rest = bits[word]; rest !== 0; rest &= rest - 1) free++;
    const at = (leaves + word) * NODE_WORDS;
    const says = [nodes[at + N_LOW], nodes[at + N_HIGH], nodes[at + N_MAX]].join();
    const is = [runAtLow(bits[word]), runAtHigh(bits[word]), longestRun(bits[word])].join();
    if (says !== is) broken.push(`R2: leaf ${word} says ${says}, its word ${is}`);
  }
  const fresh = nodes.slice();
  for (let node = leaves - 1, half = WORD_PAGES; node > 0; node--) {
    // Nodes of a level have numbers of one length.
    half = (WORD_PAGES * leaves) / 2 ** (32 - Math.clz32(node));
    pull(fresh, node, half);
    const at = node * NODE_WORDS;
    const says = nodes.subarray(at, at + N_MAX + 1).join();
    const is = fresh.subarray(at, at + N_MAX + 1).join();
    if (says !== is) broken.push(`R3: node ${node} says ${says}, its halves ${is}`);
  }
  if (free !== count[0]) broken.push(`R4: ${free} bits are free, ${count[0]} are counted`);
  return broken;
}
