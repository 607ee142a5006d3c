/**
 * A scatterlist that lies in one block of addresses, as the device gets it:
 * entries that follow each other without a gap become one.
 *
 * Linux: __finalise_sg(), drivers/iommu/dma-iommu.c
 */
import type { DmaDevice } from "../dma-device.ts";
import type { SgEntry } from "../ops.ts";
import { DMA_MAPPING_ERROR } from "../words.ts";

/**
 * Writes the device's side into the first entries and returns how many are used.
 * `lengths` are what `layOutSg` gave each entry, from DMA address `start` on.
 */
export function finaliseSg(
  device: DmaDevice,
  entries: readonly SgEntry[],
  lengths: Float64Array,
  start: number,
): number {
  const period = device.segmentBoundary + 1;
  let at = start;
  let count = 0;
  /** Bytes of the entry that is being filled; 0 when nothing may be added to it. */
  let filled = 0;
  for (const [i, { physical, length }] of entries.entries()) {
    const offset = physical % 4096;
    const fits = device.maxSegmentSize - filled >= length;
    const cur = entries[count - 1];
    if (filled > 0 && offset === 0 && at % period !== 0 && fits && cur !== undefined) {
      filled += length;
      cur.dmaLength = filled;
    } else {
      filled = length;
      const next = entries[count++];
      next.dma = at + offset;
      next.dmaLength = length;
    }
    at += lengths[i];
    // Padding behind it: the next one does not follow.
    if (offset + length < lengths[i]) filled = 0;
  }
  for (const entry of entries.slice(count)) {
    entry.dma = DMA_MAPPING_ERROR;
    entry.dmaLength = 0;
  }
  return count;
}
