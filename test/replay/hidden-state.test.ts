// Goal: what no snapshot holds is read off what the recording shows of it, and nothing else is
// changed. Method: one machine with the state in question behind another that has to find it; then
// both do the same.
import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { lendCma } from "../../src/mm/contig.ts";
import { drainZone } from "../../src/mm/drain-all.ts";
import {
  type EventSink,
  type Memory,
  P_BATCH,
  P_COUNT,
  P_DRIFT,
  P_DRIFT_CMA,
  P_FACTOR,
  P_FREE_COUNT,
  P_FREED_HIGH_ORDER,
  P_HIGH,
  P_HIGH_MIN,
  P_KEEPS_SMALL,
  pfnOf,
  Z_FREE,
  Z_FREE_CMA,
  Z_THRESHOLD,
} from "../../src/mm/memory.ts";
import { verify } from "../../src/mm/verify.ts";
import { fitDrifts } from "../../src/replay/counter-folds.ts";
import { beforeFree, decayLowered, drainFull } from "../../src/replay/pageset-highs.ts";
import { adaptFactor, RefillRuns } from "../../src/replay/refill-runs.ts";
import { emptyScore } from "../../src/replay/score.ts";
import { event } from "./made-up.ts";

const KERNEL = 0xcc0;
const MOVABLE_USER = 0x100cca;

/** 128 MiB in batches of 7 pages; half of it CMA's with `cma`. */
function boot(cma: boolean = false): Memory {
  const pages = 32768;
  const holes = cma ? [{ start: pages / 4, end: (3 * pages) / 4 }] : [];
  const m = bootMemory({
    zones: [{ name: "Normal", startPfn: 0, pages, holes }],
    era: "6.12",
    minFreeKbytes: 400,
    cma,
  });
  if (cma) lendCma(m, pages / 4, pages / 2);
  // The first unmovable request claims a block, whose first page no refill tells.
  freePages(m, allocPages(m, KERNEL, 0), 0);
  drainZone(m, 0);
  m.pcp[P_BATCH] = 7;
  return m;
}

/** Blocks that left and came back to the zone from here on: pfns, and types of those that left. */
function watch(m: Memory): { refills: number[]; types: number[]; drains: number[] } {
  const seen = { refills: [] as number[], types: [] as number[], drains: [] as number[] };
  const sink: EventSink = {
    refill: (_, row, __, type) => {
      seen.refills.push(pfnOf(m, row));
      seen.types.push(type);
    },
    drain: (_, row) => void seen.drains.push(pfnOf(m, row)),
    extfrag: () => undefined,
    wakeKswapd: () => undefined,
  };
  m.events = sink;
  return seen;
}

describe("refills", () => {
  const refill = (line: number, fields = {}): ReturnType<typeof event> =>
    event(line, { kind: "refill", flag: true, ...fields });

  test("a run is its request's from the request's page on, and a bulk call's before", () => {
    const runs = new RefillRuns();
    for (let line = 1; line <= 6; line++) runs.note(refill(line), 0);
    runs.note(refill(7, { order: 1 }), 0);
    runs.note(refill(8, { flag: false }), 0);
    const run = runs.end(0, event(9, { kind: "alloc", pfn: 4 }));
    deepEqual(
      run?.bulk.map(({ pfn }) => pfn),
      [1, 2, 3],
    );
    deepEqual(
      run?.own.map(({ pfn }) => pfn),
      [4, 5, 6],
    );
    equal(runs.end(0, undefined), null);
  });

  test("CMA pages belong to it, and pages that came without a refill of their own", () => {
    const runs = new RefillRuns();
    runs.note(event(1, { kind: "extfrag" }), 0);
    runs.note(refill(2), 0);
    runs.note(event(3, { kind: "extfrag", pfn: 2 }), 0);
    runs.note(refill(4, { flag: false }), 4);
    runs.note(refill(5, { cpu: 1 }), 0);
    const run = runs.end(0, undefined);
    deepEqual(
      run?.bulk.map(({ pfn }) => pfn),
      [1, 2, 4],
    );
    equal(runs.end(1, undefined)?.bulk.length, 1);
  });

  test("alloc_factor is found by the refill's length, for one refill and for several", () => {
    for (let hidden = 0; hidden <= 5; hidden++) {
      const theirs = boot();
      theirs.pcp[P_FACTOR] = hidden;
      const { refills } = watch(theirs);
      allocPages(theirs, KERNEL, 0);
      const once = refills.length;
      equal(once, 7 << hidden);
      const m = boot();
      equal(adaptFactor(m, 0, once, true), hidden > 0);
      const own = watch(m);
      allocPages(m, KERNEL, 0);
      deepEqual(own.refills, refills);
      if (hidden > 4) continue;
      const several = boot();
      equal(adaptFactor(several, 0, once + (7 << (hidden + 1)), false), hidden > 0);
      equal(several.pcp[P_FACTOR], hidden);
    }
    const m = boot();
    m.pcp[P_FACTOR] = 2;
    equal(adaptFactor(m, 0, 5, true), false);
    equal(m.pcp[P_FACTOR], 2);
  });
});

