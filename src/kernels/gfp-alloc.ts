/**
 * Who may go below the min mark, by era: data for the ALLOC_* flags of the slow path.
 *
 *   half of the mark        __GFP_HIGH, in all eras
 *   a quarter of the rest   who may not wait (2.6), who carries __GFP_ATOMIC (4.4), who may not
 *                           reclaim directly (6.3; there only together with __GFP_HIGH)
 *
 * Linux: gfp_to_alloc_flags(), mm/page_alloc.c
 */
import { assert } from "../base/assert.ts";
import { versionRank } from "./gfp.ts";
import type { Basis } from "./policy.ts";

export interface AllocRule {
  /** The kernel it was read from: "6.1.y" is the stable series since the rules of 6.3 came to it. */
  readonly name: "2.6.9" | "2.6.38" | "6.1.0" | "6.3" | "6.1.y";
  readonly basis: Basis;
  /** What a request needs to try harder than its mark. */
  readonly harderBy: "no-wait" | "atomic-bit" | "no-direct-reclaim";
  /** Whether __GFP_NOMEMALLOC takes that back. */
  readonly nomemallocForbids: boolean;
  /** What a realtime task that may block is given. */
  readonly realtimeGets: "harder" | "min-reserve";
  /** What frees a request from its cpuset: trying harder, or that and __GFP_HIGH (6.3). */
  readonly leavesCpusetBy: "harder" | "high";
  /** Which non-blocking requests of more than a page may use HighAtomic blocks, as a flag of its own. */
  readonly highatomicBy: "no-flag" | "non-blocking" | "high";
}

const V2_6: AllocRule = {
  name: "2.6.9",
  basis: "read",
  harderBy: "no-wait",
  nomemallocForbids: false,
  realtimeGets: "harder",
  leavesCpusetBy: "harder",
  highatomicBy: "no-flag",
};

/** Huge page faults, which may not wait and are NOMEMALLOC, were kept from the reserves. */
const V2_6_38: AllocRule = { ...V2_6, name: "2.6.38", nomemallocForbids: true };

const V6_1_0: AllocRule = { ...V2_6_38, name: "6.1.0", harderBy: "atomic-bit" };

const V6_3: AllocRule = {
  name: "6.3",
  basis: "read",
  harderBy: "no-direct-reclaim",
  nomemallocForbids: true,
  realtimeGets: "min-reserve",
  leavesCpusetBy: "high",
  highatomicBy: "non-blocking",
};

/** Read in 6.1.192: a non-blocking order > 0 without __GFP_HIGH has no right to HighAtomic. */
const V6_1_Y: AllocRule = { ...V6_3, name: "6.1.y", highatomicBy: "high" };

/**
 * The first release of each rule, oldest first. The stable edges are those of the rounds of October
 * 2025 (the patch was reviewed for all of them at once), inferred from its date.
 */
const RULES: readonly { readonly from: string; readonly rule: AllocRule }[] = [
  { from: "2.6.9", rule: V2_6 },
  { from: "2.6.38", rule: V2_6_38 },
  { from: "4.4", rule: V6_1_0 },
  { from: "6.1.157", rule: V6_1_Y },
  { from: "6.2", rule: V6_1_0 },
  { from: "6.3", rule: V6_3 },
  { from: "6.6.113", rule: V6_1_Y },
  { from: "6.7", rule: V6_3 },
  { from: "6.12.54", rule: V6_1_Y },
  { from: "6.13", rule: V6_3 },
  { from: "6.17.4", rule: V6_1_Y },
];

/** The rule of that name. */
export function allocRule(name: AllocRule["name"]): AllocRule {
  const found = RULES.find(({ rule }) => rule.name === name);
  assert(found !== undefined, "no allocation rule of this name");
  return found.rule;
}

/**
 * The rule of a kernel `version` with its stable number, e.g. "6.1.176"; null when it is no version
 * or older than 2.6.9. Distributions freeze the third number of a release ("6.1.0-50"): pass the
 * upstream version that /proc/version tells.
 */
export function allocRuleOf(version: string): AllocRule | null {
  const wanted = versionRank(version);
  if (wanted === null) return null;
  return RULES.findLast(({ from }) => (versionRank(from) ?? 0) <= wanted)?.rule ?? null;
}
