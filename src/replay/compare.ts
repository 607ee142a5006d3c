/**
 * A memory against a snapshot: every free list and per-CPU list in order, the
 * types of all pageblocks, and how many blocks each order has.
 */
import {
  EXTENT,
  FREE,
  freeHead,
  KIND_MASK,
  type Memory,
  ORDER_MASK,
  PCP_LISTS,
  pfnOf,
  rowOf,
  Z_BLOCKS,
  ZONE_WORDS,
} from "../mm/memory.ts";
import { TYPE_COUNT } from "../mm/rule.ts";
import type { ListSnapshot } from "./snapshot.ts";
import type { StartState } from "./start-state.ts";

export interface ListDifference {
  /** "free" lists by order and type, "pcp" lists by CPU and list number. */
  readonly kind: "free" | "pcp";
  readonly zone: number;
  readonly a: number;
  readonly b: number;
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

export interface ListCount {
  /** Lists that are not empty on one side or both. */
  readonly lists: number;
  readonly equal: number;
  /** Of those that are not equal: the same pages in another order. */
  readonly sameSet: number;
}

/** Pages on free lists, whatever their order. */
export interface FreePages {
  readonly ours: number;
  readonly recorded: number;
  readonly both: number;
}

export interface Comparison {
  /** These three are null where the kernel's own lists were not told on both sides. */
  readonly free: ListCount | null;
  readonly pcp: ListCount | null;
  readonly pageblocks: { readonly blocks: number; readonly equal: number } | null;
  /** Null where the lists tell more. */
  readonly freePages: FreePages | null;
  /** Number of free blocks of every zone and order. */
  readonly buddyinfoEqual: boolean;
  readonly firstDifference: ListDifference | null;
}

/** `exact`: the lists that the memory started from were the kernel's own. */
export function compareWith(state: StartState, snap: ListSnapshot, exact = true): Comparison {
  if (!exact || !snap.exact) {
    return {
      free: null,
      pcp: null,
      pageblocks: null,
      freePages: compareFreePages(state, snap),
      buddyinfoEqual: isBuddyinfoEqual(state, snap),
      firstDifference: null,
    };
  }
  const free = compareLists(state, "free", freeLists(state, snap));
  const pcp = compareLists(state, "pcp", stockLists(state, snap));
  return {
    free: free.count,
    pcp: pcp.count,
    pageblocks: comparePageblocks(state, snap),
    freePages: null,
    buddyinfoEqual: isBuddyinfoEqual(state, snap),
    firstDifference: free.first ?? pcp.first,
  };
}

/** Everything that was compared is alike. */
export function isSame({ free, pcp, freePages, buddyinfoEqual }: Comparison): boolean {
  const pages =
    freePages === null || freePages.both === Math.max(freePages.ours, freePages.recorded);
  const lists = [free, pcp].every((count) => count === null || count.equal === count.lists);
  return lists && pages && buddyinfoEqual;
}

/** Recorded pfns by "zone a b". */
type Lists = ReadonlyMap<string, readonly number[]>;

function freeLists({ typeOf, zoneNumber }: StartState, snap: ListSnapshot): Lists {
  const lists = new Map<string, readonly number[]>();
  for (const { node, index, order, type, pfns } of snap.free) {
    lists.set(`${zoneNumber(node, index)} ${order} ${typeOf(type)}`, pfns);
  }
  return lists;
}

function stockLists({ zoneNumber }: StartState, snap: ListSnapshot): Lists {
  const lists = new Map<string, readonly number[]>();
  for (const { node, index, cpu, list, pfns } of snap.pcp) {
    lists.set(`${zoneNumber(node, index)} ${cpu} ${list}`, pfns);
  }
  return lists;
}

/** pfns of a list of ours, head first. */
export function listOf(
  { m }: StartState,
  kind: "free" | "pcp",
  zone: number,
  a: number,
  b: number,
): number[] {
  const stock = m.pcpHeads + (zone * m.cpuCount + a) * PCP_LISTS + b;
  const head = kind === "free" ? freeHead(zone, b, a) : stock;
  const pfns: number[] = [];
  for (let row = m.next[head]; row !== head; row = m.next[row]) pfns.push(pfnOf(m, row));
  return pfns;
}

function compareLists(
  state: StartState,
  kind: "free" | "pcp",
  recorded: Lists,
): { count: ListCount; first: ListDifference | null } {
  const { m } = state;
  const [tops, subs] = kind === "free" ? [m.maxOrder + 1, TYPE_COUNT] : [m.cpuCount, PCP_LISTS];
  let lists = 0;
  let equal = 0;
  let sameSet = 0;
  let first: ListDifference | null = null;
  for (let zone = 0; zone < m.zoneCount; zone++) {
    for (let a = 0; a < tops; a++) {
      for (let b = 0; b < subs; b++) {
        const ours = listOf(state, kind, zone, a, b);
        const theirs = recorded.get(`${zone} ${a} ${b}`) ?? [];
        if (ours.length === 0 && theirs.length === 0) continue;
        lists++;
        if (sameOrder(ours, theirs)) equal++;
        else {
          first ??= { kind, zone, a, b, ours, theirs };
          if (sameOrder(ours.toSorted(byNumber), theirs.toSorted(byNumber))) sameSet++;
        }
      }
    }
  }
  return { count: { lists, equal, sameSet }, first };
}

const byNumber = (a: number, b: number): number => a - b;

function sameOrder(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((pfn, i) => pfn === b[i]);
}

function comparePageblocks(
  { m, typeOf }: StartState,
  snap: ListSnapshot,
): { blocks: number; equal: number } {
  let blocks = 0;
  let equal = 0;
  for (const { pfn, types } of snap.blocks) {
    for (const [i, type] of types.entries()) {
      const row = rowOf(m, pfn + (i << m.pageblockOrder));
      if (row < 0) continue;
      blocks++;
      if (m.blockType[row >> m.pageblockOrder] === typeOf(type)) equal++;
    }
  }
  return { blocks, equal };
}

function compareFreePages({ m }: StartState, snap: ListSnapshot): FreePages {
  let ours = 0;
  for (let zone = 0; zone < m.zoneCount; zone++) {
    for (let order = 0; order <= m.maxOrder; order++) {
      ours += m.zone[zone * ZONE_WORDS + Z_BLOCKS + order] << order;
    }
  }
  let recorded = 0;
  let both = 0;
  const isFree = freeFrames(m);
  for (const { order, pfns } of snap.free) {
    recorded += pfns.length << order;
    for (const pfn of pfns) {
      const row = rowOf(m, pfn);
      for (let i = 0; i < 1 << order; i++) both += isFree[row + i] ?? 0;
    }
  }
  return { ours, recorded, both };
}

/** 1 for each row inside a free block. */
function freeFrames(m: Memory): Uint8Array {
  const frames = new Uint8Array(m.rows);
  for (let row = m.firstRow; row < m.rows; ) {
    const state = m.state[row];
    const kind = state & KIND_MASK;
    if (kind !== FREE && kind !== EXTENT) {
      row++;
      continue;
    }
    const end = kind === EXTENT ? m.next[row + 1] : row + (1 << (state & ORDER_MASK));
    frames.fill(1, row, end);
    row = end;
  }
  return frames;
}

function isBuddyinfoEqual({ m, zoneNumber }: StartState, snap: ListSnapshot): boolean {
  const counts = new Int32Array(m.zoneCount * (m.maxOrder + 1));
  for (const { node, index, order, pfns } of snap.free) {
    counts[zoneNumber(node, index) * (m.maxOrder + 1) + order] += pfns.length;
  }
  return counts.every((count, i) => {
    const zone = Math.floor(i / (m.maxOrder + 1));
    const order = i % (m.maxOrder + 1);
    return m.zone[zone * ZONE_WORDS + Z_BLOCKS + order] === count;
  });
}
