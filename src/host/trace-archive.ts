/**
 * A trace's folder as one archive, tar packed or not: laid out below a temporary
 * folder, because captures lie beside the trace and the trace is read several times.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { readTar } from "../io/tar.ts";
import { InputError, inputErrorOf, openUnpacked, readWhole, STREAM_LIMIT } from "./bytes.ts";
import { looksLikeTar } from "./capture-files.ts";

export interface UnpackedTrace {
  /** The folder that the trace's text lies in. */
  readonly folder: string;
  remove(): Promise<void>;
}

const TEXT = /^(.*\/)?trace\.txt(?:\.gz|\.zst)?$/;

export async function isTraceArchive(path: string): Promise<boolean> {
  let head = new Uint8Array();
  for await (const chunk of openUnpacked(path, STREAM_LIMIT)) {
    head = new Uint8Array(Buffer.concat([head, chunk]));
    if (head.length >= 512) break;
  }
  return looksLikeTar(head);
}

/** Throws an `InputError` where no trace is in it, or where there is no room. */
export async function unpackTrace(path: string): Promise<UnpackedTrace> {
  const { value: files } = readTar(await readWhole(path));
  const texts = [...files.keys()].flatMap(
    (name) => TEXT.exec(name)?.[1] ?? (TEXT.test(name) ? "" : []),
  );
  if (texts.length === 0) {
    throw new InputError(
      "no trace.txt is in the archive",
      "pack the folder of a trace: tar czf x.tar.gz DIR",
    );
  }
  const below = texts.reduce((a, b) => (b.length < a.length ? b : a));
  const folder = await mkdtemp(join(tmpdir(), "zonewright-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    for (const [name, bytes] of files) {
      if (!name.startsWith(below)) continue;
      const place = join(folder, name.slice(below.length));
      await mkdir(dirname(place), { recursive: true });
      await writeFile(place, bytes);
    }
    return { folder, remove };
  } catch (error) {
    await remove();
    throw inputErrorOf(error);
  }
}
