/**
 * How addresses behind an IOMMU are given out, by kernel: what changed in the
 * IOVA allocator, its caches, and the layer above it. Facts only; the mechanism
 * is in `dma/iommu/`.
 *
 * Linux: drivers/iommu/iova.c, drivers/iommu/dma-iommu.c, include/linux/iova.h
 */

export type IommuVendor = "intel" | "amd" | "smmu-v3";

export interface IovaRule {
  /** Release from which on these hold, e.g. "6.1". */
  readonly name: string;
  /** Sizes kept in caches: powers of two below 2^this pages. IOVA_RANGE_CACHE_MAX_SIZE */
  readonly cacheOrders: number;
  /** Addresses that one magazine holds. IOVA_MAG_SIZE */
  readonly magazineSize: number;
  /** Full magazines a size keeps for all CPUs; null for no limit. MAX_GLOBAL_MAGS */
  readonly depotLimit: number | null;
  /** After so long one magazine beyond one a CPU goes back to the tree, again and again; null for never. IOVA_DEPOT_DELAY */
  readonly depotTrimMs: number | null;
  /** A size that failed below 4 GiB fails at once until something there is freed. max32_alloc_size */
  readonly remembersFull32: boolean;
  /** What forgets that: any free below 4 GiB, or only one that moves the cached node. */
  readonly forgetsFull32: "any-free" | "cached-node-moves";
  /** Where nothing is free below the cached node, the rest up to the limit is tried. */
  readonly retriesFromLimit: boolean;
  /** PCI devices with more than 32 bits: "always" tries below 4 GiB first, "until-full" never again after it failed. */
  readonly pci32First: "always" | "until-full";
  /** Drivers that round every size up to a power of two, not just those that are cached: their own ops, before dma-iommu. */
  readonly roundsAllSizes: readonly IommuVendor[];
  /** Whether untrusted devices bounce, and what of a buffer that is not copied into is zeroed. */
  readonly untrusted: "no-bounce" | "zeroed-buffer" | "zeroed-padding";
  /**
   * Buffers from kmalloc that share a cache line with others bounce for devices that
   * do not look into the CPU's caches: on arm64, whose caches of small objects may then
   * be smaller than a line. dma_kmalloc_needs_bounce()
   */
  readonly bouncesSmall: boolean;
  readonly flushQueue: FlushQueueRule;
}

export interface FlushQueueRule {
  /** Entries of a CPU's ring; one is never used. IOVA_FQ_SIZE */
  readonly size: number;
  readonly timeoutMs: number;
}

/** include/linux/iova.h, iova_flush queue: unchanged from 4.14 to 6.12. */
const FLUSH_QUEUE: FlushQueueRule = { size: 256, timeoutMs: 10 };

const V4_19: IovaRule = {
  name: "4.19",
  cacheOrders: 6,
  magazineSize: 128,
  depotLimit: 32,
  depotTrimMs: null,
  remembersFull32: false,
  forgetsFull32: "cached-node-moves",
  retriesFromLimit: false,
  pci32First: "always",
  roundsAllSizes: ["intel", "amd"],
  untrusted: "no-bounce",
  bouncesSmall: false,
  flushQueue: FLUSH_QUEUE,
};

/** Remembered since 4.20; untrusted devices bounce since 5.4; AMD through dma-iommu since 5.5. */
const V5_10: IovaRule = {
  ...V4_19,
  name: "5.10",
  remembersFull32: true,
  roundsAllSizes: ["intel"],
  untrusted: "zeroed-buffer",
};

/** Retries, and Intel through dma-iommu, since 5.11. */
const V5_15: IovaRule = { ...V5_10, name: "5.15", retriesFromLimit: true, roundsAllSizes: [] };

/** Forgets at any free since 5.18; magazines of 1 KiB since 6.0. */
const V6_1: IovaRule = {
  ...V5_15,
  name: "6.1",
  forgetsFull32: "any-free",
  magazineSize: 127,
};

/** iommu.pci_32bit_workaround: not in 6.1, in 6.6. Small buffers bounce since 6.5. */
const V6_6: IovaRule = {
  ...V6_1,
  name: "6.6",
  pci32First: "until-full",
  bouncesSmall: true,
};

/** A depot without limit that is trimmed in the background, since 6.7; only padding is zeroed, since 6.10. */
const V6_12: IovaRule = {
  ...V6_6,
  name: "6.12",
  depotLimit: null,
  depotTrimMs: 100,
  untrusted: "zeroed-padding",
};

/** Oldest first. */
export const IOVA_RULES: readonly IovaRule[] = [V4_19, V5_10, V5_15, V6_1, V6_6, V6_12];

/** The rules of a kernel such as "6.1.0-50-amd64"; the oldest ones for kernels before 4.19. */
export function iovaRule(version: string): IovaRule {
  const wanted = releaseRank(version);
  return IOVA_RULES.findLast((rule) => releaseRank(rule.name) <= wanted) ?? V4_19;
}

/** A release as a number that can be compared; 0 for none. */
export function releaseRank(version: string): number {
  const [, major = "0", minor = "0"] = /(\d{1,3})\.(\d{1,3})/.exec(version) ?? [];
  return Number(major) * 1000 + Number(minor);
}
