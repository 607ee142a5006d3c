/** Fewer free pages than the block has. */
import { smallerOrder } from "../advice.ts";
import { type MemoryRule, rowEvidence, zoneLabel } from "../memory-case.ts";
import { list, requestWords } from "../words.ts";

export const notEnoughInZone: MemoryRule = {
  name: "not-enough-in-zone",
  decides: "every zone of the request has fewer free pages than the block; the lists do not matter",
  linux: "__zone_watermark_unusable_free(), mm/page_alloc.c",
  claim: (found) => {
    const { request, asked } = found;
    if (request === null || request.order === 0 || asked.length === 0) return null;
    const block = 2 ** request.order;
    if (asked.some(({ row }) => row.free === null || row.free >= block)) return null;
    const free = asked.map((zone) => `${zoneLabel(found, zone)} ${zone.row.free}`);
    return {
      cause: "not-enough-in-zone",
      sentence: `${requestWords(found)} has ${block} pages, and fewer are free: ${list(free)}.`,
      confidence: "proven",
      evidence: rowEvidence(found, asked),
      advice: smallerOrder(found),
      noHelp: [{ change: "compaction", why: "no order of the free pages would make such a block" }],
    };
  },
};
