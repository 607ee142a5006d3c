/**
 * How many pages the buddy allocator got of each zone, from the boot log.
 *
 * With `memblock=debug` the count is exact: RAM that was not reserved when
 * memblock was handed over, plus what was freed later (`managed-late.ts`).
 * With an ordinary log the sum over all zones is exact and each zone has bounds
 * (`managed-sum.ts`); from parameters alone, see `estimate.ts`.
 *
 * Always 0 <= low <= end <= high <= present, and m0 <= t1 <= t2 <= end.
 *
 * Linux: memblock_free_all(), mm/memblock.c
 */
import type { Outcome } from "../base/issue.ts";
import type { BootLog } from "../formats/boot-log.ts";
import type { Policy } from "../kernels/policy.ts";
import type { Hardware, Layout, Managed, ManagedCounts, ManagedSource } from "./hardware.ts";
import { LATE_CALLERS } from "./managed-late.ts";
import { type LateCounts, lateFromLog } from "./managed-late-place.ts";
import { issuesOfLost, pagesOfLost, piecesLost } from "./managed-lost.ts";
import { managedFromSum } from "./managed-sum.ts";
import { freeRanges, type MemblockState, replayMemblock } from "./memblock.ts";
import { countPages, wholePages, type ZoneStretch, zoneStretches } from "./placement.ts";

export { managedFromParameters } from "./estimate.ts";
export { managedGiven } from "./managed-given.ts";

/**
 * Managed pages of every zone of `layout`, or null when the log has no `Memory:`
 * line. Issues name what could not be placed, and a log that was cut.
 */
export function managedFromLog(
  log: BootLog,
  layout: Layout,
  hardware: Hardware,
  policy: Policy,
): Outcome<Managed | null> {
  const pieces = piecesLost(log, hardware.arch);
  const cut = issuesOfLost(pieces);
  // Without the handover's line nobody knows how far the reservations had come by then.
  if (log.memory === null) return { value: null, issues: cut };
  const replayed = replayForHandover(log);
  if (replayed.value === null) {
    const summed = managedFromSum(log, layout, hardware, policy);
    return { value: summed.value, issues: [...cut, ...replayed.issues, ...summed.issues] };
  }
  const { pageSize } = hardware.build;
  const stretches = zoneStretches(layout);
  const m0 = handedOver(replayed.value, stretches, layout, pageSize);
  const late = lateFromLog(log, layout, hardware, -1, policy.marksInitcall);
  const lost = pagesOfLost(pieces, pageSize);
  const issues = [...cut, ...replayed.issues, ...late.issues];
  return { value: assemble(layout, "memblock log", m0, late, lost), issues };
}

/** The memblock state when the buddy allocator took over. */
export function replayForHandover(log: BootLog): Outcome<MemblockState | null> {
  const untilLine = log.memory?.line ?? Number.POSITIVE_INFINITY;
  return replayMemblock(log.memblock, { untilLine, ignoreCallers: LATE_CALLERS });
}

function handedOver(
  state: MemblockState,
  stretches: readonly ZoneStretch[],
  layout: Layout,
  pageSize: number,
): Float64Array {
  const counts = new Float64Array(layout.zones.length);
  for (const free of freeRanges(state)) countPages(stretches, wholePages(free, pageSize), counts);
  return counts;
}

function assemble(
  layout: Layout,
  source: ManagedSource,
  handed: Float64Array,
  late: LateCounts,
  lost: number,
): Managed {
  let doubt = lost;
  for (const pages of late.guessed) doubt += pages;
  const zones = layout.zones.map((zone, slot): ManagedCounts => {
    const m0 = handed[slot] ?? 0;
    const t1 = Math.min(zone.present, m0 + (late.t1[slot] ?? 0));
    const t2 = Math.min(zone.present, t1 + (late.t2[slot] ?? 0));
    const end = Math.min(zone.present, t2 + (late.end[slot] ?? 0));
    const own = late.guessed[slot] ?? 0;
    const low = Math.max(0, end - own);
    const high = Math.min(zone.present, end + doubt - own);
    const { node, index } = zone;
    return { node, index, m0, t1, t2, end, low, high, exact: low === high };
  });
  return { zones, source };
}
