/** The C files below folders, with the sign by which a change is noticed; and the tree they are of. */
import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import process from "node:process";
import { InputError } from "./bytes.ts";

export interface SourceFile {
  /** As reported: from the tree's root where there is one, else as given. */
  readonly name: string;
  readonly path: string;
  readonly size: number;
  /** Size and times: an unchanged file has the same. */
  readonly stamp: string;
  /** Newest of its times, in ms. */
  readonly changed: number;
}

const C_FILE = /\.[ch]$/;
/** A kernel tree's root has all of these. */
const ROOT_FILES = ["Kconfig", "Makefile", "arch", "include"];
const DEEPEST = 64;

/** Folders and files as given; sorted by name. Throws an `InputError` for one that is not there. */
export function listSources(given: readonly string[], root: string | null): SourceFile[] {
  const found = new Map<string, SourceFile>();
  for (const one of given) {
    const path = resolve(one);
    if (!existsSync(path)) {
      throw new InputError(`${one}: no such file or folder`, "give a folder of C sources");
    }
    const name = root === null ? one.replace(/[/\\]+$/, "") : relative(root, realpathSync(path));
    collect(path, name.split(sep).join("/"), found, 0, true);
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function collect(
  path: string,
  name: string,
  found: Map<string, SourceFile>,
  depth: number,
  isGiven: boolean,
): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || depth > DEEPEST) return;
  if (stat.isFile()) {
    if (!isGiven && !C_FILE.test(name)) return;
    const { size, mtimeMs, ctimeMs, ino } = stat;
    const stamp = `${size} ${mtimeMs} ${ctimeMs} ${ino}`;
    found.set(path, { name, path, size, stamp, changed: Math.max(mtimeMs, ctimeMs) });
  }
  if (!stat.isDirectory()) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    // A link may lead back up: what it leads to is audited where it lies.
    if (entry.isSymbolicLink() || entry.name.startsWith(".")) continue;
    if (!entry.isDirectory() && !C_FILE.test(entry.name)) continue;
    const below = name === "" ? entry.name : `${name}/${entry.name}`;
    collect(join(path, entry.name), below, found, depth + 1, false);
  }
}

/** The kernel tree that a path is in; null where it is in none. */
export function treeRoot(given: readonly string[]): string | null {
  const [first] = given;
  if (first === undefined || !existsSync(resolve(first))) return null;
  let folder = realpathSync(resolve(first));
  let partial: string | null = null;
  for (;;) {
    if (ROOT_FILES.every((name) => existsSync(join(folder, name)))) break;
    if (existsSync(join(folder, "Kconfig"))) partial = folder;
    const above = dirname(folder);
    if (above === folder) return partial === null ? null : sharedBy(partial, given);
    folder = above;
  }
  return sharedBy(folder, given);
}

/** One root for all that was given, or none. */
function sharedBy(root: string, given: readonly string[]): string | null {
  const isBelow = (path: string): boolean => {
    const real = existsSync(resolve(path)) ? realpathSync(resolve(path)) : resolve(path);
    return real === root || real.startsWith(root + sep);
  };
  return given.every(isBelow) ? root : null;
}

/** Where caches go: XDG Base Directory Specification; null where nobody has a home. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string | null {
  const base = env["XDG_CACHE_HOME"] ?? "";
  if (base.startsWith("/")) return join(base, "zonewright/audit");
  const home = env["HOME"] ?? env["USERPROFILE"] ?? "";
  return home === "" ? null : join(home, ".cache/zonewright/audit");
}
