// Goal: a boot replayed from its first event on finds every zone, and ends with the kernel's own
// lists. Method: recorded boots with the plans of the same captures (corpus/layouts/trace-NAME).
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import { readCapture } from "../../src/formats/capture.ts";
import { ftraceReader } from "../../src/formats/ftrace.ts";
import { readText } from "../../src/formats/reader.ts";
import { Z_FREE, ZONE_WORDS } from "../../src/mm/memory.ts";
import { verify } from "../../src/mm/verify.ts";
import { layoutOf } from "../../src/plan/evidence.ts";
import { machineFromCapture, planMachine } from "../../src/plan/index.ts";
import {
  type BootStart,
  bootMoments,
  bootStart,
  type Replay,
  type ReplayEvent,
  recordingOf,
  replay,
  WindowCollector,
} from "../../src/replay/index.ts";
import { captureFiles, corpusFiles, traceFiles } from "../support/corpus.ts";
import { snapshotOf, withPfns } from "./recorded.ts";

const PREDICTED = /(^|\/)(zoneinfo|buddyinfo|pagetypeinfo)$/;

/** What the plan of a recorded machine starts with; the predicted files are not opened. */
async function startOf(
  name: string,
  dmesg: (log: string) => string = (log) => log,
): Promise<BootStart> {
  const files = captureFiles(`trace-${name}`);
  const log = dmesg(corpusFiles(`trace-${name}`).get("dmesg") ?? "");
  const read = await readCapture(
    {
      ...files,
      async *open(path: string): AsyncIterable<string> {
        if (path === "dmesg") yield log;
        else yield* files.open(path);
      },
    },
    { skip: (path) => PREDICTED.test(path) },
  );
  const input = machineFromCapture(read.value, {}).value;
  ok(input !== null);
  const plan = planMachine(input).value;
  const layout = layoutOf(input, []);
  ok(plan !== null && layout !== null);
  const upstream = read.value.version?.numbers.join(".") ?? "";
  const { value, issues } = bootStart({ input, layout, plan, moments: bootMoments(log), upstream });
  ok(value !== null, JSON.stringify(issues));
  return value;
}

function eventsOf(name: string): readonly ReplayEvent[] {
  const window = new WindowCollector(null, "after");
  readText(ftraceReader(window.sink), traceFiles(name).get("trace.txt") ?? "");
  return window.take();
}

async function run(
  boot: BootStart,
  name: string,
  events: readonly ReplayEvent[],
  decide?: (pfn: number) => void,
): Promise<Replay> {
  const { from, facts } = boot;
  const recording = recordingOf(events, snapshotOf(traceFiles(name), "after"));
  const more = decide === undefined ? {} : { decide: (_: ReplayEvent, pfn: number) => decide(pfn) };
  const { value, issues } = await replay({ from, facts, boot, recording, ...more });
  ok(value !== null, JSON.stringify(issues));
  return value;
}

/** allocations, pages that the repaired run answers as the kernel did, free lists at the end in order. */
const BOOTS = [
  { name: "a-boot-512M", allocations: 11480, pages: 11200, lists: 23 },
  { name: "a-boot-512M-smp2", allocations: 14671, pages: 13800, lists: 23 },
  { name: "a-boot-512M-i386pae", allocations: 8536, pages: 8480, lists: null },
  { name: "a-boot-512M-armlpae", allocations: 7854, pages: 7780, lists: null },
  { name: "a-boot-512M-6.12", allocations: 11143, pages: 7000, lists: 14 },
];

for (const { name, allocations, pages, lists } of BOOTS) {
  describe(name, () => {
    test("every zone, blind and repaired, and the free pages at the end", async () => {
      const boot = await startOf(name);
      const { start, blind, repaired } = await run(boot, name, eventsOf(name));
      equal(start, "boot");
      equal(blind.score.allocations, allocations);
      equal(blind.score.zoneEqual, allocations);
      equal(repaired.score.zoneEqual, allocations);
      ok(repaired.score.pfnEqual >= pages, `${repaired.score.pfnEqual} pages`);
      ok(repaired.score.assumptions.takenBefore > 1000);
      equal(blind.score.assumptions.takenBefore, 0);
      const { comparison } = repaired;
      ok(comparison !== null);
      if (lists === null) {
        ok(comparison.freePages !== null);
        const { ours, recorded, both } = comparison.freePages;
        deepEqual([ours, both], [recorded, recorded]);
      } else ok((comparison.free?.equal ?? 0) >= lists, JSON.stringify(comparison.free));
    });
  });
}

test("no recorded pfn that is to be predicted changes the blind run of a boot", async () => {
  const name = "a-boot-512M-i386pae";
  const boot = await startOf(name);
  const events = eventsOf(name);
  const pfns: number[] = [];
  await run(boot, name, events, (pfn) => void pfns.push(pfn));
  const mirrored: number[] = [];
  const changed = withPfns(events, (pfn) => pfn ^ 0x1ff);
  await run(boot, name, changed, (pfn) => void mirrored.push(pfn));
  deepEqual(mirrored, pfns);
});

test("memblock's free pages are those that the log's Memory line counts", async () => {
  const name = "a-boot-512M";
  const state = (await startOf(name)).state({}).value;
  ok(state !== null);
  const { m } = state;
  let free = 0;
  for (let z = 0; z < m.zoneCount; z++) free += m.zone[z * ZONE_WORDS + Z_FREE] ?? 0;
  const log = corpusFiles(`trace-${name}`).get("dmesg") ?? "";
  const available = Number(/Memory: (\d+)K\//.exec(log)?.[1]) / 4;
  // The line is printed after preallocate_vmalloc_pages() has taken 64 page tables.
  equal(free, available + 64);
});

test("handed over in the kernel's order, with no broken list", async () => {
  for (const name of ["a-boot-512M", "a-boot-512M-i386pae", "a-boot-512M-armlpae"]) {
    const state = (await startOf(name)).state({}).value;
    ok(state !== null);
    deepEqual(
      verify(state.m).filter((words) => !words.startsWith("F4:")),
      [],
    );
  }
});

test("a log without memblock=debug cannot start a boot, and says what to do", async () => {
  const files = captureFiles("trace-a-boot-512M");
  const read = await readCapture(files, { skip: (path) => PREDICTED.test(path) });
  const input = machineFromCapture(read.value, {}).value;
  ok(input !== null && input.log !== null);
  const plain = { ...input, log: { ...input.log, memblock: [] } };
  const plan = planMachine(plain).value;
  const layout = layoutOf(plain, []);
  ok(plan !== null && layout !== null);
  const moments = { deferred: Number.POSITIVE_INFINITY, initcalls: Number.POSITIVE_INFINITY };
  const { value, issues } = bootStart({ input: plain, layout, plan, moments, upstream: "6.1.176" });
  equal(value, null);
  match(issues[0]?.message ?? "", /^its boot log does not tell which pages memblock handed over/);
  match(issues[0]?.mend ?? "", /memblock=debug/);
});

test("moments are the log's time stamps, Infinity where it has none", () => {
  const log =
    "[    0.2] devtmpfs: initialized\n[    0.533550] node 0 deferred pages initialised in 12ms\n";
  deepEqual(bootMoments(log), { deferred: 533550, initcalls: 200000 });
  const none = { deferred: Number.POSITIVE_INFINITY, initcalls: Number.POSITIVE_INFINITY };
  deepEqual(bootMoments("devtmpfs: initialized\n"), none);
});
