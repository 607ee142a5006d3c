/**
 * C text by what its characters are: code, comment, string or character constant. A scan that no
 * parse error can disturb: every textual occurrence of a flag is found by it, and counted.
 *
 * Text is one character a byte (latin1), so offsets are the file's own.
 */

export const CODE = 0;
export const COMMENT = 1;
export const STRING = 2;

export interface Lexical {
  readonly text: string;
  /** One kind a character. */
  readonly kinds: Uint8Array;
  /** `text` with comments and what is inside quotes as spaces; line breaks stay. */
  readonly bare: string;
  /** Offset of the first character of each line. */
  readonly lineStarts: readonly number[];
}

const SLASH = 0x2f;
const STAR = 0x2a;
const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const BACKSLASH = 0x5c;
const NEWLINE = 0x0a;

export function lexicalOf(text: string): Lexical {
  const kinds = new Uint8Array(text.length);
  const lineStarts = [0];
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) === NEWLINE) lineStarts.push(at + 1);
  }
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === SLASH && text.charCodeAt(at + 1) === STAR) {
      const close = text.indexOf("*/", at + 2);
      at = fill(kinds, at, close < 0 ? text.length : close + 2, COMMENT);
    } else if (code === SLASH && text.charCodeAt(at + 1) === SLASH) {
      at = fill(kinds, at, endOfLine(text, at), COMMENT);
    } else if (code === QUOTE || code === APOSTROPHE) {
      at = fill(kinds, at, endOfQuote(text, at, code), STRING);
    } else at++;
  }
  return { text, kinds, bare: bareText(text, kinds), lineStarts };
}

/** 1-based line of an offset. */
export function lineAt({ lineStarts }: Lexical, offset: number): number {
  let low = 0;
  let high = lineStarts.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((lineStarts[middle] ?? 0) <= offset) low = middle;
    else high = middle;
  }
  return low + 1;
}

/** The text of a 1-based line, without its ends. */
export function lineText({ text, lineStarts }: Lexical, line: number): string {
  const start = lineStarts[line - 1] ?? 0;
  return text.slice(start, lineStarts[line] ?? text.length).trim();
}

function fill(kinds: Uint8Array, from: number, to: number, kind: number): number {
  kinds.fill(kind, from, to);
  return Math.max(to, from + 1);
}

/** The end of a line comment: a backslash before the line break goes on. */
function endOfLine(text: string, from: number): number {
  let end = text.indexOf("\n", from);
  while (end > 0 && text.charCodeAt(end - 1) === BACKSLASH) end = text.indexOf("\n", end + 1);
  return end < 0 ? text.length : end;
}

/** Behind the closing quote; an unclosed quote ends with its line, as in `#error don't`. */
function endOfQuote(text: string, from: number, quote: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === quote) return at + 1;
    else if (code === NEWLINE) return at;
  }
  return text.length;
}

function bareText(text: string, kinds: Uint8Array): string {
  const parts: string[] = [];
  let at = 0;
  while (at < text.length) {
    const kind = kinds[at];
    let end = at + 1;
    while (end < text.length && kinds[end] === kind) end++;
    const part = text.slice(at, end);
    parts.push(kind === CODE ? part : kind === COMMENT ? spaces(part) : quoted(part));
    at = end;
  }
  return parts.join("");
}

function spaces(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

/** Strings that follow each other without a space are one part: `"a""b"`; to a parser it is `"   "`. */
function quoted(text: string): string {
  const last = text.length > 1 ? (text.at(-1) ?? "") : "";
  const close = /["']/.test(last) ? last : spaces(last);
  return `${text.slice(0, 1)}${spaces(text.slice(1, -1))}${close}`;
}
