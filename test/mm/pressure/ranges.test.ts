// Goal: ranges taken by name and CMA areas are emptied, refused and reported as by 6.1. Method: zones laid
// out page by page; and the calls that a real kernel's trace tells, with the places that it gave.
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { describe, test } from "node:test";
import {
  addOwner,
  allocPages,
  bootMemory,
  type CmaArea,
  cmaAlloc,
  cmaRelease,
  createCma,
  freePages,
  managePages,
  newPage,
  ownPages,
  type RangeRefusal,
  takeRange,
} from "../../../src/mm/index.ts";
import { rowOf, TAKEN } from "../../../src/mm/memory.ts";
import { heldInRange } from "../../../src/mm/pressure/move-range.ts";
import { CMA, ISOLATE, MOVABLE } from "../../../src/mm/rule.ts";
import { verify } from "../../../src/mm/verify.ts";
import { BLOCK, FIRST, type Laid, laid } from "../../support/pressure-map.ts";

/** Free pages to move to, in two pageblocks. */
const ROOM = [".", "."];

const take = (own: Laid, from: number, count: number): RangeRefusal | null => {
  const refusal = takeRange(own.pages, FIRST + from, count, MOVABLE);
  own.check();
  equal(own.m.blockType.includes(ISOLATE), false);
  return refusal;
};

