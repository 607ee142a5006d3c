/**
 * Half-open ranges [start, end) of addresses or pfns, and sorted lists of them.
 *
 * Numbers are exact up to 2^53 - 1 (8 PiB in bytes); readers clamp larger ones.
 * A *range list* is sorted by start, without overlaps, empty or touching ranges:
 * every function below takes and returns such lists, and never changes its arguments.
 */

export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Sum of the lengths. */
export function totalLength(ranges: readonly Range[]): number {
  let sum = 0;
  for (const range of ranges) sum += range.end - range.start;
  return sum;
}

/** Makes a range list of ranges in any order: sorts, drops empty ones, joins what overlaps or touches. */
export function rangeList(ranges: readonly Range[]): Range[] {
  const sorted = ranges
    .filter((r) => r.end > r.start)
    .sort((a, b) => a.start - b.start || a.end - b.end);
  const joined: { start: number; end: number }[] = [];
  for (const { start, end } of sorted) {
    const last = joined.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else joined.push({ start, end });
  }
  return joined;
}

/** What is in `from` and not in `what`. Both are range lists. */
export function subtract(from: readonly Range[], what: readonly Range[]): Range[] {
  const left: Range[] = [];
  let first = 0;
  for (const range of from) {
    let start = range.start;
    for (let i = first; ; i++) {
      const hole = what[i];
      if (hole === undefined || hole.start >= range.end) break;
      if (hole.end <= start) {
        first = i + 1;
        continue;
      }
      if (hole.start > start) left.push({ start, end: hole.start });
      start = hole.end;
    }
    if (start < range.end) left.push({ start, end: range.end });
  }
  return left;
}

/** What is in both range lists. */
export function intersect(a: readonly Range[], b: readonly Range[]): Range[] {
  const both: Range[] = [];
  let i = 0;
  let j = 0;
  for (;;) {
    const x = a[i];
    const y = b[j];
    if (x === undefined || y === undefined) return both;
    const start = Math.max(x.start, y.start);
    const end = Math.min(x.end, y.end);
    if (start < end) both.push({ start, end });
    if (x.end < y.end) i++;
    else j++;
  }
}

/** The part of a range list inside [start, end). */
export function clip(ranges: readonly Range[], start: number, end: number): Range[] {
  return end <= start ? [] : intersect(ranges, [{ start, end }]);
}
