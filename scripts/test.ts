/**
 * Everything that must hold before a change goes in, one line a stage:
 *
 *   node scripts/test.ts            what `npm test` and CI run
 *   node scripts/test.ts --check    the stages without the tests
 *
 * All stages run even when one fails. What a stage printed is shown only if it failed, and kept in
 * node_modules/.cache/zonewright/STAGE.log.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

interface Stage {
  readonly name: string;
  /** Arguments of the Node that runs this. */
  readonly args: readonly string[];
  readonly isTest?: boolean;
}

const TEST_TIMEOUT_MS = 180_000; // one test; a hang must not hold CI for hours

const root = fileURLToPath(new URL("..", import.meta.url));
const logs = join(root, "node_modules/.cache/zonewright");
const tool = (path: string): string => join(root, "node_modules", path);

const STAGES: readonly Stage[] = [
  { name: "prune", args: ["scripts/build.mjs", "--prune"] },
  { name: "types", args: [tool("typescript/bin/tsc"), "-b"] },
  { name: "bundle", args: ["scripts/build.mjs", "--bundle"] },
  {
    name: "format and lint",
    args: [tool("@biomejs/biome/bin/biome"), "check", "--error-on-warnings"],
  },
  { name: "dead code", args: [tool("knip/bin/knip.js"), "--no-progress"] },
  { name: "ratchet", args: ["scripts/tidy.ts"] },
  { name: "package", args: [tool("publint/src/cli.js"), "--strict"] },
  {
    name: "tests",
    isTest: true,
    args: [
      "--test",
      `--test-concurrency=${availableParallelism()}`,
      `--test-timeout=${TEST_TIMEOUT_MS}`,
      "--test-reporter=spec",
      "test/**/*.test.ts",
    ],
  },
];

function runStage(stage: Stage): boolean {
  const started = performance.now();
  process.stdout.write(`${stage.name.padEnd(16)} `);
  const log = join(logs, `${stage.name.replaceAll(" ", "-")}.log`);
  const out = openSync(log, "w");
  const { status } = spawnSync(process.execPath, stage.args, {
    cwd: root,
    stdio: ["ignore", out, out],
  });
  closeSync(out);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${status === 0 ? "ok" : "FAILED"} ${seconds} s\n`);
  const text = readFileSync(log, "utf8");
  if (stage.isTest === true) process.stdout.write(closingOf(text, status === 0));
  else if (status !== 0) process.stdout.write(`${text.trimEnd()}\n`);
  return status === 0;
}

/** The runner's totals, and before them the failures, or all it said where it did not get that far. */
function closingOf(log: string, passed: boolean): string {
  const totals = log.lastIndexOf("\nℹ tests ");
  const failures = log.lastIndexOf("\n✖ failing tests:");
  if (totals === -1) return log;
  const what = passed || failures === -1 ? "" : log.slice(failures + 1);
  return what + log.slice(totals + 1, failures === -1 ? undefined : failures);
}

mkdirSync(logs, { recursive: true });
const stages = STAGES.filter((stage) => !(process.argv.includes("--check") && stage.isTest));
const failed = stages.filter((stage) => !runStage(stage)).map((stage) => stage.name);
if (failed.length > 0) {
  process.stdout.write(`failed: ${failed.join(", ")}\n`);
  process.exitCode = 1;
}
