/**
 * A device at run time, as every part of the DMA layer asks about it. The core
 * fills it; swiotlb, IOMMUs and pools only read it.
 *
 * Linux: struct device (dma_mask, coherent_dma_mask, bus_dma_limit, dma_range_map,
 * dma_parms), include/linux/device.h; struct device_dma_parameters
 */

/** One window of a bus: CPU addresses and what the device sees of them. All bytes. */
export interface DmaWindow {
  readonly cpuStart: number;
  readonly dmaStart: number;
  readonly size: number;
}

export interface DmaDevice {
  /** As the kernel prints it: "0000:00:03.0". */
  readonly name: string;
  /** "e1000", "nvme" …; dma-debug prints it. Empty where no driver is bound. */
  readonly driver: string;
  /** Last address of the streaming mask, inclusive; NO_LIMIT for 64 bits. -1 when there is no mask. */
  streamingLimit: number;
  /** Last address of the coherent mask, inclusive. */
  coherentLimit: number;
  /** Last DMA address that the bus carries, inclusive; NO_LIMIT for none. */
  readonly busLimit: number;
  /** Windows of the bus in the order of the device tree; null where addresses are the same on both sides. */
  readonly windows: readonly DmaWindow[] | null;
  readonly parent: DmaDevice | null;
  readonly node: number;
  /** Longest segment of a scatterlist, bytes: 65536 by default. */
  readonly maxSegmentSize: number;
  /** Segments do not cross multiples of this + 1: 0xffffffff by default; NO_LIMIT for no boundary. */
  readonly segmentBoundary: number;
  /** Low address bits that bounce buffers must keep: 4095 for NVMe, 0 for nearly all. */
  readonly minAlignMask: number;
  /** Whether the hardware keeps the CPU's caches in step. */
  readonly coherent: boolean;
  /** Behind an external port: an IOMMU translates strictly, partial granules bounce. */
  readonly untrusted: boolean;
  /** Every streaming mapping bounces: swiotlb=force, confidential guests, restricted pools. */
  readonly forceBounce: boolean;
}
