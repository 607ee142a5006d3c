/**
 * The first screen: this machine in about 40 lines. Each section's title names
 * the files its numbers were read from.
 */
import type { Inspection, SourceDocument } from "../../documents/index.ts";
import type { Style } from "../terminal.ts";
import { agreementLines, zonesOf } from "./inspect-screen.ts";
import { eraWords, machineWords } from "./origins.ts";
import { paint, wrap } from "./paint.ts";
import { header, indented, page } from "./plan-screen.ts";
import { poolLines } from "./pools.ts";
import { reachMatrix } from "./reach.ts";
import { zoneMap } from "./zone-map.ts";
import { reserveWords, zoneTable } from "./zone-table.ts";

const PAGE_SIZE = 4096;

export function startScreen(style: Style, inspection: Inspection): string {
  const { plan } = inspection;
  const zones = zonesOf(inspection);
  const pageSize = plan?.pageSize ?? PAGE_SIZE;
  const facts = plan === null ? [] : [machineWords(plan, zones), eraWords(plan)];
  const titled = (title: string, from: string, lines: readonly string[]): string[] =>
    lines.length === 0
      ? []
      : [
          paint(style, "title", title) + paint(style, "dim", from === "" ? "" : `  ${from}`),
          ...lines,
        ];
  const sections = [
    header(style, `Zonewright: the memory of ${inspection.name}`, facts),
    titled("Map", mapSource(inspection), zoneMap(style, zones, pageSize)),
    titled("Zones", `pages; ${spansSource(inspection)}`, zoneTable(style, zones, pageSize, true)),
    titled("Reserves", "from the protection above", reserveWords(style, zones, pageSize)),
  ];
  if (plan !== null) {
    const from = `masks: ${read(inspection, "devices")}; reach and pool: computed`;
    sections.push(
      titled("Devices", from, [
        ...reachMatrix(style, plan.devices, true),
        ...indented(style, poolLines(plan)),
      ]),
    );
  }
  const agreement = agreementLines(style, inspection);
  const missing = missingLines(style, inspection.sources);
  sections.push(titled("Does the model agree?", "", [...agreement, ...missing]));
  sections.push(next(style));
  return page(style, sections);
}

function next(style: Style): string[] {
  const commands: readonly (readonly [string, string])[] = [
    ["zonewright inspect", "the same with every source and remark"],
    ["zonewright plan examples/machines/desktop-8G.yaml", "a machine that is not there yet"],
    ["zonewright check examples/captures/x86_64-6.1-8G.tar.gz", "the model against a real kernel"],
  ];
  const width = Math.max(...commands.map(([command]) => command.length));
  const lines = commands.map(([command, what]) => {
    const line = `  ./bin/${command.padEnd(width)}  ${what}`;
    return line.length <= style.width ? line : `  ./bin/${command}`;
  });
  return [paint(style, "title", "Try next"), ...lines];
}

/** Where a file was read, or the capture. */
function read({ sources, name }: Inspection, path: string): string {
  const source = sources.find((candidate) => candidate.path === path);
  if (source === undefined) return `${path} of ${name.split(",", 1)[0]}`;
  return source.missing === null ? source.from : `${path}: ${source.missing}`;
}

function mapSource(inspection: Inspection): string {
  const { plan, sources } = inspection;
  if (sources.length === 0) return "the capture's boot log";
  const spans = `spans: ${spansSource(inspection)}`;
  if (inspection.check === null && inspection.zoneinfo !== null)
    return `${spans}; holes inside them: not known`;
  if (plan?.layoutFrom === "log") return `${spans}; RAM and holes: ${read(inspection, "dmesg")}`;
  const maps = ["firmware_memmap", "iomem"];
  const map = sources.find(({ path, missing }) => maps.includes(path) && missing === null);
  return `${spans}; RAM and holes: ${read(inspection, map?.path ?? "firmware_memmap")}`;
}

/** What the zones' own numbers come from: the kernel, or the model where it prints none. */
function spansSource(inspection: Inspection): string {
  return inspection.zoneinfo === null ? "computed" : read(inspection, "zoneinfo");
}

function missingLines(style: Style, sources: readonly SourceDocument[]): string[] {
  const missing = sources.filter((source) => source.missing !== null);
  if (missing.length === 0) return [];
  const words = missing.map(({ path, missing: why }) => `${path} (${why})`).join(", ");
  const lines = wrap(`not read: ${words}`, style.width - 4, "  ");
  return lines.map((line) => `  ${paint(style, "dim", line)}`);
}
