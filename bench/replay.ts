/**
 * What replay costs: events a second of the text reader and of the engine, and what a recording of
 * ten million events takes in memory beside one of a million.
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { z } from "zod";
import { workerPath } from "./bundle.ts";
import { median } from "./measure.ts";
import type { RunOptions } from "./run.ts";
import { digits, renderTable } from "./table.ts";

const RATE_EVENTS = 2_000_000;
const SHORT = 1_000_000;
const LONG = 10_000_000;
const MIB = 2 ** 20;

const Rate = z.object({ events: z.number().positive(), ms: z.number().positive() });
const Peak = z.object({ events: z.number().positive(), peakBytes: z.number().positive() });

/** Prints each promise with what was measured; false when one is broken. */
export function runReplay({ rounds, quick, say }: RunOptions): boolean {
  const rates = { text: [] as number[], engine: [] as number[] };
  const events = quick ? RATE_EVENTS / 4 : RATE_EVENTS;
  for (let round = 1; round <= rounds; round++) {
    for (const name of ["text", "engine"] as const) {
      say(`round ${round}/${rounds}: replay, ${name}`);
      const { events: done, ms } = Rate.parse(runOnce(name, events));
      rates[name].push(done / ms / 1000);
    }
  }
  const cells = [
    rateRow("text reader", 1, rates.text),
    rateRow("engine, blind run from memory", 5, rates.engine),
  ];
  if (!quick) cells.push(...memoryRows(say));
  console.log(renderTable("replay", [["", "median", "best", "promise", ""], ...cells]));
  return cells.every((row) => row.at(-1) !== "NO");
}

function rateRow(what: string, least: number, values: readonly number[]): string[] {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = median(sorted);
  const verdict = middle >= least ? "ok" : "NO";
  const promise = `at least ${least} M events/s`;
  return [what, digits(middle), digits(sorted.at(-1) ?? 0), promise, verdict];
}

/** Both runs, with a repair at nearly every event: the worst case. */
function memoryRows(say: RunOptions["say"]): string[][] {
  const peak = (events: number): number => {
    say(`replay, memory of ${events} events`);
    return Peak.parse(runOnce("memory", events)).peakBytes / MIB;
  };
  const short = peak(SHORT);
  const long = peak(LONG);
  const ratio = long / short;
  const verdict = ratio <= 1.5 ? "ok" : "NO";
  return [
    ["peak MiB, 1 M events", digits(short), "", "", ""],
    ["peak MiB, 10 M events", digits(long), "", "", ""],
    ["the one of the other", digits(ratio), "", "at most 1.5", verdict],
  ];
}

function runOnce(name: string, events: number): unknown {
  const args = [workerPath("replay-worker"), name, String(events)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`replay ${name} ended with ${status}: ${stderr.trim()}`);
  return JSON.parse(stdout);
}
