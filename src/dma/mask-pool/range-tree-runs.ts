/**
 * The search of a range tree: the highest run of free pages below a limit. Positions
 * are bits from the tree's base on.
 */
import {
  N_HIGH,
  N_LOW,
  N_MAX,
  NODE_WORDS,
  type RangeTree,
  WORD_PAGES,
} from "./range-tree-words.ts";

/** Free pages from the lowest of a word up. */
export function runAtLow(word: number): number {
  const taken = ~word;
  return 31 - Math.clz32(taken & -taken) + (taken === 0 ? WORD_PAGES + 1 : 0);
}

/** Free pages from the highest of a word down. */
export function runAtHigh(word: number): number {
  return Math.clz32(~word);
}

export function longestRun(word: number): number {
  if (word === -1) return WORD_PAGES;
  let length = 0;
  for (let rest = word; rest !== 0; rest &= rest << 1) length++;
  return length;
}

/** Bits at which a run of `pages` free ones starts. */
function startsOf(word: number, pages: number): number {
  let starts = word;
  let left = pages - 1;
  for (let step = 1; left > 0; step *= 2) {
    const by = Math.min(step, left);
    // A shift by 32 shifts by nothing.
    starts &= by < WORD_PAGES ? starts >>> by : 0;
    left -= by;
  }
  return starts;
}

/** Word of the root's longest run. */
const ROOT_MAX = NODE_WORDS + N_MAX;

export interface Runs {
  /**
   * Start of the highest run of at least `pages` free pages in [0, limit), or -1. Of a
   * run that reaches lower only the upper part may be told: whoever finds no place in it
   * asks again with a lower limit.
   */
  below(limit: number, pages: number): number;
  /** Where the run that was found stops. */
  end(): number;
}

export function bindRuns(tree: RangeTree): Runs {
  const { leaves, bits, nodes } = tree;
  const all = leaves * WORD_PAGES;
  let found = 0;

  /** In one word, `own` being its bits up to the limit. */
  function inWord(word: number, own: number, pages: number): number {
    const starts = startsOf(own, pages);
    if (starts === 0) return -1;
    const high = 31 - Math.clz32(starts);
    found = word * WORD_PAGES + high + pages;
    return word * WORD_PAGES + high - runAtHigh(starts << (31 - high)) + 1;
  }

  /**
   * In a node that has such a run, and whose high end is none with what follows it: so a half
   * that is free all through ends no run that counts.
   */
  function inside(from: number, start: number, size: number, pages: number): number {
    let node = from;
    let base = start;
    for (let half = size / 2; node < leaves; half /= 2) {
      const left = node * 2 * NODE_WORDS;
      const right = left + NODE_WORDS;
      if (nodes[right + N_MAX] >= pages) {
        node = node * 2 + 1;
        base += half;
        continue;
      }
      if (nodes[left + N_HIGH] + nodes[right + N_LOW] >= pages) {
        found = base + half + nodes[right + N_LOW];
        return base + half - nodes[left + N_HIGH];
      }
      node *= 2;
    }
    return inWord(node - leaves, bits[node - leaves], pages);
  }

  function below(limit: number, pages: number): number {
    if (limit < pages) return -1;
    if (limit === all) return nodes[ROOT_MAX] >= pages ? inside(1, 0, all, pages) : -1;
    let node = leaves + (limit >> 5);
    let carry = 0;
    const part = limit & 31;
    if (part > 0) {
      const own = bits[limit >> 5] & ((1 << part) - 1);
      const start = pages <= part ? inWord(limit >> 5, own, pages) : -1;
      if (start >= 0) return start;
      carry = runAtLow(own);
    }
    // Each left neighbour on the way up lies wholly below what was looked at.
    let base = limit - part;
    for (let size = WORD_PAGES; node > 1; size *= 2) {
      if ((node & 1) === 1) {
        const at = (node - 1) * NODE_WORDS;
        if (nodes[at + N_HIGH] + carry >= pages) {
          found = base + carry;
          return base - nodes[at + N_HIGH];
        }
        if (nodes[at + N_MAX] >= pages) return inside(node - 1, base - size, size, pages);
        carry = nodes[at + N_LOW] === size ? size + carry : nodes[at + N_LOW];
        base -= size;
      }
      node >>= 1;
    }
    return -1;
  }

  return { below, end: () => found };
}
