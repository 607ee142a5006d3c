/**
 * One measurement of replay in a process of its own; prints a JSON object.
 *
 *   replay-worker.ts text EVENTS     the reader alone, over the text of a recorded boot
 *   replay-worker.ts engine EVENTS   the blind run from memory, look-ahead included
 *   replay-worker.ts memory EVENTS   a recording of so many events through reader and both runs
 *
 * A recording of more events than the boot has is the boot's own again and again. Its frees and
 * requests then fit no memory any more, so `memory` repairs a lot: the worst case.
 */
import process from "node:process";
import { readCapture } from "../src/formats/capture.ts";
import { configReader } from "../src/formats/config.ts";
import { ftraceReader } from "../src/formats/ftrace.ts";
import { LineFeeder, readText } from "../src/formats/reader.ts";
import {
  CALL_WINDOW,
  Driver,
  factsOf,
  InputScan,
  type ListSnapshot,
  LookAhead,
  listSnapshot,
  type MachineFacts,
  type ReplayEvent,
  replay,
  startState,
  WindowCollector,
} from "../src/replay/index.ts";
import { traceFiles } from "../test/support/corpus.ts";

const TRACE = "a-boot-512M";
/** Chunks as a file gives them. */
const CHUNK = 1 << 16;

interface Boot {
  /** From the line of the first snapshot to that of the second. */
  readonly text: string;
  readonly from: ListSnapshot;
  readonly facts: MachineFacts;
}

async function bootOf(): Promise<Boot> {
  const files = traceFiles(TRACE);
  const text = files.get("trace.txt") ?? "";
  const begin = text.lastIndexOf("\n", text.indexOf("SNAP BEGIN before")) + 1;
  const end = text.lastIndexOf("\n", text.indexOf("SNAP BEGIN after")) + 1;
  const { value: from } = listSnapshot({
    freelists: files.get("before/snap/freelists") ?? "",
    pageblocks: files.get("before/snap/pageblocks") ?? "",
    kpageflags: files.get("before/snap/kpageflags.rle") ?? null,
  });
  const inStart = [...files.keys()].filter((path) => path.startsWith("before/"));
  const capture = await readCapture({
    name: TRACE,
    paths: inStart.map((path) => path.slice("before/".length)),
    async *open(path: string): AsyncIterable<string> {
      yield files.get(`before/${path}`) ?? "";
    },
  });
  const config = readText(configReader(), files.get("config") ?? "").value;
  const facts = from === null ? null : factsOf(capture.value, from, config).value;
  if (from === null || facts === null) throw new Error(`${TRACE} is no start`);
  return { text: text.slice(begin, end), from, facts };
}

/** The boot's events again and again, until there were `wanted`; once for 0. */
async function* blocksOf(text: string, wanted: number): AsyncIterable<readonly ReplayEvent[]> {
  const window = new WindowCollector("before", null);
  const reader = ftraceReader(window.sink);
  const feeder = new LineFeeder((line) => reader.line(line));
  do {
    for (let at = 0; at < text.length; at += CHUNK) {
      feeder.push(text.slice(at, at + CHUNK));
      yield window.take();
    }
  } while (window.seen < wanted);
}

/** The lesser of wall clock and CPU time, milliseconds: see docs/bench.md. */
function timed(run: () => void): number {
  const wall = performance.now();
  const cpu = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(cpu);
  return Math.min(performance.now() - wall, (user + system) / 1000);
}

const MEASURES = {
  async text({ text }: Boot, wanted: number): Promise<object> {
    let events = 0;
    const reader = ftraceReader(() => {
      events++;
    });
    const feeder = new LineFeeder((line) => reader.line(line));
    const pass = (): void => {
      for (let at = 0; at < text.length; at += CHUNK) feeder.push(text.slice(at, at + CHUNK));
    };
    for (let warm = 0; warm < 5; warm++) pass();
    events = 0;
    const ms = timed(() => {
      while (events < wanted) pass();
    });
    return { events, ms };
  },

  async engine({ text, from, facts }: Boot, wanted: number): Promise<object> {
    const boot: ReplayEvent[] = [];
    for await (const block of blocksOf(text, 0)) boot.push(...block);
    let events = 0;
    const pass = (): number => {
      const { value: state } = startState(from, facts);
      if (state === null) throw new Error("no start state");
      const driver = new Driver(state, { assumptions: null });
      const window = new LookAhead([new InputScan()], CALL_WINDOW);
      const ms = timed(() => {
        driver.feed(window.push(boot));
        driver.feed(window.end());
      });
      events += driver.score.events;
      return ms;
    };
    for (let warm = 0; warm < 20; warm++) pass();
    events = 0;
    let ms = 0;
    while (events < wanted) ms += pass();
    return { events, ms };
  },

  async memory({ text, from, facts }: Boot, wanted: number): Promise<object> {
    const recording = { blocks: () => blocksOf(text, wanted), lists: async () => null };
    const { value } = await replay({ from, facts, recording });
    const events = value?.blind.score.events ?? 0;
    return { events, peakBytes: process.resourceUsage().maxRSS * 1024 };
  },
};

const [name = "", events = "0"] = process.argv.slice(2);
const measure = Object.entries(MEASURES).find(([own]) => own === name)?.[1];
if (measure === undefined) throw new Error(`measures are ${Object.keys(MEASURES).join(" ")}`);
console.log(JSON.stringify(await measure(await bootOf(), Number(events))));
