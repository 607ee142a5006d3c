/**
 * A recorded trace on disk: the text, packed or not, and the captures beside it.
 *
 *   DIR/trace.txt[.gz|.zst]   before/   after/   config   kprobe_events
 *
 * A path names the folder, an archive of it, or the text itself; "-" is a text without a folder.
 */
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Outcome } from "../base/issue.ts";
import {
  decodeText,
  InputError,
  inputErrorOf,
  openUnpacked,
  readWhole,
  STREAM_LIMIT,
} from "./bytes.ts";
import type { InputStream } from "./machine-file.ts";
import { spool } from "./spool.ts";
import { isTraceArchive, unpackTrace } from "./trace-archive.ts";

export interface TraceFile {
  /** The text's own path. */
  readonly path: string;
  /** Folder that it lies in. */
  readonly folder: string;
  /** Names in the folder. */
  readonly beside: ReadonlySet<string>;
  /** The text in chunks of any size; ends with an `InputError` where it cannot be read. */
  open(): AsyncIterable<string>;
  /** Deletes what was copied for it. */
  close(): Promise<void>;
}

const NAMES = ["trace.txt", "trace.txt.gz", "trace.txt.zst"];

/** Value null, with an error, when there is no trace at `path`; "-" is standard input, copied to a file. */
export async function openTrace(
  path: string,
  stdin: InputStream,
): Promise<Outcome<TraceFile | null>> {
  try {
    if (path === "-") return { value: await spooledTrace(stdin), issues: [] };
    return { value: await traceAt(path), issues: [] };
  } catch (error) {
    const { message, mend } = inputErrorOf(error);
    const issue = { severity: "error" as const, source: path, message };
    return { value: null, issues: [mend === undefined ? issue : { ...issue, mend }] };
  }
}

async function traceAt(path: string): Promise<TraceFile> {
  const isFolder = (await stat(path)).isDirectory();
  if (isFolder) return traceIn(path, null, async () => undefined);
  if (!(await isTraceArchive(path))) return traceIn(dirname(path), path, async () => undefined);
  const { folder, remove } = await unpackTrace(path);
  return traceIn(folder, null, remove);
}

/** `text` is null for the one that lies in the folder. */
async function traceIn(
  folder: string,
  text: string | null,
  close: () => Promise<void>,
): Promise<TraceFile> {
  const beside = new Set(await readdir(folder));
  const name = NAMES.find((own) => beside.has(own));
  if (text === null && name === undefined) {
    throw new InputError("no trace.txt is in it", "give the text of /sys/kernel/tracing/trace");
  }
  const path = text ?? join(folder, name ?? "");
  const open = (): AsyncIterable<string> => decodeText(openUnpacked(path, STREAM_LIMIT));
  return { path, folder, beside, open, close };
}

async function spooledTrace(stdin: InputStream): Promise<TraceFile> {
  const { path, remove } = await spool(stdin);
  return {
    path: "stdin",
    folder: dirname(path),
    beside: new Set(),
    open: () => decodeText(openUnpacked(path, STREAM_LIMIT)),
    close: remove,
  };
}

/** What `inputErrorOf` says of ENOENT. */
const NOT_THERE = inputErrorOf(Object.assign(new Error(), { code: "ENOENT" })).message;

/**
 * The text of DIR/NAME, also packed; null when there is none. Throws an
 * `InputError` where it cannot be read.
 */
export async function textIn(folder: string, name: string): Promise<string | null> {
  for (const packed of [name, `${name}.gz`, `${name}.zst`]) {
    try {
      return new TextDecoder().decode(await readWhole(join(folder, packed)));
    } catch (error) {
      const known = inputErrorOf(error);
      if (known.message !== NOT_THERE) throw known;
    }
  }
  return null;
}
