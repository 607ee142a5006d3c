/**
 * Streaming mappings: a buffer belongs to the device from map to unmap, and in
 * between to whom it was last synced for.
 *
 * The functions are closures over one DMA layer: a map of a reachable buffer
 * comes to two comparisons and a line in the books. What the debugger, a cache
 * that devices do not see, or listeners want is behind one test.
 *
 * Linux: dma_map_page_attrs(), dma_map_sg_attrs(), dma_sync_single_for_cpu(), kernel/dma/mapping.c
 */
import { F_APART, hasFlag, TYPE_RESOURCE, TYPE_SINGLE } from "./books.ts";
import type { Core } from "./core.ts";
import { C_MAPPED_BYTES, C_MAPS, C_UNMAPS, COUNT_WORDS } from "./counts.ts";
import {
  afterMap,
  beforeMap,
  flagsOf,
  openApart,
  refuseBooks,
  refuseOne,
  unmapSlowly,
} from "./mapping-steps.ts";
import type { Device } from "./runtime-device.ts";
import { DMA_ATTR_MMIO, DMA_MAPPING_ERROR, DMA_NONE, type DmaDirection } from "./words.ts";

export interface Streaming {
  /** DMA address of `size` bytes from `physical` on, or DMA_MAPPING_ERROR. */
  map(
    device: Device,
    physical: number,
    size: number,
    direction: DmaDirection,
    attrs?: number,
  ): number;
  unmap(device: Device, dma: number, size: number, direction: DmaDirection, attrs?: number): void;
  mapResource(
    device: Device,
    physical: number,
    size: number,
    direction: DmaDirection,
    attrs?: number,
  ): number;
  unmapResource(
    device: Device,
    dma: number,
    size: number,
    direction: DmaDirection,
    attrs?: number,
  ): void;
}

/** Binds the hot path to one DMA layer. */
export function bindStreaming(core: Core): Streaming {
  const { memory, books, counts, cache, debug, onEvent } = core;
  const watched = cache !== null || debug !== null || onEvent !== null;

  function map(
    device: Device,
    physical: number,
    size: number,
    direction: DmaDirection,
    attrs = 0,
  ): number {
    if (watched) beforeMap(core, device, physical, size, attrs);
    const dma =
      direction < DMA_NONE && size > 0
        ? device.ops.mapPhysical(device, physical, size, direction, attrs, memory.cpu)
        : DMA_MAPPING_ERROR;
    if (dma === DMA_MAPPING_ERROR) {
      return refuseOne(core, device, "dma_map_page", physical, size, direction, attrs);
    }
    const flags = dma === physical && device.coherent ? 0 : flagsOf(core, device, physical, dma);
    const entry = books.add(device.id, dma, size, physical, direction, TYPE_SINGLE, flags);
    if (entry < 0) return refuseBooks(core, device, dma, size, direction, attrs);
    const own = device.id * COUNT_WORDS;
    counts[own + C_MAPS]++;
    counts[own + C_MAPPED_BYTES] += size;
    if (flags !== 0) openApart(core, device, entry, [{ start: physical, end: physical + size }]);
    if (watched) afterMap(core, device, entry, attrs, "dma_map_page");
    return dma;
  }

  function unmap(
    device: Device,
    dma: number,
    size: number,
    direction: DmaDirection,
    attrs = 0,
  ): void {
    const entry = books.find(device.id, dma, size, TYPE_SINGLE, direction);
    if (entry < 0 || watched || isWrong(entry, size, direction)) {
      unmapSlowly(core, device, entry, dma, size, direction, attrs, TYPE_SINGLE);
      return;
    }
    device.ops.unmap(device, dma, size, direction, attrs, memory.cpu);
    counts[device.id * COUNT_WORDS + C_UNMAPS]++;
    if (hasFlag(books, entry, F_APART)) core.apart.close(entry);
    books.remove(entry);
  }

  /** Whether what the driver says differs from what it mapped. */
  function isWrong(entry: number, size: number, direction: number): boolean {
    return books.size[entry] !== size || (books.meta[entry] & 0xff) !== direction;
  }

  return { map, unmap, ...bindResource(core) };
}

/** Registers and memory of other devices: no cache, no bounce. */
function bindResource(core: Core): Pick<Streaming, "mapResource" | "unmapResource"> {
  const { memory, books, counts } = core;

  function mapResource(
    device: Device,
    physical: number,
    size: number,
    direction: DmaDirection,
    attrs = 0,
  ): number {
    const all = attrs | DMA_ATTR_MMIO;
    const dma =
      direction < DMA_NONE && size > 0
        ? device.ops.mapPhysical(device, physical, size, direction, all, memory.cpu)
        : DMA_MAPPING_ERROR;
    if (dma === DMA_MAPPING_ERROR) {
      return refuseOne(core, device, "dma_map_resource", physical, size, direction, attrs);
    }
    const entry = books.add(device.id, dma, size, physical, direction, TYPE_RESOURCE, 0);
    if (entry < 0) return refuseBooks(core, device, dma, size, direction, all);
    counts[device.id * COUNT_WORDS + C_MAPS]++;
    counts[device.id * COUNT_WORDS + C_MAPPED_BYTES] += size;
    afterMap(core, device, entry, attrs, "dma_map_resource");
    return dma;
  }

  function unmapResource(
    device: Device,
    dma: number,
    size: number,
    direction: DmaDirection,
    attrs = 0,
  ): void {
    const entry = books.find(device.id, dma, size, TYPE_RESOURCE, direction);
    unmapSlowly(core, device, entry, dma, size, direction, attrs, TYPE_RESOURCE);
  }

  return { mapResource, unmapResource };
}
