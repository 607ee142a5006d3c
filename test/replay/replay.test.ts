// Goal: the engine does what a kernel did, page for page, and what it says about itself is true.
// Method: recorded boots of 6.1 (one and two CPUs) and 6.12 (amd64, arm64; DMA, CMA) from one snapshot
// of all lists to the next; the same with recorded pfns shuffled, and with one rule the other way.
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { before, describe, test } from "node:test";
import fc from "fast-check";
import { verify } from "../../src/mm/verify.ts";
import {
  Assumptions,
  compareWith,
  Driver,
  InputScan,
  isSame,
  type ListSnapshot,
  LookAhead,
  type Replay,
  type ReplayEvent,
  type ReplayTask,
  recordingOf,
  replay,
  type Scanner,
  type StartState,
  startState,
  USE_WINDOW,
} from "../../src/replay/index.ts";
import { type Recorded, recorded, withPfns } from "./recorded.ts";

interface Task extends Omit<ReplayTask, "recording"> {
  readonly events: readonly ReplayEvent[];
  readonly to: ListSnapshot | null;
}

async function run({ events, to, ...task }: Task): Promise<Replay> {
  const { value, issues } = await replay({ ...task, recording: recordingOf(events, to) });
  ok(value !== null, JSON.stringify(issues));
  return value;
}

/** The answers of the blind run. */
async function answers(task: Task): Promise<number[]> {
  const pfns: number[] = [];
  await run({ ...task, decide: (_, pfn) => void pfns.push(pfn) });
  return pfns;
}

/** A different one of `frames` at each call, the same ones for the same seed. */
function atRandom(frames: readonly number[], seed: number): () => number {
  let state = seed;
  return () => {
    // Park and Miller's generator: quick, and the same everywhere.
    state = (state * 48271) % 2147483647;
    return frames[state % frames.length] ?? 0;
  };
}

/** Broken invariants. Frames that the kernel kept for itself are taken here, though no zone manages them. */
function brokenIn({ m }: StartState): string[] {
  m.events = null;
  return verify(m).filter((words) => !words.startsWith("F4:"));
}

function driven(driver: Driver, events: readonly ReplayEvent[], more: Scanner[] = []): void {
  const window = new LookAhead([new InputScan(), ...more], USE_WINDOW);
  driver.feed(window.push(events));
  driver.feed(window.end());
  driver.end();
}

function brokenAfterRepairs(trace: Recorded, events: readonly ReplayEvent[]): string[] {
  const { value } = startState(trace.from, trace.facts);
  ok(value !== null);
  const hiddenBulks = !events.some(({ kind }) => kind === "bulk");
  const assumptions = new Assumptions({ hiddenBulks, end: null });
  driven(new Driver(value, { assumptions }), events, [assumptions]);
  return brokenIn(value);
}

/** allocations, and how many the blind run answers as the kernel did. */
const TRACES = [
  { name: "a-boot-512M", allocations: 5268, blind: 5268 },
  { name: "a-boot-512M-smp2", allocations: 5316, blind: 5316 },
  { name: "a-boot-512M-6.12", allocations: 5576, blind: 5566 },
  { name: "a-boot-512M-arm64-6.12", allocations: 5777, blind: 5663 },
  { name: "e-dma-6G-6.12", allocations: 19078, blind: 12655 },
  { name: "g-cma-arm64-256M-6.12", allocations: 13702, blind: 12654 },
];

