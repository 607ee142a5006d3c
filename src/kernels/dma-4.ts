/**
 * The direct mapping that all architectures share since 4.16 to 4.20.
 *
 * Linux: kernel/dma/direct.c, kernel/dma/coherent.c, mm/dmapool.c, kernel/dma/debug.c; the sources
 * of 4.19, 6.1 and a current one were read, the captures are of 6.1 and 6.12
 */
import type { DebugPolicy, DmaPolicy } from "./dma.ts";

const DEBUG_4_19: DebugPolicy = {
  prefix: "after",
  mapError: true,
  cacheline: "counts",
  segments: true,
  areas: true,
  skipSyncExcuses: false,
  grows: false,
};

const V4_19: DmaPolicy = {
  name: "4.19",
  arch: "any",
  basis: "read",
  masks: { supported: "zone-dma", busRefuses: true, limitedByMap: false },
  coherent: {
    limitFrom: "coherent",
    keepsZoneBits: false,
    dmaUpTo: "zone",
    dma32UpTo: 0xffffffff,
    test: "end",
    retryDma32: true,
    retryDma: "below-32",
    lastResort: "pool", // swiotlb_alloc()
    cma: true,
    mustCoverZone: false,
    exactPages: false,
  },
  streaming: { withPool: "end", withoutPool: "end", bouncesSmall: false, failure: "overflow-line" },
  declared: { flags: "exclusive", children: false, returns: "errno", marks: "whole" },
  pool: { layout: "chain", usesLast: false },
  atomicPools: "none",
  debug: DEBUG_4_19,
  events: "swiotlb",
};

const V5_10: DmaPolicy = {
  ...V4_19,
  name: "5.10",
  basis: "inferred",
  masks: { supported: "direct", busRefuses: false, limitedByMap: false },
  coherent: { ...V4_19.coherent, retryDma: "always", lastResort: "none" },
  streaming: { ...V4_19.streaming, failure: "warn-once" },
  declared: { flags: "none", children: false, returns: "errno", marks: "none" },
  atomicPools: "zones",
  debug: { ...DEBUG_4_19, prefix: "before", grows: true },
};

const V6_1: DmaPolicy = {
  ...V5_10,
  name: "6.1",
  basis: "captured",
  debug: {
    ...DEBUG_4_19,
    prefix: "before",
    cacheline: "error",
    skipSyncExcuses: true,
    grows: true,
  },
};

const V6_3: DmaPolicy = {
  ...V6_1,
  name: "6.3",
  basis: "inferred",
  pool: { layout: "list", usesLast: true },
};

const V6_5: DmaPolicy = {
  ...V6_3,
  name: "6.5",
  streaming: { ...V6_3.streaming, bouncesSmall: true },
};

const V6_12: DmaPolicy = {
  ...V6_5,
  name: "6.12",
  basis: "captured",
  masks: { ...V6_5.masks, limitedByMap: true }, // 6.10
  events: "dma",
};

export const DMA_POLICIES_4: readonly DmaPolicy[] = [V4_19, V5_10, V6_1, V6_3, V6_5, V6_12];
