/** Requests that no zone can answer. */
import type { Rule } from "../judgement.ts";

/** Both zone bits: GFP_ZONE_BAD. Linux: gfp_zone(), include/linux/gfp.h */
export const bothZones: Rule = ({ hasBoth, hit }) => {
  if (!hasBoth || hit.role !== "value") return null;
  return {
    category: "bug",
    verdict: "bug",
    group: "bug",
    why: "GFP_DMA and GFP_DMA32 in one request: gfp_zone() has no zone for both, and checks for it only with CONFIG_DEBUG_VM",
    fix: "keep the one that the hardware needs, or better set the device's mask and allocate by it",
    confidence: "high",
  };
};

/** There is no kmalloc cache in ZONE_DMA32. Linux: kmalloc_fix_flags(), mm/slab_common.c */
export const slabDma32: Rule = ({ zone, families, sink }) => {
  if (zone !== "DMA32" || !families.has("slab") || families.size > 1) return null;
  const callee = sink?.call.callee ?? "kmalloc";
  return {
    category: "kmalloc-streaming",
    verdict: "replaceable (misuse)",
    group: "misuse",
    why: `${callee}() has caches for GFP_DMA only: GFP_DMA32 is taken out with a warning, or without effect, and the memory can be anywhere`,
    fix: "drop the flag; if the device is limited, set its mask and use dma_alloc_coherent() or dma_map_single()",
    confidence: "medium",
    dropsFlag: true,
  };
};