for (const { name, allocations, blind } of TRACES) {
  describe(name, () => {
    let trace: Recorded;
    before(async () => {
      trace = await recorded(name);
    });

    test("the first snapshot comes out as it went in", () => {
      const { value } = startState(trace.from, trace.facts);
      ok(value !== null);
      const { free, pcp, pageblocks, buddyinfoEqual } = compareWith(value, trace.from);
      ok(free !== null && pcp !== null && pageblocks !== null);
      equal(free.equal, free.lists);
      equal(pcp.equal, pcp.lists);
      equal(pageblocks.equal, pageblocks.blocks);
      ok(free.lists > 10 && buddyinfoEqual);
      notEqual(compareWith(value, trace.to).free?.equal, free.lists);
    });

    test("every page and the order of every list", async () => {
      const result = await run(trace);
      const { score, comparison } = result.repaired;
      equal(score.allocations, allocations);
      equal(score.pfnEqual, allocations);
      equal(score.zoneEqual, allocations);
      equal(score.repairs, 0);
      deepEqual([score.strange, score.strangeDrains], [0, 0]);
      const { refills, drains, extfrags, wakes, runs } = score;
      for (const { recorded: all, equal: same } of [refills, drains, extfrags, wakes, runs]) {
        equal(same, all);
      }
      // A request that an interrupt served meanwhile may not have to reclaim after all.
      ok(score.reclaims.equal >= 0.95 * score.reclaims.recorded);
      ok(score.sleeps.equal >= 0.95 * score.sleeps.recorded);
      ok(comparison !== null);
      equal(comparison.free?.equal, comparison.free?.lists);
      equal(comparison.pcp?.equal, comparison.pcp?.lists);
      equal(comparison.pageblocks?.equal, comparison.pageblocks?.blocks);
      equal(comparison.freePages, null);
      ok(comparison.buddyinfoEqual);
    });

    test("the blind run's score is its own, and assumptions are counted", async () => {
      const result = await run(trace);
      equal(result.blind.score.pfnEqual, blind);
      equal(result.divergence === null, blind === allocations);
      const blindAssumed = Object.values(result.blind.score.assumptions);
      ok(blindAssumed.every((count) => count === 0));
      const assumed = Object.values(result.repaired.score.assumptions);
      equal(
        assumed.some((count) => count > 0),
        blind < allocations,
      );
    });

    test("no recorded pfn that is to be predicted changes a prediction", async () => {
      const expected = await answers(trace);
      equal(expected.filter((pfn) => pfn < 0).length, 0);
      const frames = trace.events.flatMap(({ kind, pfn }) => (kind === "alloc" ? [pfn] : []));
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 - 2 }), async (seed) => {
          const events = withPfns(trace.events, atRandom(frames, seed));
          deepEqual(await answers({ ...trace, events }), expected);
        }),
        { numRuns: 2 },
      );
      const mirrored = withPfns(trace.events, (pfn) => pfn ^ 0x1ff);
      deepEqual(await answers({ ...trace, events: mirrored }), expected);
    });

    test("the memory is sound at the end", () => {
      const { value } = startState(trace.from, trace.facts);
      ok(value !== null);
      driven(new Driver(value, { assumptions: null }), trace.events);
      deepEqual(brokenIn(value), []);
    });
  });
}

test("refills and fallbacks that nobody recorded are not missed", async () => {
  const trace = await recorded("c-pressure-256M");
  const events = trace.events.filter(({ kind }) => kind !== "refill" && kind !== "extfrag");
  const { blind, repaired } = await run({ ...trace, events });
  equal(repaired, blind);
  const { allocations, pfnEqual, misses, refills, extfrags } = blind.score;
  deepEqual([pfnEqual, misses], [allocations, 0]);
  deepEqual([refills.recorded, extfrags.recorded], [0, 0]);
  ok(blind.comparison !== null && isSame(blind.comparison));
});

