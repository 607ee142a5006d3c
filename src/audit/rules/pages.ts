/** Pages of the buddy with a zone flag, outside of the known kinds. */
import { type Rule, touchedBy } from "../judgement.ts";

export const pages: Rule = (use) => {
  const { families, zone, hit, masks } = use;
  if (zone === null || hit.role !== "value") return null;
  if (!families.has("pages") && !families.has("vmalloc") && !families.has("mapping")) return null;
  const mapped = touchedBy(use, /^(dma_map|pci_map|sg_)/);
  const least = Math.min(...masks);
  const wide = masks.length > 0 && least >= 32 && (zone === "DMA" || least === 32);
  const known = mapped !== null || wide;
  return {
    category: "page-alloc-other",
    verdict: known ? "replaceable" : "review",
    group: known ? "misuse" : "unknown",
    why:
      mapped !== null
        ? `the pages are mapped by ${mapped}, which follows the device's mask`
        : wide
          ? `devices of this driver are given masks of ${least} bits: allocating by the mask needs no zone flag`
          : "pages of a zone, and nothing near says what must reach them",
    fix: "dma_alloc_coherent() or dma_alloc_noncoherent() with the device's mask",
    confidence: mapped === null ? "low" : "medium",
  };
};
