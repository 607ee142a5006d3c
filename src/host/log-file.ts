/**
 * A log on disk or on standard input, as text in chunks; packed or not, of any size. Of a file that
 * `collect` wrote it is the kernel's log, with blank lines for the rest: lines keep their numbers.
 */
import { createReadStream } from "node:fs";
import { LogLines, looksCollected } from "../io/collected.ts";
import { decodeText, STREAM_LIMIT, unpackStream } from "./bytes.ts";
import type { InputStream } from "./machine-file.ts";

/** Strings of this size die young; four times as much costs 50 MB and gains nothing. */
const CHUNK_BYTES = 2 ** 16;

/** "-" is standard input. Ends with an `InputError` where the log cannot be read. */
export function openLog(path: string, stdin: InputStream): AsyncIterable<string> {
  const bytes = path === "-" ? stdin() : createReadStream(path, { highWaterMark: CHUNK_BYTES });
  return logIn(decodeText(unpackStream(bytes, STREAM_LIMIT)));
}

/** More than the first line of a collected file, with quotes before it. */
const HEAD_CHARS = 64;

async function* logIn(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let head: string | null = "";
  let lines: LogLines | null = null;
  for await (const chunk of chunks) {
    if (head === null) {
      yield lines === null ? chunk : lines.push(chunk);
      continue;
    }
    head += chunk;
    if (head.length < HEAD_CHARS) continue;
    lines = linesOf(head);
    yield lines === null ? head : lines.push(head);
    head = null;
  }
  if (head !== null) lines = linesOf(head);
  if (head !== null) yield lines === null ? head : lines.push(head);
  if (lines !== null) yield lines.end();
}

function linesOf(head: string): LogLines | null {
  return looksCollected(new TextEncoder().encode(head.slice(0, HEAD_CHARS)))
    ? new LogLines()
    : null;
}
