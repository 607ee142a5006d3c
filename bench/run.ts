/**
 * How fast frames are allocated and freed: the engine beside C twins, npm packages and the floor.
 */
import { isBroken, judge } from "./budget.ts";
import { measure } from "./measure.ts";
import { ENGINE, findPeers } from "./peers.ts";
import { appendRecord, makeRecord, writeRecord } from "./record.ts";
import { budgetTable, ratiosTable, spreadTable, timesTable } from "./table.ts";
import { WORKLOADS, type Workload } from "./workloads.ts";

export interface RunOptions {
  readonly rounds: number;
  readonly quick: boolean;
  /** Names; all when empty. */
  readonly peers: readonly string[];
  readonly workloads: readonly Workload[];
  /** File for the whole record, or null. */
  readonly json: string | null;
  readonly say: (text: string) => void;
}

/** A full run has all peers, all workloads, and enough rounds to be kept. */
export const FULL_ROUNDS = 7;

/**
 * Measures, prints to standard output, keeps full runs. False when a line that must hold does not,
 * or the engine could not be measured.
 */
export function runFrames(options: RunOptions): boolean {
  const { rounds, quick, json, say } = options;
  const workloads = options.workloads.length === 0 ? WORKLOADS : options.workloads;
  const peers = findPeers(options.peers, say);
  const measured = measure({ peers, workloads, rounds, quick, say });
  const budget = judge(measured);
  const hasEngine = measured.some(({ peer }) => peer === ENGINE);
  console.log(timesTable(measured, workloads));
  if (hasEngine) console.log(ratiosTable(measured, workloads, ENGINE));
  console.log(spreadTable(measured, workloads));
  console.log(budgetTable(budget, workloads));
  const refused = measured.filter(({ fails }) => fails > 0);
  for (const { peer, workload, fails } of refused) {
    console.log(`${peer} refused ${fails} allocations of ${workload}`);
  }
  const record = makeRecord({ rounds, quick, measured, budget });
  if (json !== null) writeRecord(json, record);
  const isFull =
    hasEngine &&
    !quick &&
    rounds >= FULL_ROUNDS &&
    options.peers.length + options.workloads.length === 0;
  if (isFull) appendRecord(record);
  const isMissing = peers.some(({ name }) => name === ENGINE) && !hasEngine;
  return !isMissing && !isBroken(budget);
}
