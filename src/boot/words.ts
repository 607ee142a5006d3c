/**
 * A command line as words: separated by white space, double quotes keep white
 * space inside and vanish around a value, `-` and `_` are the same in a name.
 *
 * Linux: next_arg(), lib/cmdline.c; parameq(), kernel/params.c
 */

export interface Word {
  /** As written. */
  readonly text: string;
  /** With `-` made `_`. */
  readonly name: string;
  /** What follows the first `=`, without quotes around it; null without `=`. */
  readonly value: string | null;
}

export function splitWords(line: string): Word[] {
  const words: Word[] = [];
  let from = -1;
  let quoted = false;
  for (let at = 0; at <= line.length; at++) {
    const char = line[at];
    const blank = char === undefined || (!quoted && isBlank(char));
    if (!blank && from < 0) from = at;
    if (char === '"') quoted = !quoted;
    if (!blank || from < 0) continue;
    words.push(wordOf(line.slice(from, at)));
    from = -1;
  }
  return words;
}

function isBlank(char: string): boolean {
  return char === " " || (char >= "\t" && char <= "\r");
}

function wordOf(text: string): Word {
  const bare = text.startsWith('"') ? unquote(text) : text;
  // A word that starts with "=" has no name and is left alone.
  const equals = bare.indexOf("=", 1);
  if (equals < 0) return { text, name: bare.replaceAll("-", "_"), value: null };
  const name = bare.slice(0, equals).replaceAll("-", "_");
  const value = bare.slice(equals + 1);
  return { text, name, value: value.startsWith('"') ? unquote(value) : value };
}

function unquote(text: string): string {
  return text.slice(1, text.length > 1 && text.endsWith('"') ? -1 : undefined);
}

/** Shorter names are not guessed at: `mem` and `cma` are one letter from half the dictionary. */
const SHORTEST_GUESS = 6;
/** Names of this length on may differ by two letters. */
const LONG_NAME = 8;

/** The name that `name` most likely misspells, or null. */
export function nearestName(name: string, names: Iterable<string>): string | null {
  // A dot separates a module from its parameter: none of ours.
  if (name.length < SHORTEST_GUESS || name.includes(".")) return null;
  let best: string | null = null;
  let bestDistance = name.length >= LONG_NAME ? 3 : 2;
  for (const candidate of names) {
    if (candidate.length < SHORTEST_GUESS) continue;
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = editDistance(name, candidate);
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/** Letters to insert, delete, replace or swap with their neighbour. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last: number[] = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(at(row, j - 1) + 1, at(last, j) + 1, at(last, j - 1) + same);
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] && i > 1 && j > 1) {
        cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.MAX_SAFE_INTEGER;
}
