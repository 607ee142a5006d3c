/**
 * How much the tests would notice: puts faults into sources one at a time, runs the tests on each,
 * and names the faults that slipped through.
 *
 *   node scripts/mutate.ts --seed N [--count 40] [--under src/mm] [--tests 'test/mm/**']
 *                          [--jobs 2] [--patience SECONDS] [--root DIR] [--list]
 *
 * --under and --tests take several, with commas. Everything happens in private copies of the tree.
 * Exit code 1 when less than 90 % are caught, 2 when the tests fail without a fault.
 */
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { draw, type Equivalent, linesOf } from "./mutate/draw.ts";
import { type Mutation, mutated, mutationsIn } from "./mutate/operators.ts";
import { testFiles, Workplace } from "./mutate/workplace.ts";

const SHARE_WANTED = 0.9;
/** Times that a fault may take longer than the tests do without one, on top of --patience. */
const SLOWER = 4;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "40" },
    under: { type: "string", default: "src/mm" },
    tests: { type: "string", default: "test/mm/**" },
    jobs: { type: "string", default: "2" },
    patience: { type: "string", default: "10" },
    root: { type: "string", default: fileURLToPath(new URL("..", import.meta.url)) },
    list: { type: "boolean", default: false },
  },
});

const root = values.root;
const sources = new Map<string, string>();
const folders = values.under.split(",");
const patterns = folders.map((under) => (under.endsWith(".ts") ? under : `${under}/**/*.ts`));
for (const path of globSync(patterns, { cwd: root }).sort()) {
  sources.set(path.replaceAll("\\", "/"), readFileSync(join(root, path), "utf8"));
}
const sourceOf = (mutation: Mutation): string => sources.get(mutation.file) ?? "";

for (const name of ["seed", "count", "jobs", "patience"] as const) {
  if (/^\d{1,9}$/.test(values[name])) continue;
  process.stderr.write(`--${name} takes a whole number, not ${values[name]}\n`);
  process.exit(2);
}

const known = equivalents();
const drawn = draw(
  [...sources].flatMap(([file, source]) => mutationsIn(file, source)),
  Number(values.seed),
  Number(values.count),
  (mutation) => {
    const { from, to } = linesOf(sourceOf(mutation), mutation);
    return known.some((one) => one.file === mutation.file && one.from === from && one.to === to);
  },
);
if (values.list) for (const mutation of drawn) process.stdout.write(described(mutation));
else process.exitCode = await judge(drawn, testFiles(root, values.tests.split(",")));

/** Tries every fault and prints the survivors and the share caught; the exit code. */
async function judge(mutations: readonly Mutation[], tests: readonly string[]): Promise<number> {
  const jobs = Math.min(Number(values.jobs), mutations.length);
  const places = Array.from({ length: Math.max(1, jobs) }, () => new Workplace(root));
  try {
    const started = performance.now();
    const [first] = places;
    const verdict = tests.length > 0 && (await first?.test(tests, null, 600_000));
    if (verdict !== "passed" || mutations.length === 0) {
      const why = mutations.length === 0 ? "nothing to change" : "the tests fail without a fault";
      process.stderr.write(`${why}: --under ${values.under} --tests '${values.tests}'\n`);
      return 2;
    }
    const limitMs = (performance.now() - started) * SLOWER + Number(values.patience) * 1000;
    const survivors = await survivorsOf(mutations, tests, places, limitMs);
    for (const mutation of mutations) {
      if (survivors.has(mutation)) process.stdout.write(described(mutation));
    }
    const caught = mutations.length - survivors.size;
    const share = caught / mutations.length;
    process.stdout.write(
      `${caught} of ${mutations.length} caught (${Math.floor(share * 100)} %), seed ${values.seed}, under ${values.under}\n`,
    );
    return share >= SHARE_WANTED ? 0 : 1;
  } finally {
    for (const place of places) place.remove();
  }
}

async function survivorsOf(
  mutations: readonly Mutation[],
  tests: readonly string[],
  places: readonly Workplace[],
  limitMs: number,
): Promise<Set<Mutation>> {
  const survivors = new Set<Mutation>();
  const waiting = [...mutations];
  const work = async (place: Workplace): Promise<void> => {
    for (let mutation = waiting.shift(); mutation !== undefined; mutation = waiting.shift()) {
      place.write(mutation.file, mutated(sourceOf(mutation), mutation));
      const verdict = await place.test(tests, mutation.file, limitMs);
      place.write(mutation.file, sourceOf(mutation));
      if (verdict === "passed") survivors.add(mutation);
      if (process.stderr.isTTY) process.stderr.write(`\r${waiting.length} left `);
    }
  };
  await Promise.all(places.map(work));
  if (process.stderr.isTTY) process.stderr.write("\r");
  return survivors;
}

function described(mutation: Mutation): string {
  const { from, to } = linesOf(sourceOf(mutation), mutation);
  return `${mutation.file}:${mutation.line} ${mutation.operator}\n- ${from}\n+ ${to}\n`;
}

function equivalents(): Equivalent[] {
  const path = join(root, "scripts/mutate/equivalent.json");
  if (!existsSync(path)) return [];
  const rows: unknown = JSON.parse(readFileSync(path, "utf8"));
  if (!Array.isArray(rows) || !rows.every(isEquivalentRow)) {
    throw new Error(`${path}: every row needs file, from, to and reason`);
  }
  return rows;
}

function isEquivalentRow(row: unknown): row is Equivalent {
  if (typeof row !== "object" || row === null) return false;
  const fields = new Map(Object.entries(row));
  return ["file", "from", "to", "reason"].every((name) => typeof fields.get(name) === "string");
}
