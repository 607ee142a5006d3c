// Replays the recordings of corpus/traces: what `npm run conformance` prints of them and what
// docs/fidelity.md says.
import { ok } from "node:assert/strict";
import {
  type IovaScore,
  isSame,
  type ListCount,
  type Replay,
  recordingOf,
  replay,
} from "../../src/replay/index.ts";
import { recorded } from "../replay/recorded.ts";
import { recordedIova } from "../replay/recorded-iova.ts";

export interface TraceScore {
  readonly name: string;
  readonly cpus: number;
  readonly replay: Replay;
  /** Addresses behind an IOMMU; null where none translated. */
  readonly iova: IovaScore | null;
}

export async function scoreTrace(name: string): Promise<TraceScore> {
  const { from, to, facts, events } = await recorded(name);
  const { value, issues } = await replay({ from, facts, recording: recordingOf(events, to) });
  ok(value !== null, JSON.stringify(issues));
  return { name, cpus: facts.cpus, replay: value, iova: recordedIova(name, facts) };
}

/**
 * Nothing differs: pages, refusals, and the order of every list. Of a start without lists: every
 * zone, blind too, and which pages are free at the end.
 */
export function isExact({ replay: { start, blind, repaired } }: TraceScore): boolean {
  const { score, comparison } = repaired;
  if (comparison === null || !isSame(comparison)) return false;
  if (start === "flags and counts") {
    const zones = [blind.score.zoneEqual, score.zoneEqual];
    return zones.every((equal) => equal === score.allocations) && comparison.freePages !== null;
  }
  const { pageblocks } = comparison;
  return score.firstMiss === null && pageblocks?.equal === pageblocks?.blocks;
}

/** Rows of the table, from the second run where there was one. */
export function traceTable(scores: readonly TraceScore[]): string[] {
  const rows = scores.map(({ name, cpus, replay: { blind, repaired, facts } }) => {
    const { score, comparison } = repaired;
    const inputs = counted({ ...score.inputs });
    const assumed = counted({ ...score.assumptions });
    const cells = [
      name,
      facts.era,
      cpus,
      score.events,
      pair(score.zoneEqual, score.allocations),
      pair(blind.score.pfnEqual, blind.score.allocations),
      pair(score.pfnEqual, score.allocations),
      pair(score.refills.equal, score.refills.recorded),
      pair(score.drains.equal, score.drains.recorded),
      listPair(comparison?.free),
      listPair(comparison?.pcp),
      inputs,
      assumed,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const head =
    "trace, kernel, CPUs, events, zone, page blind, page, refills, drains, free lists, per-CPU lists, told, assumed";
  const columns = head.split(", ");
  const line = columns.map((name) => (/^(trace|kernel|told|assumed)$/.test(name) ? "---" : "--:"));
  return [`| ${columns.join(" | ")} |`, `| ${line.join(" | ")} |`, ...rows];
}

function pair(equal: number, all: number): string {
  return `${equal}/${all}`;
}

/** A dash where no lists were told. */
function listPair(count: ListCount | null | undefined): string {
  return count === null || count === undefined ? "–" : pair(count.equal, count.lists);
}

function counted(counts: Readonly<Record<string, number>>): string {
  const words = Object.entries(counts).flatMap(([kind, count]) =>
    count === 0 ? [] : [`${kind} ${count}`],
  );
  return words.length === 0 ? "–" : words.join(", ");
}
