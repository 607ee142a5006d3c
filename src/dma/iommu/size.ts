/**
 * How much address space a call of the DMA API takes behind an IOMMU, and in
 * what blocks coherent memory for it is asked for.
 *
 * Linux: iommu_dma_map_sg(), __iommu_dma_alloc_pages(), drivers/iommu/dma-iommu.c
 */
import type { SgEntry } from "../ops.ts";

/** Granules of `bytes` that begin `offset` bytes into one. */
export function granulesOf(offset: number, bytes: number, shift: number): number {
  return Math.ceil((offset + bytes) / 2 ** shift);
}

/** A list laid out in one block: bytes of each entry, with the padding behind it, and their sum. */
export interface SgLayout {
  readonly lengths: Float64Array;
  readonly total: number;
}

/**
 * Entries are padded to granules, and the one before an entry that would cross a
 * multiple of `boundary` + 1 up to that.
 */
export function layOutSg(entries: readonly SgEntry[], shift: number, boundary: number): SgLayout {
  const granule = 2 ** shift;
  const lengths = new Float64Array(entries.length);
  let total = 0;
  for (let i = 0; i < entries.length; i++) {
    const { physical, length } = entries[i];
    const bytes = granulesOf(physical % granule, length, shift) * granule;
    const period = boundary + 1;
    const pad = (period - (total % period)) % period;
    if (pad !== 0 && pad < bytes - 1) {
      lengths[i - 1] += pad;
      total += pad;
    }
    lengths[i] = bytes;
    total += bytes;
  }
  return { lengths, total };
}

/**
 * Orders to try for the next block of `pages` pages that are still needed, the
 * largest first: the page sizes that the hardware maps. All but the last are
 * asked for without retrying.
 */
export function coherentOrders(pages: number, pageSizes: readonly number[]): number[] {
  const largest = 31 - Math.clz32(pages);
  return pageSizes
    .map((shift) => shift - 12)
    .filter((order) => order <= largest)
    .sort((a, b) => b - a);
}
