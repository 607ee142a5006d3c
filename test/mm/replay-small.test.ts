// Goal: the allocator answers what a kernel answered, page for page, and leaves the same lists in
// the same order. Method: two recorded boots from a snapshot of all lists to the next, two CPUs of
// 6.1 and an arm64 machine of 6.12; only requests and what is given back come from the recording.
import { AssertionError, deepEqual, equal, notDeepEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import { Z_FREE, ZONE_WORDS } from "../../src/mm/memory.ts";
import type { AllocatorRule } from "../../src/mm/rule.ts";
import { RULE_6_1, RULE_6_12 } from "../../src/mm/rule-eras.ts";
import { call, listsOf, openRecording, type Recording } from "./recorded.ts";

/** Runs all calls; returns how many requests were answered, and the first wrong answers. */
function run({ m, calls }: Recording): { requests: number; wrong: string[] } {
  let requests = 0;
  const wrong: string[] = [];
  for (const [i, line] of calls.entries()) {
    const { answer, expected } = call(m, line);
    if (expected !== "") requests++;
    if (answer !== expected) wrong.push(`call ${i}, ${line}: ${answer}`);
    if (wrong.length > 4) break;
  }
  return { requests, wrong };
}

for (const [name, rule, requests] of [
  ["boot-512M-smp2", RULE_6_1, 5361],
  ["boot-512M-arm64-6.12", RULE_6_12, 5785],
] as const) {
  test(`${name}: every page and the order of every list`, () => {
    const recording = openRecording(name);
    equal(recording.m.rule.name, rule.name);
    notDeepEqual(listsOf(recording.m, recording.end), new Map(recording.end));
    deepEqual(run(recording), { requests, wrong: [] });
    const lists = listsOf(recording.m, recording.end);
    for (const [key, pfns] of recording.end) equal(lists.get(key), pfns, key);
    deepEqual(
      [...lists.keys()].filter((key) => !recording.end.has(key)),
      [],
    );
  });
}

test("the count of free pages is that of the lists, but for what CPUs keep back", () => {
  const { m, calls, end } = openRecording("boot-512M-smp2");
  run({ m, calls, end });
  for (let zone = 0; zone < m.zoneCount; zone++) {
    let free = 0;
    for (const [key, pfns] of end) {
      const [kind, own, order] = key.split(" ");
      if (kind === "free" && Number(own) === zone) free += pfns.split(" ").length << Number(order);
    }
    // Measured: vm stats threshold 4 of DMA and 12 of DMA32, two CPUs.
    const kept = Math.abs((m.zone[zone * ZONE_WORDS + Z_FREE] ?? 0) - free);
    ok(kept <= 2 * 12, `zone ${zone}: ${kept}`);
  }
});

/** Whether a recording comes out as recorded; what cannot even be given back did not. */
function isEqual(name: string, change: Partial<AllocatorRule>): boolean {
  const recording = openRecording(name, change);
  try {
    if (run(recording).wrong.length > 0) return false;
  } catch (error) {
    if (error instanceof AssertionError) return false;
    throw error;
  }
  const lists = listsOf(recording.m, recording.end);
  return [...recording.end].every(([key, pfns]) => lists.get(key) === pfns);
}

test("one rule the other way is noticed", () => {
  const off: readonly (readonly [string, Partial<AllocatorRule>])[] = [
    ["boot-512M-smp2", { tailWhenMergeLikely: false }],
    ["boot-512M-smp2", { pcpOrderMax: 0 }],
    ["boot-512M-smp2", { pcp: "batch", drainTurns: 15 }],
    ["boot-512M-arm64-6.12", { pcp: "factor" }],
    ["boot-512M-arm64-6.12", { tailWhenMergeLikely: false }],
  ];
  ok(isEqual("boot-512M-smp2", {}));
  for (const [name, change] of off) {
    ok(!isEqual(name, change), `${name} ${JSON.stringify(change)}`);
  }
});
