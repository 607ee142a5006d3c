/**
 * Late pages (`managed-late.ts`) counted into zones: one number for each step
 * and slot of the layout. What a log does not place goes to a fallback zone and
 * is remembered as guessed, so that bounds can allow for it.
 */
import type { Issue } from "../base/issue.ts";
import type { BootLog } from "../formats/boot-log.ts";
import { giganticPlaces } from "./estimate-late.ts";
import type { Hardware, Layout } from "./hardware.ts";
import { imageRange, type LatePiece, latePieces, type MarksInitcall } from "./managed-late.ts";
import { countPages, slotOf, type ZoneStretch, zoneStretches } from "./placement.ts";

/** Pages that came at each step, by slot, and how many might lie elsewhere. */
export interface LateCounts {
  readonly t1: Float64Array;
  readonly t2: Float64Array;
  readonly end: Float64Array;
  /** Pages of each slot whose place was guessed. */
  readonly guessed: Float64Array;
  readonly issues: readonly Issue[];
}

/**
 * What the log says was freed late, by zone. `imageSlot` is where parts of the
 * image go when the log does not tell its address; -1 for no idea.
 */
export function lateFromLog(
  log: BootLog,
  layout: Layout,
  hardware: Hardware,
  imageSlot = -1,
  initcall: MarksInitcall = "postcore",
): LateCounts {
  const { pageSize } = hardware.build;
  const stretches = zoneStretches(layout);
  const image = imageRange(log);
  const fallbackSlot = image === null ? imageSlot : slotOf(stretches, image.start / pageSize);
  const pieces = latePieces(log, hardware, image, initcall).flatMap((piece) =>
    likelyPlaces(piece, stretches, pageSize),
  );
  return placeLate(pieces, stretches, layout, { pageSize, fallbackSlot });
}

/**
 * An ordinary log counts gigantic pages and does not place them: the highest
 * places are likeliest, and what does not fit there is left without a place.
 * Firmware's memory lies at the end of RAM below 4 GiB.
 */
function likelyPlaces(
  piece: LatePiece,
  stretches: readonly ZoneStretch[],
  pageSize: number,
): LatePiece[] {
  const { each, start, pages, what, step, line } = piece;
  if (start !== null) return [piece];
  if (what === "boot services") {
    const low = stretches.findLast((one) => {
      return one.start < 2 ** 32 / pageSize && one.end - one.start > pages;
    });
    return [low === undefined ? piece : { ...piece, start: (low.end - pages) * pageSize }];
  }
  if (each === undefined) return [piece];
  const places = giganticPlaces(stretches, each, pages / each);
  const placed = places.map(
    (place): LatePiece => ({ what, step, line, pages: each, start: place.start * pageSize }),
  );
  const left = pages - each * places.length;
  return left === 0 ? placed : [...placed, { what, step, line, pages: left, start: null }];
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
