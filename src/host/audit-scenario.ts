/** Scenarios of an audit's fixes as a folder of TypeScript that Node runs as it is. */
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { scenarioOf } from "../audit/index.ts";
import type { AuditResult } from "./audit.ts";

/** The installed package, or the clone: two folders above this module or the bundle that it is in. */
const ROOT = new URL("../../", import.meta.url);
const RUNNER = "dropped-flag.ts";
/** As package.json exports them. */
const BUILT = { mm: "mm/allocator.js", dma: "dma/layer.js" } as const;

/**
 * Writes `folder`/all.ts and a module for each file that the patch changes; gives how many files
 * and how many flags. Throws what the file system throws.
 */
export function writeScenarios(
  folder: string,
  { uses }: AuditResult,
): { files: number; flags: number } {
  const fixed = uses.filter(({ removal }) => removal !== null);
  const files = [...new Set(fixed.map(({ file }) => file))].sort();
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, RUNNER), runnerFor(folder));
  const names = files.map(nameOf);
  for (const [i, file] of files.entries()) {
    const name = names[i] ?? "";
    const up = "../".repeat(name.split("/").length - 1) || "./";
    mkdirSync(join(folder, dirname(name)), { recursive: true });
    writeFileSync(join(folder, name), scenarioOf(file, uses, up + RUNNER));
  }
  const all = names.map((name) => `import ${JSON.stringify(`./${name}`)};\n`);
  const head =
    "// Runs each of them: a line that begins with FAIL, and exit code 1, where one fails.\n";
  writeFileSync(join(folder, "all.ts"), head + all.join(""));
  return { files: files.length, flags: fixed.length };
}

/** Below the folder as in the tree: drivers/x/y.c is drivers/x/y.c.ts. Never outside of it. */
function nameOf(file: string): string {
  const steps = file.split("/").filter((step) => step !== "" && step !== ".");
  return `${steps.map((step) => (step === ".." ? "up" : step)).join("/")}.ts`;
}

/** examples/dropped-flag.ts with imports that work from `folder`. */
function runnerFor(folder: string): string {
  const text = readFileSync(new URL(`examples/${RUNNER}`, ROOT), "utf8");
  return text.replace(
    /from "\.\.\/src\/(dma|mm)\/index\.ts"/g,
    (_, layer: "dma" | "mm") => `from ${JSON.stringify(moduleOf(folder, layer))}`,
  );
}

/** By the package's name where `folder` sees this package; else by where it lies. */
function moduleOf(folder: string, layer: keyof typeof BUILT): string {
  const name = `zonewright/${layer}`;
  const built = new URL(`dist/${BUILT[layer]}`, ROOT);
  try {
    const seen = createRequire(join(resolve(folder), "x.js")).resolve(name);
    if (realpathSync(seen) === realpathSync(built)) return name;
  } catch {
    // Not installed there, or not built.
  }
  return (existsSync(built) ? built : new URL(`src/${layer}/index.ts`, ROOT)).href;
}
