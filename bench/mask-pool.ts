/**
 * What a mapping costs from the mask pool, as a range tree and by brute force, in pools of 2^8 to
 * 2^20 frames: empty, 90 % full, and for a device that reaches only the lowest eighth while
 * everything above lies in pieces.
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { median } from "./measure.ts";
import type { RunOptions } from "./run.ts";
import { digits, renderTable } from "./table.ts";

const METHODS = ["range tree", "buddy scan"] as const;
type Method = (typeof METHODS)[number];
const SHIFTS = [8, 10, 12, 14, 16, 18, 20];
const MAPPINGS = 1_000_000;
/** A full pool may cost so many times an empty one; of the range tree. */
const FULL_LIMIT = 4;

const Answer = z.object({
  emptyNs: z.number().positive(),
  fullNs: z.number().positive(),
  belowPiecesNs: z.number().positive(),
  refusedShare: z.number(),
  lost: z.number(),
});
type Answer = z.infer<typeof Answer>;

/** Prints the figures; false when a promise is broken. */
export function runMaskPool({ rounds, quick, say }: RunOptions): boolean {
  const mappings = quick ? MAPPINGS / 10 : MAPPINGS;
  const rows: string[][] = [];
  let lost = 0;
  let worst = 0;
  for (const shift of SHIFTS) {
    const byMethod = METHODS.map((method) => {
      const answers: Answer[] = [];
      for (let round = 1; round <= rounds; round++) {
        say(`round ${round}/${rounds}: ${method} of 2^${shift}`);
        answers.push(measureOnce(method, 2 ** shift, mappings));
      }
      lost += answers.reduce((sum, answer) => sum + answer.lost, 0);
      return { method, of: (key: keyof Answer) => middle(answers.map((answer) => answer[key])) };
    });
    for (const { method, of } of byMethod) {
      const ratio = of("fullNs") / of("emptyNs");
      if (method === "range tree") worst = Math.max(worst, ratio);
      rows.push([
        `2^${shift} ${method}`,
        digits(of("emptyNs")),
        digits(of("fullNs")),
        digits(ratio),
        `${(of("refusedShare") * 100).toFixed(1)} %`,
        digits(of("belowPiecesNs")),
      ]);
    }
  }
  const head = ["", "empty", "90 % full", "ratio", "refused", "below pieces"];
  console.log(renderTable("mask pool: ns a mapping, taken and given back", [head, ...rows]));
  const isFast = worst <= FULL_LIMIT;
  console.log(
    renderTable("promises", [
      [
        "range tree, 90 % full / empty, at most",
        digits(FULL_LIMIT),
        digits(worst),
        verdict(isFast),
      ],
      ["frames lost", "0", String(lost), verdict(lost === 0)],
    ]),
  );
  return isFast && lost === 0;
}

function verdict(holds: boolean): string {
  return holds ? "ok" : "NO";
}

function middle(values: readonly number[]): number {
  return median([...values].sort((a, b) => a - b));
}

function measureOnce(method: Method, frames: number, mappings: number): Answer {
  const worker = fileURLToPath(new URL("mask-pool-worker.ts", import.meta.url));
  const args = [worker, method, String(frames), String(mappings)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${method} ended with ${status}: ${stderr.trim()}`);
  return Answer.parse(JSON.parse(stdout));
}