describe("a range", () => {
  test("is emptied, and what lies around it stays", () => {
    const own = laid(["aaaao.aaff.", ...ROOM]);
    equal(take(own, 2, 6), null);
    equal(own.map()[0]?.slice(0, 12), "aakkkkkkff..");
    equal(own.pages.counts.pgmigrateSuccess, 5);
    for (let i = 0; i < 6; i++) freePages(own.m, FIRST + 2 + i, 0);
    deepEqual(verify(own.m), []);
  });

  test("of several pageblocks gives back what its blocks reach beyond it", () => {
    const own = laid([".", "aaa.", "a.", "."]);
    const free = own.map().join("").replaceAll(/[^.]/g, "").length;
    equal(take(own, 60, 70), null);
    const left = own.map().join("");
    equal(left.slice(60, 130), "k".repeat(70));
    equal(left.replaceAll(/[^.,]/g, "").length, free - 70);
  });

  test("whose first or last pageblock has a page that can never leave is refused before any moves", () => {
    for (const rows of [
      ["k.", "aa.", "aa."],
      ["aa.", "aa.", "aa..k."],
      ["aa.", "a.k.", "aa."],
    ]) {
      const own = laid([...rows, ...ROOM]);
      equal(take(own, 32, 2 * BLOCK), "-EBUSY");
      equal(own.pages.counts.pgmigrateSuccess, 0);
    }
    // The kernel's page is in neither: only the pageblocks of the range count.
    equal(take(laid(["k.", "aa.", "k.", ...ROOM]), BLOCK, BLOCK), null);
  });

  test("of pageblocks that are lent to somebody is not for others", () => {
    const own = laid([".", ...ROOM]);
    own.m.blockType[rowOf(own.m, FIRST) >> 6] = CMA;
    equal(takeRange(own.pages, FIRST, BLOCK, MOVABLE), "-EBUSY");
  });

  test("in a zone for movable pages anything may leave, and in a hole nothing", () => {
    const m = bootMemory({
      ...{ pageSize: 64, maxOrder: 7, pageblockOrder: 6, minFreeKbytes: 1 },
      zones: [
        { name: "Normal", startPfn: 0, pages: 256 },
        { name: "Movable", startPfn: 256, pages: 256, holes: [{ start: 340, end: 350 }] },
      ],
    });
    const pages = managePages(m);
    let pfn = 0;
    while (pfn < 384) pfn = allocPages(m, pages.gfp, 0);
    newPage(pages, pages.gfp, "anon");
    // It is nobody's, so it stays: but that shows only when it does not move with the others.
    equal(takeRange(pages, 384, 64, MOVABLE), "-EBUSY");
    equal(pages.counts.pgmigrateSuccess, 1);
    equal(takeRange(pages, 320, 64, MOVABLE), "-EBUSY");
    equal(pages.counts.pgmigrateSuccess, 1);
    deepEqual(verify(m), []);
    freePages(m, pfn, 0);
    equal(takeRange(pages, 384, 64, MOVABLE), null);
  });

  test("with a page that waits on a per-CPU list, or in a larger block, is not in the way of itself", () => {
    const own = laid(["........k", "k", ...ROOM]);
    const pfn = allocPages(own.m, own.pages.gfp, 2);
    freePages(own.m, pfn, 2);
    const start = (pfn - FIRST) & -BLOCK;
    if (start === 0) equal(take(own, 0, 8), "-EBUSY", "the kernel's page is in the pageblock");
    else equal(take(own, start, BLOCK), null);
    const large = laid(["k", "k", ...ROOM]);
    const row = rowOf(large.m, FIRST);
    large.m.state.fill(0, row, row + BLOCK);
    large.m.state[row] = TAKEN | 6;
    equal(take(large, 10, 4), "-EBUSY");
    deepEqual(heldInRange(large.pages, FIRST + 10, 4), [FIRST]);
  });

  test("moves an owner's blocks whole", () => {
    const own = laid(["a.", ...ROOM]);
    const moved: number[][] = [];
    const owner = addOwner(own.pages, {
      name: "blocks",
      moved: (...call) => moved.push(call) > 0,
    });
    const pfn = allocPages(own.m, own.pages.gfp, 2);
    ownPages(own.pages, pfn, owner);
    const block = (pfn - FIRST) & -BLOCK;
    equal(take(own, block, BLOCK), null);
    deepEqual([moved.length, moved[0]?.[0], moved[0]?.[2]], [1, pfn, 2]);
    equal(own.pages.counts.pgmigrateSuccess, block === 0 ? 5 : 4);
  });

  test("with a pinned page is busy; one of a file's is tried five times, an anonymous one not at all", () => {
    const anon = laid(["aaAa.", ...ROOM]);
    equal(take(anon, 0, 8), "-EBUSY");
    equal(anon.pages.counts.pgmigrateFail, 0);
    deepEqual(heldInRange(anon.pages, FIRST, 8), [FIRST + 2]);
    deepEqual(heldInRange(laid(["aAkA."]).pages, FIRST, 5), [FIRST + 1, FIRST + 2, FIRST + 3]);
    equal(anon.map()[0]?.slice(0, 4), "..A.");
    const file = laid(["ffFfoorf.", ...ROOM]);
    equal(take(file, 0, 9), "-EBUSY");
    equal(file.pages.counts.pgmigrateFail, 10);
    equal(file.asked.length, 2 + 5);
  });

  test("goes on in batches of 32: what stays in one keeps the next from being tried", () => {
    const own = laid([`F${"a".repeat(40)}.`, ...ROOM]);
    equal(take(own, 0, 48), "-EBUSY");
    equal(own.pages.counts.pgmigrateSuccess, 31);
    // 32, then 8 and 23 around it.
    const later = laid([`${"a".repeat(40)}F${"a".repeat(23)}`, "a.", ...ROOM]);
    equal(take(later, 0, 70), "-EBUSY");
    equal(later.pages.counts.pgmigrateSuccess, 32 + 31);
    deepEqual(
      [...later.pages.compaction.zones].map(({ cachedAsync }) => cachedAsync),
      [-1],
    );
  });

  test("whose pages have nowhere to go is refused for want of memory, and nothing is lost", () => {
    const full = laid(["aaaa", "aaaa"]);
    equal(take(full, 0, 8), "-ENOMEM");
    equal(full.map()[0], "a".repeat(BLOCK));
  });

  test("clean pages of files are let go rather than moved", () => {
    const own = laid(["accf.", ...ROOM]);
    equal(take(own, 0, 8), null);
    equal(own.pages.counts.pgmigrateSuccess, 2);
    equal(own.pages.place[own.handles.get(FIRST + 1) ?? 0], 0);
  });

  test("is given back its pageblocks even where an owner throws", () => {
    const own = laid(["ooo.", ...ROOM]);
    own.pages.owners[0] = {
      name: "thrower",
      moved: () => {
        throw new Error("no");
      },
    };
    throws(() => takeRange(own.pages, FIRST, 8, MOVABLE), /no/);
    equal(own.m.blockType.includes(ISOLATE), false);
    own.check();
  });

  test("without migration is had only where it is free", () => {
    const own = laid(["aa.", ...ROOM], { migration: false });
    equal(take(own, 0, 4), "-EBUSY");
    equal(take(own, 2, 4), null);
  });

  test("without migration is held by all that is in it", () => {
    const own = laid(["aoka..", ...ROOM], { migration: false });
    deepEqual(heldInRange(own.pages, FIRST, 6), [FIRST, FIRST + 1, FIRST + 2, FIRST + 3]);
  });
});

