/** A log on disk or on standard input, as text in chunks; packed or not, of any size. */
import { createReadStream } from "node:fs";
import { decodeText, STREAM_LIMIT, unpackStream } from "./bytes.ts";
import type { InputStream } from "./machine-file.ts";

/** Larger chunks than the system's: the reader's cost is by chunk and by line of interest. */
const CHUNK_BYTES = 2 ** 18;

/** "-" is standard input. Ends with an `InputError` where the log cannot be read. */
export function openLog(path: string, stdin: InputStream): AsyncIterable<string> {
  const bytes = path === "-" ? stdin() : createReadStream(path, { highWaterMark: CHUNK_BYTES });
  return decodeText(unpackStream(bytes, STREAM_LIMIT));
}
