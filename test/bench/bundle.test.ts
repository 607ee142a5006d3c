// Goal: what is measured as "switched off" really lacks it. Method: bundle both, look for its traces,
// and let both do the same work.
import { doesNotMatch, equal, match } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { bundleWorkers, workerPath } from "../../bench/bundle.ts";

test("the bare engine has neither events nor bytes, and does the same", async () => {
  await bundleWorkers(["worker-whole", "worker-bare"]);
  const traces = /\bevents\?\.|\bevents\.|zeroPages\(m/;
  match(readFileSync(workerPath("worker-whole"), "utf8"), traces);
  doesNotMatch(readFileSync(workerPath("worker-bare"), "utf8"), traces);
  const endOf = (name: "worker-whole" | "worker-bare"): string => {
    const args = [workerPath(name), "zonewright", "W4", "65536", "100"];
    const { stdout } = spawnSync(process.execPath, args, { encoding: "utf8" });
    return stdout.replace(/"ns":\d+,/, "");
  };
  const whole = endOf("worker-whole");
  match(whole, /"held":[1-9]/);
  equal(endOf("worker-bare"), whole);
});
