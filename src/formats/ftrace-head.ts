/**
 * The columns left of an event:
 *
 *           <idle>-0       [000] d..4.     0.212218: mm_page_free: …
 *             init-1       (     1) [001] d..4     0.212218: mm_page_free: …     with tgid
 *             init-1     [000]     0.212218: mm_page_free: …                     no flags
 *
 * The name of the task fills 16 columns and may hold anything, blanks and
 * brackets too. Lines whose columns were moved (blanks at the start cut off, a
 * name that is not ASCII, `trace-cmd report`, `perf script`) are read by a slower
 * expression over their first characters.
 *
 * Linux: trace_print_context(), trace_print_lat_fmt(), kernel/trace/trace_output.c
 */
import type { TraceFlags, TraceHead } from "./ftrace-event.ts";
import type { Scan } from "./ftrace-scan.ts";

/** Width of the task's name: `%16s`. */
const TASK_COLUMNS = 16;
const DASH = 45;
const SPACE = 32;
const OPEN = 40; // "("
const BRACKET = 91; // "["
const DOT = 46;
/** Names fit 16 columns, a pid 10 digits, a CPU 4: what is further right is no head. */
const HEAD_LENGTH = 120;
const MOVED =
  /^ {0,40}(\S.{0,40}?)(?:-| {1,20})(\d{1,10})(?:\/\d{1,10})? {1,20}(?:\( {0,10}(\d{1,10}|-+)\) {1,20})?\[(\d{1,6})\] /;
/** Flags a kernel prints: 4 before 5.18, 5 since, 7 with PREEMPT_RT's columns. */
const MAX_FLAGS = 8;

/** Columns and names worth keeping: real traces have some hundreds. */
const MAX_KNOWN = 4096;
const MAX_KEPT_LINE = 1024;
/** perf prints the system, too: `kmem:mm_page_free: …`. */
const NAME = /^(?:\w+:)?(\w+)$/;
/** Longer than any event's name with its system. */
const MAX_NAME = 128;

/** The order of the flags in 3.0 and later, where no header says otherwise. */
const DEFAULT_FLAGS = ["irqs-off", "need-resched", "hardirq/softirq", "preempt-depth"] as const;

/** The columns left of the time. */
type Left = Pick<TraceHead, "task" | "pid" | "tgid" | "cpu" | "flags">;

/** Reads heads; its fields are those of the last line read. */
export class HeadReader {
  task = "";
  pid = 0;
  tgid: number | null = null;
  cpu = 0;
  flags: TraceFlags | null = null;
  time = 0;
  /** The event's name, without a system in front. */
  name = "";

  readonly #scan: Scan;
  readonly #known = new Map<string, Left>();
  #width = 0;
  readonly #names = new Map<string, string>();
  #columns: string[] = [];

  constructor(scan: Scan) {
    this.#scan = scan;
  }

  /** A header line `# _----=> need-resched` names a column of the flags. */
  column(name: string): void {
    this.#columns.push(name);
    this.#known.clear();
  }

  /** A new header begins. */
  restart(): void {
    this.#columns = [];
    this.#known.clear();
  }

  /** Reads the columns and the event's name; leaves the scan at the payload. False: no event. */
  read(): boolean {
    if (!this.#recall() && !this.#learn()) return false;
    this.#scan.spaces();
    return this.#time() && this.#name();
  }

  /** The columns left of the time come back again and again, in the same width. */
  #recall(): boolean {
    const scan = this.#scan;
    const known = this.#known.get(scan.text.slice(0, this.#width));
    if (known === undefined) return false;
    this.task = known.task;
    this.pid = known.pid;
    this.tgid = known.tgid;
    this.cpu = known.cpu;
    this.flags = known.flags;
    scan.at = this.#width;
    // Where there were no flags, this line must have none either.
    return known.flags !== null || isDigit(scan.code());
  }

