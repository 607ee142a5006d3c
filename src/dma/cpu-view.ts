/**
 * Memory for DMA as the CPU sees it in a row, though its pages lie anywhere: the
 * kernel's mapping of it, or a process's. There are no virtual addresses here;
 * bytes are counted from the beginning of the view.
 *
 * A process asks for pages from an offset on, and gets none where they end behind
 * the buffer's, whatever the buffer really is: the kernel believes the driver's size.
 *
 * Linux: dma_mmap_attrs(), dma_mmap_pages(), dma_vmap_noncontiguous(), kernel/dma/mapping.c;
 * dma_direct_mmap(), kernel/dma/direct.c; dma_mmap_from_dev_coherent(), kernel/dma/coherent.c;
 * iommu_dma_mmap(), drivers/iommu/dma-iommu.c
 */
import { cpuRead, cpuWrite } from "./bus.ts";
import type { DmaBuffer } from "./coherent.ts";
import type { Core } from "./core.ts";
import { pageAlign } from "./machine.ts";
import type { CoherentBlock, SgEntry } from "./ops.ts";
import { type Device, ENXIO } from "./runtime-device.ts";
import { dmaToPhys } from "./translate.ts";

type Runs = CoherentBlock["runs"];

/** What a process asks for: how many pages, from which page of the buffer on. Linux: vma_pages(), vm_pgoff */
export interface UserArea {
  readonly pages: number;
  readonly pgoff: number;
}

export class CpuView {
  /** Bytes. */
  readonly length: number;
  readonly #core: Core;
  #runs: Runs;

  /** `length` bytes of `runs` from byte `start` on. */
  constructor(core: Core, runs: Runs, start: number, length: number) {
    this.#core = core;
    this.#runs = cut(runs, start, length);
    this.length = length;
  }

  /** Physical address of a byte; -1 behind the end, and where nothing is mapped any more. */
  physicalAt(offset: number): number {
    let left = offset;
    for (const { physical, length } of this.#runs) {
      if (left >= 0 && left < length) return physical + left;
      left -= length;
    }
    return -1;
  }

  /** What the CPU reads there; null where not all of it is mapped memory. */
  read(offset: number, length: number): Uint8Array | null {
    if (!this.#covers(offset, length)) return null;
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const run of cut(this.#runs, offset, length)) {
      const part = cpuRead(this.#core, run.physical, run.length);
      if (part === null) return null;
      bytes.set(part, at);
      at += run.length;
    }
    return bytes;
  }

  /** The CPU writes; false where not all of it is mapped memory. */
  write(offset: number, bytes: Uint8Array): boolean {
    if (!this.#covers(offset, bytes.length)) return false;
    let at = 0;
    for (const { physical, length } of cut(this.#runs, offset, bytes.length)) {
      if (!cpuWrite(this.#core, physical, bytes.subarray(at, at + length))) return false;
      at += length;
    }
    return true;
  }

  /** Nothing is mapped any more. Linux: dma_vunmap_noncontiguous(), munmap() */
  unmap(): void {
    this.#runs = [];
  }

  #covers(offset: number, length: number): boolean {
    const mapped = this.#runs.reduce((sum, run) => sum + run.length, 0);
    return offset >= 0 && length >= 0 && offset + length <= mapped;
  }
}

/** The part of `runs` that holds `length` bytes from byte `start` on. */
function cut(runs: Runs, start: number, length: number): Runs {
  const parts: { physical: number; length: number }[] = [];
  let before = 0;
  for (const run of runs) {
    const from = Math.max(0, start - before);
    const to = Math.min(run.length, start + length - before);
    if (from < to) parts.push({ physical: run.physical + from, length: to - from });
    before += run.length;
  }
  return parts;
}

/** Pages of `runs` for a process; ENXIO where it asks for some that `size` bytes do not have. */
export function mmapRuns(core: Core, area: UserArea, runs: Runs, size: number): CpuView | number {
  const { pageSize } = core.machine;
  const count = pageAlign(core.machine, size) / pageSize;
  const { pages, pgoff } = area;
  if (!(pages > 0 && pgoff >= 0 && pgoff < count && pages <= count - pgoff)) return ENXIO;
  return new CpuView(core, runs, pgoff * pageSize, pages * pageSize);
}

/** Coherent memory for a process. `size` is the driver's word. */
export function mmapCoherent(
  core: Core,
  device: Device,
  area: UserArea,
  buffer: DmaBuffer,
  size: number,
): CpuView | number {
  return mmapRuns(core, area, cpuRuns(core, device, buffer, size), size);
}

/**
 * Where the pages of a buffer are looked for: pages that were gathered are known one
 * by one, all else goes on from its first. A buffer that a device's own memory holds
 * whole lies there; else it is looked for by its address.
 */
function cpuRuns(core: Core, device: Device, buffer: DmaBuffer, size: number): Runs {
  const { block, physical, declared, dma } = buffer;
  if (block.order === -1) return block.runs;
  const length = pageAlign(core.machine, size);
  if (declared === null && device.ops !== core.direct) return [{ physical, length }];
  const area = declared === null ? undefined : core.declared.get(declared.device);
  const own = area !== undefined && physical + size <= area.busStart + area.pages * area.pageSize;
  return [{ physical: own ? physical : dmaToPhys(device, dma), length }];
}

/**
 * The pages of coherent memory as a list that may be mapped for others. Of what was
 * gathered the last entry ends with the buffer; one block is whole pages. A device's
 * own memory has no pages: the kernel then names what lies at its address elsewhere.
 *
 * Linux: dma_direct_get_sgtable(), kernel/dma/direct.c; iommu_dma_get_sgtable()
 */
export function sgtableOf(core: Core, device: Device, buffer: DmaBuffer, size: number): SgEntry[] {
  const { block, physical, dma } = buffer;
  const entry = (run: Runs[number]): SgEntry => ({ ...run, dma: 0, dmaLength: 0 });
  if (block.order === -1) return cut(block.runs, 0, size).map(entry);
  const from = device.ops === core.direct ? dmaToPhys(device, dma) : physical;
  return [entry({ physical: from, length: pageAlign(core.machine, size) })];
}
