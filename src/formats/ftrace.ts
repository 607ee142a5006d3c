/**
 * The text of /sys/kernel/tracing/trace, line by line in constant memory: events
 * go to a sink as they come, a summary remains.
 *
 *   # tracer: nop                                    header, any variant or none
 *   # entries-in-buffer/entries-written: 50771/50771   #P:2
 *   CPU:1 [LOST 2512 EVENTS]                         a mark: goes to the sink, too
 *             init-1       [000] d..3.     0.595667: mm_page_free: page=… pfn=0x3303 order=0
 *
 * Every line that is neither header nor mark nor event is reported with its
 * number, as is an event whose fields are not all there. Events that no record
 * exists for are counted by name.
 *
 * The output of `trace-cmd report` and `perf script` has the same payloads behind
 * other columns and is read as well; the latency format is not.
 *
 * Linux: print_trace_header(), trace_print_context(), peek_next_entry(), kernel/trace/trace.c
 */
import type { Outcome } from "../base/issue.ts";
import type { ProbeHit, TraceEvent, TraceHead, TraceSummary } from "./ftrace-event.ts";
import { HeadReader } from "./ftrace-head.ts";
import { PAGE_READERS, type PageReader, PageScan } from "./ftrace-page.ts";
import { type ProbeFormat, readProbe } from "./ftrace-probe.ts";
import { Scan } from "./ftrace-scan.ts";
import { type EventFields, readTable, TABLE_EVENTS } from "./ftrace-table.ts";
import type { Reader } from "./reader.ts";
import { CUT_MEND, excerpt, type LineLog, tableReader } from "./table.ts";

/** Names of events we have not heard of; a file with more is not a trace. */
const MAX_NAMES = 4096;
/** The name that the rest is counted under. */
const MORE_NAMES = "(more names)";

const ENTRIES = /^# entries-in-buffer\/entries-written: *(\d+)\/(\d+)(?: +#P:(\d+))?/;
const ENTRIES_OLD = /^# (?:entries: |latency:.*#)(\d+)\/(\d+)/;
const TRACER = /^# tracer: *(\S+)/;
const COLUMN = /^#.*=> *([\w/-]+)/;
const LOST = /^CPU:(\d+) \[(?:LOST (?:(\d+) )?EVENTS|(?:(\d+) )?EVENTS DROPPED)\]/;
/** What `trace-cmd report` prints before the events. */
const PREFACE = /^(?:cpus=\d+|version = \d+|CPU \d+ is empty|trace-cmd .*)$/;

/** Events of one name. */
interface Kind {
  count: number;
  readonly page: PageReader | undefined;
  readonly fields: EventFields | undefined;
  readonly probe: ProbeFormat | undefined;
  /** Counted in `unknown`. */
  unknown: number;
}

export interface FtraceOptions {
  /** From `probeReader`: names of probes and how many values each has. */
  readonly probes?: ReadonlyMap<string, ProbeFormat>;
}

/**
 * Reads ftrace text; `sink` gets each event once, in the order of the lines.
 *
 * Issues: lines and events that were left out are warnings, so are lost events
 * and times that run backwards.
 */
export function ftraceReader(
  sink: (event: TraceEvent) => void,
  options: FtraceOptions = {},
): Reader<TraceSummary> {
  const trace = new Trace(sink, options.probes ?? new Map());
  const reader = tableReader(trace);
  return {
    line: (text: string): void => reader.line(text),
    unterminated: (): void => reader.unterminated?.(),
    end: (): Outcome<TraceSummary> => reader.end(),
  };
}

class Trace {
  readonly name = "an ftrace text";
  readonly #sink: (event: TraceEvent) => void;
  readonly #scan = new Scan();
  readonly #head = new HeadReader(this.#scan);
  readonly #pages = new PageScan(this.#scan);
  readonly #probes: ReadonlyMap<string, ProbeFormat>;
  readonly #kinds = new Map<string, Kind>();
  #tracer: string | null = null;
  #entries: TraceSummary["entries"] = null;
  #cpus: number | null = null;
  #garbled = 0;
  #lostMarks = 0;
  #lostEvents = 0;
  #backwards = 0;
  #firstTime: number | null = null;
  #lastTime: number | null = null;
  #pfnBase: 10 | 16 | null = null;

  constructor(sink: (event: TraceEvent) => void, probes: ReadonlyMap<string, ProbeFormat>) {
    this.#sink = sink;
    this.#probes = probes;
  }

