/**
 * The lines of one memory report, from its opening until its state was printed and other things
 * follow. The list of tasks of an OOM report may be long and is passed over; what the killer says
 * behind it belongs to the report.
 */
import type { MemoryReport, ReportOpening } from "./memory-report.ts";
import { parseMemoryReport } from "./memory-report-parse.ts";
import type { NumberedLine } from "./report-text.ts";
import { WordSearch } from "./word-search.ts";

/** Between the opening and "Mem-Info:" lies a stack. */
const STACK_MAX = 200;
/** The state of 64 nodes with five zones each, and lists of huge pages. */
const STATE_MAX = 1500;
/** Other lines in the middle of a report: another CPU's, or a program's on the console. */
const STRANGE_MAX = 12;
/** Tasks, and slab caches, before the killer's verdict. */
const TAIL_MAX = 20_000;

const STATE =
  /kB\b|lowmem_reserve|protections\[\]|\bpages?\b|_(?:anon|file|stack|tables|reclaimable):|:\d+ \w+:\d+|[Ss]wap|^Node \d|^\(?[\d*]|per-cpu:|^CPU|usd:|hot|cold/i;
const TASKS = /Tasks state|\[ *pid *\]|slab info:/;
const VERDICT =
  /oom-kill:|[Oo]ut of [Mm]emory|No available memory|Killed process|Kill process|killable processes|limit of|memory: usage|Memory cgroup/;
/** Words of these two, one of each alternative: few lines hold any. */
const TAIL = new WordSearch([
  "Tasks state",
  "pid",
  "slab info:",
  "oom-kill:",
  "ut of ",
  "No available",
  "Killed process",
  "Kill process",
  "killable",
  "limit of",
  "memory: usage",
  "Memory cgroup",
]);
const LAST = /Killed process|no killable processes/;

/** All lines of a report together. */
const CHARS_MAX = 2 ** 19;

type Part = "stack" | "state" | "tasks";

export class ReportCollector {
  readonly #opening: ReportOpening;
  readonly #lines: NumberedLine[] = [];
  readonly #time: string | null;
  #part: Part;
  #count = 0;
  #strange = 0;
  #endLine: number;
  #done = false;
  #chars = 0;

  /** `lines` are those that the opening is broken into. */
  constructor(opening: ReportOpening, lines: readonly NumberedLine[], time: string | null) {
    this.#opening = opening;
    this.#time = time;
    this.#endLine = lines.at(-1)?.line ?? 0;
    this.#lines.push(...lines);
    const state = opening === "rows" || lines[0]?.text.startsWith("Mem-") === true;
    this.#part = state ? "state" : "stack";
  }

  /**
   * Whether a line that opens `next` begins another report: "Mem-Info:" is part of most, and a
   * request found by looking back may be this report's own.
   */
  opens(next: ReportOpening, lookedBack: boolean): boolean {
    // A row is part of every report; only one that nothing announced opens its own.
    if (next === "rows") return false;
    // Up to 4.9 vmalloc's words and the allocator's stand on two lines.
    if (next === "page" && this.#opening === "vmalloc" && this.#count === 0) return false;
    if (next !== "state") return !lookedBack || this.#part !== "stack" || this.#opening === "state";
    return this.#part !== "stack";
  }

  /** False when the report ended before this line. */
  take(line: NumberedLine): boolean {
    if (this.#done) return false;
    this.#count++;
    if (this.#part === "stack") return this.#takeStack(line);
    if (this.#part === "state") return this.#takeState(line);
    return this.#takeTasks(line);
  }

  /** The record; null when a state has no state in it. */
  end(release: string | null, upstream: string | null): MemoryReport | null {
    const first = this.#lines[0];
    if (first === undefined) return null;
    const frame = {
      line: first.line,
      endLine: this.#endLine,
      time: this.#time,
      opening: this.#opening,
      release,
      upstream,
    };
    const report = parseMemoryReport(this.#lines, frame);
    const empty = report.zones.length === 0 && report.counters.size === 0;
    return empty && (report.kind === "mem-info" || isProse(report)) ? null : report;
  }

  #keep(line: NumberedLine): boolean {
    this.#endLine = line.line;
    return this.#hold(line);
  }

  #takeStack(line: NumberedLine): boolean {
    if (/^Mem-[Ii]nfo:/.test(line.text)) {
      this.#part = "state";
      this.#count = 0;
      return this.#keep(line);
    }
    // A memory cgroup's report has no state.
    if (this.#opening === "oom" && beginsTail(line.text)) {
      this.#part = "tasks";
      this.#count = 0;
      return this.#takeTasks(line);
    }
    return this.#count <= STACK_MAX && this.#keep(line);
  }

  #takeState(line: NumberedLine): boolean {
    if (this.#opening === "oom" && beginsTail(line.text)) {
      this.#part = "tasks";
      this.#count = 0;
      return this.#takeTasks(line);
    }
    if (this.#count > STATE_MAX) return false;
    if (STATE.test(line.text)) this.#strange = 0;
    else if (++this.#strange > STRANGE_MAX) return false;
    return this.#strange > 0 ? this.#hold(line) : this.#keep(line);
  }

  /** Kept, for it may be a broken line's rest, but not counted as the report's end. */
  #hold(line: NumberedLine): boolean {
    this.#chars += line.text.length;
    if (this.#chars > CHARS_MAX) return false;
    this.#lines.push(line);
    return true;
  }

  #takeTasks(line: NumberedLine): boolean {
    if (VERDICT.test(line.text)) {
      this.#keep(line);
      if (LAST.test(line.text)) this.#done = true;
      return true;
    }
    return this.#count <= TAIL_MAX;
  }
}

/** Whether tasks, slab caches or the verdict begin. */
function beginsTail(text: string): boolean {
  return TAIL.next(text, 0) !== -1 && (TASKS.test(text) || VERDICT.test(text));
}

/** Words about a failure, in a mail or a comment: no flags, no stack, no time. */
function isProse({ gfp, frames, time }: MemoryReport): boolean {
  return gfp === null && frames.length < 2 && time === null;
}
