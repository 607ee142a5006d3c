/**
 * /proc/vmstat and nodeN/vmstat: one counter a line, `name value`. Units are the
 * counter's own: pages for nr_*, events for the rest.
 *
 * Linux: vmstat_show(), mm/vmstat.c
 */
import type { Reader } from "./reader.ts";
import { type LineLog, tableReader } from "./table.ts";

/** Counters by name, in the kernel's order. */
export type Vmstat = ReadonlyMap<string, number>;

const COUNTER = /^(\S+) (-?\d+)\s*$/;

/** Issues: lines of another form, and counters that come twice. */
export function vmstatReader(): Reader<Vmstat> {
  const counters = new Map<string, number>();
  return tableReader({
    name: "vmstat",
    take(text: string, log: LineLog): boolean {
      if (text.trim() === "") return true;
      const [, name, digits] = COUNTER.exec(text) ?? [];
      if (name === undefined || digits === undefined || counters.has(name)) return false;
      counters.set(name, log.decimal(digits));
      return true;
    },
    finish: (): Vmstat => counters,
  });
}
