/**
 * The first difference of a blind run, with what was on both sides at that
 * moment: the list that served us, where the recorded page lay in our memory,
 * and what each zone said to the request.
 */

import { parseGfp } from "../mm/gfp-text.ts";
import {
  EXTENT,
  FREE,
  KIND_MASK,
  type Memory,
  ORDER_MASK,
  PCP,
  PCP_LISTS,
  pfnOf,
  rowOf,
  zoneOf,
} from "../mm/memory.ts";
import { explainRefusal } from "../mm/refusal.ts";
import { TYPE_NAMES } from "../mm/rule.ts";
import { listOf } from "./compare.ts";
import type { ReplayEvent } from "./event.ts";
import type { Miss } from "./score.ts";
import type { StartState } from "./start-state.ts";
import { stockList, stockOrder } from "./surgery.ts";

export interface Divergence {
  /** 1-based line of the trace, and mm_page_alloc events before it. */
  readonly line: number;
  readonly allocations: number;
  readonly kind: Miss["kind"];
  readonly ours: string;
  readonly theirs: string;
  /** What each zone said to the request, as explainRefusal words it; empty for other kinds. */
  readonly path: readonly string[];
  /** The request's list in the zone that served: name, and its first pages, head first. */
  readonly list: { readonly name: string; readonly pages: readonly string[] } | null;
  /** Where the recorded page lay in our memory. */
  readonly recorded: string | null;
  /** One sentence: what differs. */
  readonly differs: string;
}

const PAGES_SHOWN = 8;

const hex = (pfn: number): string => `0x${pfn.toString(16)}`;

/** Looks around in `state`, which was replayed up to the miss. */
export function divergenceOf(state: StartState, miss: Miss): Divergence {
  const { event, kind, ours, theirs, allocations } = miss;
  const base = { line: event.line, allocations, kind, ours, theirs };
  if (kind !== "page") {
    const recorded = kind === "drain" ? placeOf(state.m, event.pfn) : null;
    const differs = `${KIND_WORDS[kind]}: ours ${ours}, recorded ${theirs}`;
    return { ...base, path: [], list: null, recorded, differs };
  }
  const { m } = state;
  m.cpu = event.cpu;
  const gfp = parseGfp(event.gfp, m.gfp.era).value;
  const verdicts = event.order <= m.maxOrder ? explainRefusal(m, gfp, event.order) : [];
  const own = Number(ours);
  const zone = Number.isNaN(own) ? -1 : zoneOf(m, rowOf(m, own));
  const real = event.pfn < 0 ? -1 : rowOf(m, event.pfn);
  const realZone = real < 0 ? -1 : zoneOf(m, real);
  return {
    ...base,
    path: verdicts
      .filter(({ pass }) => pass !== "zonelist")
      .map(({ pass, text }) => `${pass}: ${text}`),
    list: zone < 0 ? null : stockAt(state, zone, event),
    recorded: placeOf(m, event.pfn),
    differs: differenceWords(m, zone, realZone, ours, theirs),
  };
}

const KIND_WORDS: Readonly<Record<Exclude<Miss["kind"], "page">, string>> = {
  refill: "another block was taken off the free lists",
  drain: "another block was given back to the zone",
  extfrag: "another block changed its migratetype",
  bulk: "a bulk call could not be served whole",
};

function differenceWords(
  m: Memory,
  zone: number,
  realZone: number,
  ours: string,
  theirs: string,
): string {
  if (theirs === "none") return `the kernel refused, we gave ${ours}`;
  if (zone < 0) return `we refused, the kernel gave ${theirs}`;
  if (zone !== realZone) {
    return `another zone: ours ${m.names[zone]}, recorded ${m.names[realZone] ?? "none"}`;
  }
  return `another page of the same zone: ours ${ours}, recorded ${theirs}`;
}

/** The per-CPU list that such a request is served from. */
function stockAt(state: StartState, zone: number, e: ReplayEvent): Divergence["list"] {
  const { m } = state;
  const list = m.pcpListOf[e.order * 8 + state.typeOf(e.type)];
  const type = TYPE_NAMES[e.type] ?? `type ${e.type}`;
  const name = `${m.names[zone]}, CPU ${e.cpu}, order ${e.order}, ${type}`;
  if (list === undefined || list < 0) return null;
  const pfns = listOf(state, "pcp", zone, e.cpu, list);
  const shown = pfns.slice(0, PAGES_SHOWN).map(hex);
  if (pfns.length > PAGES_SHOWN) shown.push(`… ${pfns.length - PAGES_SHOWN} more`);
  return { name, pages: shown };
}

/** Where a page lies: on which list and at which place, or taken. */
export function placeOf(m: Memory, pfn: number): string | null {
  const row = pfn < 0 ? -1 : rowOf(m, pfn);
  if (row < m.firstRow) return null;
  if ((m.state[row] & KIND_MASK) === PCP) return stockPlace(m, row);
  for (let order = 0; order <= m.maxOrder; order++) {
    const head = row & ~((1 << order) - 1);
    const state = m.state[head];
    if ((state & KIND_MASK) === EXTENT) return `in untouched memory of ${zoneName(m, row)}`;
    if (state !== (FREE | order)) continue;
    const place = placeInList(m, head);
    return `in the free block ${hex(pfnOf(m, head))} of order ${order}, ${zoneName(m, row)}, place ${place}`;
  }
  return "not free";
}

function zoneName(m: Memory, row: number): string {
  return m.names[zoneOf(m, row)] ?? "no zone";
}

function stockPlace(m: Memory, row: number): string {
  const stock = stockList(m, row);
  const cpu = Math.floor(stock / PCP_LISTS) % m.cpuCount;
  const order = stockOrder(m, stock);
  const type = TYPE_NAMES[m.state[row] & ORDER_MASK] ?? "";
  const place = placeInList(m, row);
  return `on the list of CPU ${cpu}, ${zoneName(m, row)}, order ${order}, ${type}, place ${place}`;
}

/** 1 for the head. */
function placeInList(m: Memory, row: number): number {
  let place = 1;
  for (let at = m.prev[row]; at >= m.firstRow; at = m.prev[at]) place++;
  return place;
}
