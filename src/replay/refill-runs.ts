/**
 * Runs of refilled blocks in a recording, held back until the event behind them tells whose they
 * were: a request's, whose page comes first, or those of a bulk call that no probe recorded.
 *
 * A run's length tells, too, how far a tuned pageset had adapted: alloc_factor is in no snapshot,
 * and frees halve it, so that it depends on the bulk call's exact moment. Where ours would be
 * refilled by another number of pages, ours is set right.
 *
 * Linux: __alloc_pages_bulk(), nr_pcp_alloc(), mm/page_alloc.c
 */
import { type Memory, P_FACTOR, PCP_WORDS } from "../mm/memory.ts";
import { refillOfFactor } from "../mm/pcp.ts";
import { CMA } from "../mm/rule.ts";
import { SCALE_MAX } from "../mm/words.ts";
import type { ReplayEvent } from "./event.ts";

export interface Run {
  /** Blocks that no request explains, and those of the request whose page is the first of them. */
  readonly bulk: readonly ReplayEvent[];
  readonly own: readonly ReplayEvent[];
}

const NONE: readonly ReplayEvent[] = [];

export class RefillRuns {
  /** By CPU: single pages that the recording told since the CPU's last other event. */
  readonly #runs: ReplayEvent[][] = [];

  /**
   * A refill, or a fallback, whose page comes without one where its block is claimed whole or gives
   * no more than that page. `type` is ours. Refills with CMA pages are not flagged as such.
   */
  note(e: ReplayEvent, type: number): void {
    if (e.order !== 0 || (e.kind === "refill" && !e.flag && type !== CMA)) return;
    this.#runs[e.cpu] ??= [];
    const run = this.#runs[e.cpu];
    if (e.kind === "refill" || run.at(-1)?.pfn !== e.pfn) run.push(e);
  }

  /** The CPU's run, parted at the page of the request that comes next; null for no run. */
  end(cpu: number, request: ReplayEvent | undefined): Run | null {
    const run = this.#runs[cpu] ?? NONE;
    if (run.length === 0) return null;
    this.#runs[cpu] = [];
    const at = request?.order === 0 ? run.findIndex(({ pfn }) => pfn === request.pfn) : -1;
    return at < 0 ? { bulk: run, own: NONE } : { bulk: run.slice(0, at), own: run.slice(at) };
  }
}

/**
 * Sets this CPU's alloc_factor so that refills one after the other take `pages` together, or just
 * one when `once`. Returns whether it had to, and could.
 */
export function adaptFactor(m: Memory, zone: number, pages: number, once: boolean): boolean {
  if (m.rule.pcp !== "tuned") return false;
  const at = (zone * m.cpuCount + m.cpu) * PCP_WORDS + P_FACTOR;
  const own = m.pcp[at];
  for (let i = 0; i <= SCALE_MAX; i++) {
    const factor = (own + i) % (SCALE_MAX + 1);
    if (!fits(m, zone, factor, pages, once)) continue;
    m.pcp[at] = factor;
    return factor !== own;
  }
  return false;
}

function fits(m: Memory, zone: number, first: number, pages: number, once: boolean): boolean {
  let sum = 0;
  for (let factor = first; sum < pages; factor++) {
    sum += refillOfFactor(m, zone, Math.min(factor, SCALE_MAX));
    if (once) break;
  }
  return sum === pages;
}
