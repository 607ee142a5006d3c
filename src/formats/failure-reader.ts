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
import { POOL_SENTENCES, type Sentence } from "./failure-sentences.ts";
import { DEVICE_SENTENCES } from "./failure-sentences-iommu.ts";
import type { MemoryReport } from "./memory-report.ts";
import { openingOf } from "./memory-report-parse.ts";
import { MAX_LINE_LENGTH } from "./reader.ts";
import { ReportCollector } from "./report-collector.ts";
import { bareLine } from "./report-line.ts";
import { type NumberedLine, ReportText } from "./report-text.ts";
import { parseVersion } from "./version.ts";

export interface FailureSink {
  report(report: MemoryReport): void;
  message(message: FailureMessage): void;
}

/** What any line of interest holds. One pattern: alternatives are searched for in one pass. */
const SIEVE =
  /allocation failure|alloc failure: order|vmalloc error: size|allocation stalls|oom-killer|Mem-[Ii]nfo:|swiotlb|SWIOTLB|IO TLB|IOMMU space|IOMMU mapping|overflow 0x|of DMA mask|Device bounce|Unhandled context|possible memory|overflow \(mask|DMA-API:|PAGE_FAULT|AMD-Vi: Event|fault addr|context fault|bounce map:|alloc failed, req|PFNs busy|ailed to reserve|init cma area|pool for atomic|pool is too small|suitable pool|iova for|Memory encryption is|allocation deadlock|vmap allocation for|crashkernel|Linux version |Show Memory|Request device|event 0x1|of device mask|coherent DMA mask|set DMA mask|mode:0x|gfp_mask=0x|Out of memory: Kill|nable to allocate memory|annot allocate memory|Node \d+, zone /g;

const SENTENCES: readonly Sentence[] = [...POOL_SENTENCES, ...DEVICE_SENTENCES];
const WORDS = new RegExp(
  SENTENCES.map(({ words }) => words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"),
);
/** Lines behind the first that a sentence may be broken into, and those of CMA's bitmap. */
const BROKEN_INTO = 3;
const BITMAP_LINES = 40;

/** The longest line of a report; CMA prints its bitmap on one. */
const LINE_MAX = 8192;
/** Of a sentence, what is kept. */
const TEXT_MAX = 400;
/** Lines before an opening that may hold its first words. */
const LOOK_BACK = 3;

interface Pending {
  readonly time: string | null;
  /** The lines before, in which the sentence may have begun. */
  readonly lead: readonly NumberedLine[];
  readonly lines: NumberedLine[];
  readonly most: number;
}

export class FailureReader {
  readonly #sink: FailureSink;
  #rest = "";
  #line = 0;
  /** The last lines that nothing was made of, oldest first. */
  #recent: NumberedLine[] = [];
  /** The sieve held the last line back: the next may be its rest. */
  #wary = false;
  #pending: Pending | null = null;
  #report: ReportCollector | null = null;
  #release: string | null = null;
  #upstream: string | null = null;

  constructor(sink: FailureSink) {
    this.#sink = sink;
  }

  /** Lines seen so far. */
  get lines(): number {
    return this.#line;
  }

  push(chunk: string): void {
    const text = this.#rest === "" ? chunk : this.#rest + chunk;
    const end = text.lastIndexOf("\n") + 1;
    this.#scan(text, end);
    this.#rest = text.slice(end, end + MAX_LINE_LENGTH);
  }

  end(): void {
    if (this.#rest !== "") {
      const text = this.#rest;
      this.#rest = "";
      this.#scan(`${text}\n`, text.length + 1);
    }
    this.#closeMessage();
    this.#closeReport();
  }

  /** All lines of `text` before `end`. */
  #scan(text: string, end: number): void {
    let at = 0;
    while (at < end) {
      const idle = this.#pending === null && this.#report === null && !this.#wary;
      this.#wary = false;
      if (idle) {
        SIEVE.lastIndex = at;
        const hit = SIEVE.exec(text);
        const found = hit === null || hit.index >= end ? end : hit.index;
        const start = found === end ? end : text.lastIndexOf("\n", found) + 1;
        this.#skip(text, at, start);
        at = start;
        if (at >= end) break;
        this.#wary = true;
      }
      const stop = text.indexOf("\n", at);
      this.#take(text, at, stop);
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
    this.#recent = [];
    let end = to - 1;
    for (let back = 0; back < LOOK_BACK && end > from; back++) {
      const start = Math.max(text.lastIndexOf("\n", end - 1) + 1, from);
      const raw = text.slice(Math.max(start, end - 400), end);
      this.#recent.unshift({ line: this.#line - back, text: bareLine(raw).text });
      end = start - 1;
    }
  }

  #take(text: string, from: number, to: number): void {
    const until = text.charCodeAt(to - 1) === 13 && to > from ? to - 1 : to;
    const bare = bareLine(text.slice(from, Math.min(until, from + MAX_LINE_LENGTH)));
    this.#line++;
    const { indented } = bare;
    const line = { line: this.#line, text: bare.text.slice(0, LINE_MAX), indented };
    this.#open(line, bare.time);
    this.#sentence(line, bare.time);
    if (bare.text.includes("Linux version ")) this.#banner(bare.text);
    this.#recent.push(line);
    if (this.#recent.length > LOOK_BACK) this.#recent.shift();
  }

  /** Begins a report, goes on with the one that is open, or ends it. */
  #open(line: NumberedLine, time: string | null): void {
    let lines: NumberedLine[] = [line];
    let opening = openingOf(line.text);
    const asks = line.text.includes("mode:0x") || line.text.includes("gfp_mask=0x");
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
      this.#report = new ReportCollector(opening, lines, time);
    } else if (report !== null && !report.take(line)) this.#closeReport();
  }

  #sentence(line: NumberedLine, time: string | null): void {
    const before = this.#recent.at(-1) ?? null;
    if (holdsWords(line.text)) {
      this.#closeMessage();
      const most = line.text.includes("req-size:") ? BITMAP_LINES : BROKEN_INTO;
      const last = this.#recent.findLastIndex(({ text }) => holdsWords(text));
      const lead = this.#recent.slice(last + 1);
      this.#pending = { time, lead, lines: [line], most };
      return;
    }
    const broken = before !== null && brokenWords(before.text, line.text);
    if (broken && !holdsWords(before.text)) {
      this.#closeMessage();
      this.#pending = { time, lead: [], lines: [before, line], most: BROKEN_INTO };
      return;
    }
    const pending = this.#pending;
    if (pending === null) return;
    pending.lines.push(line);
    const bitmap = pending.most === BITMAP_LINES && !/\d@|available/.test(line.text);
    if (pending.lines.length > pending.most || bitmap) this.#closeMessage();
  }

  #closeMessage(): void {
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    const { lead, lines, time } = pending;
    let message = readSentence(lines, time);
    for (let from = lead.length - 1; message === null && from >= 0; from--) {
      message = readSentence([...lead.slice(from), ...lines], time);
    }
    // In a report these words are part of it.
    const own = message?.kind === "unknown-report" && this.#report !== null;
    if (message !== null && !own) this.#sink.message(message);
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

function holdsWords(text: string): boolean {
  return WORDS.test(text);
}

/** Words broken between two lines lie within this many characters of the break. */
const BREAK = 40;

function brokenWords(before: string, after: string): boolean {
  // "=" at the end glues in quoted-printable.
  const head = before.endsWith("=") ? before.slice(-BREAK, -1) : `${before.slice(-BREAK)} `;
  return holdsWords(head + after.slice(0, BREAK));
}

/** The sentence that begins in the first of `lines`. */
function readSentence(lines: readonly NumberedLine[], time: string | null): FailureMessage | null {
  const first = new ReportText(lines.slice(0, 1)).text;
  const all = new ReportText(lines).text;
  for (const { words, pattern, read } of SENTENCES) {
    if (!all.includes(words)) continue;
    const match = pattern.exec(all);
    if (match === null || match.index > first.length) continue;
    const body = read(match, all);
    if (body === null) continue;
    const end = Math.max(match.index + match[0].length, first.length);
    const text = all.slice(match.index, Math.min(end, match.index + TEXT_MAX));
    return { ...body, line: lines[0]?.line ?? 0, time, text };
  }
  return null;
}

/** Reads a whole text that is already in memory. */
export function readFailures(text: string, sink: FailureSink): void {
  const reader = new FailureReader(sink);
  reader.push(text);
  reader.end();
}
