/**
 * The sentences of bounce buffers, masks and CMA, by their fixed words.
 *
 * Linux: swiotlb_tbl_map_single(), kernel/dma/swiotlb.c; dma_direct_map_page(), kernel/dma/direct.h;
 * cma_alloc(), mm/cma.c; atomic_pool_expand(), kernel/dma/pool.c
 */
import type { MessageBody } from "./failure-message.ts";

/** A sentence's fixed words, and what follows from a match of the pattern. */
export interface Sentence {
  /** What every form of the sentence holds: looked for before the pattern is tried. */
  readonly words: string;
  readonly pattern: RegExp;
  readonly read: (match: RegExpExecArray, text: string) => MessageBody | null;
}

export const POOL_SENTENCES: readonly Sentence[] = [
  {
    words: "swiotlb buffer is full",
    pattern:
      /(.{0,200}?):? ?swiotlb buffer is full \(sz: ?(\d+) bytes\)(?:, total (\d+)(?: \(slots\))?, used (\d+))?/,
    read: ([, device, size, total, used]) => ({
      kind: "swiotlb-full",
      device: deviceOf(device),
      size: whole(size) ?? 0,
      total: whole(total),
      used: whole(used),
    }),
  },
  {
    words: "Out of SW-IOMMU space",
    pattern:
      /(.{0,200}?):? ?(?:PCI-)?DMA: Out of SW-IOMMU space for (\d+) bytes(?: at device (\S+))?/,
    read: ([, before, size, at]) => ({
      kind: "swiotlb-full",
      device: deviceOf(at ?? before),
      size: whole(size) ?? 0,
      total: null,
      used: null,
    }),
  },
  {
    words: "Out of IOMMU space",
    pattern: /PCI-DMA: Out of IOMMU space for (\d+) bytes(?: at device (\S+))?/,
    read: ([, size, at]) => ({ kind: "gart-full", device: deviceOf(at), size: whole(size) }),
  },
  {
    words: "Buffer overflow detected",
    pattern:
      /(.{0,200}?):? ?Buffer overflow detected\. Allocation size: (\d+)\. Mapping size: ([\d+]+)/,
    read: ([, device, size]) => ({
      kind: "swiotlb-misused",
      device: deviceOf(device),
      size: whole(size),
    }),
  },
  {
    words: "Access before mapping start",
    pattern: /(.{0,200}?):? ?Access before mapping start detected\. orig offset \d+/,
    read: ([, device]) => ({ kind: "swiotlb-misused", device: deviceOf(device), size: null }),
  },
  {
    words: "Random memory",
    pattern: /DMA: (?:Random memory (?:could|would) be DMA|Memory would be corrupted)/,
    read: () => ({ kind: "swiotlb-full", device: null, size: 0, total: null, used: null }),
  },
  {
    words: "coherent allocation failed",
    pattern:
      /(.{0,200}?):? ?swiotlb: coherent allocation failed(?: for device (\S+?))?,? size=(\d+)/,
    read: ([, before, at, size]) => ({
      kind: "swiotlb-coherent-failed",
      device: deviceOf(at ?? before),
      size: whole(size),
    }),
  },
  {
    words: "DMA mask",
    pattern:
      /(.{0,200}?):? ?overflow 0x([0-9a-f]+)\+(\d+) of ?DMA mask ([0-9a-f]+)(?: bus (?:mask|limit) ([0-9a-f]+))?/,
    read: ([, device, address, size, mask, limit]) =>
      overflow("buffer", device, address, size, mask, limit),
  },
  {
    words: "of device mask",
    pattern:
      /(.{0,200}?):? ?(?:nommu_\w+|\w+): overflow (?:0x)?([0-9a-f]+)\+(\d+) of device mask ([0-9a-f]+)/,
    read: ([, device, address, size, mask]) =>
      overflow("buffer", device, address, size, mask, undefined),
  },
  {
    words: "coherent DMA mask",
    pattern:
      /(.{0,200}?):? ?coherent DMA mask (is unset|is 0|0x[0-9a-f]+ .{0,80}?(?:covers a smaller range|is smaller than system GFP_DMA))/,
    read: ([, device, words = ""]) => ({
      kind: "mask-refused",
      device: deviceOf(device),
      words: words.startsWith("is") ? "unset" : "smaller-than-zone",
    }),
  },
  {
    words: "set DMA mask",
    pattern: /(.{0,200}?):? ?(?:[Uu]nable to|[Ff]ailed to|[Cc]annot|[Cc]ould not) set DMA mask/,
    read: ([, device]) => ({ kind: "mask-refused", device: deviceOf(device), words: "not-set" }),
  },
  {
    words: "overflow (mask",
    pattern:
      /(.{0,200}?):? ?(DMA|swiotlb) addr 0x([0-9a-f]+)\+(\d+) overflow \(mask ([0-9a-f]+), bus limit ([0-9a-f]+)\)/,
    read: ([, device, of, address, size, mask, limit]) =>
      overflow(of === "DMA" ? "buffer" : "bounce-slot", device, address, size, mask, limit),
  },
  {
    words: "bounce map:",
    pattern: /(.{0,200}?):? ?DMAR: Device bounce map: ([0-9a-f]+)@([0-9a-f]+) dir \d/,
    read: ([, device, size = "0"]) => ({
      kind: "bounce-map-failed",
      device: deviceOf(device),
      size: Number.parseInt(size, 16),
    }),
  },
  {
    words: "alloc failed, req-size:",
    pattern:
      /(?:cma: )?(?:__?)?cma_alloc\w*: (?:(?:reserved|([\w.,@-]+)): )?alloc failed, req-size: (\d+) pages, ret: (-?\d+)(.*)/,
    read: ([, area, pages, error, rest = ""]) => ({
      kind: "cma-alloc-failed",
      device: null,
      area: area ?? null,
      pages: whole(pages) ?? 0,
      error: Number(error),
      ...bitmapOf(rest),
    }),
  },
  {
    words: "test_pages_isolated",
    pattern: /alloc_contig_range test_pages_isolated\(([0-9a-f]+), ([0-9a-f]+)\) failed/,
    read: () => ({ kind: "contig-range-busy", device: null, mib: null, error: -16 }),
  },
  {
    words: "PFNs busy",
    pattern: /alloc_contig_range: \[([0-9a-f]+), ([0-9a-f]+)\) PFNs busy/,
    read: () => ({ kind: "contig-range-busy", device: null, mib: null, error: -16 }),
  },
  {
    words: "ailed to reserve",
    pattern: /(?:cma|CMA|hugetlb_cma): [Ff]ailed to reserve (\d+) ?Mi?B/,
    read: ([, mib]) => ({
      kind: "cma-reserve-failed",
      device: null,
      mib: whole(mib),
      error: null,
    }),
  },
  {
    words: "for node 'linux,cma",
    pattern:
      /[Rr]eserved mem(?:ory)?: [Ff]ailed to (?:allocate|reserve) memory for node 'linux,cma.{0,60}?size (\d+) MiB/,
    read: ([, mib]) => ({
      kind: "cma-reserve-failed",
      device: null,
      mib: whole(mib),
      error: null,
    }),
  },
  {
    words: "reservation failed: err",
    pattern: /reservation failed: err (-\d+), node \d+/,
    read: ([, error]) => ({
      kind: "cma-reserve-failed",
      device: null,
      mib: null,
      error: Number(error),
    }),
  },
  {
    words: "could not be activated",
    pattern: /CMA area (\S+) could not be activated/,
    read: () => ({ kind: "cma-reserve-failed", device: null, mib: null, error: null }),
  },
  {
    words: "init cma area",
    pattern: /ailed to init cma area.{0,120}?, ?(-\d+)/,
    read: ([, error]) => ({
      kind: "cma-reserve-failed",
      device: null,
      mib: null,
      error: Number(error),
    }),
  },
  {
    words: "pool for atomic",
    pattern: /DMA: failed to allocate (\d+) KiB (?:(GFP\w+(?:\|GFP\w+)*) )?pool for atomic/,
    read: ([, kib, gfp]) => ({
      kind: "atomic-pool-failed",
      device: null,
      kib: whole(kib),
      gfp: gfp ?? null,
    }),
  },
  {
    words: "coherent pool is too small",
    pattern: /(\d+) KiB atomic DMA coherent pool is too small/,
    read: ([, kib]) => ({
      kind: "atomic-pool-failed",
      device: null,
      kib: whole(kib),
      gfp: null,
    }),
  },
  {
    words: "DMA pool exhausted for",
    pattern: /DMA pool exhausted for (?!%)(\S+)/,
    read: ([, device]) => ({
      kind: "atomic-pool-empty",
      device: deviceOf(device),
    }),
  },
  {
    words: "suitable pool for",
    pattern: /Failed to get suitable pool for (?!%)(\S+)/,
    read: ([, device]) => ({
      kind: "atomic-pool-failed",
      device: deviceOf(device),
      kib: null,
      gfp: null,
    }),
  },
];

