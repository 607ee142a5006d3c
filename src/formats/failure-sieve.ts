/**
 * What any line of interest in a log holds, or its half where lines are broken: of openings, requests,
 * rows of zones, and every sentence's fixed words.
 *
 * Most text has none of it, so only every third place of it is looked at, three letters each: of five
 * letters in a row, a word's window, one look takes in three. Where these are some window's, the word
 * is compared. A window lies where its word's letters are the rarest in logs.
 *
 *   text    …l l o c  f a i l u r e…
 *   window       [c  f a i]
 *   looks      └─┴─┘└─┴─┘└─┴─┘
 */

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

/** Places of a text from one look to the next: as many as a window has threes of letters. */
const STEP = 3;
/** Letters that threes are known by; others fall on these, and the comparison tells. */
const LETTERS = 128;
/** Any letter: before and behind a word that is shorter than its window. */
const ANY = -1;

/** A word, and how far into it the look falls. */
interface Place {
  readonly word: string;
  readonly offset: number;
  readonly pattern: RegExp | null;
}

/** Whether some window has three letters with this hash, and whose. */
const THREES = new Uint8Array(2 ** 16);
const PLACES = new Map<number, Place[]>();
for (const [marked, pattern = null] of HELD) {
  const word = marked.replace("|", "");
  const begin = word.length > STEP ? marked.indexOf("|") : -1;
  for (let offset = begin; offset < begin + STEP; offset++) {
    const code = (n: number): number => word.codePointAt(offset + n) ?? ANY;
    for (const a of lettersOf(code(0))) {
      for (const b of lettersOf(code(1))) {
        for (const c of lettersOf(code(2))) add(hashOf(a, b, c), { word, offset, pattern });
      }
    }
  }
}

function lettersOf(code: number): readonly number[] {
  return code === ANY ? Array.from({ length: LETTERS }, (_, letter) => letter) : [code];
}

function add(hash: number, place: Place): void {
  THREES[hash] = 1;
  PLACES.set(hash, [...(PLACES.get(hash) ?? []), place]);
}

function hashOf(a: number, b: number, c: number): number {
  return ((a & (LETTERS - 1)) << 9) ^ ((b & (LETTERS - 1)) << 2) ^ (c & (LETTERS - 1));
}

/**
 * A place in the first line, at or behind `from`, that holds a word; beyond the text for none. `from` is
 * the beginning of a line; the last line has its end.
 */
export function nextHeld(text: string, from: number): number {
  const end = text.length - 2;
  for (let at = from + 1; at < end; at += STEP) {
    const hash = hashOf(text.charCodeAt(at), text.charCodeAt(at + 1), text.charCodeAt(at + 2));
    if (THREES[hash] === 0) continue;
    const hit = wordAt(text, at, PLACES.get(hash) ?? [], from);
    if (hit !== -1) return hit;
  }
  return Number.POSITIVE_INFINITY;
}

/** Where a word begins that the look at `at` falls into; -1 for none. */
function wordAt(text: string, at: number, places: readonly Place[], from: number): number {
  for (const { word, offset, pattern } of places) {
    const start = at - offset;
    if (start < from || !text.startsWith(word, start)) continue;
    if (pattern === null || pattern.test(lineOf(text, start))) return start;
  }
  return -1;
}

function lineOf(text: string, at: number): string {
  const end = text.indexOf("\n", at);
  return text.slice(text.lastIndexOf("\n", at) + 1, end === -1 ? text.length : end);
}
