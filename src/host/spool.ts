/**
 * Standard input as a file: for what is read more than once and may be larger
 * than memory.
 */
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { inputErrorOf } from "./bytes.ts";
import type { InputStream } from "./machine-file.ts";

export interface Spooled {
  readonly path: string;
  /** Deletes the file. */
  remove(): Promise<void>;
}

/** Copies the stream to a temporary file. Throws an `InputError` where that fails. */
export async function spool(stdin: InputStream): Promise<Spooled> {
  const folder = await mkdtemp(join(tmpdir(), "zonewright-"));
  const path = join(folder, "stdin");
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await pipeline(Readable.from(stdin()), createWriteStream(path));
    return { path, remove };
  } catch (error) {
    await remove();
    throw inputErrorOf(error);
  }
}
