// A guard against work that grows out of all proportion: it would take minutes where it takes a
// fraction of a second. Not a benchmark: the bound is a hundred times what a slow machine needs.
import { strict as assert } from "node:assert";

const CPU_SECONDS = 30;

/** Runs `work` and asserts that it did not run away. */
export function bounded(work: () => void, what = "this"): void {
  const started = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(started);
  const seconds = (user + system) / 1e6;
  assert.ok(seconds < CPU_SECONDS, `${what} took ${seconds} s of CPU time`);
}
