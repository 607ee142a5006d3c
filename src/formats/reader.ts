/**
 * How every reader of this layer works: text comes in line by line, a record
 * and the issues come out at the end. A reader holds no more than its record,
 * so a file of any size streams through it, and it never throws.
 *
 * Each line is either read into the record or reported with its number
 * (`accounted`); nothing is dropped silently.
 */
import type { Issue, Outcome } from "../base/issue.ts";

export interface Reader<T> {
  /** Takes the next line, without its line end. */
  line(text: string): void;
  /** Says, before `end`, that the last line had no line end: it may be cut. */
  unterminated?(): void;
  /** The record, and what was wrong. Call once, after the last line. */
  end(): Outcome<T>;
}

/** No line of any file we read is longer; the rest of such a line is reported and dropped. */
export const MAX_LINE_LENGTH = 65536;
/** Readers stop collecting issues here and count the rest. */
export const MAX_ISSUES = 100;

/** Collects issues up to `MAX_ISSUES` and says at the end how many more there were. */
export class IssueList {
  readonly #issues: Issue[] = [];
  #dropped = 0;

  add(issue: Issue): void {
    if (this.#issues.length < MAX_ISSUES) this.#issues.push(issue);
    else this.#dropped++;
  }

  list(): Issue[] {
    if (this.#dropped === 0) return this.#issues;
    const more: Issue = { severity: "warning", message: `${this.#dropped} more issues like these` };
    return [...this.#issues, more];
  }
}

/**
 * Cuts chunks of text into lines and feeds them to a reader. Line ends are LF
 * or CRLF; a final line without line end counts.
 */
export class LineFeeder {
  readonly #sink: (line: string) => void;
  #rest = "";

  constructor(sink: (line: string) => void) {
    this.#sink = sink;
  }

  push(chunk: string): void {
    let from = 0;
    for (let at = chunk.indexOf("\n"); at !== -1; at = chunk.indexOf("\n", from)) {
      this.#emit(this.#rest + chunk.slice(from, at));
      this.#rest = "";
      from = at + 1;
    }
    this.#rest += chunk.slice(from);
    // A file without line ends must not grow without bound.
    if (this.#rest.length > MAX_LINE_LENGTH) this.#rest = this.#rest.slice(0, MAX_LINE_LENGTH + 1);
  }

  /** Feeds what is left; true when the last line had no line end. */
  end(): boolean {
    const unterminated = this.#rest !== "";
    if (unterminated) this.#emit(this.#rest);
    this.#rest = "";
    return unterminated;
  }

  #emit(line: string): void {
    this.#sink(line.endsWith("\r") ? line.slice(0, -1) : line);
  }
}

/** Reads a whole text that is already in memory. */
export function readText<T>(reader: Reader<T>, text: string): Outcome<T> {
  const feeder = new LineFeeder((line) => reader.line(line));
  feeder.push(text);
  if (feeder.end()) reader.unterminated?.();
  return reader.end();
}

/** Reads a stream of text chunks. */
export async function readStream<T>(
  reader: Reader<T>,
  chunks: AsyncIterable<string>,
): Promise<Outcome<T>> {
  const feeder = new LineFeeder((line) => reader.line(line));
  for await (const chunk of chunks) feeder.push(chunk);
  if (feeder.end()) reader.unterminated?.();
  return reader.end();
}
