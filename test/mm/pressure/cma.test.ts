// Goal: a CMA area serves whoever is short of movable memory until its owner wants it back, and then it
// is there in one piece, with nobody's bytes lost. Method: small machines with real bytes; areas filled
// by others, claimed in ranges of every alignment, held in one place by a pin.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import {
  allocPages,
  bootMemory,
  bytesOf,
  type CmaArea,
  cmaAlloc,
  cmaRelease,
  createCma,
  dropPage,
  gfpOf,
  lockPage,
  managePages,
  NO_HANDLE,
  NO_PFN,
  newPage,
  type Pages,
  pinPage,
  touchPage,
  unpinPage,
  verify,
  verifyPages,
} from "../../../src/mm/index.ts";

const PAGE = 1024;
const PAGES = 2048;
const AREA = { start: 1056, end: 1056 + 256 };
/** Pages of a pageblock. */
const BLOCK = 32;

interface Machine {
  readonly pages: Pages;
  readonly area: CmaArea;
}

function machine(era: string): Machine {
  const m = bootMemory({
    era,
    pageSize: PAGE,
    maxOrder: 6,
    pageblockOrder: 5,
    cma: true,
    minFreeKbytes: 16,
    bytes: new Uint8Array(PAGES * PAGE),
    zones: [{ name: "Normal", startPfn: 0, pages: PAGES, holes: [AREA] }],
  });
  const pages = managePages(m);
  return { pages, area: createCma(pages, "camera", AREA.start, AREA.end - AREA.start) };
}

const isLent = (pfn: number): boolean => pfn >= AREA.start && pfn < AREA.end;

/** Takes pages of applications, each with bytes of its own, until `count` or until there are no more. */
function fill({ pages }: Machine, count: number): number[] {
  const handles: number[] = [];
  while (handles.length < count) {
    const handle = newPage(pages, pages.gfp, "anon");
    if (handle === NO_HANDLE) break;
    bytesOf(pages.m, touchPage(pages, handle, true), 0).fill(handle % 251);
    handles.push(handle);
  }
  return handles;
}

function expectBytes({ pages }: Machine, handles: readonly number[]): void {
  for (const handle of handles) {
    const bytes = bytesOf(pages.m, touchPage(pages, handle, false), 0);
    expect.ok(
      bytes.every((byte) => byte === handle % 251),
      `page of handle ${handle}`,
    );
  }
  expect.deepEqual([...verify(pages.m), ...verifyPages(pages)], []);
}

const lentTo = ({ pages }: Machine, handles: readonly number[]): number[] =>
  handles.filter((handle) => isLent(touchPage(pages, handle, false)));

for (const era of ["4.19", "5.10", "6.1", "6.12"]) {
  test(`S12 ${era}: movable pages borrow the area, move away when it is claimed, and keep their bytes`, () => {
    const own = machine(era);
    const { pages, area } = own;
    const handles = fill(own, PAGES);
    expect.ok(lentTo(own, handles).length > 200, "an area that nobody borrowed");
    // Room for those who must leave.
    for (const handle of handles.splice(0, 400)) dropPage(pages, handle);
    const { pfn } = cmaAlloc(area, AREA.end - AREA.start, 0);
    expect.equal(pfn, AREA.start);
    expect.equal(lentTo(own, handles).length, 0);
    bytesOf(pages.m, pfn, 0).fill(0xee);
    expectBytes(own, handles);
    cmaRelease(area, pfn, AREA.end - AREA.start);
    expectBytes(own, handles);
    expect.ok(lentTo(own, fill(own, PAGES)).length > 0, "it is not lent again");
  });

  test(`S12 ${era}: the kernel's own pages never come from the area`, () => {
    const { pages } = machine(era);
    const kernel = gfpOf(pages.m, "GFP_KERNEL");
    let taken = 0;
    for (let pfn = allocPages(pages.m, kernel, 0); pfn !== NO_PFN; taken++) {
      expect.ok(!isLent(pfn), `pfn ${pfn}`);
      pfn = allocPages(pages.m, kernel, 0);
    }
    expect.ok(taken > PAGES - 256 - 64, `${taken} pages`);
  });
}

test("S12 until 5.8 the area is lent last, since then once it is most of what is free", () => {
  const firstLent = (era: string): number => {
    const own = machine(era);
    for (let taken = 0; ; taken++) {
      const [handle = NO_HANDLE] = fill(own, 1);
      expect.notEqual(handle, NO_HANDLE);
      if (isLent(touchPage(own.pages, handle, false))) return PAGES - taken;
    }
  };
  // Pages that are free when the first one of the area goes.
  expect.ok(firstLent("4.19") <= 256 + BLOCK, `${firstLent("4.19")}`);
  for (const era of ["5.10", "6.1", "6.12"]) {
    expect.ok(firstLent(era) <= 512 + BLOCK && firstLent(era) > 256 + BLOCK, `${firstLent(era)}`);
  }
});

