// The captures and traces that tests run on: corpus/{layouts,traces}/NAME.tar.{gz,zst}, unpacked in
// memory.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { CaptureFiles } from "../../src/formats/capture.ts";
import { readTar } from "../../src/io/tar.ts";

const LAYOUTS = new URL("../../corpus/layouts/", import.meta.url);
const TRACES = new URL("../../corpus/traces/", import.meta.url);
const DMA = new URL("../../corpus/dma/", import.meta.url);

/** Names of all captures, sorted; `pattern` selects by name. */
export function corpusNames(pattern = /./): string[] {
  return namesIn(LAYOUTS, pattern);
}

/** Traces of whole boots, from the first event on. */
export const WHOLE_BOOTS: RegExp = /^a-boot-/;

/** Names of all traces, sorted; the layout `trace-NAME` is the same boot. */
export function traceNames(pattern = /./): string[] {
  return namesIn(TRACES, pattern);
}

/** Names of the recordings of drivers' DMA calls. */
export function dmaNames(pattern = /./): string[] {
  return namesIn(DMA, pattern);
}

/** Files of such a recording: `trace.txt`, `drivers.txt`, `before/dmesg` … */
export function dmaFiles(name: string): ReadonlyMap<string, string> {
  return filesOf(DMA, name);
}

const PACKED = /\.tar\.(?:gz|zst)$/;

function namesIn(folder: URL, pattern: RegExp): string[] {
  return readdirSync(folder)
    .filter((file) => PACKED.test(file))
    .map((file) => file.replace(PACKED, ""))
    .filter((name) => pattern.test(name))
    .sort();
}

/** Those whose kernels told their lists. */
export function exactTraceNames(): string[] {
  return traceNames().filter((name) => traceFiles(name).has("before/snap/freelists"));
}

/** A capture's files: path (`zoneinfo`, `vm/min_free_kbytes`, `sysctl/min1M/zoneinfo` …) to text. */
export function corpusFiles(name: string): ReadonlyMap<string, string> {
  return filesOf(LAYOUTS, name);
}

/** A trace's files: `trace.txt`, `kprobe_events`, `meta.json`, `before/snap/freelists` … */
export function traceFiles(name: string): ReadonlyMap<string, string> {
  return filesOf(TRACES, name);
}

function filesOf(folder: URL, name: string): ReadonlyMap<string, string> {
  const gz = new URL(`${name}.tar.gz`, folder);
  const archive = existsSync(gz)
    ? gunzipSync(readFileSync(gz))
    : zstdDecompressSync(readFileSync(new URL(`${name}.tar.zst`, folder)));
  const files = new Map<string, string>();
  for (const [path, bytes] of readTar(archive).value)
    files.set(path, new TextDecoder().decode(bytes));
  return files;
}

/** A capture as the readers take it. */
export function captureFiles(name: string): CaptureFiles {
  const files = corpusFiles(name);
  return {
    name,
    paths: [...files.keys()],
    async *open(path: string): AsyncIterable<string> {
      yield files.get(path) ?? "";
    },
  };
}
