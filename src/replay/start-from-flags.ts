/**
 * The snapshot of a machine whose kernel does not tell its lists: which pages
 * are free comes from kpageflags, how they are queued from sums.
 *
 *   kpageflags    free pages, hence the blocks; what the others are used for
 *   pagetypeinfo  pageblocks by type, free blocks by type and order
 *   buddyinfo     blocks by order, to check the above
 *   zoneinfo      zones, marks, sizes of pagesets
 *
 * Unknown, and said to be so by `exact: false`: the order within the lists
 * (ascending here, as a boot queues them), and partly which pages wait on
 * per-CPU lists, see guess-stock.ts.
 *
 * Linux: stable_page_flags(), fs/proc/page.c; pagetypeinfo_show(), mm/vmstat.c
 */
import type { Issue, Outcome } from "../base/issue.ts";
import { clip, type Range, rangeList, totalLength } from "../base/range.ts";
import { type Buddyinfo, buddyinfoReader } from "../formats/buddyinfo.ts";
import { type Pagetypeinfo, pagetypeinfoReader } from "../formats/pagetypeinfo.ts";
import { readText } from "../formats/reader.ts";
import { kpageflagsReader, type SnapRun } from "../formats/snap-pages.ts";
import type { ZoneinfoZone } from "../formats/zoneinfo.ts";
import { zoneinfoReader } from "../formats/zoneinfo-reader.ts";
import { PCP_HUGE_LIST } from "../mm/words.ts";
import { findArea } from "./find-area.ts";
import { blockUses, countOrders, type FreeBlock, freeBlocks } from "./free-blocks.ts";
import { LRU_CLASSES, placed, runsOf } from "./from-snapshot.ts";
import { guessStock } from "./guess-stock.ts";
import { matchLists, pageblockTypes } from "./pageblock-types.ts";
import type { ListSnapshot, SnapCounters, SnapFreeList, SnapStock, SnapZone } from "./snapshot.ts";

/** Texts of the files, of one moment as far as possible. */
export interface FlagTexts {
  readonly kpageflags: string;
  readonly zoneinfo: string;
  readonly pagetypeinfo: string;
  readonly buddyinfo: string | null;
}

const PAGE_BYTES = 4096;
const MEND = "take the snapshot again";

/** What all zones share. */
interface Whole {
  readonly runs: readonly SnapRun[];
  readonly free: readonly Range[];
  readonly sums: Pagetypeinfo;
  readonly buddyinfo: Buddyinfo | null;
  readonly pageblockOrder: number;
  readonly maxOrder: number;
  /** CMA areas that the boot log names, in pfns. */
  readonly areas: readonly Range[];
  /** By number of the pageblock; one that two zones share is the first one's. */
  readonly types: Map<number, number>;
  readonly issues: Issue[];
}

/**
 * `cma` are the areas that the boot log names, in bytes. Null, with errors, when the files cannot
 * be read whole; a warning where the blocks found are not those that the sums tell.
 */
