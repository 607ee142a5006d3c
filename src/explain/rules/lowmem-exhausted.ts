/** The zones that the request may use are spent, and a higher one is not. */
import { earlierReclaim, withoutZone } from "../advice.ts";
import { type MemoryRule, rowEvidence, zoneLabel } from "../memory-case.ts";
import { list, pages, requestWords } from "../words.ts";

export const lowmemExhausted: MemoryRule = {
  name: "lowmem-exhausted",
  decides:
    "below the mark in every zone of the request, while a zone above its highest has more free than its high mark",
  linux: "gfp_zone(), include/linux/gfp.h; __zone_watermark_ok(), mm/page_alloc.c",
  claim: (found) => {
    const { judgement, asked, top } = found;
    if (judgement === null || top === null || top.answer.watermarkOk !== false) return null;
    if (asked.some(({ serves }) => serves !== false)) return null;
    const idle = judgement.zones.filter(
      ({ answer, row, index }) =>
        !answer.eligible &&
        index > top.index &&
        row.free !== null &&
        row.free > (row.high ?? Infinity),
    );
    if (idle.length === 0) return null;
    const free = idle.map((zone) => `${zoneLabel(found, zone)} has ${zone.row.free} free pages`);
    const { usable, needs, short } = top.answer;
    return {
      cause: "lowmem-exhausted",
      sentence: `${requestWords(found)} may use no zone above ${judgement.highest}, where ${zoneLabel(found, top)} is ${pages(short ?? 0)} short (${usable} <= ${needs}); ${list(free)}, which it cannot use.`,
      confidence: "proven",
      evidence: rowEvidence(found, [...asked, ...idle]),
      advice: [
        ...withoutZone(found),
        {
          change: "a 64-bit kernel, or fewer kernel objects: page tables, slab, network buffers",
          why: "only the kernel's own memory lies in the low zone",
          basis: "reasoned",
        },
        ...earlierReclaim(found),
      ],
      noHelp: [{ change: "more RAM", why: "it lands in the zones that the request cannot use" }],
    };
  },
};
