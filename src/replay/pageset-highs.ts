/**
 * Where a tuned pageset (6.7+) is full: its `high` is lowered once a second or so by a decay that
 * nobody records, and pages that bulk calls took unseen are still counted by us. What the recording
 * tells is whether blocks were drained right after a free, and how many: ours is set so that the
 * free does that, too.
 *
 *   lowered   the free, or a decay, gave pages back that ours would have kept
 *   raised    it gave nothing back where ours would have
 *   small     blocks of more than a page, freed in a row, empty a pageset of less than a batch too, or
 *             do not: that depends on the CPU's cache, which is in no snapshot
 *
 * Linux: nr_pcp_high(), free_unref_page_commit(), decay_pcp_high(), mm/page_alloc.c
 */
import { decayPcp } from "../mm/drain.ts";
import {
  type Memory,
  P_BATCH,
  P_COUNT,
  P_FREE_COUNT,
  P_FREED_HIGH_ORDER,
  P_HIGH,
  P_HIGH_MAX,
  P_HIGH_MIN,
  P_KEEPS_SMALL,
  PCP_WORDS,
  Z_FLAGS,
  ZONE_WORDS,
} from "../mm/memory.ts";
import { relieveFull } from "../mm/pcp.ts";
import { SCALE_MAX } from "../mm/words.ts";
import type { ReplayEvent } from "./event.ts";
import { type OutsideDrain, placeOf, setsAt } from "./remote-drain.ts";
import type { Score } from "./score.ts";

/** Where the last free went that a per-CPU list took. */
export interface LastFree {
  readonly pid: number;
  readonly zone: number;
  readonly list: number;
}

/** A drain right after that free, which filled the pageset then. Returns whether it is one. */
export function drainFull(m: Memory, e: ReplayEvent, free: LastFree | null, score: Score): boolean {
  if (m.rule.pcp !== "tuned" || free?.pid !== e.pid) return false;
  if (!relieveFull(m, free.zone, free.list, e.drainRun)) return false;
  score.assumptions.loweredHighs++;
  return true;
}

/** A drain that a decay explains whose high was below ours; null where there can be none. */
export function decayLowered(
  m: Memory,
  e: ReplayEvent,
  type: number,
  score: Score,
): OutsideDrain | null {
  if (m.rule.pcp !== "tuned") return null;
  const set = setsAt(m, e, type).find((own) => {
    const at = own * PCP_WORDS;
    const high = m.pcp[at + P_COUNT] - e.drainRun;
    const within = high >= m.pcp[at + P_HIGH_MIN] && high <= m.pcp[at + P_HIGH];
    return within && e.drainRun <= m.pcp[at + P_BATCH] << SCALE_MAX;
  });
  if (set === undefined) return null;
  const place = placeOf(m, set);
  decayPcp(m, place.zone, place.cpu, e.drainRun);
  score.assumptions.loweredHighs++;
  return { kind: "decay", ...place };
}

/** Before a free of `order` to this CPU's lists; `drains`: the recording goes on with drained blocks. */
export function beforeFree(
  m: Memory,
  zone: number,
  order: number,
  drains: boolean,
  score: Score,
): void {
  if (m.rule.pcp !== "tuned" || m.zone[zone * ZONE_WORDS + Z_FLAGS] !== 0) return;
  const { pcp } = m;
  const at = (zone * m.cpuCount + m.cpu) * PCP_WORDS;
  const count = pcp[at + P_COUNT] + 2 ** order;
  const batch = pcp[at + P_BATCH];
  const again = order > 0 && order <= 3 && pcp[at + P_FREED_HIGH_ORDER] !== 0;
  if (again && pcp[at + P_FREE_COUNT] >= batch) {
    if (count < batch) {
      pcp[at + P_KEEPS_SMALL] = drains ? 0 : 1;
      score.assumptions.smallDrains++;
    }
    return;
  }
  const high = Math.max(pcp[at + P_HIGH_MIN], pcp[at + P_HIGH]);
  if (drains || count < high || count >= pcp[at + P_HIGH_MAX]) return;
  pcp[at + P_HIGH] = count + 1;
  score.assumptions.raisedHighs++;
}
