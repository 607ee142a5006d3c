/**
 * lowmem_reserve: how many pages of a zone are kept from requests that could
 * have used a higher one. /proc/zoneinfo prints it as "protection".
 *
 * Linux: setup_per_zone_lowmem_reserve(), mm/page_alloc.c
 */

import type { Policy } from "../kernels/policy.ts";

/** Default of the lowmem_reserve_ratio sysctl by zone name. */
const DEFAULT_RATIO: ReadonlyMap<string, number> = new Map([
  ["DMA", 256],
  ["DMA32", 256],
  ["Normal", 32],
  ["Movable", 0],
]);

/**
 * The sysctl's default for zones of these names, one number a zone. A zone that
 * no kernel has is kept like DMA32; Device has no entry in the kernel's array
 * and reads as 0. `highmem` is 32 up to 4.15.
 */
export function defaultReserveRatios(zoneNames: readonly string[], highmem = 0): number[] {
  return zoneNames.map((name) => {
    if (name === "HighMem") return highmem;
    return DEFAULT_RATIO.get(name) ?? (name === "Device" ? 0 : 256);
  });
}

/** What an era does with ratios below 1, and with zones that hold nothing. */
export type ReserveRule = Pick<Policy["reserve"], "zeroRatio" | "emptyZones" | "zeroRatioHides">;

const MODERN: ReserveRule = { zeroRatio: "none", emptyZones: false, zeroRatioHides: false };

/**
 * The reserves of one node: `reserve[i][j]` pages of zone i are out of bounds
 * for a request whose highest zone is j. `managed` is by zone index, `ratios`
 * the sysctl (0 = no reserve, or 1 by the rule; missing entries count as 0).
 */
export function lowmemReserve(
  managed: readonly number[],
  ratios: readonly number[],
  rule: ReserveRule = MODERN,
): number[][] {
  return managed.map((own, i) => {
    const given = ratios[i] ?? 0;
    const ratio = given < 1 && rule.zeroRatio === "one" ? 1 : given;
    const none = ratio === 0 || (own === 0 && !rule.emptyZones);
    let above = 0;
    return managed.map((pages, j) => {
      if (j <= i) return 0;
      above += pages;
      const hidden = rule.zeroRatioHides ? hiddenBetween(managed, ratios, i, j) : 0;
      return none ? 0 : Math.floor((above - hidden) / ratio);
    });
  });
}

/** Pages of the zones between two that have no ratio. Linux: 5.8 to 5.13, `continue` in the inner loop */
function hiddenBetween(
  managed: readonly number[],
  ratios: readonly number[],
  from: number,
  to: number,
): number {
  let pages = 0;
  for (let k = from + 1; k < to; k++) if ((ratios[k] ?? 0) < 1) pages += managed[k] ?? 0;
  return pages;
}

/**
 * The protection of 2.6.9, one node: against requests whose highest zone is j, zone i keeps `factor`
 * (the sysctl lower_zone_protection) times the low marks of the zones between them that hold pages,
 * zone j included.
 *
 * Linux: higherzone_val(), setup_per_zone_protection(), mm/page_alloc.c
 */
export function lowerZoneProtection(
  present: readonly number[],
  low: readonly number[],
  factor: number,
): number[][] {
  const last = present.findLastIndex((pages) => pages > 0);
  return present.map((_, i) =>
    present.map((__, j) => {
      if (i > last || i >= j) return 0;
      let kept = 0;
      for (let k = i + 1; k <= j; k++) if ((present[k] ?? 0) > 0) kept += (low[k] ?? 0) * factor;
      return kept;
    }),
  );
}
