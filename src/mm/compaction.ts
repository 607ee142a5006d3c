/**
 * Compaction's searches of the free lists: both scanners look there before they
 * walk pageblocks, and both reorder the lists they looked through, so that the next
 * search sees other blocks. That moves later allocations even where nothing is found.
 *
 *   free scanner      from the lists' tails, for a block in the upper part of what is left to scan
 *   migrate scanner   from the heads of large orders, for a pageblock that is partly free already
 *
 * Linux: fast_isolate_freepages(), fast_find_migrateblock(), mm/compaction.c
 */
import { unlink } from "./buddy.ts";
import { ALLOC_CMA } from "./gfp-alloc.ts";
import {
  COSTLY_ORDER,
  freeHead,
  type Memory,
  pfnOf,
  TAKEN,
  Z_BLOCKS,
  Z_MIN,
  ZONE_WORDS,
  zoneOf,
} from "./memory.ts";
import { countPages } from "./queue.ts";
import { ISOLATE, MOVABLE, PCP_TYPES } from "./rule.ts";
import { watermarkOk } from "./zone-watermark.ts";

/** One run over a zone. Linux: struct compact_control */
export interface CompactControl {
  readonly zone: number;
  readonly zoneStart: number;
  /** What the run is for; at most 0 for the whole of memory. */
  order: number;
  /** A request's own run, not kcompactd's. */
  readonly direct: boolean;
  /** It is for movable pages. */
  readonly movable: boolean;
  ignoreSkipHint: boolean;
  freePfn: number;
  migratePfn: number;
  /** Order that the free scanner's next search begins with. */
  searchOrder: number;
  /** Searches since one found something. */
  searchFails: number;
  /** Lowest pageblock that the migrate scanner found; 0 for none, -1 when it is used up. */
  fastStart: number;
  /** Pages that wait for a place, and places that wait for pages: the last is taken first. */
  migratePages: number;
  readonly places: number[];
  /** Told of each free block that is taken. */
  readonly taken: ((row: number, order: number) => void) | null;
}

/** Of a zone, between runs: pfns at which scanners go on. Linux: struct zone, include/linux/mmzone.h */
export interface CompactZone {
  /** Where both begin after a reset. Linux: compact_init_free_pfn, compact_init_migrate_pfn */
  initFree: number;
  initMigrate: number;
  /** The free scanner's. Linux: compact_cached_free_pfn */
  cachedFree: number;
  /** The migrate scanner's in runs that never wait, and in others. Linux: compact_cached_migrate_pfn[] */
  cachedAsync: number;
  cachedSync: number;
}

/** What the words say before a run has been. */
export function newCompactZone(): CompactZone {
  return { initFree: 0, initMigrate: 0, cachedFree: 0, cachedAsync: 0, cachedSync: 0 };
}

/** COMPACT_CLUSTER_MAX */
export const COMPACT_CLUSTER = 32;

/** Blocks that a search looks at. Linux: freelist_scan_limit() */
function scanLimit({ searchFails }: CompactControl): number {
  return (searchFails > 31 ? 0 : COMPACT_CLUSTER >> searchFails) + 1;
}

/**
 * Takes a free block off its list, to be a place that pages move to. Returns
 * false where the min mark forbids it. Linux: __isolate_free_page(), mm/page_alloc.c
 */
export function isolateFreePage(m: Memory, row: number, order: number): boolean {
  const zone = zoneOf(m, row);
  const at = zone * ZONE_WORDS;
  if (m.blockType[row >> m.pageblockOrder] !== ISOLATE) {
    const mark = m.zone[at + Z_MIN] + (1 << order);
    if (!watermarkOk(m.zone, at, 0, mark, 0, ALLOC_CMA, m.marks)) return false;
  }
  takeFreePage(m, row, order);
  return true;
}

/** The same, whatever the mark. The block becomes single taken pages. Under the zone's lock. */
export function takeFreePage(m: Memory, row: number, order: number): void {
  const zone = zoneOf(m, row);
  unlink(m, zone, row, order);
  countPages(m, zone, row, -(1 << order));
  // Half a pageblock or more at once makes it movable.
  if (order >= m.pageblockOrder - 1) {
    const last = (row + (1 << order) - 1) >> m.pageblockOrder;
    for (let block = row >> m.pageblockOrder; block <= last; block++) {
      if (m.blockType[block] < PCP_TYPES) m.blockType[block] = MOVABLE;
    }
  }
  // Whose they are first: a page that is taken must be somebody's, whenever this worker dies.
  if (m.cpus !== null) m.owner.fill((m.cpu + 1) << 8, row, row + (1 << order));
  m.state.fill(TAKEN, row, row + (1 << order));
}

/** What was queued before `row` goes behind; nothing when `row` is the list itself. Linux: move_freelist_head() */
export function moveFreelistHead(m: Memory, list: number, row: number): void {
  const { next, prev } = m;
  const first = next[list];
  if (first === row || row === list) return;
  const last = prev[list];
  const before = prev[row];
  next[last] = first;
  prev[first] = last;
  next[list] = row;
  prev[row] = list;
  next[before] = list;
  prev[list] = before;
}

/** `row` becomes the last: what was queued up to it goes behind the rest. Linux: move_freelist_tail() */
function moveFreelistTail(m: Memory, list: number, row: number): void {
  if (m.prev[list] !== row) moveFreelistHead(m, list, m.next[row]);
}

/** Linux: next_search_order() */
function nextSearchOrder(cc: CompactControl, order: number): number {
  const next = order > 0 ? order - 1 : cc.order - 1;
  if (next !== cc.searchOrder) return next;
  cc.searchOrder--;
  if (cc.searchOrder < 0) cc.searchOrder = cc.order - 1;
  return -1;
}

