/**
 * Lists whose entries are mapped one by one: one output for each input, all or none.
 *
 * Linux: dma_direct_map_sg(), kernel/dma/direct.c; iommu_dma_map_sg_swiotlb(),
 * drivers/iommu/dma-iommu.c
 */
import type { DmaDevice } from "./dma-device.ts";
import type { DmaOps, SgEntry } from "./ops.ts";
import {
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_MAPPING_ERROR,
  type DmaDirection,
  SWIOTLB_ATTR_ENTRY,
} from "./words.ts";

type Single = Pick<DmaOps, "mapPhysical" | "unmap">;

/** How many entries were mapped: all, or 0 with those before the refused one given back. */
export function mapEach(
  ops: Single,
  device: DmaDevice,
  entries: SgEntry[],
  direction: DmaDirection,
  attrs: number,
  cpu: number,
): number {
  const own = attrs | SWIOTLB_ATTR_ENTRY;
  for (const [i, entry] of entries.entries()) {
    const { physical, length } = entry;
    entry.dma = ops.mapPhysical(device, physical, length, direction, own, cpu);
    entry.dmaLength = length;
    if (entry.dma !== DMA_MAPPING_ERROR) continue;
    const skip = attrs | DMA_ATTR_SKIP_CPU_SYNC;
    unmapEach(ops, device, entries.slice(0, i), direction, skip, cpu);
    return 0;
  }
  return entries.length;
}

export function unmapEach(
  ops: Single,
  device: DmaDevice,
  entries: readonly SgEntry[],
  direction: DmaDirection,
  attrs: number,
  cpu: number,
): void {
  for (const { dma, dmaLength } of entries) {
    ops.unmap(device, dma, dmaLength, direction, attrs, cpu);
  }
}
