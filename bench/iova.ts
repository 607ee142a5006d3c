/**
 * What addresses behind an IOMMU cost: a block from the caches, from the tree with few and with many
 * blocks in it, beside a bitmap searched from the top; and whole mappings of a page.
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { z } from "zod";
import { workerPath } from "./bundle.ts";
import { median } from "./measure.ts";
import type { RunOptions } from "./run.ts";
import { digits, renderTable } from "./table.ts";

const OPERATIONS = 1e6;
/** Sixty times the blocks may cost this many times as much. */
const GROWTH = 6;

const Answer = z.object({
  cached: z.number().positive(),
  treeFew: z.number().positive(),
  treeMany: z.number().positive(),
  bitmapFew: z.number().positive(),
  bitmapMany: z.number().positive(),
  strict: z.number().positive(),
  lazy: z.number().positive(),
});
type Answer = z.infer<typeof Answer>;

/** Prints each promise with what was measured; false when one is broken. */
export function runIova({ rounds, quick, say }: RunOptions): boolean {
  const runs: Answer[] = [];
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round}/${rounds}: iova`);
    runs.push(runOnce(quick ? OPERATIONS / 4 : OPERATIONS));
  }
  const middle = (of: (run: Answer) => number): number =>
    median(runs.map(of).sort((a, b) => a - b));
  const growth = middle(({ treeMany, treeFew }) => treeMany / treeFew);
  const beside = middle(({ bitmapMany, treeMany }) => bitmapMany / treeMany);
  const ok = (holds: boolean): string => (holds ? "ok" : "NO");
  const holds = growth <= GROWTH && beside >= 1;
  console.log(
    renderTable("iova", [
      ["ns of CPU time, taken and given back", "median", "promise", ""],
      ["a page, from the caches", digits(middle((run) => run.cached)), "", ""],
      ["33 pages, 256 blocks in the tree", digits(middle((run) => run.treeFew)), "", ""],
      ["33 pages, 15 900 blocks: 97 % full", digits(middle((run) => run.treeMany)), "", ""],
      ["times as much", digits(growth), `at most ${GROWTH}`, ok(growth <= GROWTH)],
      ["the same from a bitmap, 256 blocks", digits(middle((run) => run.bitmapFew)), "", ""],
      ["the same from a bitmap, 97 % full", digits(middle((run) => run.bitmapMany)), "", ""],
      ["bitmap / tree there", digits(beside), "at least 1", ok(beside >= 1)],
      ["a page mapped and unmapped, strict", digits(middle((run) => run.strict)), "", ""],
      ["a page mapped and unmapped, lazy", digits(middle((run) => run.lazy)), "", ""],
    ]),
  );
  return holds;
}

function runOnce(operations: number): Answer {
  const args = [workerPath("iova-worker"), String(operations)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`iova ended with ${status}: ${stderr.trim()}`);
  return Answer.parse(JSON.parse(stdout));
}