export function flagsSnapshot(
  texts: FlagTexts,
  cma: readonly Range[],
): Outcome<ListSnapshot | null> {
  const flags = readText(kpageflagsReader(), texts.kpageflags);
  const zoneinfo = readText(zoneinfoReader(), texts.zoneinfo);
  const sums = readText(pagetypeinfoReader(), texts.pagetypeinfo);
  const buddyinfo = texts.buddyinfo === null ? null : readText(buddyinfoReader(), texts.buddyinfo);
  const issues = [
    ...placed("snap/kpageflags.rle", flags.issues),
    ...placed("snap/zoneinfo", zoneinfo.issues),
    ...placed("snap/pagetypeinfo", sums.issues),
    ...placed("snap/buddyinfo", buddyinfo?.issues ?? []),
  ];
  const { pageblockOrder, free } = sums.value;
  if (pageblockOrder === null || free.length === 0) {
    const message = "it does not tell how many free blocks each type has";
    issues.push({ severity: "error", source: "snap/pagetypeinfo", message, mend: MEND });
  }
  if (pageblockOrder === null || issues.some(({ severity }) => severity === "error")) {
    return { value: null, issues };
  }
  const whole: Whole = {
    runs: flags.value,
    free: rangeList(flags.value.filter((run) => run.class === "buddy")),
    sums: sums.value,
    buddyinfo: buddyinfo?.value ?? null,
    pageblockOrder,
    maxOrder: Math.max(...free.map(({ blocks }) => blocks.length)) - 1,
    areas: rangeList(
      cma.map(({ start, end }) => ({ start: start / PAGE_BYTES, end: end / PAGE_BYTES })),
    ),
    types: new Map(),
    issues,
  };
  const zones = numbered(zoneinfo.value.zones).filter(({ zone }) => zone.spanned > 0);
  const lists = zones.flatMap((own) => zoneLists(whole, own));
  const stocks = zones.map((own) => zoneStock(whole, own));
  const value: ListSnapshot = {
    exact: false,
    pageblockOrder,
    maxOrder: whole.maxOrder,
    zones: zones.map((own) => snapZone(whole, own)),
    free: lists,
    pcp: stocks.flatMap(({ pcp }) => pcp),
    counters: stocks.flatMap(({ counters }) => counters),
    blocks: [...whole.types].map(([block, type]) => ({
      pfn: block * 2 ** pageblockOrder,
      types: [type],
    })),
    movable: runsOf(flags.value, LRU_CLASSES),
    unmanaged: null,
  };
  return { value, issues };
}

interface NumberedZone {
  readonly zone: ZoneinfoZone;
  readonly index: number;
}

/** Zones in the order of zoneinfo, which prints each node's from its first on. */
function numbered(zones: readonly ZoneinfoZone[]): NumberedZone[] {
  const next = new Map<number, number>();
  return zones.map((zone) => {
    const index = next.get(zone.node) ?? 0;
    next.set(zone.node, index + 1);
    return { zone, index };
  });
}

const rangeOf = ({ startPfn, spanned }: ZoneinfoZone): Range => ({
  start: startPfn ?? 0,
  end: (startPfn ?? 0) + spanned,
});

/** What pagetypeinfo tells of a zone; rows are in the order of the kernel's numbers. */
interface ZoneSums {
  readonly names: readonly string[];
  readonly blocks: readonly number[];
  readonly free: readonly (readonly number[])[];
}

function sumsOf({ sums }: Whole, { node, name }: ZoneinfoZone): ZoneSums {
  const rows = sums.free.filter((row) => row.node === node && row.zone === name);
  const counts = sums.blocks.find((row) => row.node === node && row.zone === name)?.counts;
  return {
    names: rows.map(({ type }) => type),
    blocks: rows.map(({ type }) => counts?.get(type) ?? 0),
    free: rows.map(({ blocks }) => blocks),
  };
}

function snapZone(whole: Whole, { zone, index }: NumberedZone): SnapZone {
  const { node, name, min, low, high, spanned, managed, present } = zone;
  // What is printed has the boost in it. Linux: wmark_pages()
  const boost = zone.boost ?? 0;
  const { names, blocks } = sumsOf(whole, zone);
  return {
    node,
    index,
    name,
    startPfn: zone.startPfn ?? 0,
    spanned,
    managed: managed ?? present,
    min: min - boost,
    low: low - boost,
    high: high - boost,
    promo: (zone.promo ?? 2 * high - low) - boost,
    boost,
    highatomic: (blocks[names.indexOf("HighAtomic")] ?? 0) * 2 ** whole.pageblockOrder,
    pagesetHigh: zone.pagesets[0]?.high ?? 0,
  };
}

