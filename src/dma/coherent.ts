/**
 * Memory that CPU and device share for long: the device's own area first, then
 * what its ops give.
 *
 * Linux: dma_alloc_attrs(), dma_free_attrs(), kernel/dma/mapping.c;
 * dma_alloc_from_dev_coherent(), kernel/dma/coherent.c
 */
import { F_DECLARED, TYPE_COHERENT } from "./books.ts";
import type { Core } from "./core.ts";
import { C_ALLOCATED_BYTES, C_ALLOCS, C_FREES, C_REFUSED, COUNT_WORDS } from "./counts.ts";
import {
  type DeclaredArea,
  DMA_MEMORY_EXCLUSIVE,
  DMA_MEMORY_INCLUDES_CHILDREN,
} from "./declared.ts";
import { orderOf, pageAlign, ZONE_BITS } from "./machine.ts";
import { checkUnmap } from "./mapping-steps.ts";
import type { CoherentBlock } from "./ops.ts";
import type { Device } from "./runtime-device.ts";
import { DMA_BIDIRECTIONAL, type DmaDirection } from "./words.ts";

/** Coherent memory, or pages, as a driver holds them. */
export interface DmaBuffer {
  readonly dma: number;
  /** Bytes asked for. */
  readonly size: number;
  /** Where the CPU sees its first byte. */
  readonly physical: number;
  readonly block: CoherentBlock;
  /** Of a device's own area. */
  readonly declared: DeclaredArea | null;
}

/** The area a device allocates from: its own, or the nearest of its parents' that includes children. */
export function areaOf(core: Core, device: Device): DeclaredArea | null {
  const own = core.declared.get(device.id);
  if (own !== undefined) return own;
  if (!core.policy.declared.children) return null;
  for (let above = device.parent; above !== null; above = above.parent) {
    const area = core.declared.get(above.id);
    if (area !== undefined) {
      return (area.flags & DMA_MEMORY_INCLUDES_CHILDREN) === 0 ? null : area;
    }
  }
  return null;
}

/** Zeroed memory for CPU and device, or null; `reports.lastRefusal` then says why. */
export function allocCoherent(
  core: Core,
  device: Device,
  size: number,
  gfp: number,
  attrs: number,
): DmaBuffer | null {
  if (!(size > 0)) return refuse(core, device, "dma_alloc", "size");
  const area = areaOf(core, device);
  if (area !== null) {
    const buffer = fromArea(core, device, area, size);
    if (buffer !== null) return buffer;
    // Without flags the area's answer is final; with them only EXCLUSIVE makes it so.
    const { flags } = core.policy.declared;
    if (flags === "none" || (area.flags & DMA_MEMORY_EXCLUSIVE) !== 0) {
      return refuse(core, device, "dma_alloc", "device's own memory is full");
    }
  }
  const zoneless = core.policy.coherent.keepsZoneBits ? gfp : gfp & ~ZONE_BITS;
  const block = device.ops.allocCoherent(device, size, zoneless, attrs, core.memory.cpu);
  if (block === null) {
    const direction = DMA_BIDIRECTIONAL;
    const nowhere = { dma: 0, size, physical: -1, gfp: zoneless, attrs };
    core.onEvent?.({ name: "dma_alloc", device: device.name, direction, ...nowhere });
    return refuse(core, device, "dma_alloc", null);
  }
  const physical = block.runs[0]?.physical ?? 0;
  const own = core.books.add(
    device.id,
    block.dma,
    size,
    physical,
    DMA_BIDIRECTIONAL,
    TYPE_COHERENT,
    0,
  );
  if (own < 0) {
    device.ops.freeCoherent(device, block, attrs, core.memory.cpu);
    return refuse(core, device, "dma_alloc", "books full");
  }
  if (!device.coherent) {
    for (const run of block.runs) core.cache?.setUncached(run.physical, run.length, true);
  }
  core.debug?.added(device, own, attrs);
  tellAlloc(
    core,
    device,
    "dma_alloc",
    block.dma,
    size,
    physical,
    DMA_BIDIRECTIONAL,
    zoneless,
    attrs,
  );
  return { dma: block.dma, size, physical, block, declared: null };
}

