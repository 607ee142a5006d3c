// Which function of ours follows which function of Linux: made from the "Linux:" lines that end doc
// comments. Writes docs/linux-map.md; with --check writes nothing and fails when it is out of date.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = new URL("..", import.meta.url);
const PAGE = new URL("docs/linux-map.md", ROOT);

interface Entry {
  /** Path below src/. */
  readonly file: string;
  /** Name declared after the comment; "" for the file as a whole. */
  readonly name: string;
  /** The words after "Linux:". */
  readonly linux: string;
}

/** Every "Linux:" line of a source text. */
export function entriesOf(file: string, source: string): Entry[] {
  const entries: Entry[] = [];
  for (const match of source.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*?)\*\/\s*\n([^\n]*)/g)) {
    const [, comment = "", next = ""] = match;
    const text = comment.replace(/\s*\n\s*\*? ?/g, " ").trim();
    const linux = /\bLinux: (.+)$/.exec(text)?.[1];
    if (linux === undefined) continue;
    const name = /(?:function|const|class|interface|type)\s+(\w+)/.exec(next)?.[1] ?? "";
    entries.push({ file, name: /^import|^export \*/.test(next) ? "" : name, linux });
  }
  return entries;
}

export function linuxMap(): string {
  const src = fileURLToPath(new URL("src/", ROOT));
  const files = readdirSync(src, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".ts"))
    .sort();
  const entries = files.flatMap((file) => entriesOf(file, readFileSync(`${src}${file}`, "utf8")));
  const rows = entries.map(({ file, name, linux }) => {
    const what = name === "" ? "the file" : `\`${name}\``;
    return `| [${file}](../src/${file}) | ${what} | ${linux.replaceAll("|", "\\|")} |`;
  });
  return [
    "# What follows what in Linux",
    "",
    'Made by `node scripts/linux-map.ts` from the "Linux:" lines of doc comments. Rules are taken from',
    "there as facts and written in our own words and code.",
    "",
    "| here | | in Linux |",
    "| --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const page = linuxMap();
  if (!process.argv.includes("--check")) writeFileSync(PAGE, page);
  else if (readFileSync(PAGE, "utf8") !== page) {
    process.stderr.write("docs/linux-map.md is out of date: run node scripts/linux-map.ts\n");
    process.exitCode = 1;
  }
}
