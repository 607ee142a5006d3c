/**
 * A device as the DMA layer sees it: how many address bits it drives, and what
 * lies between it and memory.
 *
 * Linux: struct device (dma_mask, coherent_dma_mask, bus_dma_limit), include/linux/device.h
 */

export interface DeviceSpec {
  readonly name: string;
  /** Streaming mask, bits: 24, 29, 32, 64 … */
  readonly dmaBits: number;
  /** Coherent mask, bits; often the same. */
  readonly coherentBits: number;
  /** Last DMA address the bus carries, inclusive bytes; null for no limit. */
  readonly busLimit: number | null;
  /** Translated by an IOMMU: any memory is in reach. */
  readonly iommu: boolean;
  readonly node: number | null;
}

/** A device of `bits` on both masks, with nothing in between. */
export function simpleDevice(name: string, bits: number): DeviceSpec {
  return { name, dmaBits: bits, coherentBits: bits, busLimit: null, iommu: false, node: null };
}

/** Highest DMA address a mask of `bits` reaches, inclusive; exact up to 53 bits, saturated beyond. */
export function maskLimit(bits: number): number {
  return bits >= 53 ? Number.MAX_SAFE_INTEGER : 2 ** bits - 1;
}
