// Goal: a range that somebody took by name is known when its blocks are isolated, long before the
// recording tells it, and is not mixed up with compaction. Method: made-up events through windows;
// then the calls on a small machine, step by step, against the same call made at once.
import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { allocContigRange } from "../../src/mm/contig.ts";
import { type Memory, P_COUNT, Z_FREE } from "../../src/mm/memory.ts";
import { ISOLATE, MOVABLE, TYPE_COUNT } from "../../src/mm/rule.ts";
import { verify } from "../../src/mm/verify.ts";
import { ContigCalls } from "../../src/replay/contig.ts";
import { InputScan, LookAhead, type ReplayEvent } from "../../src/replay/index.ts";
import { freeList } from "../support/naive-twin.ts";
import { event } from "./made-up.ts";

/** Lines and ranges of the calls that a window finds. */
function calls(events: readonly ReplayEvent[], window: number = 1000): unknown[] {
  const look = new LookAhead([new InputScan()], window);
  return [...look.push(events), ...look.end()].flatMap(({ line, contig }) =>
    contig === null ? [] : [[line, contig.start, contig.end]],
  );
}

const scan = (line: number, from: number, to: number): ReplayEvent =>
  event(line, { kind: "scan", pfn: from, a: to });
const isolate = (line: number, from: number, pages: number): ReplayEvent =>
  event(line, { kind: "isolate", pfn: from, a: from + pages, b: pages, c: pages });
const drain = (line: number): ReplayEvent => event(line, { kind: "drain" });

describe("where a call begins", () => {
  test("at the CMA area's request", () => {
    const events = [
      event(1, { kind: "cma" }),
      drain(2),
      drain(3),
      scan(4, 96, 119),
      isolate(5, 96, 32),
    ];
    deepEqual(calls(events), [[1, 96, 119]]);
  });

  test("at the first of its drains, what the scans tell piece by piece", () => {
    const events = [
      event(1, {}),
      drain(2),
      drain(3),
      event(4, { pid: 2, kind: "alloc" }),
      event(5, { pfn: 700 }),
      scan(6, 512, 544),
      event(7, { kind: "alloc" }),
      event(8, { pfn: 512 }),
      scan(9, 544, 1024),
      event(10, { pid: 3, kind: "drain", cpu: 1 }),
      isolate(11, 512, 512),
      isolate(12, 1024, 0),
    ];
    deepEqual(calls(events), [[2, 512, 1024]]);
  });

  test("at the first scan, where nothing was to be drained", () => {
    deepEqual(calls([event(1, { kind: "alloc" }), scan(2, 64, 96), isolate(3, 32, 64)]), [
      [2, 64, 96],
    ]);
  });

  test("not at a drain that a request came after", () => {
    const events = [drain(1), event(2, { kind: "alloc" }), scan(3, 64, 96), isolate(4, 64, 32)];
    deepEqual(calls(events), [[3, 64, 96]]);
  });

  test("a scan that does not go on from the last one begins anew", () => {
    deepEqual(calls([scan(1, 0, 32), scan(2, 64, 96), isolate(3, 64, 32)]), [[2, 64, 96]]);
  });

  test("compaction takes pages elsewhere than it scans", () => {
    deepEqual(
      calls([scan(1, 0, 32), isolate(2, 512, 32), scan(3, 32, 64), isolate(4, 480, 32)]),
      [],
    );
  });

  test("what begins before the window is not told", () => {
    const filler = Array.from({ length: 50 }, (_, i) => event(10 + i, { pid: 2, cpu: 1 }));
    const events = [event(1, { kind: "cma" }), ...filler, scan(70, 96, 128), isolate(71, 96, 32)];
    const look = new LookAhead([new InputScan()], 10);
    const ready = events.flatMap((e) => look.push([e]));
    ready.push(...look.end());
    ok(ready.every(({ contig }) => contig === null));
    deepEqual(calls(events), [[1, 96, 128]]);
  });
});

describe("what a call does", () => {
  const boot = (): Memory =>
    bootMemory({
      zones: [{ name: "Normal", startPfn: 0, pages: 512 }],
      era: "6.12",
      maxOrder: 6,
      pageblockOrder: 5,
      minFreeKbytes: 0,
    });
  const lists = (m: Memory): number[][] =>
    Array.from({ length: TYPE_COUNT * 7 }, (_, i) => freeList(m, 0, Math.floor(i / 7), i % 7));

  test("isolated at its beginning, taken when it is told, opened when the rest is given back", () => {
    const [m, twin] = [boot(), boot()];
    ok(allocContigRange(twin, 100, 7, MOVABLE));
    const own = new ContigCalls(m);
    equal(own.before(event(1, { kind: "cma", contig: { start: 100, end: 107 } }), false), false);
    equal(own.begun, 1);
    ok(m.blockType.includes(ISOLATE));
    equal(own.before(isolate(2, 96, 16), false), true);
    const rest = [96, 97, 98, 99, ...Array.from({ length: 21 }, (_, i) => 107 + i)];
    for (const [i, pfn] of rest.entries()) {
      const e = event(3 + i, { pfn });
      equal(own.before(e, false), false);
      freePages(m, pfn, 0);
      own.after(e);
      equal(m.blockType.includes(ISOLATE), i < rest.length - 1);
    }
    deepEqual(lists(m), lists(twin));
    deepEqual(verify(m), []);
  });

  test("a drain that the engine did by itself does not begin it; one that it did not does", () => {
    const m = boot();
    const own = new ContigCalls(m);
    const e = { ...drain(1), contig: { start: 64, end: 96 } };
    own.before(e, true);
    equal(own.begun, 0);
    own.before(drain(2), false);
    equal(own.begun, 1);
    own.before(isolate(3, 64, 32), false);
    equal(m.blockType.includes(ISOLATE), false);
    deepEqual([m.pcp[P_COUNT], verify(m).length], [0, 0]);
  });

  test("where ours has a page of the range in use, the range is taken all the same", () => {
    const m = boot();
    const pfn = allocPages(m, 0xcc0, 0);
    const block = pfn - (pfn % 32);
    const own = new ContigCalls(m);
    const call = { start: pfn, end: pfn + 8 };
    equal(pfn, block);
    own.before(event(1, { kind: "cma", contig: call }), false);
    own.before(isolate(2, block, 32), false);
    deepEqual(verify(m), []);
    equal(m.zone[Z_FREE], 512 - 32);
    for (let at = block; at < block + 32; at++) {
      if (at >= call.start && at < call.end) continue;
      const e = event(at, { pfn: at });
      freePages(m, at, 0);
      own.after(e);
    }
    equal(m.blockType.includes(ISOLATE), false);
    equal(m.zone[Z_FREE], 512 - 8);
    deepEqual(verify(m), []);
  });

  test("a range that is not there, or isolated by somebody else, is left alone", () => {
    const m = boot();
    const own = new ContigCalls(m);
    own.before(event(1, { kind: "cma", contig: { start: 480, end: 9000 } }), false);
    own.before(event(2, { kind: "cma", contig: { start: 64, end: 80 } }), false);
    own.before(event(3, { kind: "cma", pid: 2, contig: { start: 70, end: 100 } }), false);
    equal(own.begun, 1);
    deepEqual(verify(m), []);
  });
});
