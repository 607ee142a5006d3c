/**
 * How the watermark check compares, by release: one rule for the allocator, for headroom and for
 * what failure reports are judged by.
 *
 * Linux: __zone_watermark_ok(), zone_watermark_fast(), mm/page_alloc.c
 */
import { versionRank } from "./gfp.ts";
import { allocRuleOf } from "./gfp-alloc.ts";

/** How marks are lowered and blocks are looked for. */
export interface WatermarkRule {
  /** ALLOC_HARDER lowers the mark by itself, not only below ALLOC_HIGH's half. */
  readonly harderAlone: boolean;
  /**
   * "types": some list has a block (4.4); "orders": each order's share must be left (2.6.11); "sum":
   * whether there is a block is for the free lists to say. Read in 2.6.9, 2.6.11.
   */
  readonly watermark: "types" | "orders" | "sum";
  /** Pages that the check takes off too many: a sign slipped in 2.6.38, and was mended in 3.3. */
  readonly lessFree: number;
  /** Single pages of GFP_ATOMIC are measured without the boost (5.9). */
  readonly atomicSkipsBoost: boolean;
}

/** The rule of a kernel `version` such as "2.6.39" or "6.1.176"; null where none is known. */
export function watermarkRuleOf(version: string): WatermarkRule | null {
  const alloc = allocRuleOf(version);
  const rank = versionRank(version);
  if (alloc === null || rank === null) return null;
  const since = (release: string): boolean => rank >= (versionRank(release) ?? 0);
  return {
    harderAlone: alloc.harderBy !== "no-direct-reclaim",
    watermark: blocksBy(since),
    lessFree: since("2.6.38") && !since("3.3") ? 2 : 0,
    atomicSkipsBoost: since("5.9"),
  };
}

function blocksBy(since: (release: string) => boolean): WatermarkRule["watermark"] {
  if (since("4.4")) return "types";
  return since("2.6.11") ? "orders" : "sum";
}
