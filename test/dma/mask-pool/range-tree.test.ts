// Goal: the bits of a word are counted right. Method: every run of every place, and random words,
// beside their text.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { longestRun, runAtHigh, runAtLow } from "../../../src/dma/mask-pool/range-tree-runs.ts";

function check(word: number): void {
  const text = (word >>> 0).toString(2).padStart(32, "0");
  const runs = text.split("0").map((run) => run.length);
  expect.equal(longestRun(word), Math.max(...runs), text);
  expect.equal(runAtHigh(word), runs[0], text);
  expect.equal(runAtLow(word), runs.at(-1), text);
}

test("runs of a word", () => {
  for (let from = 0; from < 32; from++) {
    for (let length = 0; from + length <= 32; length++) {
      const run = length === 32 ? -1 : ((1 << length) - 1) << from;
      check(run);
      check(~run);
      check(run | 1);
    }
  }
  fc.assert(fc.property(fc.integer(), check), { numRuns: 2000 });
  fc.assert(
    fc.property(fc.integer(), fc.integer(), (a, b) => {
      check(a & b);
      check(a | b);
    }),
    { numRuns: 2000 },
  );
});
