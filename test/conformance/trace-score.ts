// Replays the recordings of corpus/traces: what `npm run conformance` prints of them and what
// docs/fidelity.md says.
import { ok } from "node:assert/strict";
import { type Replay, recordingOf, replay } from "../../src/replay/index.ts";
import { recorded } from "../replay/recorded.ts";

export interface TraceScore {
  readonly name: string;
  readonly cpus: number;
  readonly replay: Replay;
}

export async function scoreTrace(name: string): Promise<TraceScore> {
  const { from, to, facts, events } = await recorded(name);
  const { value, issues } = await replay({ from, facts, recording: recordingOf(events, to) });
  ok(value !== null, JSON.stringify(issues));
  return { name, cpus: facts.cpus, replay: value };
}

/** Nothing differs: pages, refusals, and the order of every list. */
export function isExact({ replay: { repaired } }: TraceScore): boolean {
  const { score, comparison } = repaired;
  if (score.firstMiss !== null || comparison === null) return false;
  const { free, pcp, pageblocks } = comparison;
  return (
    free.equal === free.lists && pcp.equal === pcp.lists && pageblocks.equal === pageblocks.blocks
  );
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
      comparison === null ? "–" : pair(comparison.free.equal, comparison.free.lists),
      comparison === null ? "–" : pair(comparison.pcp.equal, comparison.pcp.lists),
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

function counted(counts: Readonly<Record<string, number>>): string {
  const words = Object.entries(counts).flatMap(([kind, count]) =>
    count === 0 ? [] : [`${kind} ${count}`],
  );
  return words.length === 0 ? "–" : words.join(", ");
}
