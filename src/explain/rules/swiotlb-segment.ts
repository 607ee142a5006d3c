/** A mapping of a whole segment needs one that is entirely free. */
import { deviceWords, type MessageRule } from "../message-case.ts";
import { SEGMENT_BYTES } from "../swiotlb-numbers.ts";

export const swiotlbSegment: MessageRule = {
  name: "swiotlb-segment",
  kind: "swiotlb",
  decides:
    "sz of exactly 262144: a whole segment must be free and aligned, one slot in use in each spoils all",
  linux: "swiotlb_find_slots(), kernel/dma/swiotlb.c",
  claim: (found) => {
    const { message } = found;
    if (message.kind !== "swiotlb-full" || message.size !== SEGMENT_BYTES) return null;
    return {
      cause: "pool-fragmented",
      sentence: `${deviceWords(found)} maps ${SEGMENT_BYTES} bytes, a whole segment of the bounce buffer: it needs one without a single slot in use, at offset 0.`,
      confidence: "consistent",
      also: ["request-too-large"],
      advice: [
        {
          change: "limit one mapping to half a segment (128 KiB)",
          why: "shorter runs of free slots then suffice",
          basis: "reasoned",
        },
      ],
    };
  },
};
