/**
 * Finds failure reports in a log of any size: a sieve over whole chunks, which most text falls
 * through, and behind it a reader that looks at the few lines left, one by one.
 *
 *   chunk ──sieve──▶ line ──bareLine──▶ opens a report?      collected until its state was printed
 *                                       begins a sentence?   with up to three lines behind it
 *
 * A record is given to the sink as soon as it is whole; nothing else is kept. Reports are limited in
 * lines, so that a log that only looks like one cannot grow a record.
 *
 *   F1  each line is looked at once and in order; records have rising lines within a kind
 *   F2  memory does not depend on the length of the log
 */
import type { FailureMessage } from "./failure-message.ts";
import { SENTENCE_WORDS, SentenceReader } from "./failure-sentence-reader.ts";
import { nextHeld } from "./failure-sieve.ts";
import { LogText } from "./log-text.ts";
import type { MemoryReport } from "./memory-report.ts";
import { openingOf } from "./memory-report-parse.ts";
import { MAX_LINE_LENGTH } from "./reader.ts";
import { ReportCollector } from "./report-collector.ts";
import { timeOf } from "./report-line.ts";
import { ReportText } from "./report-text.ts";
import { parseVersion } from "./version.ts";
import { WordSearch } from "./word-search.ts";
import { ZoneTableCollector } from "./zone-table-collector.ts";

export interface FailureSink {
  report(report: MemoryReport): void;
  message(message: FailureMessage): void;
}

/** The request of a report whose opening words may stand on the line before. */
const ASKS = /(?:mode:|gfp_mask=)(?:3D)?0x/;
/** What the readers of single lines know: openings, requests, banners, tables and sentences. */
const KNOWN = new WordSearch([
  "allocation failure",
  "allocation stalls",
  "vmemmap alloc",
  "vmalloc",
  "oom-killer",
  "Mem-Info:",
  "Mem-info:",
  "Show Memory",
  "free:",
  "mode:",
  "gfp_mask=",
  "Linux version ",
  ", zone ",
  ...SENTENCE_WORDS,
]);
/** Lines before an opening that may hold its first words. */
const LOOK_BACK = 3;

export class FailureReader {
  readonly #sink: FailureSink;
  readonly #sentences: SentenceReader;
  #rest = "";
  #line = 0;
  /** The last lines that nothing was made of, oldest first. */
  #recent: LogText[] = [];
  /** The last line was looked at: the next may be its rest. */
  #wary = false;
  #report: ReportCollector | null = null;
  #table: { readonly zones: ZoneTableCollector; readonly line: number } | null = null;
  #release: string | null = null;
  #upstream: string | null = null;

  constructor(sink: FailureSink) {
    this.#sink = sink;
    this.#sentences = new SentenceReader((message) => sink.message(message));
  }

  /** Lines seen so far. */
  get lines(): number {
    return this.#line;
  }

  push(chunk: string): void {
    const first = chunk.indexOf("\n") + 1;
    if (first === 0) {
      this.#rest = (this.#rest + chunk).slice(0, MAX_LINE_LENGTH);
      return;
    }
    // The line begun before is a text of its own: the two in one would be a string in pieces.
    let from = 0;
    if (this.#rest !== "") {
      this.#scan(this.#rest + chunk.slice(0, first), 0, this.#rest.length + first);
      from = first;
    }
    const end = chunk.lastIndexOf("\n") + 1;
    this.#scan(chunk, from, end);
    this.#rest = chunk.slice(end, end + MAX_LINE_LENGTH);
  }

  end(): void {
    if (this.#rest !== "") {
      const text = this.#rest;
      this.#rest = "";
      this.#scan(`${text}\n`, 0, text.length + 1);
    }
    this.#sentences.close();
    this.#closeReport();
    this.#closeTable();
  }

