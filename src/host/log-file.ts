/** A log on disk or on standard input, as text in chunks; packed or not, of any size. */
import { createReadStream } from "node:fs";
import { decodeText, STREAM_LIMIT, unpackStream } from "./bytes.ts";
import type { InputStream } from "./machine-file.ts";

/** Strings of this size die young; four times as much costs 50 MB and gains nothing. */
const CHUNK_BYTES = 2 ** 16;

/** "-" is standard input. Ends with an `InputError` where the log cannot be read. */
export function openLog(path: string, stdin: InputStream): AsyncIterable<string> {
  const bytes = path === "-" ? stdin() : createReadStream(path, { highWaterMark: CHUNK_BYTES });
  return decodeText(unpackStream(bytes, STREAM_LIMIT));
}