  #learn(): boolean {
    const scan = this.#scan;
    scan.at = 0;
    if (!(this.#aligned() || this.#moved()) || !this.#readFlags()) return false;
    const { text, at } = scan;
    const { task, pid, tgid, cpu, flags } = this;
    // What is kept holds its whole line in memory.
    if (text.length > MAX_KEPT_LINE) return true;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(text.slice(0, at), { task, pid, tgid, cpu, flags });
    this.#width = at;
    return true;
  }

  /** Everything up to and with the CPU, in its usual columns. */
  #aligned(): boolean {
    const scan = this.#scan;
    const { text } = scan;
    if (text.charCodeAt(TASK_COLUMNS) !== DASH) return false;
    scan.at = TASK_COLUMNS + 1;
    this.pid = scan.decimal();
    scan.spaces();
    this.tgid = null;
    if (scan.code() === OPEN && !this.#tgid()) return false;
    if (scan.code() !== BRACKET) return false;
    scan.at++;
    this.cpu = scan.decimal();
    if (!scan.skip("] ")) return false;
    let from = 0;
    while (from < TASK_COLUMNS - 1 && text.charCodeAt(from) === SPACE) from++;
    this.task = text.slice(from, TASK_COLUMNS);
    return !Number.isNaN(this.pid + this.cpu);
  }

  #tgid(): boolean {
    const scan = this.#scan;
    scan.at++;
    scan.spaces();
    // A task that was not recorded has dashes.
    if (scan.code() === DASH) while (scan.code() === DASH) scan.at++;
    else this.tgid = scan.decimal();
    const closed = scan.skip(")");
    scan.spaces();
    return closed && !Number.isNaN(this.tgid ?? 0);
  }

  #moved(): boolean {
    const scan = this.#scan;
    const found = MOVED.exec(scan.text.slice(0, HEAD_LENGTH));
    if (found === null) return false;
    const [whole, task = "", pid, tgid, cpu] = found;
    this.task = task;
    this.pid = Number(pid);
    this.tgid = tgid === undefined || tgid.startsWith("-") ? null : Number(tgid);
    this.cpu = Number(cpu);
    scan.at = whole.length;
    return true;
  }

  /** The flags, where there are some, and one blank behind them. */
  #readFlags(): boolean {
    const scan = this.#scan;
    const { text } = scan;
    scan.spaces();
    this.flags = null;
    // A time starts with a digit, flags never do: the first is about interrupts.
    if (isDigit(scan.code())) return true;
    const from = scan.at;
    const to = text.indexOf(" ", from);
    if (to <= from || to - from > MAX_FLAGS) return false;
    const columns = this.#columns.length === 0 ? DEFAULT_FLAGS : this.#columns;
    this.flags = flagsOf(text.slice(from, to), columns);
    scan.at = to + 1;
    return true;
  }

  #time(): boolean {
    const scan = this.#scan;
    const seconds = scan.decimal();
    let time = seconds;
    if (scan.code() === DOT) {
      const from = ++scan.at;
      const fraction = scan.decimal();
      const digits = scan.at - from;
      time = seconds * 1e6 + (digits === 6 ? fraction : fraction * 10 ** (6 - digits));
    }
    this.time = time;
    return scan.skip(": ") && Number.isFinite(time);
  }

  #name(): boolean {
    const scan = this.#scan;
    const { text } = scan;
    scan.spaces();
    const from = scan.at;
    const found = text.indexOf(": ", from);
    // An event without fields ends with its colon where trailing blanks were cut off.
    const to = found === -1 && text.endsWith(":") ? text.length - 1 : found;
    if (to <= from || to - from > MAX_NAME) return false;
    const printed = text.slice(from, to);
    let name = this.#names.get(printed);
    if (name === undefined) {
      const [, word] = NAME.exec(printed) ?? [];
      if (word === undefined) return false;
      name = word;
      if (this.#names.size < MAX_KNOWN) this.#names.set(printed, name);
    }
    this.name = name;
    scan.at = to + 1;
    scan.spaces();
    return true;
  }
}

function flagsOf(text: string, columns: readonly string[]): TraceFlags {
  const flag = (name: string): string =>
    text[columns.findIndex((column) => column.startsWith(name))] ?? "";
  const depth = flag("preempt-depth");
  const count = depth === "." ? 0 : Number.parseInt(depth, 16);
  return {
    text,
    irqsOff: /[dD]/.test(flag("irqs-off")),
    context: contextOf(flag("hardirq")),
    preemptDepth: Number.isNaN(count) ? null : count,
  };
}

/** `Z` and `H` are an NMI in a hard interrupt, and a hard interrupt in a soft one. */
function contextOf(flag: string): TraceFlags["context"] {
  if (flag === "z" || flag === "Z") return "nmi";
  if (flag === "h" || flag === "H") return "hardirq";
  return flag === "s" ? "softirq" : "task";
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}
