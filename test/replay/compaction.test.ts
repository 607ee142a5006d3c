// Goal: a run of compaction is gone through again from its events. Method: the events of small
// runs, written down as a kernel prints them, on lists worked out by hand.
import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import { ftraceReader } from "../../src/formats/ftrace.ts";
import { readText } from "../../src/formats/reader.ts";
import {
  FREE,
  freeHead,
  KIND_MASK,
  type Memory,
  MOBILE,
  pfnOf,
  rowOf,
} from "../../src/mm/memory.ts";
import { Compaction } from "../../src/replay/compaction.ts";
import { type ReplayEvent, startState, WindowCollector } from "../../src/replay/index.ts";
import { DMA_END, DMA32_END, event, FACTS, type FreeBlock, snapshotOf } from "./made-up-kernel.ts";

const PID = 30;

interface Started {
  readonly m: Memory;
  readonly skip: Uint8Array;
  readonly compaction: Compaction;
  readonly tell: (kind: ReplayEvent["kind"], fields?: Partial<ReplayEvent>) => void;
}

function started(free: readonly FreeBlock[]): Started {
  const state = startState(snapshotOf(free), FACTS).value;
  ok(state !== null);
  const { m, skip } = state;
  const compaction = new Compaction(m, skip);
  const tell: Started["tell"] = (kind, fields) =>
    compaction.note(event(kind, { pid: PID, ...fields }));
  return { m, skip, compaction, tell };
}

function list(m: Memory, order: number): number[] {
  const head = freeHead(1, 1, order);
  const pfns: number[] = [];
  for (let row = m.next[head] ?? head; row !== head; row = m.next[row] ?? head) {
    pfns.push(pfnOf(m, row));
  }
  return pfns;
}

const at = (order: number, pfns: readonly number[]): FreeBlock[] =>
  pfns.map((pfn) => ({ pfn, order }));

/** kcompactd begins on DMA32 for blocks of `order`. */
function begin({ tell }: Started, order: number): void {
  tell("compact", { order, a: 1, flag: true });
  tell("compact-begin", { pfn: DMA_END, a: DMA_END, b: 0x10e00, c: DMA32_END });
}

