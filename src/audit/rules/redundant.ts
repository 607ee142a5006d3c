/** Zone flags on calls that pick the zone themselves. */
import type { Rule } from "../judgement.ts";

/** Linux: dma_alloc_attrs(), kernel/dma/mapping.c: zone bits are taken out, the mask decides. */
export const redundant: Rule = ({ families, sink, hit }) => {
  if (!families.has("dma") || families.size > 1 || sink === null) return null;
  const { callee } = sink.call;
  const warns = callee === "dma_alloc_pages" || callee === "dma_alloc_noncontiguous";
  return {
    category: "redundant-flag-on-dma-api",
    verdict: "replaceable (no-op)",
    group: "redundant",
    why: warns
      ? `${callee}() warns about zone flags and refuses: the device's mask decides the zone`
      : `${callee}() takes zone flags out of its argument: the device's coherent mask decides the zone`,
    fix: "drop the flag; dma_set_mask_and_coherent() with the device's real width if it is missing",
    confidence: sink.via.length > 2 ? "medium" : "high",
    dropsFlag: hit.role === "value",
  };
};
