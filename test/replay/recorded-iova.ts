// What a recording of the corpus says about addresses behind an IOMMU, and the engine's score.
import { ftraceReader } from "../../src/formats/ftrace.ts";
import { readText } from "../../src/formats/reader.ts";
import {
  IovaCalls,
  type IovaEvidence,
  type IovaScore,
  iovaEvidence,
  type MachineFacts,
  scoreIova,
} from "../../src/replay/index.ts";
import { traceFiles } from "../support/corpus.ts";

export interface RecordedIova {
  readonly calls: IovaCalls;
  readonly evidence: IovaEvidence;
}

export function iovaCalls(
  name: string,
  { upstream, cpus }: Pick<MachineFacts, "upstream" | "cpus">,
): RecordedIova {
  const files = traceFiles(name);
  const calls = new IovaCalls();
  readText(ftraceReader(calls.sink), files.get("trace.txt") ?? "");
  const evidence = iovaEvidence(upstream, cpus, {
    groups: files.get("before/iommu_groups") ?? null,
    log: files.get("before/dmesg") ?? null,
    config: files.get("config") ?? null,
  });
  return { calls, evidence };
}

/** null where nothing asked an IOMMU for addresses. */
export function recordedIova(
  name: string,
  facts: Pick<MachineFacts, "upstream" | "cpus">,
): IovaScore | null {
  const text = traceFiles(name).get("trace.txt") ?? "";
  if (!text.includes("alloc_iova_fast")) return null;
  const { calls, evidence } = iovaCalls(name, facts);
  return scoreIova(calls, evidence);
}
