/**
 * How much the tests would notice: puts faults into sources one at a time, runs the tests on each,
 * and names the faults that slipped through.
 *
 *   node scripts/mutate.ts --seed N [--count 40] [--under src/mm] [--tests 'test/mm/**,…']
 *                          [--rest 'test/**'] [--jobs 2] [--patience SECONDS] [--root DIR] [--list]
 *
 * A fault is caught when its project no longer compiles, or a test fails or hangs: those of --tests
 * are tried first, those of --rest only when none of them fails. Of both, those that load the file.
 * --under, --tests and --rest take several, with commas. Everything happens in private copies of
 * the tree. Exit code 1 when less than 90 % are caught, 2 when --tests fail without a fault.
 */
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { draw, type Equivalent, linesOf } from "./mutate/draw.ts";
import { Judge, type Judgement } from "./mutate/judge.ts";
import { type Mutation, mutated, mutationsIn } from "./mutate/operators.ts";
import { isEquivalentByRule } from "./mutate/rules.ts";
import { testFiles, Workplace } from "./mutate/workplace.ts";

const SHARE_WANTED = 0.9;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "40" },
    under: { type: "string", default: "src/mm" },
    tests: { type: "string", default: "test/mm/**,test/contract/**,test/replay/**" },
    rest: { type: "string", default: "test/**" },
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
    if (isEquivalentByRule(sourceOf(mutation), mutation)) return true;
    const { from, to } = linesOf(sourceOf(mutation), mutation);
    return known.some((one) => one.file === mutation.file && one.from === from && one.to === to);
  },
);
if (values.list) for (const mutation of drawn) process.stdout.write(described(mutation));
else process.exitCode = await judgeAll(drawn);

/** Tries every fault and prints the survivors and the share caught; the exit code. */
async function judgeAll(mutations: readonly Mutation[]): Promise<number> {
  const tests = testFiles(root, values.tests.split(","));
  const rest = testFiles(root, values.rest.split(","));
  const judge = new Judge(root, tests, rest, Number(values.patience));
  const jobs = Math.max(1, Math.min(Number(values.jobs), mutations.length));
  const places = Array.from({ length: jobs }, () => new Workplace(root, Number(values.seed)));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      for (const place of places) place.remove();
      process.exit(2);
    });
  }
  try {
    if (mutations.length === 0 || tests.length === 0) {
      const why = tests.length === 0 ? "no tests" : "nothing to change";
      process.stderr.write(`${why}: --under ${values.under} --tests '${values.tests}'\n`);
      return 2;
    }
    const broken = await judge.firstBroken(places);
    if (broken !== null) {
      process.stderr.write(`${broken} fails without a fault\n`);
      return 2;
    }
    return report(mutations, await judgements(mutations, judge, places));
  } finally {
    for (const place of places) place.remove();
  }
}

async function judgements(
  mutations: readonly Mutation[],
  judge: Judge,
  places: readonly Workplace[],
): Promise<Map<Mutation, Judgement>> {
  const found = new Map<Mutation, Judgement>();
  const waiting = [...mutations];
  const work = async (place: Workplace): Promise<void> => {
    for (let mutation = waiting.shift(); mutation !== undefined; mutation = waiting.shift()) {
      const sound = sourceOf(mutation);
      found.set(mutation, await judge.judge(mutation, place, sound, mutated(sound, mutation)));
      if (process.stderr.isTTY) process.stderr.write(`\r${waiting.length} left `);
    }
  };
  await Promise.all(places.map(work));
  if (process.stderr.isTTY) process.stderr.write("\r");
  return found;
}

function report(mutations: readonly Mutation[], found: ReadonlyMap<Mutation, Judgement>): number {
  const by = (who: Judgement): Mutation[] => mutations.filter((own) => found.get(own) === who);
  const survivors = by("nobody");
  for (const mutation of survivors) process.stdout.write(described(mutation));
  const caught = mutations.length - survivors.length;
  const share = caught / mutations.length;
  const who = (["types", "tests", "other tests"] as const)
    .map((name) => `${name} ${by(name).length}`)
    .join(", ");
  process.stdout.write(
    `${caught} of ${mutations.length} caught (${Math.floor(share * 100)} %: ${who}), seed ${values.seed}, under ${values.under}\n`,
  );
  return share >= SHARE_WANTED ? 0 : 1;
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