describe("a run for a request's order", () => {
  test("hands out what the lists' ends gave, the last page first", () => {
    const run = started([...at(2, [0x2000, 0xf000, 0x3000]), ...at(8, [0x4000])]);
    begin(run, 3);
    run.tell("compact-next", { order: 3, flag: true, scansAt: DMA_END });
    run.tell("compact-scan", { pfn: DMA_END, a: DMA_END + 0x40, b: 64, c: 2 });
    // Nothing is told of the look at the lists: only of the places that came of it.
    run.tell("take", { pfn: 0xf003 });
    run.tell("take", { pfn: 0xf002 });
    equal(run.compaction.told, 0);
    deepEqual(list(run.m, 2), [0x3000, 0x2000]);
    equal((run.m.state[rowOf(run.m, 0xf003)] ?? 0) & KIND_MASK, MOBILE);
    run.tell("give", { pfn: 0xf002 });
    run.tell("take", { pfn: 0xf002 });
    equal(run.compaction.told, 0, "a place that was given back is handed out next");
  });

  test("walks where the lists gave nothing, and takes what lies in the range", () => {
    const run = started(at(1, [0x2000, 0x10800, 0x10804, 0x10900]));
    run.skip.fill(0);
    begin(run, 1);
    run.tell("compact-next", { order: 1, flag: true, scansAt: DMA_END });
    run.tell("compact-scan", { pfn: DMA_END, a: DMA_END + 0x40, b: 64, c: 4 });
    run.tell("isolate", { pfn: 0x10800, a: 0x10806, b: 6, c: 4 });
    for (const pfn of [0x10805, 0x10804, 0x10801, 0x10800]) run.tell("take", { pfn });
    equal(run.compaction.told, 0);
    deepEqual(list(run.m, 1), [0x2000, 0x10900]);
  });

  test("believes the recording where it hands out another place", () => {
    const run = started(at(2, [0x2000, 0xf000]));
    begin(run, 3);
    run.tell("compact-next", { order: 3, flag: true, scansAt: DMA_END });
    run.tell("compact-scan", { pfn: DMA_END, a: DMA_END + 0x40, b: 64, c: 1 });
    run.tell("take", { pfn: 0x2001 });
    equal(run.compaction.told, 1);
    ok((run.m.state[rowOf(run.m, 0x2000)] ?? 0) !== (FREE | 2));
  });

  test("marks a pageblock that gave nothing, and one whose first page moved", () => {
    const run = started(at(3, [0xf000]));
    begin(run, 9);
    run.tell("compact-next", { order: 9, flag: true, scansAt: 0x2000 });
    run.tell("compact-scan", { pfn: 0x2000, a: 0x2200, b: 512, c: 0 });
    run.tell("compact-next", { order: 9, flag: true, scansAt: 0x2200 });
    run.tell("compact-scan", { pfn: 0x2200, a: 0x2240, b: 64, c: 32 });
    const hint = (pfn: number): number | undefined =>
      run.skip[rowOf(run.m, pfn) >> run.m.pageblockOrder];
    deepEqual([hint(0x2000), hint(0x2200)], [1, 0]);
    run.tell("free", { pfn: 0x2200 });
    deepEqual([hint(0x2000), hint(0x2200)], [1, 1]);
  });

  test("after a request's run through the zone goes by cleared hints, if it goes as they say", () => {
    for (const scansAt of [0x3000, 0x5000]) {
      const run = started([...at(5, [0x3020]), ...at(3, [0x10f00])]);
      run.skip.fill(1);
      run.skip[rowOf(run.m, 0x5000) >> run.m.pageblockOrder] = 0;
      run.m.state[rowOf(run.m, 0x3008)] = MOBILE;
      run.tell("compact", { order: 9, a: 1, gfp: "GFP_HIGHUSER_MOVABLE" });
      run.tell("compact-begin", { pfn: DMA_END, a: DMA_END, b: 0x10e00, c: DMA32_END });
      run.tell("compact-next", { order: 9, flag: false, a: 1 });
      run.tell("compact-end");
      begin(run, 9);
      run.tell("compact-next", { order: 9, flag: true, scansAt });
      const cleared = run.skip[rowOf(run.m, 0x10f00) >> run.m.pageblockOrder] === 0;
      equal(cleared, scansAt === 0x3000);
    }
  });
});

describe("all of memory", () => {
  test("is gone through without a look at the lists", () => {
    const run = started(at(2, [0x2000, 0xf000, 0x3000]));
    run.tell("compact-begin", { pfn: DMA_END, a: DMA_END, b: 0x10e00, c: DMA32_END });
    run.tell("compact-next", { order: -1, flag: true, scansAt: DMA_END });
    run.tell("compact-scan", { pfn: DMA_END, a: DMA_END + 0x40, b: 64, c: 1 });
    run.tell("isolate", { pfn: 0xf000, a: 0xf004, b: 4, c: 4 });
    run.tell("take", { pfn: 0xf003 });
    equal(run.compaction.told, 0);
    deepEqual(list(run.m, 2), [0x2000, 0x3000]);
  });
});

describe("tasks whose names a recording forgot", () => {
  test("are kswapd by what they do", () => {
    const window = new WindowCollector(null, null);
    const lines = [
      "           <...>-37      [000] .....     9.1: mm_vmscan_kswapd_wake: nid=0 order=0",
      "           <...>-37      [000] .....     9.2: mm_page_free: page=0 pfn=0x30 order=0",
      "           <...>-38      [000] .....     9.3: mm_page_free: page=0 pfn=0x31 order=0",
    ];
    readText(ftraceReader(window.sink), `# tracer: nop\n#\n${lines.join("\n")}\n`);
    deepEqual(
      window.take().map(({ kswapd }) => kswapd),
      [true, true, false],
    );
  });
});
