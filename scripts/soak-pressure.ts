/**
 * A long life under pressure:
 *
 *   npm run soak:pressure -- [--ops 1e7] [--seed 1] [--every 1000]
 *
 * Pages are made, written, read, dropped, pinned, locked, owned, lent by CMA, swapped, moved and
 * compacted on small machines of each era, `--ops` steps in all. Every read must find what was
 * written; every `--every` steps all invariants are checked. Progress goes to standard error. Exits
 * with 1 when something does not hold (the seed repeats it), with 2 for a wrong option.
 */
import process from "node:process";
import { Dice } from "../test/support/dice.ts";
import { drawStep, machine, Reference } from "../test/support/pressure-life.ts";
import { numberOptions } from "./number-options.ts";

const ERAS = ["2.6", "5.10", "6.1", "6.12"];

const given = numberOptions({ ops: "1e7", seed: "1", every: "1000" });
if (typeof given === "string") {
  process.stderr.write(`${given}\n`);
  process.exitCode = 2;
} else {
  const { ops, seed, every } = given;
  for (const era of ERAS) soak(era, Math.ceil(ops / ERAS.length), seed, every);
}

function soak(era: string, steps: number, seed: number, every: number): void {
  const reference = new Reference(machine(era, 600, true));
  const dice = new Dice(seed);
  for (let i = 1; i <= steps; i++) {
    reference.run(drawStep(dice));
    if (i % every === 0) reference.check();
    if (i % 500_000 === 0) process.stderr.write(`${era}: ${i} of ${steps} steps\n`);
  }
  reference.end();
  process.stderr.write(
    `${era}: ${steps} steps, every page read back: ${JSON.stringify(reference.life.pages.counts)}\n`,
  );
}
