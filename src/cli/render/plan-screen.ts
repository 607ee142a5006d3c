/** `zonewright plan` for people. */
import type { Plan } from "../../plan/index.ts";
import type { Style } from "../terminal.ts";
import { eraWords, issueLines, machineWords, originLines } from "./origins.ts";
import { paint, spell, wrap } from "./paint.ts";
import { poolLines } from "./pools.ts";
import { reachMatrix } from "./reach.ts";
import { zoneMap } from "./zone-map.ts";
import { reserveWords, zoneTable } from "./zone-table.ts";
import { plannedZones } from "./zone-view.ts";

export function planScreen(style: Style, plan: Plan): string {
  const zones = plannedZones(plan);
  const sections: string[][] = [
    header(style, plan.machine, [machineWords(plan, zones), eraWords(plan)]),
    section(style, "Physical memory, to scale", zoneMap(style, zones, plan.pageSize)),
    section(style, "Zones, pages", zoneTable(style, zones, plan.pageSize)),
    section(style, "Reserves", reserveWords(style, zones, plan.pageSize)),
    section(style, "Pools", indented(style, poolLines(plan))),
    section(style, "Reach", reachMatrix(style, plan.devices)),
    section(style, "Where the numbers come from", indented(style, originLines(plan))),
    section(style, "Worth knowing", issueLines(style, plan.issues)),
  ];
  return page(style, sections);
}

export function header(style: Style, name: string, facts: readonly string[]): string[] {
  return [paint(style, "title", name), ...facts.flatMap((fact) => wrap(fact, style.width, "  "))];
}

/** Nothing where there is nothing to show. */
export function section(style: Style, title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [paint(style, "title", title), ...lines];
}

/** Lines `key   words`, continued under the words. */
export function indented(style: Style, lines: readonly string[]): string[] {
  const under = " ".repeat(13);
  return lines.flatMap((line) => {
    // Blanks between key and words must survive the wrapping.
    const key = line.slice(0, 13);
    const rest = wrap(line.slice(13), style.width - 15);
    return rest.map((part, i) => `  ${i === 0 ? key : under}${part}`);
  });
}

export function page(style: Style, sections: readonly (readonly string[])[]): string {
  const shown = sections.filter((lines) => lines.length > 0);
  return spell(style, `${shown.map((lines) => lines.join("\n")).join("\n\n")}\n`);
}
