/**
 * From the paths of `replay` to what a replay takes: the snapshot it starts
 * from, the one it ends with, the events between the two. What goes wrong is a
 * `Failure` with one clear line.
 */
import { hasErrors, type Issue } from "../base/issue.ts";
import type { Range } from "../base/range.ts";
import {
  type Capture,
  type CaptureFiles,
  configReader,
  ftraceReader,
  type KernelConfig,
  LineFeeder,
  probeReader,
  type Reader,
  readCapture,
  readText,
  type TraceEvent,
  type TraceSummary,
} from "../formats/index.ts";
import {
  type InputStream,
  inputErrorOf,
  openCaptureFiles,
  openTrace,
  type TraceFile,
  textIn,
} from "../host/index.ts";
import {
  type BootStart,
  type CmaCall,
  CmaCalls,
  type DmaCall,
  DmaCollector,
  type DmaFacts,
  type DmaSources,
  dmaSources,
  factsOf,
  IovaCalls,
  type IovaEvidence,
  type ListSnapshot,
  type MachineFacts,
  type Recording,
  type ReplayEvent,
  WindowCollector,
} from "../replay/index.ts";
import { unreadable, usage } from "./failure.ts";
import { below } from "./load.ts";
import { loadBoot } from "./load-boot.ts";
import { loadDmaFacts } from "./load-dma.ts";
import { loadIovaEvidence } from "./load-iova.ts";
import { cmaAreas, failed, loadSnapshot, type TextOf } from "./load-snapshot.ts";

export interface LoadedTrace {
  readonly from: ListSnapshot;
  readonly facts: MachineFacts;
  readonly recording: TraceRecording;
  /** What was wrong with the capture; the trace's own are known when it was read. */
  readonly issues: readonly Issue[];
  readonly boot?: BootStart;
  /** Null for a kernel whose swiotlb is not known. */
  readonly dma: DmaFacts | null;
  readonly iova: IovaEvidence;
}

export interface TracePaths {
  /** "-" for standard input. */
  readonly trace: string;
  /** Capture with the snapshot; `before/` beside the trace when left out. */
  readonly from?: string;
  readonly to?: string;
  /** From the trace's first event on. */
  readonly boot?: boolean;
}

/** The moments that the capture folders of a trace are named after. */
const START = "before";
const END = "after";

/** Close the recording when it is no longer read. */
export async function loadTrace(paths: TracePaths, stdin: InputStream): Promise<LoadedTrace> {
  const trace = await openedTrace(paths, stdin);
  try {
    return await loadOpened(trace, paths);
  } catch (error) {
    await trace.close();
    throw error;
  }
}

/** The trace's text; close it. */
export async function openedTrace(paths: TracePaths, stdin: InputStream): Promise<TraceFile> {
  if (paths.trace === "-" && paths.from === undefined) {
    throw usage(
      "--from",
      "nothing lies beside standard input",
      "name the capture with the snapshot",
    );
  }
  const opened = await openTrace(paths.trace, stdin);
  if (opened.value === null) throw unreadable(opened.issues);
  return opened.value;
}

export async function loadOpened(trace: TraceFile, paths: TracePaths): Promise<LoadedTrace> {
  const path = await startPath(paths, trace);
  const start = await loadStart(path, trace, paths.boot === true);
  const recording = new TraceRecording(trace, paths, start.areas);
  const { snap: from, facts, boot, issues } = start;
  const dma = await loadDmaFacts({
    path,
    to: endPath(paths, trace),
    trace,
    upstream: facts.upstream,
    zones: from.zones,
  });
  const iova = await loadIovaEvidence(path, trace, facts);
  return { from, facts, recording, issues, dma, iova, ...(boot === undefined ? {} : { boot }) };
}

const MOMENT = /^(?:before|after|mid\d*)$/;

export async function startPath({ trace, from }: TracePaths, file: TraceFile): Promise<string> {
  if (from !== undefined) return from;
  if (file.beside.has(START)) return `${file.folder}/${START}`;
  throw usage("--from", `no capture lies beside ${trace}`, "name the capture with the snapshot");
}

/** "before" of "…/before/"; null where the folder is called otherwise. */
function momentOf(path: string | undefined): string | null {
  const name = path?.replace(/\/+$/, "").split("/").at(-1) ?? null;
  return name !== null && MOMENT.test(name) ? name : null;
}

