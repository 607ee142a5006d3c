/**
 * Bounce buffers, whoever gives them: swiotlb's slots, or pages of the mask pool.
 * Addresses are physical bytes of memory that every byte of which the device reaches.
 *
 * Linux: swiotlb_tbl_map_single(), swiotlb_tbl_unmap_single(), kernel/dma/swiotlb.c
 */
import type { DmaDevice } from "./dma-device.ts";
import type { DmaDirection } from "./words.ts";

/** Why there is no buffer; below zero, so that an address is told from it by its sign. */
export const BOUNCE_FULL = -1;
export const BOUNCE_TOO_LARGE = -2;
/** Buffers exist, none of them in the device's reach. */
export const BOUNCE_UNREACHABLE = -3;
/** There is no pool at all. */
export const BOUNCE_NO_POOL = -4;

const REASONS: ReadonlyMap<number, string> = new Map([
  [BOUNCE_FULL, "bounce pool full"],
  [BOUNCE_TOO_LARGE, "larger than a bounce buffer"],
  [BOUNCE_UNREACHABLE, "bounce pool out of reach"],
  [BOUNCE_NO_POOL, "no bounce pool"],
]);

/** A BOUNCE_* reason as refusals tell it. */
export function bounceWords(reason: number): string {
  return REASONS.get(reason) ?? "no bounce buffer";
}

export interface Bounce {
  /**
   * A buffer for `size` bytes at physical address `orig`, with the copies that
   * the direction and the era ask for already made. `allocSize` >= `size` and
   * `alignMask` are what an IOMMU's granule asks for; otherwise `size` and 0.
   * Returns the physical address of the buffer's first byte, or a BOUNCE_* reason.
   */
  map(
    device: DmaDevice,
    orig: number,
    size: number,
    allocSize: number,
    alignMask: number,
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number;
  /** Copies back where the direction asks for it, and gives the buffer back. */
  unmap(
    device: DmaDevice,
    buffer: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
  ): void;
  /** Before the CPU reads: device's bytes to the original. `buffer` may point into the mapping. */
  syncForCpu(device: DmaDevice, buffer: number, size: number, direction: DmaDirection): void;
  /** Before the device reads: the original's bytes to the buffer. */
  syncForDevice(device: DmaDevice, buffer: number, size: number, direction: DmaDirection): void;
  /** Whether a physical address lies in a buffer of this source. */
  holds(physical: number): boolean;
  /** Largest mapping this source can ever give the device, bytes. */
  maxMapping(device: DmaDevice): number;
  /**
   * Pages of this source for a device that may have no others, to be held for long: the
   * physical address, or a BOUNCE_* reason. Absent: `map` serves them.
   *
   * Linux: swiotlb_alloc(), kernel/dma/swiotlb.c
   */
  allocPages?(device: DmaDevice, size: number, cpu: number): number;
  /** False where `physical` is not of `allocPages`. */
  freePages?(device: DmaDevice, physical: number): boolean;
  /** The line that the kernel logs for the last refusal of `map`; absent where it logs none. */
  readonly lastMessage?: string | null;
}
