/**
 * The lines of one report as one text, every line break a blank: mail clients break lines where
 * they like, and a pattern that knows no lines reads them all. Each place in the text still knows
 * the line that it came from.
 *
 * Quoted-printable is undone where the lines show that they are in it: "=" at the end glues two
 * lines together, "=3D" is a "=".
 */

export interface NumberedLine {
  /** 1-based line of the file. */
  readonly line: number;
  readonly text: string;
  /** A blank stood before the text. */
  readonly indented?: boolean;
}

/** A number of a report, and the line that it is on. */
export interface Reading {
  readonly value: number;
  readonly line: number;
}

/** In it, no "=" stands for itself. */
const PLAIN_EQUALS = /=(?![0-9A-F]{2}|$)/;
const SOFT_BREAK = /=3D|=$/;
const ENCODED = /=([0-9A-F]{2})/g;

export class ReportText {
  readonly text: string;
  readonly lines: readonly NumberedLine[];
  readonly #starts: readonly number[];

  constructor(lines: readonly NumberedLine[]) {
    const printable =
      lines.some(({ text }) => SOFT_BREAK.test(text)) &&
      !lines.some(({ text }) => PLAIN_EQUALS.test(text));
    const starts: number[] = [];
    let text = "";
    let glue = "";
    for (const part of lines) {
      let own = part.text.replace(/\s+/g, " ");
      let next = " ";
      if (printable) {
        if (own.endsWith("=")) {
          own = own.slice(0, -1);
          next = "";
        }
        if (glue === "" && part.indented === true) glue = " ";
        own = own.replace(ENCODED, (_, hex: string) => {
          const code = Number.parseInt(hex, 16);
          return code < 0x80 ? String.fromCharCode(code) : "?";
        });
      }
      text += glue;
      starts.push(text.length);
      text += own;
      glue = next;
    }
    this.text = text;
    this.lines = lines;
    this.#starts = starts;
  }

  /** The line of the character at `offset`. */
  lineAt(offset: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return this.lines[low]?.line ?? 0;
  }

  /** The number in `digits`, which begins at `offset`; null beyond 2^53. */
  reading(digits: string, offset: number): Reading | null {
    const value = Number(digits);
    return Number.isSafeInteger(value) ? { value, line: this.lineAt(offset) } : null;
  }
}
