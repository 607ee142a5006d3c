/**
 * Which tests can see a fault: those whose imports lead to the file. A test that only starts
 * processes is not followed into them, so what it would see is not counted.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** Of an import or an export from elsewhere that is not of types alone, the path. */
const IMPORT =
  /^\s*(?:(?:import|export)\s(?!type\s)(?:[^"';]*?\sfrom\s*)?|.*\bimport\()["'](\.[^"']+)["']/gm;

export class Reach {
  readonly #root: string;
  /** What each file imports itself, by path below the root. */
  readonly #imports = new Map<string, readonly string[]>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Whether loading `from` loads `to`. */
  leads(from: string, to: string): boolean {
    const seen = new Set([from]);
    for (const file of seen) {
      if (file === to) return true;
      for (const next of this.#importsOf(file)) seen.add(next);
    }
    return false;
  }

  #importsOf(file: string): readonly string[] {
    let found = this.#imports.get(file);
    if (found === undefined) {
      const path = join(this.#root, file);
      const text = existsSync(path) ? readFileSync(path, "utf8") : "";
      found = [...text.matchAll(IMPORT)].map(([, to = ""]) =>
        relative(this.#root, join(dirname(path), to)).replaceAll("\\", "/"),
      );
      this.#imports.set(file, found);
    }
    return found;
  }
}
