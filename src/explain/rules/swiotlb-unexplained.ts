/** Plenty is free, or no numbers were printed. */
import { guestAdvice, poolWords } from "../confidential.ts";
import { deviceWords, type MessageRule } from "../message-case.ts";
import { SLOT_BYTES } from "../swiotlb-numbers.ts";

export const swiotlbUnexplained: MessageRule = {
  name: "swiotlb-unexplained",
  kind: "swiotlb",
  decides:
    "the printed fill does not explain the refusal (areas, alignment, a counter read later), or this era prints none",
  linux: "swiotlb_find_slots(), swiotlb_do_find_slots(), kernel/dma/swiotlb.c",
  claim: (found) => {
    const { message, series } = found;
    if (message.kind !== "swiotlb-full" && message.kind !== "swiotlb-coherent-failed") return null;
    const size = message.size ?? 0;
    const slots = Math.ceil(size / SLOT_BYTES);
    if (message.kind === "swiotlb-full" && message.total !== null) {
      return {
        cause: "pool-unexplained",
        sentence: `${deviceWords(found)} found no ${slots} slots in a row, though ${message.used} of ${message.total} are taken: the fill does not explain it.${poolWords(found, message.total)}`,
        confidence: "hint",
        also: ["pool-fragmented"],
        missing: [
          "whether the pool is divided into areas (6.0: each holds its share only), which alignment the device asks for (min_align_mask), whether its mask reaches the pool; used is read after the search and may have fallen",
        ],
        advice: guestAdvice(found),
        noHelp: [{ change: "swiotlb=<larger>", why: "as printed, the pool has room" }],
      };
    }
    return {
      cause: "pool-full",
      sentence: `${deviceWords(found)} found no ${slots} slots in a row; this kernel prints neither size nor use of the pool, so it is full or its free slots lie apart.`,
      confidence: "hint",
      also: ["pool-fragmented", "leak"],
      missing: [
        "the pool's use (debugfs swiotlb/io_tlb_used)",
        ...(series.count > 1
          ? [`${series.count} refusals: a leak and a burst look the same here`]
          : []),
      ],
      advice: [
        {
          change: "swiotlb=<larger> as a trial",
          why: "if refusals only come later, a driver leaks mappings",
          basis: "reasoned",
        },
      ],
    };
  },
};
