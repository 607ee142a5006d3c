/**
 * One page under a scan: whether it goes, stays, or is used again. And chunks of
 * them, off a list's tail.
 *
 * Linux: shrink_folio_list(), folio_check_references(), isolate_lru_folios(), mm/vmscan.c;
 * 2.6: shrink_list(), isolate_lru_pages()
 */
import { freePages } from "../allocate.ts";
import { ORDER_MASK, pfnOf, Z_INDEX, ZONE_WORDS, zoneOf } from "../memory.ts";
import { forget, rowBytes } from "./handles.ts";
import { addLru, removeLru } from "./lru.ts";
import {
  type Pages,
  PG_ACTIVE,
  PG_ANON,
  PG_DIRTY,
  PG_MLOCKED,
  PG_REFERENCED,
  PG_YOUNG,
} from "./pages.ts";

/** One reclaim, by kswapd or by a request. Linux: struct scan_control */
export interface ScanControl {
  readonly kswapd: boolean;
  order: number;
  /** Highest zone that pages may come from. */
  readonly reclaimIdx: number;
  /** From 12, which looks at 1/4096 of a list, to 0. */
  priority: number;
  /** Dirty pages may be written out. */
  mayWrite: boolean;
  /** Anonymous pages may go. */
  maySwap: boolean;
  /** Active pages are taken although there are enough inactive ones; and they were not, for that reason. */
  forceDeactivate: boolean;
  skippedDeactivate: boolean;
  /** Pages wanted. */
  toReclaim: number;
  scanned: number;
  reclaimed: number;
}

/** SWAP_CLUSTER_MAX: pages looked at in one go, and wanted by a request. */
export const SWAP_CLUSTER = 32;

const KEEP = 0;
const ACTIVATE = 1;
const GO = 2;

/**
 * Looks at up to `count` pages from the tail of an inactive list; those that can go are freed.
 * Pages of zones that are too high are passed over. Returns how many it looked at.
 */
export function shrinkInactive(
  pages: Pages,
  head: number,
  count: number,
  control: ScanControl,
): number {
  const taken = isolate(pages, head, count, control.reclaimIdx);
  let freed = 0;
  for (const row of taken) {
    const size = 1 << (pages.m.state[row] & ORDER_MASK);
    const zone = zoneOf(pages.m, row);
    pages.scanned[zone]++;
    const verdict = judge(pages, row, control);
    if (verdict === GO && letGo(pages, row)) {
      freed += size;
      pages.freed[zone] += size;
      continue;
    }
    // What could not go after all is used again as far as anybody knows.
    if (verdict !== KEEP) pages.flags[row] |= PG_ACTIVE;
    addLru(pages, row);
  }
  control.reclaimed += freed;
  control.scanned += taken.length;
  note(pages, control.kswapd, taken.length, freed);
  return taken.length;
}

function note(pages: Pages, kswapd: boolean, scanned: number, freed: number): void {
  const { counts } = pages;
  if (kswapd) {
    counts.pgscanKswapd += scanned;
    counts.pgstealKswapd += freed;
  } else {
    counts.pgscanDirect += scanned;
    counts.pgstealDirect += freed;
  }
}

/** Takes up to `count` pages off a list's tail, of zones up to `highest`; others go to its head. */
export function isolate(pages: Pages, head: number, count: number, highest: number): number[] {
  const { m } = pages;
  const taken: number[] = [];
  const skipped: number[] = [];
  for (let row = m.prev[head]; row !== head && taken.length < count; row = m.prev[head]) {
    removeLru(pages, row);
    const isHigh = m.zone[zoneOf(m, row) * ZONE_WORDS + Z_INDEX] > highest;
    (isHigh ? skipped : taken).push(row);
  }
  for (const row of skipped) addLru(pages, row);
  return taken;
}

/** Whether an isolated page goes. Linux: folio_check_references(); 2.6: page_referenced(), page_mapping_inuse() */
function judge(pages: Pages, row: number, control: ScanControl): number {
  const { flags, pins, handleOf, rule, store } = pages;
  const own = flags[row];
  if (pins[row] > 0) return KEEP;
  if ((own & PG_MLOCKED) !== 0) return rule.lists === "zone" ? ACTIVATE : KEEP;
  if (handleOf[row] < 0) return (own & PG_REFERENCED) !== 0 ? useAgain(pages, row) : GO;
  const wasYoung = (own & PG_YOUNG) !== 0;
  const wasReferenced = (own & PG_REFERENCED) !== 0;
  flags[row] &= ~(PG_YOUNG | PG_REFERENCED);
  if (wasYoung) {
    if (rule.lists === "zone" || wasReferenced) return ACTIVATE;
    // Once more round: the first look is what brought it here.
    flags[row] |= PG_REFERENCED;
    return KEEP;
  }
  const isAnon = (own & PG_ANON) !== 0;
  const handle = handleOf[row];
  const mustWrite = (own & PG_DIRTY) !== 0 || (isAnon && pages.slot[handle] === 0);
  if (!mustWrite) return GO;
  if (store === null || store.free === 0) return ACTIVATE;
  if (wasReferenced && !isAnon && rule.lists === "zone") return KEEP;
  return control.mayWrite ? GO : KEEP;
}

function useAgain(pages: Pages, row: number): number {
  pages.flags[row] &= ~PG_REFERENCED;
  return ACTIVATE;
}

/** Frees a page that goes: its owner agrees, or its bytes are in the store. */
export function letGo(pages: Pages, row: number): boolean {
  const { m, handleOf, store, counts } = pages;
  const handle = handleOf[row];
  const pfn = pfnOf(m, row);
  const order = m.state[row] & ORDER_MASK;
  if (handle < 0) {
    if (pages.owners[-handle - 1]?.mayFree?.(pfn, order) !== true) return false;
  } else {
    if ((pages.flags[row] & PG_DIRTY) !== 0 || needsSlot(pages, handle, row)) {
      const slot = store?.write(rowBytes(m, row)) ?? -1;
      if (slot < 0) return false;
      if (pages.slot[handle] !== 0) store?.drop(pages.slot[handle] - 1);
      pages.slot[handle] = slot + 1;
      counts.pswpout++;
    }
    pages.place[handle] = 0;
  }
  forget(pages, row);
  freePages(m, pfn, order);
  return true;
}

function needsSlot(pages: Pages, handle: number, row: number): boolean {
  return (pages.flags[row] & PG_ANON) !== 0 && pages.slot[handle] === 0;
}

/** Pages of an active list become inactive; `keeps` says which are used again. Returns how many were looked at. */
export function shrinkActive(
  pages: Pages,
  head: number,
  count: number,
  highest: number,
  keeps: (row: number) => boolean,
): number {
  const taken = isolate(pages, head, count, highest);
  for (const row of taken) {
    const stays = keeps(row);
    pages.flags[row] &= ~PG_YOUNG;
    if (!stays) pages.flags[row] &= ~PG_ACTIVE;
    addLru(pages, row);
  }
  return taken.length;
}
