/**
 * The facts of a tree: every file read once, those that are worth it parsed, then the few files that
 * hold what others left open read again for that. What the cache knows is not read at all.
 */
import { type FileFacts, type Wanted, wantedOf } from "../audit/index.ts";
import { type AuditCache, hashOf, isSettled } from "./audit-cache.ts";
import type { SourceFile } from "./audit-files.ts";
import { includedBy } from "./audit-headers.ts";
import { answerAll } from "./audit-pool.ts";
import type { AuditJob } from "./audit-worker.ts";

export interface TreeFacts {
  /** By name. */
  readonly facts: ReadonlyMap<string, FileFacts>;
  readonly failures: readonly { readonly name: string; readonly message: string }[];
  /** Files that were read in this run. */
  readonly read: number;
  /** Keys of the cache that this run used. */
  readonly used: ReadonlySet<string>;
}

export interface RunOptions {
  readonly cache: AuditCache;
  readonly progress: (done: number, all: number) => void;
  /** Of the clock that files are stamped by. */
  readonly now: number;
  /** The kernel tree; null outside of one. */
  readonly root: string | null;
}

export async function factsOfTree(
  files: readonly SourceFile[],
  options: RunOptions,
): Promise<TreeFacts> {
  const run = new Run(files, options);
  await run.ask(files, () => []);
  // An answer may ask in turn, for what an include includes; two rounds settle what code has.
  for (let round = 0; round < 2; round++) {
    const wanted = wantedOf(run.facts);
    if (!(await run.askWanted(wanted, round))) break;
  }
  await run.askHeaders(wantedOf(run.facts));
  return run;
}

class Run implements TreeFacts {
  readonly facts: Map<string, FileFacts> = new Map();
  readonly failures: { name: string; message: string }[] = [];
  readonly used: Set<string> = new Set();
  readonly #read = new Set<string>();
  readonly #files: readonly SourceFile[];
  readonly #options: RunOptions;
  readonly #asked = new Map<string, Set<string>>();
  /** Hash of the content that a path had last. */
  readonly #last = new Map<string, string>();

  constructor(files: readonly SourceFile[], options: RunOptions) {
    this.#files = files;
    this.#options = options;
    for (const [key, hash] of options.cache.hashes) this.#last.set(pathOfKey(key), hash);
  }

  get read(): number {
    return this.#read.size;
  }

  /** Reads what the cache does not know; `asked` says what each file is asked for. */
  async ask(
    files: readonly SourceFile[],
    asked: (file: SourceFile) => readonly (readonly [string, string])[],
  ): Promise<void> {
    const jobs: AuditJob[] = [];
    const byPath = new Map<string, { file: SourceFile; suffix: string }>();
    for (const file of files) {
      const questions = asked(file);
      const suffix = questions.length === 0 ? "" : ` ${hashOf(JSON.stringify(questions))}`;
      if (this.#known(file, suffix)) continue;
      byPath.set(file.path, { file, suffix });
      const last = this.#last.get(file.path) ?? null;
      const isKnown = last !== null && this.#options.cache.facts.has(last + suffix);
      jobs.push({ path: file.path, asked: questions, before: isKnown ? last : null });
    }
    const { cache, progress, now } = this.#options;
    let done = files.length - jobs.length;
    await answerAll(jobs, ({ path, hash, facts: made, isSame, failure }) => {
      const one = byPath.get(path);
      if (one === undefined) return;
      this.#read.add(path);
      progress(++done, files.length);
      if (failure !== null) {
        this.failures.push({ name: one.file.name, message: failure });
        return;
      }
      if (isSettled(one.file.changed, now)) cache.hashes.set(stampKey(one.file), hash);
      const facts = isSame ? (cache.facts.get(hash + one.suffix) ?? null) : made;
      cache.facts.set(hash + one.suffix, facts);
      this.#take(one.file, hash + one.suffix, facts);
    });
  }

  /** False where nothing was asked that was not asked before. */
  async askWanted(wanted: readonly Wanted[], round: number): Promise<boolean> {
    let isNew = false;
    const byFolder = new Map<string, Wanted[]>();
    for (const one of wanted) {
      byFolder.set(one.folder, [...(byFolder.get(one.folder) ?? []), one]);
    }
    const concerned = this.#files.filter((file) => {
      const before = this.#asked.get(file.name) ?? new Set<string>();
      const nodes = questionsFor(file.name, byFolder).map(({ node }) => node);
      const fresh = nodes.filter((node) => !before.has(node));
      if (fresh.length === 0) return false;
      this.#asked.set(file.name, new Set([...before, ...fresh]));
      isNew = true;
      return true;
    });
    if (!isNew || round > 2) return false;
    await this.ask(concerned, (file) =>
      [...(this.#asked.get(file.name) ?? [])]
        .sort()
        .map((node) => [node.split(":")[1] ?? node, node] as const),
    );
    return true;
  }

  /** What is still open, of the headers that the askers include, inside or outside of the audit. */
  async askHeaders(wanted: readonly Wanted[]): Promise<void> {
    const open = wanted.filter(({ node }) => /^[gms]:/.test(node));
    const byName = new Map(this.#files.map((file) => [file.name, file.path]));
    const askers = new Set(open.flatMap((one) => one.askers));
    const paths = [...askers].flatMap((name) => byName.get(name) ?? []);
    const headers = includedBy(paths, this.#options.root);
    const questions = open.map(({ word, node }) => [word, node] as const);
    if (questions.length > 0) await this.ask(headers, () => questions);
  }

  #known(file: SourceFile, suffix: string): boolean {
    const { cache } = this.#options;
    const hash = cache.hashes.get(stampKey(file));
    if (hash === undefined) return false;
    const facts = cache.facts.get(hash + suffix);
    if (facts === undefined) return false;
    this.#take(file, hash + suffix, facts);
    return true;
  }

  #take(file: SourceFile, key: string, facts: FileFacts | null): void {
    this.used.add(stampKey(file));
    this.used.add(key);
    if (facts !== null) this.facts.set(file.name, facts);
  }
}

function stampKey({ path, stamp }: SourceFile): string {
  return `${path} ${stamp}`;
}

function pathOfKey(key: string): string {
  return key.replace(/(?: [^ ]+){4}$/, "");
}

/** What is asked everywhere, and below each folder that the file is in. */
function questionsFor(name: string, byFolder: ReadonlyMap<string, readonly Wanted[]>): Wanted[] {
  const found: Wanted[] = [...(byFolder.get("") ?? [])];
  for (let at = name.indexOf("/"); at >= 0; at = name.indexOf("/", at + 1)) {
    found.push(...(byFolder.get(name.slice(0, at + 1)) ?? []));
  }
  return found;
}
