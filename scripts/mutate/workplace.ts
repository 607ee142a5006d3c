/**
 * A private copy of the repository to break things in: src/, test/ and what tests may import are
 * copied, all else is linked. Nothing is ever changed in the repository itself.
 */
import { spawn } from "node:child_process";
import {
  cpSync,
  globSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";

/** Sources, which Node must find outside of links to run them in the copy. */
const COPIED = [
  "src",
  "test",
  "scripts",
  "bench",
  "package.json",
  "tsconfig.json",
  "tsconfig.base.json",
];
const LEFT_OUT = [".git", "dist"];

export type Verdict = "passed" | "failed" | "hung";

export class Workplace {
  readonly root: string;

  constructor(repository: string) {
    this.root = mkdtempSync(join(tmpdir(), "zonewright-mutate-"));
    for (const name of readdirSync(repository)) {
      const from = join(repository, name);
      if (LEFT_OUT.includes(name)) continue;
      if (COPIED.includes(name)) cpSync(from, join(this.root, name), { recursive: true });
      else symlinkSync(from, join(this.root, name));
    }
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.root, file), text);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  /**
   * Runs test files in two batches, those named after `file` first, and ends at the first failure.
   * "hung" when they take longer than `limitMs` together.
   */
  async test(tests: readonly string[], file: string | null, limitMs: number): Promise<Verdict> {
    const stem = file === null ? null : basename(file, ".ts");
    const isNamesake = (test: string): boolean => stem !== null && basename(test).startsWith(stem);
    const ends = performance.now() + limitMs;
    for (const batch of [tests.filter(isNamesake), tests.filter((test) => !isNamesake(test))]) {
      if (batch.length === 0) continue;
      const verdict = await this.#run(batch, Math.max(1, ends - performance.now()));
      if (verdict !== "passed") return verdict;
    }
    return "passed";
  }

  #run(tests: readonly string[], limitMs: number): Promise<Verdict> {
    const args = ["--test", "--test-concurrency=1", "--test-force-exit", "--test-reporter=tap"];
    const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...env } = process.env;
    const child = spawn(process.execPath, [...args, ...tests], {
      cwd: this.root,
      env,
      detached: true, // a group of its own, so that the files' processes end with it
      stdio: ["ignore", "pipe", "ignore"],
    });
    return new Promise((resolve) => {
      let verdict: Verdict | null = null;
      const end = (why: Verdict): void => {
        verdict ??= why;
        if (child.pid !== undefined) killGroup(child.pid);
      };
      const timer = setTimeout(() => end("hung"), limitMs);
      child.stdout.setEncoding("utf8");
      child.stdout.on("data", (text: string) => {
        if (/^\s*not ok /m.test(text)) end("failed");
      });
      child.on("error", () => end("failed"));
      child.on("close", (code) => {
        clearTimeout(timer);
        resolve(verdict ?? (code === 0 ? "passed" : "failed"));
      });
    });
  }
}

/** Test files below `root` that match any of `patterns`, sorted. */
export function testFiles(root: string, patterns: readonly string[]): string[] {
  const found = globSync([...patterns], { cwd: root }).map((path) => path.replaceAll("\\", "/"));
  return [...new Set(found)].filter((path) => path.endsWith(".test.ts")).sort();
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
