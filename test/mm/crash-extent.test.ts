// Goal: a CPU that dies while it takes from memory that nobody had touched, or while it isolates a range,
// leaves a memory that can be put right, wherever sections, zones and holes begin. Method: a CPU that dies
// before each write of it in turn, in memories whose untouched extent reaches over two sections.
import { strict as expect } from "node:assert";
import { after, before, describe, test } from "node:test";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { allocContigRange, beginContig, endContig, takeContig } from "../../src/mm/contig.ts";
import {
  attachMemory,
  bindMemory,
  bootMemory,
  GFP_KERNEL,
  type Memory,
  NO_PFN,
  recover,
  shareMemory,
} from "../../src/mm/index.ts";
import { KIND_MASK, rowOf, TAKEN } from "../../src/mm/memory.ts";
import { ISOLATE, MOVABLE } from "../../src/mm/rule.ts";
import { verify } from "../../src/mm/verify.ts";
import { attachMortal, Crash, countAtomics, life } from "../support/crashing.ts";
import { expectAllFree } from "../support/share-life.ts";

/** Sections have 8192 frames here: the zone's one extent lies in two. */
function twoSections(): Memory {
  return bootMemory({
    cpus: 3,
    shared: true,
    minFreeKbytes: 64,
    zones: [{ name: "Normal", startPfn: 4096, pages: 7168 }],
  });
}

/** Runs `what` until it is through, dying one write later each time; returns how often it died. */
function dieAtEachWrite(make: () => Memory, what: (dying: Memory) => void): number {
  for (let writes = 0; ; writes++) {
    const m = make();
    const dying = attachMortal(shareMemory(m), 1);
    life.left = writes;
    try {
      what(dying);
      return writes;
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
    } finally {
      life.left = Number.POSITIVE_INFINITY;
    }
    recover(m, [1]);
    expect.deepEqual(verify(m), []);
    expectAllFree(m);
  }
}

describe("a CPU that dies before a write", () => {
  let undo: () => void;
  before(() => {
    undo = countAtomics();
  });
  after(() => undo());

  test("while it carves blocks from an extent", () => {
    const deaths = dieAtEachWrite(twoSections, (dying) => {
      for (let i = 0; i < 6; i++) expect.notEqual(allocPages(dying, GFP_KERNEL, 10), NO_PFN);
    });
    expect.ok(deaths > 60);
  });

  test("while it cuts an extent where the next section begins", () => {
    const deaths = dieAtEachWrite(twoSections, (dying) => {
      expect.ok(allocContigRange(dying, 8192, 1024, MOVABLE));
    });
    expect.ok(deaths > 40);
  });

  test("while it frees what another took: the page is still that one's, or free", () => {
    for (const isBound of [true, false]) {
      for (const order of [0, 3, 5]) {
        for (let writes = 0, done = false; !done; writes++) {
          const m = twoSections();
          const other = attachMemory(shareMemory(m), 2);
          const pfns = [allocPages(other, GFP_KERNEL, order), allocPages(m, GFP_KERNEL, order)];
          const dying = attachMortal(shareMemory(m), 1);
          const bound = bindMemory(dying);
          life.left = writes;
          try {
            for (const pfn of pfns) {
              if (isBound) bound.freePages(pfn, order);
              else freePages(dying, pfn, order);
            }
            done = true;
            life.left = Number.POSITIVE_INFINITY;
            expect.deepEqual(verify(m), []);
          } catch (error) {
            if (!(error instanceof Crash)) throw error;
          } finally {
            life.left = Number.POSITIVE_INFINITY;
          }
          recover(m, [1]);
          expect.deepEqual(verify(m), []);
          recover(m, [2]);
          const kept = (m.state[rowOf(m, pfns[1] ?? 0)] ?? 0) & KIND_MASK;
          if (kept === TAKEN && m.owner[rowOf(m, pfns[1] ?? 0)] === ((1 << 8) | order))
            freePages(m, pfns[1] ?? 0, order);
          expectAllFree(m);
        }
      }
    }
  });

  test("while it isolates a range: what another keeps isolated stays so", () => {
    let isThrough = false;
    for (let writes = 0; !isThrough; writes++) {
      const m = twoSections();
      expect.ok(beginContig(m, 8192, 512, MOVABLE));
      const dying = attachMortal(shareMemory(m), 1);
      // Its range before this one ended behind that of the other.
      expect.ok(allocContigRange(dying, 10_240, 512, MOVABLE));
      life.left = writes;
      try {
        isThrough = beginContig(dying, 6144, 512, MOVABLE);
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
      } finally {
        life.left = Number.POSITIVE_INFINITY;
      }
      expect.equal(recover(m, [1]).held.length, 512);
      const types = [6144, 8192, 10_240].map(
        (pfn) => m.blockType[rowOf(m, pfn) >> m.pageblockOrder],
      );
      expect.deepEqual(types, [MOVABLE, ISOLATE, MOVABLE]);
      endContig(m, 8192, 512, MOVABLE);
      expectAllFree(m);
    }
  });

  test("while it recovers another: the next one recovers both", () => {
    let deaths = 0;
    for (let done = false; !done; deaths++) {
      const m = twoSections();
      const shared = shareMemory(m);
      const first = attachMortal(shared, 1);
      life.left = 50;
      expect.throws(() => {
        for (let i = 0; ; i++) freePages(first, allocPages(first, GFP_KERNEL, i % 11), i % 11);
      }, Crash);
      life.left = Number.POSITIVE_INFINITY;
      const second = attachMortal(shared, 2);
      life.left = deaths;
      try {
        recover(second, [1]);
        done = true;
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
      } finally {
        life.left = Number.POSITIVE_INFINITY;
      }
      recover(m, done ? [2] : [1, 2]);
      expect.deepEqual(verify(m), []);
      expectAllFree(m);
    }
    expect.ok(deaths > 100);
  });
});

