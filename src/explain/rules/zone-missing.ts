/** Every zone that the request may use is empty. */
import { withoutZone } from "../advice.ts";
import { type MemoryRule, rowEvidence } from "../memory-case.ts";
import { list, requestWords } from "../words.ts";

export const zoneMissing: MemoryRule = {
  name: "zone-missing",
  decides: "no zone up to the highest of the request manages memory, and zones above do",
  linux: "gfp_zone(), include/linux/gfp.h; first_zones_zonelist(), mm/mmzone.c",
  claim: (found) => {
    const { report, judgement, asked } = found;
    if (judgement === null || asked.length > 0 || report.zones.length === 0) return null;
    const unknown = report.zones.some(
      ({ fields }) => !fields.has("managed") && !fields.has("present"),
    );
    const held = judgement.zones.some(({ answer }) => answer.because.startsWith("on a node"));
    if (unknown || held) return null;
    const above = judgement.zones.filter(({ row }) => (row.managed ?? 0) > 0);
    const free = above.map(({ answer }) => `${answer.name} has ${answer.free ?? "?"} free pages`);
    return {
      cause: "zone-missing",
      sentence: `${requestWords(found)} may use no zone above ${judgement.highest}, and none up to it has memory; ${list(free)}.`,
      confidence: "proven",
      evidence: rowEvidence(found, judgement.zones),
      advice: [
        ...withoutZone(found),
        {
          change: `give zone ${judgement.highest} memory: for a crash kernel, reserve its low part inside that zone`,
          why: "a zone without pages refuses at once, whatever else is free",
          basis: "reasoned",
        },
      ],
      noHelp: [{ change: "vm.min_free_kbytes", why: "the zone has nothing to keep free" }],
    };
  },
};
