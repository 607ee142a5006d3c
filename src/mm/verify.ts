/**
 * Does a memory hold together? Every invariant that the files of this layer
 * name, checked against the rows themselves and none of the short cuts.
 *
 * Rows are walked upward, from head to head: a block's size comes from its
 * head, what it covers must be empty, and so no two blocks can overlap. The
 * lists are walked by `verify-lists.ts`; both must find the same blocks.
 *
 *   F1  only heads of blocks have a kind; what a block covers is 0
 *   F2  a block is aligned to its size and lies inside one zone
 *   F3  a head lies in a touched section, and an extent covers no touched row but its head
 *   F4  free, per-CPU and taken pages of a zone are the pages it manages
 *   F5  managed <= present <= spanned
 *   S3  in a shared memory only allocated blocks are locked, by CPUs that there are
 *   S2  in a shared memory a taken page and one on a per-CPU list has its CPU and order in `owner`
 *   H1  Z_HIGHATOMIC is at least the pages of the zone's HighAtomic pageblocks, where no two
 *       zones share a pageblock; up to 6.9 the kernel forgets some when it converts larger blocks
 *
 * Cost: the touched rows, and the untouched ones of memories up to a few GiB (I2).
 */
import {
  EXTENT,
  FREE,
  KIND_MASK,
  type Memory,
  MIXED,
  MOBILE,
  ORDER_MASK,
  OWNED,
  P_DRIFT,
  P_DRIFT_CMA,
  PCP,
  PCP_WORDS,
  pfnOf,
  TAKEN,
  Z_FREE,
  Z_FREE_CMA,
  Z_HIGHATOMIC,
  Z_MANAGED,
  Z_PRESENT,
  Z_ROW,
  Z_ROW_END,
  Z_SPANNED,
  ZONE_WORDS,
  zoneOf,
} from "./memory.ts";
import { CMA, HIGHATOMIC } from "./rule.ts";
import {
  report,
  verifyFreeLists,
  verifyLocks,
  verifyOwner,
  verifyPcpLists,
  type Walk,
} from "./verify-lists.ts";

/** Untouched rows are read only up to here: 4 GiB of 4 KiB pages. */
const UNTOUCHED_ROWS_MAX = 2 ** 20;

/**
 * Everything that does not hold, each message with the label of its invariant
 * and the numbers (rows, pfns, pages); empty when all is well. Changes nothing.
 */
export function verify(m: Memory): string[] {
  const walk: Walk = {
    m,
    broken: [],
    pcpOrders: new Map(),
    freeListed: m.names.map(() => 0),
    isolatedListed: m.names.map(() => 0),
    cmaListed: m.names.map(() => 0),
    pcpListed: m.names.map(() => 0),
    freeHeads: 0,
  };
  verifyFreeLists(walk);
  verifyPcpLists(walk);
  // Rows are only worth walking where lists can be trusted.
  if (walk.broken.length > 0) return walk.broken;
  verifyRows(walk);
  verifyTotals(walk);
  verifyUntouched(walk);
  return walk.broken;
}

function verifyRows(walk: Walk): void {
  const { m } = walk;
  const taken = m.names.map(() => 0);
  const section = 1 << m.sectionShift;
  let heads = 0;
  let pcpHeads = 0;
  for (let base = m.firstRow; base < m.rows; base += section) {
    if (m.touched[base >> m.sectionShift] === 0) continue;
    verifyLocks(walk, base, base + section);
    for (let row = base; row < base + section; ) {
      const kind = m.state[row] & KIND_MASK;
      if (m.state[row] === 0) {
        row++;
        continue;
      }
      if (kind === FREE || kind === EXTENT) heads++;
      else if (kind === PCP) pcpHeads++;
      const end = blockEnd(walk, row, kind);
      if (end <= row) {
        row++;
        continue;
      }
      verifyBlock(walk, row, end, kind);
      const zone = zoneOf(m, row);
      if (kind !== FREE && kind !== EXTENT && kind !== PCP && zone >= 0) {
        taken[zone] = (taken[zone] ?? 0) + end - row;
        verifyOwner(walk, row, m.state[row] & ORDER_MASK, 0, m.cpuCount - 1);
      }
      row = Math.min(end, base + section);
    }
  }
  if (heads !== walk.freeHeads)
    report(walk, `B1: ${heads} rows head free blocks, ${walk.freeHeads} are on lists`);
  if (pcpHeads !== walk.pcpOrders.size)
    report(walk, `P2: ${pcpHeads} rows are PCP, ${walk.pcpOrders.size} are on lists`);
  taken.forEach((pages, zone) => {
    verifyConservation(walk, zone, pages);
  });
}

