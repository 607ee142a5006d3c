/**
 * /proc/zoneinfo as a record: everything the kernel printed, in its order, so
 * that `writeZoneinfo` can print it back byte for byte, and the numbers that
 * the model predicts by name.
 *
 * Linux: zoneinfo_show_print(), mm/vmstat.c
 */

/** One per-CPU pageset; fields of the era, absent ones null. Pages. */
export interface ZoneinfoPageset {
  readonly cpu: number;
  readonly count: number;
  readonly high: number;
  readonly batch: number;
  /** 6.18+. */
  readonly highMin: number | null;
  readonly highMax: number | null;
}

/** The numbers of one zone, pages unless said otherwise; null where the era does not print them. */
export interface ZoneinfoZone {
  readonly node: number;
  readonly name: string;
  /** 1-based line of its heading. */
  readonly line: number;
  readonly free: number;
  readonly boost: number | null;
  readonly min: number;
  readonly low: number;
  readonly high: number;
  readonly promo: number | null;
  readonly spanned: number;
  readonly present: number;
  readonly managed: number | null;
  readonly cma: number | null;
  /** lowmem_reserve towards each zone index; empty where not printed. */
  readonly protection: readonly number[];
  /** Counters by name (nr_free_pages …). */
  readonly counters: ReadonlyMap<string, number>;
  readonly pagesets: readonly ZoneinfoPageset[];
  /** Null for an unpopulated zone. */
  readonly startPfn: number | null;
}

export interface Zoneinfo {
  readonly zones: readonly ZoneinfoZone[];
  /** Per-node counters (nr_inactive_anon …) by node. */
  readonly nodeCounters: ReadonlyMap<number, ReadonlyMap<string, number>>;
}
