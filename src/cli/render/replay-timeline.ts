/**
 * A replay over time, for people: free memory of each zone with its marks, the
 * blocks that it lies in, and what happened. All charts share one time axis.
 *
 *   free DMA32      105.8 MiB │▆▄▃▁
 *     low 2 MiB               │████▅▂
 *     min 1.6 MiB         0 B │███████▆▅▄▃▂▁
 *     under a mark            │         ▽▽▼▼
 */
import { formatBytes, formatCount } from "../../base/units.ts";
import {
  joined,
  type Replay,
  type TimelinePart,
  type WhatIf,
  type ZoneMarks,
} from "../../replay/index.ts";
import type { Style } from "../terminal.ts";
import { columnChart, resample, sparkline } from "./charts.ts";
import { type Ink, paint, wrap, zoneInk } from "./paint.ts";
import { section } from "./plan-screen.ts";

const LABEL = 15;
const SCALE = 10;
/** Left of a chart: indent, label, scale, a blank and the axis. */
const LEFT: number = 2 + LABEL + SCALE + 2;
/** Rows of a zone's chart; with room for its marks' labels. */
const ROWS = 4;
/** A zone that changes by less than a step of its chart gets a line of words. */
const QUIET: number = 1 / (ROWS * 8);

/** Nothing where nothing was replayed. */
export function timelineSections(
  style: Style,
  replay: Pick<Replay, "timeline" | "zoneNames" | "marks" | "pageSize">,
): string[][] {
  const { timeline, zoneNames, marks, pageSize } = replay;
  const { start, parts } = timeline;
  const end = parts.at(-1)?.time ?? start;
  const columns = resample(parts, Math.max(20, style.width - LEFT - 1), joined);
  if (columns.length === 0) return [];
  const length = (end - start) / columns.length;
  const zones = zoneNames.flatMap((name, zone) =>
    zoneLines(style, { name, zone, mark: marks[zone], columns, pageSize }),
  );
  const title = `Free memory over ${seconds(end - start)}, a column is ${seconds(length)}, at its lowest`;
  return [
    section(style, title, [...zones, axis(style, columns.length, end - start)]),
    section(
      style,
      "Free memory in blocks of each order, each against its own most",
      orderLines(style, columns, pageSize),
    ),
    section(style, "Events, and how many in all", eventLines(style, columns)),
  ];
}

interface ZoneRow {
  readonly name: string;
  readonly zone: number;
  readonly mark: ZoneMarks | undefined;
  readonly columns: readonly TimelinePart[];
  readonly pageSize: number;
}

function zoneLines(style: Style, { name, zone, mark, columns, pageSize }: ZoneRow): string[] {
  const lowest = columns.map((part) => part.lowest[zone] ?? 0);
  const most = Math.max(...lowest);
  const least = Math.min(...lowest);
  if (most === 0) return [];
  const bytes = (pages: number): string => formatBytes(pages * pageSize);
  const { low = 0, min = 0 } = mark ?? {};
  if (most - least <= most * QUIET) {
    const words =
      most === least ? `${bytes(most)} all the time` : `${bytes(least)} to ${bytes(most)}`;
    const under =
      least <= min ? "; under the min mark" : least <= low ? "; under the low mark" : "";
    const text = `${words} (low ${bytes(low)}, min ${bytes(min)}${under})`;
    return wrap(text, style.width - LABEL - 4).map(
      (line, i) => `  ${(i === 0 ? `free ${name}` : "").padEnd(LABEL)} ${line}`,
    );
  }
  const ink = (column: number): Ink => markInk(lowest[column] ?? 0, low, min) ?? zoneInk(zone);
  const labels = [`free ${name}`, `  low ${bytes(low)}`, `  min ${bytes(min)}`, ""];
  const chart = columnChart(style, lowest, most, ROWS, ink);
  const lines = chart.map((row, i) => {
    const scale = i === 0 ? bytes(most) : i === ROWS - 1 ? "0 B" : "";
    return left(style, labels[i] ?? "", scale) + row;
  });
  return least > low ? lines : [...lines, underLine(style, lowest, low, min)];
}

function markInk(pages: number, low: number, min: number): Ink | null {
  if (pages <= min) return "bad";
  return pages <= low ? "warn" : null;
}

