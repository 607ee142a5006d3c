/**
 * Policy: what changed from kernel to kernel, as data. One file an era lies
 * beside this one; mechanism (src/mm, src/boot) has no version checks, it
 * reads these fields.
 *
 * An era is named after the kernel it was read or captured from. A version
 * that is not listed uses the nearest older era, and says so.
 */

/**
 * The architectures whose boot rules exist; "custom" is a machine no kernel has. riscv and s390 are
 * the 64-bit ones; "powerpc" is 64-bit too, "mips" is 32-bit, as `uname -m` has ppc64 and mips.
 */
export type Arch =
  | "x86_64"
  | "i386"
  | "arm"
  | "arm64"
  | "ia64"
  | "riscv"
  | "powerpc"
  | "powerpc32"
  | "s390"
  | "mips"
  | "mips64"
  | "custom";

/** Every architecture of a kernel. */
export const EVERY_ARCH: readonly Arch[] = [
  "x86_64",
  "i386",
  "arm",
  "arm64",
  "ia64",
  "riscv",
  "powerpc",
  "powerpc32",
  "s390",
  "mips",
  "mips64",
];

/** Architectures with 32-bit addresses. */
const NARROW: ReadonlySet<Arch> = new Set(["i386", "arm", "powerpc32", "mips"]);

export function is32Bit(arch: Arch): boolean {
  return NARROW.has(arch);
}

/**
 * How a rule is known: reproduced on captures of real kernels, read in the
 * source, or inferred from neighbours. Every output prints it.
 */
export type Basis = "captured" | "read" | "inferred";

/** The sysctl that sets pageset high as a fraction of the zone, renamed in 5.14. */
export type FractionSysctl = "percpu_pagelist_high_fraction" | "percpu_pagelist_fraction";

/**
 * Low and high from min and the zone's share of min_free_kbytes:
 *
 *   multiples       2 and 3 times min (2.6.9)
 *   of-min          5/4 and 6/4 of min, HighMem's too (2.6.11)
 *   quarters        min and a quarter, or half, of the share (2.6.18 to 4.5)
 *   gap             min and once, or twice, the larger of a quarter of the share and the scale factor
 */
export type MarkRule = "multiples" | "of-min" | "quarters" | "gap";

/**
 * How a zone's sizes come to be:
 *
 *   limits      from the first RAM on, present is the RAM inside
 *   lengths     end to end from pfn 0, present is the RAM inside
 *   solid       end to end from pfn 0, holes counted as present
 */
export type ZoneSizing = "limits" | "lengths" | "solid";

/** A change that came to a stable series after its first release. */
export interface Backport {
  /** What it is, in words. */
  readonly name: string;
  /** First release that was seen with it, e.g. "5.10.35". */
  readonly since: string;
  readonly arches: readonly Arch[];
  /** The same policy without it, as earlier releases of the series have it. */
  readonly without: (policy: Policy) => Policy;
}

