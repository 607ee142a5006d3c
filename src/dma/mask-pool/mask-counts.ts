/**
 * What the mask pool counts, as the patches of 2008 did in /proc/vmstat, in a region of
 * the image: doubles, so that bytes do not wrap.
 *
 *   mask_alloc           attempts
 *   mask_free            blocks given back to the pool
 *   mask_bitmap_skip     pages of the pool between the highest place that the limit allows and
 *                        the answer: what was passed over. The bitmap of 2008 was searched bit by bit
 *                        and from a cursor; the number says the same without either
 *   mask_wait            milliseconds that callers waited. The posted code adds the time left less
 *                        the time left before, which is below zero
 *   mask_higher          requests that were settled by the normal allocator
 *   mask_low_waste       bytes given beyond those asked for, by the pool
 *   mask_high_waste      the same by the normal allocator, which gives powers of two
 *   swiotlb_used_pages   pages of all bounce buffers that were ever made
 *   swiotlb_bytes_wasted bytes of them that were not asked for
 *   swiotlb_num_allocs   bounce buffers made
 *   swiotlb_num_frees    bounce buffers given back
 *
 * Linux: count_vm_event() calls of "mask allocator" 6/13 and 12/13, posted 7 March 2008; never merged
 */
import { addRegion, type Image } from "../../mm/image.ts";

const COUNTERS = [
  "mask_alloc",
  "mask_free",
  "mask_bitmap_skip",
  "mask_wait",
  "mask_higher",
  "mask_low_waste",
  "mask_high_waste",
  "swiotlb_used_pages",
  "swiotlb_bytes_wasted",
  "swiotlb_num_allocs",
  "swiotlb_num_frees",
] as const;

export type MaskCounter = (typeof COUNTERS)[number];

export const MASK_ALLOC = 0;
export const MASK_FREE = 1;
export const MASK_BITMAP_SKIP = 2;
export const MASK_WAIT_MS = 3;
export const MASK_HIGHER = 4;
export const MASK_LOW_WASTE = 5;
export const MASK_HIGH_WASTE = 6;
export const SWIOTLB_USED_PAGES = 7;
export const SWIOTLB_BYTES_WASTED = 8;
export const SWIOTLB_NUM_ALLOCS = 9;
export const SWIOTLB_NUM_FREES = 10;

export function addMaskCounts(image: Image, name: string): Float64Array {
  return new Float64Array(addRegion(image, name, COUNTERS.length * 8).buffer);
}

/** The counters by name, in the order of /proc/vmstat. */
export function maskCounts(counts: Float64Array): Record<MaskCounter, number> {
  const of = (at: number): number => counts[at];
  return {
    mask_alloc: of(MASK_ALLOC),
    mask_free: of(MASK_FREE),
    mask_bitmap_skip: of(MASK_BITMAP_SKIP),
    mask_wait: of(MASK_WAIT_MS),
    mask_higher: of(MASK_HIGHER),
    mask_low_waste: of(MASK_LOW_WASTE),
    mask_high_waste: of(MASK_HIGH_WASTE),
    swiotlb_used_pages: of(SWIOTLB_USED_PAGES),
    swiotlb_bytes_wasted: of(SWIOTLB_BYTES_WASTED),
    swiotlb_num_allocs: of(SWIOTLB_NUM_ALLOCS),
    swiotlb_num_frees: of(SWIOTLB_NUM_FREES),
  };
}
