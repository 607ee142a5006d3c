/**
 * A long life of workers under pressure on one memory:
 *
 *   npm run soak:shared -- [--ops 1e7] [--kills 1000] [--seed 17]
 *
 * Four workers that make, write, read, move, put away, pin, pass on and drop pages of each other where
 * memory is short, `--ops` steps in all; then rounds in which one of four is terminated in the middle
 * of it, and the others later, `--kills` of them. What must hold is what the tests say
 * (test/support/share-pages-life.ts). Progress goes to standard error. Exits with 1 when something does
 * not hold, with 2 for a wrong option.
 */
import process from "node:process";
import { endOf, herd, killRound, settle, start } from "../test/support/share-pages-life.ts";
import { numberOptions } from "./number-options.ts";

const WORKERS = 4;
const ERAS = ["2.6", "2.6.39", "3.10", "5.10", "6.1", "6.12"];

const given = numberOptions({ ops: "1e7", kills: "1000", seed: "17" });
if (typeof given === "string") {
  process.stderr.write(`${given}\n`);
  process.exitCode = 2;
} else await soak(given.ops, given.kills, given.seed);

async function soak(ops: number, kills: number, seed: number): Promise<void> {
  const steps = Math.ceil(ops / WORKERS / ERAS.length);
  for (const era of ERAS) {
    const own = herd(era, WORKERS + 1, steps, seed, false);
    const counts = await Promise.all(own.plans.map((plan) => endOf(start(plan))));
    settle(own);
    process.stderr.write(`${era}: ${steps * WORKERS} steps, every page read back\n`);
    for (const one of counts) process.stderr.write(`  ${JSON.stringify(one)}\n`);
  }
  for (let round = 1; round <= kills; round++) {
    await killRound(ERAS[round % ERAS.length] ?? "6.1", seed + round);
    if (round % 50 === 0)
      process.stderr.write(`${round} of ${kills} workers terminated, nothing lost\n`);
  }
}
