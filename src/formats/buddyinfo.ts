/**
 * /proc/buddyinfo: free blocks of each order, one line a zone with memory.
 *
 *   Node 0, zone   Normal   1046    527 …     each number 6 wide, blank after it
 *
 * Every line has as many orders as the kernel; a shorter one was cut.
 *
 * Linux: frag_show_print(), mm/vmstat.c
 */
import type { Reader } from "./reader.ts";
import { CUT_MEND, type LineLog, tableReader } from "./table.ts";

export interface BuddyinfoZone {
  readonly node: number;
  readonly name: string;
  /** 1-based line. */
  readonly line: number;
  /** Number of free blocks by order. */
  readonly free: readonly number[];
}

export interface Buddyinfo {
  readonly zones: readonly BuddyinfoZone[];
}

const ROW = /^Node +(\d+), zone +(\S+)((?: +\d+)+)\s*$/;

/** Issues: lines of another form are warnings, a line with fewer orders than the rest an error. */
export function buddyinfoReader(): Reader<Buddyinfo> {
  const zones: BuddyinfoZone[] = [];
  return tableReader({
    name: "buddyinfo",
    take(text: string, log: LineLog): boolean {
      if (text.trim() === "") return true;
      const [, node, name, row] = ROW.exec(text) ?? [];
      if (node === undefined || name === undefined || row === undefined) return false;
      zones.push({ node: log.decimal(node), name, line: log.line, free: numbersIn(row, log) });
      return true;
    },
    finish: (log: LineLog): Buddyinfo => ({ zones: fullRows(zones, (zone) => zone.free, log) }),
  });
}

/** Prints `buddyinfo` as the kernel does. */
export function writeBuddyinfo(buddyinfo: Buddyinfo): string {
  return buddyinfo.zones
    .map(({ node, name, free }) => {
      const blocks = free.map((count) => `${String(count).padStart(6)} `).join("");
      return `Node ${node}, zone ${name.padStart(8)} ${blocks}\n`;
    })
    .join("");
}

/** Reads numbers with blanks between them. */
export function numbersIn(text: string, log: LineLog): number[] {
  return text
    .trim()
    .split(/\s+/)
    .map((digits) => log.decimal(digits));
}

/** The rows that have as many columns as the longest; the others are reported as cut. */
export function fullRows<T extends { readonly line: number }>(
  rows: readonly T[],
  columns: (row: T) => readonly unknown[],
  log: LineLog,
): T[] {
  let width = 0;
  for (const row of rows) width = Math.max(width, columns(row).length);
  return rows.filter((row) => {
    const missing = width - columns(row).length;
    if (missing === 0) return true;
    const message = `the line is cut short: it lacks ${missing} of ${width} numbers`;
    log.report("error", message, CUT_MEND, row.line);
    return false;
  });
}
