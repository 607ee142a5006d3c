/** `zonewright diff` for people: who is affected first, then the numbers. */
import { formatCount } from "../../base/units.ts";
import type { Affected, Change, PlanDiff } from "../../plan/index.ts";
import type { Style } from "../terminal.ts";
import { paint, spell, wrap } from "./paint.ts";
import { section } from "./plan-screen.ts";
import { type Column, table } from "./table.ts";

const CHANGES_SHOWN = 60;

export function diffScreen(
  style: Style,
  diff: PlanDiff,
  failed: readonly { readonly effect: string; readonly subject: string }[],
): string {
  const title = paint(style, "title", `${diff.a} → ${diff.b}`);
  if (diff.changes.length === 0 && diff.affected.length === 0) {
    return spell(style, `${title}\nnothing changes\n`);
  }
  const isFailed = (row: Affected): boolean =>
    failed.some(({ effect, subject }) => effect === row.effect && subject === row.subject);
  const affected = diff.affected.flatMap((row) => {
    const text = `${row.effect.padEnd(14)} ${row.words}${isFailed(row) ? "  (--fail-on)" : ""}`;
    const ink = isFailed(row) ? "bad" : "warn";
    return wrap(text, style.width - 2, " ".repeat(15)).map(
      (line) => `  ${paint(style, ink, line)}`,
    );
  });
  const columns: Column<Change>[] = [
    { head: "what", align: "left", cell: (row) => row.subject },
    { head: "field", align: "left", cell: (row) => row.field },
    { head: "before", align: "right", cell: (row) => sideWords(row.a) },
    { head: "after", align: "right", cell: (row) => sideWords(row.b) },
    { head: "change", align: "right", cell: delta, importance: 1 },
  ];
  const changes = table(style, columns, diff.changes.slice(0, CHANGES_SHOWN));
  const more = diff.changes.length - CHANGES_SHOWN;
  if (more > 0) changes.push(`  and ${more} more; --json lists all`);
  const nobody = ["  nobody: no device, reserve or pool is worse off"];
  const sections = [
    [title],
    section(style, "Who is affected", affected.length === 0 ? nobody : affected),
    section(style, "What changes", changes),
  ];
  return spell(style, `${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`);
}

function sideWords(value: number | string | null): string {
  if (value === null) return "none";
  return typeof value === "number" ? formatCount(value) : value;
}

function delta({ a, b }: Change): string {
  if (typeof a !== "number" || typeof b !== "number") return "";
  return b > a ? `+${formatCount(b - a)}` : `-${formatCount(a - b)}`;
}
