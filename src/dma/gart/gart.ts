/**
 * The GART of AMD's K8 as the IOMMU of 2004: a window of bus addresses below
 * 4 GiB, a table with an entry a page, and a bitmap of what is taken, searched
 * from the last block on. Memory above 4 GiB is mapped there for 32-bit devices.
 *
 *   aperture   [ AGP's half | emergency pages | mapped pages ]
 *   entry      bits 12-31 of the address, bits 32-39 in bits 4-11, 1 valid, 2 coherent
 *   words      next bit to search from, whether a flush is due, counts
 *
 * An unmapped page shows a scratch page: nothing stops a device there. Emergency
 * pages have no entry; an overflow points a device at them.
 *
 *   G1  an entry that is mapped has its bit, one that is not has the scratch page
 *   G2  emergency pages are taken and have no entry
 *
 * Linux: alloc_iommu(), flush_gart(), pci_iommu_init(), arch/x86_64/kernel/pci-gart.c
 */
import type { GartRule } from "../../kernels/gart.ts";
import { allocPages, NO_PFN, zeroPages } from "../../mm/allocate.ts";
import { addRegion } from "../../mm/image.ts";
import type { Memory } from "../../mm/memory.ts";
import { createIotlb, forgetAll, type Iotlb } from "../iommu/iotlb.ts";
import { clearBits, isTaken, setBits, takenBits, zeroRun, zeroRunWithin } from "./bitmap.ts";
import type { Aperture, GartOptions } from "./options.ts";

const PAGE = 4096;
const LARGE_PAGE = 2 ** 21;
const MIB = 2 ** 20;
const VALID = 1;
const COHERENT = 2;

export const W_NEXT = 0;
const W_FLUSH_DUE = 1;
const W_FLUSHES = 2;
const W_WRAPS = 3;
const W_HIGHEST = 4;
const W_USED = 5;
const WORDS = 8;

export interface GartSpec {
  readonly memory: Memory;
  readonly rule: GartRule;
  readonly aperture: Aperture;
  readonly options: GartOptions;
  /** The AGP driver is there and wants its share. */
  readonly agp: boolean;
  /** First byte behind RAM. */
  readonly ramEnd: number;
}

export interface Gart extends GartSpec {
  /** First bus address of the IOMMU's part: what an overflow gives. */
  readonly busBase: number;
  readonly size: number;
  readonly pages: number;
  /** One entry a page of the IOMMU's part. */
  readonly entries: Int32Array;
  readonly bits: Uint32Array;
  readonly words: Int32Array;
  readonly tlb: Iotlb;
  readonly unmapped: number;
  /** Lines of the boot. */
  readonly log: readonly string[];
}

/** The GART at work, or why it stays off, in the kernel's words. */
export function createGart(spec: GartSpec): Gart | readonly string[] {
  const { memory, aperture, options, ramEnd, rule } = spec;
  const log: string[] = [];
  if (options.soft) return ["PCI-DMA: Using software bounce buffering for IO (SWIOTLB)"];
  if (options.off || (!options.force && ramEnd < 0xffffffff)) return ["PCI-DMA: Disabling IOMMU."];
  const agp = spec.agp && !options.noagp;
  if (!agp) log.push("PCI-DMA: Disabling AGP.");
  const table = tablePages(memory, aperture.size / PAGE);
  const scratch = allocPages(memory, kernelGfp(memory), 0);
  if (table === null || scratch === NO_PFN) return [...log, "Cannot allocate GATT table"];
  zeroPages(memory, scratch, 0);
  if (!agp) {
    const base = aperture.base.toString(16);
    log.push(`PCI-DMA: aperture base @ ${base} size ${aperture.size / 1024} KB`);
  }
  const size = shareOf(aperture, options, agp);
  if (size < 64 * MIB) {
    log.push(
      `PCI-DMA: Warning: Small IOMMU ${Math.floor(size / MIB)}MB. Consider increasing the AGP aperture in BIOS`,
    );
  }
  log.push(`PCI-DMA: Reserving ${Math.floor(size / MIB)}MB of IOMMU area in the AGP aperture`);
  const pages = size / PAGE;
  const start = aperture.size - size;
  const unmapped = entryOf(scratch);
  const entries = table.subarray(start / PAGE, start / PAGE + pages);
  entries.fill(unmapped, rule.emergencyPages);
  const region = addRegion(memory.image, "gart", (Math.ceil(pages / 32) + WORDS) * 4);
  const bits = new Uint32Array(region.buffer, region.byteOffset + WORDS * 4);
  setBits(bits, 0, rule.emergencyPages);
  return {
    ...spec,
    busBase: aperture.base + start,
    size,
    pages,
    entries,
    bits,
    words: new Int32Array(region.buffer, region.byteOffset, WORDS),
    tlb: createIotlb(memory.image, "gart"),
    unmapped,
    log,
  };
}

/** Bytes of the aperture that are the IOMMU's: half of it beside AGP. Linux: check_iommu_size() */
function shareOf({ base, size }: Aperture, options: GartOptions, agp: boolean): number {
  const own = Math.min(size, options.size ?? (agp ? size / 2 : size));
  const end = base + own;
  return own - (Math.ceil(end / LARGE_PAGE) * LARGE_PAGE - end);
}

