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
import { parseArgs } from "node:util";
import { Dice } from "../test/support/dice.ts";
import { drawStep, machine, Reference } from "../test/support/pressure-life.ts";

const ERAS = ["2.6", "5.10", "6.1", "6.12"];

const { values } = parseArgs({
  options: {
    ops: { type: "string", default: "1e7" },
    seed: { type: "string", default: "1" },
    every: { type: "string", default: "1000" },
  },
});
const ops = Number(values.ops);
const every = Number(values.every);
if ([ops, every, Number(values.seed)].every((value) => Number.isSafeInteger(value) && value > 0)) {
  for (const era of ERAS) soak(era, Math.ceil(ops / ERAS.length));
} else {
  console.error("--ops, --seed and --every are whole numbers above 0");
  process.exitCode = 2;
}

function soak(era: string, steps: number): void {
  const reference = new Reference(machine(era, 600, true));
  const dice = new Dice(Number(values.seed));
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
