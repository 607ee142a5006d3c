/** A mapping larger than a segment fits into no pool. */
import { formatBytes } from "../../base/units.ts";
import { guestAdvice } from "../confidential.ts";
import type { Advice } from "../finding.ts";
import { deviceWords, type MessageCase, type MessageRule } from "../message-case.ts";
import { SEGMENT_BYTES, SEGMENT_SLOTS, SLOT_BYTES } from "../swiotlb-numbers.ts";

export const swiotlbTooLarge: MessageRule = {
  name: "swiotlb-too-large",
  kind: "swiotlb",
  decides:
    "sz above 262144: 128 slots of 2 KiB are the most that one mapping can have, in a pool of any size",
  linux: "IO_TLB_SEGSIZE, swiotlb_max_mapping_size(), kernel/dma/swiotlb.c",
  claim: (found) => {
    const { message, series } = found;
    if (message.kind !== "swiotlb-full" && message.kind !== "swiotlb-coherent-failed") return null;
    const size = message.size ?? 0;
    if (size <= SEGMENT_BYTES) return null;
    const fill =
      message.kind === "swiotlb-full" && message.total !== null
        ? ` The pool itself has ${message.total - (message.used ?? 0)} of ${message.total} slots free.`
        : "";
    const range =
      series.smallest !== null && series.smallest !== series.largest
        ? ` (${series.count} mappings of ${series.smallest} to ${series.largest} bytes)`
        : "";
    return {
      cause: "request-too-large",
      sentence: `${deviceWords(found)} maps ${size} bytes${range} at once, and a bounce buffer gives at most ${SEGMENT_BYTES} (${SEGMENT_SLOTS} slots of ${SLOT_BYTES}), whatever its size.${fill}`,
      confidence: "proven",
      advice: [
        {
          change: `limit one mapping to ${formatBytes(SEGMENT_BYTES)} or less: dma_max_mapping_size() in the driver, max_sectors_kb ≤ 256 for a disk`,
          why: `${Math.ceil(size / SLOT_BYTES)} slots in a row are asked for; a segment has ${SEGMENT_SLOTS}`,
          basis: "computed",
        },
        ...wayAround(found),
      ],
      noHelp: [
        { change: "swiotlb=<larger>", why: "the segment's size is fixed when the kernel is built" },
      ],
    };
  },
};

/** Who can do without bouncing: nobody in a guest whose memory is encrypted. */
function wayAround(found: MessageCase): Advice[] {
  if (found.context.encrypted) return guestAdvice(found);
  return [
    {
      change: "a driver and a device that reach all memory (64-bit mask), or an IOMMU",
      why: "then nothing bounces",
      basis: "reasoned",
    },
  ];
}
