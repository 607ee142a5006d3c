/**
 * A device as the DMA layer sees it: how many address bits it drives, and what
 * lies between it and memory.
 *
 * Linux: struct device (dma_mask, coherent_dma_mask, bus_dma_limit), include/linux/device.h
 */

import type { DmaWindow } from "./dma-device.ts";

/** Memory that firmware gives to one device: `memory-region` of a device tree. All bytes. */
export interface DeviceRegion {
  /**
   * "declared": the device's coherent memory, out of Linux's hands (shared-dma-pool, no-map);
   * "cma": lent to movable pages meanwhile (shared-dma-pool, reusable); "restricted": all its
   * streaming mappings bounce through it (restricted-dma-pool).
   */
  readonly kind: "declared" | "cma" | "restricted";
  readonly start: number;
  readonly size: number;
  readonly name?: string;
}

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
  /** As dma-debug prints it; empty by default. */
  readonly driver?: string;
  /** Name of the device above it. */
  readonly parent?: string;
  /** `dma-ranges`: what the device sees of which CPU addresses; the same on both sides without. */
  readonly windows?: readonly DmaWindow[];
  /** Longest segment of a scatterlist, bytes; 65536 by default. */
  readonly maxSegmentSize?: number;
  /** Segments do not cross multiples of this + 1; 0xffffffff by default. */
  readonly segmentBoundary?: number;
  /** Low address bits that bounce buffers keep: 4095 for NVMe; 0 by default. */
  readonly minAlignMask?: number;
  /** In order: the device's own areas by index; a codec with two memory banks has two. */
  readonly regions?: readonly DeviceRegion[];
  /** Behind an external port; no by default. */
  readonly untrusted?: boolean;
  /** The hardware keeps the CPU's caches in step; yes by default. */
  readonly coherent?: boolean;
  /** Every streaming mapping bounces; no by default. */
  readonly forceBounce?: boolean;
}

/** A device of `bits` on both masks, with nothing in between. */
export function simpleDevice(name: string, bits: number): DeviceSpec {
  return { name, dmaBits: bits, coherentBits: bits, busLimit: null, iommu: false, node: null };
}

/** Highest DMA address a mask of `bits` reaches, inclusive; exact up to 53 bits, saturated beyond. */
export function maskLimit(bits: number): number {
  return bits >= 53 ? Number.MAX_SAFE_INTEGER : 2 ** bits - 1;
}
