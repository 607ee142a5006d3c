/**
 * lowmem_reserve: how many pages of a zone are kept from requests that could
 * have used a higher one. /proc/zoneinfo prints it as "protection".
 *
 * Linux: setup_per_zone_lowmem_reserve(), mm/page_alloc.c
 */

/** Default of the lowmem_reserve_ratio sysctl by zone name. */
const DEFAULT_RATIO: ReadonlyMap<string, number> = new Map([
  ["DMA", 256],
  ["DMA32", 256],
  ["Normal", 32],
  ["HighMem", 0],
  ["Movable", 0],
]);

/**
 * The sysctl's default for zones of these names, one number a zone. A zone that
 * no kernel has is kept like DMA32; Device has no entry in the kernel's array
 * and reads as 0.
 */
export function defaultReserveRatios(zoneNames: readonly string[]): number[] {
  return zoneNames.map((name) => DEFAULT_RATIO.get(name) ?? (name === "Device" ? 0 : 256));
}

/**
 * The reserves of one node: `reserve[i][j]` pages of zone i are out of bounds
 * for a request whose highest zone is j. `managed` is by zone index, `ratios`
 * the sysctl (0 = no reserve; missing entries count as 0).
 */
export function lowmemReserve(managed: readonly number[], ratios: readonly number[]): number[][] {
  return managed.map((own, i) => {
    const ratio = ratios[i] ?? 0;
    let above = 0;
    return managed.map((pages, j) => {
      if (j <= i) return 0;
      above += pages;
      return ratio === 0 || own === 0 ? 0 : Math.floor(above / ratio);
    });
  });
}
