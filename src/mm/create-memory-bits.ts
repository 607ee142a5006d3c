/**
 * How a request of `createMemory` names its zone: the zone bits of a gfp mask, of
 * which Linux needs few, given out to zones of any name.
 *
 *   0            what a request gets that names no zone
 *   1, 4, 2, 10  DMA, DMA32, HighMem, Movable, where there are such zones
 *   3, 5, 6, 7   nothing in Linux: free, as are those above without their zone
 *
 * Linux: GFP_ZONE_TABLE, include/linux/gfp.h
 */
import { __GFP_DMA, __GFP_DMA32, __GFP_HIGHMEM, __GFP_MOVABLE, gfpZoneTable } from "./gfp.ts";

/** Zone bits and the zone that Linux means by them, and bits that mean nothing there. */
const KNOWN_BITS: readonly (readonly [bits: number, name: string])[] = [
  [__GFP_DMA, "DMA"],
  [__GFP_DMA32, "DMA32"],
  [__GFP_HIGHMEM, "HighMem"],
  [__GFP_HIGHMEM | __GFP_MOVABLE, "Movable"],
];
const SPARE_BITS = [3, 5, 6, 7];

export interface ZoneBits {
  /** By zone: the zone bits that ask for it. */
  readonly of: readonly number[];
  /** By zone bits: the highest zone. */
  readonly table: Int8Array;
}

/**
 * Zone bits that ask for each zone. A zone that a request without zone bits gets
 * needs none; one whose name Linux knows keeps Linux's; others are given bits that
 * mean nothing there, or a zone that is not here.
 */
export function zoneBits(names: readonly string[]): ZoneBits {
  const table = gfpZoneTable(names);
  const movable = names.includes("Movable");
  const known = KNOWN_BITS.filter(([, name]) => names.includes(name));
  // Linux gives a movable request for HighMem the Movable zone: HighMem needs bits of its own then.
  const used = movable ? [__GFP_HIGHMEM] : [];
  used.push(...known.map(([bits]) => bits));
  const spare = [...SPARE_BITS, __GFP_DMA, __GFP_DMA32, __GFP_HIGHMEM].filter(
    (bits) => !used.includes(bits),
  );
  const of = names.map((own, zone) => {
    if (table[0] === zone) return 0;
    const linux = known.find(([, name]) => name === own);
    if (linux !== undefined && !(movable && own === "HighMem")) return linux[0];
    const bits = spare.shift() ?? 0;
    table[bits] = zone;
    table[bits | __GFP_MOVABLE] = zone;
    return bits;
  });
  return { of, table };
}
