/**
 * Emptying per-CPU lists: in part when they are too long, or for good.
 *
 * Linux: free_pcppages_bulk(), drain_pages(), decay_pcp_high(), mm/page_alloc.c
 */
import { assert } from "../base/assert.ts";
import { assertCpu, assertZone } from "./arguments.ts";
import { giveBlock } from "./buddy.ts";
import { lockZone, unlockZone } from "./lock.ts";
import {
  type Memory,
  ORDER_MASK,
  P_BATCH,
  P_COUNT,
  P_HIGH,
  P_HIGH_MIN,
  PCP_LISTS,
  PCP_WORDS,
  pcpListOrder,
} from "./memory.ts";
import { countPages, noteFreed } from "./queue.ts";
import { ISOLATE } from "./rule.ts";
import { borrowerOf, C_STATE, isBorrowed, lineOf } from "./share-words.ts";
import { SCALE_MAX } from "./words.ts";

/** Row of the head of a list of this CPU's pageset. */
function listHead(m: Memory, zone: number, cpu: number, list: number): number {
  return m.pcpHeads + (zone * m.cpuCount + cpu) * PCP_LISTS + list;
}

/**
 * Gives `pages` back to the zone, oldest first: all of `list`, then of the next
 * lists, round and round. Linux: free_pcppages_bulk(), mm/page_alloc.c
 */
export function drainFrom(m: Memory, zone: number, cpu: number, pages: number, list: number): void {
  if (pages <= 0) return;
  lockZone(m, zone);
  const words = (zone * m.cpuCount + cpu) * PCP_WORDS;
  let left = Math.min(pages, m.pcp[words + P_COUNT]);
  let at = list;
  while (left > 0) {
    const head = listHead(m, zone, cpu, at);
    const order = pcpListOrder(m, at);
    while (left > 0 && m.prev[head] !== head) {
      drainOne(m, zone, words, m.prev[head], order);
      left -= 1 << order;
    }
    at = at + 1 === PCP_LISTS ? 0 : at + 1;
  }
  unlockZone(m, zone);
}

/**
 * Up to 5.17: a block of each list in turn, from the second on; what an empty list does not give,
 * the next one does. Linux: free_pcppages_bulk(), mm/page_alloc.c
 */
export function drainRoundRobin(m: Memory, zone: number, cpu: number, pages: number): void {
  if (pages <= 0) return;
  lockZone(m, zone);
  if (m.rule.countsScanned) noteFreed(m, zone);
  const words = (zone * m.cpuCount + cpu) * PCP_WORDS;
  let left = Math.min(pages, m.pcp[words + P_COUNT]);
  const lists = m.rule.drainTurns;
  let list = 0;
  let share = 0;
  while (left > 0) {
    do {
      share++;
      list = list + 1 === lists ? 0 : list + 1;
    } while (isEmpty(m, zone, cpu, list));
    if (share === lists) share = left;
    const head = listHead(m, zone, cpu, list);
    const order = pcpListOrder(m, list);
    do {
      drainOne(m, zone, words, m.prev[head], order);
      left -= 1 << order;
      share--;
    } while (left > 0 && share > 0 && m.prev[head] !== head);
  }
  unlockZone(m, zone);
}

/** Lists of a rule that the engine has no row for are always empty. */
function isEmpty(m: Memory, zone: number, cpu: number, list: number): boolean {
  const head = listHead(m, zone, cpu, list);
  return list >= PCP_LISTS || m.prev[head] === head;
}

/** The last page of a list goes to the buddy, as the type it was freed with. */
function drainOne(m: Memory, zone: number, words: number, row: number, order: number): void {
  const before = m.prev[row];
  const after = m.next[row];
  m.next[before] = after;
  m.prev[after] = before;
  m.pcp[words + P_COUNT] -= 1 << order;
  // Since 6.10 lists keep to their pageblocks' type, whatever the page was taken or freed as.
  const block = m.blockType[row >> m.pageblockOrder];
  const kept = m.rule.mergeRetypes || block === ISOLATE;
  const type = kept ? block : m.state[row] & ORDER_MASK;
  m.state[row] = 0;
  m.events?.drain(zone, row, order, type);
  countPages(m, zone, row, 1 << order);
  giveBlock(m, zone, row, order, type, false);
}

/**
 * Empties the lists of one CPU, in the order of the era. In a shared memory asserts that they are this
 * CPU's own, or borrowed by it. Linux: drain_pages()
 */
export function drainCpu(m: Memory, cpu: number): void {
  assertOwn(m, cpu);
  for (let zone = 0; zone < m.zoneCount; zone++) {
    const pages = m.pcp[(zone * m.cpuCount + cpu) * PCP_WORDS + P_COUNT];
    if (m.rule.drainTurns > 0) drainRoundRobin(m, zone, cpu, pages);
    else drainFrom(m, zone, cpu, pages, 0);
  }
}

/** Lists of a CPU that runs are touched by nobody else. */
function assertOwn(m: Memory, cpu: number): void {
  assertCpu(m, cpu);
  if (m.cpus === null || cpu === m.cpu) return;
  const state = Atomics.load(m.cpus, lineOf(cpu) + C_STATE);
  const isLent = isBorrowed(state) && borrowerOf(state) === m.cpu;
  assert(isLent, "lists of another CPU: drainAllPages() asks for them", cpu);
}

/**
 * What the statistics worker does to tuned pagesets (6.7+) once in a while: an
 * eighth off `high`, and what is above it goes back to the zone. For those who
 * know how many `pages` went back, but not from which `high`: 0 when they do not.
 *
 * Linux: decay_pcp_high(), mm/page_alloc.c
 */
export function decayPcp(m: Memory, zone: number, cpu: number, pages: number = 0): void {
  assertZone(m, zone);
  assertOwn(m, cpu);
  assert(pages >>> 0 === pages, "a number of pages", pages);
  const { pcp } = m;
  const words = (zone * m.cpuCount + cpu) * PCP_WORDS;
  const batch = pcp[words + P_BATCH];
  const high = pcp[words + P_HIGH];
  const least = pcp[words + P_HIGH_MIN];
  if (pages > 0) pcp[words + P_HIGH] = pcp[words + P_COUNT] - pages;
  else if (high > least) {
    const floor = pcp[words + P_COUNT] - (batch << SCALE_MAX);
    pcp[words + P_HIGH] = Math.max(floor, high - (high >> 3), least);
  }
  let excess = pcp[words + P_COUNT] - pcp[words + P_HIGH];
  while (excess > 0) {
    const chunk = Math.min(excess, batch);
    drainFrom(m, zone, cpu, chunk, 0);
    excess -= chunk;
  }
}
