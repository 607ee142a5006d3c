// Goal: the scenarios come to what docs/scenarios.md says, and their figures say what is claimed of
// them. Method: each is run once; the page is made again and compared; then what must hold whatever
// the exact numbers are.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SCENARIOS } from "../../examples/scenarios/index.ts";
import { canHaveRam } from "../../examples/scenarios/ram.ts";
import type { Outcome } from "../../examples/scenarios/scenario.ts";
import { scenarioPage } from "../../scripts/scenarios.ts";

/** RAM of 9 GiB of addresses is not to be had everywhere. */
const HAS_RAM = canHaveRam();
const options = HAS_RAM ? {} : { skip: "9 GiB of addresses are not to be had here" };
const OUTCOMES = (HAS_RAM ? SCENARIOS : []).map((scenario) => ({
  scenario,
  outcome: scenario.run(),
}));

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

test("docs/scenarios.md is what they come to", options, () => {
  const page = readFileSync(new URL("../../docs/scenarios.md", import.meta.url), "utf8");
  assert.equal(page, scenarioPage(OUTCOMES), "run node scripts/scenarios.ts --write");
});

test(
  "nvidia: zones alone run dry, swiotlb copies and stops at 256 KiB, the pool maps all",
  options,
  () => {
    const of = (column: string, way: string): number => figure("nvidia-card", column, way);
    const old = "2.6.9: ZONE_DMA only";
    assert.ok(of("shared of 384", old) < 256 && of("64 KiB of 512", old) === 0);
    for (const way of ["2.6.11: swiotlb", "6.1: ZONE_DMA32, swiotlb"]) {
      assert.deepEqual([of("64 KiB of 512", way), of("1 MiB of 16", way)], [512, 0]);
      assert.equal(of("copies", way), 512);
    }
    for (const way of ["2.6.18: ZONE_DMA32, asked for", "mask pool 16 MiB"])
      assert.deepEqual([of("64 KiB of 512", way), of("1 MiB of 16", way)], [512, 16], way);
    for (const way of outcomeOf("nvidia-card").rows.map(([name]) => String(name))) {
      const granted = ["shared of 384", "64 KiB of 512", "1 MiB of 16"].map((what) =>
        of(what, way),
      );
      assert.equal(
        of("right on bus", way),
        granted.reduce((sum, n) => sum + n),
        way,
      );
    }
  },
);

test("bounce sizes: slots end at 256 KiB, pages do not, and small buffers pay", options, () => {
  const { rows } = outcomeOf("bounce-sizes");
  const of = (size: string): readonly (string | number)[] =>
    rows.find(([own]) => own === size) ?? [];
  assert.deepEqual([of("256 KiB")[1], of("256 KiB")[3]], [64, 64]);
  assert.deepEqual([of("257 KiB")[1], of("257 KiB")[3]], [0, 63]);
  assert.deepEqual([of("4 MiB")[1], of("4 MiB")[3]], [0, 4]);
  assert.deepEqual([of("1.5 KiB")[1], of("1.5 KiB")[3]], [8192, 4096]);
});

test("a sound card: no zone fits, swiotlb is out of reach, the pool is not", options, () => {
  const of = (column: string, way: string): number => figure("sound-card", column, way);
  assert.equal(of("periods of 256", "DMA and DMA32, swiotlb"), 0);
  assert.equal(of("periods of 256", "mask pool 16 MiB"), 256);
  assert.equal(of("rings of 256", "mask pool 16 MiB"), 256);
  assert.ok(of("idle pages", "mask pool 16 MiB") < of("idle pages", "DMA and DMA32, swiotlb"));
});

test("even MiB: a zone is the first MiB at most, a pool any of them", options, () => {
  const of = (column: string, way: string): number => figure("even-mebibytes", column, way);
  assert.ok(of("buffers", "ZONE_DMA of 1 MiB") <= 16);
  assert.equal(of("buffers", "mask pool, 4 even MiB"), 63);
  assert.equal(of("refused", "mask pool, 4 even MiB"), 0);
  for (const way of ["no ZONE_DMA", "ZONE_DMA of 1 MiB", "mask pool, 4 even MiB"])
    assert.equal(of("read right", way), 64 - of("refused", way), way);
});

test("own memory: EXCLUSIVE never falls back, children only as proposed", options, () => {
  const { rows } = outcomeOf("own-memory");
  for (const [kernel, flags, own, main, refused, tape] of rows) {
    const isAlone = String(flags).includes("EXCLUSIVE") || kernel === "6.1";
    assert.equal(main, isAlone ? 0 : 4, `${kernel} ${flags}`);
    assert.equal(Number(own) + Number(main) + Number(refused), 20);
    assert.equal(tape, kernel === "as proposed" ? "the card's" : "main memory");
  }
});

test("two banks: regions and limits put every buffer right, nothing else does", options, () => {
  const wrong = (way: string): number => figure("two-banks", "wrong bank", way);
  assert.ok(wrong("nothing said") >= 12);
  for (const way of ["memory-region, two", "mask pool, by address"]) {
    assert.equal(wrong(way), 0);
    assert.equal(figure("two-banks", "on the bus", way), 48);
  }
});

test(
  "pinned pages: a reserve, moving pages or a pool, each does it; nothing does not",
  options,
  () => {
    const got = (way: string): number => figure("pinned-pages", "buffers of 64", way);
    assert.ok(got("no reserve") < 32);
    assert.ok(got("no reserve") < got("reserve 1/256") && got("reserve 1/256") < 64);
    for (const way of ["no reserve, migration", "reserve 1/256, migration", "reserve 1/32"])
      assert.equal(got(way), 64, way);
    assert.equal(got("mask pool 4 MiB"), 63);
    assert.ok(figure("pinned-pages", "moved", "no reserve, migration") > 64);
    assert.match(outcomeOf("pinned-pages").verdict, /\(0 lost their bytes\)/);
  },
);

test("idle reserve: it grows with RAM, a pool does not", options, () => {
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
