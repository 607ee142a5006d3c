/** Pages of the buddy with a zone flag, outside of the known kinds. */
import { type Rule, touchedBy } from "../judgement.ts";

const MAPS = /^(dma|pci)_map_(single|page|sg|sgtable)/;

export const pages: Rule = (use) => {
  const { families, zone, hit, masks, facts, sink } = use;
  if (zone === null || hit.role !== "value") return null;
  if (!families.has("pages") && !families.has("vmalloc") && !families.has("mapping")) return null;
  const mapped = touchedBy(use, /^(dma_map|pci_map|sg_)/);
  const least = Math.min(...masks);
  const wide = masks.length > 0 && least >= 32 && (zone === "DMA" || least === 32);
  // The function that allocates maps something, by a name that nothing leads to.
  const near = facts.touches.find(
    ({ callee, fn }) => fn !== null && fn === sink?.call.fn && MAPS.test(callee),
  );
  const known = mapped !== null || wide || near !== undefined;
  return {
    category: "page-alloc-other",
    verdict: known ? "replaceable" : "review",
    group: known ? "misuse" : "unknown",
    why:
      mapped !== null
        ? `the pages are mapped by ${mapped}, which follows the device's mask`
        : wide
          ? `devices of this driver are given masks of ${least} bits: allocating by the mask needs no zone flag`
          : near !== undefined
            ? `line ${near.line} of the same function calls ${near.callee}(), which follows the device's mask`
            : "pages of a zone, and nothing near says what must reach them",
    fix: "dma_alloc_coherent() or dma_alloc_noncoherent() with the device's mask",
    confidence: mapped === null ? "low" : "medium",
  };
};
