/** Devices with 25 to 31 address lines, for which the 16 MiB zone is used as the next smaller one. */
import { type Rule, touchedBy } from "../judgement.ts";

export const oddMask: Rule = ({
  zone,
  masks,
  hit,
  touches,
  file,
  facts,
  reach,
  sink,
  families,
}) => {
  if (zone !== "DMA" || hit.role !== "value") return null;
  const narrow = masks.filter((bits) => bits > 24 && bits < 32);
  const bounds = hit.conditions.flatMap((one) =>
    [...one.matchAll(/DMA_BIT_MASK\((\d+)\)/g)].map(([, bits]) => Number(bits)),
  );
  const tested = bounds.find((bits) => bits > 24 && bits < 32);
  const bits = tested ?? narrow[0];
  const isRetry = hit.conditions.some((one) => /mapping_error|dma_map|_dma_mapping/i.test(one));
  const use = { zone, masks, hit, touches, file, facts, reach, sink, families };
  if (bits === undefined && !isRetry) return null;
  const what =
    bits === undefined
      ? "is a second try after a mapping failed"
      : `is for a device of ${bits} bits`;
  const mapped = touchedBy({ ...use, mask: null, hasBoth: false, build: null }, /map/);
  return {
    category: "odd-mask-30bit",
    verdict: "replaceable",
    group: "limited-hardware",
    why: `the request ${what}, and 24 bits are far stricter than it needs${mapped === null ? "" : `; mapped by ${mapped}`}`,
    fix: `dma_set_mask_and_coherent(dev, DMA_BIT_MASK(${bits ?? "its width"})) and a plain allocation: the streaming mapping bounces through swiotlb by itself`,
    confidence: bits === undefined ? "medium" : "high",
  };
};
