/**
 * After a worker died: what it held goes back to the zones, and what it was in
 * the middle of is put right.
 *
 * The state of the frames is the truth, lists and counts are derived from it. A
 * page is the dead CPU's when `owner` says so. Pages can only have got lost under
 * a zone lock (S1): if the dead CPU holds that of a zone, the zone's free lists
 * are built anew from its frames, and RAM that no block covers is free.
 *
 * A CPU of a kernel does not die alone; what is like it there is one that goes offline.
 *
 * Linux: page_alloc_cpu_dead(), mm/page_alloc.c
 */
import { assert } from "../base/assert.ts";
import { linkTail } from "./buddy.ts";
import { endLoan, stopAsking } from "./drain-all.ts";
import { restoreBlocks } from "./isolate.ts";
import { inheritLock, lockHolder, nap, tryLock, unlockZone } from "./lock.ts";
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
  pfnOf,
  rowOf,
  TAKEN,
  Z_BLOCKS,
  Z_FREE,
  Z_FREE_CMA,
  Z_HIGHATOMIC,
  Z_ORDERS_OF,
  ZONE_WORDS,
  zoneOf,
} from "./memory.ts";
import { breakLock } from "./page-lock.ts";
import { returnToZone } from "./queue.ts";
import { CMA, HIGHATOMIC, ISOLATE, TYPE_COUNT } from "./rule.ts";
import {
  borrowedState,
  borrowerOf,
  C_ASKED,
  C_ISOLATED_FROM,
  C_ISOLATED_TO,
  C_ISOLATED_TYPE,
  C_SERVED,
  C_STATE,
  CPU_OFFLINE,
  isBorrowed,
  lineOf,
  stateBefore,
} from "./share-words.ts";
import { ORDERS } from "./words.ts";

/** Times that a lock which a living CPU holds is tried, or lists that one borrowed: 5 ms each. */
const TRIES = 1000;
const NAP = 5;

/** What `recover` gave back. */
export interface Recovered {
  /** Blocks that the workers had allocated and nobody had freed, by ascending pfn. */
  readonly held: readonly { readonly pfn: number; readonly order: number }[];
  /** Pages on their per-CPU lists, and on lists that they had borrowed. */
  readonly stocked: number;
  /** Pages that were on their way between lists. */
  readonly inFlight: number;
}

/** How a zone looks to whoever walks its frames: heads of blocks, and RAM that has none. */
interface Found {
  readonly free: { readonly row: number; readonly kind: number; readonly order: number }[];
  /** Taken by a dead CPU. */
  readonly held: number[];
  /** On lists that are not to be trusted. */
  readonly stocked: number[];
  readonly gaps: { readonly row: number; readonly end: number }[];
}

/**
 * Puts a shared memory right after the workers that were these CPUs are gone for
 * good: call it when they have ended, not before, and with all that have. Others
 * may go on meanwhile. Asserts that the dead are other CPUs than the caller's, and
 * that nobody else keeps a zone's lock for seconds: that one must have died too.
 */
export function recover(m: Memory, dead: readonly number[]): Recovered {
  const { cpus } = m;
  assert(cpus !== null, "this memory was not made with shared: true");
  for (const cpu of dead) {
    assert(cpu !== m.cpu && cpu >= 0 && cpu < m.cpuCount, "no other CPU", cpu);
  }
  const lent = new Map(
    [...dead].sort((a, b) => a - b).map((cpu) => [cpu, claim(m, cpus, cpu, dead)]),
  );
  const borrowed = borrowedBy(m, cpus, dead).filter((cpu) => !lent.has(cpu));
  for (const cpu of borrowed) lent.set(cpu, claim(m, cpus, cpu, dead));
  const broken = new Set(lent.keys());
  const held: { pfn: number; order: number }[] = [];
  let stocked = 0;
  let inFlight = 0;
  for (let zone = 0; zone < m.zoneCount; zone++) {
    const isLost = takeLock(m, zone, dead);
    const found = walkZone(m, zone, dead, broken);
    if (isLost) {
      rebuildFree(m, zone, found);
      for (const { row, end } of found.gaps) {
        inFlight += end - row;
        giveRun(m, zone, row, end);
      }
    }
    for (const cpu of dead) endIsolation(m, cpus, zone, cpu);
    for (const row of found.held) {
      held.push({ pfn: pfnOf(m, row), order: m.state[row] & ORDER_MASK });
      returnToZone(m, zone, row, m.state[row] & ORDER_MASK);
    }
    for (const row of found.stocked) {
      const order = m.owner[row] & ORDER_MASK;
      stocked += 1 << order;
      returnToZone(m, zone, row, order);
    }
    for (const cpu of broken) emptyLists(m, zone, cpu);
    unlockZone(m, zone);
  }
  for (const cpu of dead) {
    const line = lineOf(cpu);
    Atomics.store(cpus, line + C_SERVED, Atomics.load(cpus, line + C_ASKED));
    Atomics.notify(cpus, line + C_SERVED);
    stopAsking(m, cpus, cpu);
  }
  for (const [cpu, state] of lent) {
    endLoan(cpus, cpu, state, dead.includes(cpu) ? CPU_OFFLINE : stateBefore(state));
  }
  return { held, stocked, inFlight };
}

