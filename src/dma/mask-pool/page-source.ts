/**
 * Where pages with limits come from: one contract for the range tree, the scan of
 * buddy lists and the classic zones. `test/contract/page-source.test.ts` holds all
 * three to it.
 *
 *   inside     low <= pfn and pfn + pages <= end
 *   aligned    pfn is a multiple of `align`
 *   unbroken   the pages lie between two multiples of `boundary`
 *   exclusive  no page is given twice before it comes back; all that was taken comes back
 *
 * All in pages. `align` and `boundary` are powers of two; boundary 0 means none.
 */

/** What `take` returns when it has no such pages. */
export const NO_PAGES = -1;

export interface PageSource {
  readonly name: string;
  /** First of `pages` pages that lie together, or NO_PAGES with nothing changed. */
  take(pages: number, low: number, end: number, align: number, boundary: number): number;
  /** Gives back what `take` gave, with the same count. Asserts that it was taken. */
  give(pfn: number, pages: number): void;
  /** Pages that nobody has now. */
  free(): number;
  /** Everything that does not hold, with the label of its invariant; empty when all is well. */
  verify(): string[];
}

/**
 * The highest place at or below `end - pages` that is aligned and crosses no boundary,
 * whether free or not; may be below zero. `boundary` is 0 or at least `pages`.
 */
export function highestPlace(pages: number, end: number, align: number, boundary: number): number {
  const at = (end - pages) & -align;
  if (boundary === 0) return at;
  // Of boundaries inside the pages only the last can be there: they are no longer than one.
  const crossed = (at + pages - 1) & -boundary;
  return crossed > at ? (crossed - pages) & -align : at;
}
