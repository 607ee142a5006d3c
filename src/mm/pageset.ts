/**
 * Sizes of the per-CPU page lists: `batch` pages move between a list and the
 * buddy at once, `high` is where a list is drained.
 *
 * Linux: zone_batchsize(), zone_highsize(), zone_set_pageset_high_and_batch(), mm/page_alloc.c
 */
import type { Policy } from "../kernels/policy.ts";

export interface PagesetSize {
  /** Pages. Where the kernel tunes it at run time: the lower bound. */
  readonly high: number;
  readonly batch: number;
  /** Bounds of the tuning (6.7+), pages; null where high is fixed. */
  readonly tunedTo: { readonly min: number; readonly max: number } | null;
  /** Low mark of the hot list, where it has one (2.6.9, 2.6.11). */
  readonly low?: number;
  /** The second list of eras that kept cold pages apart (up to 2.6.24). */
  readonly cold?: { readonly high: number; readonly batch: number };
}

/** What an era says about pagesets' sizes. */
type PagesetRule = Pick<
  Policy["pageset"],
  "high" | "tuned" | "batchBytesMax" | "batchBelowPower" | "cold"
>;

export interface PagesetInput {
  /** Pages of the zone when the size is computed. */
  readonly managed: number;
  /** The low mark, without boost. */
  readonly lowMark: number;
  /** Online CPUs of the zone's node; all online CPUs where the node has none. */
  readonly cpus: number;
  readonly pageSize: number;
  /** percpu_pagelist_high_fraction or its older name; 0 = not set. */
  readonly fraction: number;
}

/** PAGE_SHIFT * 8: the cap of a batch that a fraction asked for. */
const FRACTION_BATCH_BITS = 8;
/** MIN_PERCPU_PAGELIST_HIGH_FRACTION: high_max is this share of the zone. */
const HIGH_MAX_FRACTION = 8;

export function pagesetSize(
  input: PagesetInput,
  policy: { readonly pageset: PagesetRule },
): PagesetSize {
  const batch = zoneBatch(input.managed, input.pageSize, policy.pageset);
  if (policy.pageset.high === "six-batches") {
    return { ...sixBatches(input, batch), ...coldOf(batch, policy.pageset) };
  }
  const high = lowMarkHigh(input, batch, input.fraction);
  if (!policy.pageset.tuned) return { high, batch: Math.max(1, batch), tunedTo: null };
  const max = input.fraction === 0 ? lowMarkHigh(input, batch, HIGH_MAX_FRACTION) : high;
  return { high, batch: Math.max(1, batch), tunedTo: { min: high, max: Math.max(high, max) } };
}

/** Linux: setup_pageset(), mm/page_alloc.c (2.6.18); free_area_init_core() before */
function coldOf(batch: number, rule: PagesetRule): Pick<PagesetSize, "low" | "cold"> {
  switch (rule.cold) {
    case "none":
      return {};
    case "high":
      return { cold: { high: 2 * batch, batch: Math.max(1, Math.floor(batch / 2)) } };
    case "low-and-high":
      return { low: 2 * batch, cold: { high: 2 * batch, batch } };
  }
}

/** 4.19 and later. */
const MODERN_BATCH = { batchBytesMax: 1024 * 1024, batchBelowPower: true };

/**
 * Pages of one batch, 0 for a tiny zone: near a thousandth of the zone, a
 * quarter of a MiB at the most (an eighth up to 4.18), and one less than a
 * power of two.
 *
 * Linux: zone_batchsize(), mm/page_alloc.c
 */
export function zoneBatch(
  managed: number,
  pageSize: number,
  rule: Pick<PagesetRule, "batchBytesMax" | "batchBelowPower"> = MODERN_BATCH,
): number {
  const cap = Math.floor(rule.batchBytesMax / pageSize);
  const quarter = Math.max(1, Math.floor(Math.min(Math.floor(managed / 1024), cap) / 4));
  if (!rule.batchBelowPower) return quarter;
  const grown = quarter + Math.floor(quarter / 2);
  return 2 ** Math.floor(Math.log2(grown)) - 1;
}

/** Since 5.14: the zone's low mark, or a fraction of it, shared by the CPUs of the node. */
function lowMarkHigh(input: PagesetInput, batch: number, fraction: number): number {
  const total = fraction === 0 ? input.lowMark : Math.floor(input.managed / fraction);
  return Math.max(Math.floor(total / Math.max(1, input.cpus)), 4 * Math.max(1, batch));
}

/** Up to 5.13: six batches, unless percpu_pagelist_fraction sets it for each CPU by itself. */
function sixBatches(input: PagesetInput, batch: number): PagesetSize {
  if (input.fraction === 0) return { high: 6 * batch, batch: Math.max(1, batch), tunedTo: null };
  const high = Math.floor(input.managed / input.fraction);
  const pageShift = Math.log2(input.pageSize);
  const wanted = Math.max(1, Math.floor(high / 4));
  return { high, batch: Math.min(wanted, pageShift * FRACTION_BATCH_BITS), tunedTo: null };
}
