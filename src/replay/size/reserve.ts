/**
 * What the kernel keeps free, and how little of it would do.
 *
 *   min_free_kbytes        for requests that must not wait, in all zones
 *   lowmem_reserve_ratio   in a lower zone, for requests that can use no higher one
 *
 * Where marks are lower than the recorded ones reclaim would have stopped earlier,
 * and somebody would have the pages: as many are taken from each zone's free ones
 * before the first event as its high mark falls. Higher marks need no such thing:
 * who must not wait finds what the others are refused.
 *
 * Linux: __setup_per_zone_wmarks(), setup_per_zone_lowmem_reserve(), mm/page_alloc.c
 */

import { takeSmallest } from "../../mm/buddy.ts";
import { type Memory, TAKEN, Z_HIGH, Z_MANAGED, ZONE_WORDS } from "../../mm/memory.ts";
import { countPages } from "../../mm/queue.ts";
import { CMA, MOVABLE, RECLAIMABLE, UNMOVABLE } from "../../mm/rule.ts";
import type { ListSnapshot, MachineFacts } from "../snapshot.ts";
import type { PageEvidence } from "./page-evidence.ts";
import type { PageQuestion } from "./page-search.ts";
import type { SizeValue } from "./result.ts";
import { demandWords } from "./zone-end.ts";

const PAGE_BYTES = 4096;
const KIB_A_PAGE = 4;
/** Values an octave: finer ones than two per cent are within the noise of any workload. */
const STEPS = 64;

interface Machine {
  readonly from: ListSnapshot;
  readonly facts: MachineFacts;
}

export function minFreeQuestion(
  { from, facts }: Machine,
  evidence: PageEvidence,
  margin: number | null,
): PageQuestion | string {
  const recorded = facts.sysctls.get("min_free_kbytes")?.[0];
  if (recorded === undefined) return "the capture does not tell what min_free_kbytes was";
  if (evidence.wakes === 0 && evidence.refusedAtOnce === 0) {
    return "memory was never short: kswapd was not woken and nobody was refused, so nothing needed the reserve. Record the workload under the pressure that it must stand";
  }
  const highs = facts.zones.map(
    ({ node, index }) =>
      from.zones.find((own) => own.node === node && own.index === index)?.high ?? 0,
  );
  const managed = from.zones.reduce((sum, own) => sum + own.managed, 0);
  const most = Math.floor(managed / 4) * KIB_A_PAGE;
  const amounts = steps(KIB_A_PAGE, most).map((own) => Math.ceil(own / KIB_A_PAGE) * KIB_A_PAGE);
  return {
    asked: {
      name: "min_free_kbytes",
      unit: "KiB",
      where: "sysctl",
      criterion:
        "who must not wait is served at once, also who was refused in the recording; others may have to reclaim",
    },
    ladder: { amounts: ascending([0, ...amounts, recorded]), show: minFreeValue },
    recorded,
    changeOf: (amount) => ({
      set: [minFreeValue(amount).set],
      ...(amount < recorded ? { prepare: ({ m }) => takeDifference(m, highs) } : {}),
    }),
    isOwn: () => false,
    carries: ({ broken, lostAtOnce, stillAtOnce }) =>
      broken === null && lostAtOnce === 0 && stillAtOnce === 0,
    still: ({ stillAtOnce }) => stillAtOnce,
    carriesAll: ({ broken, lost, stillAtOnce }) =>
      broken === null && lost === 0 && stillAtOnce === 0,
    peak: null,
    notes: [
      `kswapd was woken ${evidence.wakes} times`,
      "below the recorded value as many pages count as in use as each zone's high mark falls: reclaim would have left them so. What it then does is the recording's",
      "requests that may wait and go without are what reclaim would have to find in time: the more of them, the slower",
    ],
    zero: "who must not wait never needed what the marks keep. That proves no value: keep the kernel's own, which is also for reclaim itself; its documentation warns of less than 1024",
    margin,
  };
}