describe("a rule the other way", () => {
  let trace: Recorded;
  before(async () => {
    trace = await recorded("a-boot-512M-smp2");
  });

  for (const change of [{ tailWhenMergeLikely: false }, { pcpOrderMax: 0 }]) {
    test(`${JSON.stringify(change)} is found, with both sides and the zones' words`, async () => {
      const { divergence, blind, repaired } = await run({ ...trace, change });
      ok(divergence !== null);
      const { line, kind, ours, theirs } = divergence;
      ok(trace.events.some((e) => e.line === line));
      notEqual(ours, theirs);
      ok(blind.score.misses > 0 && repaired.score.repairs >= 0);
      if (kind !== "page") return;
      match(divergence.path.join("\n"), /^low: \S+ (?:serves|skipped)/);
      match(divergence.differs, /^another (?:page|zone)/);
      ok(divergence.recorded !== null);
    });
  }

  test("a marred answer is found at its line, and repaired once", async () => {
    const at = trace.events.findIndex((e, i) => i > 4000 && e.kind === "alloc");
    const events = trace.events.map((e, i) => (i === at ? { ...e, pfn: e.pfn ^ 1 } : e));
    const { divergence, blind } = await run({ ...trace, events });
    ok(divergence !== null);
    equal(divergence.line, trace.events[at]?.line);
    equal(divergence.kind, "page");
    equal(blind.score.pfnEqual, blind.score.allocations - 1);
    match(divergence.path.at(-1) ?? "", /serves/);
  });
});

describe("recordings that cannot be", () => {
  let trace: Recorded;
  before(async () => {
    trace = await recorded("a-boot-512M-smp2");
  });

  test("events in any order, twice, of other machines: counted, never a crash", async () => {
    const events = trace.events.slice(0, 3000);
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            at: fc.nat(events.length - 1),
            pfn: fc.oneof(fc.constant(-1), fc.nat(), fc.nat(0x20000)),
            order: fc.nat(15),
            cpu: fc.nat(3),
          }),
          { maxLength: 300, size: "max" },
        ),
        async (mess) => {
          const odd = mess.flatMap(({ at, pfn, order, cpu }) => {
            const e = events[at];
            return e === undefined ? [] : [{ ...e, pfn, order, cpu }, e];
          });
          const all = [...odd, ...events];
          const { blind } = await run({ ...trace, to: null, events: all });
          equal(blind.score.events, all.length);
          deepEqual(brokenAfterRepairs(trace, all), []);
        },
      ),
      { numRuns: 15 },
    );
  });

  test("recorded pages at random: every repair leaves the lists whole", () => {
    const frames = trace.events.flatMap(({ kind, pfn }) => (kind === "alloc" ? [pfn] : []));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 - 2 }), (seed) => {
        deepEqual(brokenAfterRepairs(trace, withPfns(trace.events, atRandom(frames, seed))), []);
      }),
      { numRuns: 10 },
    );
  });

  test("a free twice, of a page that is not there, on a CPU that is not there: counted, with the line", async () => {
    const at = trace.events.findIndex((e, i) => i > 500 && e.kind === "free" && !e.interrupt);
    const free = trace.events[at];
    ok(free !== undefined);
    const line = 1_000_000;
    const odd = [
      { ...free, line },
      { ...free, line: line + 1, pfn: 0x7ffffff },
      { ...free, line: line + 2, cpu: 7 },
    ];
    const events = trace.events.toSpliced(at + 1, 0, ...odd);
    const recording = recordingOf(events, null);
    const { value, issues } = await replay({ ...trace, recording });
    deepEqual(
      issues.map((issue) => issue.line),
      [line + 1, line],
    );
    match(issues[0]?.message ?? "", /^2 events name pages or CPUs that this machine/);
    match(issues[1]?.message ?? "", /^[1-9]\d* frees are of pages that nobody was seen to take/);
    equal(value?.blind.score.events, events.length);
    const { issues: none } = await replay({ ...trace, recording: recordingOf(trace.events, null) });
    deepEqual(none, []);
  });

  test("a snapshot with a page on two lists is refused with the page's number", async () => {
    const [first] = trace.from.free;
    ok(first !== undefined);
    const from = { ...trace.from, free: [...trace.from.free, first] };
    const { facts } = trace;
    const recording = recordingOf(trace.events, null);
    const { value, issues } = await replay({ from, facts, recording });
    equal(value, null);
    match(issues[0]?.message ?? "", /^page 0x[0-9a-f]+ is on two lists/);
  });

  test("whoever pauses may stop: what was done is counted", async () => {
    const result = await run({ ...trace, pause: async () => false });
    ok(result.stopped);
    equal(result.blind.comparison, null);
    ok(result.blind.score.events > 0);
  });
});
