/**
 * Changes to a memory's lists that no call of the allocator makes: a page that
 * a recording shows in other hands than ours is put there.
 *
 *   S1  P_COUNT, Z_FREE and Z_BLOCKS follow every change, so `verify` stays content
 */
import { freePages } from "../mm/allocate.ts";
import { giveBlock, linkHead, unlink } from "../mm/buddy.ts";
import {
  FREE,
  KIND_MASK,
  type Memory,
  MOBILE,
  ORDER_MASK,
  P_COUNT,
  PCP,
  PCP_HUGE_LIST,
  PCP_LISTS,
  PCP_WORDS,
  pcpListOrder,
  rowOf,
  TAKEN,
  zoneOf,
} from "../mm/memory.ts";
import { countPages } from "../mm/queue.ts";
import { MOVABLE, PCP_TYPES } from "../mm/rule.ts";

/**
 * Whether (row, order) lies in one zone of the memory and is aligned to its size. Blocks above
 * the largest order come back whole only where pageblocks are freed one by one.
 */
export function isBlock(m: Memory, row: number, order: number): boolean {
  if (row < m.firstRow || order > ORDER_MASK || (row & ((1 << order) - 1)) !== 0) return false;
  if (order > m.maxOrder && !m.rule.mergeRetypes) return false;
  const zone = zoneOf(m, row);
  const end = row + (1 << order) - 1;
  return zone < m.zoneCount && zone >= 0 && end < m.rows && zoneOf(m, end) === zone;
}

/** Whether (row, order) is one taken block; a row of -1 is none. */
export function isTaken(m: Memory, row: number, order: number): boolean {
  return row >= 0 && (m.state[row] | (TAKEN ^ MOBILE)) === (MOBILE | order);
}

/**
 * Makes (row, order) one taken block, as its owner has it: taken before the
 * recording began, split since, or taken by somebody who was not recorded.
 * Returns whether it had to come off a list of ours.
 */
export function settle(m: Memory, row: number, order: number): boolean {
  if (isTaken(m, row, order)) return false;
  const listed = takeOff(m, row, order);
  splitTaken(m, row);
  const movable = (m.state[row] & KIND_MASK) === MOBILE;
  m.state.fill(0, row, row + (1 << order));
  m.state[row] = (movable ? MOBILE : TAKEN) | order;
  return listed;
}

/** A taken block that holds `row` becomes single pages. */
function splitTaken(m: Memory, row: number): void {
  for (let order = 1; order <= ORDER_MASK; order++) {
    const head = row & ~((1 << order) - 1);
    if (head < m.firstRow) return;
    const state = m.state[head];
    const kind = state & KIND_MASK;
    if ((kind !== TAKEN && kind !== MOBILE) || (state & ORDER_MASK) < order) continue;
    m.state.fill(kind, head, head + (1 << (state & ORDER_MASK)));
    return;
  }
}

/** Takes every page of a block off the list it is on. Returns whether there was one. */
export function takeOff(m: Memory, row: number, order: number): boolean {
  if (isInFree(m, row, order)) return takeOne(m, row, order);
  let listed = breakStock(m, row);
  for (let at = row; at < row + (1 << order); ) {
    const state = m.state[at];
    const kind = state & KIND_MASK;
    if (kind === FREE) {
      const own = state & ORDER_MASK;
      listed = takeOne(m, at, own) || listed;
      at += 1 << own;
    } else if (kind === PCP) {
      const size = 1 << stockOrder(m, stockList(m, at));
      listed = takeOne(m, at, 0) || listed;
      at += size;
    } else at++;
  }
  return listed;
}

/** A larger block on a per-CPU list that holds `row` becomes single taken pages. */
function breakStock(m: Memory, row: number): boolean {
  for (let order = 1; order <= m.pageblockOrder; order++) {
    const head = row & ~((1 << order) - 1);
    if (head < m.firstRow || (m.state[head] & KIND_MASK) !== PCP) continue;
    const own = stockOrder(m, stockList(m, head));
    if (own < order) continue;
    unstock(m, head);
    m.state.fill(TAKEN, head, head + (1 << own));
    return true;
  }
  return false;
}

/** Whether a list of ours holds (row, order): a free list all of it, or a per-CPU list its head. */
export function isListed(m: Memory, row: number, order: number): boolean {
  return (m.state[row] & KIND_MASK) === PCP || isInFree(m, row, order);
}

/** Whether a free block of this order or a larger one holds `row`. */
function isInFree(m: Memory, row: number, order: number): boolean {
  for (let own = order; own <= m.maxOrder; own++) {
    if (m.state[row & ~((1 << own) - 1)] === (FREE | own)) return true;
  }
  return false;
}

/**
 * Takes (row, order) out of the free block that holds it, as a request of `type` does: the rest goes
 * to the lists of that type; since 6.10 to those of the pageblock.
 */
export function takeFree(m: Memory, row: number, order: number, type: number): boolean {
  return isInFree(m, row, order) && takeOne(m, row, order, m.rule.mergeRetypes ? -1 : type);
}

