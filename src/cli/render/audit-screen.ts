/** `zonewright audit` for people: counts, what is to do, what the rest costs. */
import {
  type Confidence,
  type Cost,
  type CostRow,
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
/** Whose pool the command is for, where it is among them: the most machines are such. */
const PLANNED = "x86";
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
    { head: "line", align: "right", cell: ({ line }) => String(line) },
    {
      head: "what",
      align: "left",
      cell: ({ flag, allocator }) =>
        allocator === null || allocator === flag ? flag : `${flag} in ${allocator}()`,
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
  const lines =
    shown.length === 0 ? ["  nothing"] : underFiles(table(style, columns, shown), shown);
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

/** A file's name above its first row; the table's first line is its head. */
function underFiles(lines: readonly string[], uses: readonly Use[]): string[] {
  return lines.flatMap((line, i) => {
    const file = uses[i - 1]?.file;
    return file === undefined || file === uses[i - 2]?.file ? [line] : [`  ${file}`, line];
  });
}

function inkOf(use: Use): Ink {
  const level = levelOf(use);
  return level === "error" ? "bad" : level === "warning" ? "warn" : "dim";
}

interface CostLine extends CostRow {
  readonly names: readonly string[];
  readonly maskPool: string;
  readonly isFirst: boolean;
}

/** Architectures that cost the same share their lines. */
function costLines(costs: readonly Cost[]): CostLine[] {
  const groups = new Map<string, { names: string[]; cost: Cost }>();
  for (const cost of costs) {
    const key = JSON.stringify([cost.architecture === null, cost.rows, cost.maskPool]);
    const group = groups.get(key) ?? { names: [], cost };
    group.names.push(cost.architecture ?? "all");
    groups.set(key, group);
  }
  return [...groups.values()].flatMap(({ names, cost: { rows, maskPool } }) =>
    rows.map((row, i) => ({ ...row, names, maskPool, isFirst: i === 0 })),
  );
}

const NAMES_SHOWN = 3;

function costTable(style: Style, costs: readonly Cost[]): string[] {
  const rows = costLines(costs);
  if (rows.length === 0) return ["  nothing that stays asks for a zone"];
  const named = ({ names, isFirst }: CostLine): string => {
    const more = names.length - NAMES_SHOWN;
    const shown = names.slice(0, NAMES_SHOWN).join(", ");
    return isFirst ? (more > 0 ? `${shown} and ${more} more` : shown) : "";
  };
  const lines = table(
    style,
    [
      { head: "on", align: "left", cell: named },
      { head: "below", align: "left", cell: ({ bits }) => formatBytes(2 ** bits) },
      { head: "places", align: "right", cell: ({ places }) => formatCount(places) },
      { head: "known bytes", align: "right", cell: ({ bytes }) => formatBytes(bytes) },
      { head: "computed sizes", align: "right", cell: ({ unknown }) => formatCount(unknown) },
      {
        head: "mask pool",
        align: "right",
        cell: ({ isFirst, maskPool }) => (isFirst ? maskPool : ""),
      },
    ],
    rows,
  );
  const note = "one request of each place; a size that is computed counts as a page in the pool";
  return [...lines, ...indented(style, [note]), ...poolCommand(style, costs)];
}

/** The next command: what a machine is like with such a pool. */
function poolCommand(style: Style, costs: readonly Cost[]): string[] {
  const chosen = costs.find(({ architecture }) => architecture === PLANNED) ?? costs[0];
  if (chosen === undefined || chosen.leastBytes === 0) return [];
  const { architecture, maskPool } = chosen;
  const where = architecture === null ? "" : ` of ${architecture}`;
  return [
    ...indented(style, [`A machine${where} with a pool in place of ZONE_DMA:`]),
    `    zonewright plan MACHINE --mask-pool ${maskPool}`,
  ];
}

function indented(style: Style, words: readonly string[]): string[] {
  return words.flatMap((one) => wrap(one, style.width - 4)).map((line) => `  ${line}`);
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
