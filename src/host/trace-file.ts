/**
 * A recorded trace on disk: the text, packed or not, and the captures beside it.
 *
 *   DIR/trace.txt[.gz|.zst]   before/   after/   config   kprobe_events
 *
 * A path names the folder or the text itself.
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

export interface TraceFile {
  /** The text's own path. */
  readonly path: string;
  /** Folder that it lies in. */
  readonly folder: string;
  /** Names in the folder. */
  readonly beside: ReadonlySet<string>;
  /** The text in chunks of any size; ends with an `InputError` where it cannot be read. */
  open(): AsyncIterable<string>;
}

const NAMES = ["trace.txt", "trace.txt.gz", "trace.txt.zst"];

/** Value null, with an error, when there is no trace at `path`. */
export async function openTrace(path: string): Promise<Outcome<TraceFile | null>> {
  try {
    const isFolder = (await stat(path)).isDirectory();
    const folder = isFolder ? path : dirname(path);
    const beside = new Set(await readdir(folder));
    const name = NAMES.find((own) => beside.has(own));
    if (isFolder && name === undefined) {
      throw new InputError("no trace.txt is in it", "give the text of /sys/kernel/tracing/trace");
    }
    const text = isFolder ? join(folder, name ?? "") : path;
    const open = (): AsyncIterable<string> => decodeText(openUnpacked(text, STREAM_LIMIT));
    return { value: { path: text, folder, beside, open }, issues: [] };
  } catch (error) {
    const { message, mend } = inputErrorOf(error);
    const issue = { severity: "error" as const, source: path, message };
    return { value: null, issues: [mend === undefined ? issue : { ...issue, mend }] };
  }
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
