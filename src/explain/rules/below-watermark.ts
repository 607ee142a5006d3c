/** The plain case: too little is free. */
import { earlierReclaim } from "../advice.ts";
import { type MemoryRule, rowEvidence, zoneLabel } from "../memory-case.ts";
import { list, pages, requestWords } from "../words.ts";

export const belowWatermark: MemoryRule = {
  name: "below-watermark",
  decides:
    "usable pages are not above mark + reserve in the deciding zone, and no single part of it decides",
  linux: "__zone_watermark_ok(), mm/page_alloc.c",
  claim: (found) => {
    const { top, judgement, asked, report, request } = found;
    if (top === null || judgement === null || request === null) return null;
    if (top.answer.watermarkOk !== false) return null;
    const { usable, needs, short } = top.answer;
    const held = asked
      .filter((zone) => zone !== top && zone.answer.factors.includes("reserve"))
      .map(
        (zone) => `${zoneLabel(found, zone)} holds ${zone.row.free} pages back (lowmem_reserve)`,
      );
    const swap = report.swapTotal?.value === 0 ? " There is no swap." : "";
    const hopeless =
      top.row.zone.allUnreclaimable === true ||
      report.nodes.some((n) => n.allUnreclaimable === true)
        ? " Reclaim had given up (all_unreclaimable)."
        : "";
    const rights = request.memalloc ? ", although no mark binds it" : "";
    const sides = request.memalloc ? `${usable} usable` : `${usable} <= ${needs}`;
    const rest = held.length === 0 ? "" : ` ${list(held)}.`;
    return {
      cause: "below-watermark",
      // Without the boost's number nobody can say that the mark was not boosted.
      also: top.row.boost === null ? ["boost-only"] : [],
      sentence: `${zoneLabel(found, top)} refuses ${requestWords(found)}${rights}: ${pages(short ?? 0)} short (${sides}).${rest}${hopeless}${swap}`,
      confidence: "proven",
      evidence: rowEvidence(found, asked),
      advice: earlierReclaim(found),
    };
  },
};
