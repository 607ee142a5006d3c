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
import type { Issue, Outcome } from "../base/issue.ts";
import type { BootLog } from "../formats/boot-log.ts";
import type { Policy } from "../kernels/policy.ts";
import type { Hardware, Layout, Managed, ManagedCounts, ManagedSource } from "./hardware.ts";
import type { LatePiece } from "./managed-late.ts";
import { imageRange, LATE_CALLERS, latePieces } from "./managed-late.ts";
import type { MemblockState } from "./memblock.ts";
import { freeRanges, replayMemblock } from "./memblock.ts";
import type { ZoneStretch } from "./placement.ts";
import { countPages, slotOf, wholePages, zoneStretches } from "./placement.ts";

/**
 * Managed pages of every zone of `layout`, or null when the log has neither
 * memblock lines nor a `Memory:` line. Issues name what could not be placed.
 */
export function managedFromLog(
  log: BootLog,
  layout: Layout,
  hardware: Hardware,
  policy: Policy,
): Outcome<Managed | null> {
  const replayed = replayForHandover(log);
  const issues = [...replayed.issues];
  if (replayed.value === null) {
    return { value: null, issues };
  }
  void policy;
  const { pageSize } = hardware.build;
  const stretches = zoneStretches(layout);
  const m0 = handedOver(replayed.value, stretches, layout, pageSize);
  const image = imageRange(log);
  const late = placeLate(latePieces(log, hardware.arch, pageSize, image), stretches, layout, {
    pageSize,
    fallbackSlot: image === null ? -1 : slotOf(stretches, image.start / pageSize),
  });
  issues.push(...late.issues);
  return { value: assemble(layout, "memblock log", m0, late), issues };
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

/** Pages that came at each step, by slot, and how many might lie elsewhere. */
export interface LateCounts {
  readonly t1: Float64Array;
  readonly t2: Float64Array;
  readonly end: Float64Array;
  /** Pages of each slot whose place was guessed. */
  readonly guessed: Float64Array;
  readonly issues: readonly Issue[];
}

/** Counts late pieces into the zones they lie in; those without a place go to `fallbackSlot`. */
export function placeLate(
  pieces: readonly LatePiece[],
  stretches: readonly ZoneStretch[],
  layout: Layout,
  options: { readonly pageSize: number; readonly fallbackSlot: number },
): LateCounts {
  const zero = (): Float64Array => new Float64Array(layout.zones.length);
  const counts = { t1: zero(), t2: zero(), end: zero(), guessed: zero() };
  const issues: Issue[] = [];
  const fallback = options.fallbackSlot === -1 ? widestSlot(layout) : options.fallbackSlot;
  for (const piece of pieces) {
    let placed = 0;
    if (piece.start !== null) {
      const start = Math.ceil(piece.start / options.pageSize);
      placed = countPages(stretches, { start, end: start + piece.pages }, counts[piece.step]);
    }
    const left = piece.pages - placed;
    if (left === 0 || fallback === -1) continue;
    counts[piece.step][fallback] = (counts[piece.step][fallback] ?? 0) + left;
    counts.guessed[fallback] = (counts.guessed[fallback] ?? 0) + left;
    issues.push({
      severity: "note",
      message: `${left} pages of ${piece.what} memory: the log does not say in which zone`,
      line: piece.line,
    });
  }
  return { ...counts, issues };
}

function widestSlot(layout: Layout): number {
  let best = -1;
  layout.zones.forEach((zone, slot) => {
    if (zone.present > (layout.zones[best]?.present ?? 0)) best = slot;
  });
  return best;
}

function assemble(
  layout: Layout,
  source: ManagedSource,
  handed: Float64Array,
  late: LateCounts,
): Managed {
  let doubt = 0;
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
