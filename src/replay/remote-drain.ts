/**
 * Drains that no free of ours explains: somebody emptied a CPU's lists, or the
 * statistics worker shortened them. That it happened, and how many pages went,
 * is told by the recording; whose lists they were is found by what they hold:
 * the drained pages themselves are not looked at.
 *
 *   all of a pageset    its count is not above the run, and its last page has the first
 *                       drain's order; of several the first zone of the drainer's own CPU
 *   a decay (6.7+)      what a decay would give back is the run; or could be, had decays that gave
 *                       nothing back lowered the pageset's high before
 *   a full pageset      (6.7+) a free comes right before it, and what a free to a full pageset would
 *                       give back is the run, with its high lowered so
 *
 * Linux: drain_pages_zone(), decay_pcp_high(), mm/page_alloc.c
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
} from "../mm/memory.ts";
import { relieveFull } from "../mm/pcp.ts";
import { PCP_TYPES } from "../mm/rule.ts";
import { SCALE_MAX } from "../mm/words.ts";
import type { ReplayEvent } from "./event.ts";

export type DrainKind = "remote" | "decay" | "lowered";

/** Where the last free went that a per-CPU list took. */
export interface LastFree {
  readonly pid: number;
  readonly zone: number;
  readonly list: number;
}

/** Does what the run of `pages` drained pages that begins with `e` shows; null when no pageset can be it. */
export function drainOutside(
  m: Memory,
  e: ReplayEvent,
  type: number,
  pages: number,
  free: LastFree | null,
): DrainKind | null {
  const tuned = m.rule.pcp === "tuned";
  if (tuned && free?.pid === e.pid && relieveFull(m, free.zone, free.list, pages)) return "lowered";
  const whole: number[] = [];
  const decayed: number[] = [];
  const lowered: number[] = [];
  for (let zone = 0; zone < m.zoneCount; zone++) {
    for (let step = 0; step < m.cpuCount; step++) {
      const set = zone * m.cpuCount + ((e.cpu + step) % m.cpuCount);
      const count = m.pcp[set * PCP_WORDS + P_COUNT];
      if (count === 0 || !startsWith(m, set, e.order, type)) continue;
      if (count <= pages) whole.push(set);
      else if (tuned && decaySize(m, set) === pages) decayed.push(set);
      else if (tuned && mayDecayBy(m, set, pages)) lowered.push(set);
    }
  }
  const exact = whole.find((set) => m.pcp[set * PCP_WORDS + P_COUNT] === pages);
  const set = exact ?? whole[0];
  if (set !== undefined) {
    const count = m.pcp[set * PCP_WORDS + P_COUNT];
    drainFrom(m, Math.floor(set / m.cpuCount), set % m.cpuCount, count, 0);
    return "remote";
  }
  const [own] = decayed.length > 0 ? decayed : lowered;
  if (own === undefined) return null;
  const known = decayed.length > 0;
  decayPcp(m, Math.floor(own / m.cpuCount), own % m.cpuCount, known ? 0 : pages);
  return known ? "decay" : "lowered";
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

/** Whether a high that is below ours can have led to a decay by so many pages. */
function mayDecayBy(m: Memory, set: number, pages: number): boolean {
  const at = set * PCP_WORDS;
  const high = m.pcp[at + P_COUNT] - pages;
  const within = high >= m.pcp[at + P_HIGH_MIN] && high <= m.pcp[at + P_HIGH];
  return within && pages <= m.pcp[at + P_BATCH] << SCALE_MAX;
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
