// Recorded traces of corpus/traces as a replay takes them, and their pfns shuffled.
import { ok } from "node:assert/strict";
import { bootLogReader } from "../../src/formats/boot-log-reader.ts";
import { readCapture } from "../../src/formats/capture.ts";
import { configReader } from "../../src/formats/config.ts";
import { ftraceReader } from "../../src/formats/ftrace.ts";
import { readText } from "../../src/formats/reader.ts";
import {
  type FlagTexts,
  factsOf,
  flagsSnapshot,
  type ListSnapshot,
  listSnapshot,
  type MachineFacts,
  type ReplayEvent,
  WindowCollector,
} from "../../src/replay/index.ts";
import { traceFiles } from "../support/corpus.ts";

export interface Recorded {
  readonly from: ListSnapshot;
  readonly to: ListSnapshot;
  readonly facts: MachineFacts;
  readonly events: readonly ReplayEvent[];
}

/** A trace of the corpus between its two snapshots. */
export async function recorded(name: string): Promise<Recorded> {
  const files = traceFiles(name);
  const from = snapshotOf(files, "before");
  const to = snapshotOf(files, "after");
  const names = [...files.keys()].filter((path) => path.startsWith("before/"));
  const capture = await readCapture({
    name,
    paths: names.map((path) => path.slice("before/".length)),
    async *open(path: string): AsyncIterable<string> {
      yield files.get(`before/${path}`) ?? "";
    },
  });
  const config = readText(configReader(), files.get("config") ?? "").value;
  const facts = factsOf(capture.value, from, config).value;
  ok(facts !== null, `${name}: facts`);
  const window = new WindowCollector("before", "after");
  readText(ftraceReader(window.sink), files.get("trace.txt") ?? "");
  ok(window.begun, `${name}: the window begins`);
  return { from, to, facts, events: window.take() };
}

export function snapshotOf(files: ReadonlyMap<string, string>, moment: string): ListSnapshot {
  if (!files.has(`${moment}/snap/freelists`)) return flagsOf(files, moment);
  const { value, issues } = listSnapshot({
    freelists: files.get(`${moment}/snap/freelists`) ?? "",
    pageblocks: files.get(`${moment}/snap/pageblocks`) ?? "",
    kpageflags: files.get(`${moment}/snap/kpageflags.rle`) ?? null,
  });
  ok(value !== null, JSON.stringify(issues));
  return value;
}

/** Where the kernel told no lists. */
function flagsOf(files: ReadonlyMap<string, string>, moment: string): ListSnapshot {
  const log = readText(bootLogReader(), files.get("before/dmesg") ?? "").value;
  const { value, issues } = flagsSnapshot(flagTexts(files, moment), log.cma);
  ok(value !== null, JSON.stringify(issues));
  return value;
}

export function flagTexts(files: ReadonlyMap<string, string>, moment: string): FlagTexts {
  const text = (name: string): string => files.get(`${moment}/snap/${name}`) ?? "";
  return {
    kpageflags: text("kpageflags.rle"),
    zoneinfo: text("zoneinfo"),
    pagetypeinfo: text("pagetypeinfo"),
    buddyinfo: text("buddyinfo"),
  };
}

/** Pages that the engine must find by itself: those of requests, refills, drains, fallbacks. */
const CHECKED: ReadonlySet<string> = new Set(["alloc", "refill", "drain", "extfrag", "vmap"]);

/** The events with the pfns of all checked ones passed through `change`. */
export function withPfns(
  events: readonly ReplayEvent[],
  change: (pfn: number) => number,
): ReplayEvent[] {
  return events.map((e) =>
    CHECKED.has(e.kind) ? { ...e, pfn: change(e.pfn), pages: e.pages.map(change) } : e,
  );
}