  /** All lines of `text` from `from` to `end`. */
  #scan(text: string, from: number, end: number): void {
    let at = from;
    let hit = -1;
    while (at < end) {
      if (hit < at) hit = nextHeld(text, at);
      const busy = this.#sentences.open || this.#report !== null || this.#table !== null;
      const wary = this.#wary;
      this.#wary = busy;
      if (!busy && !wary) {
        const start = hit >= end ? end : text.lastIndexOf("\n", hit) + 1;
        this.#skip(text, at, start);
        at = start;
        if (at >= end) break;
        this.#wary = true;
      }
      const stop = text.indexOf("\n", at);
      this.#take(text, at, stop, hit < stop);
      if (hit < stop) this.#wary = true;
      at = stop + 1;
    }
  }

  /** Counts the lines that nobody needs; the last of them may begin the next one's sentence. */
  #skip(text: string, from: number, to: number): void {
    if (to === from) return;
    let at = from;
    let count = 0;
    while (at < to) {
      at = text.indexOf("\n", at) + 1;
      count++;
    }
    this.#line += count;
    const skipped: LogText[] = [];
    let end = to - 1;
    for (let back = 0; back < LOOK_BACK && end > from; back++) {
      const start = Math.max(text.lastIndexOf("\n", end - 1) + 1, from);
      const raw = text.slice(Math.max(start, end - 400), end);
      skipped.unshift(new LogText(this.#line - back, raw, true));
      end = start - 1;
    }
    this.#recent = [...this.#recent, ...skipped].slice(-LOOK_BACK);
  }

  /** `held`: the sieve held something of this line back. */
  #take(text: string, from: number, to: number, held: boolean): void {
    const until = text.charCodeAt(to - 1) === 13 && to > from ? to - 1 : to;
    this.#line++;
    const raw = text.slice(from, Math.min(until, from + MAX_LINE_LENGTH));
    const line = new LogText(this.#line, raw);
    // The sieve knows halves of words, which other lines may have as well.
    const hit = held && line.mayHold(KNOWN);
    if (hit || this.#table !== null) this.#inTable(line);
    if (hit || this.#report !== null) this.#open(line, hit);
    this.#sentences.take(line, this.#recent, this.#report !== null, hit);
    if (hit && line.message.includes("Linux version ")) this.#banner(line.message);
    this.#recent.push(line);
    if (this.#recent.length > LOOK_BACK) this.#recent.shift();
  }

  /** Begins a report, goes on with the one that is open, or ends it. */
  #open(line: LogText, hit: boolean): void {
    let lines: LogText[] = [line];
    let opening = hit ? openingOf(line.text) : null;
    const asks = hit && ASKS.test(line.text);
    // Opening words may be broken: "vmalloc / error: size …", "mkfs.ext4 invoked / oom-killer: …".
    if ((opening === null && asks) || opening === "oom") {
      const before = this.#recent.filter(({ text }) => openingOf(text) === null);
      if (opening === null) {
        lines = [...before, line];
        opening = openingOf(new ReportText(lines).text);
      } else if (before.at(-1)?.text.endsWith("invoked") === true) {
        lines = [...before.slice(-1), line];
      }
    }
    const report = this.#report;
    if (opening !== null && (report === null || report.opens(opening, lines.length > 1))) {
      this.#closeReport();
      this.#report = new ReportCollector(opening, lines, timeOf(line.stamp));
    } else if (report !== null && !report.take(line)) this.#closeReport();
  }

  /** Tables of /proc have no time and no opening words; any other line ends them. */
  #inTable({ line, text }: LogText): void {
    if (this.#table?.zones.take(text, line) === false) this.#closeTable();
    if (this.#table !== null || !ZoneTableCollector.opens(text)) return;
    this.#table = { zones: new ZoneTableCollector(), line };
    this.#table.zones.take(text, line);
  }

  #closeTable(): void {
    const table = this.#table;
    if (table === null) return;
    this.#table = null;
    const zones = table.zones.end();
    const text = "/proc/zoneinfo";
    const { line } = table;
    const upstream = this.#upstream;
    this.#sink.message({
      kind: "zone-table",
      line,
      time: null,
      text,
      device: null,
      zones,
      upstream,
    });
  }

  #closeReport(): void {
    const report = this.#report;
    if (report === null) return;
    this.#report = null;
    const whole = report.end(this.#release, this.#upstream);
    if (whole !== null) this.#sink.report(whole);
  }

  #banner(text: string): void {
    const { release, numbers } = parseVersion(text.slice(text.indexOf("Linux version "))).value;
    if (release === "") return;
    this.#release = release;
    this.#upstream = numbers.join(".");
  }
}

/** Reads a whole text that is already in memory. */
export function readFailures(text: string, sink: FailureSink): void {
  const reader = new FailureReader(sink);
  reader.push(text);
  reader.end();
}