/** Row after the block, or -1 when its head cannot be read. */
function blockEnd(walk: Walk, row: number, kind: number): number {
  const { m } = walk;
  const low = m.state[row] & ORDER_MASK;
  if (kind === EXTENT) return m.next[row + 1];
  if (kind === PCP) {
    const order = walk.pcpOrders.get(row);
    if (order !== undefined) return row + (1 << order);
    report(walk, `P2: row ${row} is PCP and on no per-CPU list`);
    return -1;
  }
  const isOwnedFree = kind < TAKEN && (m.state[row] & OWNED) !== 0;
  if (kind > MOBILE || kind < FREE || low > m.maxOrder || isOwnedFree) {
    report(walk, `F1: row ${row} has state 0x${m.state[row].toString(16)}, which is none`);
    return -1;
  }
  return row + (1 << low);
}

function verifyBlock(walk: Walk, row: number, end: number, kind: number): void {
  const { m } = walk;
  const size = kind === EXTENT ? 1 << m.maxOrder : end - row;
  const name = `the block at pfn ${pfnOf(m, row)} of ${end - row} pages`;
  if ((row & (size - 1)) !== 0) report(walk, `F2: ${name} is not aligned`);
  const zone = zoneOf(m, row);
  const words = zone * ZONE_WORDS;
  if (zone < 0 || row < m.zone[words + Z_ROW] || end > m.zone[words + Z_ROW_END]) {
    report(walk, `F2: ${name} is not inside zone ${zone}`);
  }
  for (let at = row + 1; at < end; at++) {
    // Whole untouched sections of an extent are not looked at.
    if (m.touched[at >> m.sectionShift] === 0) {
      at = ((at >> m.sectionShift) + 1) * (1 << m.sectionShift) - 1;
    } else if (m.state[at] !== 0) {
      report(walk, `${kind === EXTENT ? "F3" : "F1"}: row ${at} has a state inside ${name}`);
      return;
    }
  }
  const step = 1 << m.pageblockOrder;
  for (let at = row; at < end; at += step) {
    const owner = m.blockZone[at >> m.pageblockOrder];
    if (owner !== MIXED && owner !== zone) {
      report(walk, `F2: ${name} reaches from zone ${zone} into zone ${owner}`);
      return;
    }
  }
  if (kind === FREE) verifyUnmerged(walk, row, end - row, zone);
}

/** B3. Blocks of a pageblock and more stay apart once the reserve had one of them, or CMA has. */
function verifyUnmerged(walk: Walk, row: number, size: number, zone: number): void {
  const { m } = walk;
  const order = 31 - Math.clz32(size);
  if (order >= m.maxOrder || (order >= m.pageblockOrder && m.rule.highatomic)) return;
  const buddy = row ^ size;
  const words = zone * ZONE_WORDS;
  if (buddy < m.zone[words + Z_ROW] || buddy >= m.zone[words + Z_ROW_END]) return;
  if (m.state[buddy] !== (FREE | order)) return;
  const types = [m.blockType[row >> m.pageblockOrder], m.blockType[buddy >> m.pageblockOrder]];
  if (types[0] !== types[1] && types.includes(CMA)) return;
  report(walk, `B3: pfn ${pfnOf(m, row)} and its buddy are both free with order ${order}`);
}

