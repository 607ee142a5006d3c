/**
 * A private copy of the repository to break things in: src/, test/ and what tests may import are
 * copied, all else is linked. Nothing is ever changed in the repository itself.
 */
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  globSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
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

const TYPES_LIMIT_MS = 120_000;

/** Loaded before each test: the same programs each time, and no search for a smaller one that fails. */
const failFast = (seed: number): string => `
try {
  const { default: fc } = await import("fast-check");
  fc.configureGlobal({ endOnFailure: true, seed: ${seed} });
} catch {}
`;

export type Verdict = "passed" | "failed" | "hung";

export class Workplace {
  readonly root: string;
  /** Of what runs here now. */
  #pid: number | undefined;

  constructor(repository: string, seed: number) {
    this.root = mkdtempSync(join(tmpdir(), "zonewright-mutate-"));
    for (const name of readdirSync(repository)) {
      const from = join(repository, name);
      if (LEFT_OUT.includes(name)) continue;
      if (COPIED.includes(name)) cpSync(from, join(this.root, name), { recursive: true });
      else symlinkSync(from, join(this.root, name));
    }
    this.write("fail-fast.mjs", failFast(seed));
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.root, file), text);
  }

  /** Ends what runs here, too. */
  remove(): void {
    if (this.#pid !== undefined) killGroup(this.#pid);
    rmSync(this.root, { recursive: true, force: true });
  }

  /** Whether the project that `file` belongs to compiles; no project compiles too. */
  async compiles(file: string): Promise<boolean> {
    let project = dirname(file);
    while (project !== "." && !existsSync(join(this.root, project, "tsconfig.json"))) {
      project = dirname(project);
    }
    if (project === ".") return true;
    const tsc = join(this.root, "node_modules/typescript/bin/tsc");
    return (await this.#run([tsc, "-b", project], TYPES_LIMIT_MS)) !== "failed";
  }

  /** Runs one test file up to its first failure. "hung" when that takes longer than `limitMs`. */
  test(file: string, limitMs: number): Promise<Verdict> {
    const options = ["--test-force-exit", "--test-reporter=tap", "--import", "./fail-fast.mjs"];
    return this.#run([...options, file], limitMs);
  }

  #run(args: readonly string[], limitMs: number): Promise<Verdict> {
    const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...env } = process.env;
    const child = spawn(process.execPath, args, {
      cwd: this.root,
      env,
      detached: true, // a group of its own, so that what it starts ends with it
      stdio: ["ignore", "pipe", "ignore"],
    });
    this.#pid = child.pid;
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
        this.#pid = undefined;
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
