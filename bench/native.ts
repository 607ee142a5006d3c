/**
 * The C twins: compiled where there is a compiler, for the machine that runs them.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const TWINS = ["null", "plain", "same"] as const;
export type Twin = (typeof TWINS)[number];

const sources = fileURLToPath(new URL("native", import.meta.url));
const built = fileURLToPath(new URL("../node_modules/.cache/zonewright/bench", import.meta.url));

/** Name of a C compiler that runs: $CC, or the first of the usual ones. */
export function findCompiler(): string | null {
  const names = [process.env.CC, "clang", "cc", "gcc"];
  const runs = (name: string): boolean =>
    spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0;
  return names.find((name) => name !== undefined && name !== "" && runs(name)) ?? null;
}

/**
 * Path of the compiled twin. `mode` "check" looks at each block instead of being fast.
 * Throws with what the compiler said.
 */
export function compileTwin(compiler: string, twin: Twin, mode: "fast" | "check"): string {
  mkdirSync(built, { recursive: true });
  const program = join(built, mode === "fast" ? twin : `${twin}-check`);
  const options = mode === "fast" ? ["-O2", "-march=native", "-DNDEBUG"] : ["-O1", "-DCHECK"];
  // Two runs may compile at once: each to its own file, then in place whole.
  const part = `${program}.${process.pid}`;
  const args = ["-std=gnu11", "-Wall", "-Wextra", ...options, "-o", part];
  const { status, stderr } = spawnSync(compiler, [...args, join(sources, `${twin}.c`)], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${compiler} refuses ${twin}.c: ${stderr}`);
  renameSync(part, program);
  return program;
}