test("a range whose first pageblock begins in no zone is refused", () => {
  for (const shared of [false, true]) {
    const m = bootMemory({ shared, zones: [{ name: "Normal", startPfn: 700, pages: 3396 }] });
    expect.equal(beginContig(m, 700, 100, MOVABLE), false);
    expect.equal(beginContig(m, 1024, 100, MOVABLE), true);
    endContig(m, 1024, 100, MOVABLE);
    expectAllFree(m);
  }
});

test("a range of two zones is refused, with all that it would have isolated as before", () => {
  for (const shared of [false, true]) {
    const m = bootMemory({
      shared,
      zones: [
        { name: "DMA", startPfn: 0, pages: 1024 },
        { name: "Normal", startPfn: 1024, pages: 4096 },
      ],
    });
    for (const [pfn, pages] of [
      [1000, 100],
      [0, 2048],
      [512, 1024],
    ] as const) {
      expect.equal(allocContigRange(m, pfn, pages, MOVABLE), false);
      expectAllFree(m);
    }
    expect.ok(allocContigRange(m, 1024, 1024, MOVABLE));
    expect.deepEqual(verify(m), []);
  }
});

test("a range is taken as it is under the lock, not as it was before", () => {
  const m = twoSections();
  const other = attachMemory(shareMemory(m), 1);
  const pfn = 4096 + 2048;
  // Its first page is free, the page before it is not yet.
  expect.ok(allocContigRange(other, pfn, 1, MOVABLE));
  expect.ok(beginContig(m, pfn, 512, MOVABLE));
  const { compareExchange } = Atomics;
  let isFirst = true;
  Reflect.set(Atomics, "compareExchange", (...args: Parameters<typeof compareExchange>) => {
    if (isFirst) {
      isFirst = false;
      freePages(other, pfn, 0);
    }
    return Reflect.apply(compareExchange, Atomics, args);
  });
  try {
    expect.deepEqual(takeContig(m, pfn + 1, 511), { pfn, pages: 512 });
  } finally {
    Reflect.set(Atomics, "compareExchange", compareExchange);
  }
});
