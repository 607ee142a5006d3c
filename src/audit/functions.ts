/**
 * Functions of a file, found by brackets alone: at depth 0 a name, its parameters, and a body. Parse
 * errors elsewhere cannot lose one, and every offset has an enclosing function or none.
 */
import { type Lexical, lineAt } from "./lexical.ts";

export interface Parameter {
  readonly name: string;
  /** What is written before the name, spaces made single. */
  readonly type: string;
}

export interface CFunction {
  readonly name: string;
  readonly isStatic: boolean;
  readonly parameters: readonly Parameter[];
  /** Offsets: from the first character of its name to behind its last brace. */
  readonly start: number;
  readonly bodyStart: number;
  readonly end: number;
  readonly line: number;
}

/** How far a definition's first words can be from its name; more is no definition. */
const HEAD_CHARS = 400;
const BODY_OF = /\b([A-Za-z_]\w*)\s*\(/g;

/** `bare` is code without comments, strings and directives. */
export function functionsOf(lexical: Lexical, bare: string): CFunction[] {
  const found: CFunction[] = [];
  let at = 0;
  let head = 0;
  while (at < bare.length) {
    const code = bare[at];
    if (code === ";" || code === "}") head = at + 1;
    if (code !== "{") {
      at++;
      continue;
    }
    const end = closing(bare, at);
    const one = definition(lexical, bare, head, at, end);
    if (one !== null) found.push(one);
    at = end;
    head = end;
  }
  return found;
}

/** The function that holds an offset. */
export function functionAt(functions: readonly CFunction[], offset: number): CFunction | null {
  let low = 0;
  let high = functions.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const one = functions[middle];
    if (one === undefined) return null;
    if (offset < one.start) high = middle - 1;
    else if (offset >= one.end) low = middle + 1;
    else return one;
  }
  return null;
}

/** Behind the brace that closes the one at `open`. A closing brace in column 0 ends a function anyway. */
function closing(bare: string, open: number): number {
  let depth = 0;
  for (let at = open; at < bare.length; at++) {
    const code = bare[at];
    if (code === "{") depth++;
    else if (code === "}") {
      depth--;
      if (depth === 0 || bare[at - 1] === "\n") return at + 1;
    }
  }
  return bare.length;
}

function definition(
  lexical: Lexical,
  bare: string,
  from: number,
  brace: number,
  end: number,
): CFunction | null {
  const start = Math.max(from, brace - HEAD_CHARS * 4);
  const head = bare.slice(start, brace);
  if (/=\s*$/.test(head)) return null;
  BODY_OF.lastIndex = 0;
  let last: { name: string; at: number; open: number; close: number } | null = null;
  for (let match = BODY_OF.exec(head); match !== null; match = BODY_OF.exec(head)) {
    const open = match.index + match[0].length - 1;
    const close = closingParen(head, open);
    if (close < 0) return null;
    if (!ATTRIBUTES.test(match[1] ?? "")) {
      last = { name: match[1] ?? "", at: match.index, open, close };
    }
    BODY_OF.lastIndex = close + 1;
  }
  if (last === null || /[=,]/.test(head.slice(last.close + 1))) return null;
  const before = head.slice(0, last.at);
  return {
    name: last.name,
    isStatic: /\bstatic\b/.test(before),
    parameters: parametersOf(head.slice(last.open + 1, last.close)),
    start: start + last.at,
    bodyStart: brace,
    end,
    line: lineAt(lexical, start + last.at),
  };
}

/** What may stand in front of a body, or of a name, with brackets of its own. */
const ATTRIBUTES =
  /^(__attribute__|__printf|__scanf|__acquires|__releases|__must_hold|__aligned|__section|__cond_lock|__alloc_size|__bpf_kfunc)$/;

function closingParen(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === "(") depth++;
    else if (text[at] === ")") {
      depth--;
      if (depth === 0) return at;
    }
  }
  return -1;
}

function parametersOf(text: string): Parameter[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at <= text.length; at++) {
    const code = text[at];
    if (code === "(") depth++;
    else if (code === ")") depth--;
    else if ((code === "," && depth === 0) || at === text.length) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return parts.map(parameterOf).filter(({ type, name }) => `${type}${name}` !== "void");
}

function parameterOf(text: string): Parameter {
  const words = text.trim().replace(/\s+/g, " ");
  const pointer = /\(\s*\*\s*(\w+)/.exec(words)?.[1];
  const name = pointer ?? /(\w+)\s*(?:\[[^\]]*\]\s*)*$/.exec(words)?.[1] ?? "";
  const type = words.slice(0, words.lastIndexOf(name)).trim();
  return { name, type };
}
