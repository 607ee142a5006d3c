// Goal: CMA areas are lent to movable requests and nobody else, and given back when their owner
// names them. Method: small machines where the counts decide; ranges taken by name with every list
// written out; random lives of a memory in which ranges are taken, each verified.
import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { allocPages, freePages, NO_PFN } from "../../src/mm/allocate.ts";
import { type BootOptions, bootMemory } from "../../src/mm/boot-memory.ts";
import {
  allocContigRange,
  beginContig,
  endContig,
  lendCma,
  takeContig,
} from "../../src/mm/contig.ts";
import { partExtent } from "../../src/mm/extent.ts";
import {
  EXTENT,
  KIND_MASK,
  type Memory,
  P_COUNT,
  rowOf,
  Z_CMA,
  Z_FREE,
  Z_FREE_CMA,
  Z_MANAGED,
} from "../../src/mm/memory.ts";
import { CMA, ISOLATE, MOVABLE, TYPE_COUNT, UNMOVABLE } from "../../src/mm/rule.ts";
import { verify } from "../../src/mm/verify.ts";
import { freeList } from "../support/naive-twin.ts";

const KERNEL = 0xcc0;
const MOVABLE_USER = 0x100cca;

const SIZES: BootOptions = {
  zones: [{ name: "Normal", startPfn: 0, pages: 1024, holes: [{ start: 512, end: 768 }] }],
  maxOrder: 6,
  pageblockOrder: 5,
  minFreeKbytes: 0,
  cma: true,
};

/** 768 pages of their own and 256 of CMA from pfn 512 on; pageblocks of 32. */
function withCma(era: string, own: number = 768): Memory {
  const m = bootMemory({ ...SIZES, era });
  lendCma(m, 512, 256);
  drainLists(m);
  // Unmovable, in blocks of 16: what is left is `own` pages.
  for (let pages = 768; pages > own; pages -= 16) ok(allocPages(m, KERNEL, 4) >= 0);
  return m;
}

/** Lent blocks that wait in per-CPU lists go to the zone. */
function drainLists(m: Memory): void {
  ok(beginContig(m, 0, 32, MOVABLE));
  endContig(m, 0, 32, MOVABLE);
  deepEqual(verify(m), []);
}

const isCma = (pfn: number): boolean => pfn >= 512 && pfn < 768;

/** Every free list by "type order". */
function stateOf(m: Memory): [string, number[]][] {
  const lists: [string, number[]][] = [];
  for (let type = 0; type < TYPE_COUNT; type++) {
    for (let order = 0; order <= m.maxOrder; order++) {
      const pfns = freeList(m, 0, type, order);
      if (pfns.length > 0) lists.push([`${type} ${order}`, pfns]);
    }
  }
  return lists;
}

const inAnyOrder = (lists: [string, number[]][]): unknown =>
  lists.map(([key, pfns]) => [key, pfns.toSorted((a, b) => a - b)]);

