/**
 * A log on disk or on standard input, as text in chunks; packed or not, of any size. Of a file that
 * `collect` wrote it is the kernel's log, with blank lines for the rest: lines keep their numbers.
 */
import { type FileHandle, open } from "node:fs/promises";
import { LogLines, looksCollected } from "../io/collected.ts";
import { decodeText, MAGIC_BYTES, packingOf, STREAM_LIMIT, unpackStream } from "./bytes.ts";
import type { InputStream } from "./machine-file.ts";

/** Strings of this size die young; four times as much costs 50 MB and gains nothing. */
const CHUNK_BYTES = 2 ** 16;

/** "-" is standard input. Ends with an `InputError` where the log cannot be read. */
export function openLog(path: string, stdin: InputStream): AsyncIterable<string> {
  const bytes = path === "-" ? stdin() : fileChunks(path);
  return logIn(decodeText(unpackStream(bytes, STREAM_LIMIT)));
}

/**
 * The bytes of a file or a pipe. A log's chunks lie in two buffers in turn, each good until the next
 * but one is asked for: buffers of their own would pile up where the machine is busy, for they are
 * given back by another thread. Who unpacks keeps chunks, and gets new ones.
 */
async function* fileChunks(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r");
  let next = fill(file, new Uint8Array(CHUNK_BYTES));
  try {
    const first = await next;
    const plain = first.length >= MAGIC_BYTES && packingOf(first) === "none";
    const buffers = [new Uint8Array(CHUNK_BYTES), new Uint8Array(CHUNK_BYTES)];
    let chunk = first;
    for (let turn = 0; chunk.length > 0; turn = 1 - turn) {
      const own = plain ? buffers[turn] : undefined;
      next = fill(file, own ?? new Uint8Array(CHUNK_BYTES));
      yield chunk;
      chunk = await next;
    }
  } finally {
    await next.catch(() => undefined);
    await file.close();
  }
}

async function fill(file: FileHandle, buffer: Uint8Array): Promise<Uint8Array> {
  const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
  return buffer.subarray(0, bytesRead);
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
