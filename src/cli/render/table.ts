/**
 * A table that fits: columns as wide as their cells, and when the terminal is
 * too narrow the least important ones go, which the last line says.
 */
import type { Style } from "../terminal.ts";
import { type Ink, paint, wrap } from "./paint.ts";

export interface Column<Row> {
  readonly head: string;
  readonly align: "left" | "right";
  readonly cell: (row: Row) => string;
  /** 0 stays; of the rest the highest goes first. */
  readonly importance?: number;
  readonly ink?: (row: Row) => Ink | null;
}

const GAP = "  ";

export function table<Row>(
  style: Style,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  indent: string = GAP,
): string[] {
  const shown = [...columns];
  const dropped: string[] = [];
  let widths = widthsOf(shown, rows);
  while (indent.length + total(widths) > style.width) {
    const least = shown.reduce((a, b) => ((b.importance ?? 0) > (a.importance ?? 0) ? b : a));
    if ((least.importance ?? 0) === 0) break;
    shown.splice(shown.indexOf(least), 1);
    dropped.push(least.head);
    widths = widthsOf(shown, rows);
  }
  const line = (cells: readonly string[], inks: readonly (Ink | null)[]): string => {
    const padded = cells.map((cell, i) => {
      const column = shown[i];
      const width = widths[i] ?? 0;
      const last = i === cells.length - 1 && column?.align === "left";
      const text =
        column?.align === "right" ? cell.padStart(width) : last ? cell : cell.padEnd(width);
      const ink = inks[i] ?? null;
      return ink === null ? text : paint(style, ink, text);
    });
    return (indent + padded.join(GAP)).trimEnd();
  };
  const heads = shown.map((column) => column.head);
  const lines = [
    line(
      heads,
      heads.map(() => "dim"),
    ),
  ];
  for (const row of rows) {
    lines.push(
      line(
        shown.map((column) => column.cell(row)),
        shown.map((column) => column.ink?.(row) ?? null),
      ),
    );
  }
  if (dropped.length > 0) {
    const words = `(left out for width: ${dropped.join(", ")}; --json has all)`;
    for (const line of wrap(words, style.width - indent.length)) {
      lines.push(indent + paint(style, "dim", line));
    }
  }
  return lines;
}

function widthsOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): number[] {
  return columns.map((column) =>
    rows.reduce((width, row) => Math.max(width, column.cell(row).length), column.head.length),
  );
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width + GAP.length, -GAP.length);
}