/**
 * Borrows a CPU, after whoever is at it and alive. Returns its state then. Nobody can attach as it or
 * empty its lists meanwhile; should this worker die too, that can be told from the state.
 */
function claim(m: Memory, cpus: Int32Array, cpu: number, dead: readonly number[]): number {
  const at = lineOf(cpu) + C_STATE;
  for (let tries = 0; ; tries++) {
    const seen = Atomics.load(cpus, at);
    if (isBorrowed(seen) && !dead.includes(borrowerOf(seen))) {
      assert(tries < TRIES, "its lists are borrowed: has this CPU died too?", borrowerOf(seen));
      nap(cpus, at, seen, NAP);
      continue;
    }
    const before = isBorrowed(seen) ? stateBefore(seen) : seen;
    const lent = borrowedState(before, m.cpu);
    if (Atomics.compareExchange(cpus, at, seen, lent) === seen) return lent;
  }
}

/** Pageblocks that the dead CPU kept for itself are open again. Under the zone's lock. */
function endIsolation(m: Memory, cpus: Int32Array, zone: number, cpu: number): void {
  const line = lineOf(cpu);
  const from = cpus[line + C_ISOLATED_FROM];
  const type = cpus[line + C_ISOLATED_TYPE] - 1;
  if (type < 0 || zoneOf(m, from) !== zone) return;
  restoreBlocks(m, from, cpus[line + C_ISOLATED_TO], type);
  cpus[line + C_ISOLATED_TYPE] = 0;
}

/** A zone's lock, from the dead where one of them has it: returns whether. */
function takeLock(m: Memory, zone: number, dead: readonly number[]): boolean {
  for (let tries = 0; ; tries++) {
    const holder = lockHolder(m, zone);
    if (dead.includes(holder) && inheritLock(m, zone, holder)) return true;
    if (tryLock(m, zone)) return false;
    assert(tries < TRIES, "a zone's lock is never given back: has this CPU died too?", holder);
  }
}

/** CPUs whose lists the dead one was emptying. */
function borrowedBy(m: Memory, cpus: Int32Array, dead: readonly number[]): number[] {
  const found: number[] = [];
  for (let cpu = 0; cpu < m.cpuCount; cpu++) {
    const state = Atomics.load(cpus, lineOf(cpu) + C_STATE);
    if (isBorrowed(state) && dead.includes(borrowerOf(state))) found.push(cpu);
  }
  return found;
}

/** Every RAM frame of a zone: which block it is in, or that it is in none. */
function walkZone(
  m: Memory,
  zone: number,
  dead: readonly number[],
  broken: ReadonlySet<number>,
): Found {
  const found: Found = { free: [], held: [], stocked: [], gaps: [] };
  for (const { start, end } of m.spec.zones[zone]?.ram ?? []) {
    for (let pfn = start; pfn < end; ) {
      const row = rowOf(m, pfn);
      const sectionEnd = (row | m.sectionMask) + 1;
      const last = Math.min(row + (end - pfn), sectionEnd);
      pfn += walkRows(m, dead, broken, row, last, found) - row;
    }
  }
  return found;
}

/** The same for neighbouring rows. Returns the row after the last block that was met. */
function walkRows(
  m: Memory,
  dead: readonly number[],
  broken: ReadonlySet<number>,
  first: number,
  end: number,
  found: Found,
): number {
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
      const isHeld = dead.includes(owner - 1);
      if (isHeld) found.held.push(row);
      if (isHeld || dead.includes(m.pageLock[row] - 1)) breakLock(m, row);
    }
    if (kind === EXTENT) row = m.next[row + 1];
    else row += 1 << (kind === PCP ? m.owner[row] & ORDER_MASK : low);
  }
  return row;
}

/** Free lists and counts of a zone anew, from the blocks that were found. */
function rebuildFree(m: Memory, zone: number, found: Found): void {
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
function giveRun(m: Memory, zone: number, first: number, end: number): void {
  for (let row = first; row < end; ) {
    let order = Math.min(m.maxOrder, 31 - Math.clz32(row & -row));
    while (row + (1 << order) > end) order--;
    // The rest of an extent may reach into memory that nobody had touched.
    m.touched[row >> m.sectionShift] = 1;
    returnToZone(m, zone, row, order);
    row += 1 << order;
  }
}

function emptyLists(m: Memory, zone: number, cpu: number): void {
  const set = zone * m.cpuCount + cpu;
  for (let list = 0; list < PCP_LISTS; list++) {
    const head = m.pcpHeads + set * PCP_LISTS + list;
    m.next[head] = head;
    m.prev[head] = head;
  }
  m.pcp[set * PCP_WORDS + P_COUNT] = 0;
}
