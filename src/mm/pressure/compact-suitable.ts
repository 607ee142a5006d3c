/**
 * Can moving pages help a request? A zone needs free pages to move others to, and a
 * request that fails for lack of order and not of memory.
 *
 * Linux: __compaction_suitable(), compaction_suitable(), compaction_zonelist_suitable(),
 * mm/compaction.c; compact_gap(), include/linux/compaction.h
 */
import { fragmentationIndex, unusableIndex } from "../fragmentation.ts";
import { ALLOC_CMA } from "../gfp-alloc.ts";
import {
  COSTLY_ORDER,
  type Memory,
  Z_BLOCKS,
  Z_BOOST,
  Z_FREE,
  Z_INDEX,
  Z_LOW,
  Z_MIN,
  Z_PRESENT,
  ZONE_WORDS,
} from "../memory.ts";
import { markOf, watermarkOk } from "../zone-watermark.ts";
import { compactRule } from "./compact-rule.ts";
import type { Pages } from "./pages.ts";
import { zoneReclaimable } from "./scan-counts.ts";

/** vm.extfrag_threshold: up to here it is memory that lacks, not order. */
const EXTFRAG_THRESHOLD = 500;

/** What a look at a zone comes to: a block is there, too little to move pages to, or a run. */
export type Suitable = "success" | "skipped" | "continue";

/** Free pages above the mark that a run for `order` wants. Linux: compact_gap() */
export function compactGap(order: number): number {
  return 2 << order;
}

/** Linux: compaction_suitable(), mm/compaction.c */
export function compactionSuitable(
  m: Memory,
  zone: number,
  order: number,
  flags: number,
  highest: number,
): Suitable {
  const at = zone * ZONE_WORDS;
  if (!compactRule(m.rule.name).byCost) return suitableFormerly(m, zone, order);
  const answer = suitableWith(m, zone, order, flags, highest, m.zone[at + Z_FREE]);
  if (answer !== "continue" || order <= COSTLY_ORDER) return answer;
  const index = fragmentationIndex(blocksOf(m, zone), order);
  return index >= 0 && index <= EXTFRAG_THRESHOLD ? "skipped" : "continue";
}

/** Up to 4.8, where it is the same for all orders and requests. Linux: compaction_suitable() of 3.10 */
function suitableFormerly(m: Memory, zone: number, order: number): Suitable {
  if (order < 0) return "continue";
  const at = zone * ZONE_WORDS;
  const mark = m.zone[at + Z_LOW] + compactGap(order);
  if (!watermarkOk(m.zone, at, 0, mark, 0, 0, m.marks)) return "skipped";
  const index = fragmentationIndex(blocksOf(m, zone), order);
  if (index >= 0 && index <= EXTFRAG_THRESHOLD) return "skipped";
  const isThere = index === HAS_BLOCK && watermarkOk(m.zone, at, order, mark, 0, 0, m.marks);
  return isThere ? "success" : "continue";
}

/** What the index is where a block is there. */
const HAS_BLOCK = -1000;

/** The same as if `free` pages were free, and whatever lacks. Linux: __compaction_suitable() */
function suitableWith(
  m: Memory,
  zone: number,
  order: number,
  flags: number,
  highest: number,
  free: number,
): Suitable {
  if (order < 0) return "continue";
  const at = zone * ZONE_WORDS;
  const limit = Math.min(highest, HIGHEST_RESERVE);
  const mark = markOf(m.zone, at, flags);
  if (watermarkOk(m.zone, at, order, mark, limit, flags, m.marks)) return "success";
  const base = m.zone[at + (order > COSTLY_ORDER ? Z_LOW : Z_MIN)] + m.zone[at + Z_BOOST];
  // As many pages more or less against the mark are as many fewer or more free ones.
  const least = base + compactGap(order) - (free - m.zone[at + Z_FREE]);
  return watermarkOk(m.zone, at, 0, least, limit, ALLOC_CMA, m.marks) ? "continue" : "skipped";
}

/** Last entry of lowmem_reserve[]. */
const HIGHEST_RESERVE = 7;

/**
 * Whether some zone of a list could be compacted if part of what can be reclaimed were: the part
 * falls with the order. Linux: compaction_zonelist_suitable(), mm/compaction.c
 */
export function zonelistSuitable(
  pages: Pages,
  order: number,
  highest: number,
  list: number,
  flags: number,
): boolean {
  const { m } = pages;
  for (let i = list + 1; m.zonelist[i] >= 0; i++) {
    const zone = m.zonelist[i];
    const at = zone * ZONE_WORDS;
    if (m.zone[at + Z_INDEX] > highest) continue;
    const free = Math.floor(zoneReclaimable(pages, zone) / order) + m.zone[at + Z_FREE];
    if (suitableWith(m, zone, order, flags, highest, free) === "continue") return true;
  }
  return false;
}

/** Free blocks of a zone by order. */
function blocksOf(m: Memory, zone: number): number[] {
  const at = zone * ZONE_WORDS + Z_BLOCKS;
  return Array.from(m.zone.subarray(at, at + m.maxOrder + 1));
}

/**
 * How much of a zone's free memory is in pieces smaller than a huge page, in hundredths.
 * Linux: fragmentation_score_zone(), mm/compaction.c; extfrag_for_order(), mm/vmstat.c
 */
export function zoneScore(m: Memory, zone: number): number {
  const blocks = blocksOf(m, zone);
  if (blocks.every((count) => count === 0)) return 0;
  return Math.floor(unusableIndex(blocks, m.pageblockOrder) / 10);
}

/** The same of a node, its zones weighed by their size. Linux: fragmentation_score_node(), mm/compaction.c */
export function nodeScore(m: Memory, zones: readonly number[]): number {
  const present = (zone: number): number => m.zone[zone * ZONE_WORDS + Z_PRESENT];
  const all = zones.reduce((sum, zone) => sum + present(zone), 0);
  return zones.reduce(
    (sum, zone) => sum + Math.floor((present(zone) * zoneScore(m, zone)) / (all + 1)),
    0,
  );
}

/** Scores between which a node is compacted unasked. Linux: fragmentation_score_wmark(), mm/compaction.c */
export function scoreMark(proactiveness: number, low: boolean): number {
  const mark = Math.max(100 - proactiveness, 5);
  return low ? mark : Math.min(mark + 10, 100);
}
