/**
 * The allocator bound to one memory: the same answers as `allocPages` and
 * `freePages`, two times as fast where it counts.
 *
 * What nearly every call comes to is answered here: the preferred zone is far
 * above its low mark and this CPU's list has a block of the own type; or a block
 * goes back to a list that has room. Everything else, with nothing changed, goes
 * to the general functions. The views are variables of a closure, so that the
 * compiler knows them; as members of `m` each use would load and check them again.
 *
 * Linux: get_page_from_freelist(), rmqueue_pcplist(), free_unref_page(), mm/page_alloc.c
 */
import { allocPages, freePages, takeOwn, zeroPages } from "./allocate.ts";
import {
  COSTLY_ORDER,
  type Memory,
  MIXED,
  MOBILE,
  P_COUNT,
  P_FACTOR,
  P_HIGH,
  PCP,
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
  ZONE_RECLAIM_ACTIVE,
  ZONE_WORDS,
} from "./memory.ts";
import { relieve } from "./pcp.ts";
import { MOVABLE, RECLAIMABLE, UNMOVABLE } from "./rule.ts";

export interface BoundMemory {
  readonly memory: Memory;
  /** As `allocPages`: pfn of the first of 2^order pages, or NO_PFN. */
  allocPages(gfp: number, order: number): number;
  /** As `freePages`. */
  freePages(pfn: number, order: number): void;
}

/** Binds the hot path to `m`. The memory may also be used through the general functions. */
export function bindMemory(m: Memory): BoundMemory {
  const allocOne = bindAlloc(m);
  const freeOne = bindFree(m);
  return { memory: m, allocPages: allocOne, freePages: freeOne };
}

function bindAlloc(m: Memory): (gfp: number, order: number) => number {
  const { next, prev, state, zone: words, pcp, zonelist, requests, pcpListOf, cpuPlace } = m;
  const { cpuCount, pcpHeads, pcpHalved, sectionPfn, sectionShift, sectionMask, maxOrder } = m;
  const { thisnodeShift, zero } = m.gfp;
  // CMA and the 2.6 check ask more than is asked here.
  const answers = !m.cma && m.rule.watermark === "types";

  // Preferred zone << 8 | highest zone << 4 | type by a request's bits; the lists never change.
  const preferred = requests.map((request) => {
    const zone = zonelist[(request >> 8) + 1];
    return zone < 0 ? -1 : (zone << 8) | (request & 0xff);
  });
  const oneNode = m.nodes.length === 1;

  /** Whether the preferred zone stays above its low mark without 2^order pages. */
  function hasRoom(at: number, pages: number, highest: number): boolean {
    const usable = words[at + Z_FREE] - words[at + Z_HIGHATOMIC] - pages;
    const mark = words[at + Z_LOW] + words[at + Z_BOOST];
    return usable >= mark + words[at + Z_RESERVE + highest];
  }

  /** The head of a list of this CPU's pageset, or -1. */
  function pop(zone: number, list: number, pages: number): number {
    const set = zone * cpuCount + m.cpu;
    const head = pcpHeads + set * PCP_LISTS + list;
    const row = next[head];
    if (row === head) return -1;
    const second = next[row];
    next[head] = second;
    prev[second] = head;
    const own = set * PCP_WORDS;
    pcp[own + P_COUNT] -= pages;
    pcp[own + pcpHalved] >>= 1;
    return row;
  }

  function takeQuickly(order: number, request: number): number {
    const zone = request >> 8;
    const at = zone * ZONE_WORDS;
    const type = request & 0xf;
    if (!hasRoom(at, 1 << order, (request >> 4) & 0xf)) return -1;
    if ((words[at + Z_FLAGS] & ZONE_BOOSTED) !== 0) return -1;
    // Lists of order 0 are numbered as their types.
    if (order === 0) return pop(zone, type, 1);
    const list = pcpListOf[order * 8 + type];
    if (list < 0) return takeOwn(m, zone, order, type);
    const lists = at + Z_ORDERS_OF;
    const orders = words[lists + UNMOVABLE] | words[lists + MOVABLE] | words[lists + RECLAIMABLE];
    return orders >> order === 0 ? -1 : pop(zone, list, 1 << order);
  }

  return (gfp: number, order: number): number => {
    if (!answers || !(order >= 0 && order <= maxOrder)) return allocPages(m, gfp, order);
    const node = (gfp >> thisnodeShift) & 1;
    const place = oneNode ? 0 : cpuPlace[m.cpu] << 6;
    const request = preferred[place + ((gfp & 0x1f) << 1) + node];
    const row = request < 0 ? -1 : takeQuickly(order, request);
    if (row < 0) return allocPages(m, gfp, order);
    state[row] = ((request & 0xf) === MOVABLE ? MOBILE : TAKEN) | order;
    const pfn = sectionPfn[row >> sectionShift] + (row & sectionMask);
    if ((gfp & zero) !== 0) zeroPages(m, pfn, order);
    return pfn;
  };
}

function bindFree(m: Memory): (pfn: number, order: number) => void {
  const { next, prev, state, zone: words, pcp, pcpListOf, blockType, blockZone, sectionRow } = m;
  const { cpuCount, pcpHeads, sectionShift, sectionMask, pageblockOrder } = m;
  // Tuned pagesets count every free.
  const answers = m.rule.pcp !== "tuned";

  return (pfn: number, order: number): void => {
    const section = pfn >> sectionShift;
    const plain = answers && (pfn | 0) === pfn && pfn >= 0 && section < sectionRow.length;
    // A pfn of no section gives a row below 0, whose state is none.
    const row = plain ? sectionRow[section] + (pfn & sectionMask) : -1;
    if (row < 0 || (state[row] | (TAKEN ^ MOBILE)) !== (MOBILE | order)) {
      freePages(m, pfn, order);
      return;
    }
    const block = row >> pageblockOrder;
    const zone = blockZone[block];
    const type = blockType[block];
    const list = pcpListOf[order * 8 + type];
    if (zone === MIXED || list < 0) {
      freePages(m, pfn, order);
      return;
    }
    const set = zone * cpuCount + m.cpu;
    const head = pcpHeads + set * PCP_LISTS + list;
    const first = next[head];
    next[row] = first;
    prev[row] = head;
    prev[first] = row;
    next[head] = row;
    state[row] = PCP | type;
    const own = set * PCP_WORDS;
    const count = pcp[own + P_COUNT] + (1 << order);
    pcp[own + P_COUNT] = count;
    // Orders 1 to 3 empty the pageset while its free_factor is up.
    const single = order === 0 || order > COSTLY_ORDER || pcp[own + P_FACTOR] === 0;
    const calm = (words[zone * ZONE_WORDS + Z_FLAGS] & ZONE_RECLAIM_ACTIVE) === 0;
    if (single && calm && count < pcp[own + P_HIGH]) return;
    relieve(m, zone, order, list);
  };
}
