/**
 * Why a request is refused: for every zone and every pass, the check that said
 * no and its numbers. Asks what `allocPages` asks, with the same functions over
 * the same words, and takes nothing.
 *
 *   pass       flags                                         who gets there
 *   zonelist   -                                             zones that are never asked
 *   low        low mark                                      everybody, the first time
 *   min        min mark, and the request's right below it    the slow path
 *   reserves   no mark, or the OOM victim's                  requests that free memory
 *   drained    as min, with per-CPU lists given back; and     requests that may wait
 *              again for each pageblock of the highatomic
 *              reserve that is given back
 *
 *   R1  `allocPages` refuses exactly when every verdict does
 *
 * Linux: get_page_from_freelist(), __alloc_pages_slowpath(), mm/page_alloc.c
 */
import { assert } from "../base/assert.ts";
import { assertOrder } from "./arguments.ts";
import { drainAllPages } from "./drain-all.ts";
import {
  ALLOC_CMA,
  ALLOC_HIGHATOMIC,
  ALLOC_KSWAPD,
  ALLOC_NO_WATERMARKS,
  ALLOC_NOFRAGMENT,
  ALLOC_NON_BLOCK,
  ALLOC_OOM,
  ALLOC_WMARK_LOW,
  allocFlagsSlow,
  reserveFlags,
} from "./gfp-alloc.ts";
import { unreserveHighatomic } from "./highatomic.ts";
import { restore, snapshot } from "./image.ts";
import {
  type Memory,
  P_COUNT,
  PCP_LISTS,
  PCP_WORDS,
  requestOf,
  Z_BOOST,
  Z_FREE,
  Z_FREE_CMA,
  Z_INDEX,
  Z_NODE,
  Z_ORDERS_OF,
  Z_PRESENT,
  Z_RESERVE,
  ZONE_WORDS,
} from "./memory.ts";
import {
  type FragmentedFinding,
  type RefusalPass,
  type WatermarkFinding,
  type WatermarkTerm,
  wordsFor,
  type ZoneFinding,
  type ZoneVerdict,
} from "./refusal-words.ts";
import { HIGHATOMIC, MOVABLE, PCP_TYPES, TYPE_COUNT, TYPE_NAMES } from "./rule.ts";
import { loweredMark, markOf, unusableFree, watermarkFast } from "./zone-watermark.ts";

/** What one request is to all zones. */
interface Request {
  readonly order: number;
  readonly type: number;
  readonly highest: number;
  /** Where its zonelist begins. */
  readonly list: number;
}

/**
 * What each zone says to a request of `gfp` and `order` from the current CPU, in
 * the order in which it is asked, zones that are never asked first. After the
 * first verdict that does not refuse there are no more. `m` is the same
 * afterwards; where the request may wait, a copy of its image is made, so this
 * is no call for a hot path. Asserts the order.
 *
 * Linux: get_page_from_freelist(), mm/page_alloc.c
 */
export function explainRefusal(m: Memory, gfp: number, order: number): ZoneVerdict[] {
  assertOrder(m, order);
  const word = requestOf(m, gfp);
  const request = { order, type: word & 0xf, highest: (word >> 4) & 0xf, list: word >> 8 };
  const { era, rule, direct, kswapd } = m.gfp;
  const verdicts = unlisted(m, request);
  let fast = ALLOC_WMARK_LOW | m.zonelist[request.list];
  if ((gfp & kswapd) !== 0) fast |= ALLOC_KSWAPD;
  if (m.cma && request.type === MOVABLE) fast |= ALLOC_CMA;
  if (walk(m, request, "low", fast, verdicts)) return verdicts;
  let slow = allocFlagsSlow(gfp, era, rule, { order, cma: m.cma });
  // Up to 6.2 trying harder was by itself the right to HighAtomic blocks.
  const harder = order > 0 && rule.highatomicBy === "no-flag" && (slow & ALLOC_NON_BLOCK) !== 0;
  if (harder && m.rule.highatomic) slow |= ALLOC_HIGHATOMIC;
  if (walk(m, request, "min", slow, verdicts)) return verdicts;
  const reserves = reserveFlags(gfp, era, {});
  const kept = slow & (ALLOC_KSWAPD | ALLOC_CMA);
  if (reserves !== 0 && walk(m, request, "reserves", kept | reserves, verdicts)) return verdicts;
  if ((gfp & direct) !== 0 && hasStock(m, request.list)) walkDrained(m, request, slow, verdicts);
  return verdicts;
}