function verifyConservation(walk: Walk, zone: number, taken: number): void {
  const { m } = walk;
  const free = walk.freeListed[zone] ?? 0;
  const pcp = walk.pcpListed[zone] ?? 0;
  const words = zone * ZONE_WORDS;
  const managed = m.zone[words + Z_MANAGED];
  if (free + pcp + taken !== managed) {
    const parts = `${free} free + ${pcp} per-CPU + ${taken} taken`;
    report(walk, `F4: zone ${zone} has ${parts} pages, and manages ${managed}`);
  }
  const present = m.zone[words + Z_PRESENT];
  const spanned = m.zone[words + Z_SPANNED];
  if (managed > present || present > spanned) {
    report(walk, `F5: zone ${zone} manages ${managed} of ${present} present, ${spanned} spanned`);
  }
}

function verifyTotals(walk: Walk): void {
  const { m } = walk;
  const highatomic = m.names.map(() => 0);
  for (let block = m.firstRow >> m.pageblockOrder; block < m.blockType.length; block++) {
    const zone = m.blockZone[block];
    if (m.blockType[block] === HIGHATOMIC && zone !== MIXED) {
      highatomic[zone] = (highatomic[zone] ?? 0) + (1 << m.pageblockOrder);
    }
  }
  for (const zone of m.names.keys()) {
    const words = zone * ZONE_WORDS;
    let counted = m.zone[words + Z_FREE];
    let lent = m.zone[words + Z_FREE_CMA];
    for (let cpu = 0; cpu < m.cpuCount; cpu++) {
      counted += m.pcp[(zone * m.cpuCount + cpu) * PCP_WORDS + P_DRIFT];
      lent += m.pcp[(zone * m.cpuCount + cpu) * PCP_WORDS + P_DRIFT_CMA];
    }
    const listed = (walk.freeListed[zone] ?? 0) - (walk.isolatedListed[zone] ?? 0);
    if (counted !== listed) {
      report(walk, `C1: zone ${zone} counts ${counted} free pages, its lists have ${listed}`);
    }
    const cma = walk.cmaListed[zone] ?? 0;
    if (m.cma && lent !== cma) {
      report(walk, `C2: zone ${zone} counts ${lent} free CMA pages, its lists have ${cma}`);
    }
    const reserved = m.zone[words + Z_HIGHATOMIC];
    const kept = highatomic[zone] ?? 0;
    if (reserved < kept && !sharesPageblock(m)) {
      report(walk, `H1: zone ${zone} reserves ${reserved} pages, HighAtomic blocks have ${kept}`);
    }
  }
}

/**
 * Whether a zone boundary cuts a pageblock: each zone then changes the type for both and counts
 * for itself, here as in the kernel.
 */
function sharesPageblock(m: Memory): boolean {
  const starts = new Set<number>();
  for (const zone of m.names.keys()) {
    const words = zone * ZONE_WORDS;
    const first = m.zone[words + Z_ROW];
    const end = m.zone[words + Z_ROW_END];
    if (first === end) continue;
    const blocks = new Set([first >> m.pageblockOrder, (end - 1) >> m.pageblockOrder]);
    for (const block of blocks) {
      if (starts.has(block)) return true;
      starts.add(block);
    }
  }
  return false;
}

/** I2: what is not marked was never written. */
function verifyUntouched(walk: Walk): void {
  const { m } = walk;
  if (m.rows > UNTOUCHED_ROWS_MAX) return;
  const size = 1 << m.sectionShift;
  for (let base = m.firstRow; base < m.rows; base += size) {
    if (m.touched[base >> m.sectionShift] !== 0) continue;
    for (let row = base; row < base + size; row++) {
      if (m.state[row] === 0 && m.next[row] === 0 && m.prev[row] === 0) continue;
      report(walk, `I2: row ${row} is written, its section is not marked`);
      return;
    }
  }
}
