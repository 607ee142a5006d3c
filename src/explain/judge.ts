/**
 * The engine's own checks on the rows of a report: zone by zone, what the comparison was, whether it
 * holds, and which single part of it decides.
 *
 * Linux: get_page_from_freelist(), __zone_watermark_ok(), mm/page_alloc.c
 */
import type { MemoryReport, ReportZone } from "../formats/index.ts";
import { gfpZoneIndex } from "../mm/gfp.ts";
import {
  ALLOC_CMA,
  ALLOC_MIN_RESERVE,
  ALLOC_NO_WATERMARKS,
  ALLOC_WMARK_HIGH,
  ALLOC_WMARK_MASK,
} from "../mm/gfp-alloc.ts";
import { Z_BLOCKS, Z_BOOST, Z_FREE_CMA, Z_HIGHATOMIC, Z_RESERVE } from "../mm/words.ts";
import { loweredMark, markOf, unusableFree } from "../mm/zone-watermark.ts";
import { zonelist } from "../mm/zonelist.ts";
import { elsewhere, type Place, wordsOf } from "./answer-words.ts";
import { asked, type Change } from "./check-row.ts";
import type { ReportEra } from "./era.ts";
import type { Factor, ZoneAnswer } from "./finding.ts";
import type { Request } from "./request.ts";
import { layoutsOf, type ZoneLayout } from "./zone-layout.ts";
import { pageKibOf, type ZoneRow, zoneRow } from "./zone-row.ts";

/** A zone's answer with what advice is tried on. */
export interface Judged {
  readonly answer: ZoneAnswer;
  readonly row: ZoneRow;
  readonly index: number;
  /** Serves the request: watermark and block; null: the report does not tell. */
  readonly serves: boolean | null;
  /** The last try before the OOM killer is called asks for the high mark. */
  readonly highOk: boolean | null;
}

export interface Judgement {
  readonly layout: ZoneLayout;
  /** Other layouts fit the report and give another answer. */
  readonly open: readonly ZoneLayout[];
  /** Column of lowmem_reserve. */
  readonly column: number;
  /** Highest zone of the request. */
  readonly highest: string;
  /** In the order in which the zones are asked; then those that are not. */
  readonly zones: readonly Judged[];
  readonly pageKib: number;
  readonly pageSure: boolean;
}

export function judge(report: MemoryReport, request: Request, era: ReportEra): Judgement {
  const [likeliest = [], ...rest] = layoutsOf(report, era);
  const first = judgeIn(report, request, era, likeliest);
  const others = rest.map((layout) => judgeIn(report, request, era, layout));
  const open = others.filter((other) => !sameAnswers(first, other)).map(({ layout }) => layout);
  return { ...first, open };
}

function sameAnswers(a: Judgement, b: Judgement): boolean {
  const words = ({ zones }: Judgement): string =>
    zones.map(({ answer, serves }) => `${answer.name} ${answer.eligible} ${serves}`).join();
  return words(a) === words(b);
}

function judgeIn(
  report: MemoryReport,
  request: Request,
  era: ReportEra,
  layout: ZoneLayout,
): Judgement {
  const { kib: pageKib, sure: pageSure } = pageKibOf(report);
  const highestIndex = gfpZoneIndex(request.bits, layout, era.gfp.zoneRule);
  const indexOf = (zone: ReportZone): number => layout.indexOf(zone.name);
  const populated = report.zones.filter((zone) => managedKib(zone) !== 0);
  const below = populated.map(indexOf).filter((index) => index <= highestIndex);
  const column = era.columnOfPopulated ? Math.max(0, ...below) : highestIndex;
  const nodes = allowedNodes(report, request);
  const eligible = (zone: ReportZone): boolean =>
    indexOf(zone) <= highestIndex && managedKib(zone) !== 0 && nodes(zone.node);
  const order = zonelist(
    [...new Set(report.zones.map(({ node }) => node))],
    report.zones.filter(eligible).map((zone) => ({ node: zone.node, index: indexOf(zone) })),
  );
  const asked = order.flatMap(({ node, index }) =>
    report.zones.filter((zone) => zone.node === node && indexOf(zone) === index),
  );
  const rest = report.zones.filter((zone) => !asked.includes(zone));
  const freeCma = report.counters.get("free_cma")?.value ?? null;
  const zones = [...asked, ...rest].map((zone) => {
    const row = zoneRow(zone, column, pageKib, era, freeCma, layout.length);
    return judgeZone(row, indexOf(zone), column, request, era, {
      eligible: asked.includes(zone),
      highest: layout[highestIndex] ?? "",
      allowed: nodes(zone.node),
    });
  });
  const highest = layout[highestIndex] ?? "";
  return { layout, open: [], column, highest, zones, pageKib, pageSure };
}