/** Zones that are not in the request's zonelist. */
function unlisted(m: Memory, { list, highest }: Request): ZoneVerdict[] {
  const own = m.nodes[m.cpuPlace[m.cpu]] ?? 0;
  const listed = [...zonesOf(m, list)];
  return m.names.flatMap((_, zone) => {
    if (listed.includes(zone)) return [];
    const at = zone * ZONE_WORDS;
    const above = m.zone[at + Z_INDEX] > highest;
    const empty = m.zone[at + Z_PRESENT] === 0;
    const finding: ZoneFinding = above
      ? { kind: "above-highest", highest: m.zoneNames[highest] }
      : empty
        ? { kind: "empty" }
        : { kind: "other-node", node: own };
    return [verdictOf(m, "zonelist", zone, finding, false)];
  });
}

function* zonesOf(m: Memory, list: number): Generator<number> {
  for (let i = list + 1; m.zonelist[i] >= 0; i++) yield m.zonelist[i];
}

/** One pass. Returns whether a zone serves. Linux: get_page_from_freelist() */
function walk(
  m: Memory,
  request: Request,
  pass: RefusalPass,
  allocFlags: number,
  verdicts: ZoneVerdict[],
): boolean {
  const noFragment = (allocFlags & ALLOC_NOFRAGMENT) !== 0;
  let local = -1;
  for (const zone of zonesOf(m, request.list)) {
    const node = m.zone[zone * ZONE_WORDS + Z_NODE];
    if (local < 0) local = node;
    if (noFragment && node !== local) break;
    const finding = judge(m, zone, request, allocFlags);
    verdicts.push(verdictOf(m, pass, zone, finding, noFragment, request.order));
    if (finding.kind === "served") return true;
  }
  if (!noFragment) return false;
  return walk(m, request, pass, allocFlags & ~ALLOC_NOFRAGMENT, verdicts);
}

/** Whether draining could change anything: pages in stock, or a highatomic list with blocks. */
function hasStock(m: Memory, list: number): boolean {
  for (let set = 0; set < m.zoneCount * m.cpuCount; set++) {
    if (m.pcp[set * PCP_WORDS + P_COUNT] > 0) return true;
  }
  for (const zone of zonesOf(m, list)) {
    if (m.zone[zone * ZONE_WORDS + Z_ORDERS_OF + HIGHATOMIC] !== 0) return true;
  }
  return false;
}

/** The last pass, tried on the memory itself, which is put back. */
function walkDrained(
  m: Memory,
  request: Request,
  allocFlags: number,
  verdicts: ZoneVerdict[],
): void {
  const { events } = m;
  const saved = snapshot(m.image);
  m.events = null;
  drainAllPages(m);
  const { list, type } = request;
  while (!walk(m, request, "drained", allocFlags, verdicts)) {
    if (!m.rule.highatomic || !unreserveHighatomic(m, list, type, true)) break;
  }
  const trouble = restore(m.image, saved);
  assert(trouble === null, "an image does not take its own snapshot");
  m.events = events;
}

/** What one zone says in one pass. */
function judge(m: Memory, zone: number, request: Request, allocFlags: number): ZoneFinding {
  const at = zone * ZONE_WORDS;
  const { order, highest } = request;
  if (
    (allocFlags & ALLOC_NO_WATERMARKS) === 0 &&
    !watermarkFast(m.zone, at, order, highest, allocFlags, m.marks)
  ) {
    return belowMark(m, zone, request, allocFlags);
  }
  if (hasBlockFor(m, zone, request, allocFlags)) return { kind: "served" };
  return fragmented(m, zone, order, false);
}

