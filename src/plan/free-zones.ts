/**
 * A printed zone as the allocator's checks read it: words and free blocks by mobility. Twice: with the
 * bounds of what is not printed that help a request most, and least.
 *
 * Linux: zoneinfo_show_print(), pagetypeinfo_show_free(), mm/vmstat.c
 */
import type { Capture } from "../formats/capture.ts";
import type { PagetypeFree, Pagetypeinfo } from "../formats/pagetypeinfo.ts";
import type { ZoneinfoZone } from "../formats/zoneinfo.ts";
import { type Blocks, pagesIn } from "../mm/fragmentation.ts";
import type { FreeZone } from "../mm/headroom.ts";
import { CMA, HIGHATOMIC, MOVABLE, TYPE_COUNT, TYPE_NAMES } from "../mm/rule.ts";
import {
  Z_BOOST,
  Z_FREE,
  Z_FREE_CMA,
  Z_HIGH,
  Z_HIGHATOMIC,
  Z_LOW,
  Z_MIN,
  Z_RESERVE,
  ZONE_WORDS,
} from "../mm/words.ts";

/** The reserve grows to a hundredth of a zone, by pageblocks. Linux: reserve_highatomic_pageblock() */
const HIGHATOMIC_SHARE = 100;
const PAGEBLOCK_PAGES = 512;
const RESERVE_COLUMNS = 8;
/** What a word of the image holds. */
const WORD_MAX = 2 ** 31 - 1;

export interface FreePair {
  readonly zone: ZoneinfoZone;
  readonly best: FreeZone;
  readonly worst: FreeZone;
}

/** Zones with memory that buddyinfo prints. */
export function freeZones(capture: Capture, names: readonly string[]): FreePair[] {
  const { zoneinfo, buddyinfo, pagetypeinfo } = capture;
  return (zoneinfo?.zones ?? []).flatMap((zone): FreePair[] => {
    const blocks = buddyinfo?.zones.find(
      ({ node, name }) => node === zone.node && name === zone.name,
    );
    if (blocks === undefined || zone.present === 0 || !names.includes(zone.name)) return [];
    const typed = pagetypeinfo === null ? null : blocksByType(pagetypeinfo, zone, blocks.free);
    if (typed !== null) {
      const reserve = highatomicPages(pagetypeinfo, zone);
      const own = { words: wordsOf(zone, reserve), blocks: typed };
      return [{ zone, best: own, worst: own }];
    }
    const hidden = Math.max(PAGEBLOCK_PAGES, Math.floor(zone.present / HIGHATOMIC_SHARE));
    const most = Math.min(zone.free, hidden);
    const cma = zone.counters.get("nr_free_cma") ?? 0;
    return [
      {
        zone,
        best: { words: wordsOf(zone, 0), blocks: split(blocks.free, cma, 0, smallest) },
        worst: { words: wordsOf(zone, most), blocks: split(blocks.free, cma, most, largest) },
      },
    ];
  });
}

function wordsOf(zone: ZoneinfoZone, highatomic: number): Int32Array {
  const words = new Int32Array(ZONE_WORDS);
  const put = (word: number, pages: number): void => {
    words[word] = Math.max(-WORD_MAX, Math.min(WORD_MAX, pages));
  };
  const boost = zone.boost ?? 0;
  put(Z_FREE, zone.free);
  put(Z_BOOST, boost);
  // What is printed has the boost in it.
  put(Z_MIN, zone.min - boost);
  put(Z_LOW, zone.low - boost);
  put(Z_HIGH, zone.high - boost);
  put(Z_HIGHATOMIC, highatomic);
  put(Z_FREE_CMA, zone.counters.get("nr_free_cma") ?? 0);
  for (const [index, pages] of zone.protection.slice(0, RESERVE_COLUMNS).entries()) {
    put(Z_RESERVE + index, pages);
  }
  return words;
}

/** Blocks by the engine's numbers of types; null where the zone is not printed. */
function blocksByType(info: Pagetypeinfo, zone: ZoneinfoZone, free: Blocks): Blocks[] | null {
  const rows = info.free.filter((row) => row.node === zone.node && row.zone === zone.name);
  if (rows.length === 0) return null;
  const typed: Blocks[] = Array.from({ length: TYPE_COUNT }, () => []);
  for (const row of rows) {
    const type = TYPE_NAMES.indexOf(row.type);
    if (type !== -1) typed[type] = row.blocks.map((count, order) => count + uncounted(order, row));
  }
  return typed;

  /** Counting stops at 100000 blocks of a list; what buddyinfo has beyond all lists is such a list's. */
  function uncounted(order: number, { capped }: PagetypeFree): number {
    if (!capped.includes(order)) return 0;
    const all = rows.reduce((sum, row) => sum + (row.blocks[order] ?? 0), 0);
    const stopped = rows.filter((row) => row.capped.includes(order)).length;
    return Math.floor(Math.max(0, (free[order] ?? 0) - all) / stopped);
  }
}

/** Pages of the pageblocks in the highatomic reserve, free or not: nr_reserved_highatomic. */
function highatomicPages(info: Pagetypeinfo | null, zone: ZoneinfoZone): number {
  const row = info?.blocks.find((own) => own.node === zone.node && own.zone === zone.name);
  return (row?.counts.get("HighAtomic") ?? 0) * (info?.pagesPerBlock ?? PAGEBLOCK_PAGES);
}

type Choose = (free: Blocks, pages: number) => number[];

/** All blocks as movable ones, but for pages of CMA and of the reserve, which `choose` takes. */
function split(free: Blocks, cmaPages: number, reserve: number, choose: Choose): Blocks[] {
  const typed: Blocks[] = Array.from({ length: TYPE_COUNT }, () => []);
  const take = (from: Blocks, type: number, pages: number): Blocks => {
    const own = choose(from, Math.min(pages, pagesIn(from)));
    typed[type] = own;
    return from.map((count, order) => count - (own[order] ?? 0));
  };
  typed[MOVABLE] = take(take(free, CMA, cmaPages), HIGHATOMIC, reserve);
  return typed;
}

function smallest(free: Blocks, pages: number): number[] {
  return taken(free, pages, [...free.keys()]);
}

function largest(free: Blocks, pages: number): number[] {
  return taken(free, pages, [...free.keys()].reverse());
}

/** Whole blocks of at most `pages` in all, in the order of `orders`. */
function taken(free: Blocks, pages: number, orders: readonly number[]): number[] {
  const own = free.map(() => 0);
  let left = pages;
  for (const order of orders) {
    const count = Math.min(free[order] ?? 0, Math.floor(left / 2 ** order));
    own[order] = count;
    left -= count * 2 ** order;
  }
  return own;
}
