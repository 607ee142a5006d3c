/** A zone of a few pages that never gets above its marks keeps kswapd awake. */
import { type MemoryRule, rowEvidence, zoneLabel } from "../memory-case.ts";
import { pages } from "../words.ts";

/** Pages; and the share of the machine's memory below which a zone is an accident. */
const FEW = 1024;
const SHARE = 1024;

export const tinyZone: MemoryRule = {
  name: "tiny-zone",
  decides:
    "in a state without a request: a zone with at most 1024 pages and a 1024th of memory is not above its low mark while all others are above their high ones",
  linux: "pgdat_balanced(), kswapd_try_to_sleep(), mm/vmscan.c",
  claim: (found) => {
    const { report, judgement } = found;
    if (report.kind !== "mem-info" || judgement === null) return null;
    const zones = judgement.zones.filter(({ row }) => (row.managed ?? 0) > 0);
    const all = zones.reduce((sum, { row }) => sum + (row.managed ?? 0), 0);
    const tiny = zones.find(({ row }) => {
      const { managed, free, low } = row;
      if (managed === null || free === null || low === null) return false;
      return managed <= FEW && managed * SHARE <= all && free <= low;
    });
    if (tiny === undefined) return null;
    const others = zones.filter((zone) => zone !== tiny);
    const fine = others.every(({ row }) => row.free !== null && row.free > (row.high ?? Infinity));
    if (!fine || others.length === 0) return null;
    const label = zoneLabel(found, tiny);
    return {
      cause: "tiny-zone",
      sentence: `${label} has only ${pages(tiny.row.managed ?? 0)} and is not above its low mark (${tiny.row.free} free, low ${tiny.row.low}), while all other zones are fine: kswapd stays awake for it, because it cannot balance a zone that has nothing to reclaim.`,
      confidence: "proven",
      evidence: rowEvidence(found, zones),
      advice: [
        {
          change: `let ${label} have no page or many: where a balloon or hot-plugged memory put them there, move its limit`,
          why: "kswapd sleeps when every zone with memory is above its high mark",
          basis: "reasoned",
        },
      ],
      noHelp: [{ change: "more free memory", why: "it lies in the other zones" }],
    };
  },
};