function takeOne(m: Memory, row: number, order: number, rest = -1): boolean {
  if ((m.state[row] & KIND_MASK) === PCP) {
    unstock(m, row);
    return true;
  }
  const zone = zoneOf(m, row);
  for (let own = order; own <= m.maxOrder; own++) {
    let head = row & ~((1 << own) - 1);
    if (m.state[head] !== (FREE | own)) continue;
    const type = rest < 0 ? m.blockType[head >> m.pageblockOrder] : rest;
    unlink(m, zone, head, own);
    while (own > order) {
      own--;
      const upper = head + (1 << own);
      if (row >= upper) {
        linkHead(m, zone, head, own, type);
        head = upper;
      } else linkHead(m, zone, upper, own, type);
    }
    m.state[row] = 0;
    countPages(m, zone, row, -(1 << order));
    return true;
  }
  return false;
}

/** Head of the list that a row is on. */
export function headOf(m: Memory, row: number): number {
  let head = m.next[row];
  while (head >= m.firstRow) head = m.next[head];
  return head;
}

/** Number of the per-CPU list that a row is on, counted from the first of all. */
export function stockList(m: Memory, row: number): number {
  return headOf(m, row) - m.pcpHeads;
}

/** Order of the blocks on a list that `stockList` numbers. */
export function stockOrder(m: Memory, stock: number): number {
  return pcpListOrder(m, stock % PCP_LISTS);
}

function unstock(m: Memory, row: number): void {
  const stock = stockList(m, row);
  const before = m.prev[row];
  const after = m.next[row];
  m.next[before] = after;
  m.prev[after] = before;
  m.pcp[Math.floor(stock / PCP_LISTS) * PCP_WORDS + P_COUNT] -= 1 << stockOrder(m, stock);
  m.state[row] = 0;
}

/**
 * After a wrong answer: the recorded page is taken from where it lies, and ours
 * goes back to where it came from. `own` is -1 when we answered with none.
 */
function mend(m: Memory, own: number, real: number, order: number, movable: boolean): void {
  const state = own < 0 ? (movable ? MOBILE : TAKEN) | order : m.state[own];
  takeOff(m, real, order);
  splitTaken(m, real);
  if (own >= 0) putBack(m, own, order);
  m.state.fill(0, real, real + (1 << order));
  m.state[real] = state;
}

/**
 * `mend` by pfns, -1 for none: the page that we answered with, as far as it is still taken, and the
 * recorded one, as far as it is one.
 */
export function mendAnswer(
  m: Memory,
  own: number,
  real: number,
  order: number,
  movable: boolean,
): void {
  const row = own < 0 ? -1 : rowOf(m, own);
  const realRow = real < 0 ? -1 : rowOf(m, real);
  // What was taken early may be freed by now: a recording that was right would not free it.
  const kept = isTaken(m, row, order);
  if (isBlock(m, realRow, order)) mend(m, kept ? row : -1, realRow, order, movable);
  else if (kept) freePages(m, own, order);
}

/** A block of no list becomes free in its zone, whatever its pages were. */
export function giveToZone(m: Memory, row: number, order: number, type: number): void {
  const zone = zoneOf(m, row);
  m.state.fill(0, row, row + (1 << order));
  countPages(m, zone, row, 1 << order);
  giveBlock(m, zone, row, order, type, false);
}

/** A block of no list becomes the last of a per-CPU list, freed as `type`. */
export function stockTail(
  m: Memory,
  stock: number,
  row: number,
  order: number,
  type: number,
): void {
  const head = m.pcpHeads + stock;
  const last = m.prev[head];
  m.next[row] = head;
  m.prev[row] = last;
  m.next[last] = row;
  m.prev[head] = row;
  m.state[row] = PCP | type;
  m.pcp[Math.floor(stock / PCP_LISTS) * PCP_WORDS + P_COUNT] += 1 << order;
}

/** A block that lies on a per-CPU list of ours goes to the free list of `type`. Returns whether it lay there. */
export function putDown(m: Memory, row: number, order: number, type: number): boolean {
  if (!isBlock(m, row, order) || (m.state[row] & KIND_MASK) !== PCP) return false;
  // Made whole first: its other pages may be somebody's here.
  settle(m, row, order);
  giveToZone(m, row, order, type);
  return true;
}

/** A taken block of ours becomes the first of the list that serves such requests. */
export function putBack(m: Memory, row: number, order: number): void {
  const zone = zoneOf(m, row);
  const movable = (m.state[row] & KIND_MASK) === MOBILE;
  const type = m.blockType[row >> m.pageblockOrder];
  m.state[row] = 0;
  const list = order > m.pageblockOrder ? -1 : m.pcpListOf[order * 8 + (movable ? MOVABLE : type)];
  if (list === undefined || list < 0) {
    giveToZone(m, row, order, type);
    return;
  }
  const set = zone * m.cpuCount + m.cpu;
  const head = m.pcpHeads + set * PCP_LISTS + list;
  const first = m.next[head];
  m.next[row] = first;
  m.prev[row] = head;
  m.prev[first] = row;
  m.next[head] = row;
  m.state[row] = PCP | (list < PCP_HUGE_LIST ? list % PCP_TYPES : movable ? MOVABLE : 0);
  m.pcp[set * PCP_WORDS + P_COUNT] += 1 << order;
}
