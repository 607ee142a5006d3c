/** Masks that devices are given: the right way to say what they reach, and what a pool must serve. */
import type { Judgement, Rule } from "../judgement.ts";
import type { MaskValue } from "../mask-value.ts";
import { MASK_CALLS, MASK_FIELDS } from "../words.ts";

const COPIED = /^(f:(coherent_)?dma_mask|r:dma_get_mask|[vg]:.*(old|save|parent)\w*)$/;
const OLD = /^pci_set_/;

export const masks: Rule = ({ hit, mask, file }) => {
  if (mask === null || !(MASK_CALLS.has(hit.word) || MASK_FIELDS.has(hit.word))) return null;
  if (mask.bits.length === 0) return isCopy(mask) ? copiedMask() : unknownMask();
  const least = mask.bits[0] ?? 64;
  const values = mask.bits.join(", ");
  const written = mask.from.map(
    ({ file: at, line }) => `${at === file ? "line" : `${at}:`}${at === file ? " " : ""}${line}`,
  );
  const from = written.length === 0 ? "" : `, from ${[...new Set(written)].slice(0, 4).join(", ")}`;
  const old = OLD.test(hit.word)
    ? `; ${hit.word}() is gone since 5.18: ${hit.word === "pci_set_dma_mask" ? "dma_set_mask()" : "dma_set_coherent_mask()"}`
    : "";
  const base = {
    why: `the device is told to reach ${values} bits${from}`,
    confidence: mask.isOpen ? "medium" : "high",
  } as const;
  if (least >= 32) {
    return {
      ...base,
      category: least === 32 ? "mask-32bit" : "mask-wide",
      verdict: "legitimate",
      group: "limited-hardware",
      fix: `none: the DMA API follows the mask${old}`,
    };
  }
  return {
    ...base,
    category: least <= 24 ? "mask-24bit" : "mask-odd",
    verdict: "legitimate",
    group: "limited-hardware",
    fix: `none: the right interface. Coherent memory comes from ${least <= 24 ? "ZONE_DMA" : "the zone below its limit, ZONE_DMA on x86"}, streaming bounces${old}`,
  };
};

/** Nothing but another device's mask. */
function isCopy({ missing }: MaskValue): boolean {
  return missing.length > 0 && missing.every(({ node }) => COPIED.test(node));
}

function copiedMask(): Judgement {
  return {
    category: "mask-copied",
    verdict: "legitimate",
    group: "machinery",
    why: "the device gets the mask of another one",
    fix: "",
    confidence: "medium",
  };
}

function unknownMask(): Judgement {
  return {
    category: "mask-unknown",
    verdict: "review",
    group: "unknown",
    why: "the mask's value is not written in what was read",
    fix: "audit the folder that sets it too",
    confidence: "low",
  };
}
