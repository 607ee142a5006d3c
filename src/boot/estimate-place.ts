/**
 * Where the parts of an estimate lie: running totals for each zone of a layout
 * (slot), in pages.
 *
 *   best      our guess of what is taken
 *   sure      what is certainly taken there; `addDoubt` lowers it, also below 0
 *   possible  what may be taken there at most
 *
 * memblock gives out the top of RAM first. A stretch surely has room for a part
 * when either side of the image, wherever that sits, could take it; else the next
 * stretch down is a candidate as well. A part with one candidate is sure.
 */
import type { Part } from "./estimate-parts.ts";
import type { ZoneStretch } from "./placement.ts";

export interface Taken {
  readonly stretches: readonly ZoneStretch[];
  /** Node of each slot. */
  readonly nodeOf: readonly number[];
  readonly best: Float64Array;
  readonly sure: Float64Array;
  readonly possible: Float64Array;
  /** By stretch: pages that parts may have taken there. */
  readonly used: Float64Array;
  /** Pages that must stay free besides: the image, and what we do not know of. */
  readonly margin: number;
  /** memblock allocates upwards until the nodes are known (movable_node). */
  readonly bottomUp: boolean;
}

/** Nothing taken yet. */
export function nothingTaken(
  stretches: readonly ZoneStretch[],
  nodeOf: readonly number[],
  margin: number,
  bottomUp: boolean,
): Taken {
  const slots = nodeOf.length;
  return {
    stretches,
    nodeOf,
    best: new Float64Array(slots),
    sure: new Float64Array(slots),
    possible: new Float64Array(slots),
    used: new Float64Array(stretches.length),
    margin,
    bottomUp,
  };
}

/** Takes a part from the highest stretches of its node and below its limit. */
export function takePart(taken: Taken, part: Part): void {
  if (part.max <= 0 && part.best === 0) return;
  const upwards = taken.bottomUp && part.early;
  const places = upwards ? [...taken.stretches.keys()] : candidates(taken, part);
  for (const i of places) taken.used[i] = at(taken.used, i) + part.max;
  const slots = places.map((i) => taken.stretches[i]?.slot ?? -1);
  // Of several stretches the guess is the first that is not full by then.
  const fits = places.findIndex((i) => room(taken, i, part) >= at(taken.used, i));
  takeFrom(taken, part, slots, slots[Math.max(0, fits)] ?? -1);
}

/** Takes a part that lies in one of `slots`, most likely in `best`. */
export function takeFrom(
  taken: Taken,
  part: Pick<Part, "best" | "min" | "max">,
  slots: readonly number[],
  best: number,
): void {
  if (best !== -1) add(taken.best, best, part.best);
  const distinct = new Set(slots);
  for (const slot of distinct) {
    if (slot === -1) continue;
    add(taken.possible, slot, part.max);
    add(taken.sure, slot, distinct.size === 1 ? part.min : Math.min(0, part.min));
  }
}

/** Widens the bounds of one zone by `down` pages towards less memory and `up` towards more. */
export function addDoubt(taken: Taken, slot: number, down: number, up: number): void {
  add(taken.possible, slot, down);
  add(taken.sure, slot, -up);
}

function candidates(taken: Taken, part: Part): number[] {
  const places: number[] = [];
  for (let i = taken.stretches.length - 1; i >= 0; i--) {
    const slot = taken.stretches[i]?.slot ?? -1;
    if (part.node !== null && taken.nodeOf[slot] !== part.node) continue;
    const free = room(taken, i, part);
    if (free <= 0 || (part.whole === true && inOnePiece(taken, i, part) < part.min)) continue;
    places.push(i);
    if (free - at(taken.used, i) >= 2 * part.max + taken.margin) break;
  }
  return places;
}

/** Pages of stretch `i` and of what touches it from below on the same node. */
function inOnePiece(taken: Taken, i: number, part: Part): number {
  const own = taken.stretches[i];
  const below = taken.stretches[i - 1];
  const nodeAt = (one: ZoneStretch | undefined): number | undefined =>
    taken.nodeOf[one?.slot ?? -1];
  const touches = below !== undefined && below.end === own?.start && nodeAt(below) === nodeAt(own);
  return room(taken, i, part) + (touches ? inOnePiece(taken, i - 1, part) : 0);
}

/** Pages of stretch `i` that `part` may use. */
function room(taken: Taken, i: number, part: Part): number {
  const stretch = taken.stretches[i];
  if (stretch === undefined) return 0;
  return Math.max(0, Math.min(stretch.end, part.limitPfn) - stretch.start);
}

function at(counts: Float64Array, index: number): number {
  return counts[index] ?? 0;
}

function add(counts: Float64Array, index: number, pages: number): void {
  counts[index] = (counts[index] ?? 0) + pages;
}
