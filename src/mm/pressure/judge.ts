/**
 * One page under a scan: whether it goes, stays, or is used again.
 *
 * A store takes bytes at once, as swap on memory does: a page that is written out
 * goes in the same look. Nobody else writes dirty file pages here, so whoever
 * looks at them does; kernels since 3.11 leave them to their flusher threads.
 *
 * Linux: shrink_folio_list(), folio_check_references(), mm/vmscan.c; 2.6: shrink_list(),
 * page_referenced(), page_mapping_inuse()
 */
import { type Pages, PG_ANON, PG_DIRTY, PG_MLOCKED, PG_REFERENCED, PG_YOUNG } from "./pages.ts";

export const KEEP = 0;
export const ACTIVATE = 1;
export const GO = 2;

/** What reclaim may do for a page to go. */
export interface Means {
  readonly mayIo: boolean;
  readonly mayFs: boolean;
  readonly mayWrite: boolean;
}

/** What becomes of an isolated page. Looking takes its marks of use away. */
export function judge(pages: Pages, row: number, means: Means): number {
  if (pages.handleOf[row] < 0) return judgeOwned(pages, row);
  return pages.rule.lists === "zone" ? judgeOld(pages, row, means) : judgePage(pages, row, means);
}

/** A block of an owner who is asked: one use since it came, or since the last look, spares it. */
function judgeOwned({ flags, pins }: Pages, row: number): number {
  if ((flags[row] & PG_REFERENCED) !== 0) {
    flags[row] &= ~PG_REFERENCED;
    return ACTIVATE;
  }
  return pins[row] > 0 ? KEEP : GO;
}

function judgePage(pages: Pages, row: number, means: Means): number {
  const { flags, pins, rule } = pages;
  const own = flags[row];
  const isAnon = (own & PG_ANON) !== 0;
  const wasReferenced = (own & PG_REFERENCED) !== 0;
  flags[row] &= ~(PG_YOUNG | PG_REFERENCED);
  if ((own & PG_YOUNG) !== 0) {
    if (isAnon && !rule.anonInactive) return ACTIVATE;
    // Once more round: the first look is what brought it here.
    flags[row] |= PG_REFERENCED;
    return wasReferenced ? ACTIVATE : KEEP;
  }
  if (isAnon && lacksSlot(pages, row)) {
    if (!means.mayIo || pins[row] > 0) return KEEP;
    if (!hasRoom(pages)) return ACTIVATE;
  }
  if (pins[row] > 0) return rule.pinnedIsUsed ? ACTIVATE : KEEP;
  if (!mustWrite(pages, row)) return GO;
  if (wasReferenced && !isAnon) return KEEP;
  return write(pages, isAnon, means);
}

/** Linux: shrink_list(), mm/vmscan.c of 2.6.11 */
function judgeOld(pages: Pages, row: number, means: Means): number {
  const { flags, pins } = pages;
  const own = flags[row];
  const isAnon = (own & PG_ANON) !== 0;
  const isLocked = (own & PG_MLOCKED) !== 0;
  const isReferenced = (own & (PG_YOUNG | PG_REFERENCED)) !== 0;
  flags[row] &= ~(PG_YOUNG | PG_REFERENCED);
  if (isReferenced && (isAnon || isLocked)) return ACTIVATE;
  if (isAnon && lacksSlot(pages, row) && !hasRoom(pages)) return ACTIVATE;
  // try_to_unmap() fails.
  if (isLocked) return ACTIVATE;
  if (pins[row] > 0) return KEEP;
  if (!mustWrite(pages, row)) return GO;
  return isReferenced ? KEEP : write(pages, isAnon, means);
}

/** Linux: may_enter_fs(), pageout() */
function write(pages: Pages, isAnon: boolean, { mayIo, mayFs, mayWrite }: Means): number {
  if (!mayWrite || !(mayFs || (isAnon && mayIo))) return KEEP;
  return hasRoom(pages) ? GO : ACTIVATE;
}

function hasRoom({ store }: Pages): boolean {
  return store !== null && store.free > 0;
}

function lacksSlot({ slot, handleOf }: Pages, row: number): boolean {
  return slot[handleOf[row]] === 0;
}

/** Whether a page's bytes are nowhere but in memory: anonymous ones without a slot, and dirty ones. */
export function mustWrite(pages: Pages, row: number): boolean {
  const own = pages.flags[row];
  return (own & PG_DIRTY) !== 0 || ((own & PG_ANON) !== 0 && lacksSlot(pages, row));
}