/** The check that failed, taken apart. Linux: __zone_watermark_ok(), mm/page_alloc.c */
function belowMark(
  m: Memory,
  zone: number,
  { order, highest }: Request,
  allocFlags: number,
): WatermarkFinding | FragmentedFinding {
  const row = m.zone;
  const at = zone * ZONE_WORDS;
  const free = row[at + Z_FREE];
  const unusable = unusableFree(row, at, allocFlags, m.marks);
  const usable = free - ((1 << order) - 1) - unusable - m.marks.lessFree;
  const whole = markOf(row, at, allocFlags);
  const mark = loweredMark(whole, allocFlags, m.marks);
  const reserve = row[at + Z_RESERVE + highest];
  if (usable > mark + reserve) return fragmented(m, zone, order, m.marks.watermark === "orders");
  const cma = (allocFlags & ALLOC_CMA) === 0 ? row[at + Z_FREE_CMA] : 0;
  const highatomic = unusable - cma;
  const boost = row[at + Z_BOOST];
  const unboosted = loweredMark(whole - boost, allocFlags, m.marks);
  let term: WatermarkTerm = "mark";
  if (usable > mark) term = "reserve";
  else if (usable + highatomic > mark + reserve) term = "highatomic";
  else if (usable + cma > mark + reserve) term = "cma";
  else if (usable > unboosted + reserve) term = "boost";
  const needs = mark + reserve;
  return { kind: "watermark", free, usable, needs, mark, boost, reserve, highatomic, cma, term };
}

function fragmented(m: Memory, zone: number, order: number, byOrders: boolean): FragmentedFinding {
  const blocks: { type: string; orders: number[] }[] = [];
  let largest = -1;
  for (let type = 0; type < TYPE_COUNT; type++) {
    const bits = m.zone[zone * ZONE_WORDS + Z_ORDERS_OF + type];
    const orders = Array.from({ length: m.maxOrder + 1 }, (_, o) => o).filter(
      (o) => bits & (1 << o),
    );
    if (orders.length === 0) continue;
    blocks.push({ type: TYPE_NAMES[type] ?? "", orders });
    largest = Math.max(largest, orders.at(-1) ?? -1);
  }
  const why = byOrders ? "orders" : largest < order ? "none" : "not-yours";
  return { kind: "fragmented", free: m.zone[zone * ZONE_WORDS + Z_FREE], why, blocks };
}

/** Whether a list that this pass may take from has a block. Linux: rmqueue(), mm/page_alloc.c */
function hasBlockFor(m: Memory, zone: number, request: Request, allocFlags: number): boolean {
  const { order, type } = request;
  const lists = zone * ZONE_WORDS + Z_ORDERS_OF;
  const has = (own: number, least: number): boolean => m.zone[lists + own] >> least !== 0;
  const list = m.pcpListOf[order * 8 + type];
  const lent = m.cma && m.rule.pcpMixesCma && type === MOVABLE && (allocFlags & ALLOC_CMA) === 0;
  if (list >= 0 && !lent) {
    const head = m.pcpHeads + (zone * m.cpuCount + m.cpu) * PCP_LISTS + list;
    if (m.next[head] !== head) return true;
    if (m.rule.pcpOnly) return hasOwnOrOther(m, zone, request, allocFlags);
  }
  const highatomic = (allocFlags & ALLOC_HIGHATOMIC) !== 0;
  const lastResort = (allocFlags & (ALLOC_OOM | ALLOC_NON_BLOCK)) !== 0 && !m.marks.harderAlone;
  if ((highatomic || lastResort) && has(HIGHATOMIC, order)) return true;
  return hasOwnOrOther(m, zone, request, allocFlags);
}

/** The same without reserves. Linux: __rmqueue() */
function hasOwnOrOther(m: Memory, zone: number, request: Request, allocFlags: number): boolean {
  const { order, type } = request;
  const lists = zone * ZONE_WORDS + Z_ORDERS_OF;
  const has = (own: number, least: number): boolean => m.zone[lists + own] >> least !== 0;
  if (has(type, order)) return true;
  if (m.rule.fallback === "none") return false;
  const whole = (allocFlags & ALLOC_NOFRAGMENT) !== 0;
  const least = whole ? Math.max(order, m.pageblockOrder) : order;
  for (let other = 0; other < PCP_TYPES; other++) if (has(other, least)) return true;
  return false;
}

function verdictOf(
  m: Memory,
  pass: RefusalPass,
  zone: number,
  finding: ZoneFinding,
  noFragment: boolean,
  order = 0,
): ZoneVerdict {
  const node = m.zone[zone * ZONE_WORDS + Z_NODE];
  const name = m.names[zone];
  const label = m.nodes.length > 1 ? `Node ${node} ${name}` : name;
  const refused = finding.kind !== "served";
  const text = `${label} ${refused ? "skipped" : "serves"}: ${wordsFor(finding, order)}`;
  return { pass, noFragment, zone, node, name, refused, finding, text };
}
