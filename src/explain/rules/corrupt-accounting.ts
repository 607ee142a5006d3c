/** Numbers that no memory can have: a count went below zero and wrapped. */
import type { ReportZone } from "../../formats/index.ts";
import type { MemoryRule } from "../memory-case.ts";

export const corruptAccounting: MemoryRule = {
  name: "corrupt-accounting",
  decides:
    "a mark above what the zone manages, a reserve above all RAM, or a list with more than 16 times the free pages: the kernel's counts are wrong",
  linux: "__mod_zone_page_state(), mm/vmstat.c",
  claim: ({ report }) => {
    const ram = report.ram?.value ?? null;
    for (const zone of report.zones) {
      const absurd = absurdIn(zone, ram);
      if (absurd === null) continue;
      return {
        cause: "corrupt-accounting",
        sentence: `The kernel's own counts of ${zone.name} cannot be true: ${absurd.text}.`,
        confidence: "proven",
        evidence: [absurd],
        missing: ["the true counts: no verdict can be computed from these"],
        advice: [
          {
            change: "look for hot-plugged, ballooned or doubly freed memory",
            why: "a count that wrapped is a bug of whoever changes it, not a shortage",
            basis: "reasoned",
          },
        ],
      };
    }
    return null;
  },
};

const LIST_FACTOR = 16;
/** Counts are 32 or 64 bits wide: nothing real is that near to their end. */
const WRAPPED = 2 ** 31;

/** 4 PiB, what five levels of page tables can map of RAM. */
const KIB_MAX = 2 ** 42;

function absurdIn(zone: ReportZone, ram: number | null): { line: number; text: string } | null {
  const of = (name: string): number | undefined => zone.fields.get(name)?.value;
  const line = (name: string): number => zone.fields.get(name)?.line ?? zone.line;
  const managed = of("managed") ?? of("present");
  const min = of("min");
  if (min !== undefined && managed !== undefined && managed > 0 && min > managed) {
    return { line: line("min"), text: `min:${min}kB of ${managed}kB` };
  }
  if (min !== undefined && min > KIB_MAX) {
    return { line: line("min"), text: `min:${min}kB` };
  }
  const reserve = zone.protection?.find(({ value }) => ram !== null && value > ram);
  if (reserve !== undefined) {
    return { line: reserve.line, text: `lowmem_reserve ${reserve.value} of ${ram} pages RAM` };
  }
  const wrapped = zone.freeList?.blocks.find(({ count }) => count >= WRAPPED);
  if (wrapped !== undefined) {
    return {
      line: zone.freeList?.line ?? zone.line,
      text: `${wrapped.count} blocks of order ${wrapped.order}`,
    };
  }
  const sum = zone.freeList?.sum;
  const free = of("free") ?? 0;
  if (sum !== undefined && sum !== null && free > 0 && managed !== undefined) {
    if (sum.value > free * LIST_FACTOR && sum.value > managed) {
      return { line: sum.line, text: `lists of ${sum.value}kB, free:${free}kB` };
    }
  }
  return null;
}
