/**
 * The allocator's policy by era: list insertion, fallback between mobility
 * types, per-CPU lists, reserves. Data only; what changed and when.
 */

import { versionRank } from "../kernels/gfp.ts";

/** Mobility types by the kernel's numbers since 4.4. */
export const UNMOVABLE = 0;
export const MOVABLE = 1;
export const RECLAIMABLE = 2;
export const HIGHATOMIC = 3;
export const CMA = 4;
export const ISOLATE = 5;
/** Rows of the tables that have one entry a type. */
export const TYPE_COUNT = 6;
/** Types that per-CPU lists keep apart, and that merge with each other: the first three. */
export const PCP_TYPES = 3;

export const TYPE_NAMES: readonly string[] = [
  "Unmovable",
  "Movable",
  "Reclaimable",
  "HighAtomic",
  "CMA",
  "Isolate",
];

export interface AllocatorRule {
  readonly name: string;
  /** Pageblocks have mobility types (2.6.24+). */
  readonly mobility: boolean;
  /** A freed block goes to the list's tail when its parent's buddy is free too (2.6.35+). */
  readonly tailWhenMergeLikely: boolean;
  /** What happens when the own type has no block: none, the steal of 2.6.24 to 6.9, the claim-then-steal of 6.15. */
  readonly fallback: "none" | "steal" | "claim";
  /** Blocks of different mergeable types meeting at pageblock size: merge as they are, or retype the buddy (6.10). */
  readonly mergeRetypes: boolean;
  /** Orders 0 to this are kept on per-CPU lists. */
  readonly pcpOrderMax: number;
  /** Huge pages (pageblock order) too. */
  readonly pcpHuge: boolean;
  /** "factor": free_factor of 5.13; "tuned": alloc_factor and free_count of 6.7; "batch": plain batches before. */
  readonly pcp: "factor" | "tuned" | "batch";
  /** CMA pages wait among movable ones, so a movable request that may not have them goes to the zone (up to 6.9). */
  readonly pcpMixesCma: boolean;
  /** A refill counts each block out of the zone as it takes it, not all of them at its end (6.10). */
  readonly refillCountsEach: boolean;
  /** watermark_boost_factor, ten-thousandths; 0 for eras without. */
  readonly boostFactor: number;
  readonly highatomic: boolean;
  /** The reserve is whole pageblocks within a hundredth of the zone, none in a small one (6.8). */
  readonly highatomicWhole: boolean;
  /** low and high: by the larger of a quarter of the share and the scale factor (4.6), or by quarters of the share. */
  readonly marks: "gap" | "quarters";
  /** When Movable has a min of its own outside lowmem: always (6.12), or while HighMem feeds it. */
  readonly movableIsSpecial: "always" | "with-highmem";
  /** Watermark check: lists by type ("types"), or shrinking marks order by order (2.6). */
  readonly watermark: "types" | "orders";
}

/** 6.1 as its late stable releases (and Debian's) have it. */
export const RULE_6_1: AllocatorRule = {
  name: "6.1",
  mobility: true,
  tailWhenMergeLikely: true,
  fallback: "steal",
  mergeRetypes: false,
  pcpOrderMax: 3,
  pcpHuge: true,
  pcp: "factor",
  pcpMixesCma: true,
  refillCountsEach: false,
  boostFactor: 15000,
  highatomic: true,
  highatomicWhole: false,
  marks: "gap",
  movableIsSpecial: "with-highmem",
  watermark: "types",
};

/** 5.10: per-CPU lists of order 0 only, drained batch by batch. */
export const RULE_5_10: AllocatorRule = {
  ...RULE_6_1,
  name: "5.10",
  pcpOrderMax: 0,
  pcpHuge: false,
  pcp: "batch",
};

/** 6.12 as its late stable releases have it: fallback of 6.15 and tuned per-CPU lists. */
export const RULE_6_12: AllocatorRule = {
  ...RULE_6_1,
  name: "6.12",
  movableIsSpecial: "always",
  fallback: "claim",
  mergeRetypes: true,
  highatomicWhole: true,
  pcp: "tuned",
  pcpMixesCma: false,
  refillCountsEach: true,
};

/** 2.6.9 to 2.6.23: one list an order, head insertion. */
export const RULE_2_6: AllocatorRule = {
  ...RULE_6_1,
  name: "2.6",
  mobility: false,
  tailWhenMergeLikely: false,
  fallback: "none",
  pcpOrderMax: 0,
  pcpHuge: false,
  pcp: "batch",
  boostFactor: 0,
  highatomic: false,
  marks: "quarters",
  watermark: "orders",
};

const RULES: ReadonlyMap<string, AllocatorRule> = new Map(
  [RULE_2_6, RULE_5_10, RULE_6_1, RULE_6_12].map((rule) => [rule.name, rule]),
);

/** The rule of an era by its name; undefined for none. */
export function allocatorRule(era: string): AllocatorRule | undefined {
  return RULES.get(era);
}

/** The rule of the newest era here that is not newer than `version`; undefined where all are. */
export function nearestRule(version: string): AllocatorRule | undefined {
  const wanted = versionRank(version) ?? 0;
  // 2.6's lists are those of its first releases; what came between them and 5.10 is not modelled.
  const able = [RULE_5_10, RULE_6_1, RULE_6_12];
  return able.findLast((rule) => (versionRank(rule.name) ?? 0) <= wanted);
}
