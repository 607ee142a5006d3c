/**
 * GFP flags as text, in the forms of traces, reports and sources:
 *
 *   GFP_KERNEL|__GFP_ZERO      names joined with "|", rest in hexadecimal, "none" for no bit
 *   0xcc0                      bits
 *   0xcc0(GFP_KERNEL)          bits, and the same by name
 *
 * Linux: show_gfp_flags(), include/trace/events/mmflags.h; trace_print_flags_seq(),
 * kernel/trace/trace_output.c
 */
import type { Issue, Outcome } from "../base/issue.ts";
import { GFP_ERAS, type GfpEra, type GfpName } from "../kernels/gfp.ts";

/**
 * The bits that `text` asks for in `era`. Errors: empty text, names the era does not have (the
 * nearest name and eras that have it are told), numbers beyond 32 bits. A warning where the bits and
 * the names of one text differ; the bits are right then.
 */
export function parseGfp(text: string, era: GfpEra): Outcome<number> {
  const issues: Issue[] = [];
  const trimmed = text.trim();
  const both = /^(0[xX][\da-fA-F]+)\((.*)\)$/.exec(trimmed);
  if (both === null) return { value: parseNames(trimmed, era, issues), issues };
  const [, hex = "", names = ""] = both;
  const value = parseWord(hex, era, issues);
  const named = parseNames(names, era, issues);
  if (issues.length === 0 && value !== named) {
    issues.push({
      severity: "warning",
      message: `${hex} is ${formatGfp(value, era)} in ${era.name}, but the text says ${excerpt(names)}`,
      mend: "give the version of the kernel that printed it",
    });
  }
  return { value, issues };
}

/**
 * `bits` as kernels of `era` print them: the first names of its table that fit, then what is left.
 */
export function formatGfp(bits: number, era: GfpEra): string {
  let left = bits >>> 0;
  if (left === 0) return era.none;
  const names: string[] = [];
  for (const list of [era.composites, era.singles]) {
    for (const [name, mask] of list) {
      if (mask === 0 || (left & mask) >>> 0 !== mask) continue;
      names.push(name);
      left = (left & ~mask) >>> 0;
    }
  }
  if (left !== 0) names.push(`0x${left.toString(16)}`);
  return names.join("|");
}

function parseNames(text: string, era: GfpEra, issues: Issue[]): number {
  let bits = 0;
  for (const word of text.split("|")) {
    const value = parseWord(word.trim(), era, issues);
    bits = (bits | value) >>> 0;
    // One line of rubbish is one issue.
    if (issues.length > 0) break;
  }
  return bits;
}

function parseWord(word: string, era: GfpEra, issues: Issue[]): number {
  if (/^(0[xX][\da-fA-F]+|\d+)$/.test(word)) {
    const value = Number(word);
    if (value < 2 ** 32) return value;
    issues.push({ severity: "error", message: `${excerpt(word)} does not fit a gfp_t of 32 bits` });
    return 0;
  }
  if (word === "none") return 0;
  const bits = namesOf(era).get(word);
  if (bits === undefined) issues.push(unknownName(word, era));
  return bits ?? 0;
}

function unknownName(word: string, era: GfpEra): Issue {
  if (word === "") {
    return {
      severity: "error",
      message: "a GFP flag is missing",
      mend: "write names joined with |, such as GFP_KERNEL|__GFP_ZERO",
    };
  }
  const elsewhere = GFP_ERAS.filter((other) => namesOf(other).has(word)).map(({ name }) => name);
  if (elsewhere.length > 0) {
    return {
      severity: "error",
      message: `${word} is no GFP flag of ${era.name}`,
      mend: `it is one of ${elsewhere.join(", ")}`,
    };
  }
  const near = nearestName(word, namesOf(era).keys());
  return {
    severity: "error",
    message: `${excerpt(word)} is no GFP flag`,
    ...(near === null ? {} : { mend: `did you mean ${near}?` }),
  };
}

const CACHE = new WeakMap<GfpEra, ReadonlyMap<string, number>>();

/** Every name of an era, in its source's spelling and in what it prints. */
function namesOf(era: GfpEra): ReadonlyMap<string, number> {
  let names = CACHE.get(era);
  if (names === undefined) {
    const lists: readonly (readonly GfpName[])[] = [
      era.unprinted,
      era.singles,
      era.composites,
      [...era.bits],
    ];
    names = new Map(lists.flat());
    CACHE.set(era, names);
  }
  return names;
}

/** Longest word that is compared: the longest name and a few slips. */
const WORD_MAX = 32;

function nearestName(word: string, names: Iterable<string>): string | null {
  if (word.length > WORD_MAX) return null;
  const wanted = bare(word);
  let nearest: string | null = null;
  // As many slips as leave half of the name; two letters swapped are two.
  let least = Math.floor(wanted.length / 2) + 1;
  for (const name of names) {
    const slips = editDistance(wanted, bare(name));
    if (slips >= least) continue;
    nearest = name;
    least = slips;
  }
  return nearest;
}

/** Without the prefixes, which people leave out and mix up. */
function bare(name: string): string {
  return name.toUpperCase().replace(/^_*GFP_/, "");
}

/** Letters to insert, delete or change to make `b` of `a`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function excerpt(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
