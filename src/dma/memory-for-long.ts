/**
 * The part of the DMA API that is about memory for long: coherent memory, pages that
 * CPU and device use in turn, memory in parts, a device's own, small blocks; and how
 * the CPU sees them in a row.
 *
 * Linux: include/linux/dma-mapping.h, include/linux/dmapool.h
 */
import type { Memory } from "../mm/memory.ts";
import { allocCoherent, type DmaBuffer, freeCoherent } from "./coherent.ts";
import type { Core } from "./core.ts";
import { CpuView, mmapCoherent, mmapRuns, sgtableOf, type UserArea } from "./cpu-view.ts";
import {
  declareCoherentMemory,
  initReservedMemory,
  markDeclaredMemoryOccupied,
  releaseDeclaredMemory,
} from "./declared-api.ts";
import { pageAlign } from "./machine.ts";
import { allocNoncontiguous, type DmaTable, freeNoncontiguous } from "./noncontiguous.ts";
import type { SgEntry } from "./ops.ts";
import { allocPagesFor, freePagesOf } from "./pages.ts";
import { DmaPool, type PoolBackend, poolShape } from "./pool.ts";
import type { Reports } from "./reports.ts";
import type { Device } from "./runtime-device.ts";
import type { DmaDirection } from "./words.ts";

export class MemoryForLong {
  readonly memory: Memory;
  readonly reports: Reports;
  protected readonly core: Core;

  constructor(core: Core) {
    this.core = core;
    this.memory = core.memory;
    this.reports = core.reports;
  }

  /** Zeroed memory for CPU and device, or null. `gfp` is GFP_KERNEL by default. Linux: dma_alloc_attrs() */
  allocCoherent(device: Device, size: number, gfp?: number, attrs = 0): DmaBuffer | null {
    const flags = gfp ?? this.core.machine.gfpKernel;
    return allocCoherent(this.core, device, size, flags, attrs);
  }

  freeCoherent(device: Device, buffer: DmaBuffer, attrs = 0): void {
    freeCoherent(this.core, device, buffer, attrs);
  }

  // Pages, in turn --------------------------------------------------------------

  /** Pages that belong to CPU and device in turn, with syncs between. Linux: dma_alloc_pages() */
  allocPages(
    device: Device,
    size: number,
    direction: DmaDirection,
    gfp?: number,
  ): DmaBuffer | null {
    const flags = gfp ?? this.core.machine.gfpKernel;
    return allocPagesFor(this.core, device, size, direction, flags);
  }

  freePages(device: Device, buffer: DmaBuffer, direction: DmaDirection): void {
    freePagesOf(this.core, device, buffer, direction);
  }

  /** The same by its other name. Linux: dma_alloc_noncoherent() */
  allocNoncoherent(...wish: Parameters<MemoryForLong["allocPages"]>): DmaBuffer | null {
    return this.allocPages(...wish);
  }

  freeNoncoherent(...given: Parameters<MemoryForLong["freePages"]>): void {
    this.freePages(...given);
  }

  /**
   * Memory that lies together for the device only: its parts are `entries`, the first of which
   * has the device's address of all. Belongs to CPU and device in turn, as a list's does: the
   * syncs are `syncSgForCpu(device, table.entries, …)`. `attrs` may be
   * DMA_ATTR_ALLOC_SINGLE_PAGES alone. Null for no; since 5.13.
   *
   * Linux: dma_alloc_noncontiguous(), kernel/dma/mapping.c
   */
  allocNoncontiguous(
    device: Device,
    size: number,
    direction: DmaDirection,
    gfp?: number,
    attrs = 0,
  ): DmaTable | null {
    const flags = gfp ?? this.core.machine.gfpKernel;
    return allocNoncontiguous(this.core, device, size, direction, flags, attrs);
  }

  freeNoncontiguous(device: Device, table: DmaTable, direction: DmaDirection): void {
    freeNoncontiguous(this.core, device, table, direction);
  }

  // One after the other for the CPU ----------------------------------------------

  /** All of it in a row, as the kernel maps it for itself. Linux: dma_vmap_noncontiguous() */
  vmapNoncontiguous(table: DmaTable): CpuView {
    return new CpuView(this.core, table.block.runs, 0, pageAlign(this.core.machine, table.size));
  }

  /**
   * What a process sees that maps coherent memory, or ENXIO where it asks for pages behind the
   * buffer's. `size` is what the driver says of the buffer: all of it. Linux: dma_mmap_attrs()
   */
  mmapCoherent(device: Device, area: UserArea, buffer: DmaBuffer, size?: number): CpuView | number {
    return mmapCoherent(this.core, device, area, buffer, size ?? buffer.size);
  }

  /** The same for `allocPages`. Linux: dma_mmap_pages() */
  mmapPages(area: UserArea, buffer: DmaBuffer, size?: number): CpuView | number {
    return mmapRuns(this.core, area, buffer.block.runs, size ?? buffer.size);
  }

  /** The same for `allocNoncontiguous`. Linux: dma_mmap_noncontiguous() */
  mmapNoncontiguous(area: UserArea, table: DmaTable, size?: number): CpuView | number {
    return mmapRuns(this.core, area, table.block.runs, size ?? table.size);
  }

  /**
   * Coherent memory as a list of its pages, to be mapped for another device.
   * Linux: dma_get_sgtable_attrs()
   */
  getSgtable(device: Device, buffer: DmaBuffer, size?: number): SgEntry[] {
    return sgtableOf(this.core, device, buffer, size ?? buffer.size);
  }

  // A device's own, and small blocks ---------------------------------------------

  /** See declared-api.ts for what is returned. `flags` are DMA_MEMORY_*. */
  declareCoherentMemory(
    device: Device,
    busAddress: number,
    deviceAddress: number,
    size: number,
    flags = 0,
  ): number {
    return declareCoherentMemory(this.core, device, busAddress, deviceAddress, size, flags);
  }

  releaseDeclaredMemory(device: Device): void {
    releaseDeclaredMemory(this.core, device);
  }

  markDeclaredMemoryOccupied(device: Device, deviceAddress: number, size: number): number {
    return markDeclaredMemoryOccupied(this.core, device, deviceAddress, size);
  }

  /** Linux: of_reserved_mem_device_init_by_idx() */
  initReservedMemory(device: Device, source: Device, index: number): number {
    return initReservedMemory(this.core, device, source, index);
  }

  /**
   * A pool of blocks of `size` bytes that do not cross `boundary`; null for what
   * the kernel refuses. Linux: dma_pool_create()
   */
  createPool(
    name: string,
    device: Device,
    size: number,
    align: number,
    boundary: number,
  ): DmaPool | null {
    const layout = this.core.policy.pool;
    const { pageSize } = this.memory;
    const shape = poolShape(layout, pageSize, size, align, boundary);
    if (shape === null) return null;
    const id = this.core.pools.open();
    if (id < 0) return null;
    const backend: PoolBackend = {
      reports: this.reports,
      layout,
      pageSize,
      table: this.core.pools,
      areaOf: (owner) => this.core.declared.get(owner) ?? null,
      allocCoherent: (owner, bytes, gfp) => this.allocCoherent(owner, bytes, gfp),
      freeCoherent: (owner, buffer) => this.freeCoherent(owner, buffer),
    };
    return new DmaPool(backend, name, device, shape, id);
  }
}
