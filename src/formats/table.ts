/**
 * What the readers of this folder have in common: a line is taken by the table
 * or reported with its number; numbers that a double cannot hold are clamped
 * and noted; lines that no kernel prints (too long, NUL bytes) never reach the
 * table.
 *
 *   table.take(line)   true: read; false: reported as "not a line of NAME"
 *   table.finish()     the record, after checks that need the whole file
 */
import type { Issue, Outcome, Severity } from "../base/issue.ts";
import { IssueList, MAX_LINE_LENGTH, type Reader } from "./reader.ts";

/** What to do about a file that was cut. */
export const CUT_MEND = "copy the file again, whole";

/** A file format, line by line. Both functions may report through `log`. */
export interface Table<T> {
  /** What the file is called in messages, e.g. "zoneinfo". */
  readonly name: string;
  /** Takes a line, or says with false that it is no line of this format. */
  take(text: string, log: LineLog): boolean;
  finish(log: LineLog): T;
}

/** Where a reader is, and what it has reported. */
export class LineLog {
  /** 1-based number of the line being read; after the last line, the number of lines. */
  line = 0;
  readonly #issues = new IssueList();

  /** Reports something about line `line`, by default the current one; 0 for the file as a whole. */
  report(severity: Severity, message: string, mend?: string, line: number = this.line): void {
    const place = line === 0 ? {} : { line };
    const repair = mend === undefined ? {} : { mend };
    this.#issues.add({ severity, message, ...place, ...repair });
  }

  /** Reads decimal digits, with or without a minus, clamped to what a double holds exactly. */
  decimal(digits: string): number {
    return this.#clamp(Number.parseInt(digits, 10), digits);
  }

  /** Reads hexadecimal digits, with or without 0x. */
  hex(digits: string): number {
    return this.#clamp(Number.parseInt(digits, 16), digits);
  }

  issues(): Issue[] {
    return this.#issues.list();
  }

  #clamp(value: number, digits: string): number {
    if (Number.isSafeInteger(value)) return value;
    const shown = excerpt(digits);
    if (Number.isNaN(value)) {
      this.report("warning", `"${shown}" is not a number, read as 0`);
      return 0;
    }
    const limit = value < 0 ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER;
    this.report("note", `${shown} is beyond 2^53 - 1 and was clamped to ${limit}`);
    return limit;
  }
}

/** The end of a range whose last byte is `last`: one more, where a double still holds that. */
export function afterLast(last: number): number {
  return Math.min(last + 1, Number.MAX_SAFE_INTEGER);
}

/** The start of a text of unknown length and contents, fit for a message. */
export function excerpt(text: string): string {
  const short = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return [...short].map((c) => (c < " " || c === "\u007f" ? "\ufffd" : c)).join("");
}

/** Makes a reader of a table. */
export function tableReader<T>(table: Table<T>): Reader<T> {
  const log = new LineLog();
  return {
    line(text: string): void {
      log.line++;
      if (text.length > MAX_LINE_LENGTH) {
        log.report("warning", `left out a line longer than ${MAX_LINE_LENGTH} characters`);
      } else if (text.includes("\0")) {
        log.report("warning", "left out a line with a NUL byte", "is this a text file?");
      } else {
        // A byte order mark is an editor's, not the kernel's.
        const plain = log.line === 1 && text.startsWith("\ufeff") ? text.slice(1) : text;
        if (!table.take(plain, log)) {
          log.report("warning", `not a line of ${table.name}: "${excerpt(plain)}"`);
        }
      }
    },
    unterminated(): void {
      log.report("note", "the last line has no line end: it may be cut");
    },
    end(): Outcome<T> {
      if (log.line === 0) log.report("warning", `${table.name} is empty`);
      const value = table.finish(log);
      return { value, issues: log.issues() };
    },
  };
}
