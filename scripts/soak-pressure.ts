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
import { CMA_PAGES, machine, Reference, type Step } from "../test/support/pressure-life.ts";

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
let state = Number(values.seed) | 0 || 1;
if ([ops, every, Number(values.seed)].every((value) => Number.isSafeInteger(value) && value > 0)) {
  for (const era of ERAS) soak(era, Math.ceil(ops / ERAS.length));
} else {
  console.error("--ops, --seed and --every are whole numbers above 0");
  process.exitCode = 2;
}

/** xorshift32: an integer below `below`. */
function draw(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}

function step(): Step {
  const at = draw(2 ** 30);
  switch (draw(26)) {
    case 24:
      return draw(4) === 0 ? { offline: at } : { online: at };
    case 25:
      return { online: at };
    case 0:
    case 1:
      return { make: draw(2) === 0 ? "anon" : "file", count: 1 + draw(4) };
    case 2:
    case 3:
      return { drop: at };
    case 4:
      return { pin: at };
    case 5:
    case 6:
      return { unpin: at };
    case 7:
      return { lock: at };
    case 8:
    case 9:
      return { unlock: at };
    case 10:
      return { kernel: draw(5), atomic: draw(2) === 0 };
    case 11:
    case 12:
      return { free: at };
    case 13:
      return { own: draw(3) };
    case 14:
      return { disown: at };
    case 15:
      return { cma: 1 + draw(CMA_PAGES), align: draw(6) };
    case 16:
    case 17:
      return { release: at };
    case 18:
      return draw(20) === 0 ? { compact: draw(8) - 1 } : "kswapd";
    case 19:
    case 20:
      return { write: at };
    default:
      return { read: at };
  }
}

function soak(era: string, steps: number): void {
  const reference = new Reference(machine(era, 600, true));
  for (let i = 1; i <= steps; i++) {
    reference.run(step());
    if (i % every === 0) reference.check();
    if (i % 500_000 === 0) process.stderr.write(`${era}: ${i} of ${steps} steps\n`);
  }
  reference.end();
  process.stderr.write(
    `${era}: ${steps} steps, every page read back: ${JSON.stringify(reference.life.pages.counts)}\n`,
  );
}
