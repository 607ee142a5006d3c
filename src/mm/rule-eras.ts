/**
 * What each era's allocator does: data, oldest last. A rule stands for its kernel and those after
 * it up to the next one; `differs` is honest about what the engine has no mechanism for.
 *
 * Linux: mm/page_alloc.c of 2.6.9, 2.6.18, 2.6.39, 4.19, 6.1, 6.12, 6.18 as read; of 3.10, 4.9, 5.4,
 * 5.10, 5.15, 6.6 from the changes between them
 */
import { versionRank } from "../kernels/gfp.ts";
import type { AllocatorRule } from "./rule.ts";

const KIB_64_MIB = 64 * 1024;

/** 6.1 as its late stable releases (and Debian's) have it. */
export const RULE_6_1: AllocatorRule = {
  name: "6.1",
  since: "6.0",
  basis: "captured",
  differs: [],
  gfpVersion: "6.1.176",
  proc: "6.1",
  mobility: true,
  countsScanned: false,
  tailWhenMergeLikely: true,
  bootTail: true,
  movesToTail: true,
  fallback: "steal",
  wholeFor: "kernel",
  restKeepsType: false,
  noFragment: true,
  mergeRetypes: false,
  pcpOrderMax: 3,
  pcpHuge: true,
  pcp: "factor",
  pcpFlushes: true,
  pcpScaleMax: 5,
  drainTurns: 0,
  drainsItself: false,
  pcpOnly: false,
  pcpMixesCma: true,
  mostlyCmaFirst: true,
  refillCountsEach: false,
  boostFactor: 15000,
  highatomic: true,
  highatomicWhole: false,
  marks: "gap",
  minFreeFactor: 16,
  minFreeKbytesMax: 256 * 1024,
  batchBytesMax: 1024 * 1024,
  batchBelowPower: true,
  reservesByRatio: true,
  movableIsSpecial: "with-highmem",
};

/** 6.6: the allocator of 6.1; pagesets adapt from 6.7 on. */
const RULE_6_6: AllocatorRule = {
  ...RULE_6_1,
  name: "6.6",
  since: "6.6",
  basis: "inferred",
  gfpVersion: "6.6.113",
  differs: ["of 6.7 to 6.11: pagesets that adapt, lists that keep to their pageblocks"],
};

/** 6.12 as its late stable releases have it: fallback of 6.15 and tuned per-CPU lists. */
export const RULE_6_12: AllocatorRule = {
  ...RULE_6_1,
  name: "6.12",
  since: "6.12",
  gfpVersion: "6.12.95",
  proc: "6.12",
  movableIsSpecial: "always",
  fallback: "claim",
  mergeRetypes: true,
  highatomicWhole: true,
  pcp: "tuned",
  pcpMixesCma: false,
  refillCountsEach: true,
};

/** 6.18: as 6.12's late releases. */
const RULE_6_18: AllocatorRule = {
  ...RULE_6_12,
  name: "6.18",
  since: "6.18",
  basis: "read",
  gfpVersion: "6.18",
  proc: "6.18",
  differs: ["counting only the free pages of the HighAtomic reserve as kept back"],
};

/** 5.15: larger blocks on per-CPU lists, which still give back in turns. */
const RULE_5_15: AllocatorRule = {
  ...RULE_6_1,
  name: "5.15",
  since: "5.14",
  basis: "inferred",
  differs: ["a per-CPU list of its own for reclaimable huge pages"],
  gfpVersion: "5.15",
  proc: "5.15",
  pcpFlushes: false,
  pcpScaleMax: 24, // free_factor is bounded by the list's length alone
  drainTurns: 15,
  drainsItself: true,
  pcpOnly: true,
};

/** 5.10: per-CPU lists of order 0 only, drained batch by batch. */
export const RULE_5_10: AllocatorRule = {
  ...RULE_5_15,
  name: "5.10",
  since: "5.10",
  basis: "inferred",
  differs: [],
  gfpVersion: "5.10",
  proc: "5.10",
  pcpOrderMax: 0,
  pcpHuge: false,
  pcp: "batch",
  drainTurns: 3,
  pcpOnly: false, // single pages have no reserve: asking the zone again changes nothing
};

/** 5.4: memory is used from its upper end, and what changes lists goes first. */
const RULE_5_4: AllocatorRule = {
  ...RULE_5_10,
  name: "5.4",
  since: "5.0",
  basis: "inferred",
  gfpVersion: "5.4",
  proc: "4.19",
  bootTail: false,
  movesToTail: false,
  mostlyCmaFirst: false,
  minFreeKbytesMax: KIB_64_MIB,
};