function kernelGfp(m: Memory): number {
  const bit = (name: string): number => m.gfp.era.bits.get(name) ?? 0;
  return ["__GFP_WAIT", "__GFP_DIRECT_RECLAIM", "__GFP_KSWAPD_RECLAIM", "__GFP_IO", "__GFP_FS"]
    .map(bit)
    .reduce((sum, one) => sum | one, 0);
}

/** A word for each page of the aperture, in pages of their own; null without memory. */
function tablePages(m: Memory, entries: number): Int32Array | null {
  const bytes = entries * 4;
  const order = Math.max(0, Math.ceil(Math.log2(bytes / PAGE)));
  const pfn = order > m.maxOrder ? NO_PFN : allocPages(m, kernelGfp(m), order);
  if (pfn === NO_PFN) return null;
  zeroPages(m, pfn, order);
  const at = (pfn - m.bytesPfn) * PAGE;
  if (
    m.bytes !== null &&
    at >= 0 &&
    at + bytes <= m.bytes.byteLength &&
    m.bytes.byteOffset % 4 === 0
  ) {
    return new Int32Array(m.bytes.buffer, m.bytes.byteOffset + at, entries);
  }
  const region = addRegion(m.image, "gart.table", bytes);
  return new Int32Array(region.buffer, region.byteOffset, entries);
}

function entryOf(pfn: number): number {
  const high = Math.floor(pfn / 2 ** 20) & 0xff;
  return ((pfn % 2 ** 20) << 12) | (high << 4) | VALID | COHERENT;
}

/** Page of memory behind an entry; -1 for none. */
export function pageOfEntry(entry: number): number {
  return (entry & VALID) === 0 ? -1 : ((entry >> 4) & 0xff) * 2 ** 20 + (entry >>> 12);
}

/**
 * A run of `count` pages of the aperture: its first, or -1. `boundary` is the
 * device's, where the era looks at it.
 *
 * Linux: alloc_iommu()
 */
export function takePages(g: Gart, count: number, boundary: number): number {
  const { bits, words, rule, pages } = g;
  const from = words[W_NEXT];
  const find = (start: number, end: number): number =>
    rule.segmentLimits
      ? zeroRunWithin(bits, start, end, count, g.busBase / PAGE, Math.max(1, (boundary + 1) / PAGE))
      : zeroRun(bits, start, end, count);
  let at = find(from, pages);
  if (at < 0) {
    words[W_FLUSH_DUE] = 1;
    words[W_WRAPS]++;
    at = find(0, rule.wrapsToLast ? from : pages);
  }
  if (at >= 0) {
    setBits(bits, at, count);
    words[W_USED] += count;
    words[W_HIGHEST] = Math.max(words[W_HIGHEST], words[W_USED]);
    words[W_NEXT] = at + count;
    if (words[W_NEXT] >= pages) {
      words[W_NEXT] = 0;
      words[W_FLUSH_DUE] = 1;
    }
  }
  if (g.options.fullflush) words[W_FLUSH_DUE] = 1;
  return at;
}

/** Points `count` pages from `at` on at memory from page `pfn` on. */
export function setPages(g: Gart, at: number, pfn: number, count: number): void {
  for (let i = 0; i < count; i++) g.entries[at + i] = entryOf(pfn + i);
}

/** Gives pages back; what the hardware remembers of them stays until a flush. */
export function givePages(g: Gart, at: number, count: number): void {
  g.entries.fill(g.unmapped, at, at + count);
  clearBits(g.bits, at, count);
  g.words[W_USED] -= count;
}

/** The northbridges forget the entries, where that is due. Linux: flush_gart() */
export function flushGart(g: Gart): void {
  if (g.words[W_FLUSH_DUE] === 0) return;
  forgetAll(g.tlb);
  g.words[W_FLUSH_DUE] = 0;
  g.words[W_FLUSHES]++;
}

export interface GartCounts {
  readonly pages: number;
  /** Emergency pages not counted. */
  readonly used: number;
  readonly highest: number;
  readonly flushes: number;
  readonly wraps: number;
}

export function gartCounts({ pages, words }: Gart): GartCounts {
  return {
    pages,
    used: words[W_USED],
    highest: words[W_HIGHEST],
    flushes: words[W_FLUSHES],
    wraps: words[W_WRAPS],
  };
}

/** What is wrong, by invariant; empty when nothing is. */
export function verifyGart(g: Gart): string[] {
  const wrong: string[] = [];
  const { emergencyPages } = g.rule;
  for (let at = 0; at < emergencyPages; at++) {
    if (!isTaken(g.bits, at) || g.entries[at] !== 0) wrong.push(`G2: emergency page ${at} is used`);
  }
  for (let at = emergencyPages; at < g.pages; at++) {
    const mapped = g.entries[at] !== g.unmapped;
    if (mapped && !isTaken(g.bits, at)) wrong.push(`G1: page ${at} is mapped and free`);
    if (pageOfEntry(g.entries[at]) < 0) wrong.push(`G1: page ${at} has no entry`);
  }
  const taken = takenBits(g.bits, emergencyPages, g.pages);
  if (taken !== g.words[W_USED]) wrong.push(`G3: ${g.words[W_USED]} pages counted, ${taken} taken`);
  return wrong;
}
