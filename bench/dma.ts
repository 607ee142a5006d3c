/**
 * What a mapping costs: beside bare function calls where the buffer is in reach, beside
 * Uint8Array.set where it bounces.
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { z } from "zod";
import { workerPath } from "./bundle.ts";
import { median } from "./measure.ts";
import type { RunOptions } from "./run.ts";
import { digits, renderTable } from "./table.ts";

const MAPS = 2e6;
const CALLS = 15;
const COPY = 0.8;
const COPIES = ["64 KiB to the device", "64 KiB both ways", "256 KiB to the device"];

const Answer = z.object({
  bare: z.number().positive(),
  called: z.number().positive(),
  map: z.number().positive(),
  ring: z.number().positive(),
  watched: z.number().positive(),
  list: z.number().positive(),
  copies: z.array(z.number().positive()),
  left: z.literal(0),
});
type Answer = z.infer<typeof Answer>;

/** Prints each promise with what was measured; false when one is broken. */
export function runDma({ rounds, quick, say }: RunOptions): boolean {
  const runs: Answer[] = [];
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round}/${rounds}: dma`);
    runs.push(runOnce(quick ? MAPS / 4 : MAPS));
  }
  const middle = (of: (run: Answer) => number): number =>
    median(runs.map(of).sort((a, b) => a - b));
  const ns = (what: string, of: (run: Answer) => number): string[] => {
    return [what, digits(middle(of)), "", ""];
  };
  const times = middle(({ ring, bare }) => ring / bare);
  const copies = COPIES.map((what, i) => ({ what, speed: middle((run) => run.copies[i] ?? 0) }));
  const ok = (holds: boolean): string => (holds ? "ok" : "NO");
  console.log(
    renderTable("dma", [
      ["", "median", "promise", ""],
      ns("ns two bare calls", (run) => run.bare),
      ns("ns two calls that are made", (run) => run.called),
      ns("ns map and unmap", (run) => run.map),
      ns("ns the same, 256 mapped", (run) => run.ring),
      ["times two bare calls", digits(times), `at most ${CALLS}`, ok(times <= CALLS)],
      ns("ns with the debugger", (run) => run.watched),
      ns("ns an entry of a list", (run) => run.list),
      ...copies.map(({ what, speed }) => {
        return [
          `${what}, of the speed of set`,
          digits(speed),
          `at least ${COPY}`,
          ok(speed >= COPY),
        ];
      }),
    ]),
  );
  return times <= CALLS && copies.every(({ speed }) => speed >= COPY);
}

function runOnce(maps: number): Answer {
  const args = [workerPath("dma-worker"), String(maps)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`dma ended with ${status}: ${stderr.trim()}`);
  return Answer.parse(JSON.parse(stdout));
}