/** The capture of the recording's end, where there is one. */
export function endPath({ to }: TracePaths, file: TraceFile): string | null {
  if (to !== undefined) return to;
  return file.beside.has(END) ? `${file.folder}/${END}` : null;
}

interface LoadedStart {
  readonly snap: ListSnapshot;
  readonly facts: MachineFacts;
  /** CMA areas, in bytes. */
  readonly areas: () => Promise<readonly Range[]>;
  readonly boot?: BootStart;
  readonly issues: readonly Issue[];
}

async function loadStart(path: string, trace: TraceFile, boot: boolean): Promise<LoadedStart> {
  const opened = await openCaptureFiles(path);
  if (opened.value === null) throw unreadable(opened.issues);
  const files = opened.value;
  const text: TextOf = (name) => textOf(files, name);
  const areas = (): Promise<readonly Range[]> => cmaAreas(text);
  if (boot) {
    const loaded = await loadBoot(path, files, text, (capture) => configOf(capture, trace));
    const { from, facts } = loaded.boot;
    return { snap: from, facts, areas, boot: loaded.boot, issues: loaded.issues };
  }
  const loaded = await loadSnapshot(path, text, areas);
  const { snap } = loaded;
  const issues = [...loaded.issues];
  const read = await readCapture(files, { skip: (name) => !FACTS.test(name) });
  issues.push(...below(path, read.issues));
  const { value: facts, issues: more } = factsOf(
    read.value,
    snap,
    await configOf(read.value, trace),
  );
  issues.push(...below(path, more));
  if (facts === null || hasErrors(issues)) throw unreadable(issues);
  return { snap, facts, areas, issues };
}

/** Files that a replay's facts come from. */
const FACTS = /^(?:version|zoneinfo|pagetypeinfo|config|vm\/.*|node\/.*)$/;

export async function textOf(files: CaptureFiles, name: string): Promise<string | null> {
  if (!files.paths.includes(name)) return null;
  let whole = "";
  for await (const chunk of files.open(name)) whole += chunk;
  return whole;
}

/** The configuration lies in the capture or beside the trace. */
async function configOf(capture: Capture, trace: TraceFile): Promise<KernelConfig | null> {
  if (capture.config !== null) return capture.config;
  const text = await textIn(trace.folder, "config");
  return text === null ? null : readText(configReader(), text).value;
}

async function loadEnd(
  path: string,
  asked: boolean,
  areas: () => Promise<readonly Range[]>,
): Promise<ListSnapshot | null> {
  const text: TextOf = (name) => textIn(path, name);
  const names = ["snap/freelists", "snap/kpageflags.rle"];
  const there = await Promise.all(names.map(async (name) => (await text(name)) !== null));
  if (!asked && !there.includes(true)) return null;
  return (await loadSnapshot(path, text, areas)).snap;
}

/** Events are handed on in blocks of about this many. */
const BLOCK = 1 << 13;

/** A trace on disk between two moments. Read whole at first, for what is wrong with it. */
export class TraceRecording implements Recording {
  readonly #trace: TraceFile;
  readonly #paths: TracePaths;
  readonly #areas: () => Promise<readonly Range[]>;
  readonly #issues: Issue[] = [];
  /** Sees which events there are. */
  readonly #names: DmaCollector = new DmaCollector(null, null, null);
  #first: WindowCollector | null = null;
  #surveyed: readonly Issue[] = [];

  /** `areas` tells the machine's CMA areas, in bytes. */
  constructor(trace: TraceFile, paths: TracePaths, areas: () => Promise<readonly Range[]>) {
    this.#areas = areas;
    this.#trace = trace;
    this.#paths = paths;
  }

  /** Known after the first reading. */
  get lost(): number {
    return this.#first?.lost ?? 0;
  }

  get issues(): readonly Issue[] {
    // A reading between two moments says the same, and more.
    return this.#first === null ? this.#surveyed : this.#issues;
  }

