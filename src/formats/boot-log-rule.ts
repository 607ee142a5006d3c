/**
 * A rule: one kind of kernel message, how to recognise it and where it goes.
 * The rules of all kinds together are a table by first word, so that a line
 * costs one look-up unless it is one of ours.
 *
 * A line that starts as `start` says but does not match `pattern` was cut or
 * garbled, and is reported; a rule whose start other messages share is `loose`
 * and leaves such lines alone, unless they are `sure` to be its own. Patterns run to the end of the message, for a
 * number that lost its last digits still looks like a number.
 */
import { assert } from "../base/assert.ts";
import type { Range } from "../base/range.ts";
import { type Draft, keep } from "./boot-log-draft.ts";

/** "other": not the message after all. */
export type Verdict = "read" | "garbled" | "other";

export interface Rule {
  /** For people: what the line is. */
  readonly what: string;
  /** How the message starts, leading blanks taken off. */
  readonly start: string;
  readonly pattern: RegExp;
  readonly loose?: boolean;
  /** Of a loose rule: what no other message has. */
  readonly sure?: RegExp;
  readonly read: (draft: Draft, found: RegExpExecArray, line: number) => Verdict;
}

/** Rules by the first word of their message, in order. */
export type RuleTable = ReadonlyMap<string, readonly Rule[]>;

export function ruleTable(rules: readonly Rule[]): RuleTable {
  const table = new Map<string, Rule[]>();
  for (const rule of rules) {
    const word = firstWord(rule.start);
    const same = table.get(word);
    if (same === undefined) table.set(word, [rule]);
    else same.push(rule);
  }
  return table;
}

/**
 * The key of a message: its leading letters, digits, `_` and `-`. Messages that
 * open with a number (`879MB LOWMEM available.`) or another sign share "".
 */
export function firstWord(text: string): string {
  if (isDigit(text.charCodeAt(0))) return "";
  let end = 0;
  while (end < text.length && isWord(text.charCodeAt(end))) end++;
  return text.slice(0, end);
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isWord(code: number): boolean {
  return (
    (code >= 97 && code <= 122) ||
    (code >= 65 && code <= 90) ||
    isDigit(code) ||
    code === 95 ||
    code === 45
  );
}

/** A group that the pattern always fills. */
export function filled(group: string | undefined): string {
  assert(group !== undefined, "a rule read a group that its pattern does not fill");
  return group;
}

/** A decimal number, clamped to what is exact. */
export function decimal(group: string | undefined): number {
  return Math.min(Number(filled(group)), Number.MAX_SAFE_INTEGER);
}

/** A decimal number of units of `unit` bytes, as bytes, clamped. */
export function scaled(group: string | undefined, unit: number): number {
  return Math.min(decimal(group) * unit, Number.MAX_SAFE_INTEGER);
}

/** A hexadecimal number with or without 0x, clamped to what is exact. */
export function hex(group: string | undefined): number {
  return Math.min(Number.parseInt(filled(group), 16), Number.MAX_SAFE_INTEGER);
}

/** [first-last] of the log, last byte included. */
export function inclusive(first: string | undefined, last: string | undefined): Range {
  return { start: hex(first), end: Math.min(hex(last) + 1, Number.MAX_SAFE_INTEGER) };
}

/** [start - end) of the log. */
export function exclusive(start: string | undefined, end: string | undefined): Range {
  return { start: hex(start), end: hex(end) };
}

/**
 * A range whose end kernels print now with, now without its last byte. What it
 * describes consists of whole pages, so an odd end is a last byte.
 */
export function pages(start: string | undefined, end: string | undefined): Range {
  return hex(end) % 2 === 1 ? inclusive(start, end) : exclusive(start, end);
}

/** [start, start + bytes), clamped. */
export function sized(start: number, bytes: number): Range {
  return { start, end: Math.min(start + bytes, Number.MAX_SAFE_INTEGER) };
}

/** Adds a range to a list of the record; one that ends before it starts was garbled. */
export function keepRange<Entry extends Range>(draft: Draft, list: Entry[], entry: Entry): Verdict {
  if (entry.end < entry.start) return "garbled";
  keep(draft, list, entry);
  return "read";
}
