/**
 * The sentences of a log, one after the other: lines in, messages out. A sentence may be broken into
 * a few lines, in its fixed words too; CMA prints its bitmap on further lines.
 *
 * Mail clients break lines at blanks, terminals anywhere. Nothing in a short sentence tells which it
 * was, so both readings are tried: the one that has more of the sentence's numbers is believed.
 */
import type { FailureMessage, MessageBody } from "./failure-message.ts";
import { POOL_SENTENCES, type Sentence } from "./failure-sentences.ts";
import { BOOT_SENTENCES } from "./failure-sentences-boot.ts";
import { DMA_API_SENTENCES } from "./failure-sentences-dma-api.ts";
import { DEVICE_SENTENCES } from "./failure-sentences-iommu.ts";
import { MORE_IOMMU_SENTENCES } from "./failure-sentences-iommu-more.ts";
import { KILLER_SENTENCES } from "./failure-sentences-oom.ts";
import type { LogText } from "./log-text.ts";
import { timeOf } from "./report-line.ts";
import { type NumberedLine, ReportText } from "./report-text.ts";
import { SmmuEventLines } from "./smmu-event.ts";
import { WordSearch } from "./word-search.ts";

const SENTENCES: readonly Sentence[] = [
  ...POOL_SENTENCES,
  ...BOOT_SENTENCES,
  ...DMA_API_SENTENCES,
  ...MORE_IOMMU_SENTENCES,
  ...DEVICE_SENTENCES,
  ...KILLER_SENTENCES,
];
/** All sentences' fixed words. */
export const SENTENCE_WORDS: readonly string[] = [...new Set(SENTENCES.map(({ words }) => words))];
const WORDS = new WordSearch(SENTENCE_WORDS);
/** Lines behind the first that a sentence may be broken into, and those of CMA's bitmap. */
const BROKEN_INTO = 3;
const BITMAP_LINES = 40;
/** Of a sentence, what is kept. */
const TEXT_MAX = 400;
/** Words broken between two lines lie within this many characters of the break. */
const BREAK = 40;

interface Pending {
  readonly time: string | null;
  /** The lines before, in which the sentence may have begun. */
  readonly lead: readonly NumberedLine[];
  readonly lines: NumberedLine[];
  readonly most: number;
  /** It stands in a report, whose own words it may be. */
  readonly inReport: boolean;
  /** Lines that are told by what they hold, others' between them. */
  readonly event: SmmuEventLines | null;
}

export class SentenceReader {
  readonly #sink: (message: FailureMessage) => void;
  #pending: Pending | null = null;

  constructor(sink: (message: FailureMessage) => void) {
    this.#sink = sink;
  }

  /** A sentence is open: the next lines may belong to it. */
  get open(): boolean {
    return this.#pending !== null;
  }

  /** `recent`: the lines before this one, oldest first; `hit`: it may hold the words of one. */
  take(line: LogText, recent: readonly LogText[], inReport: boolean, hit: boolean): void {
    if (this.#pending?.event?.says(line.text) === true) {
      this.#pending.lines.push(line);
      return;
    }
    if (hit && line.mayHold(WORDS) && holdsWords(line.text) && !this.#lacks(line)) {
      this.close();
      const most = line.text.includes("req-size:") ? BITMAP_LINES : BROKEN_INTO;
      const last = recent.findLastIndex((old) => old.mayHold(WORDS) && holdsWords(old.text));
      const lead = recent.slice(last + 1);
      const event = SmmuEventLines.open(line.text);
      this.#pending = { time: timeOf(line.stamp), lead, lines: [line], most, inReport, event };
      return;
    }
    const before = recent.at(-1);
    // A line with a time of its own is nobody's rest.
    const rest = before !== undefined && !(line.stamped === true && before.stamped === true);
    if (rest && brokenWords(before.text, line.text) && !holdsWords(before.text)) {
      this.close();
      const lines = [before, line];
      const lead = recent.slice(0, -1);
      const time = timeOf(line.stamp);
      this.#pending = { time, lead, lines, most: BROKEN_INTO, inReport, event: null };
      return;
    }
    const pending = this.#pending;
    if (pending === null) return;
    if (pending.event !== null) {
      if (pending.event.take(line.text)) pending.lines.push(line);
      if (pending.event.whole) this.close();
      return;
    }
    pending.lines.push(line);
    const bitmap = pending.most === BITMAP_LINES && !/\d@|available/.test(line.text);
    if (pending.lines.length > pending.most || bitmap) this.close();
  }

