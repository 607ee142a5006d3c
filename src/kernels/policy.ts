/**
 * Policy: what changed from kernel to kernel, as data. One file an era lies
 * beside this one; mechanism (src/mm, src/boot) has no version checks, it
 * reads these fields.
 *
 * An era is named after the kernel it was read or captured from. A version
 * that is not listed uses the nearest older era, and says so.
 */

/** The architectures whose boot rules exist; "custom" is a machine no kernel has. */
export type Arch = "x86_64" | "i386" | "arm" | "arm64" | "custom";

/**
 * How a rule is known: reproduced on captures of real kernels, read in the
 * source, or inferred from neighbours. Every output prints it.
 */
export type Basis = "captured" | "read" | "inferred";

/** The sysctl that sets pageset high as a fraction of the zone, renamed in 5.14. */
export type FractionSysctl = "percpu_pagelist_high_fraction" | "percpu_pagelist_fraction";

export interface Policy {
  /** e.g. "6.1". */
  readonly name: string;
  /** Architectures on which captures of this era are reproduced. */
  readonly capturedOn: readonly Arch[];
  readonly watermarks: {
    /** Upper clamp of the default min_free_kbytes, KiB. */
    readonly minFreeKbytesMax: number;
    /** When Movable is a *special* zone: outside the lowmem sum, with a min of managed/1024 clamped to 32..128 pages. */
    readonly movableIsSpecial: "always" | "donated-by-highmem" | "highmem-configured";
    /** Whether /proc/zoneinfo prints a promo mark, and the model therefore predicts it. */
    readonly promo: boolean;
  };
  readonly sysctls: {
    /** Upper bound of watermark_scale_factor. */
    readonly watermarkScaleFactorMax: number;
  };
  readonly khugepaged: {
    /** Whether booting with transparent_hugepage=never runs the default formula once more. */
    readonly neverRecomputes: boolean;
  };
  readonly pageset: {
    /** "low-mark": high from the low mark shared by the node's CPUs; "six-batches": 6 × batch. */
    readonly high: "low-mark" | "six-batches";
    /** Since 6.7 high is tuned at run time between high_min and high_max. */
    readonly tuned: boolean;
    /** The sysctl that overrides high, and whether it divides by the CPUs of the node. */
    readonly fractionSysctl: FractionSysctl;
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
    /** arm64: "bits" = zone_dma_bits (5.11), "limit" = zone_dma_limit (6.12). */
    readonly arm64ZoneDma: "bits" | "limit";
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