describe("where a pageset is full", () => {
  /** A pageset with `count` pages of its own, full at `high`. */
  function filled(count: number, high: number): { m: Memory; held: number[] } {
    const m = boot();
    const held = Array.from({ length: count + 50 }, () => allocPages(m, KERNEL, 0));
    drainZone(m, 0);
    m.pcp[P_HIGH] = 5000;
    for (const pfn of held.splice(0, count)) freePages(m, pfn, 0);
    equal(m.pcp[P_COUNT], count);
    m.pcp[P_HIGH] = high;
    return { m, held };
  }

  test("a drain right after a free tells how far silent decays had lowered it", () => {
    const score = emptyScore();
    const theirs = filled(300, 301);
    const seen = watch(theirs.m);
    freePages(theirs.m, theirs.held[0] ?? 0, 0);
    ok(seen.drains.length > 0);
    const { m, held } = filled(300, 900);
    const own = watch(m);
    freePages(m, held[0] ?? 0, 0);
    deepEqual(own.drains, []);
    const e = event(2, { kind: "drain", drainRun: seen.drains.length });
    const free = { pid: 1, zone: 0, list: 0 };
    equal(drainFull(m, { ...e, pid: 2 }, free, score), false);
    equal(drainFull(m, { ...e, drainRun: 3 }, free, score), false);
    equal(drainFull(m, e, null, score), false);
    equal(drainFull(m, e, free, score), true);
    deepEqual(own.drains, seen.drains);
    equal(m.pcp[P_HIGH], 301);
    equal(score.assumptions.loweredHighs, 1);
    deepEqual(verify(m), []);
  });

  test("a decay that gave back so many pages ended there", () => {
    const score = emptyScore();
    const { m } = filled(300, 2000);
    const own = watch(m);
    const type = 0;
    const last = event(1, { kind: "drain", drainRun: 30 });
    equal(decayLowered(m, { ...last, order: 2 }, type, score), null);
    equal(decayLowered(m, { ...last, drainRun: 290 }, type, score), null);
    deepEqual(decayLowered(m, last, type, score), { kind: "decay", zone: 0, cpu: 0 });
    deepEqual([own.drains.length, m.pcp[P_HIGH], m.pcp[P_COUNT]], [30, 270, 270]);
    equal(score.assumptions.loweredHighs, 1);
  });

  test("a free that drained nothing found it larger than ours", () => {
    const score = emptyScore();
    const { m, held } = filled(300, 301);
    const own = watch(m);
    beforeFree(m, 0, 0, true, score);
    equal(m.pcp[P_HIGH], 301);
    beforeFree(m, 0, 0, false, score);
    equal(m.pcp[P_HIGH], 302);
    freePages(m, held[0] ?? 0, 0);
    deepEqual(own.drains, []);
    equal(score.assumptions.raisedHighs, 1);
  });

  test("less than a batch is emptied by larger blocks freed in a row, or not, as it was", () => {
    for (const drains of [true, false]) {
      const score = emptyScore();
      const m = boot();
      const blocks = [allocPages(m, KERNEL, 1), allocPages(m, KERNEL, 1)];
      drainZone(m, 0);
      m.pcp[P_FREE_COUNT] = 7;
      m.pcp[P_FREED_HIGH_ORDER] = 1;
      const own = watch(m);
      beforeFree(m, 0, 1, drains, score);
      equal(m.pcp[P_KEEPS_SMALL], drains ? 0 : 1);
      freePages(m, blocks[0] ?? 0, 1);
      equal(own.drains.length, drains ? 1 : 0);
      equal(score.assumptions.smallDrains, 1);
    }
  });

  test("it is never below its least", () => {
    const { m } = filled(20, 900);
    ok((m.pcp[P_HIGH_MIN] ?? 0) > 20);
    const e = event(2, { kind: "drain", drainRun: 7 });
    equal(drainFull(m, e, { pid: 1, zone: 0, list: 0 }, emptyScore()), false);
  });
});

test("what a CPU keeps back of the counts at the half is found by the types of a refill", () => {
  const drift = fc.integer({ min: -6, max: 6 });
  fc.assert(
    fc.property(drift, drift, drift, drift, fc.nat(40), (a, b, c, d, off) => {
      const state = (free: number, cma: number): Memory => {
        const m = boot(true);
        for (let i = 0; i < off; i++) allocPages(m, KERNEL, 0);
        drainZone(m, 0);
        m.zone[Z_THRESHOLD] = 6;
        m.zone[Z_FREE] = (m.zone[Z_FREE] ?? 0) + (m.pcp[P_DRIFT] ?? 0) - free;
        m.zone[Z_FREE_CMA] = (m.zone[Z_FREE_CMA] ?? 0) + (m.pcp[P_DRIFT_CMA] ?? 0) - cma;
        m.pcp[P_DRIFT] = free;
        m.pcp[P_DRIFT_CMA] = cma;
        m.pcp[P_FACTOR] = 3;
        return m;
      };
      const theirs = state(a, b);
      const { refills, types } = watch(theirs);
      allocPages(theirs, MOVABLE_USER, 0);
      equal(types.length, 56);
      const m = state(c, d);
      const run = refills.map((pfn, i) => event(i, { kind: "refill", pfn, type: types[i] ?? -1 }));
      fitDrifts(m, 0, run);
      deepEqual(verify(m), []);
      const own = watch(m);
      allocPages(m, MOVABLE_USER, 0);
      deepEqual(own.types, types);
      deepEqual(own.refills, refills);
    }),
    { numRuns: 60 },
  );
});
