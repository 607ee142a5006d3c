/**
 * How low a zone may run: min, low, high and promo marks, and the setting they
 * come from, min_free_kbytes. Pure functions over rows of counts.
 *
 * A zone is *special* when its memory is not the kernel's own low memory:
 * HighMem always, Movable by era. Special zones get a small fixed min and do
 * not count in the sum that divides min_free_kbytes.
 *
 * Linux: __setup_per_zone_wmarks(), calculate_min_free_kbytes(), mm/page_alloc.c
 */

import type { MarkRule } from "../kernels/policy.ts";

export interface Marks {
  /** Pages, as are the others. */
  readonly min: number;
  readonly low: number;
  readonly high: number;
  readonly promo: number;
}

/** What the marks of one zone are computed from. */
export interface MarkRow {
  /** Pages given to the buddy when the marks are computed. */
  readonly managed: number;
  readonly special: boolean;
}

export interface MarkSettings {
  readonly minFreeKbytes: number;
  /** Tenths of a per mille of a zone: 10 = 0.1 %. */
  readonly watermarkScaleFactor: number;
  readonly pageSize: number;
  /** How low and high follow; absent: by the gap of 4.6 and later. */
  readonly rule?: MarkRule;
}

/** Clamps of a special zone's min, pages: SWAP_CLUSTER_MAX and 128. */
const SPECIAL_MIN_PAGES = 32;
const SPECIAL_MAX_PAGES = 128;

/**
 * The marks of every zone of the machine, in the order of `rows`.
 *
 * Linux: __setup_per_zone_wmarks(), mm/page_alloc.c
 */
export function zoneMarks(rows: readonly MarkRow[], settings: MarkSettings): Marks[] {
  const pagesMin = Math.floor((settings.minFreeKbytes * 1024) / settings.pageSize);
  let lowmem = 0;
  for (const row of rows) if (!row.special) lowmem += row.managed;
  return rows.map((row) => {
    const share = lowmem === 0 ? 0 : mulDiv(pagesMin, row.managed, lowmem);
    const min = row.special ? specialMin(row.managed) : share;
    return above(min, share, row.managed, settings);
  });
}

/** Low, high and promo; the gap comes from the share itself, also where min was clamped. */
function above(min: number, share: number, managed: number, settings: MarkSettings): Marks {
  switch (settings.rule ?? "gap") {
    case "multiples":
      return { min, low: 2 * min, high: 3 * min, promo: 3 * min };
    case "of-min": {
      const high = Math.floor((min * 6) / 4);
      return { min, low: Math.floor((min * 5) / 4), high, promo: high };
    }
    case "quarters": {
      const high = min + Math.floor(share / 2);
      return { min, low: min + Math.floor(share / 4), high, promo: high };
    }
    case "gap": {
      const scaled = mulDiv(managed, settings.watermarkScaleFactor, 10000);
      const gap = Math.max(Math.floor(share / 4), scaled);
      return { min, low: min + gap, high: min + 2 * gap, promo: min + 3 * gap };
    }
  }
}

function specialMin(managed: number): number {
  return Math.min(Math.max(Math.floor(managed / 1024), SPECIAL_MIN_PAGES), SPECIAL_MAX_PAGES);
}

/**
 * min_free_kbytes that the kernel chooses by itself, KiB. `lowFreePages` is the
 * sum of managed - high mark over the zones that GFP_USER may use (index up to
 * Normal) of all nodes; `factor` is 1 in 2.6.9.
 *
 * Linux: calculate_min_free_kbytes(), nr_free_zone_pages(), mm/page_alloc.c
 */
export function defaultMinFreeKbytes(
  lowFreePages: number,
  pageSize: number,
  max: number,
  factor = 16,
): number {
  const lowmemKbytes = lowFreePages * (pageSize / 1024);
  return Math.min(Math.max(integerSqrt(lowmemKbytes * factor), MIN_FREE_KBYTES_FLOOR), max);
}

/** calculate_min_free_kbytes() never goes below this. */
const MIN_FREE_KBYTES_FLOOR = 128;

/**
 * What khugepaged wants min_free_kbytes to be, KiB: room for two free
 * pageblocks a zone, and a third of mixed types for each pair of migratetypes,
 * capped at a twentieth of free low memory.
 *
 * Linux: set_recommended_min_free_kbytes(), mm/khugepaged.c
 */
export function khugepagedMinFreeKbytes(
  populatedZones: number,
  pageblockPages: number,
  lowFreePages: number,
  pageSize: number,
): number {
  const wanted = pageblockPages * populatedZones * (2 + MIGRATE_PCPTYPES * MIGRATE_PCPTYPES);
  const capped = Math.min(wanted, Math.floor(lowFreePages / 20));
  return capped * (pageSize / 1024);
}

/** Unmovable, Movable, Reclaimable. */
const MIGRATE_PCPTYPES = 3;

/** floor(a * b / c), exact as the kernel's 64-bit product is. */
function mulDiv(a: number, b: number, c: number): number {
  const product = a * b;
  if (product <= Number.MAX_SAFE_INTEGER) return Math.floor(product / c);
  return Number((BigInt(a) * BigInt(b)) / BigInt(c));
}

/** floor(sqrt(n)), exact for every safe integer. */
function integerSqrt(n: number): number {
  let root = Math.floor(Math.sqrt(n));
  while (root * root > n) root--;
  while ((root + 1) * (root + 1) <= n) root++;
  return root;
}
