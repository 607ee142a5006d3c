/**
 * The bounce buffer's geometry: what one mapping can be at most.
 *
 * Linux: IO_TLB_SHIFT, IO_TLB_SEGSIZE, include/linux/swiotlb.h; swiotlb_max_mapping_size(),
 * kernel/dma/swiotlb.c
 */
export const SLOT_BYTES = 2048;
export const SEGMENT_SLOTS = 128;
export const SEGMENT_BYTES: number = SLOT_BYTES * SEGMENT_SLOTS;
