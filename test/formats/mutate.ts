// Damage that files suffer on their way to us, for the tests of every reader.
import fc from "fast-check";

/** Damages a text in one way; the numbers, from 0 to 1, say where. */
type Damage = (text: string, at: number, to: number) => string;

function lineAt(lines: readonly string[], share: number): number {
  return Math.min(lines.length - 1, Math.floor(share * lines.length));
}

const DAMAGE: readonly Damage[] = [
  (text, at) => text.slice(0, Math.floor(at * text.length)),
  (text, at) => text.slice(Math.floor(at * text.length)),
  (text) => text.replaceAll("\n", "\r\n"),
  (text) => text.replaceAll("\n", " "),
  (text) => text.replaceAll(/^ +/gm, ""),
  (text) => text.replaceAll(/\d+/g, (digits) => digits.repeat(9)),
  (text) => text.replaceAll(/\d+/g, "-1"),
  (text) => text.replaceAll(/\d/g, "0"),
  (text) => text.replaceAll("\n", "\n> "),
  (text, at) => {
    const from = Math.floor(at * text.length);
    return `${text.slice(0, from)}\0\u{1f600}\u2028${text.slice(from)}`;
  },
  (text, at, to) => {
    const lines = text.split("\n");
    const a = lineAt(lines, at);
    const b = lineAt(lines, to);
    [lines[a], lines[b]] = [lines[b] ?? "", lines[a] ?? ""];
    return lines.join("\n");
  },
  (text, at) => {
    const lines = text.split("\n");
    lines.splice(lineAt(lines, at), 1);
    return lines.join("\n");
  },
  (text, at) => {
    const lines = text.split("\n");
    const line = lineAt(lines, at);
    lines[line] = (lines[line] ?? "").repeat(3);
    return lines.join("\n");
  },
];

/** A place in a text, from 0 to 1: evenly spread, which doubles are not. */
export const share: fc.Arbitrary<number> = fc
  .nat({ max: 1e6 })
  .map((millionths) => millionths / 1e6);

/** `text` after one to three kinds of damage. */
export function damaged(text: string): fc.Arbitrary<string> {
  const step = fc.tuple(fc.constantFrom(...DAMAGE), share, share);
  return fc
    .array(step, { minLength: 1, maxLength: 3 })
    .map((steps) => steps.reduce((now, [damage, at, to]) => damage(now, at, to), text));
}

/** Puts `line` into `text` before the lines that the shares fall on; their numbers afterwards too. */
export function withLine(
  text: string,
  line: string,
  shares: readonly number[],
): { text: string; places: number[] } {
  const lines = text.split("\n").slice(0, -1);
  const marks = new Set(shares.map((where) => lineAt(lines, where)));
  const out: string[] = [];
  const places: number[] = [];
  for (const [i, old] of lines.entries()) {
    if (marks.has(i)) places.push(out.push(line));
    out.push(old);
  }
  return { text: `${out.join("\n")}\n`, places };
}