/** The zone whose reserve is asked about: of those that requests are bound to the one most asked for. */
export function reserveRatioQuestion(
  { from, facts }: Machine,
  evidence: PageEvidence,
  margin: number | null,
): PageQuestion | string {
  const above = (index: number): number =>
    from.zones.reduce((sum, own) => sum + (own.index > index ? own.managed : 0), 0);
  const has = (index: number): boolean =>
    from.zones.some((own) => own.index === index && own.managed > 0);
  const [best] = [...evidence.demands]
    .filter(([index, { served }]) => served > 0 && has(index) && above(index) > 0)
    .sort(([, a], [, b]) => (b.peak?.amount ?? 0) - (a.peak?.amount ?? 0));
  if (best === undefined) {
    return "no request of the recording can use lower zones only, so nobody needs what is reserved in them";
  }
  const [index, demand] = best;
  const zone = facts.zones.find((own) => own.index === index)?.name ?? "";
  const ratios = facts.reserveRatios;
  const higher = above(index);
  const managed = from.zones.reduce((sum, own) => sum + (own.index === index ? own.managed : 0), 0);
  // A reserve of all that the zone has keeps everybody out.
  const wanted = steps(1, Math.min(higher, managed)).map((pages) => Math.floor(higher / pages));
  const own = ratios[index] ?? 0;
  const distinct = [...new Set([...wanted, ...(own > 0 ? [own] : [])])].sort((a, b) => b - a);
  const show = (amount: number): SizeValue => {
    const ratio = amount === 0 ? 0 : (distinct.find((r) => Math.floor(higher / r) === amount) ?? 1);
    const all = ratios.map((r, i) => (i === index ? ratio : r));
    return {
      value: ratio,
      bytes: amount * PAGE_BYTES,
      set: `lowmem_reserve_ratio=${all.join("_")}`,
    };
  };
  return {
    asked: {
      name: "lowmem_reserve_ratio",
      unit: "ratio",
      where: "sysctl",
      criterion: `who can use no zone above ${zone} is served, also who was refused in the recording, and nobody else who must not wait goes without; others may have to reclaim`,
    },
    ladder: { amounts: ascending([0, ...distinct.map((r) => Math.floor(higher / r))]), show },
    recorded: own > 0 ? Math.floor(higher / own) : 0,
    changeOf: (amount) => ({ set: [show(amount).set] }),
    isOwn: (gfp) => evidence.zoneOf(gfp) <= index,
    carries: ({ broken, lostOwn, lostAtOnce, stillOwn }) =>
      broken === null && lostOwn === 0 && lostAtOnce === 0 && stillOwn === 0,
    still: ({ stillOwn }) => stillOwn,
    carriesAll: ({ broken, lost, stillOwn }) => broken === null && lost === 0 && stillOwn === 0,
    peak: demand.peak,
    notes: [
      `the reserve in zone ${zone} is asked about, against requests that may use all zones; ${demandWords(zone, demand)}`,
      "a ratio of 0 is no reserve; the larger any other ratio, the smaller the reserve",
      "reclaim is the recording's: what it freed is freed, and no page more",
    ],
    zero: `without a reserve in zone ${zone} they are served as well`,
    margin,
  };
}

function minFreeValue(kib: number): SizeValue {
  return { value: kib, bytes: kib * 1024, set: `min_free_kbytes=${kib}` };
}

/** Whole numbers from `least` to `most`, so many an octave. */
function steps(least: number, most: number): number[] {
  const all: number[] = [];
  for (let own = least; own <= most; own = Math.max(own + 1, own * 2 ** (1 / STEPS))) {
    all.push(Math.floor(own));
  }
  return all;
}

function ascending(amounts: readonly number[]): number[] {
  return [...new Set(amounts)].sort((a, b) => a - b);
}

/** Lists that would have been emptied, in this order: not what is kept for urgent requests. */
const FILLED: readonly number[] = [MOVABLE, RECLAIMABLE, UNMOVABLE, CMA];

/** Takes free pages of each zone, as many as its high mark is below `highs`, the smallest blocks first. */
function takeDifference(m: Memory, highs: readonly number[]): void {
  for (let zone = 0; zone < m.zoneCount; zone++) {
    const words = zone * ZONE_WORDS;
    if (m.zone[words + Z_MANAGED] === 0) continue;
    let left = highs[zone] - m.zone[words + Z_HIGH];
    for (const type of FILLED) {
      while (left > 0) {
        const row = takeSmallest(m, zone, 0, type);
        if (row < 0) break;
        m.state[row] = TAKEN;
        countPages(m, zone, row, -1);
        left--;
      }
    }
  }
}
