/**
 * Memory that lies together for the device and nowhere else: an IOMMU makes one
 * run of addresses of single pages. Without one it is pages that lie together.
 * The CPU and the device use it in turn, as they do a mapped list.
 *
 * Behind an IOMMU nothing is zeroed unless it is asked for, and the coherent mask counts.
 *
 * Linux: dma_alloc_noncontiguous(), alloc_single_sgt(), kernel/dma/mapping.c;
 * iommu_dma_alloc_noncontiguous(), drivers/iommu/dma-iommu.c
 */
import { TYPE_SG } from "./books.ts";
import { count, gone, refuse } from "./coherent.ts";
import type { Core } from "./core.ts";
import { pageAlign, ZONE_BITS } from "./machine.ts";
import { checkUnmap } from "./mapping-steps.ts";
import type { CoherentBlock, SgEntry } from "./ops.ts";
import { apartFlag, givePages, takePages } from "./pages.ts";
import type { Device } from "./runtime-device.ts";
import { DMA_ATTR_ALLOC_SINGLE_PAGES, type DmaDirection } from "./words.ts";

const CALL = "dma_alloc_noncontiguous";

/** Such memory as a driver holds it: a list that is mapped as one. */
export interface DmaTable {
  /** The device's address of all of it. */
  readonly dma: number;
  /** Bytes asked for. */
  readonly size: number;
  /** Where the pages lie, in order; the first entry has the device's address and length of all. */
  readonly entries: SgEntry[];
  readonly block: CoherentBlock;
}

export function allocNoncontiguous(
  core: Core,
  device: Device,
  size: number,
  direction: DmaDirection,
  gfp: number,
  attrs: number,
): DmaTable | null {
  if ((attrs & ~DMA_ATTR_ALLOC_SINGLE_PAGES) !== 0) {
    core.reports.sayOnce("noncontiguous attrs", `WARNING: attributes in ${CALL}()`);
    return refuse(core, device, CALL, "attributes");
  }
  const block = take(core, device, size, direction, gfp, attrs);
  if (block === null) return null;
  const entries = block.runs.map((run): SgEntry => ({ ...run, dma: 0, dmaLength: 0 }));
  const [first] = entries;
  const { dma, size: length } = block;
  Object.assign(first, { dma, dmaLength: length });
  const { books } = core;
  const flags = apartFlag(device);
  const entry = books.add(device.id, dma, length, first.physical, direction, TYPE_SG, flags);
  if (entry < 0) {
    give(core, device, block, direction);
    return refuse(core, device, CALL, "books full");
  }
  books.entries[entry] = entries.length;
  const ranges = entries.map((own) => ({ start: own.physical, end: own.physical + own.length }));
  if (!device.coherent) {
    for (const { start, end } of ranges) core.cache?.flush(start, end - start);
    core.apart.open(entry, ranges);
  }
  core.debug?.added(device, entry, attrs);
  count(core, device, length);
  const physicals = entries.map((own) => own.physical);
  const lengths = { dmas: [dma], sizes: [length], physicals };
  core.onEvent?.({ name: "dma_map_sg", device: device.name, direction, ...lengths, attrs });
  return { dma, size, entries, block };
}

/** Pages gathered by the device's ops where those can, pages that lie together where not. */
function take(
  core: Core,
  device: Device,
  size: number,
  direction: DmaDirection,
  gfp: number,
  attrs: number,
): CoherentBlock | null {
  const { ops } = device;
  if (ops.gathers?.(device) !== true) return takePages(core, device, CALL, size, direction, gfp);
  if (!(size > 0)) return refuse(core, device, CALL, "size");
  // HighMem pages are taken anyway; a zone's bit beside that makes no request.
  if ((gfp & ZONE_BITS) !== 0) return refuse(core, device, CALL, "zone bits");
  const { cpu } = core.memory;
  const length = pageAlign(core.machine, size);
  return ops.gather?.(device, length, gfp, attrs, cpu) ?? refuse(core, device, CALL, null);
}

function give(core: Core, device: Device, block: CoherentBlock, direction: DmaDirection): void {
  if (device.ops.gathers?.(device) !== true) givePages(core, device, block, direction);
  else device.ops.freeCoherent(device, block, 0, core.memory.cpu);
}

/** Linux: dma_free_noncontiguous(), kernel/dma/mapping.c */
export function freeNoncontiguous(
  core: Core,
  device: Device,
  table: DmaTable,
  direction: DmaDirection,
): void {
  const { dma, block, entries } = table;
  const physicals = entries.map((own) => own.physical);
  const name = "dma_unmap_sg";
  core.onEvent?.({ name, device: device.name, direction, physicals, attrs: 0 });
  const entry = core.books.find(device.id, dma, block.size, TYPE_SG, direction);
  const ref = { dma, size: block.size, direction, type: TYPE_SG, physical: physicals[0] };
  checkUnmap(core, device, entry, { ...ref, entries: entries.length });
  if (entry < 0) return;
  gone(core, device, entry, block);
  give(core, device, block, direction);
}
