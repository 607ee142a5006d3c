/**
 * A line of a failure report without what carried it: the prefixes of parseLogLine, and what people
 * put around those.
 *
 *   > > [  1.5] message              quoted in a mail
 *   | kernel: [  1.5] message        a table or a chat
 *   root@board:~# [  1.5] message    glued to what a program printed
 *   1.500000] message                the bracket lost in copying
 *
 * Every reader of reports goes through here, so that no other knows a prefix.
 */
import { parseLogLine } from "./log-line.ts";

export interface BareLine {
  readonly text: string;
  /** Seconds since boot, or a date as printed; null for none. timeOf() gives words. */
  readonly stamp: number | string | null;
  /** Blanks stood before the message: of a broken line's rest they belong to the text. */
  readonly indented: boolean;
  /** Blanks stood behind it: where a terminal broke the line, they belong to the text. */
  readonly spaced: boolean;
  /** Columns of the whole line: what a terminal broke is as wide as the terminal. */
  readonly width: number;
}

const QUOTES = /^(?:[ \t]*[>|])+[ \t]?/;
const DATE =
  /^(?:<\d+>)?\[?(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?((?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} \d\d:\d\d:\d\d(?: \d{4})?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)/;
/** The stamp of a message that does not begin its line. */
const STAMP_WITHIN = /\[ *(\d{1,9}\.\d{6})\](?: ?\[ *[TC]\d+\])? ?/;
const BRACKET_LOST = /^ *(\d{1,9}\.\d{6})\] ?/;
const CALLER = /^\[ *[TC]\d+\] ?/;
const KERNEL = /^(?:[\w.-]+ )?kernel: ?|^: /;
/** What mail clients put where several blanks stood. */
const HARD_BLANK = "\u00a0";
/** How far into a line a stamp is looked for: prompts are short. */
const WITHIN = 120;

/** A time since boot, and words behind it that no other prefix begins like. */
const STAMPED = /^(?:<\d>)?\[ *(\d+\.\d+)\] ?(?= ?[A-Za-z_]|\d+ [a-z])(?! ?[A-Z][a-z]{2} )/;
/** What may need a closer look wherever it stands. */
const SUSPECT = ["kernel:", "\u001b", HARD_BLANK];
const SECOND_STAMP = /\.\d{6}\]/;

/** Any text is a line; the message keeps no blanks around it. */
export function bareLine(raw: string): BareLine {
  return plainLine(raw) ?? anyLine(raw);
}

/** Most lines are a time and a message; null for others. */
function plainLine(raw: string): BareLine | null {
  const stamp = STAMPED.exec(raw);
  if (stamp === null) return null;
  const text = raw.slice(stamp[0].length);
  for (const mark of SUSPECT) if (text.includes(mark)) return null;
  if (text.includes("]") && SECOND_STAMP.test(text)) return null;
  const last = text.charCodeAt(text.length - 1);
  const spaced = last === BLANK || last === TAB;
  return {
    text: text.trim(),
    stamp: Number(stamp[1]),
    indented: text.charCodeAt(0) === BLANK,
    spaced,
    width: raw.length,
  };
}

function anyLine(raw: string): BareLine {
  let stamp: number | string | null = null;
  let text = raw.includes(HARD_BLANK) ? raw.replaceAll(HARD_BLANK, " ") : raw;
  for (let round = 0; round < 2; round++) {
    const before = text;
    const head = text.trimStart();
    if (head.startsWith(">") || head.startsWith("|")) text = text.replace(QUOTES, "");
    else if (text.startsWith("  [")) text = head; // indented in a mail
    stamp ??= mayBeDate(text) ? (DATE.exec(text)?.[1] ?? null) : null;
    const line = parseLogLine(text);
    if (line.time !== null) stamp = line.time;
    text = line.message;
    const behind = stamp !== null && text.startsWith(": ");
    if (behind || text.includes("kernel:")) text = text.replace(KERNEL, "");
    if (text.startsWith("[")) text = text.replace(CALLER, "");
    if (text === before || !mayHaveMore(text)) break;
  }
  const within = text.includes("]") ? (BRACKET_LOST.exec(text) ?? withinLine(text)) : null;
  if (within !== null) {
    stamp = within[1] ?? stamp;
    text = text.slice(within.index + within[0].length);
  }
  const first = text.charCodeAt(0);
  const last = text.charCodeAt(text.length - 1);
  const indented = first === BLANK || first === TAB;
  const spaced = last === BLANK || last === TAB;
  return { text: text.trim(), stamp, indented, spaced, width: raw.length };
}

const TAB = 9;
const BLANK = 32;
const OPEN_BRACKET = 91;

/** Dates begin with a name, a digit, or a bracket before a name: "[   12.3]" is none. */
function mayBeDate(text: string): boolean {
  const second = text.charCodeAt(1);
  return text.charCodeAt(0) !== OPEN_BRACKET || second > 57;
}

/** A second prefix behind the first begins like one. */
function mayHaveMore(text: string): boolean {
  return /^[\s[<>|\d:]|^[A-Z][a-z]{2} |kernel: /.test(text);
}

function withinLine(text: string): RegExpExecArray | null {
  return STAMP_WITHIN.exec(text.slice(0, WITHIN));
}

/** "12.345678", or the date as it was printed; null for none. */
export function timeOf(stamp: number | string | null): string | null {
  if (stamp === null) return null;
  return typeof stamp === "number" ? stamp.toFixed(6) : ownString(stamp);
}

/** A copy: a piece of a string keeps the whole of it in memory, here a chunk of the log. */
function ownString(text: string): string {
  return text.split("").join("");
}
