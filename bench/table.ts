/**
 * Tables for people: right-aligned columns under a title, units in the title.
 */
import type { Line, Verdict } from "./budget.ts";
import type { Measured } from "./measure.ts";
import type { Workload } from "./workloads.ts";

/** Columns as wide as their widest cell; the first to the left, the others to the right. */
export function renderTable(title: string, rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const lines = rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
  return `${title}\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

/** Three digits, or what there is before the point. */
export function digits(value: number): string {
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0);
}

/** Nanoseconds an operation: median and minimum. */
export function timesTable(measured: readonly Measured[], workloads: readonly Workload[]): string {
  const cell = (peer: string, workload: Workload): string => {
    const entry = find(measured, peer, workload);
    return entry === undefined ? "-" : `${digits(entry.median)} (${digits(entry.min)})`;
  };
  const rows = peersOf(measured).map((peer) => [
    peer,
    ...workloads.map((workload) => cell(peer, workload)),
  ]);
  return renderTable("ns an operation, median (minimum)", [["", ...workloads], ...rows]);
}

/** Times of the one peer divided by those of each other one: of medians, of minima. */
export function ratiosTable(
  measured: readonly Measured[],
  workloads: readonly Workload[],
  engine: string,
): string {
  const cell = (peer: string, workload: Workload): string => {
    const ours = find(measured, engine, workload);
    const theirs = find(measured, peer, workload);
    if (ours === undefined || theirs === undefined) return "-";
    return `${digits(ours.median / theirs.median)} (${digits(ours.min / theirs.min)})`;
  };
  const rows = peersOf(measured)
    .filter((peer) => peer !== engine)
    .map((peer) => [peer, ...workloads.map((workload) => cell(peer, workload))]);
  return renderTable(`${engine} / peer, of medians (of minima)`, [["", ...workloads], ...rows]);
}

/** Slowest round over fastest: what a difference has to exceed to mean something. */
export function spreadTable(measured: readonly Measured[], workloads: readonly Workload[]): string {
  const rows = peersOf(measured).map((peer) => [
    peer,
    ...workloads.map((workload) => {
      const entry = find(measured, peer, workload);
      return entry === undefined ? "-" : digits(entry.max / entry.min);
    }),
  ]);
  return renderTable("spread, slowest round / fastest", [["", ...workloads], ...rows]);
}

/** Each line of the budget: the ratio that decides, its limit, whether it holds. */
export function budgetTable(lines: readonly Line[], workloads: readonly Workload[]): string {
  const rows = lines.map(({ text, level, kind, verdicts }) => [
    `${level} ${kind} × ${text}`,
    ...verdicts
      .filter(({ workload }) => workloads.includes(workload))
      .map((verdict) => verdictCell(verdict, kind)),
  ]);
  return renderTable("budget: ratio that decides / limit", [["", ...workloads], ...rows]);
}

function verdictCell({ median, min, limit, holds }: Verdict, kind: Line["kind"]): string {
  if (median === null || min === null) return `-/${limit}`;
  const deciding = kind === "at most" ? Math.max(median, min) : Math.min(median, min);
  return `${digits(deciding)}/${limit} ${holds ? "ok" : "NO"}`;
}

function find(
  measured: readonly Measured[],
  peer: string,
  workload: Workload,
): Measured | undefined {
  return measured.find((entry) => entry.peer === peer && entry.workload === workload);
}

function peersOf(measured: readonly Measured[]): string[] {
  return [...new Set(measured.map(({ peer }) => peer))];
}
