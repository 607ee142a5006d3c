/**
 * Counts of an earlier moment from the zones' shares: each min mark is min_free_kbytes divided as the
 * zones' counts are, and rounded down. With the sum of low memory every zone's count lies in a window;
 * the sum itself is what keeps all windows inside what the zones can hold.
 */
import type { PrintedInput } from "./printed-input.ts";
import { isSpecialZone, type PrintedSettings } from "./printed-numbers.ts";
import { lowZones, minFrees } from "./printed-settings.ts";
import type { PrintedZone } from "./printed-zones.ts";

/** Sums that are tried, and how many of them a page of the largest min mark spans. */
const SUMS = 64;
const SUMS_A_PAGE = 16;
/** How much more than now a zone may have held: balloons and gigantic pages take no larger part unseen. */
const MORE = 9 / 8;
/**
 * The part of what a zone holds now that it held at boot, at least: initrd and image are the rest. One
 * zone may have held less, where gigantic pages came to it.
 */
const LEAST_PART = 3 / 4;
/** Sums tried of each range that a special zone leaves. */
const SAMPLES = 16;

/**
 * Counts by zone that the marks may have been computed from: first with what zones hold now as their
 * most, then with somewhat more, since pages may leave a zone as well.
 */
export function* countsByShares(
  input: PrintedInput,
  now: readonly number[],
  settings: PrintedSettings,
): Generator<number[]> {
  const { zones, pageSize } = input;
  const low = lowZones(zones, now, settings);
  const kib = pageSize / 1024;
  const more = zones.map((zone, i) => Math.min(zone.present, Math.floor((now[i] ?? 0) * MORE)));
  for (const most of [now, more]) {
    for (const kbytes of minFrees(input, now, settings)) {
      const pages = Math.floor(kbytes / kib);
      for (const sum of sumsFor(zones, low, most, pages, settings)) {
        const counts = dealt(zones, low, now, most, pages, sum);
        if (counts !== null) yield counts;
      }
    }
  }
}

/** Candidates for the sum of low memory, the highest first. */
function* sumsFor(
  zones: readonly PrintedZone[],
  low: readonly number[],
  most: readonly number[],
  pages: number,
  settings: PrintedSettings,
): Generator<number> {
  let top = low.reduce((sum, z) => sum + (most[z] ?? 0), 0);
  let largest = 1;
  for (const z of low) {
    const min = zones[z]?.min ?? 0;
    largest = Math.max(largest, min);
    if (min > 0) top = Math.min(top, Math.floor((pages * (most[z] ?? 0)) / min));
  }
  const width = top / (largest + 1) / SUMS_A_PAGE;
  for (let step = 0; step < SUMS; step++) yield Math.round(top - step * width);
  for (const [least, highest] of sumsOfSpecial(zones, most, settings, pages)) {
    for (let step = 0; step <= SAMPLES; step++) {
      yield highest - Math.round(((highest - least) * step) / SAMPLES);
    }
  }
}

/**
 * Sums of low memory that the gaps of special zones leave: a quarter of what their share would be,
 * where that is more than the scale factor's part.
 */
function sumsOfSpecial(
  zones: readonly PrintedZone[],
  counts: readonly number[],
  settings: PrintedSettings,
  pages: number,
): (readonly [number, number])[] {
  const { watermarkScaleFactor: factor } = settings;
  return zones.flatMap((zone, i): (readonly [number, number])[] => {
    const gap = zone.low - zone.min;
    const own = counts[i] ?? 0;
    const scaled = Math.floor((own * factor) / 10000);
    if (!isSpecialZone(zone, zones, settings) || gap === 0 || gap <= scaled) return [];
    const most = Math.floor((pages * own) / (4 * gap));
    return [[Math.floor((pages * own) / (4 * gap + 4)) + 1, most]];
  });
}

/** `sum` dealt to the low zones so that each has its min mark; null where it cannot be. */
function dealt(
  zones: readonly PrintedZone[],
  low: readonly number[],
  now: readonly number[],
  most: readonly number[],
  pages: number,
  sum: number,
): number[] | null {
  const counts = [...now];
  let surplus = -sum;
  const slack = new Map<number, number>();
  for (const z of low) {
    const min = zones[z]?.min ?? 0;
    const least = Math.ceil((min * sum) / pages);
    const highest = Math.min(most[z] ?? 0, Math.ceil(((min + 1) * sum) / pages) - 1);
    if (highest < least) return null;
    counts[z] = highest;
    slack.set(z, highest - least);
    surplus += highest;
  }
  if (surplus < 0) return null;
  for (const [z, spare] of [...slack].sort((a, b) => b[1] - a[1])) {
    const less = Math.min(spare, surplus);
    counts[z] = (counts[z] ?? 0) - less;
    surplus -= less;
  }
  const shrunk = low.filter((z) => (counts[z] ?? 0) < (now[z] ?? 0) * LEAST_PART);
  return surplus === 0 && shrunk.length <= 1 ? counts : null;
}