function overflow(
  of: "buffer" | "bounce-slot",
  device: string | undefined,
  address = "0",
  size: string | undefined,
  mask = "0",
  limit = "0",
): MessageBody {
  return {
    kind: "dma-overflow",
    of,
    device: deviceOf(device),
    address: hexadecimal(address),
    size: whole(size) ?? 0,
    mask: hexadecimal(mask),
    limit: hexadecimal(limit),
  };
}

/**
 * CONFIG_CMA_DEBUG's line after the failure: " 5@3+12@40=> 17 free of 64 total pages", runs of free
 * bits and where they start.
 */
function bitmapOf(rest: string): {
  longestRun: number | null;
  free: number | null;
  total: number | null;
} {
  const at = rest.indexOf("number of available pages:");
  if (at === -1) return { longestRun: null, free: null, total: null };
  const end = /=> ?(\d+) (?:free of (\d+) total pages|pages, total: (\d+) pages)/.exec(rest);
  const runs = [...rest.slice(at, end?.index).matchAll(/(\d+)@\d+/g)];
  const longest = runs.reduce((most, [, run]) => Math.max(most, whole(run) ?? 0), 0);
  // A bitmap whose end is cut off may have longer runs.
  return {
    longestRun: end === null ? null : longest,
    free: whole(end?.[1]),
    total: whole(end?.[2] ?? end?.[3]),
  };
}

/** The name as printed, without punctuation at its end; null for none, or for the kernel's "NULL". */
export function deviceOf(text: string | undefined): string | null {
  const name = (text ?? "").replace(/[\s:,]+$/, "").trim();
  return name === "" || /^(?:NULL|\?)(?: NULL| \?)?$/.test(name) ? null : name.slice(-80);
}

export function whole(digits: string | undefined): number | null {
  const value = Number(digits ?? "x");
  return Number.isSafeInteger(value) ? value : null;
}

export function scaled(digits: string | undefined, unit: number): number | null {
  const value = whole(digits);
  return value === null || !Number.isSafeInteger(value * unit) ? null : value * unit;
}

/** Of at most 64 bits; longer is no address. */
export function hexadecimal(digits: string): bigint {
  return digits.length > 16 ? 0n : BigInt(`0x${digits === "" ? "0" : digits}`);
}
