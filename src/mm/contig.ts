/**
 * A range of pages that a caller names itself: CMA areas are lent to movable
 * requests until their owner wants them back, and huge pages beyond the largest
 * block are put together from what lies side by side.
 *
 *   1. `beginContig`  isolates the range's pageblocks and empties the per-CPU lists
 *   2. whoever has pages in the range moves them away
 *   3. `takeContig`   takes the range off the free lists, with what whole blocks reach beyond it
 *   4. the caller frees what he did not ask for, `endContig` opens the pageblocks again
 *
 * Linux: alloc_contig_range(), mm/page_alloc.c; cma_init_reserved_areas(), mm/cma.c
 */
import { assert } from "../base/assert.ts";
import { freePages } from "./allocate.ts";
import { unlink } from "./buddy.ts";
import { drainZone } from "./drain-all.ts";
import { type IsFit, isHole, isolateBlocks, largeBuddy, restoreBlocks } from "./isolate.ts";
import { lockZone, unlockZone } from "./lock.ts";
import {
  FREE,
  KIND_MASK,
  type Memory,
  ORDER_MASK,
  pfnOf,
  rowOf,
  TAKEN,
  Z_CMA,
  Z_MANAGED,
  Z_PRESENT,
  ZONE_WORDS,
  zoneOf,
} from "./memory.ts";
import { plugLent, reachOver, zoneToBe } from "./plugged.ts";
import { countPages } from "./queue.ts";
import { CMA } from "./rule.ts";
import { C_ISOLATED_FROM, C_ISOLATED_TO, C_ISOLATED_TYPE, lineOf } from "./share-words.ts";

/** Pages that were taken: the range, and what its first and last block reach beyond it. */
export interface Contig {
  readonly pfn: number;
  readonly pages: number;
}

/**
 * Takes `pages` from `pfn` on, all of one zone, whose pageblocks are of `type`. Returns false,
 * with no page taken, when one of them is not free: moving pages is their owners' business.
 */
export function allocContigRange(m: Memory, pfn: number, pages: number, type: number): boolean {
  if (!beginContig(m, pfn, pages, type)) return false;
  const taken = takeContig(m, pfn, pages);
  if (taken !== null) {
    for (let at = taken.pfn; at < pfn; at++) freePages(m, at, 0);
    for (let at = pfn + pages; at < taken.pfn + taken.pages; at++) freePages(m, at, 0);
  }
  endContig(m, pfn, pages, type);
  return taken !== null;
}

/**
 * Returns false, with nothing isolated, when the range is isolated already or reaches out of its zone,
 * or `isFit` refuses the rows of a pageblock. Asserts that range and type are such.
 */
export function beginContig(
  m: Memory,
  pfn: number,
  pages: number,
  type: number,
  isFit: IsFit | null = null,
): boolean {
  assert(Number.isSafeInteger(pfn), "a range starts at a pfn", pfn);
  assert(Number.isSafeInteger(pages) && pages > 0, "a range has pages", pages);
  assert(type >>> 0 === type && type <= CMA, "no mobility type of a pageblock", type);
  const { from, to } = blocksOf(m, pfn, pages);
  if (from < m.firstRow || to > m.rows) return false;
  const zone = zoneOf(m, from);
  if (zone < 0 || !isOneZone(m, zone, from, to)) return false;
  lockZone(m, zone);
  const isOurs = noteIsolated(m, from, to, type) && isolateBlocks(m, from, to, type, isFit);
  if (!isOurs) forgetIsolated(m, from);
  unlockZone(m, zone);
  if (isOurs) drainZone(m, zone);
  return isOurs;
}

/** Whether pageblocks are all of the zone: its lock is for its own lists only. */
function isOneZone(m: Memory, zone: number, from: number, to: number): boolean {
  for (let start = from; start < to; start += 1 << m.pageblockOrder) {
    if (zoneOf(m, start) !== zone) return false;
  }
  return true;
}

/**
 * In a shared memory each CPU says which pageblocks it isolates, so that `recover` can open them again.
 * False where another has some of them.
 */
