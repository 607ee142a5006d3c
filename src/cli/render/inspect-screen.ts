/** `zonewright inspect` for people: the kernel's numbers, with the plan's around them. */
import type { Inspection } from "../../documents/index.ts";
import type { Plan } from "../../plan/index.ts";
import type { Style } from "../terminal.ts";
import { agreement, notPredictedWords } from "./check-screen.ts";
import { bouncingLines, fragmentationLines, headroomLines, headroomTitle } from "./headroom.ts";
import { eraWords, issueLines, machineWords, originLines } from "./origins.ts";
import { paint, wrap } from "./paint.ts";
import { header, indented, page, section } from "./plan-screen.ts";
import { poolLines } from "./pools.ts";
import { reachMatrix } from "./reach.ts";
import { zoneMap } from "./zone-map.ts";
import { reserveWords, zoneTable } from "./zone-table.ts";
import { kernelZones, plannedZones, type ZoneView } from "./zone-view.ts";

const PAGE_SIZE = 4096; // Linux's default on every architecture here; a plan knows better

export function inspectScreen(style: Style, inspection: Inspection): string {
  const { plan, issues } = inspection;
  const zones = zonesOf(inspection);
  const pageSize = plan?.pageSize ?? PAGE_SIZE;
  const facts = plan === null ? [] : [machineWords(plan, zones), eraWords(plan)];
  const numbers = inspection.zoneinfo === null ? "Zones, pages (predicted)" : "Zones, pages, now";
  return page(style, [
    header(style, inspection.name, facts),
    section(style, "Physical memory, to scale", zoneMap(style, zones, pageSize)),
    section(style, numbers, zoneTable(style, zones, pageSize)),
    section(style, "Reserves", reserveWords(style, zones, pageSize)),
    section(style, headroomTitle(inspection.headroom), headroomLines(style, inspection.headroom)),
    section(style, "Free memory in pieces", fragmentationLines(style, inspection.headroom)),
    section(style, "Pools", plan === null ? [] : indented(style, poolLines(plan))),
    section(style, "Reach", plan === null ? [] : reachMatrix(style, plan.devices)),
    section(
      style,
      "Devices that do not reach all of it",
      plan === null ? [] : bouncingLines(style, plan),
    ),
    section(style, "Does the model agree?", agreementLines(style, inspection)),
    section(style, "Where the numbers come from", sourceLines(style, inspection, plan)),
    section(style, "Worth knowing", issueLines(style, issues)),
  ]);
}

export function zonesOf({ zoneinfo, plan }: Inspection): ZoneView[] {
  if (zoneinfo !== null) return kernelZones(zoneinfo, plan);
  return plan === null ? [] : plannedZones(plan);
}

export function agreementLines(style: Style, { check, checkWhyNot }: Inspection): string[] {
  if (check === null) {
    const words = `not predicted: ${checkWhyNot ?? "nothing to compare"}`;
    return wrap(words, style.width - 4, "  ").map((line) => `  ${paint(style, "warn", line)}`);
  }
  const fine = check.differences.length === 0;
  const mark = paint(style, fine ? "good" : "warn", `${fine ? "✓" : "✗"} ${agreement(check)}`);
  const lines = [`  ${mark}`];
  const left = notPredictedWords(check);
  if (left !== null) lines.push(...wrap(left, style.width - 4, "  ").map((line) => `  ${line}`));
  return lines;
}

function sourceLines(style: Style, inspection: Inspection, plan: Plan | null): string[] {
  const lines = plan === null ? [] : indented(style, originLines(plan));
  const missing = inspection.sources.filter((source) => source.missing !== null);
  for (const source of missing) lines.push(`  ${source.path}: not read, ${source.missing}`);
  return lines;
}
