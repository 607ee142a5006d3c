/**
 * Classic zones behind the same contract: all that a kernel can do about a limit is to
 * choose a zone, look at what it got, and try a lower one.
 *
 * A block is a power of two and aligned to itself, so alignment and boundaries cost
 * whole blocks; a limit inside a zone is met by luck.
 *
 * Linux: dma_direct_alloc_pages(), kernel/dma/direct.c, with every zone in place of the
 * two that have GFP flags
 */
import { assert } from "../../base/assert.ts";
import { allocPages, freePages } from "../../mm/allocate.ts";
import {
  type Memory,
  P_COUNT,
  PCP_WORDS,
  Z_FREE,
  Z_INDEX,
  Z_SPANNED,
  ZONE_WORDS,
} from "../../mm/memory.ts";
import { verify } from "../../mm/verify.ts";
import { orderOf } from "./buddy-scan.ts";
import { NO_PAGES, type PageSource } from "./page-source.ts";

/** `gfp` has no zone bits; which zone they name is the memory's `gfpZone`. */
export function zoneSource(m: Memory, gfp: number): PageSource {
  const bits = zoneBitsOf(m);
  /** The block that a request comes to: aligned to itself. */
  const blockOf = (pages: number, align: number): number => orderOf(Math.max(pages, align));
  const orders = new Map<number, number>();
  return {
    name: "zones",
    take: (pages, low, end, align, boundary) => {
      const order = blockOf(pages, align);
      if (pages < 1 || order > m.maxOrder || (boundary !== 0 && pages > boundary)) return NO_PAGES;
      for (let z = m.zoneCount - 1; z >= 0; z--) {
        const own = bits[m.zone[z * ZONE_WORDS + Z_INDEX]];
        if (own < 0 || m.zone[z * ZONE_WORDS + Z_SPANNED] === 0 || m.zoneStart[z] >= end) continue;
        const pfn = allocPages(m, gfp | own, order);
        if (pfn < 0) continue;
        if (pfn >= low && pfn + pages <= end) {
          orders.set(pfn, order);
          return pfn;
        }
        freePages(m, pfn, order);
      }
      return NO_PAGES;
    },
    give: (pfn, pages) => {
      const order = orders.get(pfn);
      assert(order !== undefined && 1 << order >= pages, "given back, but not taken so", pfn);
      orders.delete(pfn);
      freePages(m, pfn, order);
    },
    free: () => freePagesOf(m),
    verify: () => verify(m),
  };
}

/** Free pages and those that CPUs keep on their lists. */
function freePagesOf(m: Memory): number {
  let free = 0;
  for (let z = 0; z < m.zoneCount; z++) free += m.zone[z * ZONE_WORDS + Z_FREE];
  for (let set = 0; set < m.zoneCount * m.cpuCount; set++) free += m.pcp[set * PCP_WORDS + P_COUNT];
  return free;
}

/** The zone bits that name each zone by its index; -1 where none do. */
export function zoneBitsOf(m: Memory): number[] {
  // __GFP_MOVABLE is a zone bit too, and says more than a zone.
  const legal = [0, 1, 4, 2];
  return m.zoneNames.map((_, index) => legal.find((bits) => m.gfpZone[bits] === index) ?? -1);
}
