/**
 * Movable requests have CMA pages first while these are more than half of what is
 * free, by counts that each CPU keeps a little of back. Once a second or so it
 * gives that up, which no recording tells; at the half the recorded types of a
 * refill's pages tell how much it kept back.
 *
 * Linux: __rmqueue(), mm/page_alloc.c; refresh_cpu_vm_stats(), mm/vmstat.c
 */
import {
  type Memory,
  P_DRIFT,
  P_DRIFT_CMA,
  PCP_WORDS,
  Z_FREE,
  Z_FREE_CMA,
  Z_ORDERS_OF,
  Z_THRESHOLD,
  ZONE_WORDS,
} from "../mm/memory.ts";
import { CMA, MOVABLE } from "../mm/rule.ts";
import type { ReplayEvent } from "./event.ts";

/** A count as all see it, and what this CPU keeps back of it. */
interface Count {
  sum: number;
  drift: number;
}

/**
 * Sets what this CPU keeps back of a zone's counts so that the next refill takes CMA pages where
 * the recorded one did, if ours would not. Returns whether it had to, and could.
 */
export function fitDrifts(m: Memory, zone: number, run: readonly ReplayEvent[]): boolean {
  const orders = zone * ZONE_WORDS + Z_ORDERS_OF;
  if (!m.cma || m.zone[orders + CMA] === 0 || m.zone[orders + MOVABLE] === 0) return false;
  const own = (zone * m.cpuCount + m.cpu) * PCP_WORDS;
  const words = zone * ZONE_WORDS;
  const free = m.zone[words + Z_FREE] + m.pcp[own + P_DRIFT];
  const cma = m.zone[words + Z_FREE_CMA] + m.pcp[own + P_DRIFT_CMA];
  const fits = (a: number, b: number): boolean =>
    takesLike(m, zone, run, { sum: free - a, drift: a }, { sum: cma - b, drift: b });
  if (fits(m.pcp[own + P_DRIFT], m.pcp[own + P_DRIFT_CMA])) return false;
  const most = m.zone[words + Z_THRESHOLD];
  for (let a = -most; a <= most; a++) {
    for (let b = -most; b <= most; b++) {
      if (!fits(a, b)) continue;
      m.zone[words + Z_FREE] = free - a;
      m.zone[words + Z_FREE_CMA] = cma - b;
      m.pcp[own + P_DRIFT] = a;
      m.pcp[own + P_DRIFT_CMA] = b;
      return true;
    }
  }
  return false;
}

/** Whether a refill that begins with these counts takes CMA pages where `run` has them. */
function takesLike(
  m: Memory,
  zone: number,
  run: readonly ReplayEvent[],
  free: Count,
  cma: Count,
): boolean {
  const threshold = m.zone[zone * ZONE_WORDS + Z_THRESHOLD];
  const each = m.rule.refillCountsEach;
  for (const { type } of run) {
    const lent = cma.sum > free.sum >> 1;
    if (lent !== (type === CMA)) return false;
    if (lent) takeOne(cma, threshold);
    if (each) takeOne(free, threshold);
  }
  return true;
}

function takeOne(count: Count, threshold: number): void {
  count.drift--;
  if (-count.drift <= threshold) return;
  count.sum += count.drift;
  count.drift = 0;
}
