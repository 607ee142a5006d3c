/** The memory side of what a device reaches: zones, pools, and how GFP flags name them. */
import type { Range } from "../base/range.ts";

export type StreamingVerdict =
  | "direct" // every page is in reach
  | "bounce" // pages above `limit` go through swiotlb
  | "unreachable" // pages above `limit` cannot be mapped
  | "iommu"; // translated

/** One zone of one node, as far as reach is concerned. */
export interface ReachZone {
  readonly node: number;
  readonly index: number;
  readonly name: string;
  readonly present: number;
  /** RAM in pfns, sorted. */
  readonly ram: readonly Range[];
}

/** The memory side of the question. */
export interface ReachMemory {
  readonly pageSize: number;
  /** By node, then from the lowest zone up. */
  readonly zones: readonly ReachZone[];
  /** Last address that GFP_DMA stands for, inclusive bytes; null where there is no DMA zone. */
  readonly zoneDmaLimit: number | null;
  /** Whether GFP_DMA32 names a zone of its own in this kernel. */
  readonly hasDma32: boolean;
  readonly swiotlb: {
    readonly start: number | null;
    readonly bytes: number;
    readonly maxMapping: number;
    /** Where `start` is not known: the pool lies below this, bytes; absent: below 4 GiB. */
    readonly below?: number;
    /** Every streaming mapping bounces: swiotlb=force, confidential guests. */
    readonly forced: boolean;
  } | null;
  /** In place of ZONE_DMA: requests with a limit, and bounce buffers, come from it last. Bytes. */
  readonly maskPool: {
    readonly start: number;
    readonly end: number;
    readonly bytes: number;
  } | null;
  readonly cma: readonly { readonly start: number | null; readonly bytes: number }[];
  /** Zones of a machine no kernel has: chosen by their limits, not by GFP flags. */
  readonly custom: boolean;
}
