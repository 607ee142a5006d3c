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

  function takeQuickly(order: number, request: number): number {
    const zone = zonelist[(request >> 8) + 1];
    if (zone < 0) return -1;
    const at = zone * ZONE_WORDS;
    const usable = words[at + Z_FREE] - words[at + Z_HIGHATOMIC] - (1 << order);
    const mark = words[at + Z_LOW] + words[at + Z_BOOST];
    if (usable < mark + words[at + Z_RESERVE + ((request >> 4) & 0xf)]) return -1;
    if ((words[at + Z_FLAGS] & ZONE_BOOSTED) !== 0) return -1;
    const list = pcpListOf[order * 8 + (request & 0xf)];
    if (list < 0) return takeOwn(m, zone, order, request & 0xf);
    if (order > 0) {
      const lists = at + Z_ORDERS_OF;
      const orders = words[lists + UNMOVABLE] | words[lists + MOVABLE] | words[lists + RECLAIMABLE];
      if (orders >> order === 0) return -1;
    }
    const set = zone * cpuCount + m.cpu;
    const head = pcpHeads + set * PCP_LISTS + list;
    const row = next[head];
    if (row === head) return -1;
    const second = next[row];
    next[head] = second;
    prev[second] = head;
    pcp[set * PCP_WORDS + P_COUNT] -= 1 << order;
    pcp[set * PCP_WORDS + pcpHalved] >>= 1;
    return row;
  }

  return (gfp: number, order: number): number => {
    if (!answers || !(order >= 0 && order <= maxOrder)) return allocPages(m, gfp, order);
    const node = (gfp >> thisnodeShift) & 1;
    const request = requests[(cpuPlace[m.cpu] << 6) + ((gfp & 0x1f) << 1) + node];
    const row = takeQuickly(order, request);
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