  async *blocks(): AsyncIterable<readonly ReplayEvent[]> {
    const { from = START, to = END, boot = false } = this.#paths;
    const window = new WindowCollector(boot ? null : momentOf(from), momentOf(to));
    const again = this.#first !== null;
    this.#first ??= window;
    const { sink } = window;
    const names = this.#names;
    const both = (e: TraceEvent): void => {
      sink(e);
      names.sink(e);
    };
    const reader = await this.#reader(again ? sink : both);
    yield* this.#take(reader, window, again);
    if (!again) this.#look(reader.end().issues, window);
  }

  /** What the recording tells about DMA; known after the first reading. */
  get dmaSources(): DmaSources {
    return dmaSources(this.#names.names);
  }

  /** What needs no snapshot, from its first event on: names of events, calls to CMA areas, which begin empty. */
  async survey(): Promise<readonly CmaCall[]> {
    const { calls, sink } = new CmaCalls();
    const reader = await this.#reader((e) => {
      sink(e);
      this.#names.sink(e);
    });
    const none = { waiting: 0, ended: false, take: (): never[] => [] };
    for await (const _block of this.#take(reader, none, false));
    this.#surveyed = reader.end().issues.map((own) => ({ ...own, source: this.#trace.path }));
    return calls;
  }

  /** Calls of drivers, in the same window. */
  async *dmaCalls(): AsyncIterable<readonly DmaCall[]> {
    const { from = START, to = END, boot = false } = this.#paths;
    const window = new DmaCollector(this.dmaSources, boot ? null : momentOf(from), momentOf(to));
    yield* this.#take(await this.#reader(window.sink), window, true);
    yield window.end();
  }

  /** What it tells of addresses behind an IOMMU, from its first event on: domains begin empty. */
  async iovaCalls(): Promise<IovaCalls> {
    const calls = new IovaCalls();
    const none = { waiting: 0, ended: false, take: (): never[] => [] };
    const blocks = this.#take(await this.#reader(calls.sink), none, false);
    for await (const _block of blocks);
    return calls;
  }

  async #reader(sink: (e: TraceEvent) => void): Promise<Reader<TraceSummary>> {
    const probes = await textIn(this.#trace.folder, "kprobe_events");
    return ftraceReader(
      sink,
      probes === null ? {} : { probes: readText(probeReader(), probes).value },
    );
  }

  /** What `window` collects, a block at a time; `stops` at its end. */
  async *#take<T>(
    reader: Reader<TraceSummary>,
    window: { readonly waiting: number; readonly ended: boolean; take(): T[] },
    stops: boolean,
  ): AsyncIterable<readonly T[]> {
    const trace = this.#trace;
    const feeder = new LineFeeder((line) => reader.line(line));
    try {
      for await (const chunk of trace.open()) {
        feeder.push(chunk);
        if (window.waiting >= BLOCK) yield window.take();
        if (stops && window.ended) break;
      }
    } catch (error) {
      const { message, mend } = inputErrorOf(error);
      throw failed(trace.path, message, mend ?? "copy the file again");
    }
    if (feeder.end()) reader.unterminated?.();
    yield window.take();
  }

  /** After the first reading: what was wrong with it. */
  #look(issues: readonly Issue[], window: WindowCollector): void {
    const source = this.#trace.path;
    this.#issues.push(...issues.map((issue) => ({ ...issue, source })));
    if (!window.begun) {
      const message = `it has no marker "SNAP BEGIN" of the capture's moment`;
      throw failed(source, message, "give the capture that was taken while it was recorded");
    }
    if (window.allocations === 0) {
      const message = "no mm_page_alloc is in it after the snapshot";
      throw failed(source, message, "record the events of kmem:*");
    }
    if (window.lost > 0) {
      const message = `${window.lost} events were lost: from here on pages may be in other hands`;
      const mend = "record with larger buffers";
      this.#issues.push({ severity: "warning", source, line: window.lostAt, message, mend });
    }
  }

  close(): Promise<void> {
    return this.#trace.close();
  }

  async lists(): Promise<ListSnapshot | null> {
    const { to } = this.#paths;
    if (to !== undefined) return loadEnd(to, true, this.#areas);
    // Lists of a later moment than the last event tell nothing about the replay.
    if (!this.#trace.beside.has(END) || this.#first?.ended !== true) return null;
    return loadEnd(`${this.#trace.folder}/${END}`, false, this.#areas);
  }
}
