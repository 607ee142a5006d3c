/**
 * `allocPages` of a bound memory: see `bound.ts`.
 *
 * Linux: get_page_from_freelist(), rmqueue_pcplist(), mm/page_alloc.c
 */
import { allocPages, takeOwn, zeroPages } from "./allocate.ts";
import { numberingOf, wordOf } from "./bound-views.ts";
import {
  type Memory,
  MOBILE,
  P_COUNT,
  PCP_LISTS,
  PCP_WORDS,
  TAKEN,
  Z_BOOST,
  Z_FLAGS,
  Z_FREE,
  Z_HIGHATOMIC,
  Z_LOW,
  Z_ORDERS_OF,
  Z_RESERVE,
  ZONE_BOOSTED,
  ZONE_WORDS,
} from "./memory.ts";
import { MOVABLE, RECLAIMABLE, UNMOVABLE } from "./rule.ts";

type Alloc = (gfp: number, order: number) => number;

/**
 * `allocPages` of `m`. The first function answers what this CPU's lists have where the zone has room
 * for it and Movable has such a block (whether another type has one is a question for the second).
 * It has one way through for all orders: which is asked for is hard to predict.
 */
export function bindAlloc(m: Memory): Alloc {
  const { next, prev, state, cpuCount, pcpHeads, pcpListOf } = m;
  const { zero } = m.gfp;
  const { free, low, boost, reserve, highatomic, flags, movable } = zoneViews(m);
  const { count, halved } = setViews(m);
  const { isStraight, shift } = numberingOf(m);
  const preferred = preferredZones(m);
  const allocBlock = bindBlock(m, preferred);
  if (!isStraight || m.nodes.length > 1) return allocBlock;

  return (gfp: number, order: number): number => {
    const request = preferred[(gfp & 0x1f) << 1];
    const zone = request >> 16;
    const list = pcpListOf[order * 8 + (request & 0xf)];
    const set = zone * cpuCount + m.cpu;
    const head = pcpHeads + set * PCP_LISTS + list;
    const row = next[head];
    const at = zone * ZONE_WORDS;
    const mark = low[at] + boost[at] + reserve[at + ((request >> 4) & 0xf)];
    if (
      free[at] - highatomic[at] - (1 << order) >= mark &&
      list >= 0 &&
      row !== head &&
      movable[at] >> order !== 0 &&
      ((flags[at] & ZONE_BOOSTED) | (gfp & zero)) === 0
    ) {
      const second = next[row];
      next[head] = second;
      prev[second] = head;
      const own = set * PCP_WORDS;
      count[own] -= 1 << order;
      halved[own] >>= 1;
      state[row] = (request >> 8) | order;
      return (row - shift) | 0;
    }
    return allocBlock(gfp, order);
  };
}

/**
 * By the bits of a request that count here: preferred zone << 16 | state of what it is given << 8 |
 * highest zone << 4 | type. -1 where there is no zone, or where more has to be asked: by CMA and by
 * the check of 2.6. The lists never change.
 */
function preferredZones(m: Memory): Int32Array {
  const answers = !m.cma && m.marks.watermark === "types";
  return m.requests.map((request) => {
    const zone = m.zonelist[(request >> 8) + 1];
    const given = (request & 0xf) === MOVABLE ? MOBILE : TAKEN;
    return zone < 0 || !answers ? -1 : (zone << 16) | (given << 8) | (request & 0xff);
  });
}

function zoneViews({ zone }: Memory) {
  return {
    free: wordOf(zone, ZONE_WORDS, Z_FREE),
    low: wordOf(zone, ZONE_WORDS, Z_LOW),
    boost: wordOf(zone, ZONE_WORDS, Z_BOOST),
    reserve: zone.subarray(Z_RESERVE),
    highatomic: wordOf(zone, ZONE_WORDS, Z_HIGHATOMIC),
    flags: wordOf(zone, ZONE_WORDS, Z_FLAGS),
    unmovable: wordOf(zone, ZONE_WORDS, Z_ORDERS_OF + UNMOVABLE),
    movable: wordOf(zone, ZONE_WORDS, Z_ORDERS_OF + MOVABLE),
    reclaimable: wordOf(zone, ZONE_WORDS, Z_ORDERS_OF + RECLAIMABLE),
  };
}

function setViews({ pcp, pcpHalved }: Memory) {
  return { count: wordOf(pcp, PCP_WORDS, P_COUNT), halved: wordOf(pcp, PCP_WORDS, pcpHalved) };
}

/** What the short function does not answer; all of it in memories with holes or several nodes. */
function bindBlock(m: Memory, preferred: Int32Array): Alloc {
  const { next, prev, state, pcpListOf, sectionPfn, cpuPlace } = m;
  const { cpuCount, pcpHeads, sectionShift, sectionMask, maxOrder } = m;
  const { thisnodeShift, zero } = m.gfp;
  const { free, low, boost, reserve, highatomic, flags } = zoneViews(m);
  const { unmovable, movable, reclaimable } = zoneViews(m);
  const { count, halved } = setViews(m);
  const { isStraight, shift } = numberingOf(m);
  const isOneNode = m.nodes.length === 1;

  /** Whether the preferred zone stays above its low mark, has such a block, and nobody is to be woken. */
  function hasRoom(request: number, order: number): boolean {
    const at = (request >> 16) * ZONE_WORDS;
    const usable = free[at] - highatomic[at] - (1 << order);
    const mark = low[at] + boost[at] + reserve[at + ((request >> 4) & 0xf)];
    const orders = order === 0 ? 1 : unmovable[at] | movable[at] | reclaimable[at];
    return usable >= mark && orders >> order !== 0 && (flags[at] & ZONE_BOOSTED) === 0;
  }

  function handOut(row: number, gfp: number, order: number, request: number): number {
    state[row] = (request >> 8) | order;
    const pfn = isStraight
      ? (row - shift) | 0
      : sectionPfn[row >> sectionShift] + (row & sectionMask);
    if ((gfp & zero) !== 0) zeroPages(m, pfn, order);
    return pfn;
  }

  return (gfp: number, order: number): number => {
    const place = isOneNode ? 0 : cpuPlace[m.cpu] << 6;
    const request = preferred[place + ((gfp & 0x1f) << 1) + ((gfp >> thisnodeShift) & 1)];
    if (request < 0 || !(order >= 0 && order <= maxOrder) || !hasRoom(request, order))
      return allocPages(m, gfp, order);
    const list = pcpListOf[order * 8 + (request & 0xf)];
    if (list < 0) {
      const row = takeOwn(m, request >> 16, order, request & 0xf);
      return row < 0 ? allocPages(m, gfp, order) : handOut(row, gfp, order, request);
    }
    const set = ((request >> 16) * cpuCount + m.cpu) | 0;
    const head = pcpHeads + set * PCP_LISTS + list;
    const row = next[head];
    if (row === head) return allocPages(m, gfp, order);
    const second = next[row];
    next[head] = second;
    prev[second] = head;
    const own = set * PCP_WORDS;
    count[own] -= 1 << order;
    halved[own] >>= 1;
    return handOut(row, gfp, order, request);
  };
}
