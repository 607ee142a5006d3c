/**
 * The audit as Markdown, for an issue or a mail: a summary, then a section for each verdict that asks
 * for something, the most urgent first, in it the kinds with what to use instead, in those the places.
 * What is right as it is, is counted.
 */
import { isFinding } from "./finding.ts";
import type { Verdict } from "./judgement.ts";
import { countBy, countFolders } from "./summary.ts";
import { isRequest, type Use } from "./use.ts";

/** What a verdict means, in the order of the sections. */
const MEANINGS: Readonly<Record<Verdict, string>> = {
  bug: "asks for what cannot be",
  "replaceable (misuse)": "the flag is on a plain buffer that is mapped, or handed to a bus, later",
  "replaceable (no-op)": "the flag is taken out before anybody looks at it",
  replaceable: "the device's mask, or another interface, does what the flag is for",
  "legitimate purpose, wrong interface":
    "the hardware is limited, and an interface says so by device",
  dead: "no configuration builds it",
  review: "nothing near says what it is for",
  optimisation: "saves a copy; nothing depends on it",
  legitimate: "hardware, firmware or the kernel itself needs it, or it is the right interface",
  "n/a": "no use: a comment or a string",
};
const VERDICTS = Object.keys(MEANINGS);

export function markdownOf(uses: readonly Use[], files: number): string {
  const requests = uses.filter(isRequest);
  const findings = requests.filter(isFinding);
  const sections = byVerdict(findings);
  return [
    "# Users of low memory and of narrow DMA masks",
    "",
    `${requests.length} uses in ${files} files; ${findings.length} to do something about.`,
    "",
    ...summary(requests),
    "",
    "## By folder",
    "",
    ...folders(requests, findings),
    "",
    ...sections.flatMap(([verdict, own]) => section(verdict, own)),
  ].join("\n");
}

/** Verdicts with their uses, in the order of the sections. */
function byVerdict(uses: readonly Use[]): [string, Use[]][] {
  const found = VERDICTS.map((verdict): [string, Use[]] => {
    return [verdict, uses.filter((use) => use.verdict === verdict)];
  });
  return found.filter(([, own]) => own.length > 0);
}

function summary(requests: readonly Use[]): string[] {
  const rows = byVerdict(requests).map(([verdict, own]) => {
    const [first] = own;
    const hasSection = first !== undefined && isFinding(first);
    const name = hasSection ? `[${cell(verdict)}](#${anchorOf(verdict)})` : cell(verdict);
    const kinds = countBy(own, ({ category }) => category);
    const listed = kinds.map(({ name: kind, count }) => `${kind} ${count}`).join(", ");
    const meaning = MEANINGS[first?.verdict ?? "n/a"];
    return `| ${name} | ${own.length} | ${cell(meaning)} | ${cell(listed)} |`;
  });
  return ["| verdict | uses | means | kinds |", "| --- | ---: | --- | --- |", ...rows];
}

/** The name that a heading gets as a place to jump to. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replace(/ /g, "-");
}

function folders(requests: readonly Use[], findings: readonly Use[]): string[] {
  const open = new Map(countFolders(findings).map(({ folder, count }) => [folder, count]));
  const rows = countFolders(requests).map(
    ({ folder, count }) => `| ${cell(folder)} | ${count} | ${open.get(folder) ?? 0} |`,
  );
  return ["| folder | uses | to do |", "| --- | ---: | ---: |", ...rows];
}

function section(verdict: string, uses: readonly Use[]): string[] {
  const kinds = countBy(uses, ({ category }) => category);
  return [
    `## ${verdict}`,
    "",
    `${uses.length} uses: ${MEANINGS[uses[0]?.verdict ?? "n/a"]}.`,
    "",
    ...kinds.flatMap(({ name }) => {
      return kind(
        name,
        uses.filter(({ category }) => category === name),
      );
    }),
  ];
}

/** The places of one kind; what to use instead stands above them where it is the same for all. */
function kind(name: string, uses: readonly Use[]): string[] {
  const fixes = new Set(uses.map(({ fix }) => fix));
  const [only = ""] = fixes;
  const isOne = fixes.size === 1;
  const last = isOne ? "" : " instead |";
  return [
    `### ${name}`,
    "",
    ...(isOne && only !== "" ? [`Instead: ${cell(only)}`, ""] : []),
    `| where | what | why |${last}`,
    `| --- | --- | --- |${isOne ? "" : " --- |"}`,
    ...uses.map(({ file, line, flag, allocator, why, fix }) => {
      const what = allocator === null || allocator === flag ? flag : `${flag} in ${allocator}()`;
      const own = isOne ? "" : ` ${cell(fix)} |`;
      return `| ${cell(`${file}:${line}`)} | ${cell(what)} | ${cell(why)} |${own}`;
    }),
    "",
  ];
}

function cell(text: string): string {
  return text
    .replace(/\\/g, "\\\\")
    .replace(/\|/g, "\\|")
    .replace(/[\r\n]+/g, " ")
    .replace(/</g, "&lt;");
}