function managedKib(zone: ReportZone): number | null {
  return zone.fields.get("managed")?.value ?? zone.fields.get("present")?.value ?? null;
}

/** Nodes that the report's own words leave to the request. */
function allowedNodes(report: MemoryReport, request: Request): (node: number) => boolean {
  const masks: string[] = [];
  if (report.nodemask !== null) masks.push(report.nodemask);
  // Who may not wait is not held by its cpuset.
  if (report.memsAllowed !== null && request.mayWait) masks.push(report.memsAllowed);
  const lists = masks.map(nodeList);
  return (node) => lists.every((list) => list.some(([from, to]) => node >= from && node <= to));
}

function nodeList(text: string): [number, number][] {
  return text.split(",").map((range) => {
    const [from = "0", to = from] = range.split("-");
    return [Number(from), Number(to)];
  });
}

function judgeZone(
  row: ZoneRow,
  index: number,
  column: number,
  request: Request,
  era: ReportEra,
  place: Place,
): Judged {
  const { zone } = row;
  const sums = sumsOf(row, column, request, era);
  const marked = row.min !== null && row.free !== null;
  const test = (order: number, change?: Change, allocFlags = request.allocFlags): boolean | null =>
    marked ? asked(row, column, order, allocFlags, era, false, change) : null;
  const watermarkOk = marked
    ? asked(row, column, request.order, request.allocFlags, era, true)
    : null;
  const serves = test(request.order);
  // Up to 4.3 what is left in each order is one question with the blocks.
  const joined = request.order === 0 || (era.marks.watermark === "orders" && watermarkOk === true);
  const blockOk = joined ? serves : blocksOk(row, column, request, era);
  const factors = watermarkOk === false ? factorsOf(row, column, request, era) : [];
  const high = (request.allocFlags & ~ALLOC_WMARK_MASK & ALLOC_CMA) | ALLOC_WMARK_HIGH;
  const exact = secondChance(sums, row, request, era);
  const { mark, unboosted } = exact;
  const { usable, needs } = watermarkOk === false ? boundsOf(exact, row, request, era) : exact;
  const short = watermarkOk !== false || usable === null || needs === null ? 0 : needs - usable + 1;
  const answer: ZoneAnswer = {
    node: zone.node,
    name: zone.name,
    line: zone.line,
    eligible: place.eligible,
    free: row.free,
    usable,
    needs,
    mark,
    reserve: row.reserve,
    cma: row.cma,
    highatomic: row.highatomic,
    boost: row.boost,
    managed: row.managed,
    low: row.low,
    high: row.high,
    watermarkOk,
    blockOk,
    short: watermarkOk === null ? null : short,
    factors,
    blocks: zone.freeList?.blocks.map(({ count, types }) => ({ count, types })) ?? null,
    because: "",
  };
  const because = place.eligible ? wordsOf(answer, request, unboosted) : elsewhere(answer, place);
  const highOk = row.high === null ? null : test(request.order, undefined, high);
  return { answer: { ...answer, because }, row, index, serves, highOk };
}

