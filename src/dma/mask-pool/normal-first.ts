/**
 * The normal allocator asked before the pool: a zone that lies inside the limit is sure
 * to give what fits, one that the limit cuts gives it by luck and is looked at and freed.
 *
 * The patch of 2008 asked ZONE_DMA32 for masks below 4 GiB and then without zone bits, and
 * lost the first answer when the second came too. Here each zone is asked once, the sure one
 * first: a 33-bit mask is then served from DMA32 instead of being refused by Normal.
 *
 * Linux: alloc_higher_pages() of "mask allocator" 6/13, posted 7 March 2008; never merged
 */
import { allocPages, freePages } from "../../mm/allocate.ts";
import { type Memory, Z_INDEX, Z_SPANNED, ZONE_WORDS } from "../../mm/memory.ts";
import { zoneBitsOf } from "./zone-source.ts";

export interface NormalPages {
  /** pfn of a block of 2^order pages in [low, end), aligned to `align` and unbroken, or -1. */
  take(gfp: number, order: number, low: number, end: number, align: number): number;
  give(pfn: number, order: number): void;
  /** Whether limits allow all memory that a request without zone bits may be given. */
  coversAll(low: number, end: number): boolean;
  /** Pages of the largest block there can be in [low, end). */
  largest(low: number, end: number): number;
}

interface ZoneEnds {
  readonly start: number;
  readonly end: number;
  readonly bits: number;
}

export function normalPages(m: Memory): NormalPages {
  const bits = zoneBitsOf(m);
  const plain = m.gfpZone[0];
  const zones: ZoneEnds[] = m.names.flatMap((_, z) => {
    const index = m.zone[z * ZONE_WORDS + Z_INDEX];
    const spanned = m.zone[z * ZONE_WORDS + Z_SPANNED];
    // HighMem and Movable are nothing that a kernel or a device could be given directly.
    if (spanned === 0 || index > plain || bits[index] < 0) return [];
    return [{ start: m.zoneStart[z], end: m.zoneStart[z] + spanned, bits: bits[index] }];
  });
  const downward = [...zones].sort((a, b) => b.start - a.start);

  function tryZone(gfp: number, order: number, low: number, end: number, align: number): number {
    const pfn = allocPages(m, gfp, order);
    if (pfn < 0) return -1;
    if (pfn >= low && pfn + 2 ** order <= end && pfn % align === 0) return pfn;
    freePages(m, pfn, order);
    return -1;
  }

  return {
    take: (gfp, order, low, end, align) => {
      if (order > m.maxOrder) return -1;
      for (const isSure of [true, false]) {
        for (const zone of downward) {
          if (zone.start >= end || zone.end <= low || zone.end <= end !== isSure) continue;
          const pfn = tryZone(gfp | zone.bits, order, low, end, align);
          if (pfn >= 0) return pfn;
          // A sure zone that refuses has asked those below it too.
          if (isSure) break;
        }
      }
      return -1;
    },
    give: (pfn, order) => {
      freePages(m, pfn, order);
    },
    coversAll: (low, end) => zones.every((zone) => low <= zone.start && zone.end <= end),
    largest: (low, end) => {
      const reached = zones.some((zone) => zone.start < end && zone.end > low);
      return reached ? 2 ** m.maxOrder : 0;
    },
  };
}
