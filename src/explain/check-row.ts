/**
 * The engine's check, asked about a row of a report: on both of its bounds, with the rules of its
 * kernel, and on changed copies of it.
 *
 * Linux: zone_watermark_fast(), __zone_watermark_ok(), mm/page_alloc.c
 */
import type { WatermarkRule } from "../kernels/watermark.ts";
import { ALLOC_NO_WATERMARKS } from "../mm/gfp-alloc.ts";
import { TYPE_COUNT } from "../mm/rule.ts";
import { Z_BLOCKS, Z_ORDERS_OF, Z_RESERVE, ZONE_WORDS } from "../mm/words.ts";
import { unusableFree, watermarkFast } from "../mm/zone-watermark.ts";
import type { ReportEra } from "./era.ts";
import type { ZoneRow } from "./zone-row.ts";

/** What to leave out of a row, to see whether it decides. */
export type Change = (words: Int32Array) => void;

const ALL_ORDERS = 0xffff;
/** The row under question: each question overwrites it. */
const COPY = new Int32Array(ZONE_WORDS);

/** The engine's answer on both bounds of a row; null where they differ. */
export function asked(
  row: ZoneRow,
  column: number,
  order: number,
  allocFlags: number,
  era: ReportEra,
  anyBlock: boolean,
  change?: Change,
): boolean | null {
  const on = (words: Int32Array): boolean => {
    const own = COPY;
    own.set(words);
    if (anyBlock) {
      for (let type = 0; type < TYPE_COUNT; type++) own[Z_ORDERS_OF + type] = ALL_ORDERS;
    }
    change?.(own);
    const rule: WatermarkRule = anyBlock ? { ...era.marks, watermark: "types" } : era.marks;
    if ((allocFlags & ALLOC_NO_WATERMARKS) !== 0) {
      own.fill(0, Z_RESERVE, Z_BLOCKS);
      const usable = (row.free ?? 0) - unusableFree(own, 0, allocFlags, rule);
      return usable >= 2 ** order && (order === 0 || anyBlock || holdsBlock(own, order));
    }
    if (!watermarkFast(own, 0, order, column, allocFlags, rule)) return false;
    return anyBlock || order === 0 || rule.watermark === "types" || holdsBlock(own, order);
  };
  const worst = on(row.worst);
  if (row.exact) return worst;
  return on(row.best) === worst ? worst : null;
}

/** Some list has a block of `order`. */
function holdsBlock(words: Int32Array, order: number): boolean {
  for (let type = 0; type < TYPE_COUNT; type++) {
    if ((words[Z_ORDERS_OF + type] ?? 0) >> order !== 0) return true;
  }
  return words.subarray(Z_BLOCKS + order, Z_ORDERS_OF).some((count) => count > 0);
}
