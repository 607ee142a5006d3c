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
  PCP_LISTS,
  PCP_WORDS,
  pcpListOrder,
  Z_NODE,
  ZONE_WORDS,
} from "../mm/memory.ts";

import { SCALE_MAX } from "../mm/words.ts";
import type { ReplayEvent } from "./event.ts";

export interface OutsideDrain {
  readonly kind: "remote" | "decay";
  readonly zone: number;
  readonly cpu: number;
}

/** Does what the run of drained pages that begins with `e` shows; null when no pageset can be it. */
export function drainOutside(m: Memory, e: ReplayEvent, type: number): OutsideDrain | null {
  const pages = e.drainRun;
  const tuned = m.rule.pcp === "tuned";
  const whole: number[] = [];
  const decayed: number[] = [];
  const far: number[] = [];
  for (const set of setsAt(m, e, type)) {
    const count = m.pcp[set * PCP_WORDS + P_COUNT];
    if (count <= pages) whole.push(set);
    else if (set % m.cpuCount === e.cpu && isFar(m, set, pages)) far.push(set);
    else if (tuned && decaySize(m, set) === pages) decayed.push(set);
  }
  const exact = whole.find((set) => m.pcp[set * PCP_WORDS + P_COUNT] === pages);
  const set = exact ?? whole[0];
  if (set !== undefined) {
    const own = placeOf(m, set);
    drainFrom(m, own.zone, own.cpu, m.pcp[set * PCP_WORDS + P_COUNT], 0);
    return { kind: "remote", ...own };
  }
  if (far.length > 0) {
    const own = placeOf(m, far[0]);
    drainFrom(m, own.zone, own.cpu, m.pcp[far[0] * PCP_WORDS + P_BATCH], 0);
    return { kind: "decay", ...own };
  }
  if (decayed.length === 0) return null;
  const own = placeOf(m, decayed[0]);
  decayPcp(m, own.zone, own.cpu);
  return { kind: "decay", ...own };
}

/** Zone and CPU of a pageset. */
export function placeOf(m: Memory, set: number): { zone: number; cpu: number } {
  return { zone: Math.floor(set / m.cpuCount), cpu: set % m.cpuCount };
}

/** Pagesets whose drain from the first list on would begin as `e` tells; the CPU's own first. */
export function setsAt(m: Memory, e: ReplayEvent, type: number): number[] {
  const sets: number[] = [];
  for (let zone = 0; zone < m.zoneCount; zone++) {
    for (let step = 0; step < m.cpuCount; step++) {
      const set = zone * m.cpuCount + ((e.cpu + step) % m.cpuCount);
      if (m.pcp[set * PCP_WORDS + P_COUNT] > 0 && startsWith(m, set, e.order, type)) sets.push(set);
    }
  }
  return sets;
}

/** Whether the zone is of another node than this CPU, and the run has a batch of it. */
function isFar(m: Memory, set: number, pages: number): boolean {
  const zone = Math.floor(set / m.cpuCount);
  const node = m.nodes[m.cpuPlace[m.cpu]];
  return m.zone[zone * ZONE_WORDS + Z_NODE] !== node && m.pcp[set * PCP_WORDS + P_BATCH] <= pages;
}

/** Whether a drain of the pageset from its first list on begins with such a block. */
function startsWith(m: Memory, set: number, order: number, type: number): boolean {
  for (let list = 0; list < PCP_LISTS; list++) {
    const head = m.pcpHeads + set * PCP_LISTS + list;
    const row = m.prev[head];
    if (row === head) continue;
    const own = pcpListOrder(m, list);
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
