/**
 * Which pageblock has which migratetype, where only sums are told: how many
 * pageblocks of a zone have a type, and how many free blocks of each order lie
 * on each type's lists. A first guess goes by what the pages are used for; then
 * pairs of pageblocks swap their types as long as that brings the sums closer.
 *
 * Linux: pagetypeinfo_showblockcount(), pagetypeinfo_showfree_print(), mm/vmstat.c
 */
import { MOVABLE, RECLAIMABLE, UNMOVABLE } from "../mm/rule.ts";
import type { BlockUse, FreeBlock } from "./free-blocks.ts";

export interface TypeSums {
  /** Pageblocks by type. */
  readonly blocks: readonly number[];
  /** Free blocks by type, then by order. */
  readonly free: readonly (readonly number[])[];
}

/** A group of pageblocks that look alike to the sums. */
interface Group {
  readonly free: readonly number[];
  /** Those of each type; the last one changes first. */
  readonly byType: BlockUse[][];
}

/** Swaps are tried until none helps, at most so often. */
const MOST_SWAPS = 400;

/** Type of each pageblock of `uses`; `sums` are of exactly these. */
export function pageblockTypes(
  uses: readonly BlockUse[],
  free: readonly FreeBlock[],
  sums: TypeSums,
  pageblockOrder: number,
): Map<number, number> {
  const guess = firstGuess(uses, sums.blocks);
  const vectors = freeByBlock(free, sums, pageblockOrder);
  const none = sums.free[0]?.map(() => 0) ?? [];
  const groups = new Map<string, Group>();
  // The likeliest to change its type is the last of its group: a full kernel one, or a full movable one.
  for (const use of [...uses].sort((a, b) => bias(a) - bias(b))) {
    const vector = vectors.get(use.block) ?? none;
    const key = vector.join();
    let group = groups.get(key);
    if (group === undefined) {
      group = { free: vector, byType: sums.blocks.map(() => []) };
      groups.set(key, group);
    }
    const type = guess.get(use.block) ?? MOVABLE;
    if (type === MOVABLE) group.byType[type]?.push(use);
    else group.byType[type]?.unshift(use);
  }
  swapTypes([...groups.values()], sums);
  const types = new Map<number, number>();
  for (const { byType } of groups.values()) {
    for (const [type, own] of byType.entries()) for (const { block } of own) types.set(block, type);
  }
  return types;
}

/** Kernel pages make a pageblock unmovable, slabs reclaimable; the rest of the sums is movable. */
function firstGuess(
  uses: readonly BlockUse[],
  wanted: readonly number[],
): ReadonlyMap<number, number> {
  const guess = new Map<number, number>();
  const left = [...uses].sort((a, b) => bias(b) - bias(a));
  const others = wanted.reduce((sum, count, type) => sum + (type === MOVABLE ? 0 : count), 0);
  const fixed = left.slice(0, others).sort((a, b) => share(b) - share(a));
  let at = 0;
  for (const type of [RECLAIMABLE, UNMOVABLE, ...wanted.keys()]) {
    const before = [...guess.values()].filter((own) => own === type).length;
    if (type === MOVABLE) continue;
    for (let i = before; i < (wanted[type] ?? 0) && at < fixed.length; i++, at++) {
      guess.set(fixed[at].block, type);
    }
  }
  return guess;
}

const bias = ({ kernel, movable }: BlockUse): number => kernel - movable;
const share = ({ slab, kernel }: BlockUse): number => (kernel === 0 ? 0 : slab / kernel);

function freeByBlock(
  free: readonly FreeBlock[],
  sums: TypeSums,
  pageblockOrder: number,
): Map<number, number[]> {
  const orders = sums.free[0]?.length ?? 0;
  const vectors = new Map<number, number[]>();
  for (const { pfn, order } of free) {
    const block = Math.floor(pfn / 2 ** pageblockOrder);
    let vector = vectors.get(block);
    if (vector === undefined) {
      vector = new Array<number>(orders).fill(0);
      vectors.set(block, vector);
    }
    vector[order]++;
  }
  return vectors;
}

/** The best swap again and again. Cost: groups squared, which are few: most pageblocks are free or full. */
function swapTypes(groups: readonly Group[], sums: TypeSums): void {
  const off = sums.free.map((row, type) =>
    row.map((want, order) => {
      let have = 0;
      for (const { free, byType } of groups) have += free[order] * (byType[type]?.length ?? 0);
      return have - want;
    }),
  );
  for (let swaps = 0; swaps < MOST_SWAPS; swaps++) {
    const best = bestSwap(groups, off);
    if (best === null) return;
    const { a, b, from, to } = best;
    const first = a.byType[from].pop();
    const second = b.byType[to].pop();
    if (first === undefined || second === undefined) return;
    a.byType[to].push(first);
    b.byType[from].push(second);
    for (const order of a.free.keys()) {
      const moved = a.free[order] - b.free[order];
      off[from][order] -= moved;
      off[to][order] += moved;
    }
  }
}

interface Swap {
  readonly a: Group;
  readonly b: Group;
  readonly from: number;
  readonly to: number;
}

function bestSwap(groups: readonly Group[], off: readonly (readonly number[])[]): Swap | null {
  let best: Swap | null = null;
  let gain = 0;
  for (const a of groups) {
    for (const b of groups) {
      if (a === b) continue;
      for (let from = 0; from < off.length; from++) {
        if (a.byType[from].length === 0) continue;
        for (let to = from + 1; to < off.length; to++) {
          if (b.byType[to].length === 0) continue;
          const own = gainOf(a, b, off[from], off[to]);
          if (own > gain) {
            gain = own;
            best = { a, b, from, to };
          }
        }
      }
    }
  }
  return best;
}

function gainOf(a: Group, b: Group, from: readonly number[], to: readonly number[]): number {
  let gain = 0;
  for (let order = 0; order < from.length; order++) {
    const moved = a.free[order] - b.free[order];
    if (moved === 0) continue;
    gain += Math.abs(from[order]) + Math.abs(to[order]);
    gain -= Math.abs(from[order] - moved) + Math.abs(to[order] + moved);
  }
  return gain;
}

/**
 * The blocks by type and order, ascending. A block may lie on another list than its pageblock's:
 * where a list would be longer than told and another of that order shorter, its last ones move.
 */
export function matchLists(
  blocks: readonly FreeBlock[],
  typeOf: (block: FreeBlock) => number,
  told: readonly (readonly number[])[],
): number[][][] {
  const lists = told.map((row) => row.map((): number[] => []));
  for (const block of blocks) lists[typeOf(block)]?.[block.order]?.push(block.pfn);
  for (const order of told[0]?.keys() ?? []) {
    for (const [to, want] of told.entries()) {
      const short = lists[to][order];
      for (const [from, row] of told.entries()) {
        const long = lists[from][order];
        while (short.length < want[order] && long.length > row[order]) {
          short.push(long.pop() ?? 0);
        }
      }
      short.sort((a, b) => a - b);
    }
  }
  return lists;
}
