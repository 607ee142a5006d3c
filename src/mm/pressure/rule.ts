/**
 * What changed in reclaim from kernel to kernel, as data. Lists were a zone's, one active and one
 * inactive, up to 2.6.27; a zone's with anonymous and file pages apart from 2.6.28 to 4.7; they have
 * been the node's since 4.8.
 *
 * Each rule is as its release was read; "by 3.10" says that 2.6.39 had it otherwise.
 *
 * Linux: mm/vmscan.c, mm/page_alloc.c, mm/swap.c of 2.6.9, 2.6.11, 2.6.18, 2.6.39, 3.10, 4.9, 4.19,
 * 5.4, 5.10, 5.15, 6.1, 6.6, 6.12, 6.18
 */

import { assert } from "../../base/assert.ts";

export interface ReclaimRule {
  readonly name: string;
  /** Whose the LRU lists are; "zone-split" is a zone's with anonymous and file pages apart. */
  readonly lists: "zone" | "zone-split" | "node";
  /**
   * Lists of zones: a scan ends with its first cluster, and a pass of a request must free one by itself
   * (2.6.11), or passes add up and a scan goes to its end (2.6.18).
   */
  readonly passesAddUp: boolean;
  /**
   * Pages looked at without one freed, as a multiple of those that could go, that make a zone (a node
   * in 4.8 to 4.11) unreclaimable; 0 where nothing counts them (4.12).
   */
  readonly scannedTimes: number;
  /** Runs of kswapd without a page before it gives the node up; 0 where it never does. MAX_RECLAIM_RETRIES */
  readonly hopeless: number;
  /** kswapd sleeps once all zones of the wake-up are balanced, or any (4.12). */
  readonly sleepsWhen: "all" | "any";
  /** kswapd leaves larger blocks to compaction where that can make them (by 3.10); else it frees single pages first. */
  readonly kswapdCompacts: boolean;
  /** A request waits for kswapd where less than half of the min marks is left (3.6). */
  readonly throttles: boolean;
  /**
   * What a zone without a page to reclaim is there: a zone like others (3.10), left out with its node
   * (4.9), left out (4.19), one whose free pages could be reclaimed (6.1.y to 6.12.y), left out while
   * it has free pages (6.18).
   */
  readonly emptyZone: "counts" | "with-node" | "left-out" | "free-counts" | "left-out-while-free";
  /** New anonymous pages begin on the inactive list, and one look does not make them active (5.9). */
  readonly anonInactive: boolean;
  /** What shares the work between kinds: pages that were used again, what was written (5.9), both (by 6.6); what cost nothing makes nothing older (by 6.18). */
  readonly balance: "rotated" | "written" | "both" | "both-if-any";
  /** Share of anonymous and file pages: rounded down, or up (5.4); 2.6.39 has one more in each weight. */
  readonly share: "plus-one" | "down" | "up";
  /** Less than a cluster is owed till next time (up to 2.6.39). */
  readonly owes: boolean;
  /** What an unreclaimable zone's short lists are looked at with anyway, by kswapd: each, or where no list has any (4.9). */
  readonly forceScan: "none" | "each" | "if-none";
  /** File pages alone are looked at where their inactive list is long enough for the active one (by 3.10); and for the priority (by 4.9). */
  readonly trimsCache: "never" | "ratio" | "ratio-and-size";
  /** At priority 0 both kinds are scanned whole: where swappiness is not 0 (by 3.10), or always. */
  readonly equalAtZero: "always" | "if-swappy";
  /** Few file pages make it look at anonymous ones alone: always, or only if enough of these are inactive (by 4.19). */
  readonly tinyFile: "anon" | "anon-if-enough";
  /** Which pages the ratio of inactive to active is taken from: anonymous ones by the size of the zone, those of eligible zones (4.9), all (by 5.10). */
  readonly ratioOf: "zone" | "eligible" | "all";
  /** Active pages that were spared are taken where nothing else helped (by 5.10); all is looked at twice without asking (4.9). */
  readonly secondLook: "never" | "always" | "if-spared";
  /** Once enough is freed a scan ends (3.10), or goes on in proportion: to its end, or to the next time (by 5.15). */
  readonly proportional: "never" | "once" | "again";
  /** Reclaim for a larger block goes on until compaction can begin, first up to twice the block (4.19). */
  readonly goesOn: "never" | "twice-first" | "while-unsuitable";
  /** A request tries again as long as what is there could serve it, at most 16 times without progress (by 4.19), of which each counts for less (4.9); or while there is progress. */
  readonly retries: "progress" | "could-serve-less" | "could-serve";
  /** Pages that go are freed one by one, the last looked at first (3.10), or 31 at a time (by 6.12). */
  readonly frees: "each" | "backward" | "batches";
  /** A pinned page that could go otherwise counts as used (by 6.1). */
  readonly pinnedIsUsed: boolean;
  /** Where file pages alone were looked at in vain, kswapd looks again at both kinds (by 6.12). */
  readonly trimRetry: boolean;
  /** A request for less than Normal never kills (2.6.34). */
  readonly lowmemNeverKills: boolean;
  /** Nor does one of more than PAGE_ALLOC_COSTLY_ORDER (2.6.24). */
  readonly costlyNeverKills: boolean;
  /** Nor one that says that it may fail (4.13). */
  readonly mayFailNeverKills: boolean;
  /** __GFP_NOFAIL kills whatever the order and the zone (2.6.39), and from within file systems too (4.9). */
  readonly nofailKills: "never" | "outside-fs" | "always";
  /**
   * What an OOM is bounded by: nothing (2.6.11); a cpuset, else nodes that the zonelist has no zone of
   * (2.6.18); the policy's nodes, else a cpuset (2.6.39).
   */
  readonly constraint: "none" | "cpuset-first" | "policy-first";
}

