/**
 * Compaction: movable pages of a zone go from its lower end to free places at its
 * upper end, until a block of the wanted order is free.
 *
 * Both scanners begin at the ends of the zone each time: where the last run stopped
 * is not remembered, nor are pageblocks that are passed over.
 *
 * Linux: compact_zone(), compaction_suitable(), compact_finished(), mm/compaction.c
 */
import { freePages } from "../allocate.ts";
import { isolateFreePage } from "../compaction.ts";
import { fragmentationIndex } from "../fragmentation.ts";
import { ALLOC_CMA } from "../gfp-alloc.ts";
import {
  COSTLY_ORDER,
  EXTENT,
  FREE,
  KIND_MASK,
  type Memory,
  ORDER_MASK,
  pfnOf,
  Z_BLOCKS,
  Z_BOOST,
  Z_INDEX,
  Z_LOW,
  Z_MIN,
  Z_ROW,
  Z_ROW_END,
  ZONE_WORDS,
  zoneOf,
} from "../memory.ts";
import { CMA, MOVABLE } from "../rule.ts";
import { hasBlock, watermarkOk } from "../zone-watermark.ts";
import { isMovable, migratePage } from "./migrate.ts";
import { DEFER_WORDS, type Pages } from "./pages.ts";

/** vm.extfrag_threshold: up to here it is memory that lacks, not order. */
const EXTFRAG_THRESHOLD = 500;

export type CompactResult =
  /** There is a block already. */
  | "success"
  /** Too few free pages to move anything to, or a lack of memory and not of order. */
  | "skipped"
  /** The whole zone was gone through, or the free pages ran out. */
  | "complete";

/** Whether moving pages of a zone can help. Linux: compaction_suitable() */
export function isSuitable(m: Memory, zone: number, order: number, highest: number): boolean {
  const at = zone * ZONE_WORDS;
  const mark = m.zone[at + (order > COSTLY_ORDER ? Z_LOW : Z_MIN)] + m.zone[at + Z_BOOST];
  if (!watermarkOk(m.zone, at, 0, mark + (2 << order), highest, ALLOC_CMA, m.marks)) return false;
  if (order <= COSTLY_ORDER) return true;
  const blocks = m.zone.subarray(at + Z_BLOCKS, at + Z_BLOCKS + m.maxOrder + 1);
  const index = fragmentationIndex(Array.from(blocks), order);
  return index < 0 || index > EXTFRAG_THRESHOLD;
}

/**
 * Compacts the zones of a list until one can serve. Returns whether one can. A run that goes through a
 * whole zone for nothing puts the next ones off, unless it was a light one (not `thorough`).
 *
 * Linux: try_to_compact_pages(), __alloc_pages_direct_compact()
 */
export function compactList(
  pages: Pages,
  order: number,
  highest: number,
  list: number,
  flags: number,
  thorough: boolean,
): boolean {
  const { m, counts } = pages;
  let tried = false;
  for (let i = list + 1; m.zonelist[i] >= 0; i++) {
    const zone = m.zonelist[i];
    const at = zone * ZONE_WORDS;
    if (m.zone[at + Z_INDEX] > highest || isDeferred(pages, zone, order)) continue;
    const result = compactZone(pages, zone, order, highest, flags);
    if (result === "skipped") continue;
    if (!tried) counts.compactStall++;
    tried = true;
    const min = m.zone[at + Z_MIN] + m.zone[at + Z_BOOST];
    if (result === "success" && watermarkOk(m.zone, at, order, min, highest, flags, m.marks)) {
      endDeferral(pages, zone, order);
      counts.compactSuccess++;
      return true;
    }
    if (result === "complete" && thorough) defer(pages, zone, order);
  }
  if (tried) counts.compactFail++;
  return false;
}

/** COMPACT_MAX_DEFER_SHIFT: of 64 tries one is made. */
const MAX_DEFER_SHIFT = 6;

/** Words of a zone in `compact`: tries since the last run, log2 of how many are put off, lowest order that failed. */
const D_CONSIDERED = 0;
const D_SHIFT = 1;
const D_FAILED = 2;

/** Linux: defer_compaction() */
function defer({ compact }: Pages, zone: number, order: number): void {
  const at = zone * DEFER_WORDS;
  compact[at + D_CONSIDERED] = 0;
  compact[at + D_SHIFT] = Math.min(compact[at + D_SHIFT] + 1, MAX_DEFER_SHIFT);
  compact[at + D_FAILED] = Math.min(compact[at + D_FAILED], order);
}

