/**
 * What a large memory costs: booting 1 TiB, its first allocation, a snapshot of it untouched, the
 * bytes of a touched frame, and the same work (W3, W4) on 1 TiB as on 1 GiB.
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { z } from "zod";
import { workerPath } from "./bundle.ts";
import { measure, median } from "./measure.ts";
import { ENGINE, scriptPeer } from "./peers.ts";
import type { RunOptions } from "./run.ts";
import { digits, renderTable } from "./table.ts";

const TIB_FRAMES = 2 ** 28;
/** Enough for the growth to stand out of what the process grows by itself. */
const TOUCHED_FRAMES = 2 ** 22;
const MIB = 2 ** 20;
const LARGE = `${ENGINE} 1 TiB`;

const Answer = z.union([
  z.object({ skipped: z.string() }),
  z.object({
    bootMs: z.number(),
    bootBytes: z.number(),
    firstMs: z.number(),
    snapshotMs: z.number(),
    touchedBytes: z.number(),
    refused: z.literal(0),
  }),
]);
type Boot = Exclude<z.infer<typeof Answer>, { skipped: string }>;

interface Row {
  readonly what: string;
  readonly unit: string;
  readonly limit: number;
  readonly values: readonly number[];
}

/** Prints each promise with what was measured; false when one is broken. */
export function runBoot({ rounds, quick, say }: RunOptions): boolean {
  const boots: Boot[] = [];
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round}/${rounds}: boot`);
    const boot = bootOnce();
    if ("skipped" in boot) {
      say(`boot is left out: ${boot.skipped}\n`);
      return false;
    }
    boots.push(boot);
  }
  const frameBytes = boots.map(({ touchedBytes }) => touchedBytes / TOUCHED_FRAMES);
  const rows: Row[] = [
    { what: "1 TiB boots", unit: "ms", limit: 100, values: boots.map(({ bootMs }) => bootMs) },
    {
      what: "resident for it",
      unit: "MiB",
      limit: 64,
      values: boots.map(({ bootBytes }) => bootBytes / MIB),
    },
    { what: "first allocation", unit: "ms", limit: 1, values: boots.map(({ firstMs }) => firstMs) },
    {
      what: "snapshot, untouched",
      unit: "ms",
      limit: 50,
      values: boots.map(({ snapshotMs }) => snapshotMs),
    },
    { what: "a touched frame", unit: "bytes", limit: 12, values: frameBytes },
    ...largeWork(rounds, quick, say),
  ];
  const cells = rows.map(({ what, unit, limit, values }) => {
    const sorted = [...values].sort((a, b) => a - b);
    if (sorted.length === 0) return [what, "-", "-", `${limit} ${unit}`, ""];
    const middle = median(sorted);
    const verdict = middle <= limit ? "ok" : "NO";
    return [what, digits(middle), digits(sorted[0] ?? 0), `${limit} ${unit}`, verdict];
  });
  console.log(renderTable("boot", [["", "median", "min", "at most", ""], ...cells]));
  return cells.every((row) => row.at(-1) !== "NO");
}

function bootOnce(): z.infer<typeof Answer> {
  const args = [workerPath("boot-worker"), String(TIB_FRAMES), String(TOUCHED_FRAMES)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) return { skipped: `it ended with ${status}: ${stderr.trim().split("\n")[0]}` };
  return Answer.parse(JSON.parse(stdout));
}

/** W3 and W4 with the same frames in use, 1 TiB / 1 GiB, of medians. */
function largeWork(rounds: number, quick: boolean, say: RunOptions["say"]): Row[] {
  const small = scriptPeer(ENGINE);
  const large = { ...scriptPeer(ENGINE, [String(TIB_FRAMES)]), name: LARGE };
  const workloads = ["W3", "W4"] as const;
  const measured = measure({ peers: [small, large], workloads, rounds, quick, say });
  return workloads.map((workload) => {
    const of = (peer: string): number | undefined =>
      measured.find((entry) => entry.peer === peer && entry.workload === workload)?.median;
    const [there, here] = [of(LARGE), of(ENGINE)];
    const values = there === undefined || here === undefined ? [] : [there / here];
    return { what: `${workload} on 1 TiB / on 1 GiB`, unit: "times", limit: 1.5, values };
  });
}
