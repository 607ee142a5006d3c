/**
 * Scatterlists: several buffers mapped by one call, all or none. Without an IOMMU
 * each entry keeps its own address, and single ones may bounce; an IOMMU may put
 * neighbours together, so that fewer entries are used than were given.
 *
 * Linux: dma_map_sg_attrs(), kernel/dma/mapping.c; debug_dma_map_sg(), kernel/dma/debug.c
 */
import type { Range } from "../base/range.ts";
import { directionOf, TYPE_SG } from "./books.ts";
import type { Core } from "./core.ts";
import { C_LIST_ENTRIES, C_LIST_USED, C_LISTS, C_MAPPED_BYTES, COUNT_WORDS } from "./counts.ts";
import {
  beforeCpu,
  beforeMap,
  checkUnmap,
  flagsOf,
  openApart,
  refuseBooks,
  refuseMap,
} from "./mapping-steps.ts";
import type { SgEntry } from "./ops.ts";
import { type Device, EIO } from "./runtime-device.ts";
import { DMA_ATTR_SKIP_CPU_SYNC, DMA_NONE, type DmaDirection } from "./words.ts";

/** A new list of entries, to be mapped. */
export function sgList(
  buffers: readonly { readonly physical: number; readonly length: number }[],
): SgEntry[] {
  return buffers.map(({ physical, length }) => ({ physical, length, dma: 0, dmaLength: 0 }));
}

/** How many entries are used on the device's side, from the first on; 0 on refusal. */
export function mapSg(
  core: Core,
  device: Device,
  entries: SgEntry[],
  direction: DmaDirection,
  attrs: number,
): number {
  const valid =
    direction < DMA_NONE && entries.length > 0 && entries.every((own) => own.length > 0);
  if (valid) {
    for (const { physical, length } of entries) beforeMap(core, device, physical, length, attrs);
  }
  const used = valid ? device.ops.mapSg(device, entries, direction, attrs, core.memory.cpu) : 0;
  if (used <= 0) {
    refuseMap(core, device, "dma_map_sg", entries.length, direction);
    core.onEvent?.({
      name: "dma_map_sg_err",
      device: device.name,
      direction,
      physicals: entries.map((own) => own.physical),
      error: EIO,
      attrs,
    });
    return 0;
  }
  const booked = book(core, device, entries, used, direction, attrs);
  if (!booked) return 0;
  const own = device.id * COUNT_WORDS;
  core.counts[own + C_LISTS]++;
  core.counts[own + C_LIST_ENTRIES] += entries.length;
  core.counts[own + C_LIST_USED] += used;
  core.counts[own + C_MAPPED_BYTES] += entries.reduce((sum, { length }) => sum + length, 0);
  tell(core, device, entries, used, direction, attrs);
  return used;
}

/** Enters the used parts into the books; false, with all undone, when they are full. */
function book(
  core: Core,
  device: Device,
  entries: readonly SgEntry[],
  used: number,
  direction: DmaDirection,
  attrs: number,
): boolean {
  const { books } = core;
  const merged = used !== entries.length;
  const all: Range[] = entries.map(({ physical, length }) => ({
    start: physical,
    end: physical + length,
  }));
  const numbers: number[] = [];
  for (const { dma, dmaLength, physical } of entries.slice(0, used)) {
    const flags = flagsOf(core, device, physical, dma);
    const entry = books.add(device.id, dma, dmaLength, physical, direction, TYPE_SG, flags);
    if (entry < 0) {
      for (const done of numbers) {
        core.apart.close(done);
        books.remove(done);
      }
      device.ops.unmapSg(device, entries, direction, attrs | DMA_ATTR_SKIP_CPU_SYNC, 0);
      refuseBooks(core, device, -1, 0, direction, attrs);
      return false;
    }
    books.entries[entry] = entries.length;
    const one = { start: physical, end: physical + dmaLength };
    if (flags !== 0) openApart(core, device, entry, merged ? all : [one]);
    numbers.push(entry);
  }
  for (const entry of numbers) core.debug?.added(device, entry, attrs);
  return true;
}

function tell(
  core: Core,
  device: Device,
  entries: readonly SgEntry[],
  used: number,
  direction: DmaDirection,
  attrs: number,
): void {
  const parts = entries.slice(0, used);
  for (const { dma, length, dmaLength } of parts) {
    core.debug?.checkSegment(device, dma, length, dmaLength);
  }
  core.onEvent?.({
    name: "dma_map_sg",
    device: device.name,
    direction,
    dmas: parts.map((own) => own.dma),
    sizes: parts.map((own) => own.dmaLength),
    physicals: entries.map((own) => own.physical),
    attrs,
  });
}

/** Ends the mapping of a list; `entries` are those of the map, all of them. */
export function unmapSg(
  core: Core,
  device: Device,
  entries: readonly SgEntry[],
  direction: DmaDirection,
  attrs: number,
): void {
  core.onEvent?.({
    name: "dma_unmap_sg",
    device: device.name,
    direction,
    physicals: entries.map((own) => own.physical),
    attrs,
  });
  const found = bookedParts(core, device, entries, direction);
  if (found.numbers.length === 0) return;
  const mapped = directionOf(core.books, found.numbers[0]);
  for (const { physical, length } of entries) {
    beforeCpu(core, device, physical, length, mapped, attrs);
  }
  device.ops.unmapSg(device, found.whole, mapped, attrs, core.memory.cpu);
  for (const entry of found.numbers) {
    core.apart.close(entry);
    core.books.remove(entry);
  }
}

/**
 * Entries of the books for the used parts of a list, each checked. As many parts
 * are looked for as the first one was mapped with.
 */
function bookedParts(
  core: Core,
  device: Device,
  entries: readonly SgEntry[],
  direction: DmaDirection,
): { readonly numbers: number[]; readonly whole: readonly SgEntry[] } {
  const { books } = core;
  const numbers: number[] = [];
  for (const { dma, dmaLength, physical } of entries) {
    // Parts behind the used ones have no length on the device's side.
    if (numbers.length > 0 && dmaLength === 0) break;
    const entry = books.find(device.id, dma, dmaLength, TYPE_SG, direction);
    const ref = { dma, size: dmaLength, direction, type: TYPE_SG, physical };
    checkUnmap(core, device, entry, { ...ref, entries: entries.length });
    if (entry < 0 || numbers.includes(entry)) break;
    numbers.push(entry);
  }
  return { numbers, whole: entries };
}
