/**
 * What `size` works on: a recording with or without the snapshot that replays of
 * pages start from. Drivers' DMA calls need none.
 */
import { hasErrors, type Issue } from "../base/issue.ts";
import type { Range } from "../base/range.ts";
import { readCapture } from "../formats/index.ts";
import { type InputStream, openCaptureFiles, type TraceFile } from "../host/index.ts";
import type { DmaFacts } from "../replay/index.ts";
import { unreadable } from "./failure.ts";
import { below } from "./load.ts";
import { loadDmaFacts } from "./load-dma.ts";
import { cmaAreas } from "./load-snapshot.ts";
import {
  endPath,
  type LoadedTrace,
  loadOpened,
  openedTrace,
  startPath,
  type TracePaths,
  TraceRecording,
  textOf,
} from "./load-trace.ts";

export interface SizeInput {
  readonly recording: TraceRecording;
  /** Upstream release, e.g. "6.12.95". */
  readonly kernel: string;
  /** Null for a kernel whose swiotlb is not known. */
  readonly dma: DmaFacts | null;
  /** Null where no snapshot was taken: pages cannot be replayed. */
  readonly pages: LoadedTrace | null;
  /** CMA areas that the boot log names, in bytes. */
  readonly areas: readonly Range[];
  readonly issues: readonly Issue[];
}

/** Close the recording when it is no longer read. */
export async function loadSizeInput(paths: TracePaths, stdin: InputStream): Promise<SizeInput> {
  const trace = await openedTrace(paths, stdin);
  try {
    const path = await startPath(paths, trace);
    const opened = await openCaptureFiles(path);
    if (opened.value === null) throw unreadable(opened.issues);
    const files = opened.value;
    const areas = await cmaAreas((name) => textOf(files, name));
    const isSnapped = files.paths.some((name) => SNAPSHOT.test(name));
    if (!isSnapped) return await loadCalls(path, paths, trace, areas);
    const pages = await loadOpened(trace, paths);
    const { recording, facts, dma, issues } = pages;
    return { recording, kernel: facts.upstream, dma, pages, areas, issues };
  } catch (error) {
    await trace.close();
    throw error;
  }
}

const SNAPSHOT = /^snap\/freelists$|kpageflags\.rle$/;
const FACTS = /^(?:version|zoneinfo)$/;

/** A recording of calls alone. */
async function loadCalls(
  path: string,
  paths: TracePaths,
  trace: TraceFile,
  areas: readonly Range[],
): Promise<SizeInput> {
  const opened = await openCaptureFiles(path);
  if (opened.value === null) throw unreadable(opened.issues);
  const { value, issues } = await readCapture(opened.value, { skip: (name) => !FACTS.test(name) });
  const placed = below(path, issues);
  if (hasErrors(placed)) throw unreadable(placed);
  const kernel = value.version?.numbers.join(".") ?? null;
  if (kernel === null) {
    const message = "no version is in it, so the kernel's rules are not known";
    throw unreadable([
      { severity: "error", source: path, message, mend: "take /proc/version along" },
    ]);
  }
  const zones = (value.zoneinfo?.zones ?? []).map(({ name, startPfn, spanned }) => ({
    name,
    startPfn: startPfn ?? 0,
    spanned,
  }));
  const to = endPath(paths, trace);
  const dma = await loadDmaFacts({ path, to, trace, upstream: kernel, zones });
  const recording = new TraceRecording(trace, paths, async () => []);
  return { recording, kernel, dma, pages: null, areas, issues: placed };
}
