// Recordings of corpus/dma as a replay of DMA takes them.
import { ok } from "node:assert/strict";
import { readCapture } from "../../../src/formats/capture.ts";
import { ftraceReader } from "../../../src/formats/ftrace.ts";
import { probeReader } from "../../../src/formats/ftrace-probe.ts";
import { readText } from "../../../src/formats/reader.ts";
import {
  type DmaCall,
  DmaCollector,
  type DmaFacts,
  type DmaReplay,
  type DmaSources,
  dmaFacts,
  dmaSources,
  replayDma,
  type SwiotlbChange,
} from "../../../src/replay/index.ts";
import { dmaFiles } from "../../support/corpus.ts";

export interface RecordedDma {
  readonly facts: DmaFacts;
  readonly sources: DmaSources;
  readonly calls: readonly DmaCall[];
}

/** `keep` chooses lines of the trace. */
export async function recordedDma(
  name: string,
  keep: (line: string) => boolean = () => true,
): Promise<RecordedDma> {
  const files = dmaFiles(name);
  const start = await captureOf(files, "before/");
  const end = await captureOf(files, "after/");
  const text = (files.get("trace.txt") ?? "").split("\n").filter(keep).join("\n");
  const probes = readText(probeReader(), files.get("kprobe_events") ?? "").value;
  const read = (sources: DmaSources | null): DmaCollector => {
    const collector = new DmaCollector(sources, "before", "after");
    readText(ftraceReader(collector.sink, { probes }), text);
    return collector;
  };
  const sources = dmaSources(read(null).names);
  const texts = { drivers: files.get("drivers.txt") ?? null, pci: files.get("pci.txt") ?? null };
  const zones = (start.zoneinfo?.zones ?? []).map(({ name: zone, startPfn, spanned }) => ({
    name: zone,
    startPfn: startPfn ?? 0,
    spanned,
  }));
  const upstream = start.version?.numbers.join(".") ?? "";
  const facts = dmaFacts(upstream, start, end, texts, zones);
  ok(facts !== null, `${name}: facts`);
  return { facts, sources, calls: read(sources).end() };
}

async function captureOf(files: ReadonlyMap<string, string>, below: string) {
  const paths = [...files.keys()].filter((path) => path.startsWith(below));
  const { value } = await readCapture({
    name: below,
    paths: paths.map((path) => path.slice(below.length)),
    async *open(path: string): AsyncIterable<string> {
      yield files.get(`${below}${path}`) ?? "";
    },
  });
  return value;
}

async function* blocksOf(calls: readonly DmaCall[]): AsyncIterable<readonly DmaCall[]> {
  for (let at = 0; at < calls.length; at += 1000) yield calls.slice(at, at + 1000);
}

export async function runDma(
  { facts, sources, calls }: RecordedDma,
  whatIf: SwiotlbChange | null = null,
): Promise<DmaReplay> {
  const { value } = await replayDma({ facts, sources, calls: blocksOf(calls), whatIf });
  ok(value !== null);
  return value;
}
