// Goal: the allocator, headroom and the judging of reports compare by one rule of each release.
// Method: the rule at the edges of its changes, and that each of the three takes it from there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { watermarkRuleOf } from "../../src/kernels/watermark.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { explainOne } from "../explain/explain.ts";
import { reportLines } from "../support/reports.ts";

const RELEASES = "2.6.18 2.6.37 2.6.38 2.6.39 3.2 3.3 3.10 4.3 4.4 4.19 5.8 5.9 6.1 6.3 6.12 6.18";

test("the rule changes with 2.6.38, 3.3, 4.4, 5.9 and 6.3", () => {
  const words = RELEASES.split(" ").map((release) => {
    const rule = watermarkRuleOf(release);
    assert.ok(rule !== null);
    const { watermark, lessFree, atomicSkipsBoost, harderAlone } = rule;
    return `${release} ${watermark} ${lessFree} ${atomicSkipsBoost} ${harderAlone}`;
  });
  assert.deepEqual(words, [
    "2.6.18 orders 0 false true",
    "2.6.37 orders 0 false true",
    "2.6.38 orders 2 false true",
    "2.6.39 orders 2 false true",
    "3.2 orders 2 false true",
    "3.3 orders 0 false true",
    "3.10 orders 0 false true",
    "4.3 orders 0 false true",
    "4.4 types 0 false true",
    "4.19 types 0 false true",
    "5.8 types 0 false true",
    "5.9 types 0 true true",
    "6.1 types 0 true true",
    "6.3 types 0 true false",
    "6.12 types 0 true false",
    "6.18 types 0 true false",
  ]);
  assert.equal(watermarkRuleOf("no release"), null);
});

test("a memory of a release has its rule", () => {
  for (const release of RELEASES.split(" ")) {
    const m = bootMemory({ era: release, zones: [{ name: "Normal", startPfn: 0, pages: 1024 }] });
    // The name of an era stands for a late release of its series.
    const { gfpVersion } = m.spec;
    assert.ok(gfpVersion.startsWith(release));
    assert.deepEqual(m.marks, watermarkRuleOf(gfpVersion), release);
  }
});

test("a report that names a release is judged by it: two pages decide", () => {
  const pageShort = (release: string, pages: number): number | null | undefined => {
    const zone = { name: "Normal", free: pages * 4, min: 4000, managed: 8_388_608 };
    const finding = explainOne(
      reportLines({
        header: "dd: page allocation failure. order:0, mode:0x4020",
        release: `${release}.0 #1`,
        zones: [{ ...zone, reserve: [0, 0, 0, 0], blocks: [[pages, ""]] }],
      }),
    );
    return finding.zones.find(({ name }) => name === "Normal")?.short;
  };
  // GFP_ATOMIC of then: a half and a quarter of the mark's 1000 pages off.
  const edge = 375;
  assert.deepEqual(
    ["2.6.37", "2.6.38", "3.2", "3.3"].map((release) => pageShort(release, edge + 2)),
    [0, 1, 1, 0],
  );
  assert.deepEqual(
    ["2.6.38", "3.2"].map((release) => pageShort(release, edge + 3)),
    [0, 0],
  );
});
