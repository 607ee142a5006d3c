/** `zonewright explain` for people: one screen a finding, or one line a group. */
import { formatBytes, formatCount } from "../../base/units.ts";
import type { ExplainOrigin } from "../../documents/index.ts";
import type { Confidence, Finding } from "../../explain/index.ts";
import type { Style } from "../terminal.ts";
import { orderLines, zoneBars } from "./explain-zones.ts";
import { type Ink, paint, spell, wrap } from "./paint.ts";
import { header, page, section } from "./plan-screen.ts";
import { table } from "./table.ts";

/** Screens of findings that are printed; the rest is counted. */
const SCREENS = 20;
const EVIDENCE_SHOWN = 8;

const CONFIDENCE: Readonly<Record<Confidence, readonly [Ink, string]>> = {
  proven: ["good", "computed from the printed state"],
  consistent: ["warn", "fits what is printed; other readings may too"],
  hint: ["warn", "from the words alone"],
  unconfirmed: ["warn", "the printed state would not refuse"],
};

export function explainScreen(
  style: Style,
  findings: readonly Finding[],
  origin: ExplainOrigin,
  grouped: boolean,
): string {
  const head = header(style, origin.log, headWords(findings, origin));
  if (findings.length === 0) return page(style, [head]);
  if (grouped) return page(style, [head, section(style, "Findings", groupTable(style, findings))]);
  const shown = findings.slice(0, SCREENS);
  const more = findings.length - shown.length;
  const rest = more > 0 ? [[`and ${more} more findings: --all lists them, --json has them`]] : [];
  return page(style, [head, ...shown.flatMap((finding) => screenOf(style, finding)), ...rest]);
}

function headWords(findings: readonly Finding[], origin: ExplainOrigin): string[] {
  const { lines, note, dropped, redacted } = origin;
  const count = findings.length === 1 ? "1 finding" : `${findings.length} findings`;
  const words = [note ?? `${count} in ${formatCount(lines)} lines`];
  if (dropped > 0) words.push(`${formatCount(dropped)} more that are unlike these were not kept`);
  if (redacted !== null) {
    const parts = [...redacted].map(([kind, number]) => `${number} ${kind}`);
    words.push(`taken out: ${parts.length === 0 ? "nothing" : parts.join(", ")}`);
  }
  return words;
}

function screenOf(style: Style, finding: Finding): string[][] {
  const { sentence, zones, evidence, advice, noHelp, missing } = finding;
  const [ink, sure] = CONFIDENCE[finding.confidence];
  const also = finding.also.length === 0 ? "" : `; also fitting: ${finding.also.join(", ")}`;
  const verdict = `${finding.cause} · ${sure}${also}`;
  const asked = zones.filter(({ eligible }) => eligible);
  return [
    [
      ...titleLines(style, finding),
      ...wrap(sentence, style.width - 2).map((line) => `  ${line}`),
      ...wrap(verdict, style.width - 2).map((line) => `  ${paint(style, ink, line)}`),
      ...(finding.harmless === undefined
        ? []
        : wrap(`perhaps harmless: ${finding.harmless}`, style.width - 2).map(
            (line) => `  ${paint(style, "good", line)}`,
          )),
    ],
    section(style, "Zones that the request may use, pages", zoneBars(style, asked)),
    section(style, "Free blocks by order", orderLines(style, asked, finding)),
    section(style, "Evidence", [
      ...evidence
        .slice(0, EVIDENCE_SHOWN)
        .flatMap(({ line, text }) => item(style, `line ${line}`, text)),
    ]),
    section(style, "What would change it", [
      ...advice.flatMap(({ basis, change, why }) => item(style, basis, `${change}: ${why}`)),
      ...noHelp.flatMap(({ change, why }) => item(style, "no help", `${change}: ${why}`)),
    ]),
    section(
      style,
      "Not in the report",
      missing.flatMap((words) => item(style, "", words)),
    ),
  ];
}

/** Broken between its parts, for a request's flags alone may be half a line. */
function titleLines(style: Style, finding: Finding): string[] {
  const lines: string[] = [];
  for (const part of titleOf(finding)) {
    const last = lines.at(-1);
    const joined = last === undefined ? part : `${last} · ${part}`;
    if (last === undefined || joined.length <= style.width) lines.splice(-1, 1, joined);
    else lines.push(`  ${part}`);
  }
  return lines.map((line) => paint(style, "title", line));
}

function titleOf(finding: Finding): string[] {
  const { kind, line, comm, device, order, gfp, kernel, count, lastLine, era, eraBasis } = finding;
  const parts = [`line ${line}`, kind.replaceAll("-", " ")];
  if (comm !== null) parts.push(comm);
  if (device !== null) parts.push(device);
  if (order !== null && order >= 0) parts.push(`order ${order}`);
  const flags = gfp.join("|");
  if (gfp.length > 0) parts.push(flags === "none" ? "no flags" : flags);
  if (kernel !== null) parts.push(kernel);
  if (era !== null) {
    const how =
      eraBasis === "printed" ? "" : eraBasis === "flags" ? ", guessed from its flags" : ", guessed";
    parts.push(`flags of ${era}${how}`);
  }
  if (count > 1) parts.push(`${formatCount(count)} times up to line ${lastLine}`);
  return parts;
}

const KEY = 10;

function item(style: Style, key: string, text: string): string[] {
  const under = " ".repeat(KEY);
  return wrap(text, style.width - KEY - 2).map(
    (line, i) => `  ${paint(style, "dim", i === 0 ? key.padEnd(KEY) : under)}${line}`,
  );
}

function groupTable(style: Style, findings: readonly Finding[]): string[] {
  return table(
    style,
    [
      { head: "count", align: "right", cell: ({ count }) => formatCount(count) },
      { head: "kind", align: "left", cell: ({ kind }) => kind },
      { head: "cause", align: "left", cell: ({ cause }) => cause },
      { head: "what", align: "left", cell: whatOf, importance: 3 },
      { head: "first line", align: "right", cell: ({ line }) => String(line) },
      {
        head: "last line",
        align: "right",
        cell: ({ lastLine }) => String(lastLine),
        importance: 1,
      },
      { head: "first time", align: "left", cell: ({ time }) => time ?? "", importance: 2 },
      { head: "last time", align: "left", cell: ({ lastTime }) => lastTime ?? "", importance: 2 },
    ],
    [...findings].sort((a, b) => b.count - a.count || a.line - b.line),
  );
}

function whatOf({ order, gfp, device }: Finding): string {
  if (device !== null) return device.slice(0, 40);
  if (order === null) return "";
  return `order ${order} ${gfp.join("|")}`.slice(0, 48);
}

/** "read 256 MiB, 12 reports". */
export function explainProgress(style: Style, chars: number, seen: number): string {
  return spell(style, `read ${formatBytes(chars)}, ${formatCount(seen)} reports`);
}
