/**
 * What stands around a map and an unmap: the CPU's cache, what is written down of
 * mappings whose bytes exist twice, counts, events, the debugger, refusals.
 */
import type { Range } from "../base/range.ts";
import {
  directionOf,
  F_APART,
  F_BOUNCED,
  hasFlag,
  META_TYPE_SHIFT,
  TYPE_COHERENT,
  TYPE_RESOURCE,
  TYPE_SG,
  TYPE_SINGLE,
} from "./books.ts";
import type { Core } from "./core.ts";
import { C_BOUNCED_BYTES, C_BOUNCES, C_REFUSED, C_UNMAPS, COUNT_WORDS } from "./counts.ts";
import type { Device } from "./runtime-device.ts";
import { dmaToPhys } from "./translate.ts";
import {
  DMA_ATTR_MMIO,
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_MAPPING_ERROR,
  DMA_NONE,
  type DmaDirection,
  fromDevice,
} from "./words.ts";

/** What the CPU wrote must be in memory before anybody copies or reads it there. */
export function beforeMap(
  core: Core,
  device: Device,
  physical: number,
  size: number,
  attrs: number,
): void {
  if (core.cache === null) return;
  if (device.coherent || (attrs & DMA_ATTR_SKIP_CPU_SYNC) === 0) core.cache.clean(physical, size);
}

/** F_APART where CPU and device may see different bytes until a sync; F_BOUNCED where it leads elsewhere. */
export function flagsOf(core: Core, device: Device, physical: number, dma: number): number {
  if (isBounced(core, device, physical, dma)) return F_APART | F_BOUNCED;
  return device.coherent ? 0 : F_APART;
}

/** Whether a mapping leads to a bounce buffer. */
function isBounced(core: Core, device: Device, physical: number, dma: number): boolean {
  const bounce = core.bounceOf(device);
  if (bounce === null) return false;
  const landing = landingOf(device, dma);
  return landing !== physical && bounce.holds(landing);
}

/** Where a mapping leads; -1 for nowhere. */
export function landingOf(device: Device, dma: number): number {
  return device.ops.landing?.(device, dma) ?? dmaToPhys(device, dma);
}

/** Writes a mapping with two copies of its bytes down: those are `ranges`, of the buffer itself. */
export function openApart(
  core: Core,
  device: Device,
  entry: number,
  ranges: readonly Range[],
): void {
  if (!hasFlag(core.books, entry, F_APART)) return;
  core.apart.open(entry, ranges);
  if (!hasFlag(core.books, entry, F_BOUNCED)) return;
  core.counts[device.id * COUNT_WORDS + C_BOUNCES]++;
  core.counts[device.id * COUNT_WORDS + C_BOUNCED_BYTES] += core.books.size[entry];
}

export function afterMap(
  core: Core,
  device: Device,
  entry: number,
  attrs: number,
  name: "dma_map_page" | "dma_map_resource",
): void {
  core.debug?.added(device, entry, attrs);
  if (core.onEvent === null) return;
  const { dma, size, physical } = core.books;
  core.onEvent({
    name,
    device: device.name,
    direction: directionOf(core.books, entry),
    dma: dma[entry],
    size: size[entry],
    physical: physical[entry],
    attrs,
  });
}

/** Says why a map was refused. */
export function refuseMap(
  core: Core,
  device: Device,
  call: string,
  size: number,
  direction: number,
): number {
  const { reports } = core;
  core.counts[device.id * COUNT_WORDS + C_REFUSED]++;
  if (direction >= DMA_NONE) {
    reports.refuse(call, device.name, "direction", "kernel BUG: invalid DMA direction");
    reports.misuse("direction", device.name, -1, `${call}() with an invalid direction`, null);
  } else if (!(size > 0)) reports.refuse(call, device.name, "size");
  else {
    const refusal = device.ops.lastRefusal;
    reports.refuse(call, device.name, refusal?.reason ?? "refused", refusal?.message ?? null);
  }
  return DMA_MAPPING_ERROR;
}

