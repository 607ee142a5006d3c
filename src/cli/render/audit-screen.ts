/** `zonewright audit` for people: counts, what is to do, what the rest costs. */
import {
  type Confidence,
  type Cost,
  countBy,
  countFolders,
  isFinding,
  isRequest,
  levelOf,
  type Use,
} from "../../audit/index.ts";
import { formatBytes, formatCount } from "../../base/units.ts";
import type { AuditOrigin } from "../../documents/index.ts";
import type { Style } from "../terminal.ts";
import { type Ink, paint, spell, wrap } from "./paint.ts";
import { header, page, section } from "./plan-screen.ts";
import { type Column, table } from "./table.ts";

const LISTED = 40;
const FOLDERS_SHOWN = 24;
const UNPARSED_SHOWN = 5;
const CONFIDENCE: Readonly<Record<Confidence, Ink>> = { high: "good", medium: "warn", low: "dim" };

export function auditScreen(
  style: Style,
  uses: readonly Use[],
  origin: AuditOrigin,
  all: boolean,
): string {
  const requests = uses.filter(isRequest);
  const findings = requests.filter(isFinding);
  const title = origin.given.join(" ");
  const head = header(style, title, headWords(requests, findings, origin));
  if (requests.length === 0) return page(style, [head]);
  const listed = all ? requests : findings;
  return page(style, [
    head,
    section(style, "By verdict", verdictTable(style, requests)),
    section(style, "By folder", folderTable(style, requests)),
    section(style, all ? "Every use" : "To do", useLines(style, listed, all)),
    section(style, "What the rest costs", costTable(style, origin.costs)),
    unparsedSection(style, origin),
  ]);
}

export function auditProgress(style: Style, done: number, all: number): string {
  const part = Math.floor((100 * done) / Math.max(1, all));
  return spell(style, `${formatCount(done)} of ${formatCount(all)} files, ${part} %`);
}

function headWords(
  requests: readonly Use[],
  findings: readonly Use[],
  { files, parsed, root, known }: AuditOrigin,
): string[] {
  const words = [
    `${formatCount(files)} files, ${formatCount(parsed)} worth a parse`,
    `${formatCount(requests.length)} uses, ${formatCount(findings.length)} to do`,
  ];
  if (known !== null) words.push("without what the baseline has");
  if (root === null) words.push("no kernel tree: nothing is known of Kconfig");
  return words;
}

function verdictTable(style: Style, requests: readonly Use[]): string[] {
  const rows = countBy(requests, ({ verdict, category }) => `${verdict}\t${category}`).map(
    ({ name, count }) => {
      const [verdict = "", category = ""] = name.split("\t");
      return { verdict, category, count };
    },
  );
  return table(
    style,
    [
      { head: "verdict", align: "left", cell: ({ verdict }) => verdict },
      { head: "kind", align: "left", cell: ({ category }) => category },
      { head: "uses", align: "right", cell: ({ count }) => formatCount(count) },
    ],
    rows,
  );
}

function folderTable(style: Style, requests: readonly Use[]): string[] {
  const rows = countFolders(requests);
  const open = new Map(
    countFolders(requests.filter(isFinding)).map((row) => [row.folder, row.count]),
  );
  const lines = table(
    style,
    [
      { head: "folder", align: "left", cell: ({ folder }) => folder },
      { head: "uses", align: "right", cell: ({ count }) => formatCount(count) },
      { head: "to do", align: "right", cell: ({ folder }) => formatCount(open.get(folder) ?? 0) },
    ],
    rows.slice(0, FOLDERS_SHOWN),
  );
  const more = rows.length - FOLDERS_SHOWN;
  return more > 0 ? [...lines, `  and ${more} more folders`] : lines;
}

function useLines(style: Style, uses: readonly Use[], all: boolean): string[] {
  const shown = all ? uses : uses.slice(0, LISTED);
  const columns: readonly Column<Use>[] = [
    { head: "where", align: "left", cell: ({ file, line }) => `${file}:${line}` },
    {
      head: "what",
      align: "left",
      cell: ({ flag, allocator }) =>
        allocator === null || allocator === flag ? flag : `${flag} in ${allocator}()`,
      importance: 1,
    },
    { head: "verdict", align: "left", cell: ({ verdict }) => verdict, ink: inkOf },
    {
      head: "sure",
      align: "left",
      cell: ({ confidence }) => confidence,
      ink: ({ confidence }) => CONFIDENCE[confidence],
      importance: 2,
    },
  ];
  const lines = shown.length === 0 ? ["  nothing"] : table(style, columns, shown);
  const kinds = new Map(shown.map((use) => [use.category, use]));
  for (const { category, fix } of kinds.values()) {
    if (fix === "") continue;
    const words = `${category}: ${fix}`;
    for (const [i, line] of wrap(words, style.width - 6).entries()) {
      lines.push(paint(style, "dim", `${i === 0 ? "  - " : "    "}${line}`));
    }
  }
  const more = uses.length - shown.length;
  return more > 0
    ? [...lines, `  and ${more} more: --all lists them, --json has the reasons`]
    : lines;
}

function inkOf(use: Use): Ink {
  const level = levelOf(use);
  return level === "error" ? "bad" : level === "warning" ? "warn" : "dim";
}

function costTable(style: Style, costs: readonly Cost[]): string[] {
  const rows = costs.flatMap(({ architecture, rows: some, maskPool }) =>
    some.map((row) => ({ ...row, architecture: architecture ?? "all", maskPool })),
  );
  if (rows.length === 0) return ["  nothing that stays asks for a zone"];
  const lines = table(
    style,
    [
      { head: "on", align: "left", cell: ({ architecture }) => architecture },
      { head: "below", align: "left", cell: ({ bits }) => formatBytes(2 ** bits) },
      { head: "places", align: "right", cell: ({ places }) => formatCount(places) },
      { head: "known bytes", align: "right", cell: ({ bytes }) => formatBytes(bytes) },
      { head: "computed sizes", align: "right", cell: ({ unknown }) => formatCount(unknown) },
      {
        head: "mask pool",
        align: "right",
        cell: ({ zone, maskPool }) => (zone === "DMA" ? maskPool : ""),
      },
    ],
    rows,
  );
  return [
    ...lines,
    "  one request of each place; a size that is computed counts as a page in the pool",
  ];
}

function unparsedSection(style: Style, { unparsed }: AuditOrigin): string[] {
  if (unparsed.length === 0) return [];
  const lines = unparsed
    .slice(0, UNPARSED_SHOWN)
    .map(
      ({ file, line, text }) => `  ${file}${line === null ? "" : `:${line}`}  ${text.slice(0, 60)}`,
    );
  const more = unparsed.length - lines.length;
  const rest = more > 0 ? [`  and ${more} more in --json`] : [];
  return section(style, "Not parsed", [...lines, ...rest]);
}
