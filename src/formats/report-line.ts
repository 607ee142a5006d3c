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
  /** The time as printed, seconds since boot or a date; null for none. */
  readonly time: string | null;
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

/** Any text is a line; the message keeps no blanks around it. */
export function bareLine(raw: string): BareLine {
  let time: string | null = null;
  let text = raw.includes(HARD_BLANK) ? raw.replaceAll(HARD_BLANK, " ") : raw;
  for (let round = 0; round < 2; round++) {
    const before = text;
    const head = text.trimStart();
    if (head.startsWith(">") || head.startsWith("|")) text = text.replace(QUOTES, "");
    else if (text.startsWith("  [")) text = head; // indented in a mail
    time ??= DATE.exec(text)?.[1] ?? null;
    const line = parseLogLine(text);
    if (line.time !== null) time = line.time.toFixed(6);
    text = line.message.replace(KERNEL, "").replace(CALLER, "");
    if (text === before) break;
  }
  const lost = BRACKET_LOST.exec(text);
  const within = lost ?? (text.includes("]") ? STAMP_WITHIN.exec(text.slice(0, WITHIN)) : null);
  if (within !== null) {
    time = within[1] ?? time;
    text = text.slice(within.index + within[0].length);
  }
  const own = time === null ? null : ownString(time);
  const indented = /^[ \t]/.test(text);
  const spaced = /[ \t]$/.test(text);
  return { text: text.trim(), time: own, indented, spaced, width: raw.length };
}

/** A copy: a piece of a string keeps the whole of it in memory, here a chunk of the log. */
function ownString(text: string): string {
  return text.split("").join("");
}
