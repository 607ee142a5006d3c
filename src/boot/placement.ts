/**
 * Which zone a page belongs to: the zones of a layout as disjoint stretches of
 * RAM, sorted by pfn, each naming its slot in `layout.zones`.
 *
 * Zone spans of different nodes may overlap (nodes can interleave); RAM does
 * not, so a stretch is a piece of one node's RAM inside one zone of that node.
 */
import { assert } from "../base/assert.ts";
import type { Range } from "../base/range.ts";
import type { Layout } from "./hardware.ts";

/** Pages [start, end) that all belong to `layout.zones[slot]`. In pfns. */
export interface ZoneStretch extends Range {
  readonly slot: number;
}

/** All stretches of a layout, sorted by start. */
export function zoneStretches(layout: Layout): ZoneStretch[] {
  const stretches: ZoneStretch[] = [];
  for (const ram of layout.memory) {
    layout.zones.forEach((zone, slot) => {
      if (zone.node !== ram.node || zone.spanned === 0) return;
      const start = Math.max(ram.start, zone.startPfn);
      const end = Math.min(ram.end, zone.startPfn + zone.spanned);
      if (start < end) stretches.push({ start, end, slot });
    });
  }
  return stretches.sort((a, b) => a.start - b.start);
}

/** Index of the first stretch that ends above `pfn`. */
function firstAbove(stretches: readonly ZoneStretch[], pfn: number): number {
  let low = 0;
  let high = stretches.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const stretch = stretches[middle];
    assert(stretch !== undefined, "binary search left the stretches");
    if (stretch.end <= pfn) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Adds the pages of `range` (pfns) to `counts`, one number a slot; pages outside
 * RAM count nowhere. Returns how many were added.
 */
export function countPages(
  stretches: readonly ZoneStretch[],
  range: Range,
  counts: Float64Array,
): number {
  let added = 0;
  for (let i = firstAbove(stretches, range.start); i < stretches.length; i++) {
    const stretch = stretches[i];
    if (stretch === undefined || stretch.start >= range.end) break;
    const pages = Math.min(stretch.end, range.end) - Math.max(stretch.start, range.start);
    assert(stretch.slot < counts.length, "a slot without a count");
    counts[stretch.slot] = (counts[stretch.slot] ?? 0) + pages;
    added += pages;
  }
  return added;
}

/** Slot of the zone `pfn` lies in, or -1 outside RAM. */
export function slotOf(stretches: readonly ZoneStretch[], pfn: number): number {
  const stretch = stretches[firstAbove(stretches, pfn)];
  return stretch !== undefined && stretch.start <= pfn ? stretch.slot : -1;
}

/** Whole pages inside a range of bytes, as pfns; empty when there is none. */
export function wholePages(bytes: Range, pageSize: number): Range {
  const start = Math.ceil(bytes.start / pageSize);
  return { start, end: Math.max(start, Math.floor(bytes.end / pageSize)) };
}
