/**
 * A recorded trace on disk: the text, packed or not, and the captures beside it.
 *
 *   DIR/trace.txt[.gz|.zst]   before/   after/   config   kprobe_events
 *
 * A path names the folder or the text itself; "-" is a text without a folder.
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
    const isFolder = (await stat(path)).isDirectory();
    const folder = isFolder ? path : dirname(path);
    const beside = new Set(await readdir(folder));
    const name = NAMES.find((own) => beside.has(own));
    if (isFolder && name === undefined) {
      throw new InputError("no trace.txt is in it", "give the text of /sys/kernel/tracing/trace");
    }
    const text = isFolder ? join(folder, name ?? "") : path;
    const open = (): AsyncIterable<string> => decodeText(openUnpacked(text, STREAM_LIMIT));
    const close = async (): Promise<void> => undefined;
    return { value: { path: text, folder, beside, open, close }, issues: [] };
  } catch (error) {
    const { message, mend } = inputErrorOf(error);
    const issue = { severity: "error" as const, source: path, message };
    return { value: null, issues: [mend === undefined ? issue : { ...issue, mend }] };
  }
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
