/**
 * Whether nodes or zones come first in a zonelist where nobody says, by kernel version: it changed at
 * other times than the rest of the allocator.
 *
 * Linux: default_zonelist_order(), build_zonelists(), mm/page_alloc.c of 2.6.18, 2.6.24, 2.6.39, 3.10,
 * 4.4, 4.9, 4.19 as read; f0c0b2b808f2 (2.6.23), c9bff3eebc09 (4.14)
 */
import { versionRank } from "../kernels/gfp.ts";
import { prefersZoneOrder, type SizedZone } from "./zonelist.ts";

/**
 * `numa_zonelist_order` of 2.6.23 to 4.13: what it was set to, or what the kernels up to 3.17 chose
 * by themselves ("default").
 */
export type ZonelistOrder = "node" | "zone" | "default";

/** How a kernel chooses. "by-sizes" does not ask yet for Normal memory on all nodes; "by-word": 32-bit ones take zones. */
type Choice = "node" | "by-sizes" | "default" | "by-word";

/** Oldest first. */
const CHOICES: readonly { readonly since: string; readonly choice: Choice }[] = [
  { since: "2.6.9", choice: "node" },
  { since: "2.6.23", choice: "by-sizes" },
  { since: "2.6.35", choice: "default" }, // posted in March 2010, after the merge window of 2.6.34
  { since: "3.18", choice: "by-word" }, // posted in September 2014, after that of 3.17
  { since: "4.14", choice: "node" },
];

/** Whether a kernel of `version` has zone order for these zones, told or not what it shall have. */
export function hasZoneOrder(
  version: string,
  populated: readonly SizedZone[],
  wanted: ZonelistOrder | undefined,
): boolean {
  const rank = versionRank(version) ?? 0;
  const own = CHOICES.findLast(({ since }) => (versionRank(since) ?? 0) <= rank)?.choice ?? "node";
  switch (wanted ?? own) {
    case "zone":
      return true;
    case "by-sizes":
      return prefersZoneOrder(populated, false);
    case "default":
      return prefersZoneOrder(populated);
    case "by-word":
      // A NUMA machine of 32 bits has HighMem; the zones say no more of its words.
      return populated.some(({ name }) => name === "HighMem");
    default:
      return false;
  }
}
