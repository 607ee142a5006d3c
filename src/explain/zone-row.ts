/**
 * A printed zone as a row of counts, which the engine's checks read. What was not printed lies
 * between two bounds: the row that helps the request most and the one that helps it least. Where the
 * checks say the same of both, the missing number does not matter.
 */
import type { MemoryReport, Reading, ReportZone } from "../formats/index.ts";
import { CMA, HIGHATOMIC, ISOLATE, MOVABLE, RECLAIMABLE, UNMOVABLE } from "../mm/rule.ts";
import {
  Z_BLOCKS,
  Z_BOOST,
  Z_FREE,
  Z_FREE_CMA,
  Z_HIGH,
  Z_HIGHATOMIC,
  Z_LOW,
  Z_MIN,
  Z_ORDERS_OF,
  Z_RESERVE,
  ZONE_WORDS,
} from "../mm/words.ts";
import type { ReportEra } from "./era.ts";

export interface ZoneRow {
  readonly zone: ReportZone;
  /** Pages; null: not in the report. */
  readonly free: number | null;
  readonly min: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly managed: number | null;
  readonly boost: number | null;
  /** The boost was not printed but follows from the gaps between the marks. */
  readonly boostInferred: boolean;
  readonly highatomic: number | null;
  readonly cma: number | null;
  readonly reserve: number | null;
  /** Nothing is missing: both bounds are the same. */
  readonly exact: boolean;
  /** Largest bounds for the request, and least. */
  readonly best: Int32Array;
  readonly worst: Int32Array;
}

const LETTERS: Readonly<Record<string, number>> = {
  U: UNMOVABLE,
  M: MOVABLE,
  E: RECLAIMABLE,
  H: HIGHATOMIC,
  C: CMA,
  I: ISOLATE,
};
const WORD_MAX = 2 ** 30;
/** Share of a zone that the highatomic reserve may grow to. Linux: reserve_highatomic_pageblock() */
const HIGHATOMIC_SHARE = 100;
/** A pageblock of 4 KiB pages: the reserve has at least one, if it has any. */
const PAGEBLOCK_PAGES = 1024;

/**
 * Of `zone`, towards a request whose column is `column`. `freeCma` is the whole machine's, in pages:
 * where a row is cut, the zone has no more than that. `columns` are those of lowmem_reserve[].
 */
export function zoneRow(
  zone: ReportZone,
  column: number,
  pageKib: number,
  era: ReportEra,
  freeCma: number | null,
  columns: number,
): ZoneRow {
  const pages = (name: string): number | null => {
    const kib = zone.fields.get(name)?.value;
    return kib === undefined ? null : Math.trunc(kib / pageKib);
  };
  const managed = pages("managed") ?? pages("present");
  const min = pages("min");
  const inferred = hiddenBoost(era, min, pages("low"));
  const boost = era.boost === "printed" ? pages("boost") : era.boost === "none" ? 0 : inferred;
  const highatomic = highatomicOf(zone, era, pages);
  const cma = era.cma ? (pages("free_cma") ?? (freeCma === 0 ? 0 : null)) : 0;
  const whole = zone.protection?.length === columns;
  const reserve = whole ? (zone.protection?.[column]?.value ?? null) : null;
  const known = { free: pages("free"), min, managed, boost, highatomic, cma, reserve };
  const row = (worst: boolean): Int32Array => {
    const words = new Int32Array(ZONE_WORDS);
    const free = known.free ?? 0;
    const most = Math.min(free, hiddenHighatomic(managed));
    const own = clamp(boost ?? 0);
    words[Z_FREE] = clamp(free);
    words[Z_BOOST] = own;
    words[Z_MIN] = clamp((min ?? 0) - own);
    words[Z_LOW] = clamp((pages("low") ?? 0) - own);
    words[Z_HIGH] = clamp((pages("high") ?? 0) - own);
    words[Z_HIGHATOMIC] = clamp(highatomic ?? (worst ? most : 0));
    words[Z_FREE_CMA] = clamp(cma ?? (worst ? Math.min(free, freeCma ?? free) : 0));
    words[Z_RESERVE + column] = clamp(reserve ?? (worst ? WORD_MAX : 0));
    fillLists(words, zone, worst);
    return words;
  };
  const { low, high } = { low: pages("low"), high: pages("high") };
  const boostInferred = era.boost === "hidden" && inferred !== null && inferred > 0;
  const told = highatomic !== null && cma !== null && reserve !== null;
  const exact = told && listTold(zone);
  const worst = row(true);
  const best = exact ? worst : row(false);
  return { zone, ...known, low, high, boostInferred, exact, best, worst };
}

