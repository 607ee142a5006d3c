/** The pool for coherent buffers of those who may not wait. */
import type { MessageRule } from "../message-case.ts";

export const atomicPool: MessageRule = {
  name: "atomic-pool",
  kind: "coherent-pool",
  decides:
    "the pool has nothing left for a device, or that of a zone could not be filled: with GFP_DMA or GFP_DMA32 most often because the zone has no memory",
  linux: "atomic_pool_expand(), dma_alloc_from_pool(), kernel/dma/pool.c",
  claim: ({ message }) => {
    if (message.kind === "atomic-pool-empty") {
      return {
        cause: "pool-full",
        sentence: `The atomic pool has nothing left for ${message.device ?? "a device"}: coherent memory asked for in atomic context comes from it alone.`,
        confidence: "consistent",
        also: ["leak"],
        advice: [
          {
            change: "coherent_pool=<larger>, or allocate in a context that may wait",
            why: "the pool grows in the background, and a burst is faster",
            basis: "reasoned",
          },
        ],
        missing: ["the pool's use over time (debugfs dma_pools/)"],
      };
    }
    if (message.kind !== "atomic-pool-failed") return null;
    const { kib, gfp } = message;
    const zone =
      gfp?.includes("DMA32") === true ? "DMA32" : gfp?.includes("DMA") === true ? "DMA" : null;
    const size = kib === null ? "" : `${kib} KiB `;
    if (message.device !== null) {
      return {
        cause: "pool-absent",
        sentence: `No atomic pool has memory that ${message.device} reaches.`,
        confidence: "hint",
        advice: [
          {
            change: "coherent_pool=<larger>",
            why: "the pools are small and filled at boot",
            basis: "reasoned",
          },
        ],
      };
    }
    return {
      cause: zone === null ? "not-in-report" : "zone-missing",
      sentence: `The ${size}pool for atomic coherent buffers${zone === null ? "" : ` of zone ${zone}`} was not filled.`,
      confidence: "hint",
      also: zone === null ? ["zone-missing", "fragmentation"] : ["fragmentation"],
      harmless: "it matters only to drivers that allocate coherent memory in atomic context",
      advice: [
        {
          change: "coherent_pool=<smaller>, or for a crash kernel low memory inside that zone",
          why: "the pool is one block of the zone",
          basis: "reasoned",
        },
      ],
      missing: ["the page allocation failure before this line, which says what the zones had"],
    };
  },
};