describe("a CMA area", () => {
  /** Lines of a trace of 6.12 on arm64 (g-cma-arm64-1G): cma_alloc_start's count and align, cma_alloc_finish's pfn. */
  const CALLS = [
    [32, 5, 0x76c00],
    [32, 5, 0x76c20],
    [32, 5, 0x76c40],
    [23, 5, 0x76c60],
    [23, 5, 0x76c80],
    [23, 5, 0x76ca0],
    [23, 5, 0x76cc0],
    [23, 5, 0x76ce0],
    [23, 5, 0x76d00],
    [4, 2, 0x76c78],
    [16, 4, 0x76d20],
  ] as const;

  const area = (base: number, count: number, orderPerBit = 0): CmaArea => {
    const m = bootMemory({
      cma: true,
      zones: [
        {
          ...{ name: "Normal", startPfn: 0x76000, pages: 0x2000 },
          holes: [{ start: base, end: base + count }],
        },
      ],
    });
    return createCma(managePages(m), "reserved", base, count, orderPerBit);
  };

  test("gives the places that a kernel gave", () => {
    const own = area(0x76c00, 0x800);
    deepEqual(
      CALLS.map(([count, align]) => cmaAlloc(own, count, align).pfn),
      CALLS.map(([, , pfn]) => pfn),
    );
    equal(own.pages.counts.cmaAllocSuccess, CALLS.length);
  });

  test("aligns by pfns, not by its own start; a bit may stand for several pages", () => {
    const own = area(0x76200, 0x400);
    equal(cmaAlloc(own, 8, 10).pfn, 0x76400);
    const wide = area(0x76200, 0x400, 2);
    equal(cmaAlloc(wide, 5, 0).pfn, 0x76200);
    equal(cmaAlloc(wide, 1, 1).pfn, 0x76208);
    equal(cmaAlloc(wide, 1, 4).pfn, 0x76210);
    cmaRelease(wide, 0x76200, 5);
    equal(cmaAlloc(wide, 8, 3).pfn, 0x76200);
  });

  test("says what a kernel says: places that were busy, by whom, and what is free", () => {
    const own = area(0x76200, 0x200);
    equal(cmaAlloc(own, 0x100, 0).pfn, 0x76200);
    equal(cmaAlloc(own, 0x201, 0).pfn, -1);
    // Somebody's, and nobody may move them.
    const held = new Set<number>();
    for (;;) {
      const pfn = allocPages(own.pages.m, own.pages.gfp, 0);
      if (pfn < 0) break;
      if (pfn === 0x76310 || pfn === 0x76390) held.add(pfn);
      else if (pfn >= 0x76300 && pfn < 0x76400) freeLater.push(pfn);
    }
    for (const pfn of freeLater.splice(0)) freePages(own.pages.m, pfn, 0);
    equal(held.size, 2);
    const answer = cmaAlloc(own, 0x80, 6);
    ok("reason" in answer);
    deepEqual(answer, {
      pfn: -1,
      reason: "-EBUSY",
      busy: [0x76300, 0x76340, 0x76380],
      held: [0x76310, 0x76390],
      message: "cma: cma_alloc: reserved: alloc failed, req-size: 128 pages, ret: -16",
      available: "number of available pages: 256@256=> 256 free of 512 total pages",
    });
    equal(own.pages.counts.cmaAllocFail, 2);
    const got = cmaAlloc(own, 0x40, 6);
    equal(got.pfn, 0x76340);
  });

  const freeLater: number[] = [];

  test("a request for more than it has says nothing, one for more than is left that there is none", () => {
    const own = area(0x76200, 0x200);
    const large = cmaAlloc(own, 0x201, 0);
    ok("reason" in large);
    deepEqual([large.reason, large.message], ["-ENOMEM", ""]);
    cmaAlloc(own, 0x1, 0);
    const none = cmaAlloc(own, 0x200, 0);
    ok("reason" in none);
    deepEqual([none.reason, none.busy, none.held], ["-ENOMEM", [], []]);
    equal(none.message, "cma: cma_alloc: reserved: alloc failed, req-size: 512 pages, ret: -12");
    equal(none.available, "number of available pages: 511@1=> 511 free of 512 total pages");
    cmaAlloc(own, 0x10, 8);
    const two = cmaAlloc(own, 0x200, 0);
    ok("reason" in two);
    equal(two.available, "number of available pages: 255@1+240@272=> 495 free of 512 total pages");
  });
});
