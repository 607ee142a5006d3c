/**
 * Numbers of src/ that may only fall: `any`, casts, non-null assertions, TODOs, long files, long
 * functions. Each is compared with the one recorded in scripts/tidy.json.
 *
 *   node scripts/tidy.ts            fails where a number rose
 *   node scripts/tidy.ts --report   says where each one counted is, and how long files are
 *   node scripts/tidy.ts --record   records the numbers of now; refuses a higher one,
 *                                   unless --raise says that it is meant
 *   node scripts/tidy.ts --write    formats and sorts imports everywhere, then compares
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseAst } from "rolldown/parseAst";

const FILE_LINES = 350; // about 250 is the habit; past this a header has to say why
const FUNCTION_LINES = 70; // what fits a screen

const RULES = ["any", "casts", "nonNull", "todo", "longFiles", "longFunctions"] as const;
type Rule = (typeof RULES)[number];
/** Where a rule was met: file, line, what. */
interface Hit {
  readonly rule: Rule;
  readonly file: string;
  readonly line: number;
  readonly what: string;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const recordFile = join(root, "scripts/tidy.json");

/** All hits in one TypeScript source. */
export function hitsIn(file: string, source: string): Hit[] {
  const hits: Hit[] = [];
  const lineAt = lineFinder(source);
  const hit = (rule: Rule, at: number, what: string): void => {
    hits.push({ rule, file, line: lineAt(at), what });
  };
  const lines = lineCount(source);
  if (lines > FILE_LINES) hit("longFiles", 0, `${lines} lines`);
  for (const match of source.matchAll(/\b(TODO|FIXME|XXX)\b/g)) hit("todo", match.index, match[0]);
  visit(parseAst(source, { lang: "ts" }, file), (node) => {
    const { start, end } = node;
    switch (node.type) {
      case "TSAnyKeyword":
        return hit("any", start, "any");
      case "TSNonNullExpression":
        return hit("nonNull", end - 1, "!");
      case "TSAsExpression":
      case "TSTypeAssertion":
        if (!isAsConst(node)) hit("casts", start, source.slice(start, end).split("\n", 1).join());
        return;
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "ArrowFunctionExpression": {
        const length = lineAt(end - 1) - lineAt(start) + 1;
        if (length > FUNCTION_LINES) hit("longFunctions", start, `${length} lines`);
      }
    }
  });
  return hits;
}

interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

function visit(value: unknown, see: (node: SyntaxNode) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, see);
  } else if (typeof value === "object" && value !== null) {
    if (isNode(value)) see(value);
    for (const item of Object.values(value)) visit(item, see);
  }
}

function isNode(value: object): value is SyntaxNode {
  return "type" in value && "start" in value && "end" in value;
}

function isAsConst({ typeAnnotation: type }: SyntaxNode): boolean {
  if (typeof type !== "object" || type === null || !("typeName" in type)) return false;
  const name = type.typeName;
  return typeof name === "object" && name !== null && "name" in name && name.name === "const";
}

function lineFinder(source: string): (at: number) => number {
  const starts = [0];
  for (let at = source.indexOf("\n"); at !== -1; at = source.indexOf("\n", at + 1)) {
    starts.push(at + 1);
  }
  return (at) => {
    const after = starts.findIndex((start) => start > at);
    return after === -1 ? starts.length : after;
  };
}

function lineCount(source: string): number {
  return source.split("\n").length - 1;
}

function sources(): { file: string; source: string }[] {
  return readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .sort()
    .map((file) => ({
      file: `src/${file}`,
      source: readFileSync(join(root, "src", file), "utf8"),
    }));
}

function counts(hits: readonly Hit[]): Map<Rule, number> {
  return new Map(RULES.map((rule) => [rule, hits.filter((hit) => hit.rule === rule).length]));
}

function recorded(): Map<string, number> {
  const text: unknown = JSON.parse(readFileSync(recordFile, "utf8"));
  const numbers = new Map<string, number>();
  for (const [rule, value] of Object.entries(text ?? {})) {
    if (typeof value === "number") numbers.set(rule, value);
  }
  return numbers;
}

function report(hits: readonly Hit[]): void {
  for (const { rule, file, line, what } of hits) console.log(`${file}:${line}: ${rule}: ${what}`);
  const lengths = sources()
    .map(({ source }) => lineCount(source))
    .sort((a, b) => a - b);
  const at = (share: number): number => lengths[Math.floor(lengths.length * share)] ?? 0;
  console.log(
    `${lengths.length} files: median ${at(0.5)} lines, p90 ${at(0.9)}, max ${at(1 - 1e-9)}`,
  );
}

function main(options: ReadonlySet<string>): number {
  if (options.has("--write")) {
    const biome = join(root, "node_modules/@biomejs/biome/bin/biome");
    const done = spawnSync(process.execPath, [biome, "check", "--write"], {
      cwd: root,
      stdio: "inherit",
    });
    if (done.status !== 0) return 1;
  }
  const hits = sources().flatMap(({ file, source }) => hitsIn(file, source));
  if (options.has("--report")) report(hits);
  const now = counts(hits);
  const before = recorded();
  const risen = RULES.filter((rule) => (now.get(rule) ?? 0) > (before.get(rule) ?? 0));
  for (const rule of RULES)
    console.log(`${rule} ${now.get(rule)} (recorded ${before.get(rule) ?? 0})`);
  if (options.has("--record") && (risen.length === 0 || options.has("--raise"))) {
    writeFileSync(recordFile, `${JSON.stringify(Object.fromEntries(now), null, 2)}\n`);
    return 0;
  }
  for (const hit of hits.filter(({ rule }) => risen.includes(rule))) {
    console.log(`${hit.file}:${hit.line}: ${hit.rule}: ${hit.what}`);
  }
  if (risen.length > 0) console.log(`rose: ${risen.join(", ")}; these numbers may only fall`);
  return risen.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = main(new Set(process.argv.slice(2)));
}
