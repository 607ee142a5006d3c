/**
 * Facts of files by the hash of their content, kept between runs: one file a set of audited folders,
 * written anew after each run, so it never holds more than the last run needed.
 *
 * A file whose size and times did not change is not read again; any other one is, and is parsed only
 * if its content is new. The cache of another version of this program is worth nothing.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { FileFacts } from "../audit/index.ts";

/** What a run knows of files. */
export interface AuditCache {
  /** Hash by stamp and path. */
  readonly hashes: Map<string, string>;
  /** Facts by hash, and by hash and what was asked; null: nothing in it. */
  readonly facts: Map<string, FileFacts | null>;
}

/** Two writes within this time can have one stamp. */
const RACY_MS = 2000;

export function emptyCache(): AuditCache {
  return { hashes: new Map(), facts: new Map() };
}

/** The cache for these folders; an empty one where there is none that fits. */
export function loadCache(path: string): AuditCache {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (!isStored(value) || value.program !== programHash()) return emptyCache();
    return { hashes: new Map(value.hashes), facts: new Map(value.facts) };
  } catch {
    // Absent, torn or foreign: all the same, it is only a cache.
    return emptyCache();
  }
}

/** False where it cannot be written. `used` are the keys of this run. */
export function saveCache(path: string, cache: AuditCache, used: ReadonlySet<string>): boolean {
  const stored = {
    program: programHash(),
    hashes: [...cache.hashes].filter(([key]) => used.has(key)),
    facts: [...cache.facts].filter(([key]) => used.has(key)),
  };
  try {
    mkdirSync(dirname(path), { recursive: true });
    const fresh = `${path}.${process.pid}`;
    writeFileSync(fresh, JSON.stringify(stored));
    renameSync(fresh, path);
    return true;
  } catch {
    return false;
  }
}

/** Where the cache of some folders is. */
export function cachePath(folder: string, roots: readonly string[]): string {
  return join(folder, `${hashOf(roots.join("\n")).slice(0, 24)}.json`);
}

/** Whether a stamp can be trusted: a file just changed may change again unseen. */
export function isSettled(changed: number, now: number): boolean {
  return now - changed > RACY_MS;
}

export function hashOf(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("base64url");
}

interface Stored {
  readonly program: string;
  readonly hashes: [string, string][];
  readonly facts: [string, FileFacts | null][];
}

/** Written by this program, as its hash says: only the outline is looked at. */
function isStored(value: unknown): value is Stored {
  return (
    typeof value === "object" &&
    value !== null &&
    "program" in value &&
    "hashes" in value &&
    "facts" in value &&
    Array.isArray(value.hashes) &&
    Array.isArray(value.facts)
  );
}

let known: string | null = null;

/** Of the code that makes facts: the bundle itself, or the layer's files. */
function programHash(): string {
  if (known !== null) return known;
  const hash = createHash("sha256").update(process.version);
  const layer = fileURLToPath(new URL("../audit/", import.meta.url));
  hash.update(readFileSync(fileURLToPath(import.meta.url)));
  if (existsSync(layer)) {
    for (const name of readdirSync(layer).sort()) {
      if (/\.[jt]s$/.test(name)) hash.update(readFileSync(join(layer, name)));
    }
  }
  known = hash.digest("base64url");
  return known;
}