function underLine(style: Style, pages: readonly number[], low: number, min: number): string {
  const [underLow, underMin] = style.unicode ? ["▽", "▼"] : ["l", "m"];
  const row = pages.map((own) => {
    const ink = markInk(own, low, min);
    return ink === null ? " " : paint(style, ink, ink === "bad" ? underMin : underLow);
  });
  const words = pages.some((own) => own <= min)
    ? `${underLow} low ${underMin} min`
    : `${underLow} under low`;
  return left(style, `  ${words}`, "") + row.join("");
}

function left(style: Style, label: string, scale: string): string {
  const text = `${label.padEnd(LABEL)}${scale.padStart(SCALE)} `;
  return `  ${text}${paint(style, "dim", "│")}`;
}

/** As many of begin, middle and end as there is room for. */
function axis(style: Style, columns: number, length: number): string {
  const begin = "0 s";
  const middle = seconds(length / 2);
  const end = seconds(length);
  const row = Array.from({ length: columns }, () => "─");
  const put = (text: string, at: number): void => {
    for (const [i, letter] of [...text].entries()) row[at + i] = letter;
  };
  if (columns >= 12) put(`${begin} `, 0);
  if (columns >= 30) put(` ${middle} `, Math.floor((columns - middle.length) / 2) - 1);
  if (columns >= 12) put(` ${end}`, columns - end.length - 1);
  return " ".repeat(LEFT) + paint(style, "dim", row.join(""));
}

function orderLines(style: Style, columns: readonly TimelinePart[], pageSize: number): string[] {
  const orders = columns[0]?.orders.length ?? 0;
  const lines: string[] = [];
  for (let order = orders - 1; order >= 0; order--) {
    const pages = columns.map((part) => part.orders[order] ?? 0);
    const most = Math.max(...pages);
    const label = `${String(order).padStart(2)}  ${formatBytes(pageSize * 2 ** order)}`;
    const scale = most === 0 ? "none" : formatBytes(most * pageSize);
    lines.push(left(style, label, scale) + sparkline(style, pages, most));
  }
  return lines;
}

const EVENTS: readonly (readonly [string, (part: TimelinePart) => number, Ink | null])[] = [
  ["allocations", (part) => part.allocations, null],
  ["refused", (part) => part.refusals, "bad"],
  ["kswapd wakes", (part) => part.kswapdWakes, "warn"],
  ["direct reclaim", (part) => part.reclaims, "bad"],
  ["fallbacks", (part) => part.fallbacks, "warn"],
];

function eventLines(style: Style, columns: readonly TimelinePart[]): string[] {
  return EVENTS.flatMap(([label, of, ink]) => {
    const counts = columns.map(of);
    const all = counts.reduce((sum, count) => sum + count, 0);
    if (all === 0) return [];
    const row = sparkline(style, counts, Math.max(...counts));
    return [left(style, label, formatCount(all)) + (ink === null ? row : paint(style, ink, row))];
  });
}

/** Lowest free pages of both machines where they differ, one above the other over the same time. */
export function bothSection(
  style: Style,
  whatIf: WhatIf,
  { zoneNames, pageSize, timeline }: Pick<Replay, "zoneNames" | "pageSize" | "timeline">,
): string[] {
  const count = Math.max(20, style.width - LEFT - 1);
  const recorded = resample(timeline.parts, count, joined);
  const changed = resample(whatIf.timeline.parts, count, joined);
  const lines = zoneNames.flatMap((name, zone) => {
    const of = (columns: readonly TimelinePart[]): number[] =>
      columns.map((part) => part.lowest[zone] ?? 0);
    const [was, is] = [of(recorded), of(changed)];
    if (was.join() === is.join()) return [];
    const most = Math.max(...was, ...is);
    return [
      left(style, name, formatBytes(most * pageSize)) + sparkline(style, was, most),
      left(style, "  if changed", "") + sparkline(style, is, most),
    ];
  });
  return section(style, "Lowest free memory over time, recorded and if changed", lines);
}

/** "4.31 s", "74 ms", "12 µs", from microseconds. */
export function seconds(us: number): string {
  if (us >= 1e6) return `${(us / 1e6).toFixed(us >= 1e7 ? 1 : 2)} s`;
  if (us >= 1e3) return `${(us / 1e3).toFixed(us >= 1e4 ? 0 : 1)} ms`;
  return `${Math.round(us)} µs`;
}
