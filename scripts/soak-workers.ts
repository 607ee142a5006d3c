/**
 * A long life of workers on one memory:
 *
 *   npm run soak:workers -- [--ops 1e7] [--kills 1000]
 *
 * Four workers that allocate, free and exchange pages where memory is short, `--ops` operations in
 * all; then rounds in which one of four is terminated in the middle of it, `--kills` of them. What
 * must hold is what the tests say (test/support/share-life.ts). Progress goes to standard error.
 * Exits with 1 when something does not hold, with 2 for a wrong option.
 */
import process from "node:process";
import { ended, killRound, machine, planFor, settle, start } from "../test/support/share-life.ts";
import { numberOptions } from "./number-options.ts";

const WORKERS = 4;

const given = numberOptions({ ops: "1e7", kills: "1000" });
if (typeof given === "string") {
  process.stderr.write(`${given}\n`);
  process.exitCode = 2;
} else await soak(given.ops, given.kills);

async function soak(ops: number, kills: number): Promise<void> {
  for (const era of ["2.6", "5.10", "6.1", "6.12"]) {
    const m = machine(era, WORKERS + 1);
    const plans = planFor(m, WORKERS + 1, Math.ceil(ops / WORKERS / 4), 17);
    await Promise.all(plans.map((plan) => ended(start(plan))));
    settle(m, plans);
    process.stderr.write(`${era}: ${ops / 4} operations, nothing lost\n`);
  }
  for (let round = 1; round <= kills; round++) {
    await killRound(round);
    if (round % 50 === 0)
      process.stderr.write(`${round} of ${kills} workers terminated, nothing lost\n`);
  }
}
