// Goal: what holds memory in place holds it, and nothing else does: mlocked pages stay in memory and
// may move, pinned ones and the kernel's own stay where they are, and a kernel built without migration
// moves nothing. Low memory full of such pages is why a reserve exists. Method: small machines of each
// era on which memory is taken from under such pages: by reclaim, by offlining, by requests for DMA.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import {
  allocPages,
  bootMemory,
  bytesOf,
  compactZone,
  dropPage,
  gfpOf,
  lockPage,
  MemoryStore,
  managePages,
  NO_HANDLE,
  NO_PFN,
  newPage,
  offlinePages,
  type PageOptions,
  type Pages,
  pinPage,
  runKswapd,
  touchPage,
  usePressure,
  verify,
  verifyPages,
} from "../../../src/mm/index.ts";

const PAGE = 1024;
const PAGES = 1024;
const BLOCK = 32;

function machine(era: string, options: PageOptions & { ratio?: readonly number[] } = {}): Pages {
  const m = bootMemory({
    era,
    pageSize: PAGE,
    maxOrder: 6,
    pageblockOrder: 5,
    minFreeKbytes: 32,
    lowmemReserveRatio: options.ratio ?? [],
    bytes: new Uint8Array(PAGES * PAGE),
    zones: [
      { name: "DMA", startPfn: 0, pages: 256 },
      { name: "Normal", startPfn: 256, pages: PAGES - 256 },
    ],
  });
  const pages = managePages(m, { store: new MemoryStore(4 * PAGES, PAGE), ...options });
  usePressure(pages);
  return pages;
}

function write(pages: Pages, handle: number): void {
  bytesOf(pages.m, touchPage(pages, handle, true), 0).fill(handle % 251);
}

function reads(pages: Pages, handle: number): boolean {
  const bytes = bytesOf(pages.m, touchPage(pages, handle, false), 0);
  return bytes.every((byte) => byte === handle % 251);
}

function make(pages: Pages, count: number): number[] {
  return Array.from({ length: count }, () => {
    const handle = newPage(pages, pages.gfp, "anon");
    expect.notEqual(handle, NO_HANDLE);
    write(pages, handle);
    return handle;
  });
}

const place = (pages: Pages, handle: number): number => touchPage(pages, handle, false);
const blockOf = (pfn: number): number => pfn - (pfn % BLOCK);

for (const era of ["2.6", "4.19", "6.1", "6.12"]) {
  test(`S15 ${era}: mlocked and pinned pages stay in memory while others are swapped out`, () => {
    const pages = machine(era);
    const locked = make(pages, 40);
    const pinned = make(pages, 40);
    const where = pinned.map((handle) => pinPage(pages, handle));
    for (const handle of locked) lockPage(pages, handle);
    for (let i = 0; i < 2 * PAGES; i++) {
      const handle = newPage(pages, pages.gfp, "anon");
      if (handle !== NO_HANDLE) write(pages, handle);
      runKswapd(pages);
      for (const own of [...locked, ...pinned]) expect.ok((pages.place[own] ?? 0) > 0, "it is out");
    }
    expect.ok(pages.counts.pswpout > PAGES / 2, `${pages.counts.pswpout} were put away`);
    expect.deepEqual(
      pinned.map((handle) => place(pages, handle)),
      where,
    );
    expect.ok([...locked, ...pinned].every((handle) => reads(pages, handle)));
    expect.deepEqual([...verify(pages.m), ...verifyPages(pages)], []);
  });

  test(`S15 ${era}: an mlocked page moves out of the way, a pinned one and the kernel's do not`, () => {
    const pages = machine(era);
    const handles = make(pages, 400);
    const [locked = 0] = handles;
    const before = lockPage(pages, locked);
    expect.deepEqual(offlinePages(pages, blockOf(before), BLOCK), { done: true });
    expect.notEqual(blockOf(place(pages, locked)), blockOf(before));
    expect.ok((pages.place[locked] ?? 0) > 0 && reads(pages, locked));

    const pinned = handles[200] ?? 0;
    const at = pinPage(pages, pinned);
    const refused = { done: false, reason: "-EBUSY", held: [at] };
    expect.deepEqual(offlinePages(pages, blockOf(at), BLOCK), refused);
    expect.equal(place(pages, pinned), at);

    const kernel = allocPages(pages.m, gfpOf(pages.m, "GFP_KERNEL"), 0);
    const answer = offlinePages(pages, blockOf(kernel), BLOCK);
    // Without mobility types it lies beside the pinned one.
    expect.ok(!answer.done && answer.held.includes(kernel));
    expect.ok(handles.every((handle) => reads(pages, handle)));
    expect.deepEqual([...verify(pages.m), ...verifyPages(pages)], []);
  });

  test(`S15 ${era}: low memory full of pinned pages is why a reserve exists`, () => {
    const dmaOf = (ratio: readonly number[]): number => {
      const pages = machine(era, { ratio });
      // A program pins whatever memory it gets, until it gets no more.
      for (;;) {
        const handle = newPage(pages, pages.gfp, "anon");
        if (handle === NO_HANDLE) break;
        pinPage(pages, handle);
      }
      let served = 0;
      const dma = gfpOf(pages.m, "GFP_KERNEL|__GFP_DMA");
      while (allocPages(pages.m, dma, 0) !== NO_PFN) served++;
      return served;
    };
    // An eighth of what is above: 96 pages.
    expect.equal(dmaOf([]), 0);
    expect.ok(Math.abs(dmaOf([8]) - 96) <= 8, `${dmaOf([8])} pages were kept`);
  });
}

test("S15 a kernel without migration: nothing moves, reclaim goes on", () => {
  const pages = machine("6.1", { migration: false });
  const handles = make(pages, 700);
  for (const handle of handles.splice(0, 350).filter((_, i) => i % 2 === 0))
    dropPage(pages, handle);
  const places = handles.map((handle) => place(pages, handle));
  const { done } = offlinePages(pages, blockOf(places[0] ?? 0), BLOCK);
  expect.equal(done, false);
  expect.equal(compactZone(pages, 1, -1), "skipped");
  expect.equal(compactZone(pages, 1, 5), "skipped");
  expect.deepEqual(
    handles.map((handle) => place(pages, handle)),
    places,
  );
  expect.equal(pages.counts.pgmigrateSuccess, 0);
  make(pages, 700);
  expect.ok(pages.counts.pswpout > 0);
  expect.ok(handles.every((handle) => reads(pages, handle)));
});
