/**
 * kswapd's work on a node: one of the zones that it was woken for is to be above
 * its high mark (4.8).
 *
 * Linux: balance_pgdat(), pgdat_balanced(), kswapd_shrink_node(), mm/vmscan.c
 */
import { lockZone, unlockZone } from "../lock.ts";
import {
  type Memory,
  Z_BOOST,
  Z_FLAGS,
  Z_HIGH,
  Z_INDEX,
  Z_MANAGED,
  ZONE_RECLAIM_ACTIVE,
  ZONE_WORDS,
} from "../memory.ts";
import { DEF_PRIORITY } from "../words.ts";
import { watermarkOk } from "../zone-watermark.ts";
import { wakeKcompactd } from "./kcompactd.ts";
import { N_FAILURES, NODE_WORDS, nodePlace, type Pages } from "./pages.ts";
import { newControl, type ScanControl, SWAP_CLUSTER } from "./scan.ts";
import { ageAnon, shrinkNode } from "./scan-node.ts";

/** What a run came to. */
export interface Balance {
  readonly reclaimed: number;
  readonly balanced: boolean;
  /** What it frees blocks for at its end: 0 where it has given larger ones up. */
  readonly endOrder: number;
}

/** Whether a zone up to `highest` is above its high mark, or there is none; for `all`, whether each is. */
export function isBalanced(
  m: Memory,
  zones: readonly number[],
  order: number,
  highest: number,
  all = false,
): boolean {
  const eligible = zones.filter((zone) => isEligible(m, zone, highest));
  const isHigh = (zone: number): boolean => {
    const at = zone * ZONE_WORDS;
    const mark = m.zone[at + Z_HIGH] + m.zone[at + Z_BOOST];
    return watermarkOk(m.zone, at, order, mark, highest, 0, m.marks);
  };
  if (all) return eligible.every(isHigh);
  return eligible.length === 0 || eligible.some(isHigh);
}

function isEligible(m: Memory, zone: number, highest: number): boolean {
  const at = zone * ZONE_WORDS;
  return m.zone[at + Z_INDEX] <= highest && m.zone[at + Z_MANAGED] > 0;
}

/** Linux: pgdat_watermark_boosted() */
export function isBoosted(m: Memory, zones: readonly number[], highest: number): boolean {
  return zones.some((zone) => {
    const at = zone * ZONE_WORDS;
    return m.zone[at + Z_INDEX] <= highest && m.zone[at + Z_BOOST] > 0;
  });
}

/** Runs until one of `zones` up to `highest` is balanced, or nothing more can be had. */
export function balanceNode(
  pages: Pages,
  zones: readonly number[],
  order: number,
  highest: number,
): Balance {
  const { m, node } = pages;
  const eligible = zones.filter((zone) => isEligible(m, zone, highest));
  const boosts = eligible.map((zone) => m.zone[zone * ZONE_WORDS + Z_BOOST]);
  for (const zone of eligible) setReclaimActive(m, zone, true);
  const control = newControl(order, highest, null);
  const run = new Run(pages, zones, eligible, control);
  run.boost = boosts.reduce((sum, own) => sum + own, 0);
  let done = run.toTheEnd();
  if (
    !done &&
    run.total === 0 &&
    control.priority < 1 &&
    control.trimFailed &&
    pages.rule.trimRetry
  ) {
    control.noTrim = true;
    control.priority = DEF_PRIORITY;
    done = run.toTheEnd();
  }
  if (!done && run.total === 0) node[nodePlace(m, zones[0] ?? 0) * NODE_WORDS + N_FAILURES]++;
  for (const [i, zone] of eligible.entries()) {
    const at = zone * ZONE_WORDS;
    setReclaimActive(m, zone, false);
    lockZone(m, zone);
    m.zone[at + Z_BOOST] -= Math.min(m.zone[at + Z_BOOST], boosts[i] ?? 0);
    unlockZone(m, zone);
  }
  // There is room likely: pageblocks that others broke up are mended.
  if (boosts.some((own) => own > 0)) {
    wakeKcompactd(pages, nodePlace(m, zones[0] ?? 0), m.pageblockOrder, highest);
  }
  return { reclaimed: run.total, balanced: done, endOrder: control.order };
}

/** Per-CPU lists of a zone are kept short while it is being reclaimed. */
export function setReclaimActive(m: Memory, zone: number, isActive: boolean): void {
  const at = zone * ZONE_WORDS + Z_FLAGS;
  lockZone(m, zone);
  if (isActive) m.zone[at] |= ZONE_RECLAIM_ACTIVE;
  else m.zone[at] &= ~ZONE_RECLAIM_ACTIVE;
  unlockZone(m, zone);
}

/** One run of balance_pgdat(), priority by priority. */
class Run {
  readonly #pages: Pages;
  readonly #zones: readonly number[];
  readonly #eligible: readonly number[];
  readonly #control: ScanControl;
  /** Pages still to be freed for what the zones are boosted by; 0 once that is put off. */
  boost = 0;
  total = 0;

  constructor(
    pages: Pages,
    zones: readonly number[],
    eligible: readonly number[],
    control: ScanControl,
  ) {
    this.#pages = pages;
    this.#zones = zones;
    this.#eligible = eligible;
    this.#control = control;
  }

  /** True where a zone is balanced and boosts are paid, false where priorities ran out or a boost is not worth more. */
  toTheEnd(): boolean {
    const control = this.#control;
    while (control.priority >= 1) {
      const { order, reclaimIdx, priority } = control;
      const balanced = isBalanced(this.#pages.m, this.#zones, order, reclaimIdx);
      // Marks come before boosts: from the start again.
      if (!balanced && this.boost > 0) {
        this.boost = 0;
        control.priority = DEF_PRIORITY;
        continue;
      }
      if (balanced && this.boost === 0) return true;
      // A boost is not worth more than what goes easily.
      const isGentle = this.boost > 0 && priority === DEF_PRIORITY - 2;
      control.mayWrite = this.boost === 0;
      control.maySwap = this.boost === 0;
      const isEnough = this.#shrink();
      this.boost -= Math.min(this.boost, control.reclaimed);
      if (this.boost > 0 && control.reclaimed === 0) return false;
      if (!(isEnough || isGentle) || control.reclaimed === 0) control.priority--;
    }
    return false;
  }

  /** One priority's look; whether it looked at as many pages as are wanted. Linux: kswapd_shrink_node() */
  #shrink(): boolean {
    const pages = this.#pages;
    const control = this.#control;
    ageAnon(pages, this.#zones, control);
    control.toReclaim = this.#eligible.reduce((sum, zone) => sum + shareOf(pages.m, zone), 0);
    control.scanned = 0;
    control.reclaimed = 0;
    shrinkNode(pages, this.#zones, control);
    this.total += control.reclaimed;
    // Twice the block: whoever wants it can compact.
    if (this.total >= 2 << control.order) control.order = 0;
    return control.scanned >= control.toReclaim;
  }
}

/** Pages that a look is to free for a zone. */
function shareOf(m: Memory, zone: number): number {
  const at = zone * ZONE_WORDS;
  return Math.max(m.zone[at + Z_HIGH] + m.zone[at + Z_BOOST], SWAP_CLUSTER);
}