const V6_1: ReclaimRule = {
  name: "6.1",
  lists: "node",
  passesAddUp: true,
  scannedTimes: 0,
  hopeless: 16,
  sleepsWhen: "any",
  kswapdCompacts: true,
  throttles: true,
  // As 6.1.y has it; in 6.1.0 it is left out.
  emptyZone: "free-counts",
  anonInactive: true,
  balance: "written",
  share: "down",
  owes: false,
  forceScan: "none",
  trimsCache: "ratio-and-size",
  equalAtZero: "if-swappy",
  tinyFile: "anon-if-enough",
  ratioOf: "all",
  secondLook: "if-spared",
  proportional: "again",
  goesOn: "while-unsuitable",
  retries: "could-serve",
  frees: "backward",
  pinnedIsUsed: true,
  trimRetry: false,
  lowmemNeverKills: true,
  costlyNeverKills: true,
  mayFailNeverKills: true,
  nofailKills: "never",
  constraint: "policy-first",
};
const V6_6: ReclaimRule = { ...V6_1, name: "6.6", balance: "both" };
const V6_12: ReclaimRule = { ...V6_6, name: "6.12", frees: "batches", trimRetry: true };
const V6_18: ReclaimRule = {
  ...V6_12,
  name: "6.18",
  emptyZone: "left-out-while-free",
  balance: "both-if-any",
};
const V5_15: ReclaimRule = { ...V6_1, name: "5.15", emptyZone: "left-out", pinnedIsUsed: false };
const V5_10: ReclaimRule = { ...V5_15, name: "5.10", proportional: "once" };
const V5_4: ReclaimRule = {
  ...V5_10,
  name: "5.4",
  anonInactive: false,
  balance: "rotated",
  share: "up",
  ratioOf: "eligible",
  secondLook: "never",
};
const V4_19: ReclaimRule = { ...V5_4, name: "4.19", share: "down", goesOn: "twice-first" };
const V4_9: ReclaimRule = {
  ...V4_19,
  name: "4.9",
  scannedTimes: 6,
  hopeless: 0,
  sleepsWhen: "all",
  forceScan: "if-none",
  emptyZone: "with-node",
  tinyFile: "anon",
  secondLook: "always",
  retries: "could-serve-less",
  mayFailNeverKills: false,
  nofailKills: "always",
};
const V3_10: ReclaimRule = {
  ...V4_9,
  name: "3.10",
  lists: "zone-split",
  emptyZone: "counts",
  forceScan: "each",
  trimsCache: "ratio",
  ratioOf: "zone",
  secondLook: "never",
  proportional: "never",
  retries: "progress",
  nofailKills: "outside-fs",
};
const V2_6_39: ReclaimRule = {
  ...V3_10,
  name: "2.6.39",
  kswapdCompacts: false,
  throttles: false,
  share: "plus-one",
  owes: true,
  forceScan: "none",
  trimsCache: "never",
  equalAtZero: "always",
  frees: "each",
};
/** 2.6.18, whose allocator stands for 2.6. */
const V2_6: ReclaimRule = {
  ...V2_6_39,
  name: "2.6",
  lists: "zone",
  scannedTimes: 4,
  goesOn: "never",
  lowmemNeverKills: false,
  costlyNeverKills: false,
  nofailKills: "never",
  constraint: "cpuset-first",
};
const V2_6_11: ReclaimRule = {
  ...V2_6,
  name: "2.6.11",
  passesAddUp: false,
  constraint: "none",
};
const V2_6_9: ReclaimRule = { ...V2_6_11, name: "2.6.9" };

const RULES: readonly ReclaimRule[] = [
  V2_6_9,
  V2_6_11,
  V2_6,
  V2_6_39,
  V3_10,
  V4_9,
  V4_19,
  V5_4,
  V5_10,
  V5_15,
  V6_1,
  V6_6,
  V6_12,
  V6_18,
];

/** The rules that go with an allocator's, by name. Asserts that there are some. */
export function reclaimRule(name: string): ReclaimRule {
  const found = RULES.find((rule) => rule.name === name);
  assert(found !== undefined, `reclaim has no rules of ${name}`);
  return found;
}
