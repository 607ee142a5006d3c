/**
 * A capture on disk: a folder with files named as in /proc and /sys, a tar
 * archive of one (plain, gzip or zstd), or the text that `collect` makes.
 *
 * Files are opened only when asked for, and streamed; what `skip` names is not
 * even looked at, so a plan cannot peek at what it predicts. Something in the
 * place of a file that cannot be one (a folder, binary data, gigabytes) is
 * reported and left out. A devicetree is a blob: it is handed on as hexadecimal.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { hasErrors, type Issue, type Outcome } from "../base/issue.ts";
import type { CaptureFiles } from "../formats/capture.ts";
import { isFdt } from "../formats/fdt.ts";
import { fdtText } from "../formats/fdt-text.ts";
import { looksCollected, readCollected } from "../io/collected.ts";
import { readTar, type TarFiles } from "../io/tar.ts";
import {
  decodeText,
  InputError,
  inputErrorOf,
  openUnpacked,
  packingOf,
  readHead,
  readWhole,
  STREAM_LIMIT,
} from "./bytes.ts";

export interface OpenOptions {
  /** Paths below the capture that must not be touched. */
  readonly skip?: (path: string) => boolean;
}

/** Any one of these tells that a folder is a capture. */
const EVIDENCE: readonly string[] = [
  "zoneinfo",
  "dmesg",
  "firmware_memmap",
  "iomem",
  "meminfo",
  "buddyinfo",
  "fdt",
];
/** Files of /proc are names of files, whatever lies there. */
const PLAIN_FILES: ReadonlySet<string> = new Set([
  ...EVIDENCE,
  "pagetypeinfo",
  "vmstat",
  "cmdline",
  "version",
  "cpuinfo",
  "config",
  "thp_enabled",
  "devices",
]);
/** Captures that a message names; the others are counted. */
const CAPTURES_NAMED = 8;
const MAX_FILES = 20_000;
const MAX_DEPTH = 6;
/** No text of /proc, and no kernel log, comes near. */
const MAX_FILE_BYTES: number = 256 * 1024 ** 2;
const HEAD_BYTES = 4096;

/** Value null, with an error, when `path` is no capture. Issues carry the path. */
export async function openCaptureFiles(
  path: string,
  options: OpenOptions = {},
): Promise<Outcome<CaptureFiles | null>> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) return await openFolder(path, options);
    if (!found.isFile())
      return failed(path, "it is neither a folder nor an archive", `pipe it: - < ${path}`);
    return await openArchive(path, options);
  } catch (error) {
    const wrong = inputErrorOf(error);
    return failed(path, wrong.message, wrong.mend);
  }
}

/** A capture in an archive that was read already, e.g. from standard input. */
export function captureFromTar(
  name: string,
  archive: Uint8Array,
  options: OpenOptions = {},
): Outcome<CaptureFiles | null> {
  const { value, issues } = readTar(archive);
  const placed: Issue[] = issues.map((issue) => ({ ...issue, source: name }));
  if (value.size === 0) {
    if (hasErrors(placed)) return { value: null, issues: placed };
    return failed(
      name,
      placed.length > 0 ? "no file in the archive can be used" : "the archive is empty",
      "pack the folder of a capture: tar czf x.tar.gz DIR",
    );
  }
  const files = belowCommonFolder(value);
  const paths = [...files.keys()].filter((path) => options.skip?.(path) !== true);
  const issue = missingEvidence(name, [...files.keys()]);
  if (issue !== null) return { value: null, issues: [...placed, issue] };
  const open = async function* (path: string): AsyncGenerator<string> {
    const bytes = files.get(path);
    if (bytes === undefined) return;
    yield* isFdt(bytes) ? fdtText(bytes) : decodeText(chunksOf(bytes));
  };
  return { value: { name: captureName(name), paths, open }, issues: placed };
}

