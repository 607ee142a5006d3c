/** Up to 4.3: a block is there, but too little is left above the smaller orders. */
import { smallerOrder } from "../advice.ts";
import { listEvidence, type MemoryRule, zoneLabel } from "../memory-case.ts";
import { requestWords } from "../words.ts";
import { inPieces, largestOrder } from "./fragmentation.ts";

export const orderWatermark: MemoryRule = {
  name: "order-watermark",
  decides:
    "up to 4.3: a block of the order is free, but without the smaller ones less is left than the mark, halved for each order",
  linux: "__zone_watermark_ok() of 2.6 to 4.3, mm/page_alloc.c",
  claim: (found) => {
    const { request, era } = found;
    if (request === null || era.marks.watermark !== "orders") return null;
    const zone = inPieces(found).find((own) => largestOrder(own) >= request.order);
    if (zone === undefined) return null;
    return {
      cause: "order-watermark",
      sentence: `${zoneLabel(found, zone)} has a block for ${requestWords(found)}, but this kernel wants a share of the mark left in each order, and the memory above the small ones does not suffice.`,
      confidence: era.basis === "printed" ? "proven" : "consistent",
      evidence: listEvidence(found, [zone]),
      advice: [
        ...smallerOrder(found),
        {
          change: "lower vm.min_free_kbytes, or a kernel since 4.4",
          why: "the share asked for in each order follows the mark; 4.4 asks only for a block",
          basis: "reasoned",
        },
      ],
    };
  },
};
