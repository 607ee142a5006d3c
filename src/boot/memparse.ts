/**
 * Numbers as the kernel reads them from its command line: decimal, octal with
 * a leading 0, hexadecimal with 0x, and one binary suffix of K M G T P E in
 * either case. Reading stops at the first character that does not belong to the
 * number, and that is no error of its own: what follows is the caller's syntax.
 *
 * The kernel wraps at 2^64 in silence. Here a number is capped at 2^53 - 1 and
 * marked, so that nobody computes with a value that is not exact.
 */

export interface ParsedNumber {
  /** Capped at Number.MAX_SAFE_INTEGER. */
  readonly value: number;
  /** Index of the first character that was not read; the start index when there was no digit. */
  readonly end: number;
  readonly capped: boolean;
}

const SUFFIXES = "KMGTPE";

/** Digits with the radix prefix, without suffix. Linux: simple_strtoull(), lib/vsprintf.c */
export function parseInteger(text: string, from = 0): ParsedNumber {
  let radix = 10;
  let at = from;
  if (text[at] === "0") {
    const hex = (text[at + 1] === "x" || text[at + 1] === "X") && digit(text, at + 2, 16) >= 0;
    radix = hex ? 16 : 8;
    if (hex) at += 2;
  }
  let value = 0;
  let capped = false;
  for (let next = digit(text, at, radix); next >= 0; next = digit(text, ++at, radix)) {
    const grown = value * radix + next;
    if (grown > Number.MAX_SAFE_INTEGER) capped = true;
    value = capped ? Number.MAX_SAFE_INTEGER : grown;
  }
  return { value, end: at, capped };
}

/** A number of bytes with an optional suffix. Linux: memparse(), lib/cmdline.c */
export function memparse(text: string, from = 0): ParsedNumber {
  const number = parseInteger(text, from);
  const suffix = SUFFIXES.indexOf((text[number.end] ?? " ").toUpperCase());
  if (number.end === from || suffix < 0) return number;
  const value = number.value * 1024 ** (suffix + 1);
  const capped = number.capped || value > Number.MAX_SAFE_INTEGER;
  return { value: capped ? Number.MAX_SAFE_INTEGER : value, end: number.end + 1, capped };
}

/** Value of the digit at `at`, -1 when there is none in this radix. */
function digit(text: string, at: number, radix: number): number {
  const code = text.charCodeAt(at);
  let value = -1;
  if (code >= 0x30 && code <= 0x39) value = code - 0x30;
  else if (code >= 0x41 && code <= 0x46) value = code - 0x41 + 10;
  else if (code >= 0x61 && code <= 0x66) value = code - 0x61 + 10;
  return value < radix ? value : -1;
}
