/**
 * Pages that lie together and are mapped for a direction: the CPU and the device
 * use them in turn, as with a streaming mapping.
 *
 * Linux: dma_alloc_pages(), kernel/dma/mapping.c; dma_direct_alloc_pages(), kernel/dma/direct.c;
 * dma_common_alloc_pages(), kernel/dma/ops_helpers.c
 */
import { F_APART, F_CHECKED, TYPE_SINGLE } from "./books.ts";
import { type DmaBuffer, gone, refuse, tellAlloc } from "./coherent.ts";
import type { Core } from "./core.ts";
import type { DmaDevice } from "./dma-device.ts";
import { pageAlign, ZONE_BITS } from "./machine.ts";
import { checkUnmap } from "./mapping-steps.ts";
import type { CoherentBlock } from "./ops.ts";
import type { Device } from "./runtime-device.ts";
import { DMA_ATTR_SKIP_CPU_SYNC, type DmaDirection, NO_LIMIT } from "./words.ts";

/** Whether the request may be made: sizes of nothing, and zone bits, are refused. */
function isAsked(core: Core, device: Device, call: string, size: number, gfp: number): boolean {
  if (!(size > 0)) {
    refuse(core, device, call, "size");
    return false;
  }
  if ((gfp & ZONE_BITS) === 0) return true;
  core.reports.sayOnce("alloc_pages zone bits", "WARNING: zone bits in dma_alloc_pages()");
  refuse(core, device, call, "zone bits");
  return false;
}

/**
 * Zeroed pages with an address for the device; null, with the refusal told. They are in no books yet.
 *
 * Linux: __dma_alloc_pages()
 */
export function takePages(
  core: Core,
  device: Device,
  call: string,
  size: number,
  direction: DmaDirection,
  gfp: number,
): CoherentBlock | null {
  if (!isAsked(core, device, call, size, gfp)) return null;
  const { direct, memory } = core;
  const length = pageAlign(core.machine, size);
  const block = direct.allocCoherent(pageTaker(core, device), length, gfp, 0, memory.cpu);
  if (block === null) {
    return refuse(core, device, call, direct.lastRefusal?.reason ?? "no memory");
  }
  if (device.ops === direct) return block;
  const physical = block.runs[0]?.physical ?? 0;
  const skip = DMA_ATTR_SKIP_CPU_SYNC;
  const dma = device.ops.mapPhysical(device, physical, length, direction, skip, memory.cpu);
  if (dma >= 0) return { ...block, dma };
  direct.freeCoherent(device, block, 0, memory.cpu);
  return refuse(core, device, call, null);
}

/** Behind an IOMMU any pages do. Nobody remaps them, so who may not wait needs no atomic pool. */
function pageTaker(core: Core, device: Device): DmaDevice {
  if (device.ops === core.direct) return device.coherent ? device : { ...device, coherent: true };
  return { ...device, coherent: true, coherentLimit: NO_LIMIT, busLimit: NO_LIMIT, windows: null };
}

/** Gives back what `takePages` gave. Linux: __dma_free_pages() */
export function givePages(
  core: Core,
  device: Device,
  block: CoherentBlock,
  direction: DmaDirection,
): void {
  const { cpu } = core.memory;
  if (device.ops !== core.direct) {
    device.ops.unmap(device, block.dma, block.size, direction, DMA_ATTR_SKIP_CPU_SYNC, cpu);
  }
  core.direct.freeCoherent(device, block, 0, cpu);
}

/** F_APART where CPU and device see different bytes until somebody syncs. */
export function apartFlag(device: Device): number {
  return device.coherent ? 0 : F_APART;
}

/** Linux: dma_alloc_pages(), dma_alloc_noncoherent() */
export function allocPagesFor(
  core: Core,
  device: Device,
  size: number,
  direction: DmaDirection,
  gfp: number,
): DmaBuffer | null {
  const call = "dma_alloc_pages";
  const block = takePages(core, device, call, size, direction, gfp);
  if (block === null) return null;
  const { dma, size: length } = block;
  const physical = block.runs[0]?.physical ?? 0;
  // The kernel's own map of them needs no question whether it failed.
  const flags = F_CHECKED | apartFlag(device);
  const entry = core.books.add(device.id, dma, length, physical, direction, TYPE_SINGLE, flags);
  if (entry < 0) {
    givePages(core, device, block, direction);
    return refuse(core, device, call, "books full");
  }
  if (!device.coherent) core.apart.open(entry, [{ start: physical, end: physical + length }]);
  core.debug?.added(device, entry, 0);
  tellAlloc(core, device, call, dma, length, physical, direction, gfp, 0);
  return { dma, size: length, physical, block, declared: null };
}

/** Linux: dma_free_pages(), kernel/dma/mapping.c */
export function freePagesOf(
  core: Core,
  device: Device,
  buffer: DmaBuffer,
  direction: DmaDirection,
): void {
  const { dma, size, physical, block } = buffer;
  const entry = core.books.find(device.id, dma, size, TYPE_SINGLE, direction);
  const ref = { dma, size, physical, direction, type: TYPE_SINGLE, entries: 0 };
  checkUnmap(core, device, entry, ref);
  if (entry < 0) return;
  gone(core, device, entry, block);
  const name = "dma_free_pages";
  core.onEvent?.({ name, device: device.name, direction, dma, size, physical, attrs: 0 });
  givePages(core, device, block, direction);
}