/** 4.19: fragmenting costs nothing yet. */
const RULE_4_19: AllocatorRule = {
  ...RULE_5_4,
  name: "4.19",
  since: "4.19",
  basis: "read",
  gfpVersion: "4.19",
  proc: "4.19",
  noFragment: false,
  boostFactor: 0,
};

const ONE_LIST = "cold pages beside hot ones";

/** 4.9: a block found elsewhere is taken itself, and what is in use does not speak for a pageblock. */
const RULE_4_9: AllocatorRule = {
  ...RULE_4_19,
  name: "4.9",
  countsScanned: true,
  since: "4.6",
  basis: "inferred",
  differs: [ONE_LIST],
  gfpVersion: "4.9",
  proc: "4.9",
  fallback: "direct",
  batchBytesMax: 512 * 1024,
};

/** What the kernels before 4.4 kept for the worst case. Linux: setup_zone_migrate_reserve() */
const NO_RESERVE_BLOCKS = "up to two Reserve pageblocks a zone, for who finds no other block";

/** 3.10: no HighAtomic, marks order by order. */
const RULE_3_10: AllocatorRule = {
  ...RULE_4_9,
  name: "3.10",
  since: "3.10",
  gfpVersion: "3.10",
  proc: "3.10",
  differs: [
    NO_RESERVE_BLOCKS,
    "CMA as one of the types that movable requests fall back to",
    ONE_LIST,
  ],
  wholeFor: "reclaimable",
  highatomic: false,
  marks: "quarters",
};

/** 2.6.39. */
const RULE_2_6_39: AllocatorRule = {
  ...RULE_3_10,
  name: "2.6.39",
  since: "2.6.36",
  basis: "read",
  gfpVersion: "2.6.39",
  proc: "2.6.39",
  differs: [NO_RESERVE_BLOCKS, ONE_LIST],
  restKeepsType: true,
  mostlyCmaFirst: false,
};

/** 2.6.18, for 2.6.12 to 2.6.35: one list an order, head insertion. */
export const RULE_2_6: AllocatorRule = {
  ...RULE_2_6_39,
  name: "2.6",
  since: "2.6.12",
  basis: "read",
  differs: ["cold per-CPU lists beside hot ones", "mobility types of 2.6.24 to 2.6.35"],
  gfpVersion: "2.6.18",
  proc: "2.6",
  mobility: false,
  tailWhenMergeLikely: false,
  fallback: "none",
};

/** 2.6.11: low and high are parts of min. */
const RULE_2_6_11: AllocatorRule = {
  ...RULE_2_6,
  name: "2.6.11",
  since: "2.6.11",
  differs: ["cold per-CPU lists beside hot ones, and low marks of both"],
  gfpVersion: "2.6.11",
  marks: "of-min",
  batchBytesMax: 256 * 1024,
  batchBelowPower: false,
};

/** 2.6.9: multiples of a small min, nothing kept back, and a sum is all that is checked. */
const RULE_2_6_9: AllocatorRule = {
  ...RULE_2_6_11,
  name: "2.6.9",
  since: "2.6.9",
  gfpVersion: "2.6.9",
  marks: "multiples",
  minFreeFactor: 1,
  minFreeKbytesMax: 16 * 1024,
  reservesByRatio: false,
};

/** Oldest first. */
export const RULES: readonly AllocatorRule[] = [
  RULE_2_6_9,
  RULE_2_6_11,
  RULE_2_6,
  RULE_2_6_39,
  RULE_3_10,
  RULE_4_9,
  RULE_4_19,
  RULE_5_4,
  RULE_5_10,
  RULE_5_15,
  RULE_6_1,
  RULE_6_6,
  RULE_6_12,
  RULE_6_18,
];

/**
 * The rule of an era by its name, or that of the newest era here that is not newer than the kernel
 * version `era`; undefined where all are, or where it is no version.
 */
export function allocatorRule(era: string): AllocatorRule | undefined {
  const named = RULES.find((rule) => rule.name === era);
  const wanted = versionRank(era);
  if (named !== undefined || wanted === null) return named;
  return RULES.findLast((rule) => (versionRank(rule.since) ?? 0) <= wanted);
}

/** How sure the rule is for a kernel version: inferred beyond the series that it is named after. */
export function ruleBasis(rule: AllocatorRule, version: string): AllocatorRule["basis"] {
  const own = version === rule.name || version.startsWith(`${rule.name}.`);
  return own ? rule.basis : "inferred";
}