/** Per-CPU lists with as many pages as zoneinfo counts, after `zoneLists` has found the types. */
function zoneStock(
  whole: Whole,
  { zone, index }: NumberedZone,
): { readonly pcp: SnapStock[]; readonly counters: SnapCounters[] } {
  const { pageblockOrder, types } = whole;
  const place = { zone: rangeOf(zone), pageblockOrder, types };
  const counts = zone.pagesets.map(({ count }) => count);
  const stocks = guessStock(whole.runs, place, counts);
  const pcp: SnapStock[] = [];
  const counters = zone.pagesets.map(({ cpu, high, batch }, i): SnapCounters => {
    let count = 0;
    for (const { list, pfns } of stocks[i]) {
      pcp.push({ node: zone.node, index, cpu, list, pfns });
      count += list < PCP_HUGE_LIST ? pfns.length : pfns.length * 2 ** pageblockOrder;
    }
    const tuned = { allocFactor: null, highMin: null, highMax: null };
    return { node: zone.node, index, cpu, count, high, batch, factor: 0, ...tuned };
  });
  return { pcp, counters };
}

function zoneLists(whole: Whole, { zone, index }: NumberedZone): SnapFreeList[] {
  const { pageblockOrder, maxOrder, types } = whole;
  const range = rangeOf(zone);
  const sums = sumsOf(whole, zone);
  const areas = areasIn(whole, range, sums);
  const cuts = areas.flatMap(({ start, end }) => [start, end]);
  const blocks = freeBlocks(whole.free, range, cuts, maxOrder);
  reportCounts(whole, zone, blocks);
  const size = 2 ** pageblockOrder;
  const cma = sums.names.indexOf("CMA");
  for (const area of areas) {
    for (let pfn = area.start; pfn < area.end; pfn += size) types.set(Math.floor(pfn / size), cma);
  }
  const waiting = zone.pagesets.reduce((sum, { count }) => sum + count, 0);
  const uses = blockUses(whole.runs, range, pageblockOrder, waiting).filter(
    ({ block }) => !types.has(block),
  );
  const rest = blocks.filter(({ pfn }) => !types.has(Math.floor(pfn / size)));
  const left = {
    blocks: sums.blocks.map((count, type) => (type === cma ? 0 : count)),
    free: sums.free.map((row, type) => (type === cma ? row.map(() => 0) : row)),
  };
  for (const [block, type] of pageblockTypes(uses, rest, left, pageblockOrder)) {
    types.set(block, type);
  }
  const typeOf = ({ pfn }: FreeBlock): number => types.get(Math.floor(pfn / size)) ?? 0;
  const lists = matchLists(blocks, typeOf, sums.free);
  return lists.flatMap((orders, type) =>
    orders.map((pfns, order) => ({ node: zone.node, index, order, type, pfns })),
  );
}

/** CMA areas of a zone: the log's, or where the sums say they can be. */
function areasIn(whole: Whole, range: Range, { names, blocks, free }: ZoneSums): Range[] {
  const cma = names.indexOf("CMA");
  const pages = (blocks[cma] ?? 0) * 2 ** whole.pageblockOrder;
  if (pages === 0) return [];
  const told = clip(whole.areas, range.start, range.end);
  if (totalLength(told) === pages) return told;
  const found = findArea(whole.free, range, pages, free[cma] ?? [], whole.pageblockOrder);
  const message = "where the CMA areas lie is not told; taken for where their free blocks fit";
  whole.issues.push({ severity: "warning", message, mend: "add the boot log" });
  return [found];
}

/** Blocks that are not as many as buddyinfo counts: the files are of different moments. */
function reportCounts(whole: Whole, zone: ZoneinfoZone, blocks: readonly FreeBlock[]): void {
  const told = whole.buddyinfo?.zones.find((z) => z.node === zone.node && z.name === zone.name);
  if (told === undefined) return;
  const counts = countOrders(blocks, whole.maxOrder);
  const off = counts.filter((count, order) => count !== (told.free[order] ?? 0)).length;
  if (off === 0) return;
  const message = `zone ${zone.name} of node ${zone.node}: the free blocks of ${off} orders are not as many as buddyinfo counts`;
  whole.issues.push({ severity: "warning", source: "snap/kpageflags.rle", message, mend: MEND });
}
