// Goal: a soak with a wrong option says so in one line and exits with 2, as its head promises. Method: both
// soaks run with options that are unknown, no numbers, or too small.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { test } from "node:test";

for (const script of ["soak-pressure", "soak-workers"]) {
  test(`${script}: a wrong option`, () => {
    for (const [option, message] of [
      ["--bogus", /Unknown option '--bogus'/],
      ["--ops=many", /--ops is a whole number above 0, many is not/],
      ["--ops=-5", /--ops is a whole number above 0, -5 is not/],
    ] as const) {
      const { status, stderr } = spawnSync(process.execPath, [`scripts/${script}.ts`, option], {
        encoding: "utf8",
      });
      assert.equal(status, 2, stderr);
      assert.match(stderr, message);
      assert.equal(stderr.trim().split("\n").length, 1);
    }
  });
}
