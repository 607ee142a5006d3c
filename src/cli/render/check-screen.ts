/** `zonewright check` for people: one line when all is equal, else a table. */
import { formatCount } from "../../base/units.ts";
import type { Check, Difference, Moment } from "../../plan/index.ts";
import type { Style } from "../terminal.ts";
import { paint, spell, wrap } from "./paint.ts";
import { type Column, table } from "./table.ts";

/** When the kernel computed what it prints, as the comparison found. */
const MOMENTS: Readonly<Record<Moment, string>> = {
  boot: "as the boot left them",
  settled: "as computed again since",
};
const DIFFERENCES_SHOWN = 40;

/** "kernel's zoneinfo: 61 of 61 fields equal". */
export function agreement(check: Check): string {
  return `kernel's zoneinfo: ${check.equal} of ${check.fields} fields equal`;
}

/** What was left out, in one sentence; null when nothing was. */
export function notPredictedWords(check: Check): string | null {
  if (check.notPredicted.length === 0) return null;
  const byReason = new Map<string, string[]>();
  for (const { field, why } of check.notPredicted) {
    byReason.set(why, [...(byReason.get(why) ?? []), field]);
  }
  const parts = [...byReason].map(([why, fields]) => `${[...new Set(fields)].join(", ")} (${why})`);
  return `not predicted: ${parts.join("; ")}`;
}

export function checkScreen(style: Style, check: Check): string {
  const { plan, moments } = check;
  const fine = check.differences.length === 0;
  const mark = paint(style, fine ? "good" : "bad", fine ? "✓" : "✗");
  const lines = [`${mark} ${plan.machine}: ${agreement(check)}`];
  const facts = [
    `kernel ${plan.kernel}, rules of ${plan.era.name} (${plan.era.basis}${plan.era.verified ? "" : ", unverified"})`,
    `managed from ${check.managedFrom}`,
    `marks ${MOMENTS[moments.watermarks]}, reserves ${MOMENTS[moments.protection]}`,
  ];
  lines.push(...wrap(`  ${facts.join(" · ")}`, style.width, "  "));
  const left = notPredictedWords(check);
  if (left !== null) lines.push(...wrap(`  ${left}`, style.width, "  "));
  if (!fine) lines.push(...differenceTable(style, check.differences));
  return spell(style, `${lines.join("\n")}\n`);
}

function differenceTable(style: Style, differences: readonly Difference[]): string[] {
  const columns: Column<Difference>[] = [
    { head: "zone", align: "left", cell: (row) => `N${row.node}/${row.zone}` },
    { head: "field", align: "left", cell: (row) => row.field },
    { head: "predicted", align: "right", cell: (row) => amount(row.predicted) },
    { head: "kernel", align: "right", cell: (row) => amount(row.kernel) },
    { head: "off by", align: "right", cell: offBy },
    { head: "why", align: "left", cell: (row) => row.why ?? "", importance: 1 },
  ];
  const lines = table(style, columns, differences.slice(0, DIFFERENCES_SHOWN));
  const more = differences.length - DIFFERENCES_SHOWN;
  return more > 0 ? [...lines, `  and ${more} more; --json lists all`] : lines;
}

function amount(value: number | null): string {
  return value === null ? "none" : formatCount(value);
}

function offBy({ predicted, kernel }: Difference): string {
  if (predicted === null || kernel === null) return "";
  const off = predicted - kernel;
  return off > 0 ? `+${formatCount(off)}` : `-${formatCount(-off)}`;
}
