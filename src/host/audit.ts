/** An audit of folders and files on disk: facts, what Kconfig says, uses with verdicts, patches. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  architecturesOf,
  auditFacts,
  type BuildOf,
  buildFacts,
  patchOf,
  type ReadText,
  type Use,
} from "../audit/index.ts";
import { cachePath, emptyCache, loadCache, saveCache } from "./audit-cache.ts";
import { cacheFolder, listSources, type SourceFile, treeRoot } from "./audit-files.ts";
import { factsOfTree } from "./audit-run.ts";
import { InputError } from "./bytes.ts";

export interface AuditOptions {
  readonly useCache: boolean;
  /** A kernel's .config; null: every configuration counts. */
  readonly config: string | null;
  readonly progress: (done: number, all: number) => void;
  /** The clock that files are stamped by, in ms; the machine's own where it is not given. */
  readonly now?: number;
}

export interface AuditResult {
  readonly uses: readonly Use[];
  readonly unparsed: readonly {
    readonly file: string;
    readonly line: number;
    readonly text: string;
  }[];
  readonly failures: readonly { readonly name: string; readonly message: string }[];
  /** Files looked at, and of those the ones that had something. */
  readonly files: number;
  readonly parsed: number;
  readonly read: number;
  /** The kernel tree that they are of; null outside of one. */
  readonly root: string | null;
  readonly architectures: readonly string[];
  readonly sources: readonly SourceFile[];
}

/** Throws an `InputError` for a path that is not there. */
export async function auditTree(
  given: readonly string[],
  options: AuditOptions,
): Promise<AuditResult> {
  const root = treeRoot(given);
  const sources = listSources(given, root);
  const folder = options.useCache ? cacheFolder() : null;
  const path =
    folder === null
      ? null
      : cachePath(folder, [root ?? "", ...sources.slice(0, 1).map(pathOf), ...given]);
  const cache = path === null ? emptyCache() : loadCache(path);
  const { progress } = options;
  const run = await factsOfTree(sources, { cache, progress, now: options.now ?? Date.now(), root });
  if (path !== null && (run.read > 0 || !existsSync(path))) saveCache(path, cache, run.used);
  const names = root === null ? [] : architectureNames(root);
  const buildOf = root === null ? noBuild : buildOfTree(root, names, options.config);
  const ordered = new Map(
    sources.flatMap(({ name }) => {
      const facts = run.facts.get(name);
      return facts === undefined ? [] : [[name, facts] as const];
    }),
  );
  const all = new Map([...ordered, ...run.facts]);
  const unparsed = [...ordered].flatMap(([file, { errors }]) =>
    errors.map(({ line, text }) => ({ file, line, text })),
  );
  return {
    uses: auditFacts(all, buildOf, (file) => ordered.has(file)),
    unparsed,
    failures: run.failures,
    files: sources.length,
    parsed: ordered.size,
    read: run.read,
    root,
    architectures: names,
    sources,
  };
}

/** One diff of all mechanical fixes. */
export function patchTree({ uses, sources }: AuditResult): string {
  const fixed = new Set(uses.filter(({ removal }) => removal !== null).map(({ file }) => file));
  return sources
    .filter(({ name }) => fixed.has(name))
    .map(({ name, path }) => asText(patchOf(name, readFileSync(path, "latin1"), uses)))
    .join("");
}

/** Bytes as text; nothing where they are not UTF-8 and would not survive. */
function asText(bytes: string): string {
  const buffer = Buffer.from(bytes, "latin1");
  const text = buffer.toString("utf8");
  return Buffer.from(text, "utf8").equals(buffer) ? text : "";
}

const noBuild: BuildOf = () => null;

function pathOf({ path }: SourceFile): string {
  return path;
}

function architectureNames(root: string): string[] {
  const folder = join(root, "arch");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, "Kconfig")))
    .sort();
}

function buildOfTree(root: string, names: readonly string[], config: string | null): BuildOf {
  const read: ReadText = (path) => {
    const full = join(root, path);
    try {
      return readFileSync(full, "latin1");
    } catch {
      return null;
    }
  };
  const architectures = architecturesOf(names, read);
  const values = config === null ? null : readConfig(config);
  return buildFacts({ architectures, read, config: values });
}

/** `CONFIG_X=y` lines. */
function readConfig(path: string): ReadonlyMap<string, string> {
  if (!existsSync(path)) throw new InputError(`${path}: no such file`, "give a kernel's .config");
  const text = readFileSync(path, "latin1");
  const values = [...text.matchAll(/^CONFIG_(\w+)=(.*)$/gm)];
  if (values.length === 0) throw new InputError(`${path}: no CONFIG_ line in it`);
  return new Map(values.map(([, name = "", value = ""]) => [name, value.trim()]));
}