for (const era of ["6.1", "6.12"]) {
  describe(`CMA, ${era}`, () => {
    test("its pages are managed, free, and counted as CMA's", () => {
      const m = withCma(era);
      deepEqual(
        [m.zone[Z_MANAGED], m.zone[Z_FREE], m.zone[Z_FREE_CMA], m.zone[Z_CMA]],
        [1024, 1024, 256, 256],
      );
      deepEqual(
        freeList(m, 0, CMA, 6).toSorted((a, b) => a - b),
        [512, 576, 640, 704],
      );
    });

    test("unmovable requests never get them, and are refused rather", () => {
      const m = withCma(era, 0);
      equal(allocPages(m, KERNEL, 4), NO_PFN);
      equal(allocPages(m, KERNEL, 0), NO_PFN);
      equal(m.zone[Z_FREE_CMA], 256);
    });

    test("movable requests get them first while they are more than half of what is free", () => {
      const m = withCma(era, 288);
      // 544 free, 256 of them CMA's: not more than half until one block of 16 is gone twice.
      const taken = Array.from({ length: 8 }, () => allocPages(m, MOVABLE_USER, 4));
      deepEqual(taken.map(isCma), [false, false, false, true, false, true, false, true]);
      deepEqual(verify(m), []);
    });

    test("and in place of other types when their own has none left", () => {
      const m = bootMemory({ ...SIZES, era });
      lendCma(m, 512, 64);
      drainLists(m);
      const kernel = Array.from({ length: 5 }, () => allocPages(m, KERNEL, 4));
      for (const pfn of kernel) freePages(m, pfn, 4);
      const unmovable = [...m.blockType].filter((type) => type === UNMOVABLE).length;
      // 128 pages are unmovable and free now: CMA's 64 are never more than half.
      const own = Array.from({ length: 40 }, () => allocPages(m, MOVABLE_USER, 4));
      ok(own.every((pfn) => pfn >= 0 && !isCma(pfn)));
      ok(isCma(allocPages(m, MOVABLE_USER, 4)));
      equal([...m.blockType].filter((type) => type === UNMOVABLE).length, unmovable);
      deepEqual([m.zone[Z_FREE], m.zone[Z_FREE_CMA]], [128 + 48, 48]);
    });

    test("single pages through per-CPU lists keep their area, and go back to it", () => {
      const m = withCma(era, 16);
      const pfns = Array.from({ length: 40 }, () => allocPages(m, MOVABLE_USER, 0));
      ok(pfns.every(isCma));
      deepEqual(verify(m), []);
      for (const pfn of pfns) freePages(m, pfn, 0);
      drainLists(m);
      equal(m.zone[Z_FREE_CMA], 256);
      equal(freeList(m, 0, MOVABLE, 0).filter(isCma).length, 0);
    });

    test("their owner gets a range back, and the rest stays lent", () => {
      const m = withCma(era);
      ok(allocContigRange(m, 544, 23, CMA));
      deepEqual(verify(m), []);
      equal(m.zone[Z_FREE_CMA], 256 - 23);
      equal(m.zone[Z_FREE], 1024 - 23);
      for (let pfn = 544; pfn < 567; pfn++) freePages(m, pfn, 0);
      drainLists(m);
      deepEqual(
        freeList(m, 0, CMA, 6).toSorted((a, b) => a - b),
        [512, 576, 640, 704],
      );
    });

    test("a range with a page in use is refused, and nothing is lost", () => {
      const m = withCma(era, 0);
      const pfn = allocPages(m, MOVABLE_USER, 0);
      ok(isCma(pfn));
      ok(!allocContigRange(m, pfn - (pfn % 32), 32, CMA));
      deepEqual(verify(m), []);
      equal(m.blockType.includes(ISOLATE), false);
      freePages(m, pfn, 0);
      ok(allocContigRange(m, pfn - (pfn % 32), 32, CMA));
    });
  });
}

