/** Headers that C files include, as far as they can be found without a compiler's options. */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import type { SourceFile } from "./audit-files.ts";

/** A header's header's header: deeper ones are the kernel's own. */
const DEEPEST = 4;
const INCLUDE = /^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]+)>|"([^"\n]+)")/gm;
/** Below a kernel tree's root. */
const FOLDERS = ["include", "include/uapi", "arch/x86/include"];

/** Each once, named like audited files: from the root, or as they lie. */
export function includedBy(paths: readonly string[], root: string | null): SourceFile[] {
  const seen = new Map<string, SourceFile>();
  let level = [...paths];
  for (let depth = 0; depth < DEEPEST && level.length > 0; depth++) {
    const next: string[] = [];
    for (const path of level) {
      for (const found of includesOf(path, root)) {
        if (seen.has(found)) continue;
        const file = sourceAt(found, root);
        if (file === null) continue;
        seen.set(found, file);
        next.push(found);
      }
    }
    level = next;
  }
  return [...seen.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function includesOf(path: string, root: string | null): string[] {
  let text: string;
  try {
    text = readFileSync(path, "latin1");
  } catch {
    return [];
  }
  const system = root === null ? [] : FOLDERS.map((folder) => join(root, folder));
  return [...text.matchAll(INCLUDE)].flatMap(([, angled, quoted]) => {
    const name = angled ?? quoted ?? "";
    const folders = angled === undefined ? [dirname(path), ...system] : system;
    const found = folders
      .map((folder) => resolve(folder, name))
      .find((one) => statSync(one, { throwIfNoEntry: false })?.isFile() === true);
    return found === undefined ? [] : [found];
  });
}

function sourceAt(path: string, root: string | null): SourceFile | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  const { size, mtimeMs, ctimeMs, ino } = stat;
  const stamp = `${size} ${mtimeMs} ${ctimeMs} ${ino}`;
  const real = realpathSync(path);
  const name = root === null ? path : relative(root, real).split(sep).join("/");
  return { name, path, size, stamp, changed: Math.max(mtimeMs, ctimeMs) };
}
