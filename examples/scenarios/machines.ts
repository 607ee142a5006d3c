// The machines of the scenarios: zones of a PC by amount of RAM, as x86-64 lays them out.
import { bootWithMaskPool, type PooledMemory } from "../../src/dma/mask-pool/boot-mask-pool.ts";
import { type BootOptions, type BootZone, bootMemory } from "../../src/mm/boot-memory.ts";
import { allocPages, NO_PFN } from "../../src/mm/index.ts";
import { type Memory, Z_FREE, Z_MIN, ZONE_WORDS } from "../../src/mm/memory.ts";

export const PAGE = 4096;
export const KIB = 1024;
export const MIB: number = 1024 * KIB;
export const GIB: number = 1024 * MIB;

/** Where PCI's addresses begin: RAM goes on at 4 GiB. */
const HOLE = 3 * GIB;
/** 0x9f to 0x100: the firmware's part of the first MiB. */
const BIOS = { start: 0x9f, end: 0x100 };

/** Zones of a PC with `ram` bytes of memory, 1 GiB or more, that starts at 0. */
export function pcZones(ram: number, hasDma32 = true): BootZone[] {
  const low = Math.min(ram, HOLE) / PAGE;
  const zones: BootZone[] = [{ name: "DMA", startPfn: 1, pages: 4095, holes: [BIOS] }];
  const high = (ram - low * PAGE) / PAGE;
  const top = { name: "Normal", startPfn: (4 * GIB) / PAGE, pages: high };
  if (hasDma32) {
    zones.push({ name: "DMA32", startPfn: 4096, pages: low - 4096 });
    if (high > 0) zones.push(top);
    return zones;
  }
  // The em64t of 2004: everything above 16 MiB is Normal.
  const end = high > 0 ? (4 * GIB) / PAGE + high : low;
  const holes = high > 0 ? [{ start: low, end: (4 * GIB) / PAGE }] : [];
  return [...zones, { name: "Normal", startPfn: 4096, pages: end - 4096, holes }];
}

export function bootPc(ram: number, more: Partial<BootOptions> = {}): Memory {
  return bootMemory({ zones: pcZones(ram), ...more });
}

export function bootPooledPc(
  ram: number,
  poolPages: number,
  more: Partial<BootOptions> = {},
): PooledMemory {
  return bootWithMaskPool({ zones: pcZones(ram), ...more }, { pages: poolPages });
}

/** Takes all that `gfp` is given, largest blocks first: first pfn and order of each. */
export function takeAll(m: Memory, gfp: number, from: number = m.maxOrder): [number, number][] {
  const taken: [number, number][] = [];
  for (let order = from; order >= 0; order--) {
    for (let pfn = allocPages(m, gfp, order); pfn !== NO_PFN; pfn = allocPages(m, gfp, order)) {
      taken.push([pfn, order]);
    }
  }
  return taken;
}

/** Free pages of zone `z`. */
export function freeOf(m: Memory, z: number): number {
  return m.zone[z * ZONE_WORDS + Z_FREE] ?? 0;
}

/** Free pages that are nobody's by right: those above the min mark of zone `z`. */
export function aboveMin(m: Memory, z: number): number {
  return Math.max(0, freeOf(m, z) - (m.zone[z * ZONE_WORDS + Z_MIN] ?? 0));
}

export function mib(pages: number): string {
  const value = (pages * PAGE) / MIB;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} MiB`;
}
