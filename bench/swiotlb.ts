/**
 * How fast bounce buffers are found in a pool of 64 MiB, empty and nearly full, whether slots get
 * lost, and what copies cost beside Uint8Array.set.
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { z } from "zod";
import { workerPath } from "./bundle.ts";
import { median } from "./measure.ts";
import type { RunOptions } from "./run.ts";
import { digits, renderTable } from "./table.ts";

const MAPS = 1e6;

const Filled = z.object({
  ns: z.number().positive(),
  left: z.number(),
  refused: z.number().positive(),
  faults: z.number(),
});
const Answer = z.object({
  fill: Filled,
  fillAreas: Filled,
  empty: z.number().positive(),
  full: z.object({ ns: z.number().positive(), refused: z.number() }),
  copy64: z.number().positive(),
  copy256: z.number().positive(),
});
type Answer = z.infer<typeof Answer>;

/** Prints each promise with what was measured; false when one is broken. */
export function runSwiotlb({ rounds, quick, say }: RunOptions): boolean {
  const runs: Answer[] = [];
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round}/${rounds}: swiotlb`);
    runs.push(runOnce(quick ? MAPS / 4 : MAPS));
  }
  const middle = (of: (run: Answer) => number): number =>
    median(runs.map(of).sort((a, b) => a - b));
  const kept = runs.every(({ fill, fillAreas }) =>
    [fill, fillAreas].every(({ left, faults }) => left === 0 && faults === 0),
  );
  const ratio = middle(({ full, empty }) => full.ns / empty);
  const copy64 = middle((run) => run.copy64);
  const copy256 = middle((run) => run.copy256);
  const [first] = runs;
  const ok = (holds: boolean): string => (holds ? "ok" : "NO");
  console.log(
    renderTable("swiotlb", [
      ["", "median", "promise", ""],
      ["ns a mapping and its end, empty", digits(middle((run) => run.empty)), "", ""],
      ["ns at 90 % in use, refused ones too", digits(middle((run) => run.full.ns)), "", ""],
      ["times the cost of empty", digits(ratio), "at most 4", ok(ratio <= 4)],
      ["ns filled to failure and back", digits(middle((run) => run.fill.ns)), "", ""],
      ["ns the same with four areas", digits(middle((run) => run.fillAreas.ns)), "", ""],
      ["times filled", digits(first?.fill.refused ?? 0), "no slot lost", ok(kept)],
      ["64 KiB, of the speed of set", digits(copy64), "at least 0.8", ok(copy64 >= 0.8)],
      ["256 KiB, of the speed of set", digits(copy256), "at least 0.8", ok(copy256 >= 0.8)],
    ]),
  );
  return kept && ratio <= 4 && copy64 >= 0.8 && copy256 >= 0.8;
}

function runOnce(maps: number): Answer {
  const args = [workerPath("swiotlb-worker"), String(maps)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`swiotlb ended with ${status}: ${stderr.trim()}`);
  return Answer.parse(JSON.parse(stdout));
}
