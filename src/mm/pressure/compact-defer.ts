/**
 * Compaction that failed is put off: of so many tries one is made, twice as many after
 * each failure.
 *
 * Linux: defer_compaction(), compaction_deferred(), compaction_defer_reset(),
 * compaction_restarting(), mm/compaction.c
 */
import {
  type CompactState,
  D_CONSIDERED,
  D_FAILED,
  D_FLUSH,
  D_SHIFT,
  wordsOf,
} from "./compact-state.ts";

/** COMPACT_MAX_DEFER_SHIFT: of 64 tries one is made. */
export const MAX_DEFER_SHIFT = 6;

/** A run for `order` went through the zone in vain. Linux: defer_compaction(), mm/compaction.c */
export function deferCompaction({ zone: words }: CompactState, zone: number, order: number): void {
  const at = wordsOf(zone);
  words[at + D_CONSIDERED] = 0;
  words[at + D_SHIFT] = Math.min(words[at + D_SHIFT] + 1, MAX_DEFER_SHIFT);
  words[at + D_FAILED] = Math.min(words[at + D_FAILED], order);
}

/** Whether this try is put off; it counts. Linux: compaction_deferred(), mm/compaction.c */
export function isDeferred({ zone: words }: CompactState, zone: number, order: number): boolean {
  const at = wordsOf(zone);
  const limit = 1 << words[at + D_SHIFT];
  if (order < words[at + D_FAILED]) return false;
  words[at + D_CONSIDERED] = Math.min(words[at + D_CONSIDERED] + 1, limit);
  return words[at + D_CONSIDERED] < limit;
}

/**
 * A run has made a block of `order`, or somebody got one: `isAllocated`. Then what a whole run of the
 * zone noted for kswapd is forgotten as well.
 *
 * Linux: compaction_defer_reset(), mm/compaction.c; __alloc_pages_direct_compact(), mm/page_alloc.c
 */
export function endDeferral(
  { zone: words }: CompactState,
  zone: number,
  order: number,
  isAllocated: boolean,
): void {
  const at = wordsOf(zone);
  if (isAllocated) {
    words[at + D_CONSIDERED] = 0;
    words[at + D_SHIFT] = 0;
    words[at + D_FLUSH] = 0;
  }
  words[at + D_FAILED] = Math.max(words[at + D_FAILED], order + 1);
}

/** The run comes after as many failures as are counted. Linux: compaction_restarting(), mm/compaction.c */
export function isRestarting({ zone: words }: CompactState, zone: number, order: number): boolean {
  const at = wordsOf(zone);
  if (order < words[at + D_FAILED]) return false;
  return (
    words[at + D_SHIFT] === MAX_DEFER_SHIFT && words[at + D_CONSIDERED] >= 1 << MAX_DEFER_SHIFT
  );
}
