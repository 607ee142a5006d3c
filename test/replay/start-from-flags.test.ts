// Goal: where a kernel tells no lists, a replay starts from what it does tell, finds the same zones,
// and never claims an order that nobody knows. Method: recorded boots of i386 PAE and of arm LPAE
// (CMA, blocks of order 11); and two with exact lists, whose sums alone must lead back to the lists.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { before, describe, test } from "node:test";
import { writePagetypeinfo } from "../../src/formats/index.ts";
import { pagetypeinfoOf } from "../../src/mm/procfs.ts";
import { verify } from "../../src/mm/verify.ts";
import {
  Driver,
  flagsSnapshot,
  InputScan,
  type ListSnapshot,
  LookAhead,
  type Replay,
  type ReplayEvent,
  recordingOf,
  replay,
  startState,
  USE_WINDOW,
} from "../../src/replay/index.ts";
import { traceFiles } from "../support/corpus.ts";
import { flagTexts, type Recorded, recorded, withPfns } from "./recorded.ts";

async function run(
  trace: Recorded,
  events: readonly ReplayEvent[] = trace.events,
  decide?: (zone: number) => void,
): Promise<Replay> {
  const recording = recordingOf(events, trace.to);
  const { value, issues } = await replay({
    ...trace,
    recording,
    ...(decide === undefined ? {} : { decide: (_, __, zone) => decide(zone) }),
  });
  ok(value !== null, JSON.stringify(issues));
  return value;
}

/** Blocks of each zone and order, and of each type. */
function sumsOf({ free }: ListSnapshot): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { node, index, order, type, pfns } of free) {
    if (pfns.length > 0) sums[`${node} ${index} ${order} ${type}`] = pfns.length;
  }
  return sums;
}

for (const { name, allocations, pages } of [
  { name: "a-boot-512M-i386pae", allocations: 3806, pages: 3751 },
  { name: "a-boot-512M-armlpae", allocations: 2985, pages: 2929 },
]) {
  describe(name, () => {
    let trace: Recorded;
    before(async () => {
      trace = await recorded(name);
    });

    test("its blocks are those that buddyinfo and pagetypeinfo count", () => {
      const files = traceFiles(name);
      for (const moment of ["before", "after"]) {
        const texts = flagTexts(files, moment);
        const area = { start: 0x5f000 * 4096, end: 0x60000 * 4096 };
        const { value, issues } = flagsSnapshot(texts, [area]);
        deepEqual(issues, []);
        ok(value !== null && !value.exact);
        const types = ["Unmovable", "Movable", "Reclaimable", "HighAtomic", "CMA"];
        const told: Record<string, number> = {};
        for (const line of texts.pagetypeinfo.split("\n")) {
          const row = /^Node +(\d+), zone +(\S+), type +(\S+) +(.*)$/.exec(line);
          const index = trace.facts.zones.findIndex((zone) => zone.name === row?.[2]);
          for (const [order, count] of (row?.[4] ?? "").trim().split(/ +/).entries()) {
            const type = types.indexOf(row?.[3] ?? "");
            if (Number(count) > 0) told[`0 ${index} ${order} ${type}`] = Number(count);
          }
        }
        deepEqual(sumsOf(value), told);
      }
    });

    test("every zone is the kernel's, blind too, and so are the free pages at the end", async () => {
      const { start, blind, repaired } = await run(trace);
      equal(start, "flags and counts");
      equal(repaired.score.allocations, allocations);
      equal(repaired.score.zoneEqual, allocations);
      equal(blind.score.zoneEqual, allocations);
      ok(repaired.score.pfnEqual >= pages, `${repaired.score.pfnEqual} pages`);
      const { comparison } = repaired;
      ok(comparison !== null && comparison.freePages !== null);
      deepEqual([comparison.free, comparison.pcp, comparison.pageblocks], [null, null, null]);
      const { ours, recorded: theirs, both } = comparison.freePages;
      deepEqual([ours, both], [theirs, theirs]);
      ok(comparison.buddyinfoEqual);
    });

    test("no recorded pfn that is to be predicted changes the blind run", async () => {
      const zones: number[] = [];
      const { blind } = await run(trace, trace.events, (zone) => void zones.push(zone));
      const mirrored: number[] = [];
      const events = withPfns(trace.events, (pfn) => pfn ^ 0x1ff);
      await run(trace, events, (zone) => void mirrored.push(zone));
      deepEqual(mirrored, zones);
      equal(blind.score.allocations, zones.length);
    });

    test("the memory is sound after it followed the recording", () => {
      const state = startState(trace.from, trace.facts).value;
      ok(state !== null);
      const driver = new Driver(state, { assumptions: null, follow: true });
      const window = new LookAhead([new InputScan()], USE_WINDOW);
      driver.feed(window.push(trace.events));
      driver.feed(window.end());
      driver.end();
      state.m.events = null;
      deepEqual(
        verify(state.m).filter((words) => !words.startsWith("F4:")),
        [],
      );
    });
  });
}

test("where no log names the CMA area, it is found by its free blocks, and that is said", () => {
  const texts = flagTexts(traceFiles("a-boot-512M-armlpae"), "before");
  const { value, issues } = flagsSnapshot(texts, []);
  match(issues[0]?.message ?? "", /^where the CMA areas lie is not told/);
  const area = value?.blocks.filter(({ types }) => types[0] === 4).map(({ pfn }) => pfn);
  equal(area?.[0], 0x5f000);
  equal(area?.length, 8);
});

for (const name of ["a-boot-512M", "a-boot-512M-smp2"]) {
  test(`${name}: sums lead back to the kernel's own lists`, async () => {
    const { from, facts } = await recorded(name);
    const state = startState(from, facts).value;
    ok(state !== null);
    const texts = flagTexts(traceFiles(name), "before");
    const pagetypeinfo = writePagetypeinfo(pagetypeinfoOf(state.m));
    const { value, issues } = flagsSnapshot({ ...texts, pagetypeinfo, buddyinfo: null }, []);
    deepEqual(issues, []);
    ok(value !== null);
    const lists = new Map(
      from.free.map((f) => [`${f.index} ${f.order} ${f.type}`, new Set(f.pfns)]),
    );
    let blocks = 0;
    let right = 0;
    for (const { index, order, type, pfns } of value.free) {
      const list = lists.get(`${index} ${order} ${type}`);
      blocks += pfns.length;
      right += pfns.filter((pfn) => list?.has(pfn)).length;
    }
    equal(
      blocks,
      from.free.reduce((sum, { pfns }) => sum + pfns.length, 0),
    );
    ok(right >= blocks - 4, `${right} of ${blocks} blocks on the right list`);
    const waiting = new Set(from.pcp.flatMap(({ pfns, list }) => (list % 3 === 0 ? [] : pfns)));
    const guessed = new Set(value.pcp.flatMap(({ pfns }) => pfns));
    const found = [...waiting].filter((pfn) => guessed.has(pfn)).length;
    equal(found, waiting.size, "pages of movable and reclaimable lists");
  });
}

test("a snapshot whose sums are no sums is refused with its file", () => {
  const texts = flagTexts(traceFiles("a-boot-512M-i386pae"), "before");
  const { value, issues } = flagsSnapshot({ ...texts, pagetypeinfo: "nothing\n" }, []);
  equal(value, null);
  ok(
    issues.some(({ severity, source }) => severity === "error" && source?.endsWith("pagetypeinfo")),
  );
});
