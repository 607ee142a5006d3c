/**
 * Buffers that kmalloc gives out smaller than a cache line: on arm64 since 6.5 they
 * share lines with others, so for devices that do not look into the CPU's caches
 * they bounce when the device may write.
 *
 * Linux: dma_kmalloc_needs_bounce(), dma_kmalloc_size_aligned(), include/linux/dma-map-ops.h
 */
import type { DmaDevice } from "./dma-device.ts";
import { DMA_TO_DEVICE, type DmaDirection } from "./words.ts";

/** Cache line that arm64 kernels find at boot nearly everywhere. */
const CACHE_LINE = 64;

/** Whether a buffer of this size is too small to be mapped as it lies. */
export function isSmallBuffer(device: DmaDevice, size: number, direction: DmaDirection): boolean {
  if (device.coherent || direction === DMA_TO_DEVICE) return false;
  return size < 2 * CACHE_LINE && kmallocSize(size) % CACHE_LINE !== 0;
}

/** What kmalloc takes for `size` bytes up to two cache lines. Linux: kmalloc_size_roundup() */
function kmallocSize(size: number): number {
  return [8, 16, 32, 64, 96, 128].find((bucket) => size <= bucket) ?? size;
}
