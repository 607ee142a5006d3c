/** Bounce buffers of block devices. */
import { isUnder, type Rule } from "../judgement.ts";

export const block: Rule = ({ file, facts, families, hit, sink, zone }) => {
  if (zone === null || hit.role !== "value" || !families.has("slab")) return null;
  const isBlock = isUnder(file, "block", "scsi", "cdrom", "ata", "nvme", "md");
  const target = sink?.call.target ?? "";
  if (!isBlock && !(facts.signs.includes("block") && /bounce/.test(target))) return null;
  return {
    category: "block-bounce",
    verdict: "replaceable",
    group: "block-layer",
    why: "a buffer that requests are copied through; the block layer and the DMA mapping bounce where a device needs it",
    fix: "plain kmalloc() and dma_map_single(), or dma_alloc_noncoherent(); the queue's dma_mask does the rest",
    confidence: /bounce/.test(target) ? "high" : "medium",
  };
};
