/**
 * Pages for pools that are added at run time, from the page allocator: of any
 * zone first, then of lower ones until the block lies within reach.
 *
 * Linux: swiotlb_alloc_tlb(), alloc_dma_pages(), kernel/dma/swiotlb.c (CONFIG_SWIOTLB_DYNAMIC)
 */
import { gfpBits } from "../../kernels/gfp-era.ts";
import { allocPages, freePages, NO_PFN } from "../../mm/allocate.ts";
import type { Memory } from "../../mm/memory.ts";
import type { GrowPages } from "./own.ts";

/** Last address of ZONE_DMA on x86; arm64 and others say theirs. Linux: zone_dma_bits */
const ZONE_DMA_LIMIT = 2 ** 24 - 1;

export function growPages(m: Memory, zoneDmaLimit: number = ZONE_DMA_LIMIT): GrowPages {
  const { bits } = m.gfp.era;
  const dma = gfpBits(bits, "__GFP_DMA");
  const dma32 = gfpBits(bits, "__GFP_DMA32");
  const waits = gfpBits(bits, "__GFP_DIRECT_RECLAIM", "__GFP_IO", "__GFP_FS");
  const base = gfpBits(bits, "__GFP_KSWAPD_RECLAIM", "__GFP_NOWARN");
  return {
    take(bytes: number, limit: number, mayWait: boolean): number {
      const order = orderOf(m, bytes);
      if (order > m.maxOrder) return -1;
      const gfp = mayWait ? base | waits : base;
      let zone = limit <= zoneDmaLimit ? dma : limit <= 0xffffffff ? dma32 : 0;
      for (;;) {
        const pfn = allocPages(m, gfp | zone, order);
        // No memory ends it; only memory out of reach is tried again.
        if (pfn === NO_PFN) return -1;
        const start = pfn * m.pageSize;
        if (start + bytes - 1 <= limit) return start;
        freePages(m, pfn, order);
        if (zone === dma) return -1;
        zone = zone === 0 ? dma32 : dma;
      }
    },
    give(start: number, bytes: number): void {
      freePages(m, start / m.pageSize, orderOf(m, bytes));
    },
  };
}

/** Linux: get_order() */
function orderOf({ pageSize }: Memory, bytes: number): number {
  let order = 0;
  while (pageSize * 2 ** order < bytes) order++;
  return order;
}
