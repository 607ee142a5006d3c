/**
 * The DMA layer's policy by era and architecture, as data: which masks a kernel takes, which zone
 * coherent memory is asked from, when a streaming buffer bounces, what a declared area means.
 *
 * Before 4.18 to 5.x each architecture had code of its own; since then one direct mapping serves
 * all ("any").
 *
 * Linux: arch/i386/kernel/pci-dma.c, arch/x86_64/kernel/pci-{dma,nommu,gart}.c, lib/swiotlb.c,
 * arch/arm/mm/dma-mapping.c, drivers/base/dma-coherent.c, kernel/dma/direct.c, mm/dmapool.c
 */
import { DMA_POLICIES_2_6 } from "./dma-2_6.ts";
import { DMA_POLICIES_4 } from "./dma-4.ts";
import { versionRank } from "./gfp.ts";
import type { Basis } from "./policy.ts";

export interface DmaPolicy {
  /** First release of the rules, e.g. "2.6.18". */
  readonly name: string;
  readonly arch: "x86_64" | "i386" | "arm" | "any";
  readonly basis: Basis;
  readonly masks: {
    /**
     * What dma_set_mask() takes: 24 bits and more; what covers ZONE_DMA ("zone-dma"); 32 bits and
     * more, or what covers ZONE_DMA or all of RAM ("direct").
     */
    readonly supported: "24-bit" | "zone-dma" | "direct";
    /** A mask wider than the bus is refused (4.16 to 4.20). */
    readonly busRefuses: boolean;
    /** RAM that no window of the bus covers makes a device limited (6.10). */
    readonly limitedByMap: boolean;
  };
  readonly coherent: CoherentPolicy;
  readonly streaming: {
    /** With a bounce pool: the test of what needs no bounce. */
    readonly withPool: ReachTest;
    /** Without one: the test of what is handed out. */
    readonly withoutPool: ReachTest;
    /** On arm64 small buffers bounce for devices that do not look into caches (6.5). */
    readonly bouncesSmall: boolean;
    /** What happens to what fails it. */
    readonly failure: "panic" | "nommu" | "overflow-line" | "warn-once";
  };
  readonly declared: DeclaredPolicy;
  readonly pool: {
    /** Free blocks of a page: a bitmap (up to 2.6.23), a chain a page, one list over all pages (6.3). */
    readonly layout: "bitmap" | "chain" | "list";
    /** A block may end exactly on the boundary (6.3). */
    readonly usesLast: boolean;
  };
  /** Pools for those who may not wait: none, or one each for kernel, DMA and DMA32 (5.7). */
  readonly atomicPools: "none" | "zones";
  readonly debug: DebugPolicy | null;
  /** Trace events that exist: swiotlb_bounced since 3.13, dma:* since 6.12. */
  readonly events: "none" | "swiotlb" | "dma";
}

/**
 * How an address is compared with a limit:
 *
 *   none    not at all
 *   start   its first byte only (swiotlb up to 2.6.2x, nommu of 2.6.9)
 *   end     its last byte
 *   end-1   address + size may be the limit itself, not beyond (2.6.18 nommu, 2.6.39)
 *   end-2   address + size must be less than the limit (x86-64 up to 2.6.2x)
 */
export type ReachTest = "none" | "start" | "end" | "end-1" | "end-2";

export interface CoherentPolicy {
  /** "both": never beyond the streaming mask either, as i386 had it. */
  readonly limitFrom: "coherent" | "both";
  /** The caller's zone bits count (2.6.9 x86-64); everywhere else they are taken off. */
  readonly keepsZoneBits: boolean;
  /** Highest limit that asks GFP_DMA at once; "zone" is the zone's own. -1: never. */
  readonly dmaUpTo: number | "zone";
  /** Highest limit that asks GFP_DMA32 at once; -1: there is no such zone, or it is not asked. */
  readonly dma32UpTo: number;
  readonly test: ReachTest;
  /** A block out of reach, no zone asked yet: GFP_DMA32 is tried. */
  readonly retryDma32: boolean;
  /** A block out of reach: GFP_DMA is tried always, for limits below 32 bits, or never. */
  readonly retryDma: "always" | "below-32" | "never";
  /** Nothing fits: slots of the bounce pool are taken, as swiotlb_alloc_coherent() does. */
  readonly lastResort: "pool" | "none";
  /** CMA areas are asked first (3.5). */
  readonly cma: boolean;
  /** A mask that does not cover ZONE_DMA gets nothing, and a line (arm). */
  readonly mustCoverZone: boolean;
  /** What a power of two is too much goes back page by page (arm). */
  readonly exactPages: boolean;
}

export interface DeclaredPolicy {
  /** "2004": MAP, IO, INCLUDES_CHILDREN, EXCLUSIVE; "exclusive": that alone (4.13); "none": no flags (5.3). */
  readonly flags: "absent" | "2004" | "exclusive" | "none";
  /** Children allocate from the parent's area, as proposed; no merged kernel did. */
  readonly children: boolean;
  /** "flag": MAP or IO on success and 0 on failure; "errno": 0 or a negative number. */
  readonly returns: "flag" | "errno";
  /**
   * dma_mark_declared_memory_occupied(): none (5.3), the whole span, or one page of each 16 MiB of
   * it, because get_order() was given pages where it takes bytes (up to 2.6.2x).
   */
  readonly marks: "none" | "whole" | "one-page";
}

/** What dma-debug knew of. */
export interface DebugPolicy {
  /** "DMA-API: " before driver and device (4.20), or after them. */
  readonly prefix: "before" | "after";
  /** dma_mapping_error() must be asked (3.9). */
  readonly mapError: boolean;
  /** Overlapping mappings of one cache line: an error (5.15), only more than seven (3.14). */
  readonly cacheline: "none" | "counts" | "error";
  /** Segment length and boundary of lists (4.18). */
  readonly segments: boolean;
  /** vmalloc and invalid addresses in map_single (4.18). */
  readonly areas: boolean;
  /** DMA_ATTR_SKIP_CPU_SYNC excuses an overlap (5.17). */
  readonly skipSyncExcuses: boolean;
  /** Entries grow when they run out (5.0); before, debugging stopped. */
  readonly grows: boolean;
}

/** All of them, oldest first within an architecture. */
export const DMA_POLICIES: readonly DmaPolicy[] = [...DMA_POLICIES_2_6, ...DMA_POLICIES_4];

/** As dma_declare_coherent_memory() was proposed in 2004: all four flags mean something. */
export const DECLARED_AS_PROPOSED: DeclaredPolicy = {
  flags: "2004",
  children: true,
  returns: "flag",
  marks: "whole",
};

/**
 * The rules of a kernel `version` such as "2.6.18" or "6.1.0-50-amd64" on an architecture; null
 * when it is no version, or older than all that are known there.
 */
export function dmaPolicy(version: string, arch: string): DmaPolicy | null {
  const wanted = versionRank(version);
  if (wanted === null) return null;
  const fits = (policy: DmaPolicy): boolean =>
    (versionRank(policy.name) ?? 0) <= wanted && (policy.arch === arch || policy.arch === "any");
  return DMA_POLICIES.findLast(fits) ?? null;
}