describe("a range of pages, step by step", () => {
  const boot = (): Memory =>
    bootMemory({ ...SIZES, era: "6.12", zones: [{ name: "Normal", startPfn: 0, pages: 256 }] });

  test("isolated blocks are nobody's and count for nothing; the larger block around them is split", () => {
    const m = boot();
    ok(beginContig(m, 96, 8, MOVABLE));
    equal(m.zone[Z_FREE], 224);
    deepEqual(freeList(m, 0, ISOLATE, 5), [96]);
    deepEqual(freeList(m, 0, MOVABLE, 5), [64]);
    deepEqual(freeList(m, 0, MOVABLE, 6), [0, 128, 192]);
    deepEqual(verify(m), []);
    deepEqual(takeContig(m, 96, 8), { pfn: 96, pages: 32 });
    for (let pfn = 104; pfn < 128; pfn++) freePages(m, pfn, 0);
    // 8 and 16 pages, the smaller one first on a list of its own.
    deepEqual(freeList(m, 0, ISOLATE, 3), [104]);
    deepEqual(freeList(m, 0, ISOLATE, 4), [112]);
    equal(m.pcp[P_COUNT], 0);
    endContig(m, 96, 8, MOVABLE);
    deepEqual(freeList(m, 0, MOVABLE, 3), [104]);
    deepEqual([m.zone[Z_FREE], m.blockType.includes(ISOLATE)], [248, false]);
    deepEqual(verify(m), []);
  });

  test("opened again untouched, the block merges with its neighbour, at the list's end", () => {
    const m = boot();
    ok(beginContig(m, 32, 32, MOVABLE));
    deepEqual(freeList(m, 0, MOVABLE, 6), [64, 128, 192]);
    endContig(m, 32, 32, MOVABLE);
    deepEqual(freeList(m, 0, MOVABLE, 6), [64, 128, 192, 0]);
    deepEqual(verify(m), []);
  });

  test("a page freed meanwhile does not wait in a per-CPU list", () => {
    const m = boot();
    const pfn = allocPages(m, MOVABLE_USER, 0);
    ok(beginContig(m, pfn, 1, MOVABLE));
    equal(m.pcp[P_COUNT], 0);
    freePages(m, pfn, 0);
    equal(m.pcp[P_COUNT], 0);
    equal(freeList(m, 0, ISOLATE, 5).length, 1);
    endContig(m, pfn, 1, MOVABLE);
    equal(m.zone[Z_FREE], 256);
  });

  test("isolated blocks are isolated once; ranges out of the memory are refused", () => {
    const m = boot();
    ok(beginContig(m, 64, 64, MOVABLE));
    const before = stateOf(m);
    for (const [pfn, pages] of [
      [64, 1],
      [0, 128],
      [32, 224],
      [224, 64],
      [5000, 32],
    ] as const) {
      ok(!beginContig(m, pfn, pages, MOVABLE), `${pfn}`);
    }
    ok(
      m.blockType
        .slice(rowOf(m, 128) >> 5, (rowOf(m, 255) >> 5) + 1)
        .every((type) => type !== ISOLATE),
    );
    // Each attempt may have moved free blocks to their lists' ends, and nothing else.
    deepEqual(inAnyOrder(stateOf(m)), inAnyOrder(before));
    deepEqual(verify(m), []);
    endContig(m, 64, 64, MOVABLE);
    equal(m.zone[Z_FREE], 256);
  });

  test("a block is cut out of an extent in its place", () => {
    for (let pfn = 0; pfn < 1024; pfn += 64) {
      const m = bootMemory({ ...SIZES, zones: [{ name: "Normal", startPfn: 0, pages: 1024 }] });
      const order = freeList(m, 0, MOVABLE, 6);
      equal((m.state[rowOf(m, 0)] ?? 0) & KIND_MASK, EXTENT);
      partExtent(m, 0, rowOf(m, pfn + 17));
      deepEqual(freeList(m, 0, MOVABLE, 6), order);
      deepEqual(verify(m), []);
    }
  });
});

test("any life of a memory with CMA and ranges taken by name stays sound", () => {
  const step = fc.record({
    what: fc.constantFrom("kernel", "movable", "free", "range", "give"),
    order: fc.nat(5),
    at: fc.nat(1023),
    pages: fc.integer({ min: 1, max: 100 }),
  });
  const era = fc.constantFrom("5.10", "6.1", "6.12");
  const taken = (m: Memory, pfn: number, pages: number): boolean => {
    const type = isCma(pfn) ? CMA : MOVABLE;
    return (
      pfn + pages <= 1024 &&
      isCma(pfn + pages - 1) === isCma(pfn) &&
      allocContigRange(m, pfn, pages, type)
    );
  };
  fc.assert(
    fc.property(era, fc.array(step, { maxLength: 150, size: "max" }), (name, steps) => {
      const m = withCma(name);
      const held: { pfn: number; order: number }[] = [];
      for (const { what, order, at, pages } of steps) {
        if (what === "range") {
          if (taken(m, at, pages))
            for (let i = 0; i < pages; i++) held.push({ pfn: at + i, order: 0 });
        } else if (what === "kernel" || what === "movable") {
          const pfn = allocPages(m, what === "kernel" ? KERNEL : MOVABLE_USER, order);
          if (pfn >= 0) held.push({ pfn, order });
          ok(what !== "kernel" || !isCma(pfn));
        } else {
          const own = held.splice(at % Math.max(1, held.length), 1)[0];
          if (own !== undefined) freePages(m, own.pfn, own.order);
        }
      }
      deepEqual(verify(m), []);
      for (const { pfn, order } of held) freePages(m, pfn, order);
      deepEqual(verify(m), []);
      equal(m.blockType.includes(ISOLATE), false);
    }),
    { numRuns: 150 },
  );
});
