/**
 * The lines of one report as one text, every line break a blank: mail clients break lines where
 * they like, and a pattern that knows no lines reads them all. Each place in the text still knows
 * the line that it came from.
 *
 * Quoted-printable is undone where the lines show that they are in it: "=" at the end glues two
 * lines together, "=3D" is a "=". A terminal breaks words in their middle: where lines without a time
 * follow lines of one and the same full width, the two are glued as well.
 */

export interface NumberedLine {
  /** 1-based line of the file. */
  readonly line: number;
  readonly text: string;
  /** A blank stood before the text. */
  readonly indented?: boolean;
  /** A blank stood behind it. */
  readonly spaced?: boolean;
  /** Columns of the whole line; absent where nobody counted. */
  readonly width?: number;
  /** The line has a time of its own. */
  readonly stamped?: boolean;
}

/** A number of a report, and the line that it is on. */
export interface Reading {
  readonly value: number;
  readonly line: number;
}

/** Blanks that are no blank: tabs and others. */
const ODD_BLANK = /[^\S ]/;
/** In it, no "=" stands for itself. */
const PLAIN_EQUALS = /=(?![0-9A-F]{2}|$)/;
const SOFT_BREAK = /=3D|=$/;
const HARD_BLANKS = /(?:=C2)?=A0/g;
const ENCODED = /=([0-9A-F]{2})/g;

export class ReportText {
  readonly text: string;
  readonly lines: readonly NumberedLine[];
  readonly #starts: readonly number[];

  /** `glued`: each line goes on in the next without a blank, as a terminal breaks them. */
  constructor(lines: readonly NumberedLine[], glued = false) {
    const full = glued ? 0 : terminalWidth(lines);
    const printable =
      lines.some(({ text }) => text.includes("=") && SOFT_BREAK.test(text)) &&
      !lines.some(({ text }) => PLAIN_EQUALS.test(text));
    const starts: number[] = [];
    let text = "";
    let glue = "";
    for (const [i, part] of lines.entries()) {
      let own = isSpacedOut(part.text) ? part.text.replace(/\s+/g, " ") : part.text;
      let next = " ";
      if (printable) {
        if (own.endsWith("=")) {
          own = own.slice(0, -1);
          next = "";
        }
        own = own.replace(HARD_BLANKS, " ").replace(ENCODED, (_, hex: string) => {
          const code = Number.parseInt(hex, 16);
          return code < 0x80 ? String.fromCharCode(code) : "?";
        });
      } else if (
        (glued && lines[i + 1]?.stamped !== true) ||
        (full > 0 && part.width === full && isRest(lines[i + 1]))
      ) {
        next = part.spaced === true ? " " : "";
      }
      if (glue === "" && part.indented === true) glue = " ";
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

/** Whether some blanks are not one blank. */
function isSpacedOut(text: string): boolean {
  return text.includes("  ") || ODD_BLANK.test(text);
}

/** Lines of the full width that make a terminal likely, and the narrowest of terminals. */
const FULL_LINES = 3;
const NARROWEST = 40;
/** Where a kernel's own line begins, whether or not it has a time. */
const OWN_LINE =
  /^(?:Node \d|lowmem_reserve|\(?[A-Z]\w+(?: \w+)?:| ?[\w/.-]+\+0x|\d+ (?:total )?pages)/;

/** The columns of the terminal that broke these lines; 0 where nothing says that one did. */
function terminalWidth(lines: readonly NumberedLine[]): number {
  let width = 0;
  for (const line of lines) width = Math.max(width, line.width ?? 0);
  if (width < NARROWEST) return 0;
  const full = lines.filter((line, i) => line.width === width && isRest(lines[i + 1]));
  return full.length >= FULL_LINES ? width : 0;
}

/** Whether a line may be the rest of the one before it. */
function isRest(line: NumberedLine | undefined): boolean {
  return line !== undefined && line.stamped !== true && !OWN_LINE.test(line.text);
}
