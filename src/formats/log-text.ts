/**
 * A line of a log that is taken apart when somebody asks: most lines beside those of interest are
 * only asked whether they have a time.
 */
import { type BareLine, bareLine } from "./report-line.ts";
import type { NumberedLine } from "./report-text.ts";
import type { WordSearch } from "./word-search.ts";

/** The longest line of a report; CMA prints its bitmap on one. */
const LINE_MAX = 8192;
/** A time since boot that begins the line, as bareLine() finds it too. */
const STAMPED = /^(?:<\d{1,2}>)?\[ *\d+\.\d+\]/;
/** What bareLine() takes out of a line's middle: terminal sequences and hard blanks. */
const ALTERED = ["\u001b", "\u00a0"];

export class LogText implements NumberedLine {
  readonly line: number;
  readonly #raw: string;
  readonly #skipped: boolean;
  #bare: BareLine | null = null;

  /** `skipped`: nobody looked at it in its turn; blanks before it are not known of. */
  constructor(line: number, raw: string, skipped = false) {
    this.line = line;
    this.#skipped = skipped;
    this.#raw = raw;
  }

  get text(): string {
    return this.#own.text.slice(0, LINE_MAX);
  }

  /** The whole message, however long. */
  get message(): string {
    return this.#own.text;
  }

  /** Seconds since boot, or a date as printed; null for none. */
  get stamp(): number | string | null {
    return this.#own.stamp;
  }

  get stamped(): boolean {
    return (this.#bare === null && STAMPED.test(this.#raw)) || this.#own.stamp !== null;
  }

  get indented(): boolean {
    return !this.#skipped && this.#own.indented;
  }

  get spaced(): boolean {
    return this.#own.spaced;
  }

  get width(): number {
    return this.#raw.length;
  }

  /** False only where none of the words is in the message. */
  mayHold(words: WordSearch): boolean {
    return words.next(this.#raw, 0) !== -1 || ALTERED.some((mark) => this.#raw.includes(mark));
  }

  get #own(): BareLine {
    this.#bare ??= bareLine(this.#raw);
    return this.#bare;
  }
}