/**
 * The boost that 5.0 to 5.13 hide in the marks. Where the gap between min and low is a quarter of
 * the plain min, what min has beyond four gaps is boost; null where the scale factor rules the gap.
 *
 * Linux: __setup_per_zone_wmarks(), boost_watermark(), mm/page_alloc.c
 */
function hiddenBoost(era: ReportEra, min: number | null, low: number | null): number | null {
  if (era.boost !== "hidden" || min === null || low === null) return null;
  const plain = 4 * (low - min);
  if (plain <= 0 || plain > min) return null;
  const boost = min - plain;
  // Rounding of the four gaps: no boost is that small.
  return boost < 8 ? 0 : boost;
}

function highatomicOf(
  zone: ReportZone,
  era: ReportEra,
  pages: (name: string) => number | null,
): number | null {
  if (era.highatomic === "none") return 0;
  const printed = pages("free_highatomic") ?? pages("reserved_highatomic");
  if (printed !== null) return printed;
  const list = zone.freeList;
  const letters = list?.blocks.some(({ types }) => types !== null) === true;
  const hasH = list?.blocks.some(({ types }) => types?.includes("H") === true) === true;
  // The letter shows the reserve where the field does not.
  return list?.complete === true && letters && !hasH ? 0 : null;
}

function hiddenHighatomic(managed: number | null): number {
  return managed === null
    ? WORD_MAX
    : Math.max(PAGEBLOCK_PAGES, Math.floor(managed / HIGHATOMIC_SHARE));
}

/** The list is whole, and the type of each of its blocks is known. */
function listTold({ freeList }: ReportZone): boolean {
  if (freeList?.complete !== true) return false;
  return freeList.blocks.every(({ count, types }) => count === 0 || types !== null);
}

function fillLists(words: Int32Array, zone: ReportZone, worst: boolean): void {
  const list = zone.freeList;
  for (const { order, count, types } of list?.blocks ?? []) {
    if (order >= 16) break;
    words[Z_BLOCKS + order] = clamp(count);
    if (count === 0) continue;
    if (types === null) {
      // Of a block without a letter nobody knows the type.
      if (!worst) words[Z_ORDERS_OF + MOVABLE] = (words[Z_ORDERS_OF + MOVABLE] ?? 0) | (1 << order);
      continue;
    }
    for (const letter of types) {
      const type = LETTERS[letter];
      if (type === undefined) continue;
      words[Z_ORDERS_OF + type] = (words[Z_ORDERS_OF + type] ?? 0) | (1 << order);
    }
  }
  // Behind the cut there may be blocks of any order.
  if (list?.complete !== true && !worst) words[Z_ORDERS_OF + MOVABLE] = 0xffff;
}

function clamp(pages: number): number {
  return Math.min(WORD_MAX, Math.max(-WORD_MAX, pages));
}

/** KiB of a page: of the free lists, or of the one count that is printed in both units; else 4. */
export function pageKibOf(report: MemoryReport): { readonly kib: number; readonly sure: boolean } {
  if (report.pageKib !== null) return { kib: report.pageKib, sure: true };
  const pages = report.counters.get("free")?.value ?? 0;
  const kib = report.zones.reduce((sum, zone) => sum + kibOf(zone.fields.get("free")), 0);
  const guess = pages === 0 ? 4 : 2 ** Math.round(Math.log2(kib / pages));
  return guess >= 4 && guess <= 256 ? { kib: guess, sure: pages !== 0 } : { kib: 4, sure: false };
}

function kibOf(reading: Reading | undefined): number {
  return reading?.value ?? 0;
}