function noteIsolated(m: Memory, from: number, to: number, type: number): boolean {
  const { cpus } = m;
  if (cpus === null) return true;
  for (let cpu = 0; cpu < m.cpuCount; cpu++) {
    const line = lineOf(cpu);
    if (cpus[line + C_ISOLATED_TYPE] === 0) continue;
    assert(cpu !== m.cpu, "one range at a time for each CPU of a shared memory");
    if (cpus[line + C_ISOLATED_FROM] < to && from < cpus[line + C_ISOLATED_TO]) return false;
  }
  const own = lineOf(m.cpu);
  cpus[own + C_ISOLATED_FROM] = from;
  cpus[own + C_ISOLATED_TO] = to;
  cpus[own + C_ISOLATED_TYPE] = type + 1;
  return true;
}

function forgetIsolated(m: Memory, from: number): void {
  const { cpus } = m;
  if (cpus === null) return;
  const own = lineOf(m.cpu);
  if (cpus[own + C_ISOLATED_FROM] === from) cpus[own + C_ISOLATED_TYPE] = 0;
}

/** Between `beginContig` and `endContig`. Null, with nothing taken, when a page of the range is not free. */
export function takeContig(m: Memory, pfn: number, pages: number): Contig | null {
  const start = rowOf(m, pfn);
  const zone = zoneOf(m, start);
  lockZone(m, zone);
  const first = largeBuddy(m, start);
  const end = endOfFree(m, first, start + pages);
  for (let row = first; row < end; ) {
    const order = m.state[row] & ORDER_MASK;
    countPages(m, zone, row, -(1 << order));
    unlink(m, zone, row, order);
    // Whose it is first: a page that is taken must be somebody's, whenever this worker dies.
    if (m.cpus !== null) m.owner.fill((m.cpu + 1) << 8, row, row + (1 << order));
    m.state.fill(TAKEN, row, row + (1 << order));
    row += 1 << order;
  }
  unlockZone(m, zone);
  return end < 0 ? null : { pfn: pfnOf(m, first), pages: end - first };
}

/** Row after the free blocks that cover `first` to `stop`; -1 when one of them is not free. */
function endOfFree(m: Memory, first: number, stop: number): number {
  let end = first;
  while (end < stop) {
    if ((m.state[end] & KIND_MASK) !== FREE) return -1;
    end += 1 << (m.state[end] & ORDER_MASK);
  }
  return end;
}

export function endContig(m: Memory, pfn: number, pages: number, type: number): void {
  const { from, to } = blocksOf(m, pfn, pages);
  const zone = zoneOf(m, from);
  lockZone(m, zone);
  restoreBlocks(m, from, to, type);
  forgetIsolated(m, from);
  unlockZone(m, zone);
}

/** Rows of the pageblocks that hold a range. */
function blocksOf(m: Memory, pfn: number, pages: number): { from: number; to: number } {
  const size = 1 << m.pageblockOrder;
  const row = rowOf(m, pfn);
  return { from: row & -size, to: (row + pages + size - 1) & -size };
}

/**
 * Makes whole pageblocks a CMA area, lent to movable requests from now on. They must lie in a hole of
 * a zone, between its pages or at either end: asserted, before any is lent. Linux: init_cma_reserved_pageblock(), mm/mm_init.c
 */
export function lendCma(m: Memory, pfn: number, pages: number): void {
  const size = 1 << m.pageblockOrder;
  assert(
    pages > 0 && pfn % size === 0 && pages % size === 0,
    "a CMA area is whole pageblocks",
    pfn,
  );
  for (let at = pfn; at < pfn + pages; at += size) {
    const isFree = zoneToBe(m, at) >= 0 && isHole(m, rowOf(m, at));
    assert(isFree, "a CMA area lies in a hole within a zone", at);
  }
  for (let at = pfn; at < pfn + pages; at += size) {
    const row = rowOf(m, at);
    const zone = zoneToBe(m, at);
    const words = zone * ZONE_WORDS;
    lockZone(m, zone);
    reachOver(m, zone, row);
    m.touched[row >> m.sectionShift] = 1;
    m.blockType[row >> m.pageblockOrder] = CMA;
    plugLent(m, row);
    if (m.cpus !== null) m.owner[row] = ((m.cpu + 1) << 8) | m.pageblockOrder;
    m.state[row] = TAKEN | m.pageblockOrder;
    // A hole until now, as all that nobody may allocate.
    m.zone[words + Z_PRESENT] += size;
    m.zone[words + Z_MANAGED] += size;
    m.zone[words + Z_CMA] += size;
    unlockZone(m, zone);
    freePages(m, at, m.pageblockOrder);
  }
}
