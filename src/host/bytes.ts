/**
 * Bytes from disk or standard input, unpacked by what they are, not by how
 * they are called: gzip and zstd are known by their first bytes.
 *
 * Nothing unpacks without a limit, so a small file cannot fill the machine.
 * Failures are `InputError`s with one line for people; callers turn them into
 * issues at their own edge.
 */
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { Readable, Transform, type TransformCallback } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";

/** Unpacked bytes of a file that is streamed. */
export const STREAM_LIMIT: number = 4 * 1024 ** 3;
/** Unpacked bytes of an archive or description, which are held in memory. */
export const WHOLE_LIMIT: number = 256 * 1024 ** 2;

/** Magic numbers have at most that many. */
export const MAGIC_BYTES = 4;

export type Packing = "gzip" | "zstd" | "none";

/** What was wrong with an input, in words for people; never a bug of ours. */
export class InputError extends Error {
  override readonly name = "InputError";
  readonly mend: string | undefined;

  constructor(message: string, mend?: string) {
    super(message);
    this.mend = mend;
  }
}

/** By magic number. gzip: RFC 1952; zstd: RFC 8878. */
export function packingOf(head: Uint8Array): Packing {
  if (head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  const zstd = head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd;
  return zstd ? "zstd" : "none";
}

/** The first `length` bytes of a file, fewer where it is shorter. */
export async function readHead(path: string, length: number): Promise<Uint8Array> {
  let file: FileHandle | null = null;
  try {
    file = await open(path, "r");
    const { bytesRead, buffer } = await file.read(new Uint8Array(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    throw inputErrorOf(error);
  } finally {
    await file?.close();
  }
}

/** Chunks of the unpacked file; ends with an `InputError` at `limit` bytes. */
export async function* openUnpacked(path: string, limit: number): AsyncGenerator<Uint8Array> {
  const packing = packingOf(await readHead(path, 4));
  yield* unpacked(createReadStream(path), packing, limit);
}

/** The same of a stream; what is not packed has no limit, for it fills nothing. */
export async function* unpackStream(
  stream: AsyncIterable<Uint8Array | string>,
  limit: number,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  const bytesOf = (chunk: Uint8Array | string): Uint8Array =>
    typeof chunk === "string" ? encoder.encode(chunk) : chunk;
  const chunks = stream[Symbol.asyncIterator]();
  let head = new Uint8Array();
  while (head.length < MAGIC_BYTES) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = new Uint8Array(Buffer.concat([head, bytesOf(next.value)]));
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield head;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      yield bytesOf(next.value);
    }
  }
  const packing = packingOf(head);
  if (packing === "none") yield* whole();
  else yield* unpacked(Readable.from(whole()), packing, limit);
}

/** A whole unpacked file. */
export function readWhole(path: string, limit: number = WHOLE_LIMIT): Promise<Uint8Array> {
  return collect(openUnpacked(path, limit));
}

/** What `bytes` hold when unpacked, or `bytes` themselves. */
export function unpackWhole(bytes: Uint8Array, limit: number = WHOLE_LIMIT): Promise<Uint8Array> {
  const packing = packingOf(bytes);
  if (packing === "none") return Promise.resolve(bytes);
  return collect(unpacked(Readable.from([bytes]), packing, limit));
}

/** All of a stream (standard input), packed as it is. */
export async function readAll(
  stream: AsyncIterable<Uint8Array | string>,
  limit: number = WHOLE_LIMIT,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of stream) {
    const bytes = typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
    total += bytes.length;
    if (total > limit) throw tooLarge(limit);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** Text of UTF-8 chunks; what is not UTF-8 becomes U+FFFD. */
export async function* decodeText(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8");
  for await (const chunk of chunks) yield decoder.decode(chunk, { stream: true });
  const rest = decoder.decode();
  if (rest !== "") yield rest;
}

/** `error` as one line for people, where it is the system's and not ours. */
export function inputErrorOf(error: unknown): InputError {
  if (error instanceof InputError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const known = SYSTEM_WORDS.get(code);
  if (known !== undefined) return new InputError(known[0], known[1]);
  if (code.startsWith("Z_") || code.startsWith("ZSTD_") || code === "ERR_PADDING_2") {
    return new InputError("its compressed data are damaged or cut short", "copy the file again");
  }
  throw error;
}

const SYSTEM_WORDS: ReadonlyMap<string, readonly [string, string]> = new Map([
  ["ENOENT", ["there is no such file or folder", "check the path"]],
  ["ENOTDIR", ["a part of the path is not a folder", "check the path"]],
  ["EACCES", ["it may not be read", "run as a user who may, or copy it first"]],
  ["EPERM", ["it may not be read", "run as a user who may, or copy it first"]],
  ["EISDIR", ["it is a folder where a file should be", "give the file itself"]],
  ["ELOOP", ["its symbolic links go in a circle", "give the real path"]],
  ["ENAMETOOLONG", ["the path is too long", "check the path"]],
  ["EIO", ["it cannot be read: input/output error", "copy it to a sound disk first"]],
  ["EMFILE", ["too many files are open", "raise `ulimit -n`"]],
  ["ERR_INVALID_ARG_VALUE", ["that cannot be a path", "check the path"]],
]);

async function* unpacked(
  source: Readable,
  packing: Packing,
  limit: number,
): AsyncGenerator<Uint8Array> {
  try {
    if (packing === "none") yield* limited(source, limit);
    else {
      const unpacker = packing === "gzip" ? createGunzip() : zstdUnpacker();
      source.on("error", (error) => unpacker.destroy(error));
      yield* limited(source.pipe(unpacker).pipe(passThrough(unpacker)), limit);
    }
  } catch (error) {
    throw inputErrorOf(error);
  } finally {
    source.destroy();
  }
}

function zstdUnpacker(): Transform {
  if (typeof createZstdDecompress === "function") return createZstdDecompress();
  throw new InputError("this Node cannot open zstd", "unpack it first, or use Node 24");
}

/** `pipe` does not forward errors: this hands those of `source` on. */
function passThrough(source: Transform): Transform {
  const through = new Transform({
    transform(chunk: Uint8Array, _encoding: string, done: TransformCallback): void {
      done(null, chunk);
    },
  });
  source.on("error", (error) => through.destroy(error));
  return through;
}

async function* limited(
  chunks: AsyncIterable<Uint8Array>,
  limit: number,
): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > limit) throw tooLarge(limit);
    yield chunk;
  }
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

function tooLarge(limit: number): InputError {
  const words = limit >= 1024 ** 3 ? `${limit / 1024 ** 3} GiB` : `${limit / 1024 ** 2} MiB`;
  return new InputError(
    `it unpacks to more than ${words}`,
    "no capture is that large: check the file",
  );
}
