// The rules of `zonewright explain` as a page: made from the rules themselves. Writes the tables of
// docs/explain.md; with --check writes nothing and fails when they are out of date.
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { MEMORY_RULES, MESSAGE_RULES } from "../src/explain/index.ts";

const PAGE = new URL("../docs/explain.md", import.meta.url);
const START = "<!-- rules -->";

interface Rule {
  readonly name: string;
  readonly decides: string;
  readonly linux: string;
}

/** The page with its tables as the rules are now; what stands above them is kept. */
export function explainPage(): string {
  const page = readFileSync(PAGE, "utf8");
  const head = page.slice(0, page.indexOf(START) + START.length);
  const parts = [
    head,
    "## Reports of the page allocator and of the OOM killer",
    "Asked in this order; the first that has something to say is believed.",
    tableOf(MEMORY_RULES),
    "## Sentences of the DMA layer",
    tableOf(MESSAGE_RULES),
  ];
  return `${parts.join("\n\n")}\n`;
}

function tableOf(rules: readonly Rule[]): string {
  const rows = rules.map(({ name, decides, linux }) => `| \`${name}\` | ${decides} | ${linux} |`);
  return ["| rule | what decides | in Linux |", "| --- | --- | --- |", ...rows].join("\n");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const page = explainPage();
  if (!process.argv.includes("--check")) writeFileSync(PAGE, page);
  else if (readFileSync(PAGE, "utf8") !== page) {
    console.error("docs/explain.md is out of date: run node scripts/explain-rules.ts");
    process.exitCode = 1;
  }
}
