/**
 * A zone by its frames alone: which blocks lie in it, and its free lists and counts made anew from them.
 * Under the zone's lock. No kernel has to do that.
 */
import { linkTail } from "./buddy.ts";
import {
  EXTENT,
  FREE,
  freeHead,
  KIND_MASK,
  type Memory,
  MOBILE,
  ORDER_MASK,
  P_COUNT,
  P_DRIFT,
  P_DRIFT_CMA,
  PCP,
  PCP_LISTS,
  PCP_WORDS,
  TAKEN,
  Z_BLOCKS,
  Z_CMA,
  Z_FREE,
  Z_FREE_CMA,
  Z_HIGHATOMIC,
  Z_MANAGED,
  Z_ORDERS_OF,
  Z_PRESENT,
  ZONE_WORDS,
} from "./memory.ts";
import { breakLock } from "./page-lock.ts";
import { lentPages, presentRuns } from "./plugged.ts";
import { returnToZone } from "./queue.ts";
import { CMA, HIGHATOMIC, ISOLATE, TYPE_COUNT } from "./rule.ts";
import { ORDERS } from "./words.ts";

/** How a zone looks to whoever walks its frames: heads of blocks, and RAM that has none. */
export interface Found {
  readonly free: { readonly row: number; readonly kind: number; readonly order: number }[];
  /** Taken by a dead CPU. */
  readonly held: number[];
  /** On lists that are not to be trusted. */
  readonly stocked: number[];
  readonly gaps: { readonly row: number; readonly end: number }[];
}

/** Every RAM frame of a zone: which block it is in, or that it is in none. */
export function walkZone(
  m: Memory,
  zone: number,
  dead: ReadonlySet<number>,
  broken: ReadonlySet<number>,
): Found {
  const found: Found = { free: [], held: [], stocked: [], gaps: [] };
  for (const { row, end } of presentRuns(m, zone)) walkRows(m, dead, broken, row, end, found);
  return found;
}

/** The same for neighbouring rows. */
function walkRows(
  m: Memory,
  dead: ReadonlySet<number>,
  broken: ReadonlySet<number>,
  first: number,
  end: number,
  found: Found,
): void {
  let row = first;
  while (row < end) {
    const state = m.state[row];
    const kind = state & KIND_MASK;
    const low = state & ORDER_MASK;
    const owner = m.owner[row] >> 8;
    if (kind === 0) {
      const start = row;
      while (row < end && m.state[row] === 0) row++;
      found.gaps.push({ row: start, end: row });
      continue;
    }
    if (kind === FREE || kind === EXTENT) found.free.push({ row, kind, order: low });
    else if (kind === PCP && broken.has(owner - 1)) found.stocked.push(row);
    else if (kind === TAKEN || kind === MOBILE) {
      const isHeld = dead.has(owner - 1);
      if (isHeld) found.held.push(row);
      if (isHeld || dead.has(m.pageLock[row] - 1)) breakLock(m, row);
    }
    if (kind === EXTENT) row = m.next[row + 1];
    else row += 1 << (kind === PCP ? m.owner[row] & ORDER_MASK : low);
  }
}

/** Free lists and counts of a zone anew, from the blocks that were found. */
export function rebuildFree(m: Memory, zone: number, found: Found): void {
  const words = zone * ZONE_WORDS;
  for (let type = 0; type < TYPE_COUNT; type++) {
    m.zone[words + Z_ORDERS_OF + type] = 0;
    for (let order = 0; order < ORDERS; order++) {
      const head = freeHead(zone, type, order);
      m.next[head] = head;
      m.prev[head] = head;
    }
  }
  m.zone.fill(0, words + Z_BLOCKS, words + Z_BLOCKS + ORDERS);
  let free = 0;
  let cma = 0;
  for (const { row, kind, order } of found.free) {
    const type = m.blockType[row >> m.pageblockOrder];
    const blocks = kind === EXTENT ? (m.next[row + 1] - row) >> m.maxOrder : 1;
    linkTail(m, zone, row, order, type);
    m.state[row] = kind | order;
    m.zone[words + Z_BLOCKS + order] += blocks - 1;
    if (type !== ISOLATE) free += blocks << order;
    if (type === CMA) cma += blocks << order;
  }
  for (let cpu = 0; cpu < m.cpuCount; cpu++) {
    const own = (zone * m.cpuCount + cpu) * PCP_WORDS;
    free -= m.pcp[own + P_DRIFT];
    cma -= m.pcp[own + P_DRIFT_CMA];
  }
  const present = presentRuns(m, zone).reduce((sum, { row, end }) => sum + end - row, 0);
  m.zone[words + Z_PRESENT] = present;
  m.zone[words + Z_MANAGED] = present;
  m.zone[words + Z_CMA] = lentPages(m, zone);
  m.zone[words + Z_FREE] = free;
  m.zone[words + Z_FREE_CMA] = cma;
  m.zone[words + Z_HIGHATOMIC] = highatomicPages(m, zone);
}

function highatomicPages(m: Memory, zone: number): number {
  let pages = 0;
  for (let block = m.firstRow >> m.pageblockOrder; block < m.blockType.length; block++) {
    if (m.blockType[block] === HIGHATOMIC && m.blockZone[block] === zone)
      pages += 1 << m.pageblockOrder;
  }
  return pages;
}

/** Rows that no block covers, as the largest aligned blocks. */
export function giveRun(m: Memory, zone: number, first: number, end: number): void {
  for (let row = first; row < end; ) {
    let order = Math.min(m.maxOrder, 31 - Math.clz32(row & -row));
    while (row + (1 << order) > end) order--;
    // The rest of an extent may reach into memory that nobody had touched.
    m.touched[row >> m.sectionShift] = 1;
    returnToZone(m, zone, row, order);
    row += 1 << order;
  }
}

/** Nothing is on the per-CPU lists any more. */
export function emptyLists(m: Memory, zone: number, cpu: number): void {
  const set = zone * m.cpuCount + cpu;
  for (let list = 0; list < PCP_LISTS; list++) {
    const head = m.pcpHeads + set * PCP_LISTS + list;
    m.next[head] = head;
    m.prev[head] = head;
  }
  m.pcp[set * PCP_WORDS + P_COUNT] = 0;
}
