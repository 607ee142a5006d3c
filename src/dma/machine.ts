/**
 * What the DMA layer asks of a memory: where RAM ends, what GFP_DMA stands for,
 * which zone bits lead to which zone, and its bytes by physical address.
 */
import type { Range } from "../base/range.ts";
import { type Memory, rowOf, Z_PRESENT, Z_SPANNED, ZONE_WORDS, zoneOf } from "../mm/memory.ts";
import type { DmaDevice } from "./dma-device.ts";
import { maskCovering, physToDma } from "./translate.ts";

export const GFP_DMA = 0x01;
export const GFP_DMA32 = 0x04;
export const ZONE_BITS = 0x07;

export interface Machine {
  readonly memory: Memory;
  readonly pageSize: number;
  /** First byte behind RAM: max_pfn. */
  readonly ramEnd: number;
  /** Last address that GFP_DMA stands for, inclusive; -1 where the kernel has no ZONE_DMA. */
  readonly zoneDmaLimit: number;
  readonly hasDma32: boolean;
  /** A zone that no kernel has is in this memory: zones are chosen by their limits. */
  readonly custom: boolean;
  /** Zone bits that ask for zones up to this last address, widest zone first; for custom machines. */
  readonly zoneBits: readonly { readonly last: number; readonly bits: number }[];
  /** Bits of a request that lets it wait. */
  readonly gfpWait: number;
  /** GFP_KERNEL of the memory's era. */
  readonly gfpKernel: number;
  readonly gfpNowarn: number;
  /** RAM that no zone has: a mask pool's. pfns. */
  readonly aside: readonly Range[];
}

const KERNEL_ZONES = new Set(["DMA", "DMA32", "Normal", "HighMem", "Movable", "Device"]);
const FOUR_GIB = 2 ** 32;

/** `zoneDmaLimit` overrides what the DMA zone's end tells: an arm board's or a device tree's word. */
export function machineOf(
  memory: Memory,
  zoneDmaLimit?: number,
  aside: readonly Range[] = [],
): Machine {
  const { pageSize } = memory;
  const zones = memory.names.map((name, z) => {
    const words = z * ZONE_WORDS;
    const start = memory.zoneStart[z];
    const spanned = memory.zone[words + Z_SPANNED];
    return { name, end: (start + spanned) * pageSize, present: memory.zone[words + Z_PRESENT] };
  });
  const filled = zones.filter((zone) => zone.present > 0);
  const dma = zones.filter((zone) => zone.name === "DMA");
  const dmaEnd = Math.max(0, ...dma.map((zone) => (zone.present > 0 ? zone.end : 0)));
  // zone_dma_bits is 24 where nothing says otherwise.
  const ownLimit = dmaEnd === 0 ? 2 ** 24 - 1 : maskCovering(dmaEnd - 1);
  const bits = memory.gfp.era.bits;
  const bit = (name: string): number => bits.get(name) ?? 0;
  const kernel = ["__GFP_WAIT", "__GFP_DIRECT_RECLAIM", "__GFP_KSWAPD_RECLAIM", "__GFP_IO"];
  return {
    memory,
    pageSize,
    ramEnd: Math.max(0, ...filled.map((zone) => zone.end)),
    zoneDmaLimit: dma.length === 0 ? -1 : (zoneDmaLimit ?? ownLimit),
    hasDma32: memory.zoneNames.includes("DMA32"),
    custom: memory.zoneNames.some((name) => !KERNEL_ZONES.has(name)),
    zoneBits: zoneBitsOf(memory, filled),
    gfpWait: memory.gfp.direct,
    gfpKernel: [...kernel, "__GFP_FS"].reduce((sum, name) => sum | bit(name), 0),
    gfpNowarn: bit("__GFP_NOWARN"),
    aside,
  };
}

function zoneBitsOf(
  memory: Memory,
  filled: readonly { readonly name: string; readonly end: number }[],
): Machine["zoneBits"] {
  const ends = new Map<string, number>();
  for (const { name, end } of filled) {
    if (name !== "HighMem" && name !== "Movable")
      ends.set(name, Math.max(ends.get(name) ?? 0, end));
  }
  const found: { last: number; bits: number }[] = [];
  for (const [name, end] of ends) {
    const bits = memory.gfpZone.indexOf(memory.zoneNames.indexOf(name));
    if (bits >= 0) found.push({ last: end - 1, bits });
  }
  return found.sort((a, b) => b.last - a.last);
}

/** Whether a physical address is RAM that this memory has frames for. */
export function isRam(machine: Machine, physical: number): boolean {
  if (!(physical >= 0)) return false;
  return zoneNameOf(machine, physical) !== null;
}

/**
 * Whether some RAM lies in no window of a device's bus.
 *
 * Linux: dma_direct_all_ram_mapped(), kernel/dma/direct.c
 */
export function ramOutsideWindows(machine: Machine, device: DmaDevice): boolean {
  if (device.windows === null) return false;
  const edges = device.windows.flatMap(({ cpuStart, size }) => [cpuStart - 1, cpuStart + size]);
  const suspects = [0, machine.ramEnd - 1, ...edges];
  return suspects.some((at) => isRam(machine, at) && physToDma(device, at) < 0);
}

/** Name of the zone of a physical address, "aside" for RAM that none has; null for no RAM. */
export function zoneNameOf(machine: Machine, physical: number): string | null {
  const { memory } = machine;
  const row = rowOf(memory, Math.floor(physical / machine.pageSize));
  const zone = row < 0 ? undefined : memory.names[zoneOf(memory, row)];
  if (zone !== undefined) return zone;
  const pfn = physical / machine.pageSize;
  return machine.aside.some(({ start, end }) => pfn >= start && pfn < end) ? "aside" : null;
}

/** Byte of `memory.bytes` of a physical address; -1 where there are no bytes behind all of it. */
export function byteAt(machine: Machine, physical: number, length: number): number {
  const { bytes, bytesPfn } = machine.memory;
  if (bytes === null) return -1;
  const at = physical - bytesPfn * machine.pageSize;
  return at >= 0 && at + length <= bytes.byteLength ? at : -1;
}

/** Smallest order whose block holds `size` bytes. Linux: get_order(), include/asm-generic/getorder.h */
export function orderOf(machine: Machine, size: number): number {
  let order = 0;
  for (let bytes = machine.pageSize; bytes < size; bytes *= 2) order++;
  return order;
}

/** `size` rounded up to whole pages. Linux: PAGE_ALIGN() */
export function pageAlign(machine: Machine, size: number): number {
  return Math.ceil(size / machine.pageSize) * machine.pageSize;
}

/** Highest address any zone may have below 4 GiB: what DMA32 stands for. */
export const DMA32_LAST: number = FOUR_GIB - 1;