/**
 * The free scanner's look at the lists. Returns the pfn around which it goes on to scan:
 * a block that it took, or the best place it saw; -1 for none.
 *
 * Linux: fast_isolate_freepages(), mm/compaction.c
 */
export function fastIsolateFreepages(m: Memory, cc: CompactControl, state: CompactZone): number {
  if (cc.order <= 0) return -1;
  let limit = Math.max(1, scanLimit(cc) >> 1);
  const fromStart = cc.freePfn >= state.initFree;
  if (fromStart) limit = 1 << (m.pageblockOrder - 1);
  const distance = cc.freePfn - cc.migratePfn;
  const lowPfn = blockStart(m, cc.freePfn - Math.floor(distance / 4));
  const minPfn = blockStart(m, cc.freePfn - Math.floor(distance / 2));
  let highest = 0;
  let found = -1;
  cc.searchOrder = Math.min(cc.order - 1, cc.searchOrder);
  for (let order = cc.searchOrder; found < 0 && order >= 0; order = nextSearchOrder(cc, order)) {
    if (m.zone[cc.zone * ZONE_WORDS + Z_BLOCKS + order] === 0) continue;
    const list = freeHead(cc.zone, MOVABLE, order);
    let scanned = 0;
    let best = 0;
    let bestRow = -1;
    let row = m.prev[list];
    for (; row !== list; row = m.prev[row]) {
      scanned++;
      const pfn = pfnOf(m, row);
      if (pfn >= highest) highest = Math.max(blockStart(m, pfn), cc.zoneStart);
      if (pfn >= lowPfn) {
        cc.searchFails = 0;
        cc.searchOrder = order;
        found = row;
        break;
      }
      if (pfn >= minPfn && pfn > best) {
        best = pfn;
        bestRow = row;
        limit >>= 1;
      }
      if (scanned >= limit) break;
    }
    if (found < 0 && bestRow >= 0) {
      found = bestRow;
      row = bestRow;
    }
    moveFreelistHead(m, list, row);
    if (found >= 0) {
      if (isolateFreePage(m, found, order)) {
        addPlaces(cc, pfnOf(m, found), 1 << order);
        cc.taken?.(found, order);
      } else {
        found = -1;
        order = cc.searchOrder + 1;
      }
    }
    if (scanned >= limit) limit = Math.max(1, limit >> 1);
  }
  let seen = found < 0 ? -1 : pfnOf(m, found);
  if (found < 0) {
    cc.searchFails++;
    if (fromStart && (highest >= minPfn || cc.direct)) {
      cc.freePfn = Math.max(highest, minPfn);
      seen = cc.freePfn;
    }
  }
  // The next run begins below the highest block that there is.
  if (highest > 0 && highest >= state.cachedFree) {
    state.cachedFree = highest - 2 ** m.pageblockOrder;
  }
  return seen;
}

/** Places are handed out from the last page of the last block on. Linux: split_map_pages() */
export function addPlaces(cc: CompactControl, pfn: number, pages: number): void {
  for (let i = 0; i < pages; i++) cc.places.push(pfn + i);
}

/** What a look of the migrate scanner came to. */
export interface BlockSearch {
  /** The block that was found, or where the look ended; -1 for nowhere. */
  readonly row: number;
  /** Head of the list that it is on. */
  readonly list: number;
  readonly found: boolean;
}

/**
 * The migrate scanner's look at the lists, with nothing changed yet; null where it does not look.
 *
 * Linux: fast_find_migrateblock(), mm/compaction.c
 */
export function findMigrateblock(
  m: Memory,
  cc: CompactControl,
  skip: Uint8Array,
): BlockSearch | null {
  const from = cc.migratePfn;
  if (cc.ignoreSkipHint || cc.order <= COSTLY_ORDER) return null;
  if (from !== cc.zoneStart && from !== blockStart(m, from)) return null;
  if (cc.direct && !cc.movable) return null;
  let distance = Math.floor((cc.freePfn - from) / 2);
  if (from !== cc.zoneStart) distance = Math.floor(distance / 4);
  const end = blockStart(m, from + distance);
  const limit = scanLimit(cc);
  let scanned = 0;
  for (let order = cc.order - 1; order >= COSTLY_ORDER && scanned < limit; order--) {
    if (m.zone[cc.zone * ZONE_WORDS + Z_BLOCKS + order] === 0) continue;
    const list = freeHead(cc.zone, MOVABLE, order);
    for (let row = m.next[list]; row !== list; row = m.next[row]) {
      if (scanned++ >= limit) return { row, list, found: false };
      if (pfnOf(m, row) >= end || skip[row >> m.pageblockOrder] === 1) continue;
      return { row, list, found: true };
    }
  }
  return { row: -1, list: -1, found: false };
}

/** What such a look changes. The scanner goes on at the block whose pfn is returned; where that is -1, at `migratePfn`. */
export function applySearch(
  m: Memory,
  cc: CompactControl,
  skip: Uint8Array,
  { row, list, found }: BlockSearch,
): number {
  if (row >= 0) moveFreelistTail(m, list, row);
  if (found) {
    const pfn = pfnOf(m, row);
    if (cc.fastStart >= 0) cc.fastStart = cc.fastStart === 0 ? pfn : Math.min(cc.fastStart, pfn);
    cc.searchFails = 0;
    skip[row >> m.pageblockOrder] = 1;
    return pfn;
  }
  cc.searchFails++;
  if (cc.fastStart > 0) {
    cc.migratePfn = cc.fastStart;
    cc.fastStart = -1;
  }
  return -1;
}

/** First pfn of a pageblock. Linux: pageblock_start_pfn() */
export function blockStart(m: Memory, pfn: number): number {
  return pfn - (pfn % 2 ** m.pageblockOrder);
}
