// Goal: the scenarios come to what docs/scenarios.md says, and their figures say what is claimed of
// them. Method: each is run once; the page is made again and compared; then what must hold whatever
// the exact numbers are.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SCENARIOS } from "../../examples/scenarios/index.ts";
import type { Outcome } from "../../examples/scenarios/scenario.ts";
import { scenarioPage } from "../../scripts/scenarios.ts";

const OUTCOMES = SCENARIOS.map((scenario) => ({ scenario, outcome: scenario.run() }));

function outcomeOf(name: string): Outcome {
  const found = OUTCOMES.find(({ scenario }) => scenario.name === name);
  assert.ok(found !== undefined, name);
  return found.outcome;
}

/** A number by the words that its row starts with, and its column. */
function figure(name: string, column: string, ...row: readonly string[]): number {
  const { head, rows } = outcomeOf(name);
  const found = rows.find((cells) => row.every((word, i) => cells[i] === word));
  const cell = found?.[head.indexOf(column)];
  assert.ok(typeof cell === "number", `${name}: ${row.join(", ")}: ${column}`);
  return cell;
}

test("docs/scenarios.md is what they come to", () => {
  const page = readFileSync(new URL("../../docs/scenarios.md", import.meta.url), "utf8");
  assert.equal(page, scenarioPage(OUTCOMES), "run node scripts/scenarios.ts --write");
});

test("pinned pages: a reserve, moving pages or a pool, each does it; nothing does not", () => {
  const got = (way: string): number => figure("pinned-pages", "buffers of 64", way);
  assert.ok(got("no reserve") < 32);
  for (const way of ["no reserve, migration", "reserve 1/256", "reserve 1/32"])
    assert.equal(got(way), 64, way);
  assert.equal(got("mask pool 4 MiB"), 63);
  assert.ok(figure("pinned-pages", "moved", "no reserve, migration") > 64);
  assert.match(outcomeOf("pinned-pages").verdict, /\(0 lost their bytes\)/);
});

test("idle reserve: it grows with RAM, a pool does not", () => {
  const idle = (gib: number, way: string): number =>
    figure("idle-reserve", "idle in all", `${gib} GiB`, way);
  assert.ok(idle(64, "lowmem_reserve") > 60 * idle(1, "lowmem_reserve"));
  const alone = "mask pool 64 MiB alone";
  assert.ok(idle(64, alone) - idle(1, alone) < 64);
  for (const gib of [1, 4, 8, 16, 64]) {
    const got = (way: string): number => figure("idle-reserve", "buffers of 16", `${gib} GiB`, way);
    assert.equal(got("no reserve"), 0);
    for (const way of ["lowmem_reserve", "mask pool 4 MiB", alone]) assert.equal(got(way), 16, way);
  }
});