export interface Policy {
  /** e.g. "6.1". */
  readonly name: string;
  /** Architectures on which captures of this era are reproduced. */
  readonly capturedOn: readonly Arch[];
  /** Architectures whose boot code of this era was read; on others its rules are inferred. */
  readonly readOn: readonly Arch[];
  /** The release whose source was read, e.g. "2.6.39.4"; null where captures alone stand for the era. */
  readonly readIn: string | null;
  /** Later changes of the era's own stable series; absent for none. */
  readonly backports?: readonly Backport[];
  /** What marks, reserves and pagesets are computed from: pages handed to the buddy (3.9), or present ones. */
  readonly counts: "present" | "managed";
  readonly watermarks: {
    readonly marks: MarkRule;
    /** The default min_free_kbytes is the root of low memory in KiB times this: 16, or 1 (2.6.9). */
    readonly minFreeFactor: number;
    /** Upper clamp of the default min_free_kbytes, KiB. */
    readonly minFreeKbytesMax: number;
    /** When Movable is a *special* zone: outside the lowmem sum, with a min of managed/1024 clamped to 32..128 pages. */
    readonly movableIsSpecial: "always" | "donated-by-highmem" | "highmem-configured" | "never";
    /** The same on arm, where it has no memblock node map; absent: as elsewhere. */
    readonly movableIsSpecialOnArm?: "highmem-configured" | "never";
    /** Whether marks are boosted after pageblocks were stolen (5.0); not every release prints by how much. */
    readonly boost: boolean;
    /** Whether /proc/zoneinfo prints a promo mark, and the model therefore predicts it. */
    readonly promo: boolean;
  };
  readonly reserve: {
    /** "ratio": lowmem_reserve_ratio (2.6.11). "marks": lower_zone_protection times low marks (2.6.9). */
    readonly by: "ratio" | "marks";
    /** What a ratio below 1 means: none, 1, or a division by zero. */
    readonly zeroRatio: "none" | "one" | "refused";
    /** Whether a zone without pages of its own has reserves too (up to 5.7). */
    readonly emptyZones: boolean;
    /**
     * Whether a zone whose ratio is 0 is not counted by the zones below it (5.8 to 5.13): reserves
     * against Movable requests then are smaller than those against HighMem ones.
     */
    readonly zeroRatioHides: boolean;
    /** Default ratio of HighMem, which guards it against Movable requests (32 up to 4.15). */
    readonly highmemRatio: number;
    /** Whether they are computed again whenever pages come to a zone (6.18), not at the marks' initcall alone. */
    readonly followsManaged: boolean;
  };
  readonly sysctls: {
    /** Upper bound of watermark_scale_factor; null where there is none (up to 4.5). */
    readonly watermarkScaleFactorMax: number | null;
  };
  readonly khugepaged: {
    /** Whether there are transparent huge pages at all (2.6.38). */
    readonly exists: boolean;
    /** Zones it wants free blocks in: all, or those that GFP_USER may use. */
    readonly zones: "all" | "low";
    /** Whether booting with transparent_hugepage=never runs the default formula once more. */
    readonly neverRecomputes: boolean;
  };
  /** When the first marks are set: before or after CMA is counted, or after the initrd was freed too. */
  readonly marksInitcall: "core" | "postcore" | "device";
  readonly pageset: {
    /** What a batch moves at the most, bytes, before it is quartered. */
    readonly batchBytesMax: number;
    /** Whether a batch is one less than a power of two (2.6.12). */
    readonly batchBelowPower: boolean;
    /** A second list for cold pages beside the hot one, and whether both have a low mark (2.6.9, 2.6.11). */
    readonly cold: "none" | "high" | "low-and-high";
    /** Whether a zone whose struct pages are set up late keeps the pageset of its first section (up to 5.3). */
    readonly deferredStaysSmall: boolean;
    /** "low-mark": high from the low mark shared by the node's CPUs; "six-batches": 6 × batch. */
    readonly high: "low-mark" | "six-batches";
    /** Since 6.7 high is tuned at run time between high_min and high_max. */
    readonly tuned: boolean;
    /** The sysctl that overrides high, and whether it divides by the CPUs of the node; null for none. */
    readonly fractionSysctl: FractionSysctl | null;
  };
  readonly swiotlb: {
    /** Whether the pool is divided into areas (6.0+). */
    readonly areas: boolean;
    /** Bytes of metadata a slot, on 64-bit and 32-bit. */
    readonly slotMetadataBytes: { readonly bits64: number; readonly bits32: number };
    /** arm64 sets up a small pool even where no address needs it (6.12). */
    readonly alwaysOnArm64: boolean;
  };
  readonly boot: {
    /** Whether x86 reserves the whole first MiB (5.13+). */
    readonly reservesFirstMib: boolean;
    /** The `Memory:` line comes after SMP alternatives were freed (6.12 x86). */
    readonly memoryLineAfterAlternatives: boolean;
    /**
     * arm64: "dma" = 4 GiB in a zone named DMA (to 4.15), "dma32" = in one named DMA32, "thirty" =
     * DMA of 1 GiB below it (5.5), "bits" = zone_dma_bits (5.11), "limit" = zone_dma_limit (6.12).
     */
    readonly arm64ZoneDma: "dma" | "dma32" | "thirty" | "bits" | "limit";
    /** How zones are sized by default, and where an architecture differs. */
    readonly sizing: ZoneSizing;
    readonly sizingOn?: Partial<Record<Arch, ZoneSizing>>;
    /** Architectures whose present pages are net of struct pages; "all" from 2.6.20 to 3.8. */
    readonly presentNetOfMemmap: readonly Arch[] | "all";
    /** Bytes of one struct page where the build does not tell, 64-bit and 32-bit. */
    readonly pageStruct: { readonly bits64: number; readonly bits32: number };
    /** Bytes at 0 that x86 takes out of its RAM, with the BIOS range; 0 for neither. */
    readonly x86TrimsLow: number;
    /** x86-32: where vmalloc ends when the build does not say; null: build-dependent, 4 GiB at most. */
    readonly x86VmallocEnd: number | null;
    /** x86-32: whether `vmalloc=` is enlarged by the hole before the area. */
    readonly x86VmallocHole: boolean;
    /** arm: end of the vmalloc area, and what of it is kept without `vmalloc=`, the hole included. */
    readonly armVmalloc: { readonly end: number; readonly reserve: number; readonly hole: number };
    /** arm: whether `vmalloc=` comes beside the hole before the area (5.14), not with it. */
    readonly armVmallocAddsHole: boolean;
    /** arm: whether the window's last page falls to Normal (5.8). */
    readonly armWindowLosesPage: boolean;
    /** powerpc: end of DMA in address bits, 64-bit and 32-bit (5.0); null: all low memory. */
    readonly powerpcDmaBits: { readonly bits64: number; readonly bits32: number } | null;
    /** Whether ia64 calls what is below 4 GiB DMA32 (3.11 or so). */
    readonly ia64ZoneDma32: boolean;
    /** Every zone there is, whatever is configured (up to 2.6.18, before Movable); null: as configured. */
    readonly fixedZones: readonly string[] | null;
    /** Whether there is a Device zone at all (4.3), where it is configured. */
    readonly hasDeviceZone: boolean;
    /** Whether arm64 kernels have a Device zone, where no configuration file tells. */
    readonly arm64ZoneDevice: boolean;
    /** Whether NUMA blocks are cut to the first RAM, so that fake nodes start at page 1 (6.12). Absent: no. */
    readonly nodesStartAtRam?: boolean;
    /** Whether CMA areas are aligned to the largest block rather than to a pageblock (before 5.18). Absent: no. */
    readonly cmaAlignsToMaxOrder?: boolean;
    /** Whether regions of /reserved-memory are placed after a sort that does not keep their order (before 6.12). Absent: no. */
    readonly sortsReservedMemory?: boolean;
    /** Whether kernelcore=mirror does nothing on a machine without mirrored memory (6.6+). Absent: no. */
    readonly mirrorNeedsMirrors?: boolean;
  };
}
