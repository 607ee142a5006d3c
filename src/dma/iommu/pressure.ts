/**
 * Why an address space has no place for a block: who holds it. Asked when a
 * request was refused; walks all ranges.
 */
import type { FlushQueue } from "./flush-queue.ts";
import { waitingPages } from "./flush-queue.ts";
import {
  IOVA_KNOWN_FULL,
  IOVA_NO_ROW,
  type IovaDomain,
  lastRefusal,
  powerOfTwoFrom,
} from "./iova-domain.ts";
import { ANCHOR, NONE, rangeAt } from "./range-tree.ts";

/** Pages up to a limit, by who has them. */
export interface IovaPressure {
  readonly pages: number;
  /** Mapped by somebody, or reserved. */
  readonly taken: number;
  /** Freed, but kept in the caches of CPUs for blocks of the same size. */
  readonly cached: number;
  /** Unmapped, waiting for a flush of the IOTLB. */
  readonly waiting: number;
  readonly free: number;
  /** Longest run of free pages, and the largest power of two that fits aligned. */
  readonly longestRun: number;
  readonly largestBlock: number;
}

/** The state up to page `limitPfn`, inclusive. */
export function iovaPressure(
  d: IovaDomain,
  queue: FlushQueue | null,
  limitPfn: number,
): IovaPressure {
  const { tree } = d;
  let taken = 0;
  let longestRun = 0;
  let largestBlock = 0;
  let end = limitPfn + 1;
  const gap = (from: number, to: number): void => {
    longestRun = Math.max(longestRun, to - from);
    for (let size = powerOfTwoFrom(to - from + 1); size > largestBlock; size /= 2) {
      const lo = Math.floor((to - size) / size) * size;
      if (lo >= from && lo + size <= to) largestBlock = size;
    }
  };
  for (let row = tree.prev[ANCHOR]; row !== NONE; row = tree.prev[row]) {
    if (tree.lo[row] > limitPfn) continue;
    const hi = Math.min(tree.hi[row], limitPfn);
    taken += hi - tree.lo[row] + 1;
    if (hi + 1 < end) gap(hi + 1, end);
    end = tree.lo[row];
  }
  if (end > d.startPfn) gap(d.startPfn, end);
  const cached = cachedPages(d, limitPfn);
  const waiting = queue === null ? 0 : waitingPages(queue);
  const pages = Math.max(0, limitPfn + 1 - d.startPfn);
  return {
    pages,
    taken: taken - cached - waiting,
    cached,
    waiting,
    free: pages - taken,
    longestRun,
    largestBlock,
  };
}

function cachedPages(d: IovaDomain, limitPfn: number): number {
  const { sizes, pfns, magazines, magazineSize } = d.rcache;
  let pages = 0;
  for (let mag = 1; mag < magazines; mag++) {
    for (let i = 0; i < sizes[mag]; i++) {
      const row = rangeAt(d.tree, pfns[mag * magazineSize + i]);
      if (row !== NONE && d.tree.hi[row] <= limitPfn) {
        pages += d.tree.hi[row] - d.tree.lo[row] + 1;
      }
    }
  }
  return pages;
}

/** Why a request for `size` pages up to `limitPfn` got nothing, in a sentence. */
export function pressureWords(
  d: IovaDomain,
  queue: FlushQueue | null,
  size: number,
  limitPfn: number,
): string {
  if (lastRefusal(d) === IOVA_NO_ROW) return "no memory to write another block down";
  const { pages, taken, cached, waiting, free, longestRun, largestBlock } = iovaPressure(
    d,
    queue,
    limitPfn,
  );
  const who = `of ${pages} pages of addresses ${taken} are mapped or reserved, ${cached} in caches, ${waiting} wait for a flush`;
  if (free < size) return `address space full: ${who}, ${free} are free`;
  const known = lastRefusal(d) === IOVA_KNOWN_FULL && largestBlock >= powerOfTwoFrom(size);
  if (known)
    return `not looked for: a block of this size failed and nothing was freed since; ${who}`;
  return `address space fragmented: ${free} pages are free, the longest run ${longestRun}, the largest aligned block ${largestBlock}; ${who}`;
}
