/** The audit as Markdown, for an issue or a mail. */
import { isFinding } from "./finding.ts";
import { countBy, countFolders } from "./summary.ts";
import { isRequest, type Use } from "./use.ts";

export function markdownOf(uses: readonly Use[], files: number): string {
  const requests = uses.filter(isRequest);
  const verdicts = countBy(requests, ({ verdict }) => verdict);
  const findings = requests.filter(isFinding);
  return [
    "# Users of low memory and of narrow DMA masks",
    "",
    `${requests.length} uses in ${files} files; ${findings.length} to do something about.`,
    "",
    "| verdict | uses |",
    "| --- | ---: |",
    ...verdicts.map(({ name, count }) => `| ${cell(name)} | ${count} |`),
    "",
    "## By folder",
    "",
    "| folder | uses | to do |",
    "| --- | ---: | ---: |",
    ...countFolders(requests).map(({ folder, count }) => {
      const open = findings.filter(({ file }) =>
        file.startsWith(folder === "." ? "" : `${folder}/`),
      );
      return `| ${cell(folder)} | ${count} | ${open.length} |`;
    }),
    "",
    "## To do",
    "",
    "| where | what | verdict | why | instead |",
    "| --- | --- | --- | --- | --- |",
    ...findings.map(
      ({ file, line, flag, allocator, verdict, why, fix }) =>
        `| ${cell(`${file}:${line}`)} | ${cell(`${flag}${allocator === null ? "" : ` in ${allocator}()`}`)} | ${cell(verdict)} | ${cell(why)} | ${cell(fix)} |`,
    ),
    "",
  ].join("\n");
}

function cell(text: string): string {
  return text
    .replace(/\\/g, "\\\\")
    .replace(/\|/g, "\\|")
    .replace(/[\r\n]+/g, " ")
    .replace(/</g, "&lt;");
}
