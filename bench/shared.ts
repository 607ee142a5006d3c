/**
 * What it costs that several workers may use a memory: one worker on shared memory beside the
 * one-thread engine (S / T), and two workers beside one, apart and freeing each other's pages,
 * beside one lock around everything.
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { z } from "zod";
import { workerPath } from "./bundle.ts";
import { measure, median } from "./measure.ts";
import { ENGINE, scriptPeer } from "./peers.ts";
import type { RunOptions } from "./run.ts";
import { digits, ratiosTable, renderTable, timesTable } from "./table.ts";
import { WORKLOADS, type Workload } from "./workloads.ts";

const SHARED = `${ENGINE}-shared`;
/** S / T, at most: must, goal. */
const LIMITS: Readonly<Record<Workload, number>> = {
  W1: 1.6,
  W2: 1.3,
  W2b: 1.5,
  W3: 1.3,
  W4: 2,
  W5: 3.5,
};
const Answer = z.object({ ns: z.number().positive() });

/** Workers, frees of a hundred that cross, one lock around everything. */
const CASES = {
  one: [1, 0, 0],
  two: [2, 0, 0],
  "two, half crossing": [2, 50, 0],
  "two, one lock": [2, 0, 1],
} as const;
type Case = keyof typeof CASES;

/** Prints each promise with what was measured; false when one is broken. */
export function runShared({ rounds, quick, say }: RunOptions): boolean {
  const peers = [scriptPeer(ENGINE), scriptPeer(SHARED)];
  const measured = measure({ peers, workloads: WORKLOADS, rounds, quick, say });
  console.log(timesTable(measured, WORKLOADS));
  console.log(ratiosTable(measured, WORKLOADS, SHARED));
  const verdicts = WORKLOADS.map((workload) => {
    const [shared, alone] = [SHARED, ENGINE].map(
      (peer) => measured.find((own) => own.peer === peer && own.workload === workload)?.median,
    );
    const ratio = shared === undefined || alone === undefined ? Number.NaN : shared / alone;
    return { what: `S / T ${workload}`, ratio, limit: LIMITS[workload], atLeast: false };
  });
  const times = timesOf(rounds, quick, say);
  const two = times("two");
  verdicts.push(
    { what: "two workers / one", ratio: two / times("one"), limit: 1.6, atLeast: false },
    {
      what: "two workers, half of the frees crossing / one",
      ratio: times("two, half crossing") / times("one"),
      limit: 2.5,
      atLeast: false,
    },
    {
      what: "one lock around everything / two workers",
      ratio: times("two, one lock") / two,
      limit: 3,
      atLeast: true,
    },
  );
  const rows = verdicts.map(({ what, ratio, limit, atLeast }) => {
    const holds = atLeast ? ratio >= limit : ratio <= limit;
    return [
      what,
      digits(ratio),
      `${atLeast ? "at least" : "at most"} ${limit}`,
      holds ? "ok" : "NO",
    ];
  });
  const all = Object.keys(CASES).map((name) => [name, digits(times(name as Case))]);
  console.log(renderTable("ns a pair of free and allocation, median", all));
  console.log(renderTable("shared memory", rows));
  return rows.every((row) => row.at(-1) === "ok");
}

/** Medians of all cases, run in turn. */
function timesOf(rounds: number, quick: boolean, say: (text: string) => void) {
  const times = new Map<string, number[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const [name, args] of Object.entries(CASES)) {
      say(`round ${round}/${rounds}: ${name}`);
      const all = [workerPath("shared-worker"), ...args, quick ? 1e6 : 4e6].map(String);
      const { stdout } = spawnSync(process.execPath, all, { encoding: "utf8", timeout: 120_000 });
      times.set(name, [...(times.get(name) ?? []), Answer.parse(JSON.parse(stdout)).ns]);
    }
  }
  return (name: Case): number => median([...(times.get(name) ?? [])].sort((a, b) => a - b));
}
