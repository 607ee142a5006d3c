/**
 * /proc/zoneinfo as a record: everything the kernel printed, in its order, so
 * that `writeZoneinfo` can print it back byte for byte, and the numbers that
 * the model predicts by name.
 *
 * A zone is printed as heading, sizes (free, min … cma), protection, counters,
 * pagesets, tail (node_unreclaimable, start_pfn). Up to 4.10 protection came
 * after the counters; kernels that print zones without memory stop there after
 * protection. The first zone with memory of a node carries the node's counters.
 *
 * Optional fields exist for the writer's sake: a predicted record can leave
 * them out.
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
  /** Up to 2.6.24 a CPU had two: 0 for hot pages, 1 for cold ones. */
  readonly pcp?: number;
  /** Low mark of a pageset, up to 2.6.15. */
  readonly low?: number;
  /** NUMA counters of one CPU (numa_hit, interleave_hit …), up to 2.6.17. */
  readonly numa?: ReadonlyMap<string, number>;
  /** `vm stats threshold`, printed by SMP kernels after the last pageset of a CPU. */
  readonly statThreshold?: number;
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
  /** Sizes that other eras print, by name: active, inactive, scanned, node_scanned … */
  readonly otherSizes?: ReadonlyMap<string, number>;
  /** What stands in brackets after `scanned`, e.g. a and i. */
  readonly scannedBy?: ReadonlyMap<string, number>;
  /** lowmem_reserve towards each zone index; empty where not printed. */
  readonly protection: readonly number[];
  /**
   * Counters by name (nr_free_pages …). A kernel whose table of names is too
   * short prints one without: its name is "".
   */
  readonly counters: ReadonlyMap<string, number>;
  readonly pagesets: readonly ZoneinfoPageset[];
  /** Null for an unpopulated zone. */
  readonly startPfn: number | null;
  /** The other lines after the pagesets: node_unreclaimable, prev_priority … */
  readonly tail?: ReadonlyMap<string, number>;
}

/** How an era sets the lines out, as far as names do not tell. */
export interface ZoneinfoLayout {
  /** Blanks before a zone's counter: 4 up to 4.7, 6 since. */
  readonly counterIndent: number;
  /** Protection follows the counters, as it did up to 4.10. */
  readonly protectionLast: boolean;
  /** Width of a pageset's label with its colon: 7, since 6.18 10. */
  readonly pagesetWidth: number;
  /** Labels after the pagesets, in order; a zone prints those it has. */
  readonly tail: readonly string[];
  /** Width of such a label with its colon: 19 up to 4.7, 21 since. */
  readonly tailWidth: number;
}

/** The layout from 4.11 to 6.17. */
export const MODERN_LAYOUT: ZoneinfoLayout = {
  counterIndent: 6,
  protectionLast: false,
  pagesetWidth: 7,
  tail: ["node_unreclaimable", "start_pfn"],
  tailWidth: 21,
};

export interface Zoneinfo {
  readonly zones: readonly ZoneinfoZone[];
  /** Per-node counters (nr_inactive_anon …) by node. */
  readonly nodeCounters: ReadonlyMap<number, ReadonlyMap<string, number>>;
  /** Absent: `MODERN_LAYOUT`. */
  readonly layout?: ZoneinfoLayout;
}