/** A capture in the text that `collect` makes. */
export function captureFromText(
  name: string,
  bytes: Uint8Array,
  options: OpenOptions = {},
): Outcome<CaptureFiles | null> {
  const { value, issues } = readCollected(new TextDecoder().decode(bytes));
  const placed = issues.map((issue) => ({ ...issue, source: name }));
  if (value === null) return { value: null, issues: placed };
  const { files, missing } = value;
  const none = missingEvidence(name, [...files.keys()]);
  if (none !== null) return { value: null, issues: [...placed, none] };
  const paths = [...files.keys()].filter((path) => options.skip?.(path) !== true);
  const open = async function* (path: string): AsyncGenerator<string> {
    yield files.get(path) ?? "";
  };
  return { value: { name: captureName(name), paths, missing, open }, issues: placed };
}

/** Whether `head`, 512 bytes or more, starts a tar archive. */
export function looksLikeTar(head: Uint8Array): boolean {
  return String.fromCharCode(...head.subarray(257, 262)) === "ustar";
}

async function openArchive(
  path: string,
  options: OpenOptions,
): Promise<Outcome<CaptureFiles | null>> {
  const head = await readHead(path, 512);
  if (head.length === 0) return failed(path, "the file is empty", "copy it again");
  if (packingOf(head) === "none" && !looksLikeTar(head) && !looksCollected(head)) {
    const mend = "give a folder, .tar, .tar.gz or .tar.zst of a capture, or what collect wrote";
    return failed(path, "it is not an archive of a capture", mend);
  }
  const archive = await readWhole(path);
  if (looksCollected(archive)) return captureFromText(path, archive, options);
  if (!looksLikeTar(archive)) {
    return failed(
      path,
      "what it unpacks to is not a tar archive",
      "pack the folder of a capture with tar",
    );
  }
  return captureFromTar(path, archive, options);
}

async function openFolder(
  path: string,
  options: OpenOptions,
): Promise<Outcome<CaptureFiles | null>> {
  const listed = await listFiles(path);
  const names = [...listed.files.keys(), ...listed.folders, ...listed.odd];
  const evidence = missingEvidence(path, names);
  if (evidence !== null) return { value: null, issues: [evidence] };
  const issues: Issue[] = [];
  const places = new Map<string, string>();
  for (const folder of listed.folders) {
    if (!PLAIN_FILES.has(folder) || options.skip?.(folder) === true) continue;
    const mend = "put the file of that name there";
    issues.push(wrong(join(path, folder), "it is a folder where a file should be", mend));
  }
  for (const file of listed.odd) {
    if (!PLAIN_FILES.has(file) || options.skip?.(file) === true) continue;
    issues.push(wrong(join(path, file), "it is no ordinary file", "copy the file's contents"));
  }
  for (const [file, place] of listed.files) {
    if (options.skip?.(file) === true) continue;
    const trouble = PLAIN_FILES.has(file) ? await troubleWith(place) : null;
    if (trouble === null) places.set(file, place);
    else issues.push(wrong(place, trouble.message, trouble.mend));
  }
  const open = async function* (file: string): AsyncGenerator<string> {
    const place = places.get(file);
    if (place === undefined) return;
    if (isFdt(await readHead(place, 4))) yield* fdtText(await readWhole(place));
    else yield* decodeText(openUnpacked(place, STREAM_LIMIT));
  };
  return { value: { name: captureName(path), paths: [...places.keys()], open }, issues };
}

interface Listing {
  /** Paths below the root, without `.gz` and `.zst`, to where they are. */
  readonly files: ReadonlyMap<string, string>;
  readonly folders: readonly string[];
  /** Pipes, sockets, devices. */
  readonly odd: readonly string[];
}