/** The same for one buffer, with the event that shows an address of all ones. */
export function refuseOne(
  core: Core,
  device: Device,
  name: "dma_map_page" | "dma_map_resource",
  physical: number,
  size: number,
  direction: DmaDirection,
  attrs: number,
): number {
  const dma = refuseMap(core, device, name, size, direction);
  core.onEvent?.({ name, device: device.name, direction, dma, size, physical, attrs });
  return dma;
}

/** The books are full: nothing is mapped. */
export function refuseBooks(
  core: Core,
  device: Device,
  dma: number,
  size: number,
  direction: DmaDirection,
  attrs: number,
): number {
  const all = attrs | DMA_ATTR_SKIP_CPU_SYNC;
  device.ops.unmap(device, dma, size, direction, all, core.memory.cpu);
  const words = `more than ${core.books.capacity} mappings: raise the option "mappings"`;
  core.reports.refuse("dma_map", device.name, "books full", words);
  core.counts[device.id * COUNT_WORDS + C_REFUSED]++;
  return DMA_MAPPING_ERROR;
}

/** An unmap that somebody watches, or that is wrong: checked, then done as it was mapped. */
export function unmapSlowly(
  core: Core,
  device: Device,
  entry: number,
  dma: number,
  size: number,
  direction: DmaDirection,
  attrs: number,
  type: number,
): void {
  checkUnmap(core, device, entry, { dma, size, direction, type, physical: -1, entries: 0 });
  if (entry >= 0) {
    const own = directionOf(core.books, entry);
    const bytes = core.books.size[entry];
    if (type === TYPE_SINGLE)
      beforeCpu(core, device, core.books.physical[entry], bytes, own, attrs);
    const all = type === TYPE_RESOURCE ? attrs | DMA_ATTR_MMIO : attrs;
    device.ops.unmap(device, dma, bytes, own, all, core.memory.cpu);
    core.counts[device.id * COUNT_WORDS + C_UNMAPS]++;
    core.apart.close(entry);
    core.books.remove(entry);
  }
  const name = type === TYPE_RESOURCE ? "dma_unmap_resource" : "dma_unmap_page";
  core.onEvent?.({ name, device: device.name, direction, dma, size, attrs });
}

/** Lines of the CPU's cache that hide what a device wrote go, or are written before a copy. */
export function beforeCpu(
  core: Core,
  device: Device,
  physical: number,
  size: number,
  direction: DmaDirection,
  attrs: number,
): void {
  if (core.cache === null || !fromDevice(direction)) return;
  if ((attrs & DMA_ATTR_SKIP_CPU_SYNC) !== 0) return;
  if (device.coherent) core.cache.flush(physical, size);
  else core.cache.invalidate(physical, size);
}

/** Compares an unmap with the books: by dma-debug where it is on, else the plain differences. */
export function checkUnmap(
  core: Core,
  device: Device,
  entry: number,
  ref: Parameters<NonNullable<Core["debug"]>["checkUnmap"]>[2],
): void {
  const { books, debug, reports } = core;
  if (debug !== null && !debug.disabled) {
    debug.checkUnmap(device, entry, ref);
    return;
  }
  const say = (kind: string): void => {
    reports.misuse(kind, device.name, ref.dma, `unmapped by ${device.name}: ${kind}`, null);
  };
  if (entry < 0) {
    say(ref.dma < 0 ? "invalid address freed" : "not allocated");
    return;
  }
  const type = (books.meta[entry] >> META_TYPE_SHIFT) & 0xf;
  if (books.size[entry] !== ref.size) say("different size");
  if (type !== ref.type) say("wrong function");
  else if (type === TYPE_COHERENT && books.physical[entry] !== ref.physical) {
    say("different CPU address");
  }
  if (directionOf(books, entry) !== ref.direction) say("different direction");
  if (ref.type === TYPE_SG && books.entries[entry] !== ref.entries) say("different entry count");
}
