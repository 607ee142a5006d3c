/**
 * What /proc/zoneinfo counts of pages that may go, read from the image: a memory whose pages nobody
 * manages has none.
 *
 * Linux: vmstat_text, zoneinfo_show_print(), mm/vmstat.c
 */
import { type Memory, Z_NODE, ZONE_WORDS } from "../memory.ts";
import { LRU_LISTS } from "../words.ts";
import { L_ACTIVE, L_ANON, L_INACTIVE, L_UNEVICTABLE, N_FAILURES, NODE_WORDS } from "./pages.ts";
import { reclaimRule } from "./rule.ts";

/** The list that each counter counts. Mlocked pages are the only ones that nobody may evict here. */
const LIST_OF: readonly (readonly [string, number])[] = [
  ["nr_zone_inactive_anon", L_ANON + L_INACTIVE],
  ["nr_zone_active_anon", L_ANON + L_ACTIVE],
  ["nr_zone_inactive_file", L_INACTIVE],
  ["nr_zone_active_file", L_ACTIVE],
  ["nr_zone_unevictable", L_UNEVICTABLE],
  ["nr_mlock", L_UNEVICTABLE],
];

/** Pages of a zone on the LRU lists, by the counter's name (4.8+). */
export function lruCounters(m: Memory, zone: number): [string, number][] {
  const words = wordsOf(m, "pages.lru");
  return LIST_OF.map(([name, list]) => [name, words?.[zone * LRU_LISTS + list] ?? 0]);
}

/** `node_unreclaimable`: 1 once kswapd has given the zone's node up (4.12+). */
export function nodeUnreclaimable(m: Memory, zone: number): number {
  const { hopeless } = reclaimRule(m.rule.name);
  const place = m.nodes.indexOf(m.zone[zone * ZONE_WORDS + Z_NODE]);
  const failures = wordsOf(m, "pages.node")?.[place * NODE_WORDS + N_FAILURES] ?? 0;
  return hopeless > 0 && failures >= hopeless ? 1 : 0;
}

function wordsOf(m: Memory, name: string): Int32Array | null {
  const region = m.image.regions.get(name);
  return region === undefined ? null : new Int32Array(region.buffer);
}