/** 2^order pages of a device's own memory, zeroed. The kernel's trace and debugger do not see them. */
function fromArea(core: Core, device: Device, area: DeclaredArea, size: number): DmaBuffer | null {
  const offset = area.take(orderOf(core.machine, size));
  if (offset < 0) return null;
  const physical = area.busStart + offset;
  const dma = area.deviceStart + offset;
  const length = pageAlign(core.machine, size);
  core.cache?.setUncached(physical, length, true);
  core.space.view(physical, length)?.fill(0);
  const flags = F_DECLARED;
  const entry = core.books.add(
    device.id,
    dma,
    size,
    physical,
    DMA_BIDIRECTIONAL,
    TYPE_COHERENT,
    flags,
  );
  if (entry < 0) {
    area.give(physical, orderOf(core.machine, size));
    return null;
  }
  count(core, device, size);
  const block = { dma, size: length, runs: [{ physical, length }] };
  return { dma, size, physical, block, declared: area };
}

export function count(core: Core, device: Device, size: number): void {
  const own = device.id * COUNT_WORDS;
  core.counts[own + C_ALLOCS]++;
  core.counts[own + C_ALLOCATED_BYTES] += size;
}

export function tellAlloc(
  core: Core,
  device: Device,
  name: "dma_alloc" | "dma_alloc_pages",
  dma: number,
  size: number,
  physical: number,
  direction: DmaDirection,
  gfp: number,
  attrs: number,
): void {
  count(core, device, size);
  core.onEvent?.({ name, device: device.name, direction, dma, size, physical, gfp, attrs });
}

export function refuse(core: Core, device: Device, call: string, reason: string | null): null {
  const own = reason === null ? device.ops.lastRefusal : null;
  const words = reason ?? own?.reason ?? "no memory";
  core.reports.refuse(call, device.name, words, own?.message ?? null);
  core.counts[device.id * COUNT_WORDS + C_REFUSED]++;
  return null;
}

/** Gives coherent memory back. What the driver says of it is compared with the books. */
export function freeCoherent(core: Core, device: Device, buffer: DmaBuffer, attrs: number): void {
  const { dma, size, physical, declared } = buffer;
  const entry = core.books.find(device.id, dma, size, TYPE_COHERENT, DMA_BIDIRECTIONAL);
  if (declared === null || entry < 0) {
    const ref = { dma, size, physical, direction: DMA_BIDIRECTIONAL, type: TYPE_COHERENT };
    checkUnmap(core, device, entry, { ...ref, entries: 0 });
  }
  if (entry < 0) return;
  const bytes = struckOut(core, device, entry);
  for (const run of buffer.block.runs) core.cache?.setUncached(run.physical, run.length, false);
  if (declared !== null) {
    // By its device, as the kernel looks for it: the buffer may have been another layer's.
    const area = core.declared.get(declared.device);
    area?.give(buffer.block.runs[0]?.physical ?? 0, orderOf(core.machine, bytes));
    return;
  }
  const direction = DMA_BIDIRECTIONAL;
  core.onEvent?.({ name: "dma_free", device: device.name, direction, dma, size, physical, attrs });
  device.ops.freeCoherent(device, buffer.block, attrs, core.memory.cpu);
}

/** Takes an allocation out of the books and the counts; its bytes. */
function struckOut(core: Core, device: Device, entry: number): number {
  const bytes = core.books.size[entry];
  core.books.remove(entry);
  const own = device.id * COUNT_WORDS;
  core.counts[own + C_FREES]++;
  core.counts[own + C_ALLOCATED_BYTES] -= bytes;
  return bytes;
}

/** The same for memory that CPU and device use in turn: nothing of it stays in the CPU's cache. */
export function gone(core: Core, device: Device, entry: number, { runs }: CoherentBlock): void {
  for (const { physical, length } of runs) core.cache?.flush(physical, length);
  core.apart.close(entry);
  struckOut(core, device, entry);
}
