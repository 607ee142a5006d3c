/** Hardware behind 24 address lines: the one for which ZONE_DMA was made. */
import { isUnder, type Rule } from "../judgement.ts";

export const isa: Rule = ({ file, build, facts, masks, zone, hit }) => {
  if (zone !== "DMA") return null;
  const isPath = isUnder(file, "isa", "sound/isa", "drivers/pnp");
  const isSigned = facts.signs.includes("isa");
  const isMask = masks.includes(24);
  if (!isPath && !isSigned && !isMask && build?.needsIsa !== true) return null;
  if (build?.needsIsa === true && !isPath && !isSigned && !isMask) return null;
  const seen = isMask
    ? "the device's mask is 24 bits"
    : isSigned
      ? "it uses ISA bus addresses or an ISA DMA channel"
      : "it is a driver of the ISA bus";
  return {
    category: "isa-24bit",
    verdict: "legitimate purpose, wrong interface",
    group: "limited-hardware",
    why: `${seen}: memory must be below 16 MiB${hit.conditions.length > 0 ? `, asked for if ${hit.conditions[0]}` : ""}`,
    fix: "dma_set_mask_and_coherent(dev, DMA_BIT_MASK(24)), then dma_alloc_coherent() or dma_alloc_noncoherent(); a segment boundary of 64 KiB for ISA DMA channels",
    confidence: isMask || isSigned ? "high" : "medium",
  };
};
