/**
 * What any line of interest in a log holds, or its half where lines are broken: of openings, requests,
 * rows of zones, and every sentence's fixed words.
 *
 * Only a line that holds a word is asked for the whole pattern around it. The bars stand where a word's
 * letters are the rarest in logs.
 */
import { WordSearch } from "./word-search.ts";

/**
 * Fixed letters, the bar before their window, and the pattern around them where letters alone would
 * hold too much back.
 */
type Held = readonly [word: string, pattern?: RegExp];

const HELD: readonly Held[] = [
  // openings and requests
  ["all|oc fail"],
  ["allocatio|n fail"],
  ["all|oc err"],
  ["allocatio|n err"],
  ["all|oc stall"],
  ["allocatio|n stall"],
  ["all|oc dead"],
  ["allocatio|n dead"],
  ["all|oc for s"],
  ["all|ocation for s"],
  ["o|om-kill"],
  ["M|em-Info:"],
  ["M|em-info:"],
  ["Sho|w Memory"],
  ["mo|de:0x"],
  ["mod|e:3D0x"],
  ["|gfp_mask"],
  ["|free:", /free:\d+kB (?:boost|min)/],
  ["Lin|ux version "],
  ["|, zone ", /Node \d+, zone /],
  // bounce buffers and masks
  ["|wiotlb"],
  ["|IO TLB"],
  ["|IOTLB"],
  ["|IOMMU"],
  ["|DMA"],
  ["|device mask"],
  ["ov|erflow ", /overflow [0-9a-f]/],
  ["ov|erflow det"],
  ["|before mapp"],
  ["n|ew pool"],
  ["on|ly able to a"],
  ["|suitable pool"],
  // IOMMUs
  ["|Unhandled con"],
  ["|text fault"],
  ["bal |fault"],
  ["Page f|ault at"],
  ["Page f|ault for"],
  ["fault|: fsr"],
  ["f|ault: stat"],
  ["f|ault addr"],
  ["f|ault type="],
  ["f|ault from EP"],
  ["f|ault index"],
  ["|FAULT"],
  ["AM|D-Vi: E"],
  ["Stre|am ID"],
  ["even|t: F_"],
  ["even|t: C_"],
  ["ev|ent 0x0"],
  ["ev|ent 0x1"],
  ["ev|ent 0x2"],
  ["e|rrs:0x"],
  ["|SMMU trans"],
  ["|out of mapp"],
  ["io|mmu full"],
  ["page| iova"],
  // CMA and what boot reserves
  ["|PFNs busy"],
  ["pag|es_isolated"],
  ["|ailed to reserve"],
  ["eservatio|n failed"],
  ["cr|ashkernel"],
  ["c|ould not be act"],
  ["|cma area"],
  ["lin|ux,cma"],
  ["eser|ved mem"],
  ["em|ory: ", /emory: \d/],
  ["|ommand line: "],
  ["tio|n Features"],
  ["|SEV) act"],
  ["tdx|: Gue"],
  // the killer, and whoever asked
  ["p|ossible memory"],
  ["ut o|f Memory"],
  ["|ut of memory"],
  ["No| available mem"],
  ["r|esult of limit"],
  ["able to alloc|ate m"],
  ["not alloc|ate m"],
];

/** The words alone, without bars. */
export const HELD_WORDS: readonly string[] = HELD.map(([word]) => word.replace("|", ""));
const PATTERNS: ReadonlyMap<string, RegExp> = new Map(
  HELD.flatMap(([word, pattern]) =>
    pattern === undefined ? [] : [[word.replace("|", ""), pattern]],
  ),
);
const SIEVE = new WordSearch(
  HELD.map(([word]) => word),
  (word, text, at) => PATTERNS.get(word)?.test(lineOf(text, at)) !== false,
);

/**
 * A place in the first line, at or behind `from`, that holds a word; beyond the text for none. `from` is
 * the beginning of a line; the last line has its end.
 */
export function nextHeld(text: string, from: number): number {
  const at = SIEVE.next(text, from);
  return at === -1 ? Number.POSITIVE_INFINITY : at;
}

function lineOf(text: string, at: number): string {
  const end = text.indexOf("\n", at);
  return text.slice(text.lastIndexOf("\n", at) + 1, end === -1 ? text.length : end);
}