async function listFiles(root: string): Promise<Listing> {
  const files = new Map<string, string>();
  const folders: string[] = [];
  const odd: string[] = [];
  const pending: { place: string; path: string; depth: number }[] = [
    { place: root, path: "", depth: 0 },
  ];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const entries = await readdir(next.place, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = next.path === "" ? entry.name : `${next.path}/${entry.name}`;
      const place = join(next.place, entry.name);
      if (entry.isDirectory()) {
        folders.push(path);
        if (next.depth < MAX_DEPTH) pending.push({ place, path, depth: next.depth + 1 });
      } else if (entry.isFile() || entry.isSymbolicLink()) {
        files.set(path.replace(/\.(gz|zst)$/, ""), place);
      } else odd.push(path);
      if (files.size > MAX_FILES) {
        throw new InputError(
          `more than ${MAX_FILES} files are in it`,
          "give the folder of one capture",
        );
      }
    }
  }
  return { files, folders, odd };
}

async function troubleWith(place: string): Promise<InputError | null> {
  try {
    const found = await stat(place);
    if (!found.isFile() && !found.isDirectory()) {
      return new InputError("it is no ordinary file", "copy the file's contents");
    }
    const { size } = found;
    if (size > MAX_FILE_BYTES) {
      const mib = Math.floor(size / 1024 ** 2);
      return new InputError(`${mib} MiB are too many for this file`, "copy it from /proc again");
    }
    const head = await readHead(place, HEAD_BYTES);
    if (packingOf(head) !== "none" || !head.includes(0) || isFdt(head)) return null;
    return new InputError("it holds binary data, not text", "copy the file from /proc again");
  } catch (error) {
    return inputErrorOf(error);
  }
}

function missingEvidence(source: string, paths: readonly string[]): Issue | null {
  // A copy of / has its files below proc/; so do archives of one.
  if (paths.some((path) => EVIDENCE.includes(path.replace(/^proc\//, "")))) return null;
  const captures = foldersWithEvidence(paths);
  if (captures.length > 1) {
    const shown = captures.slice(0, CAPTURES_NAMED).join(", ");
    const more = captures.length - CAPTURES_NAMED;
    const names = more > 0 ? `${shown} and ${more} more` : shown;
    const message = `it holds ${captures.length} captures: ${names}`;
    return wrong(source, message, "give one of them, in a folder or an archive of its own");
  }
  const mend = `a capture holds at least one of ${EVIDENCE.slice(0, 4).join(", ")}`;
  return wrong(source, "no file of a capture is in it", mend);
}

const INSIDE_A_CAPTURE =
  /^(.*?)(?:^|\/)(?:proc\/\w+|(?:node\/)?node\d+\/meminfo|sysctl\/[^/]+\/\w+)$/;

/** The folders that look like a capture each, sorted; files of a node or a variant are inside one. */
function foldersWithEvidence(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    const slash = path.lastIndexOf("/");
    if (slash === -1 || !EVIDENCE.includes(path.slice(slash + 1))) continue;
    const inside = INSIDE_A_CAPTURE.exec(path);
    const folder = inside === null ? path.slice(0, slash) : (inside[1] ?? "");
    if (folder !== "") folders.add(folder);
  }
  return [...folders].sort();
}

/** Archives are made of the folder, of a path to it, or of its contents: all are one capture. */
function belowCommonFolder(files: TarFiles): TarFiles {
  let below = files;
  while (![...below.keys()].some((path) => !path.includes("/") || EVIDENCE.includes(path))) {
    const tops = new Set([...below.keys()].map((path) => path.slice(0, path.indexOf("/"))));
    if (tops.size !== 1) break;
    below = new Map([...below].map(([path, bytes]) => [path.slice(path.indexOf("/") + 1), bytes]));
  }
  return below;
}

function captureName(path: string): string {
  return basename(resolve(path)).replace(/(\.tar|\.txt)?(\.gz|\.zst|\.tgz)?$/, "") || path;
}

function* chunksOf(bytes: Uint8Array): Generator<Uint8Array> {
  const step = 1 << 16;
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

function wrong(source: string, message: string, mend?: string): Issue {
  const issue: Issue = { severity: "error", source, message };
  return mend === undefined ? issue : { ...issue, mend };
}

function failed(source: string, message: string, mend?: string): Outcome<null> {
  return { value: null, issues: [wrong(source, message, mend)] };
}
