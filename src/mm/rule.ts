/**
 * The allocator's policy: list insertion, fallback between mobility types,
 * per-CPU lists, reserves. What each era has of it is data in `rule-eras.ts`.
 */

import type { Basis, MarkRule } from "../kernels/policy.ts";

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

/** Releases whose /proc/zoneinfo or pagetypeinfo looked unlike those before it: `procfs-form.ts`. */
export type ProcName =
  | "2.6"
  | "2.6.39"
  | "3.10"
  | "4.9"
  | "4.19"
  | "5.10"
  | "5.15"
  | "6.1"
  | "6.12"
  | "6.18";

export interface AllocatorRule {
  /** Name of the era, as `bootMemory` takes it. */
  readonly name: string;
  /** First release it stands for. */
  readonly since: string;
  /** Whether captures of it are replayed, its source was read, or neither. */
  readonly basis: Basis;
  /** What such kernels have and the engine does not: nouns, to be read after "without". */
  readonly differs: readonly string[];
  /** Whose GFP flags and rights go with it. */
  readonly gfpVersion: string;
  /** Whose text it prints in /proc. */
  readonly proc: ProcName;
  /** Pageblocks have mobility types (2.6.24+). */
  readonly mobility: boolean;
  /** Pages that come back to a zone tell reclaim that it is worth a look: pages_scanned (up to 4.11). */
  readonly countsScanned: boolean;
  /** A freed block goes to the list's tail when its parent's buddy is free too (2.6.35+). */
  readonly tailWhenMergeLikely: boolean;
  /** Boot hands pages over to the tail: lowest first. Before 5.10 to the head: highest first. */
  readonly bootTail: boolean;
  /** A block that changes lists goes to the tail of the new one (5.10), or to its head. */
  readonly movesToTail: boolean;
  /**
   * What happens when the own type has no block: none; the block found is taken itself, from 2.6.24
   * ("direct"); it is moved over and the smallest taken, 4.13 to 6.9 ("steal"); the claim-then-steal
   * of 6.15.
   */
  readonly fallback: "none" | "direct" | "steal" | "claim";
  /** Whose small fallbacks take the whole pageblock along: reclaimable ones', or all but movable ones' (4.2). */
  readonly wholeFor: "reclaimable" | "kernel";
  /** "direct" only: what is left of a block that came without its pageblock keeps its type (up to 3.4). */
  readonly restKeepsType: boolean;
  /** Lower zones of the node come before types mix: ALLOC_NOFRAGMENT (5.0). */
  readonly noFragment: boolean;
  /** Blocks of different mergeable types meeting at pageblock size: merge as they are, or retype the buddy (6.10). */
  readonly mergeRetypes: boolean;
  /** Orders 0 to this are kept on per-CPU lists. */
  readonly pcpOrderMax: number;
  /** Huge pages (pageblock order) too. */
  readonly pcpHuge: boolean;
  /** "factor": free_factor of 5.14; "tuned": alloc_factor and free_count of 6.7; "batch": plain batches before. */
  readonly pcp: "factor" | "tuned" | "batch";
  /** A block of order 1 to 3 empties the pageset while its free_factor is up (5.18). */
  readonly pcpFlushes: boolean;
  /** How often a drain may double: CONFIG_PCP_BATCH_SCALE_MAX (6.7 and late stable kernels), or no limit. */
  readonly pcpScaleMax: number;
  /** NR_PCP_LISTS where a drain takes of all lists in turn (up to 5.17); 0 where list by list. */
  readonly drainTurns: number;
  /** drain_all_pages() has each CPU drain its own (up to 5.19). */
  readonly drainsItself: boolean;
  /** Where per-CPU lists get nothing the zone is not asked again, nor its HighAtomic reserve (up to 5.19). */
  readonly pcpOnly: boolean;
  /** CMA pages wait among movable ones, so a movable request that may not have them goes to the zone (up to 6.9). */
  readonly pcpMixesCma: boolean;
  /** A request that may have CMA pages gets them first while they are most of what is free (5.8). */
  readonly mostlyCmaFirst: boolean;
  /** A refill counts each block out of the zone as it takes it, not all of them at its end (6.10). */
  readonly refillCountsEach: boolean;
  /** watermark_boost_factor, ten-thousandths; 0 for eras without (up to 4.20). */
  readonly boostFactor: number;
  /** HighAtomic pageblocks (4.4). */
  readonly highatomic: boolean;
  /** The reserve is whole pageblocks within a hundredth of the zone, none in a small one (6.8). */
  readonly highatomicWhole: boolean;
  /**
   * low and high: by the larger of a quarter of the share and the scale factor (4.6), by quarters of the
   * share, of min itself (2.6.11), or its multiples (2.6.9).
   */
  readonly marks: MarkRule;
  /** KiB of low memory, times this, are the square of min_free_kbytes: 16, or 1 (2.6.9). */
  readonly minFreeFactor: number;
  /** Upper clamp of min_free_kbytes. */
  readonly minFreeKbytesMax: number;
  /** What a pageset's batch is a quarter of at most. */
  readonly batchBytesMax: number;
  /** A batch is one less than a power of two (2.6.12), or just a quarter of its base. */
  readonly batchBelowPower: boolean;
  /** lowmem_reserve_ratio keeps pages back by default (2.6.11). */
  readonly reservesByRatio: boolean;
  /** When Movable has a min of its own outside lowmem: always (6.12), or while HighMem feeds it. */
  readonly movableIsSpecial: "always" | "with-highmem";
}
