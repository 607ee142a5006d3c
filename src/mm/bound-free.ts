/**
 * `freePages` of a bound memory: see `bound.ts`.
 *
 * Linux: free_unref_page(), free_unref_page_commit(), mm/page_alloc.c
 */
import { freePages } from "./allocate.ts";
import { numberingOf, wordOf } from "./bound-views.ts";
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
  rowOf,
  TAKEN,
  Z_FLAGS,
  ZONE_ASKED,
  ZONE_RECLAIM_ACTIVE,
  ZONE_WORDS,
} from "./memory.ts";
import { relieve } from "./pcp.ts";

type Free = (pfn: number, order: number) => void;

/** `freePages` of `m`; a short function first, as in `bindAlloc`. */
export function bindFree(m: Memory): Free {
  // Tuned pagesets count every free.
  if (m.rule.pcp === "tuned") return (pfn, order) => freePages(m, pfn, order);
  const { next, prev, state, pcp, blockType, blockZone, cpuCount, pcpHeads, pageblockOrder } = m;
  if (m.cpus !== null) return bindSharedFree(m);
  const { isStraight, shift } = numberingOf(m);
  const count = wordOf(pcp, PCP_WORDS, P_COUNT);
  const high = wordOf(pcp, PCP_WORDS, P_HIGH);
  const factor = wordOf(pcp, PCP_WORDS, P_FACTOR);
  const { pcpListOf } = m;
  const flags = wordOf(m.zone, ZONE_WORDS, Z_FLAGS);
  const freeBlock = bindBlock(m);
  if (!isStraight) return freeBlock;

  return (pfn: number, order: number): void => {
    // Where that leaves 32 bits it comes out below 0, and what is no row has no state.
    const row = (pfn + shift) | 0;
    const zone = blockZone[row >> pageblockOrder];
    const type = blockType[row >> pageblockOrder];
    const list = pcpListOf[order * 8 + type];
    if (
      (state[row] | (TAKEN ^ MOBILE)) === MOBILE + order &&
      list >= 0 &&
      zone !== MIXED &&
      (pfn | 0) === pfn
    ) {
      const set = zone * cpuCount + m.cpu;
      const head = pcpHeads + set * PCP_LISTS + list;
      const first = next[head];
      next[row] = first;
      prev[row] = head;
      prev[first] = row;
      next[head] = row;
      state[row] = PCP | type;
      const own = set * PCP_WORDS;
      const pages = (count[own] + (1 << order)) | 0;
      count[own] = pages;
      // Orders 1 to 3 empty the pageset while its free_factor is up; `relieve` looks closer.
      const isCalm = (flags[zone * ZONE_WORDS] & ZONE_RECLAIM_ACTIVE) === 0;
      if (pages >= high[own] || !isCalm || order * factor[own] !== 0) relieve(m, zone, order, list);
    } else freeBlock(pfn, order);
  };
}

/**
 * `freePages` of a shared memory: a page is this CPU's before it is on its list (see `Memory.owner`),
 * and a free looks closer while others ask for what the list holds.
 */
function bindSharedFree(m: Memory): Free {
  const { next, prev, state, owner, pcp, pcpListOf, blockType, blockZone } = m;
  const { cpuCount, pcpHeads, pageblockOrder, cpu } = m;
  const count = wordOf(pcp, PCP_WORDS, P_COUNT);
  const high = wordOf(pcp, PCP_WORDS, P_HIGH);
  const factor = wordOf(pcp, PCP_WORDS, P_FACTOR);
  const flags = wordOf(m.zone, ZONE_WORDS, Z_FLAGS);
  const { isStraight, shift } = numberingOf(m);
  const mine = (cpu + 1) << 8;

  return (pfn: number, order: number): void => {
    const low = pfn | 0;
    const row = isStraight && low === pfn ? (low + shift) | 0 : rowOf(m, pfn);
    const zone = blockZone[row >> pageblockOrder];
    const type = blockType[row >> pageblockOrder];
    const list = pcpListOf[order * 8 + type];
    if ((state[row] | (TAKEN ^ MOBILE)) === MOBILE + order && list >= 0 && zone !== MIXED) {
      const set = (zone * cpuCount + cpu) | 0;
      const head = pcpHeads + set * PCP_LISTS + list;
      const first = next[head];
      owner[row] = mine | order;
      next[row] = first;
      prev[row] = head;
      prev[first] = row;
      next[head] = row;
      state[row] = PCP | type;
      const own = set * PCP_WORDS;
      const pages = (count[own] + (1 << order)) | 0;
      count[own] = pages;
      const isCalm = (flags[zone * ZONE_WORDS] & (ZONE_RECLAIM_ACTIVE | ZONE_ASKED)) === 0;
      if (pages >= high[own] || !isCalm || order * factor[own] !== 0) relieve(m, zone, order, list);
    } else freePages(m, pfn, order);
  };
}

/** What the short function does not answer; all of it in memories with holes. */
function bindBlock(m: Memory): Free {
  const { next, prev, state, pcp, pcpListOf, blockType, blockZone } = m;
  const { cpuCount, pcpHeads, pageblockOrder } = m;
  const count = wordOf(pcp, PCP_WORDS, P_COUNT);
  const high = wordOf(pcp, PCP_WORDS, P_HIGH);
  const factor = wordOf(pcp, PCP_WORDS, P_FACTOR);
  const flags = wordOf(m.zone, ZONE_WORDS, Z_FLAGS);
  const { isStraight, shift } = numberingOf(m);

  return (pfn: number, order: number): void => {
    const low = pfn | 0;
    const row = isStraight && low === pfn ? (low + shift) | 0 : rowOf(m, pfn);
    const zone = blockZone[row >> pageblockOrder];
    const type = blockType[row >> pageblockOrder];
    const isTaken = order >= 0 && (state[row] | (TAKEN ^ MOBILE)) === MOBILE + order;
    const list = isTaken ? pcpListOf[order * 8 + type] : -1;
    if (list < 0 || zone === MIXED) {
      freePages(m, pfn, order);
      return;
    }
    const set = (zone * cpuCount + m.cpu) | 0;
    const head = pcpHeads + set * PCP_LISTS + list;
    const first = next[head];
    next[row] = first;
    prev[row] = head;
    prev[first] = row;
    next[head] = row;
    state[row] = PCP | type;
    const pages = (count[set * PCP_WORDS] + (1 << order)) | 0;
    count[set * PCP_WORDS] = pages;
    // Orders 1 to 3 empty the pageset while its free_factor is up.
    const isSingle = order === 0 || order > COSTLY_ORDER || factor[set * PCP_WORDS] === 0;
    const isCalm = (flags[zone * ZONE_WORDS] & ZONE_RECLAIM_ACTIVE) === 0;
    if (isSingle && isCalm && pages < high[set * PCP_WORDS]) return;
    relieve(m, zone, order, list);
  };
}
