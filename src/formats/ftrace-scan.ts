/**
 * A place in a line of text, moved by hand: the readers of ftrace text see
 * millions of lines, and regular expressions would be most of their time.
 */

const ZERO = 48; // "0"
const MINUS = 45; // "-"
const SPACE = 32; // " "
const LOWER_X = 120; // "x"

/** Texts that come back line after line are kept once; past this many, all are dropped. */
const MAX_KEPT = 4096;

export class Scan {
  text = "";
  at = 0;

  start(text: string): void {
    this.text = text;
    this.at = 0;
  }

  code(): number {
    return this.text.charCodeAt(this.at);
  }

  spaces(): void {
    while (this.text.charCodeAt(this.at) === SPACE) this.at++;
  }

  /** Steps over `word` if it stands here. */
  skip(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  /** Steps behind the next `word`, wherever it is. */
  find(word: string): boolean {
    const found = this.text.indexOf(word, this.at);
    if (found === -1) return false;
    this.at = found + word.length;
    return true;
  }

  /** Digits, and nothing of a word behind them; NaN otherwise. Clamped to what a double holds. */
  decimal(): number {
    const { text } = this;
    const from = this.at;
    let at = from;
    let value = 0;
    for (;;) {
      const digit = text.charCodeAt(at) - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
      at++;
    }
    this.at = at;
    return at === from || isWord(text.charCodeAt(at)) ? Number.NaN : clamp(value);
  }

  /** Hexadecimal digits without 0x; NaN and clamped as with `decimal`. */
  hexDigits(): number {
    const { text } = this;
    const from = this.at;
    let at = from;
    let value = 0;
    for (;;) {
      const digit = hexDigit(text.charCodeAt(at));
      if (digit < 0) break;
      value = value * 16 + digit;
      at++;
    }
    this.at = at;
    return at === from || isWord(text.charCodeAt(at)) ? Number.NaN : clamp(value);
  }

  /** A number as C prints it: decimal with or without minus, or hexadecimal behind 0x. */
  number(): number {
    if (this.#prefixed()) return this.hexDigits();
    if (this.code() !== MINUS) return this.decimal();
    this.at++;
    return -this.decimal();
  }

  /** A hexadecimal number, with or without 0x. */
  hex(): number {
    this.#prefixed();
    return this.hexDigits();
  }

  #prefixed(): boolean {
    if (this.code() !== ZERO || this.text.charCodeAt(this.at + 1) !== LOWER_X) return false;
    this.at += 2;
    return true;
  }
}

/** Keeps one copy of each text: a slice of a line would hold the whole line in memory. */
export class Texts {
  readonly #kept = new Map<string, string>();

  keep(text: string): string {
    const known = this.#kept.get(text);
    if (known !== undefined) return known;
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    this.#kept.set(text, text);
    return text;
  }
}

/** Letters, digits and the underscore. */
export function isWord(code: number): boolean {
  return (
    (code >= ZERO && code <= 57) ||
    (code >= 97 && code <= 122) ||
    (code >= 65 && code <= 90) ||
    code === 95
  );
}

function hexDigit(code: number): number {
  if (code >= ZERO && code <= 57) return code - ZERO;
  if (code >= 97 && code <= 102) return code - 87;
  return code >= 65 && code <= 70 ? code - 55 : -1;
}

function clamp(value: number): number {
  return Math.min(value, Number.MAX_SAFE_INTEGER);
}
