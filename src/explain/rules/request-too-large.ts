/** Blocks of that order do not exist. */

import { smallerOrder } from "../advice.ts";
import type { MemoryRule } from "../memory-case.ts";
import { listEvidence } from "../memory-case.ts";
import { blockWords } from "../words.ts";

export const requestTooLarge: MemoryRule = {
  name: "request-too-large",
  decides:
    "the order is above the last column of the free lists: no state of the memory could serve it",
  linux: "MAX_ORDER (MAX_PAGE_ORDER since 6.8), include/linux/mmzone.h",
  claim: (found) => {
    const { request, asked, judgement } = found;
    if (request === null || request.order === 0) return null;
    const lists = asked.map(({ row }) => row.zone.freeList).filter((own) => own?.complete === true);
    const orders = Math.max(0, ...lists.map((own) => own?.blocks.length ?? 0));
    if (lists.length === 0 || request.order < orders) return null;
    return {
      cause: "request-too-large",
      sentence: `${blockWords(request.order, judgement?.pageKib)} cannot exist: the largest is order ${orders - 1}.`,
      confidence: "proven",
      evidence: listEvidence(found, asked.slice(0, 1), orders - 1),
      advice: smallerOrder(found),
      noHelp: [{ change: "more free memory", why: "no block is ever that large" }],
    };
  },
};