  /** The open sentence cannot be read yet, and the line may be its rest: it goes on. */
  #lacks(line: NumberedLine): boolean {
    const pending = this.#pending;
    if (pending === null || line.stamped === true || pending.lines[0]?.stamped !== true) {
      return false;
    }
    return readSentence(pending.lines, pending.time) === null;
  }

  close(): void {
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    const { lead, lines, time } = pending;
    let message = readSentence(lines, time);
    // What has a time of its own did not begin before.
    const begins = lines[0]?.stamped === true ? 0 : lead.length;
    for (let from = begins - 1; message === null && from >= 0; from--) {
      message = readSentence([...lead.slice(from), ...lines], time);
    }
    message = withItsDevice(message, pending);
    const own = pending.inReport && message !== null && REPORTS_OWN.has(message.kind);
    if (message !== null && !own) this.#sink(message);
  }
}

/** The line before may end with the name: "xhci_hcd 0000:0a:00.0:". */
function withItsDevice(
  message: FailureMessage | null,
  { lead, lines, time }: Pending,
): FailureMessage | null {
  const before = lead.at(-1);
  const rest = lines[0]?.stamped === false && before?.stamped === true;
  if (message?.device !== null || !rest || !before.text.endsWith(":")) return message;
  const named = readSentence([before, ...lines], time);
  return named?.kind === message.kind && named.device !== null ? named : message;
}

/** Kinds of sentences that a report of the allocator or of the killer holds as well. */
const REPORTS_OWN: ReadonlySet<FailureMessage["kind"]> = new Set(["unknown-report", "oom-kill"]);

function holdsWords(text: string): boolean {
  return WORDS.next(text, 0) !== -1;
}

function brokenWords(before: string, after: string): boolean {
  // "=" at the end glues in quoted-printable.
  const soft = before.endsWith("=");
  const head = soft ? before.slice(-BREAK, -1) : before.slice(-BREAK);
  const tail = after.slice(0, BREAK);
  return holdsWords(soft ? head + tail : `${head} ${tail}`) || holdsWords(head + tail);
}

/** The sentence that begins in the first of `lines`. */
function readSentence(lines: readonly NumberedLine[], time: string | null): FailureMessage | null {
  const plain = reading(lines, false);
  const [first, second] = lines;
  const broken = second !== undefined && second.stamped !== true && first !== undefined;
  const glued = broken && mayBeTerminal(lines) ? reading(lines, true) : null;
  const more = (glued?.weight ?? 0) - (plain?.weight ?? 0);
  const best = more > 0 || (more === 0 && splitsNumber(lines)) ? (glued ?? plain) : plain;
  if (best === null) return null;
  return { ...best.body, line: first?.line ?? 0, time, text: best.text };
}

/** A terminal's lines are all of one width but the last. */
function mayBeTerminal(lines: readonly NumberedLine[]): boolean {
  const [first, second] = lines;
  const width = first?.width ?? 0;
  const next = second?.width ?? 0;
  return width >= NARROWEST && next <= width;
}

const NARROWEST = 40;

/**
 * A number begins at the end of one line and goes on in the next: of logs with times, whose lines
 * without one are rests. In others the next line may be another message.
 */
function splitsNumber(lines: readonly NumberedLine[]): boolean {
  if (lines[0]?.stamped !== true) return false;
  return lines.some(
    ({ text, spaced }, i) =>
      spaced !== true &&
      /[0-9a-f]$/.test(text) &&
      lines[i + 1]?.stamped === false &&
      /^[0-9a-f]/.test(lines[i + 1]?.text ?? ""),
  );
}

interface SentenceReading {
  readonly body: MessageBody;
  readonly text: string;
  /** Facts that were read. */
  readonly weight: number;
}

function reading(lines: readonly NumberedLine[], glued: boolean): SentenceReading | null {
  const all = new ReportText(lines, glued).text;
  const held = WORDS.all(all);
  if (held.size === 0) return null;
  for (const { words, pattern, read } of SENTENCES) {
    if (!held.has(words)) continue;
    const match = pattern.exec(all);
    if (match === null) continue;
    const first = new ReportText(lines.slice(0, 1)).text;
    if (match.index > first.length) continue;
    if (isSource(all.slice(match.index, match.index + match[0].length + SOURCE_TAIL))) continue;
    const body = read(match, all);
    if (body === null) continue;
    const end = Math.max(match.index + match[0].length, first.length);
    const text = all.slice(match.index, Math.min(end, match.index + TEXT_MAX));
    return { body, text, weight: weightOf(match, body) };
  }
  return null;
}

/** How far behind a sentence its source would show itself. */
const SOURCE_TAIL = 24;

/** The kernel's source, quoted: `"swiotlb buffer is full (sz: %zd bytes)\n"`. */
function isSource(text: string): boolean {
  return /%(?:[sduxpz]|l[lux]|#x)|\\n"/.test(text);
}

/** Facts captured: the reading that lost one weighs less. */
function weightOf(match: RegExpExecArray, body: MessageBody): number {
  let weight = 1;
  for (const captured of match.slice(1)) weight += captured === undefined ? 0 : 1;
  if ("mistake" in body && body.mistake === "other") weight = 0;
  if ("facts" in body) weight += body.facts.size;
  return weight;
}
