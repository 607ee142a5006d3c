/**
 * The lists' half of `verify`: free lists and per-CPU lists, followed link by
 * link, with what they hold added up.
 *
 *   L1  next and prev of neighbours agree, and every list returns to its head
 *   B6  where blocks keep to their pageblocks' type (6.10), and where there is one type only,
 *       a block is on the list of its pageblocks' type
 *
 * B1, B4 and B5 are told in buddy.ts, P1 and P2 in pcp.ts, F3 in verify.ts.
 */
import {
  EXTENT,
  FREE,
  freeHead,
  KIND_MASK,
  type Memory,
  MOBILE,
  ORDER_MASK,
  ORDERS,
  P_COUNT,
  PCP,
  PCP_LISTS,
  PCP_WORDS,
  pcpListOrder,
  TAKEN,
  Z_BLOCKS,
  Z_ORDERS_OF,
  ZONE_WORDS,
  zoneOf,
} from "./memory.ts";
import { CMA, ISOLATE, TYPE_COUNT } from "./rule.ts";

/** What the lists were found to hold; pages by zone. */
export interface Walk {
  readonly m: Memory;
  readonly broken: string[];
  readonly freeListed: number[];
  /** Of those: pages that are not counted as free, and pages of CMA areas. */
  readonly isolatedListed: number[];
  readonly cmaListed: number[];
  readonly pcpListed: number[];
  /** Orders of the blocks on per-CPU lists by row: their state has no room for it. */
  readonly pcpOrders: Map<number, number>;
  /** Blocks and extents on free lists. */
  freeHeads: number;
}

/** A broken memory breaks everywhere: this many messages are enough. */
const MESSAGES_MAX = 40;

/** Notes a broken invariant. */
export function report(walk: Walk, message: string): void {
  if (walk.broken.length < MESSAGES_MAX) walk.broken.push(message);
}

/** L1, B1, B4, B5, B6 and the touched half of F3. */
export function verifyFreeLists(walk: Walk): void {
  const { m } = walk;
  for (const zone of m.names.keys()) {
    const blocks = new Array<number>(ORDERS).fill(0);
    for (let type = 0; type < TYPE_COUNT; type++) {
      let orders = 0;
      for (let order = 0; order < ORDERS; order++) {
        const name = `free list ${zone}/${type}/${order}`;
        const rows = follow(walk, freeHead(zone, type, order), name);
        if (rows.length > 0) orders |= 1 << order;
        for (const row of rows) {
          const count = verifyFree(walk, row, zone, type, order, name);
          blocks[order] = (blocks[order] ?? 0) + count;
          const pages = count * 2 ** order;
          walk.freeListed[zone] = (walk.freeListed[zone] ?? 0) + pages;
          const apart =
            type === ISOLATE ? walk.isolatedListed : type === CMA ? walk.cmaListed : null;
          if (apart !== null) apart[zone] = (apart[zone] ?? 0) + pages;
        }
        walk.freeHeads += rows.length;
      }
      const bits = m.zone[zone * ZONE_WORDS + Z_ORDERS_OF + type];
      if (bits !== orders) {
        report(walk, `B5: zone ${zone} type ${type} has lists ${orders}, Z_ORDERS_OF says ${bits}`);
      }
    }
    blocks.forEach((found, order) => {
      const counted = m.zone[zone * ZONE_WORDS + Z_BLOCKS + order];
      if (found === counted) return;
      report(walk, `B4: zone ${zone} has ${found} blocks of order ${order}, Z_BLOCKS ${counted}`);
    });
  }
}

