/**
 * One way to reach memory: directly, through an IOMMU's page tables, through a
 * GART. The API (`map`, `sync`, `alloc` …) asks the device's ops and keeps the
 * books; ops do the addresses.
 *
 * DMA addresses are bytes as the device puts them on its bus; DMA_MAPPING_ERROR
 * means no. Physical addresses are bytes as the memory counts them.
 *
 * Linux: struct dma_map_ops, include/linux/dma-map-ops.h
 */
import type { DmaDevice } from "./dma-device.ts";
import type { DmaDirection } from "./words.ts";

/** An entry of a scatterlist: in by `physical` and `length`, out by `dma` and `dmaLength`. */
export interface SgEntry {
  readonly physical: number;
  readonly length: number;
  dma: number;
  dmaLength: number;
}

/** What an access on the bus met. */
export interface BusFault {
  /** "unmapped", "direction", "mask", "window" … */
  readonly reason: string;
  readonly address: number;
  /** The line that the kernel would log, where it logs one. */
  readonly message: string;
}

/** Memory that CPU and device share for long; the CPU sees `runs` one after the other. */
export interface CoherentBlock {
  readonly dma: number;
  /** Bytes asked for, rounded up to pages. */
  readonly size: number;
  readonly runs: readonly { readonly physical: number; readonly length: number }[];
  /** Order of the one block that it is, -1 for pages that were gathered; absent where its ops know by its size. */
  readonly order?: number;
}

/** Why the last call of an ops refused, for people and for the log. */
export interface OpsRefusal {
  /** "mask", "no bounce pool", "bounce pool full", "no IOVA" … */
  readonly reason: string;
  /** The line that the kernel logs, without its time; null where it logs none. */
  readonly message: string | null;
}

export interface DmaOps {
  readonly name: string;
  /** Set by `mapPhysical`, `mapSg` and `allocCoherent` when they refuse; absent: only that they did is known. */
  readonly lastRefusal?: OpsRefusal | null;
  /** DMA address of the first byte, or DMA_MAPPING_ERROR. With DMA_ATTR_MMIO in `attrs` it is dma_map_resource(). */
  mapPhysical(
    device: DmaDevice,
    physical: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number;
  unmap(
    device: DmaDevice,
    dma: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): void;
  /** Maps all entries or none; returns how many entries are used on the DMA side, 0 on refusal. */
  mapSg(
    device: DmaDevice,
    entries: SgEntry[],
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number;
  unmapSg(
    device: DmaDevice,
    entries: readonly SgEntry[],
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): void;
  syncForCpu(device: DmaDevice, dma: number, size: number, direction: DmaDirection): void;
  syncForDevice(device: DmaDevice, dma: number, size: number, direction: DmaDirection): void;
  /** Zeroed memory for both, or null. `gfp` has no zone bits. */
  allocCoherent(
    device: DmaDevice,
    size: number,
    gfp: number,
    attrs: number,
    cpu: number,
  ): CoherentBlock | null;
  freeCoherent(device: DmaDevice, block: CoherentBlock, attrs: number, cpu: number): void;
  /** Whether memory that lies together for this device may be gathered page by page; absent for no. */
  gathers?(device: DmaDevice): boolean;
  /**
   * Such memory, not zeroed unless `gfp` says so, or null; `freeCoherent` gives it back.
   *
   * Linux: the operation alloc_noncontiguous, include/linux/dma-map-ops.h
   */
  gather?(
    device: DmaDevice,
    size: number,
    gfp: number,
    attrs: number,
    cpu: number,
  ): CoherentBlock | null;
  /** Whether dma_set_mask() takes a mask with this last address. */
  maskSupported(device: DmaDevice, limit: number): boolean;
  /** Mask that reaches all memory of the machine through these ops, as its last address. */
  requiredMask(device: DmaDevice): number;
  maxMappingSize(device: DmaDevice): number;
  /** Largest mapping that is cheap: an IOMMU's cached sizes. Absent: no such size. */
  optMappingSize?(device: DmaDevice): number;
  /**
   * Where an access of the device at `dma` lands: the physical address, valid up
   * to the end of the granule or window, or the fault it meets.
   */
  translate(device: DmaDevice, dma: number, write: boolean): number | BusFault;
  /**
   * Where a mapping leads, without an access: nothing is cached, counted or logged.
   * -1 for nowhere. Absent: what the windows of the bus say.
   *
   * Linux: iommu_iova_to_phys(), drivers/iommu/iommu.c
   */
  landing?(device: DmaDevice, dma: number): number;
}