  take(text: string, log: LineLog): boolean {
    this.#scan.start(text);
    const head = this.#head;
    if (head.read()) {
      this.#event(text, log);
      return true;
    }
    if (text.startsWith("#")) return this.#header(text, log);
    if (text.trim() === "" || PREFACE.test(text) || this.#lost(text, log)) return true;
    this.#garbled++;
    return false;
  }

  finish(log: LineLog): TraceSummary {
    if (this.#backwards > 0) {
      const message = `time runs backwards at ${this.#backwards} events: CPUs may be out of order`;
      log.report("warning", message, "sort the lines by time, or record with one clock", 0);
    }
    const counts = new Map<string, number>();
    const unknown = new Map<string, number>();
    for (const [name, kind] of this.#kinds) {
      counts.set(name, kind.count);
      if (kind.unknown > 0) unknown.set(name, kind.unknown);
    }
    return {
      tracer: this.#tracer,
      entries: this.#entries,
      cpus: this.#cpus,
      lines: log.line,
      counts,
      unknown,
      garbled: this.#garbled,
      lost: { marks: this.#lostMarks, events: this.#lostEvents },
      backwards: this.#backwards,
      firstTime: this.#firstTime,
      lastTime: this.#lastTime,
      pfnBase: this.#pfnBase,
    };
  }

  #event(text: string, log: LineLog): void {
    const head = this.#head;
    const kind = this.#kind(head.name);
    kind.count++;
    this.#clock(head.time);
    const event = this.#read(kind, text, log.line);
    if (event === null) {
      this.#garbled++;
      const message = `not the fields of ${excerpt(head.name)}: "${excerpt(text.slice(this.#scan.at))}"`;
      log.report("warning", message, CUT_MEND);
    } else if (event === "unknown") kind.unknown++;
    else this.#sink(event);
  }

  /** The event of the line whose head was read; null when its fields are not all there. */
  #read(kind: Kind, text: string, line: number): TraceEvent | "unknown" | null {
    const head = this.#head;
    const { task, pid, tgid, cpu, flags, time } = head;
    const place: TraceHead = { line, task, pid, tgid, cpu, flags, time };
    const { at } = this.#scan;
    if (kind.page !== undefined) {
      const event = kind.page(this.#pages, place);
      this.#scan.at = at;
      if (event !== null && this.#pages.base !== null) this.#pfnBase = this.#pages.base;
      return event;
    }
    if (kind.fields !== undefined) return readTable(head.name, kind.fields, text, at, place);
    if (head.name === "tracing_mark_write") {
      return { ...place, name: "tracing_mark_write", text: text.slice(at) };
    }
    return this.#probe(kind, text.slice(at), place);
  }

  #probe(kind: Kind, text: string, head: TraceHead): ProbeHit | "unknown" | null {
    if (kind.probe !== undefined) return readProbe(kind.probe.name, text, head, kind.probe);
    // Every kprobe prints its place first, described or not.
    if (!text.startsWith("(")) return "unknown";
    return readProbe(this.#head.name, text, head, undefined) ?? "unknown";
  }

  #kind(name: string): Kind {
    const known = this.#kinds.get(name);
    if (known !== undefined) return known;
    const page = PAGE_READERS.get(name);
    const fields = TABLE_EVENTS.get(name);
    const probe = this.#probes.get(name);
    const strange = page === undefined && fields === undefined && probe === undefined;
    const rest = strange && this.#kinds.size >= MAX_NAMES ? this.#kinds.get(MORE_NAMES) : undefined;
    if (rest !== undefined) return rest;
    const kind = { count: 0, unknown: 0, page, fields, probe };
    this.#kinds.set(strange && this.#kinds.size >= MAX_NAMES ? MORE_NAMES : name, kind);
    return kind;
  }

  #clock(time: number): void {
    this.#firstTime ??= time;
    if (this.#lastTime !== null && time < this.#lastTime) this.#backwards++;
    this.#lastTime = time;
  }

  #lost(text: string, log: LineLog): boolean {
    const found = LOST.exec(text);
    if (found === null) return false;
    const [, cpu, lost, dropped] = found;
    const digits = lost ?? dropped;
    const events = digits === undefined ? null : log.decimal(digits);
    this.#lostMarks++;
    this.#lostEvents += events ?? 0;
    const many = events === null ? "events" : `${events} events`;
    log.report("warning", `${many} of CPU ${cpu} are missing here`, "record with a larger buffer");
    this.#sink({ name: "lost", line: log.line, cpu: log.decimal(cpu ?? ""), events });
    return true;
  }

  #header(text: string, log: LineLog): boolean {
    const [, tracer] = TRACER.exec(text) ?? [];
    if (tracer !== undefined) {
      this.#tracer = tracer;
      this.#head.restart();
    }
    const [, buffered, written, cpus] = ENTRIES.exec(text) ?? ENTRIES_OLD.exec(text) ?? [];
    if (buffered !== undefined && written !== undefined) {
      this.#entries = { buffered: log.decimal(buffered), written: log.decimal(written) };
      if (cpus !== undefined) this.#cpus = log.decimal(cpus);
    }
    const [, column] = COLUMN.exec(text) ?? [];
    if (column !== undefined) this.#head.column(column);
    if (text.startsWith("# latency:")) {
      const mend = "echo 0 > options/latency-format, and record again";
      log.report("warning", "this is the latency format, whose events are not read", mend);
    }
    return true;
  }
}
