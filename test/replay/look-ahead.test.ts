// Goal: what only later events tell is known in time, in the memory of one window.
// Method: a recorded boot through windows and blocks of any size against one window for all;
// small made-up recordings whose ends lie outside the window.
import { deepEqual, equal, ok } from "node:assert/strict";
import { before, describe, test } from "node:test";
import fc from "fast-check";
import { InputScan, LookAhead, type ReplayEvent } from "../../src/replay/index.ts";
import { event } from "./made-up.ts";
import { type Recorded, recorded } from "./recorded.ts";

/** The events as the driver gets them. */
function ahead(events: readonly ReplayEvent[], window: number, block: number): ReplayEvent[] {
  const look = new LookAhead([new InputScan()], window);
  const ready: ReplayEvent[] = [];
  for (let at = 0; at < events.length; at += block) {
    // Copied: what a driver has got must not change afterwards.
    ready.push(...look.push(events.slice(at, at + block)).map((e) => ({ ...e })));
  }
  ready.push(...look.end());
  return ready;
}

describe("a recorded boot", () => {
  let trace: Recorded;
  before(async () => {
    trace = await recorded("a-boot-512M-smp2");
  });

  test("a window of a few thousand events tells what a window for all of them does", () => {
    const whole = ahead(trace.events, Number.POSITIVE_INFINITY, 1000).map((e) => ({ ...e }));
    ok(whole.some(({ announced }) => announced) && whole.some(({ batchOrder }) => batchOrder >= 0));
    ok(whole.some(({ bulk }) => bulk !== null) && whole.some(({ drainRun }) => drainRun > 0));
    fc.assert(
      fc.property(
        fc.integer({ min: 3000, max: 9000 }),
        fc.integer({ min: 1, max: 5000 }),
        (w, b) => {
          deepEqual(ahead(trace.events, w, b), whole);
        },
      ),
      { numRuns: 5 },
    );
  });

  test("with any window every event comes out once and in order", () => {
    const lines = trace.events.map(({ line }) => line);
    fc.assert(
      fc.property(fc.nat(300), fc.integer({ min: 1, max: 3000 }), (window, block) => {
        deepEqual(
          ahead(trace.events, window, block).map(({ line }) => line),
          lines,
        );
      }),
      { numRuns: 5 },
    );
  });
});

describe("ends outside the window", () => {
  const filler = (from: number, count: number): ReplayEvent[] =>
    Array.from({ length: count }, (_, i) => event(from + i, { cpu: 1, pid: 2 }));

  test("kswapd that does nothing for a whole window is through", () => {
    const task = { pid: 9, kswapd: true };
    const events = [
      event(1, { ...task, kind: "kswapd" }),
      event(2, { ...task }),
      ...filler(3, 50),
      event(60, { ...task }),
    ];
    const ends = (window: number): number[] =>
      ahead(events, window, 1)
        .filter(({ passEnd }) => passEnd)
        .map(({ line }) => line);
    deepEqual(ends(10), [2]);
    deepEqual(ends(100), [60]);
  });

  test("a bulk call that outlasts the window takes its pages when it returns", () => {
    const events = [
      event(1, { kind: "bulk", gfp: "3264" }),
      event(2, { kind: "alloc" }),
      ...filler(3, 50),
      event(60, { kind: "bulk-end", a: 8 }),
    ];
    const call = (window: number): (readonly [number, number])[] =>
      ahead(events, window, 1).flatMap(({ line, bulk }) =>
        bulk === null ? [] : [[line, bulk.pages] as const],
      );
    deepEqual(call(10), [[60, 7]]);
    deepEqual(call(100), [[2, 7]]);
  });

  test("a run of drains that outlasts the window is taken for what is seen of it", () => {
    const events = Array.from({ length: 40 }, (_, i) => event(i + 1, { kind: "drain" }));
    const [first] = ahead(events, 10, 1);
    equal(first?.drainRun, 11);
    equal(ahead(events, 100, 1)[0]?.drainRun, 40);
  });

  test("a batch that begins after the window leaves its free a free by itself", () => {
    const events = [
      event(1, { pfn: 7 }),
      ...filler(100, 50),
      event(60, { kind: "batched", pfn: 7 }),
    ];
    deepEqual(
      ahead(events, 10, 1)
        .filter(({ pfn }) => pfn === 7)
        .map(({ announced, batchOrder }) => [announced, batchOrder]),
      [
        [false, -1],
        [false, -1],
      ],
    );
  });
});
