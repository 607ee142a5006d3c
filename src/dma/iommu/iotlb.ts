/**
 * What an IOMMU remembers of its page tables: translations that a device has
 * used. An entry stays after its page was unmapped until it is invalidated; that
 * is how long a device can still reach the memory.
 *
 * One cache a domain, with one place an address and page size. Only an access
 * fills it.
 *
 * Linux: iommu_flush_iotlb_psi(), drivers/iommu/intel/iommu.c
 */
import { addRegion, type Image } from "../../mm/image.ts";
import type { Walked } from "./table-store.ts";

const PLACES = 1 << 10;
const LEVELS = 3;
const C_HITS = 0;
const C_MISSES = 1;
const C_FLUSHES = 2;
const C_RANGES = 3;
const COUNTS = 4;

export interface Iotlb {
  /** Page of the entry's first byte plus one; 0 for none. By level, then place. */
  readonly tag: Float64Array;
  readonly pfn: Float64Array;
  readonly prot: Uint8Array;
  readonly counts: Float64Array;
}

export function createIotlb(image: Image, name: string): Iotlb {
  const rows = PLACES * LEVELS;
  const region = addRegion(image, `iotlb.${name}`, rows * 17 + COUNTS * 8);
  const { buffer, byteOffset } = region;
  return {
    tag: new Float64Array(buffer, byteOffset, rows),
    pfn: new Float64Array(buffer, byteOffset + rows * 8, rows),
    counts: new Float64Array(buffer, byteOffset + rows * 16, COUNTS),
    prot: new Uint8Array(buffer, byteOffset + rows * 16 + COUNTS * 8, rows),
  };
}

/** Row of a remembered translation of a page with these rights, or -1. */
export function lookUp(tlb: Iotlb, iova: number, prot: number): number {
  for (let level = 1; level <= LEVELS; level++) {
    const size = 2 ** (9 * (level - 1));
    const first = iova - (iova % size);
    const row = rowOf(first, level);
    if (tlb.tag[row] === first + 1 && (tlb.prot[row] & prot) === prot) {
      tlb.counts[C_HITS]++;
      return row;
    }
  }
  tlb.counts[C_MISSES]++;
  return -1;
}

/** Page of memory behind `iova`, of a row that `lookUp` found. */
export function pageOfRow(tlb: Iotlb, row: number, iova: number): number {
  return tlb.pfn[row] + (iova - (tlb.tag[row] - 1));
}

/** An access walked the tables. */
export function remember(tlb: Iotlb, iova: number, { pfn, level, prot }: Walked): void {
  const within = iova % 2 ** (9 * (level - 1));
  const row = rowOf(iova - within, level);
  tlb.tag[row] = iova - within + 1;
  tlb.pfn[row] = pfn - within;
  tlb.prot[row] = prot;
}

function rowOf(first: number, level: number): number {
  return (level - 1) * PLACES + (Math.floor(first / 2 ** (9 * (level - 1))) % PLACES);
}

/** Forgets what lies in a range of pages. */
export function forgetRange(tlb: Iotlb, first: number, pages: number): void {
  tlb.counts[C_RANGES]++;
  for (let level = 1; level <= LEVELS; level++) {
    const size = 2 ** (9 * (level - 1));
    const steps = Math.ceil(((first % size) + pages) / size);
    if (steps >= PLACES) {
      tlb.tag.fill(0, (level - 1) * PLACES, level * PLACES);
      continue;
    }
    let at = first - (first % size);
    for (let i = 0; i < steps; i++, at += size) {
      const row = rowOf(at, level);
      if (tlb.tag[row] === at + 1) tlb.tag[row] = 0;
    }
  }
}

export function forgetAll(tlb: Iotlb): void {
  tlb.counts[C_FLUSHES]++;
  tlb.tag.fill(0);
}

export interface IotlbCounts {
  readonly hits: number;
  readonly misses: number;
  /** Flushes of the whole domain, and of ranges. */
  readonly flushes: number;
  readonly ranges: number;
}

export function iotlbCounts({ counts }: Iotlb): IotlbCounts {
  return {
    hits: counts[C_HITS],
    misses: counts[C_MISSES],
    flushes: counts[C_FLUSHES],
    ranges: counts[C_RANGES],
  };
}
