/**
 * Writes the table of captures in docs/corpus.md, between its two marks, from every capture's own
 * meta.json:
 *
 *   node scripts/corpus-table.ts            writes it
 *   node scripts/corpus-table.ts --check    fails when it would change
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import { readTar } from "../src/io/tar.ts";

const BEGIN = "<!-- table: scripts/corpus-table.ts -->";
const END = "<!-- end of table -->";
/** Parameters that every capture has, for its log; they say nothing about one. */
const COMMON =
  /^(console=.*|printk\.time=1|ignore_loglevel|log_buf_len=1M|panic=-1|oops=panic|memblock=debug)$/;

const Origin = z.looseObject({
  kernel: z.string(),
  memory: z.string(),
  smp: z.string(),
  cmdline: z.string(),
  numa: z.string().optional(),
  note: z.string().optional(),
});

const layouts = new URL("../corpus/layouts/", import.meta.url);
const page = new URL("../docs/corpus.md", import.meta.url);

/** The table as Markdown, one row a capture, sorted by name. */
function corpusTable(): string {
  const rows = readdirSync(layouts)
    .filter((file) => file.endsWith(".tar.gz"))
    .sort()
    .map((file) => rowOf(file.slice(0, -".tar.gz".length), readFileSync(new URL(file, layouts))));
  const head = ["capture", "kernel", "memory", "cpus", "command line"];
  return [head, head.map(() => "---"), ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}

function rowOf(name: string, archive: Uint8Array): string[] {
  const meta = readTar(gunzipSync(archive)).value.get("meta.json");
  const origin = Origin.parse(JSON.parse(new TextDecoder().decode(meta)));
  const own = origin.cmdline
    .split(/\s+/)
    .filter((word) => word !== "" && !COMMON.test(word))
    .map((word) => word.replace(/^(trace_event=).*/, "$1…"));
  const nodes = origin.numa === undefined || origin.numa === "single node" ? [] : [origin.numa];
  const memory = [origin.memory, ...nodes].join("; ");
  return [name, origin.kernel, memory, origin.smp, own.join(" ")].map((cell) =>
    cell.replaceAll("|", "\\|"),
  );
}

function main(check: boolean): number {
  const text = readFileSync(page, "utf8");
  const [before, rest] = text.split(BEGIN);
  const [, after] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined) {
    console.error(`docs/corpus.md lacks its marks ${BEGIN} and ${END}`);
    return 2;
  }
  const fresh = `${before}${BEGIN}\n\n${corpusTable()}\n\n${END}${after}`;
  if (check && fresh !== text) {
    console.error("docs/corpus.md is behind the corpus: run node scripts/corpus-table.ts");
    return 1;
  }
  if (!check) writeFileSync(page, fresh);
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = main(process.argv.includes("--check"));
}
