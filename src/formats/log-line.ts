/**
 * One line of a kernel log without what printk, dmesg, syslog or a serial
 * console put around the message.
 *
 *   <6>[    0.000000][    T0] message      /dev/kmsg dumps, pstore, dmesg -r
 *   6,339,5140900,-;message                /dev/kmsg
 *   kern  :info  : [    0.000000] message  dmesg -x
 *   [Tue Nov  3 10:00:00 2026] message     dmesg -T, -e, --reltime
 *   2026-11-03T10:00:00,123456+01:00 message            dmesg --time-format=iso
 *   Nov 03 10:00:00 host kernel: [    1.23] message     syslog, journalctl
 *   message                                a serial console without time stamps
 *
 * A line of another program (`host systemd[1]: …`) keeps its name in the
 * message, so that nobody takes it for the kernel's. Leading blanks belong to
 * the message: the kernel indents with them.
 */

export interface LogLine {
  /** printk level 0 (emergency) to 7 (debug), or null. */
  readonly level: number | null;
  /** Seconds since boot, or null where the line has none or a calendar time. */
  readonly time: number | null;
  readonly message: string;
}

const MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const DAY = "(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )";
const CLOCK = "\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d+)?";
const ZONE = "(?: ?(?:Z|[+-]\\d\\d:?\\d\\d|[A-Z]{2,5})(?= ))?";
const DATED = new RegExp(
  `${DAY}?(?:${MONTH} +\\d{1,2} ${CLOCK}(?: \\d{4})?|\\d{4}-\\d\\d-\\d\\d[T ]${CLOCK}${ZONE}|\\d{9,10}\\.\\d{6}) `,
  "y",
);
/** Host and, from small syslogs, facility; then the kernel's name. */
const FROM_KERNEL = /(?:[^\s:]+ ){0,2}kernel: ?/y;
const SINCE_BOOT = /\[ *(\d+\.\d+)(?: <[ +]*\d+\.\d+>)?\]/y;
const CALENDAR = new RegExp(
  `\\[(?:${DAY}?${MONTH} +\\d{1,2} \\d\\d:\\d\\d(?::\\d\\d(?:[.,]\\d+)?)?(?: \\d{4})?|[ +]+\\d+\\.\\d+|<[ +]*\\d+\\.\\d+>)\\]`,
  "y",
);
/** CONFIG_PRINTK_CALLER: a task or a CPU. */
const CALLER = / ?\[ *[TC]\d+\]/y;
const FACILITY =
  /(?:kern|user|mail|daemon|auth|syslog|local\d) *:(emerg|alert|crit|err|warn|notice|info|debug) *: ?/y;
const KMSG = /(\d{1,5}),\d+,(\d+),[^;]*;/y;
const LEVELS = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

const OPEN_ANGLE = 60;
const OPEN_BRACKET = 91;
const BLANK = 32;
const ESCAPE = "\u001b";

/** Takes a line without its line end apart; any text is a line. */
export function parseLogLine(text: string): LogLine {
  const line = text.includes(ESCAPE) ? withoutColours(text) : text;
  let at = line.charCodeAt(0) === 0xfeff ? 1 : 0;
  let level: number | null = null;
  let time: number | null = null;

  if (line.charCodeAt(at) === OPEN_ANGLE) {
    const close = line.indexOf(">", at);
    if (close > at + 1 && close <= at + 4 && isDigits(line, at + 1, close)) {
      level = Number(line.slice(at + 1, close)) & 7;
      at = close + 1;
    }
  }
  const first = line.charCodeAt(at);
  if (isDigit(first)) {
    const record = match(KMSG, line, at);
    if (record !== null) {
      const micros = Number(record[2]);
      return {
        level: Number(record[1]) & 7,
        time: micros / 1e6,
        message: line.slice(KMSG.lastIndex),
      };
    }
    at = skipDate(line, at);
  } else if (first !== OPEN_BRACKET && first !== BLANK) {
    const facility = line.indexOf(":", at) - at < 10 ? match(FACILITY, line, at) : null;
    if (facility !== null) {
      level = LEVELS.indexOf(facility[1] ?? "");
      at = skipDate(line, FACILITY.lastIndex);
    } else at = skipDate(line, at);
  }
  if (line.charCodeAt(at) !== OPEN_BRACKET) return { level, time, message: line.slice(at) };

  const stamp = match(SINCE_BOOT, line, at);
  if (stamp !== null) time = Number(stamp[1]);
  else if (match(CALENDAR, line, at) === null) return { level, time, message: line.slice(at) };
  at = stamp === null ? CALENDAR.lastIndex : SINCE_BOOT.lastIndex;
  if (match(CALLER, line, at) !== null) at = CALLER.lastIndex;
  if (line.charCodeAt(at) === BLANK) at++;
  if (line.includes("kernel: ", at) && match(FROM_KERNEL, line, at) !== null)
    at = FROM_KERNEL.lastIndex;
  return { level, time, message: line.slice(at) };
}

/** Behind a calendar time and `host kernel: `, or `at` where there is none. */
function skipDate(line: string, at: number): number {
  // Cheap look first: month and day names have three letters, other dates start with digits.
  const named = line.charCodeAt(at + 3) === BLANK || line.charCodeAt(at + 4) === BLANK;
  let next = at;
  if (named || isDigit(line.charCodeAt(at))) {
    if (match(DATED, line, at) !== null) next = DATED.lastIndex;
  }
  const from = line.indexOf("kernel: ", next);
  if (from === -1 || (next === at && from !== at)) return next;
  return match(FROM_KERNEL, line, next) === null ? next : FROM_KERNEL.lastIndex;
}

function match(pattern: RegExp, line: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(line);
}

/** Without terminal sequences: `dmesg --color` and boot firmware on a serial line. */
function withoutColours(text: string): string {
  return text
    .split(ESCAPE)
    .map((part, i) => (i === 0 ? part : part.replace(/^\[[0-9;?]*[A-Za-z]|^./, "")))
    .join("");
}

function isDigits(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (!isDigit(text.charCodeAt(i))) return false;
  return true;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}
