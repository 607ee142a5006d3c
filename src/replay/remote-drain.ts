/**
 * Drains that no free of ours explains: somebody emptied a CPU's lists, or the
 * statistics worker shortened them. That it happened, and how many pages went,
 * is told by the recording; whose lists they were is found by what they hold:
 * the drained pages themselves are not looked at.
 *
 *   all of a pageset    its count is not above the run, and its last page has the first
 *                       drain's order; of several the first zone of the drainer's own CPU
 *   a decay (6.7+)      what a decay would give back is the run
 *   another node's      the worker gives back a batch of what the CPU keeps of far memory and does not use
 *
 * Linux: drain_pages_zone(), decay_pcp_high(), drain_zone_pages(), mm/page_alloc.c;
 * refresh_cpu_vm_stats(), mm/vmstat.c
 */

import { decayPcp, drainFrom } from "../mm/drain.ts";
import {
  type Memory,
  ORDER_MASK,
  P_BATCH,
  P_COUNT,
  P_HIGH,
  P_HIGH_MIN,
  PCP_HUGE_LIST,
  PCP_LISTS,
  PCP_WORDS,
  Z_NODE,
  ZONE_WORDS,
} from "../mm/memory.ts";
import { PCP_TYPES } from "../mm/rule.ts";
import { SCALE_MAX } from "../mm/words.ts";
import type { ReplayEvent } from "./event.ts";

export type DrainKind = "remote" | "decay";

/** Does what the run of `pages` drained pages that begins with `e` shows; null when no pageset can be it. */
export function drainOutside(
  m: Memory,
  e: ReplayEvent,
  type: number,
  pages: number,
): DrainKind | null {
  const whole: number[] = [];
  const decayed: number[] = [];
  const far: number[] = [];
  for (let zone = 0; zone < m.zoneCount; zone++) {
    for (let step = 0; step < m.cpuCount; step++) {
      const set = zone * m.cpuCount + ((e.cpu + step) % m.cpuCount);
      const count = m.pcp[set * PCP_WORDS + P_COUNT];
      if (count === 0 || !startsWith(m, set, e.order, type)) continue;
      if (count <= pages) whole.push(set);
      else if (step === 0 && isFar(m, set, zone, pages)) far.push(set);
      else if (m.rule.pcp === "tuned" && decaySize(m, set) === pages) decayed.push(set);
    }
  }
  const exact = whole.find((set) => m.pcp[set * PCP_WORDS + P_COUNT] === pages);
  const set = exact ?? whole[0];
  if (set !== undefined) {
    const count = m.pcp[set * PCP_WORDS + P_COUNT];
    drainFrom(m, Math.floor(set / m.cpuCount), set % m.cpuCount, count, 0);
    return "remote";
  }
  if (far.length > 0) {
    const batch = m.pcp[far[0] * PCP_WORDS + P_BATCH];
    drainFrom(m, Math.floor(far[0] / m.cpuCount), e.cpu, batch, 0);
    return "decay";
  }
  if (decayed.length === 0) return null;
  decayPcp(m, Math.floor(decayed[0] / m.cpuCount), decayed[0] % m.cpuCount);
  return "decay";
}

/** Whether the zone is of another node than this CPU, and the run has a batch of it. */
function isFar(m: Memory, set: number, zone: number, pages: number): boolean {
  const node = m.nodes[m.cpuPlace[m.cpu]];
  return m.zone[zone * ZONE_WORDS + Z_NODE] !== node && m.pcp[set * PCP_WORDS + P_BATCH] <= pages;
}

/** Whether a drain of the pageset from its first list on begins with such a block. */
function startsWith(m: Memory, set: number, order: number, type: number): boolean {
  for (let list = 0; list < PCP_LISTS; list++) {
    const head = m.pcpHeads + set * PCP_LISTS + list;
    const row = m.prev[head];
    if (row === head) continue;
    const own = list < PCP_HUGE_LIST ? Math.floor(list / PCP_TYPES) : m.pageblockOrder;
    const told = m.rule.mergeRetypes
      ? m.blockType[row >> m.pageblockOrder]
      : m.state[row] & ORDER_MASK;
    return own === order && told === type;
  }
  return false;
}

/** Pages that a decay gives back. Linux: decay_pcp_high() */
function decaySize(m: Memory, set: number): number {
  const at = set * PCP_WORDS;
  const count = m.pcp[at + P_COUNT];
  let high = m.pcp[at + P_HIGH];
  const least = m.pcp[at + P_HIGH_MIN];
  if (high > least) {
    high = Math.max(count - (m.pcp[at + P_BATCH] << SCALE_MAX), high - (high >> 3), least);
  }
  return count - high;
}
