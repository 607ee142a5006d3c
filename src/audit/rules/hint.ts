/** Flags that only save a bounce: pages of queues and pools that the mapping would cope with anyway. */
import { isUnder, type Rule } from "../judgement.ts";

/** `q->gfp_flags` of video buffers. Linux: struct vb2_queue, include/media/videobuf2-core.h */
export const videoQueue: Rule = ({ file, facts, reach, hit, zone }) => {
  const isQueue = fieldsOf(reach).some((node) => node === "f:gfp_flags");
  const isMedia = isUnder(file, "drivers/media", "staging/media");
  if (zone !== "DMA32" || hit.role !== "value") return null;
  if (!(isQueue && facts.signs.includes("vb2")) && !(isMedia && !/mmu|gart|pgtable/.test(file))) {
    return null;
  }
  return {
    category: "media-32bit-vb2",
    verdict: "optimisation",
    group: "optimisation",
    why: "buffer pages of a 32-bit video device, taken low so that mapping them does not bounce",
    fix: "set the device's mask; drop the flag once the buffer queue allocates by it (dma_alloc_noncontiguous())",
    confidence: isQueue ? "high" : "medium",
  };
};

/** `gfp |= GFP_DMA32` under a test of the device's width. */
export const conditionalHint: Rule = ({ file, hit, facts, families, zone }) => {
  if (hit.role !== "value" || zone !== "DMA32") return null;
  // Linux: dma_addressing_limited(): the mapping would work, and copy.
  const isAsked = hit.conditions.some((one) => /dma_addressing_limited/.test(one));
  if (!isAsked && isUnder(file, "gpu", "iommu")) return null;
  const isWidth = hit.conditions.some((one) =>
    /width|mask|bits|dma32|addr64|highdma|addressing_limited/i.test(one),
  );
  const isPool = facts.signs.includes("page_pool");
  if (!isWidth && !isPool) return null;
  return {
    category: "net-page-pool-32bit",
    verdict: "optimisation",
    group: "optimisation",
    why: `low pages are asked for only if ${hit.conditions[0] ?? "the pool says so"}, to save bounces`,
    fix: "keep as a hint, or let the pool follow the device's mask",
    confidence: isPool || families.has("pages") ? "high" : "medium",
  };
};

/** Fields that the flag is kept in, on any of its ways. */
function fieldsOf({ sinks, ends }: Parameters<Rule>[0]["reach"]): string[] {
  const steps = sinks.flatMap(({ via }) => via.map(({ node }) => node));
  return [...steps, ...ends.map(({ node }) => node)].filter((node) => node.startsWith("f:"));
}
