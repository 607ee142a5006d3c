/** A zone of a few pages that never gets above its marks keeps kswapd awake. */
import type { MemoryRule } from "../memory-case.ts";
import { rowEvidence, zoneLabel } from "../memory-case.ts";
import { type SmallZone, spinningClaim, tinyOf } from "../tiny.ts";

export const tinyZone: MemoryRule = {
  name: "tiny-zone",
  decides:
    "in a state without a request, up to 4.11: a zone with at most 1024 pages and a 1024th of memory is not above its high mark while all others are",
  linux: "zone_balanced(), prepare_kswapd_sleep(), mm/vmscan.c; any zone suffices since 4.12",
  claim: (found) => {
    const { report, judgement, era } = found;
    if (report.kind !== "mem-info" || judgement === null || !era.everyZoneBalanced) return null;
    const zones = judgement.zones.flatMap((zone): SmallZone[] => {
      const { managed, free, low, high } = zone.row;
      const label = zoneLabel(found, zone);
      return managed === null ? [] : [{ label, managed, free, low, high }];
    });
    const tiny = tinyOf(zones);
    if (tiny === null) return null;
    return spinningClaim(tiny, "proven", rowEvidence(found, judgement.zones));
  },
};
