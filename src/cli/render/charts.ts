/**
 * Small charts of characters: columns of eighths, several rows high or one.
 * Text only; what is plain with colours is plain without them, and in ASCII.
 */
import type { Style } from "../terminal.ts";
import { type Ink, paint } from "./paint.ts";

/** A column from empty to full, in eighths. */
const EIGHTHS = " ▁▂▃▄▅▆▇█";
const ASCII_EIGHTHS = " ..::==##";

/** One row: each value against `most`. What is not 0 is seen, however small. */
export function sparkline(style: Style, values: readonly number[], most: number): string {
  return values.map((value) => glyph(style, most === 0 ? 0 : (value / most) * 8)).join("");
}

/**
 * `rows` rows from the top down, each value against `most`; `ink` colours a
 * column where it says so.
 */
export function columnChart(
  style: Style,
  values: readonly number[],
  most: number,
  rows: number,
  ink: (column: number) => Ink | null,
): string[] {
  return Array.from({ length: rows }, (_, i) => {
    const below = (rows - 1 - i) * 8;
    let line = "";
    let run = "";
    let runInk: Ink | null = null;
    const flush = (): void => {
      line += runInk === null ? run : paint(style, runInk, run);
      run = "";
    };
    for (const [column, value] of values.entries()) {
      const eighths = most === 0 ? 0 : (value / most) * rows * 8;
      // The lowest row shows that there is something.
      const own = below === 0 && value > 0 ? Math.max(1, eighths) : eighths - below;
      const next = ink(column);
      if (next !== runInk) flush();
      runInk = next;
      run += glyph(style, own);
    }
    flush();
    return line;
  });
}

function glyph(style: Style, eighths: number): string {
  const glyphs = style.unicode ? EIGHTHS : ASCII_EIGHTHS;
  const least = eighths > 0 ? 1 : 0;
  const at = Math.max(least, Math.min(8, Math.round(eighths)));
  return glyphs[eighths < 0 ? 0 : at] ?? " ";
}

/** `items` in at most `columns` groups of neighbours, each joined to one. */
export function resample<T>(items: readonly T[], columns: number, join: (a: T, b: T) => T): T[] {
  const count = Math.min(columns, items.length);
  const groups: T[] = [];
  let filled = -1;
  for (const [i, item] of items.entries()) {
    const group = Math.floor((i * count) / items.length);
    const before = groups[group];
    groups[group] = group === filled && before !== undefined ? join(before, item) : item;
    filled = group;
  }
  return groups;
}
