/**
 * Words that all parts of the DMA layer share: directions, attributes, and the
 * one answer that means no.
 *
 * Addresses are bytes, as numbers: exact below 2^53, which is 8 PiB. A limit is
 * the last address in reach, inclusive; NO_LIMIT where nothing limits.
 *
 * Linux: enum dma_data_direction, DMA_ATTR_*, include/linux/dma-direction.h, dma-mapping.h
 */

export const DMA_BIDIRECTIONAL = 0;
export const DMA_TO_DEVICE = 1;
export const DMA_FROM_DEVICE = 2;
export const DMA_NONE = 3;

export type DmaDirection = 0 | 1 | 2 | 3;

export const DMA_ATTR_WEAK_ORDERING = 0x2;
export const DMA_ATTR_WRITE_COMBINE = 0x4;
export const DMA_ATTR_NO_KERNEL_MAPPING = 0x10;
export const DMA_ATTR_SKIP_CPU_SYNC = 0x20;
export const DMA_ATTR_FORCE_CONTIGUOUS = 0x40;
export const DMA_ATTR_ALLOC_SINGLE_PAGES = 0x80;
export const DMA_ATTR_NO_WARN = 0x100;
export const DMA_ATTR_PRIVILEGED = 0x200;
/** Not RAM but a device's registers or memory: no bounce, no cache maintenance, no translation of windows. 6.18 has the bit; here it marks dma_map_resource() for all eras. */
export const DMA_ATTR_MMIO = 0x400;

/**
 * Of no kernel, between ops and bounce buffers: the buffer is an entry of a scatterlist, whose
 * caller handles refusals; so no overflow buffer is given and no panic raised.
 *
 * Linux: swiotlb_full() with do_panic 0, lib/swiotlb.c
 */
export const SWIOTLB_ATTR_ENTRY = 0x10000;

/** The address that is none: Linux has all ones. */
export const DMA_MAPPING_ERROR = -1;

export const NO_LIMIT: number = Number.MAX_SAFE_INTEGER;

/** Whether the CPU's bytes go to the device in this direction. */
export function toDevice(direction: DmaDirection): boolean {
  return direction === DMA_TO_DEVICE || direction === DMA_BIDIRECTIONAL;
}

/** Whether the device's bytes come back to the CPU in this direction. */
export function fromDevice(direction: DmaDirection): boolean {
  return direction === DMA_FROM_DEVICE || direction === DMA_BIDIRECTIONAL;
}

export const DIRECTION_NAMES: readonly string[] = [
  "BIDIRECTIONAL",
  "TO_DEVICE",
  "FROM_DEVICE",
  "NONE",
];
