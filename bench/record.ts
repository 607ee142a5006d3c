/**
 * What is kept of a run: a line of `results.jsonl` for each full one. It says what was run on what,
 * and nothing about whose machine it was.
 */
import { spawnSync } from "node:child_process";
import { appendFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Line } from "./budget.ts";
import type { Measured } from "./measure.ts";

const file = fileURLToPath(new URL("results.jsonl", import.meta.url));

export interface RunRecord {
  readonly date: string;
  /** Short hash; with + when files differ from it. */
  readonly commit: string;
  readonly node: string;
  readonly cpu: string;
  readonly cpus: number;
  /** Processes that wanted a CPU over the last minute. */
  readonly load: number;
  readonly rounds: number;
  readonly quick: boolean;
  readonly measured: readonly Measured[];
  readonly budget: readonly Line[];
}

export function makeRecord(
  run: Pick<RunRecord, "rounds" | "quick" | "measured" | "budget">,
): RunRecord {
  const git = (...args: string[]): string =>
    spawnSync("git", args, { cwd: fileURLToPath(new URL(".", import.meta.url)), encoding: "utf8" })
      .stdout ?? "";
  const differs = git("status", "--porcelain", "--untracked-files=no") !== "";
  return {
    date: new Date().toISOString(),
    commit: `${git("rev-parse", "--short", "HEAD").trim()}${differs ? "+" : ""}`,
    node: process.version,
    cpu: cpus()[0]?.model ?? "unknown",
    cpus: availableParallelism(),
    load: Number((loadavg()[0] ?? 0).toFixed(1)),
    ...run,
  };
}

/** Writes the whole record; throws where the file cannot be written. */
export function writeRecord(path: string, record: RunRecord): void {
  writeFileSync(path, `${JSON.stringify(record, null, 2)}\n`);
}

/** One line: times in ns with three digits, by peer and workload. */
export function appendRecord({ measured, budget: _, ...about }: RunRecord): void {
  const times: { [peer: string]: { [workload: string]: number[] } } = {};
  for (const { peer, workload, median, min, max } of measured) {
    const ofPeer = times[peer] ?? {};
    ofPeer[workload] = [median, min, max].map((ns) => Number(ns.toPrecision(3)));
    times[peer] = ofPeer;
  }
  appendFileSync(file, `${JSON.stringify({ ...about, medianMinMax: times })}\n`);
}