test("S12 the lowest place with the right alignment, counted from pfn 0", () => {
  const { area } = machine("6.1");
  // 1056 is a multiple of 32, not of 64.
  for (const [count, align, pfn] of [
    [3, 0, 1056],
    [8, 3, 1064],
    [32, 6, 1088],
    [1, 0, 1059],
    [64, 7, 1152],
    [16, 4, 1072],
  ] as const) {
    expect.equal(cmaAlloc(area, count, align).pfn, pfn, `${count} pages, order ${align}`);
  }
});

test("S12 a page that is held in place: the next place is tried, then -EBUSY says which; mlocked ones move", () => {
  const own = machine("6.1");
  const { pages, area } = own;
  const handles = fill(own, PAGES);
  const lent = lentTo(own, handles);
  const [pinned = 0, locked = 0] = lent;
  const at = pinPage(pages, pinned);
  lockPage(pages, locked);
  for (const handle of handles.filter((h) => !lent.includes(h)).slice(0, 300))
    dropPage(pages, handle);
  const kept = handles.filter((handle) => pages.kind[handle] !== 0);
  const size = AREA.end - AREA.start;
  const refused = cmaAlloc(area, size, 0);
  expect.ok(refused.pfn === -1 && "reason" in refused);
  expect.deepEqual([refused.reason, refused.held], ["-EBUSY", [at]]);
  expect.match(
    refused.message,
    /^cma: cma_alloc: camera: alloc failed, req-size: 256 pages, ret: -16$/,
  );
  expect.equal(touchPage(pages, pinned, false), at);
  const beside = cmaAlloc(area, 64, 5);
  expect.ok(beside.pfn >= AREA.start && (at < beside.pfn || at >= beside.pfn + 64));
  cmaRelease(area, beside.pfn, 64);
  unpinPage(pages, pinned);
  expect.equal(cmaAlloc(area, size, 0).pfn, AREA.start);
  expect.ok(!isLent(touchPage(pages, locked, false)));
  expectBytes(own, kept);
});

test("kernels without migration say which pages were in the way", () => {
  const hole = { start: 1024, end: 1536 };
  const m = bootMemory({
    cma: true,
    zones: [{ name: "Normal", startPfn: 0, pages: 2048, holes: [hole] }],
  });
  const pages = managePages(m, { migration: false });
  const own = createCma(pages, "still", hole.start, 512);
  const handles = Array.from({ length: 1500 }, () => newPage(pages, pages.gfp, "anon"));
  const inside = handles
    .flatMap((handle) => (handle === NO_HANDLE ? [] : [touchPage(pages, handle, true)]))
    .filter((pfn) => pfn >= hole.start && pfn < hole.end)
    .sort((a, b) => a - b);
  const answer = cmaAlloc(own, 512, 0);
  expect.ok("reason" in answer && inside.length > 0);
  expect.equal(answer.reason, "-EBUSY");
  expect.deepEqual(answer.held, inside);
});

test("an area at either end of a zone is as good as one in its middle", () => {
  const low = { name: "DMA32", startPfn: 0, pages: 2 ** 13 };
  const high = { name: "Normal", startPfn: 2 ** 13, pages: 2 ** 13 };
  for (const start of [0, 2 ** 12, 2 ** 13 - 2 ** 11]) {
    for (const options of [{}, { shared: true }]) {
      const hole = { start, end: start + 2 ** 11 };
      // The smallest sections: those that the area is in have no RAM.
      const m = bootMemory({ cma: true, zones: [{ ...low, holes: [hole] }, high], ...options });
      const pages = managePages(m);
      const own = createCma(pages, "edge", start, 2 ** 11);
      const gfp = gfpOf(m, "GFP_HIGHUSER_MOVABLE|__GFP_DMA32");
      const handles: number[] = [];
      for (let h = newPage(pages, gfp, "anon"); h !== NO_HANDLE; h = newPage(pages, gfp, "anon")) {
        handles.push(h);
      }
      const lent = handles.filter((handle) => {
        const pfn = touchPage(pages, handle, true);
        return pfn >= hole.start && pfn < hole.end;
      });
      expect.ok(lent.length > 1024, `${lent.length} pages of the area are used`);
      for (const handle of handles) if (!lent.includes(handle)) dropPage(pages, handle);
      const answer = cmaAlloc(own, 2 ** 11, 0);
      expect.equal(answer.pfn, start);
      expect.deepEqual([...verify(m), ...verifyPages(pages)], []);
      cmaRelease(own, start, 2 ** 11);
      for (const handle of lent) dropPage(pages, handle);
      expect.deepEqual([...verify(m), ...verifyPages(pages)], []);
    }
  }
});
