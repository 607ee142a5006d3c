/**
 * What changed in reclaim from kernel to kernel, as data.
 *
 * Linux: mm/vmscan.c of 2.6.11, 2.6.18, 5.10, 6.1, 6.12
 */

export interface ReclaimRule {
  readonly name: string;
  /** LRU lists belong to the zone (up to 4.7) or to the node, anonymous and file pages apart. */
  readonly lists: "zone" | "node";
  /** A request waits for kswapd where less than half of the node's min marks is left (3.6). */
  readonly throttles: boolean;
  /** Runs of kswapd without a page before it gives the node up; 0 where it never does. MAX_RECLAIM_RETRIES */
  readonly hopeless: number;
  /** New anonymous pages begin on the inactive list (5.9). */
  readonly anonInactive: boolean;
  /** A request for less than Normal never kills (2.6.34). */
  readonly lowmemNeverKills: boolean;
  /** Nor does one of more than PAGE_ALLOC_COSTLY_ORDER (2.6.24). */
  readonly costlyNeverKills: boolean;
}

const ZONE_LISTS = {
  lists: "zone",
  throttles: false,
  hopeless: 0,
  anonInactive: false,
  lowmemNeverKills: false,
  costlyNeverKills: false,
} as const;
const NODE_LISTS = {
  lists: "node",
  throttles: true,
  hopeless: 16,
  anonInactive: true,
  lowmemNeverKills: true,
  costlyNeverKills: true,
} as const;

const RULES: readonly ReclaimRule[] = [
  { name: "2.6", ...ZONE_LISTS },
  { name: "2.6.39", ...ZONE_LISTS, lowmemNeverKills: true, costlyNeverKills: true },
  { name: "3.10", ...ZONE_LISTS, lowmemNeverKills: true, costlyNeverKills: true },
  { name: "4.9", ...NODE_LISTS, hopeless: 0, anonInactive: false },
  { name: "4.19", ...NODE_LISTS, anonInactive: false },
  { name: "5.4", ...NODE_LISTS, anonInactive: false },
];

/** The rules that go with an allocator's; those of 5.10 to 6.18, which are one, where there are none of that name. */
export function reclaimRule(name: string): ReclaimRule {
  return RULES.find((rule) => rule.name === name) ?? { name, ...NODE_LISTS };
}
