/**
 * Reads and parses files, in this thread or as a worker of its own. The module that starts a worker
 * is also what the worker runs: it is inside the command line's one file, and beside it in src/.
 */
import { readFile } from "node:fs/promises";
import process from "node:process";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { extractFacts, type FileFacts, isWorthParsing, type Parse } from "../audit/index.ts";
import { hashOf } from "./audit-cache.ts";
import { openParser } from "./c-parser.ts";

/** A file to read, and what others ask of it: nodes by the words that an answer must hold. */
export interface AuditJob {
  readonly path: string;
  readonly asked: readonly (readonly [word: string, node: string])[];
  /** The hash of its content when its facts were made; null where nothing is known. */
  readonly before: string | null;
}

export interface AuditAnswer {
  readonly path: string;
  readonly hash: string;
  /** Null: nothing in it, or none of the words. */
  readonly facts: FileFacts | null;
  /** Whether the content is what it was before: then the facts are too. */
  readonly isSame: boolean;
  /** Why it could not be read. */
  readonly failure: string | null;
}

const MARK = "zonewright audit worker";
/** Longer files are data with a C ending: they are read, not parsed. */
const LONGEST = 16 * 1024 * 1024;

/** Answers one job. Never rejects. */
export async function answer(job: AuditJob, parse: Parse): Promise<AuditAnswer> {
  const { path, asked, before } = job;
  try {
    const bytes = await readFile(path);
    const hash = hashOf(bytes);
    const isSame = hash === before;
    const nothing: AuditAnswer = { path, hash, facts: null, isSame, failure: null };
    if (isSame) return nothing;
    const text = bytes.toString("latin1");
    if (!isWorthParsing(text) && asked.length === 0) return nothing;
    if (bytes.length > LONGEST) return { ...nothing, failure: "too large to be C" };
    if (asked.length === 0) return { ...nothing, facts: extractFacts(text, parse) };
    const wanted = new Set(asked.filter(([word]) => text.includes(word)).map(([, node]) => node));
    return wanted.size === 0 ? nothing : { ...nothing, facts: extractFacts(text, parse, wanted) };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    return { path, hash: "", facts: null, isSame: false, failure };
  }
}

/** A worker, asked with batches of jobs and answering each with its answers. */
export function startWorker(): Worker {
  return new Worker(new URL(import.meta.url), { workerData: MARK });
}

/** Whether this thread is such a worker: then the program has nothing else to do in it. */
export function isAuditWorker(): boolean {
  return !isMainThread && workerData === MARK;
}

async function serve(): Promise<void> {
  const parse = await openParser();
  parentPort?.on("message", (jobs: readonly AuditJob[]) => {
    void Promise.all(jobs.map((job) => answer(job, parse))).then((answers) =>
      parentPort?.postMessage(answers),
    );
  });
  parentPort?.postMessage([]);
}

if (isAuditWorker()) {
  serve().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
}
