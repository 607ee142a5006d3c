/**
 * What is freed after the handover when no log tells: in pages, by the step at
 * which it counts and by slot of the layout. Amounts are those of a known build.
 */
import type { Constants } from "./estimate-parts.ts";
import type { Hardware, Layout, Pools } from "./hardware.ts";
import { isGigantic, type MarksInitcall, stepFor } from "./managed-late.ts";
import { slotOf, type ZoneStretch } from "./placement.ts";

/** Late pages of each step and slot, as a boot typically frees them. */
export interface LateGuess {
  readonly t1: Float64Array;
  readonly t2: Float64Array;
  readonly end: Float64Array;
}

export interface LatePlaces {
  readonly stretches: readonly ZoneStretch[];
  /** Slot of the zone with the kernel's image; -1 for none. */
  readonly imageSlot: number;
  readonly initcall?: MarksInitcall;
}

/** What is freed late when no log tells: parts of the image, the initrd, CMA and gigantic pages. */
export function typicalLate(
  hardware: Hardware,
  layout: Layout,
  pools: Pools,
  constants: Constants,
  { stretches, imageSlot, initcall = "postcore" }: LatePlaces,
): LateGuess {
  const { pageSize } = hardware.build;
  const { values } = constants;
  const zero = (): Float64Array => new Float64Array(layout.zones.length);
  const late: LateGuess = { t1: zero(), t2: zero(), end: zero() };
  const lowest = stretches[0]?.slot ?? -1;
  const isX86 = hardware.arch === "x86_64" || hardware.arch === "i386";
  const lowLimit = Math.min(2 ** 32 / pageSize, layout.maxLowPfn);
  // x86 boot loaders put the initrd at the top of low RAM, those of arm near its start.
  const initrdSlot = isX86 ? (highestBelow(stretches, lowLimit)?.slot ?? -1) : lowest;
  add(late[stepFor("initrd", "end", initcall)], initrdSlot, values.initrd);
  add(late.end, imageSlot, values.imageFreed);
  add(late.t1, imageSlot, values.alternatives);
  const dmaLimit = layout.dmaLimitPfn ?? Infinity;
  for (const { start, bytes } of pools.cma) {
    const guess = hardware.arch === "arm" ? stretches.at(-1) : highestBelow(stretches, dmaLimit);
    const slot = start === null ? (guess?.slot ?? -1) : slotOf(stretches, start / pageSize);
    add(late[stepFor("CMA", "t1", initcall)], slot, bytes / pageSize);
  }
  for (const { pageBytes, count } of pools.hugePages) {
    if (!isGigantic(pageBytes, hardware)) continue;
    for (const { slot } of giganticPlaces(stretches, pageBytes / pageSize, count)) {
      add(late[stepFor("huge page", "t2", initcall)], slot, pageBytes / pageSize);
    }
  }
  return late;
}

/** The highest aligned places for `count` blocks of so many pages, in pfns; the top of RAM is never wholly free. */
export function giganticPlaces(
  stretches: readonly ZoneStretch[],
  pages: number,
  count: number,
): { readonly start: number; readonly slot: number }[] {
  const places: { start: number; slot: number }[] = [];
  for (const { start, end, slot } of stretches.toReversed()) {
    const top = Math.floor((end - 1) / pages);
    for (let at = top - 1; at * pages >= start && places.length < count; at--) {
      places.push({ start: at * pages, slot });
    }
  }
  return places;
}

function highestBelow(stretches: readonly ZoneStretch[], limit: number): ZoneStretch | undefined {
  return stretches.findLast((one) => one.start < limit);
}

function add(counts: Float64Array, slot: number, pages: number): void {
  if (slot !== -1) counts[slot] = (counts[slot] ?? 0) + pages;
}
