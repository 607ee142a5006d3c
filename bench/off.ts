/**
 * What events and bytes cost where nobody wants them: the engine whole, with neither switched on,
 * beside one that has neither.
 */
import { workerPath } from "./bundle.ts";
import { type Measured, measure } from "./measure.ts";
import { ENGINE, type Peer, scriptPeer } from "./peers.ts";
import type { RunOptions } from "./run.ts";
import { digits, renderTable } from "./table.ts";
import { WORKLOADS, type Workload } from "./workloads.ts";

/** Of all workloads together: one alone differs by more from run to run. */
const LIMIT = 1.05;

/** Prints whole / bare; false when that is too much, or could not be measured. */
export function runOff({ rounds, quick, workloads, say }: RunOptions): boolean {
  const wanted = workloads.length === 0 ? WORKLOADS : workloads;
  const peers = [
    peer("whole", workerPath("worker-whole")),
    peer("bare", workerPath("worker-bare")),
  ];
  const measured = measure({ peers, workloads: wanted, rounds, quick, say });
  const rows = (["median", "min"] as const).map((kind) => {
    const ratios = wanted.map((workload) => ratio(measured, workload, kind));
    return { kind, ratios, mean: geometricMean(ratios) };
  });
  const isMeasured = rows.every(({ mean }) => Number.isFinite(mean));
  const holds = rows.every(({ mean }) => mean <= LIMIT);
  const cells = rows.map(({ kind, ratios, mean }) => {
    const verdict = `${LIMIT} ${mean <= LIMIT ? "ok" : "NO"}`;
    return [
      `of ${kind === "min" ? "minima" : "medians"}`,
      ...[...ratios, mean].map(digits),
      verdict,
    ];
  });
  const title = "events and bytes off: time with them / without them";
  console.log(renderTable(title, [["", ...wanted, "mean", "at most"], ...cells]));
  return isMeasured && holds;
}

function peer(name: string, path: string): Peer {
  return { ...scriptPeer(ENGINE), name, args: [path, ENGINE] };
}

function ratio(measured: readonly Measured[], workload: Workload, kind: "median" | "min"): number {
  const of = (name: string): number =>
    measured.find((entry) => entry.peer === name && entry.workload === workload)?.[kind] ??
    Number.NaN;
  return of("whole") / of("bare");
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
