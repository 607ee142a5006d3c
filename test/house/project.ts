// What the house tests share: the repository's root, its tracked files, its TypeScript projects.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

const TsConfig = z.object({
  compilerOptions: z.looseObject({
    types: z.array(z.string()).optional(),
    lib: z.array(z.string()).optional(),
  }),
  references: z.array(z.object({ path: z.string() })),
});

/** A layer's tsconfig.json: the layers it references, the ambient types it asks for. */
export function layerConfig(layer: string): {
  references: string[];
  types: string[];
  lib: string[];
} {
  const text = readFileSync(join(ROOT, "src", layer, "tsconfig.json"), "utf8");
  const { references, compilerOptions } = TsConfig.parse(JSON.parse(text));
  return {
    references: references.map(({ path }) => path.replace(/^\.\.\//, "")),
    types: compilerOptions.types ?? [],
    lib: compilerOptions.lib ?? [],
  };
}

/** Standard output of a program run in the repository; throws with what it said when it fails. */
export function outputOf(program: string, args: readonly string[]): string {
  const { status, stdout, stderr } = run(program, args);
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} exits with ${status}: ${stderr}`);
  return stdout;
}

/** Runs a program in the repository to its end. */
export function run(
  program: string,
  args: readonly string[],
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(program, args, { cwd: ROOT, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
}

/** Paths of all files under version control; in a copy without history, of all that would be. */
export function trackedFiles(): string[] {
  if (existsSync(join(ROOT, ".git"))) {
    return outputOf("git", ["ls-files", "-z"])
      .split("\0")
      .filter((path) => path !== "");
  }
  return readdirSync(ROOT, { recursive: true, encoding: "utf8" }).filter(
    (path) => !/^(node_modules|dist)\b/.test(path),
  );
}