/** Whether a block could be had if the watermark did not matter. */
function blocksOk(row: ZoneRow, column: number, request: Request, era: ReportEra): boolean | null {
  const plenty: Change = (words) => {
    words[0] = 2 ** 29;
    words[Z_BOOST] = 0;
    words[Z_FREE_CMA] = 0;
    words[Z_HIGHATOMIC] = 0;
    words.fill(0, Z_RESERVE, Z_BLOCKS);
  };
  return asked(row, column, request.order, request.allocFlags, era, false, plenty);
}

function zeroed(word: number): Change {
  return (words) => {
    words[word] = 0;
  };
}

function factorsOf(row: ZoneRow, column: number, request: Request, era: ReportEra): Factor[] {
  const without: readonly (readonly [Factor, Change])[] = [
    ["reserve", zeroed(Z_RESERVE + column)],
    ["cma", zeroed(Z_FREE_CMA)],
    ["highatomic", zeroed(Z_HIGHATOMIC)],
    ["boost", zeroed(Z_BOOST)],
  ];
  const { order, allocFlags } = request;
  const flips = without
    .filter(([, change]) => asked(row, column, order, allocFlags, era, true, change) === true)
    .map(([factor]) => factor);
  const single = order > 0 && asked(row, column, 0, allocFlags, era, true) === true;
  return single ? [...flips, "order"] : flips;
}

/**
 * Of a zone that refuses whatever the missing numbers are: the most that may be usable, and the least
 * that it must exceed.
 */
function boundsOf(sums: Sums, row: ZoneRow, request: Request, era: ReportEra): Sums {
  const { usable, needs, mark } = sums;
  const held = unusableFree(row.best, 0, request.allocFlags, era.marks);
  const most =
    row.free === null ? null : row.free - era.marks.lessFree - (2 ** request.order - 1) - held;
  return { usable: usable ?? most, needs: needs ?? mark, mark };
}

interface Sums {
  readonly usable: number | null;
  readonly needs: number | null;
  readonly mark: number | null;
}

/** The two sides of the comparison, as the engine computes them. */
function sumsOf(row: ZoneRow, column: number, request: Request, era: ReportEra): Sums {
  const { allocFlags, order } = request;
  const words = row.worst;
  const mark =
    row.min === null
      ? null
      : (allocFlags & ALLOC_NO_WATERMARKS) !== 0
        ? 0
        : loweredMark(markOf(words, 0, allocFlags), allocFlags, era.marks);
  const blind = row.cma === null || (row.highatomic === null && era.highatomic === "printed");
  const held = unusableFree(row.best, 0, allocFlags, era.marks);
  const usable =
    row.free === null || blind ? null : row.free - era.marks.lessFree - (2 ** order - 1) - held;
  const needs =
    mark === null || (row.reserve === null && !memallocOf(request))
      ? null
      : mark + (memallocOf(request) ? 0 : (words[Z_RESERVE + column] ?? 0));
  return { usable, needs, mark };
}

/**
 * An atomic page that fails against the boosted mark is compared once more without the boost (5.9):
 * then that is the comparison that counts. Linux: zone_watermark_fast(), mm/page_alloc.c
 */
function secondChance(
  sums: Sums,
  row: ZoneRow,
  request: Request,
  era: ReportEra,
): Sums & { readonly unboosted: boolean } {
  const { usable, needs, mark } = sums;
  const { allocFlags, order } = request;
  const boost = row.boost ?? 0;
  const atomic = order === 0 && (allocFlags & ALLOC_MIN_RESERVE) !== 0 && !memallocOf(request);
  const known = usable !== null && needs !== null && mark !== null;
  if (!atomic || !era.marks.atomicSkipsBoost || boost === 0 || !known || usable > needs) {
    return { ...sums, unboosted: false };
  }
  const lower = loweredMark(markOf(row.worst, 0, allocFlags) - boost, allocFlags, era.marks);
  return { usable, mark: lower, needs: needs - mark + lower, unboosted: true };
}

function memallocOf({ allocFlags }: Request): boolean {
  return (allocFlags & ALLOC_NO_WATERMARKS) !== 0;
}