/** Linux: compaction_deferred() */
function isDeferred({ compact }: Pages, zone: number, order: number): boolean {
  const at = zone * DEFER_WORDS;
  const limit = 1 << compact[at + D_SHIFT];
  if (order < compact[at + D_FAILED]) return false;
  compact[at + D_CONSIDERED] = Math.min(compact[at + D_CONSIDERED] + 1, limit);
  return compact[at + D_CONSIDERED] < limit;
}

/** Linux: compaction_defer_reset() */
function endDeferral({ compact }: Pages, zone: number, order: number): void {
  const at = zone * DEFER_WORDS;
  compact[at + D_CONSIDERED] = 0;
  compact[at + D_SHIFT] = 0;
  compact[at + D_FAILED] = Math.max(compact[at + D_FAILED], order + 1);
}

/** Places for pages that move: taken off the free lists from the zone's upper end down. */
class FreeScanner {
  readonly #m: Memory;
  readonly #zone: number;
  /** First row of the pageblock that is looked through. */
  block: number;
  #places: number[] = [];

  constructor(m: Memory, zone: number) {
    this.#m = m;
    this.#zone = zone;
    this.block = m.zone[zone * ZONE_WORDS + Z_ROW_END] & -(1 << m.pageblockOrder);
    if (this.block === m.zone[zone * ZONE_WORDS + Z_ROW_END]) this.block -= 1 << m.pageblockOrder;
  }

  /** A taken single page above `below`, or -1. */
  next(below: number): number {
    const size = 1 << this.#m.pageblockOrder;
    while (this.#places.length === 0) {
      if (this.block <= below) return -1;
      if (!this.#fill()) return -1;
      this.block -= size;
    }
    return this.#places.pop() ?? -1;
  }

  /** What was taken and not used. */
  giveBack(): void {
    for (const row of this.#places) freePages(this.#m, pfnOf(this.#m, row), 0);
    this.#places = [];
  }

  /** Takes the free pages of a pageblock; false where the min mark forbids more. */
  #fill(): boolean {
    const m = this.#m;
    const end = this.block + (1 << m.pageblockOrder);
    const type = m.blockType[this.block >> m.pageblockOrder];
    if (type !== MOVABLE && type !== CMA) return true;
    for (let row = this.block; row < end; ) {
      const kind = m.state[row] & KIND_MASK;
      const order = m.state[row] & ORDER_MASK;
      // A whole free pageblock is what compaction is for.
      if (kind === EXTENT || (kind === FREE && order >= m.pageblockOrder)) return true;
      if (kind !== FREE || zoneOf(m, row) !== this.#zone) {
        row++;
        continue;
      }
      if (!isolateFreePage(m, row, order)) return this.#places.length > 0;
      for (let i = (1 << order) - 1; i >= 0; i--) this.#places.push(row + i);
      row += 1 << order;
    }
    return true;
  }
}

/**
 * Compacts one zone for a block of `order`; for -1 all of it. Linux: compact_zone(), mm/compaction.c
 */
export function compactZone(
  pages: Pages,
  zone: number,
  order: number,
  highest = 15,
  flags = 0,
): CompactResult {
  const { m } = pages;
  const at = zone * ZONE_WORDS;
  if (!pages.migration) return "skipped";
  if (order >= 0) {
    if (hasBlock(m.zone, at, order, flags)) return "success";
    if (!isSuitable(m, zone, order, Math.min(highest, 7))) return "skipped";
  }
  const size = 1 << m.pageblockOrder;
  const places = new FreeScanner(m, zone);
  let result: CompactResult = "complete";
  for (let block = m.zone[at + Z_ROW] & -size; block < places.block; block += size) {
    const type = m.blockType[block >> m.pageblockOrder];
    if (type !== MOVABLE && type !== CMA) continue;
    if (!emptyBlock(pages, zone, block, places)) break;
    if (order >= 0 && hasBlock(m.zone, at, order, flags)) {
      result = "success";
      break;
    }
  }
  places.giveBack();
  if (order >= 0 && hasBlock(m.zone, at, order, flags)) result = "success";
  return result;
}

/** Moves what it can out of a pageblock; false when there are no more places. */
function emptyBlock(pages: Pages, zone: number, block: number, places: FreeScanner): boolean {
  const { m } = pages;
  const end = block + (1 << m.pageblockOrder);
  for (let row = block; row < end; row++) {
    if (m.state[row] === 0 || (m.state[row] & ORDER_MASK) !== 0) continue;
    if (!isMovable(pages, row) || zoneOf(m, row) !== zone) continue;
    const to = places.next(block);
    if (to < 0) return false;
    if (!migratePage(pages, row, to)) freePages(m, pfnOf(m, to), 0);
  }
  return true;
}
