/**
 * The DMA layers of 2.6: i386 without any check, x86-64 with GART, nommu or swiotlb, arm with its
 * GFP_DMA threshold.
 *
 * Linux: see dma.ts; the sources of 2.6.9, 2.6.11, 2.6.18 and 2.6.39 were read
 */
import type { DmaPolicy } from "./dma.ts";

const BITS_32 = 0xffffffff;

const DECLARED_2_6: DmaPolicy["declared"] = {
  flags: "2004",
  children: false, // "this routine just ignores" them
  returns: "flag",
  marks: "one-page",
};

const ABSENT: DmaPolicy["declared"] = { ...DECLARED_2_6, flags: "absent" };

const BITMAP_POOL: DmaPolicy["pool"] = {
  layout: "bitmap",
  usesLast: true, // allocation / size blocks, the last one too
};

/** i386 has no swiotlb and no IOMMU: what is mapped is handed out as it is. */
const I386: DmaPolicy = {
  name: "2.6.9",
  arch: "i386",
  basis: "read",
  masks: { supported: "24-bit", busRefuses: false, limitedByMap: false },
  coherent: {
    limitFrom: "coherent",
    keepsZoneBits: false,
    dmaUpTo: BITS_32 - 1, // anything narrower than 32 bits
    dma32UpTo: -1,
    test: "none",
    retryDma32: false,
    retryDma: "never",
    lastResort: "none",
    cma: false,
    mustCoverZone: false,
    exactPages: false,
  },
  streaming: { withPool: "none", withoutPool: "none", bouncesSmall: false, failure: "nommu" },
  declared: DECLARED_2_6,
  pool: BITMAP_POOL,
  atomicPools: "none",
  debug: null,
  events: "none",
};

/** x86-64 with the GART driver built in and no GART in the machine: the em64t of 2004. */
const X86_64_2_6_9: DmaPolicy = {
  ...I386,
  arch: "x86_64",
  coherent: {
    ...I386.coherent,
    limitFrom: "both", // "bug-to-bug compatible with i386"
    keepsZoneBits: true,
    dmaUpTo: -1,
    test: "end-2",
    retryDma: "always",
  },
  streaming: { withPool: "start", withoutPool: "end-2", bouncesSmall: false, failure: "panic" },
  declared: ABSENT,
};

/** swiotlb came to x86-64, and its pool serves coherent requests that find nothing else. */
const X86_64_2_6_11: DmaPolicy = {
  ...X86_64_2_6_9,
  name: "2.6.11",
  coherent: { ...X86_64_2_6_9.coherent, lastResort: "pool" },
};

/** ZONE_DMA32. */
const X86_64_2_6_18: DmaPolicy = {
  ...X86_64_2_6_11,
  name: "2.6.15",
  coherent: {
    ...X86_64_2_6_11.coherent,
    dma32UpTo: BITS_32,
    retryDma: "below-32",
  },
  streaming: { withPool: "start", withoutPool: "end-1", bouncesSmall: false, failure: "nommu" },
};

const CHAIN_POOL: DmaPolicy["pool"] = {
  layout: "chain",
  usesLast: false,
};

const DEBUG_2_6_39: DmaPolicy["debug"] = {
  prefix: "after",
  mapError: false,
  cacheline: "none",
  segments: false,
  areas: false,
  skipSyncExcuses: false,
  grows: false,
};

/** One x86: generic ops, dma-debug, the chain of dma_pool. */
const X86_64_2_6_39: DmaPolicy = {
  name: "2.6.39",
  arch: "x86_64",
  basis: "read",
  masks: { supported: "24-bit", busRefuses: false, limitedByMap: false },
  coherent: {
    limitFrom: "coherent",
    keepsZoneBits: false,
    dmaUpTo: 2 ** 24 - 1,
    dma32UpTo: BITS_32,
    test: "end-1",
    retryDma32: false,
    retryDma: "below-32",
    lastResort: "pool",
    cma: false,
    mustCoverZone: false,
    exactPages: false,
  },
  streaming: { withPool: "end", withoutPool: "end", bouncesSmall: false, failure: "nommu" },
  declared: { ...DECLARED_2_6, marks: "whole" },
  pool: CHAIN_POOL,
  atomicPools: "none",
  debug: DEBUG_2_6_39,
  events: "none",
};

const I386_2_6_39: DmaPolicy = {
  ...X86_64_2_6_39,
  arch: "i386",
  coherent: { ...X86_64_2_6_39.coherent, dma32UpTo: -1, lastResort: "none" },
};

/** arm: below 32 bits is GFP_DMA, and a mask must cover what GFP_DMA means. */
const ARM_2_6_39: DmaPolicy = {
  ...X86_64_2_6_39,
  arch: "arm",
  masks: { supported: "zone-dma", busRefuses: false, limitedByMap: false },
  coherent: {
    ...X86_64_2_6_39.coherent,
    dmaUpTo: BITS_32 - 1,
    dma32UpTo: -1,
    test: "none",
    retryDma: "never",
    lastResort: "none",
    mustCoverZone: true,
    exactPages: true,
  },
  streaming: { withPool: "end", withoutPool: "none", bouncesSmall: false, failure: "nommu" },
};

export const DMA_POLICIES_2_6: readonly DmaPolicy[] = [
  I386,
  X86_64_2_6_9,
  X86_64_2_6_11,
  X86_64_2_6_18,
  X86_64_2_6_39,
  I386_2_6_39,
  { ...ARM_2_6_39, name: "2.6.9", debug: null, basis: "inferred", pool: BITMAP_POOL },
  ARM_2_6_39,
];