/** How many blocks a row of a free list stands for: one, or an extent's. */
function verifyFree(
  walk: Walk,
  row: number,
  zone: number,
  type: number,
  order: number,
  name: string,
): number {
  const { m } = walk;
  const size = 1 << order;
  const state = m.state[row];
  const extent = (state & KIND_MASK) === EXTENT && order === m.maxOrder;
  if (!extent && state !== (FREE | order)) {
    report(walk, `B1: row ${row} on ${name} has state 0x${state.toString(16)}`);
    return 0;
  }
  if ((row & (size - 1)) !== 0 || zoneOf(m, row) !== zone) {
    report(walk, `B1: row ${row} on ${name} is not aligned, or of zone ${zoneOf(m, row)}`);
  }
  if (m.touched[row >> m.sectionShift] === 0) report(walk, `F3: row ${row} is not touched`);
  const pages = extent ? m.next[row + 1] - row : size;
  if (extent && ((state & ORDER_MASK) !== order || pages < size || pages % size !== 0)) {
    report(walk, `F3: the extent at row ${row} ends at row ${row + pages}`);
    return 0;
  }
  if (m.rule.mergeRetypes || !m.rule.mobility) {
    for (let at = row; at < row + pages; at += 1 << m.pageblockOrder) {
      const own = m.blockType[at >> m.pageblockOrder];
      if (own === type) continue;
      report(walk, `B6: row ${row} is on ${name}, the pageblock of row ${at} has type ${own}`);
      break;
    }
  }
  return pages / size;
}

/** L1, P1 and P2. */
export function verifyPcpLists(walk: Walk): void {
  const { m } = walk;
  for (const zone of m.names.keys()) {
    for (let cpu = 0; cpu < m.cpuCount; cpu++) {
      const set = zone * m.cpuCount + cpu;
      let pages = 0;
      for (let list = 0; list < PCP_LISTS; list++) {
        const name = `list ${list} of CPU ${cpu}, zone ${zone}`;
        const order = pcpListOrder(m, list);
        for (const row of follow(walk, m.pcpHeads + set * PCP_LISTS + list, name)) {
          verifyPcp(walk, row, zone, list, order, name);
          verifyOwner(walk, row, order, cpu, cpu);
          pages += 1 << order;
        }
      }
      const counted = m.pcp[set * PCP_WORDS + P_COUNT];
      if (counted !== pages) {
        report(walk, `P1: CPU ${cpu} has ${pages} pages of zone ${zone}, P_COUNT says ${counted}`);
      }
      walk.pcpListed[zone] = (walk.pcpListed[zone] ?? 0) + pages;
    }
  }
}

function verifyPcp(
  walk: Walk,
  row: number,
  zone: number,
  list: number,
  order: number,
  name: string,
): void {
  const { m } = walk;
  const state = m.state[row];
  const type = state & ORDER_MASK;
  if ((state & KIND_MASK) !== PCP || m.pcpListOf[order * 8 + type] !== list) {
    report(walk, `P2: row ${row} on ${name} has state 0x${state.toString(16)}`);
  }
  if (zoneOf(m, row) !== zone) report(walk, `P2: row ${row} on ${name} is not of that zone`);
  if (m.touched[row >> m.sectionShift] === 0) report(walk, `F3: row ${row} is not touched`);
  walk.pcpOrders.set(row, order);
}

/** S2, in memories that have owners: one of the CPUs from `first` to `last`. */
export function verifyOwner(
  walk: Walk,
  row: number,
  order: number,
  first: number,
  last: number,
): void {
  const { m } = walk;
  if (m.cpus === null) return;
  const owner = m.owner[row] >> 8;
  const isOwn = owner >= first + 1 && owner <= last + 1 && (m.owner[row] & ORDER_MASK) === order;
  if (!isOwn)
    report(walk, `S2: row ${row} of order ${order} has owner 0x${m.owner[row].toString(16)}`);
}

/** S3, of the rows from `base` to `end`. */
export function verifyLocks(walk: Walk, base: number, end: number): void {
  const { m } = walk;
  if (m.cpus === null) return;
  for (let row = base; row < end; row++) {
    const holder = m.pageLock[row];
    const kind = m.state[row] & KIND_MASK;
    if (holder === 0 || (holder <= m.cpuCount && (kind === TAKEN || kind === MOBILE))) continue;
    report(walk, `S3: row ${row} is locked by CPU ${holder - 1}, its state is ${m.state[row]}`);
  }
}

/** Rows of a list in order, as far as its links can be trusted. */
function follow(walk: Walk, head: number, name: string): number[] {
  const { m } = walk;
  const rows: number[] = [];
  let before = head;
  for (;;) {
    const row = m.next[before];
    const known = row === head || (row >= m.firstRow && row < m.rows);
    if (!known || m.prev[row] !== before || rows.length > m.rows) {
      report(walk, `L1: ${name}: row ${before} leads to row ${row}, and not back`);
      return rows;
    }
    if (row === head) return rows;
    rows.push(row);
    before = row;
  }
}
