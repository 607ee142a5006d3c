/**
 * What a device gets: how much of each zone its mask reaches, where its
 * coherent memory comes from, and what happens to a streaming buffer that lies
 * outside. The rules are those of the direct mapping (no IOMMU in between).
 *
 * Linux: dma_direct_supported(), dma_direct_optimal_gfp_mask(), dma_direct_alloc(),
 * dma_direct_map_page(), kernel/dma/direct.c
 */

/** How much of one zone's RAM the mask covers, pages. */
export interface ZoneReach {
  readonly node: number;
  readonly zone: string;
  readonly reachable: number;
  readonly present: number;
}

export type StreamingVerdict =
  | "direct" // every page is in reach
  | "bounce" // pages above `limit` go through swiotlb
  | "unreachable" // pages above `limit` cannot be mapped
  | "iommu"; // translated

export interface DeviceReach {
  readonly name: string;
  readonly dmaBits: number;
  readonly coherentBits: number;
  /** False when dma_set_mask() refuses the mask. */
  readonly supported: boolean;
  readonly reach: readonly ZoneReach[];
  /** Zone the first coherent try is made in, e.g. "DMA32"; null when the mask is refused. */
  readonly coherentFrom: string | null;
  /** Zone tried when the first try landed too high; null when there is none. */
  readonly coherentRetry: string | null;
  /** Part of `coherentFrom`'s RAM that fits the coherent mask, 0..1. */
  readonly coherentFits: number;
  readonly streaming: StreamingVerdict;
  /** Bytes: first address out of reach; Infinity when none. */
  readonly limit: number;
  /** Largest single streaming mapping, bytes; Infinity when direct. */
  readonly maxMapping: number;
  /** One sentence for people: "bounce above 512 MiB", "direct" … */
  readonly streamingWords: string;
  /** What to watch, in words: "swiotlb lies above the mask" … */
  readonly notes: readonly string[];
}
