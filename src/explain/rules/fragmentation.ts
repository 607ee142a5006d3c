/** Pages enough, and no block of the order that the request may have. */

import { COSTLY_ORDER } from "../../mm/words.ts";
import { smallerOrder } from "../advice.ts";
import type { Judged } from "../judge.ts";
import {
  listEvidence,
  type MemoryCase,
  type MemoryRule,
  rowEvidence,
  zoneLabel,
} from "../memory-case.ts";
import { blockWords, list, requestWords } from "../words.ts";

export const fragmentation: MemoryRule = {
  name: "fragmentation",
  decides: "the watermark holds in some zone and its complete list has no block of the order",
  linux: "__zone_watermark_ok(), rmqueue(), mm/page_alloc.c",
  claim: (found) => {
    const zones = inPieces(found);
    const { request, judgement, report } = found;
    if (zones.length === 0 || request === null || judgement === null) return null;
    // The highest zone decides; where it is not known, the pieces below say too little.
    if (found.top?.serves === null) return null;
    const open = found.asked.some(({ serves }) => serves === null);
    const free = zones.map((zone) => `${zoneLabel(found, zone)} ${zone.answer.usable}`);
    const largest = Math.max(-1, ...zones.map((zone) => largestOrder(zone)));
    const has =
      largest < 0 ? "no block at all" : `the largest is ${blockWords(largest, judgement.pageKib)}`;
    const costly =
      request.order > COSTLY_ORDER ? " Above order 3 the kernel does not try for long." : "";
    const reclaimable = report.counters.get("inactive_file");
    return {
      cause: "fragmentation",
      sentence: `Enough is free for ${requestWords(found)} (usable pages: ${list(free)}), but in pieces: ${has}.${costly}`,
      confidence: open ? "consistent" : "proven",
      evidence: [
        ...rowEvidence(found, zones),
        ...listEvidence(found, zones, Math.max(0, largest - 1)),
      ],
      advice: [
        ...smallerOrder(found),
        {
          change: "allocate it early and keep it, from CMA or huge pages if it must be contiguous",
          why: "blocks of this order do not come back under load",
          basis: "reasoned",
        },
        {
          change: "vm.compact_memory by hand, vm.compaction_proactiveness (5.9)",
          why: `compaction makes blocks of what is movable${reclaimable === undefined ? "" : `; ${reclaimable.value} pages of file cache are inactive`}; how many cannot be told from a report`,
          basis: "reasoned",
        },
      ],
      noHelp: [
        {
          change: "more free memory by dropping caches once",
          why: "the marks hold already; blocks are missing, not pages",
        },
      ],
    };
  },
};

/** Zones where the watermark holds and no block can be had. */
export function inPieces({ asked }: MemoryCase): Judged[] {
  return asked.filter(
    ({ answer, serves }) =>
      serves === false && answer.watermarkOk === true && answer.blockOk === false,
  );
}

/** Of the free list; -1 for none. */
export function largestOrder({ row }: Judged): number {
  return row.zone.freeList?.blocks.findLastIndex(({ count }) => count > 0) ?? -1;
}
