/**
 * Preprocessor conditions by line: what must hold for a line to be compiled, as far as it is a
 * CONFIG_ symbol, and which lines are never compiled (`#if 0`).
 */
import type { Lexical } from "./lexical.ts";

export interface Conditionals {
  /** First and last line of what `#if 0` leaves out. */
  readonly never: readonly (readonly [number, number])[];
  /** First and last line, and the symbols as Kconfig spells them; "!X" where X must be unset. */
  readonly configs: readonly (readonly [number, number, string])[];
  /** Ranges of lines that a parser must not see: the second halves of torn brackets. */
  readonly torn: readonly (readonly [number, number])[];
}

interface Branch {
  readonly line: number;
  readonly symbol: string | null;
  readonly never: boolean;
}

interface Open {
  readonly branches: Branch[];
}

const DIRECTIVE = /^[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else|endif)\b([^\n]*)/;

export function conditionalsOf({ bare }: Lexical): Conditionals {
  const never: [number, number][] = [];
  const configs: [number, number, string][] = [];
  const torn: [number, number][] = [];
  const open: Open[] = [];
  const lines = bare.split("\n");
  const depths = depthsOf(lines);
  for (const [index, text] of lines.entries()) {
    const [, word = "", rest = ""] = DIRECTIVE.exec(text) ?? [];
    if (word === "") continue;
    const line = index + 1;
    const top = open.at(-1);
    if (word === "if" || word === "ifdef" || word === "ifndef") {
      open.push({ branches: [branchOf(line, word, rest)] });
    } else if (top !== undefined && word !== "endif") {
      top.branches.push(alternative(line, word, rest, top));
    } else if (top !== undefined) {
      open.pop();
      close(top, line, depths, { never, configs, torn });
    }
  }
  return { never, configs, torn };
}

function close(
  { branches }: Open,
  end: number,
  depths: Int32Array,
  into: {
    never: [number, number][];
    configs: [number, number, string][];
    torn: [number, number][];
  },
): void {
  const first = branches[0];
  const next = branches[1];
  const isTorn =
    first !== undefined && next !== undefined && depths[first.line] !== depths[next.line - 1];
  for (const [i, branch] of branches.entries()) {
    const last = (branches[i + 1]?.line ?? end) - 1;
    if (branch.never) into.never.push([branch.line + 1, last]);
    if (branch.symbol !== null) into.configs.push([branch.line + 1, last, branch.symbol]);
    if (isTorn && i > 0) into.torn.push([branch.line + 1, last]);
  }
}

/** Braces that are open behind each 1-based line. */
function depthsOf(lines: readonly string[]): Int32Array {
  const depths = new Int32Array(lines.length + 1);
  let depth = 0;
  for (const [index, line] of lines.entries()) {
    for (const brace of line.match(/[{}]/g) ?? []) depth += brace === "{" ? 1 : -1;
    depths[index + 1] = depth;
  }
  return depths;
}

function branchOf(line: number, word: string, rest: string): Branch {
  const symbol = symbolIn(rest);
  if (word === "if") return { line, symbol, never: /^\s*0\s*$/.test(rest) };
  const turned = symbol !== null && word === "ifndef" ? `!${symbol}` : symbol;
  return { line, symbol: turned, never: false };
}

function alternative(line: number, word: string, rest: string, { branches }: Open): Branch {
  if (word === "elif") return branchOf(line, "if", rest);
  const [only] = branches;
  if (branches.length > 1 || only === undefined || only.symbol === null) {
    return { line, symbol: null, never: false };
  }
  const turned = only.symbol.startsWith("!") ? only.symbol.slice(1) : `!${only.symbol}`;
  return { line, symbol: turned, never: false };
}

/** The one symbol of a condition; null for anything that is more than that. */
function symbolIn(rest: string): string | null {
  const [, not = "", name] =
    /^\s*(!?)\s*(?:defined|IS_ENABLED|IS_REACHABLE|IS_BUILTIN)?\s*\(?\s*CONFIG_(\w+?)(?:_MODULE)?\s*\)?\s*$/.exec(
      rest,
    ) ?? [];
  return name === undefined ? null : `${not}${name}`;
}
