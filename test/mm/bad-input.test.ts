// Goal: what a caller gets wrong is one assertion that says what, at the call that was wrong, and leaves
// the memory as it was. Method: each door of the allocator and of its pages with values that no caller
// can mean; afterwards every invariant is checked.
import { strict as expect } from "node:assert";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AssertionError } from "../../src/base/assert.ts";
import { SwapFile } from "../../src/host/index.ts";
import {
  addOwner,
  allocContigRange,
  allocPages,
  allocPagesBulk,
  allocPass,
  attachMemory,
  type BootOptions,
  bindMemory,
  bootMemory,
  cmaAlloc,
  cmaRelease,
  compactZone,
  createCma,
  decayPcp,
  disownPages,
  drainCpu,
  dropPage,
  explainRefusal,
  freePages,
  freePagesPastPcp,
  GFP_KERNEL,
  lendCma,
  lockPage,
  MemoryStore,
  managePages,
  NO_HANDLE,
  newPage,
  offlinePages,
  onlinePages,
  oomVerdict,
  ownPages,
  type Pages,
  passHandle,
  passTo,
  pinPage,
  recover,
  recoverPages,
  setMarks,
  setProactiveness,
  shareMemory,
  takeRange,
  touchPage,
  unlockFrame,
  unlockPage,
  unpinPage,
  usePressure,
  verify,
  verifyPages,
  zoneFields,
} from "../../src/mm/index.ts";

const zone = { name: "Normal", startPfn: 0, pages: 2048 };
const booted = (options: Partial<BootOptions>) => () => bootMemory({ zones: [zone], ...options });

function refuses(calls: readonly (readonly [string, () => unknown, RegExp])[]): void {
  for (const [name, call, message] of calls) {
    expect.throws(
      call,
      (error) => {
        expect.ok(error instanceof AssertionError, `${name}: ${error}`);
        expect.match(error.message, message, name);
        return true;
      },
      `${name} is accepted`,
    );
  }
}

test("a memory that cannot be laid out", () => {
  const next = { name: "HighMem", startPfn: 2047, pages: 10 };
  refuses([
    ["no era", booted({ era: "banana" }), /era is no kernel version/],
    ["an era before 2.6.9", booted({ era: "2.4.37" }), /older than 2\.6\.9/],
    ["no zones", booted({ zones: [] }), /needs a zone/],
    ["pages below 0", booted({ zones: [{ ...zone, pages: -5 }] }), /number of pages \(-5\)/],
    ["half a page", booted({ zones: [{ ...zone, pages: 10.5 }] }), /number of pages \(10\.5\)/],
    ["pages that are no number", booted({ zones: [{ ...zone, pages: Number.NaN }] }), /NaN/],
    ["a start below 0", booted({ zones: [{ ...zone, startPfn: -1 }] }), /starts at a pfn \(-1\)/],
    ["zones that overlap", booted({ zones: [zone, next] }), /two zones have this page \(2047\)/],
    ["no CPU", booted({ cpus: 0 }), /has a CPU \(0\)/],
    ["half a CPU", booted({ cpus: 1.5 }), /has a CPU \(1\.5\)/],
    ["pages of 1000 bytes", booted({ pageSize: 1000 }), /power of two \(1000\)/],
    ["bytes for half of it", booted({ bytes: new Uint8Array(2 ** 22) }), /over all pages \(2048\)/],
    [
      "bytes that begin later",
      booted({ bytes: new Uint8Array(2 ** 23), bytesPfn: 1 }),
      /all pages/,
    ],
  ]);
});

test("spans of two nodes may reach into each other, their RAM may not", () => {
  const zones = [
    { ...zone, pages: 4096, holes: [{ start: 1024, end: 2048 }] },
    { ...zone, node: 1, startPfn: 1024, pages: 1024 },
  ];
  expect.deepEqual(verify(bootMemory({ zones })), []);
});

test("pages that cannot be managed", () => {
  const managed = (options: Parameters<typeof managePages>[1]) => () =>
    managePages(bootMemory({ zones: [zone] }), options);
  const twice = bootMemory({ zones: [zone] });
  managePages(twice);
  refuses([
    ["a second time", () => managePages(twice), /has such pages already/],
    [
      "of a shared memory that another made",
      () => {
        const shared = shareMemory(bootMemory({ zones: [zone], shared: true, cpus: 2 }));
        managePages(attachMemory(shared, 1));
      },
      /attachPages/,
    ],
    ["swappiness 201", managed({ swappiness: 201 }), /0 to 200 \(201\)/],
    ["no swappiness", managed({ swappiness: Number.NaN }), /0 to 200 \(NaN\)/],
    ["proactiveness 101", managed({ compactionProactiveness: 101 }), /0 to 100 \(101\)/],
    ["handles below 0", managed({ handles: -1 }), /\(-1\)/],
    ["half a handle", managed({ handles: 1.5 }), /\(1\.5\)/],
  ]);
});

test("stores of no size, or of another page size than the memory's", () => {
  const path = join(tmpdir(), "never-made");
  const page = new Uint8Array(4096);
  refuses([
    ["slots below 0", () => new MemoryStore(-1, 4096), /number of slots \(-1\)/],
    ["no slots", () => new MemoryStore(Number.NaN, 4096), /number of slots \(NaN\)/],
    ["pages without size", () => new MemoryStore(1, 0), /a page has a size \(0\)/],
    ["a file of no pages", () => new SwapFile(path, 0, 4096), /has slots \(0\)/],
    ["a file of empty pages", () => new SwapFile(path, 1, 0), /a page has a size \(0\)/],
    ["smaller slots", () => new MemoryStore(2, 2048).write(page), /another size \(2048\)/],
    ["larger slots", () => new MemoryStore(2, 8192).write(page), /another size \(8192\)/],
    ["no bytes kept", () => new MemoryStore(2, 4096, false).write(page), /made without bytes/],
  ]);
});

function withPages(): Pages {
  const pages = managePages(bootMemory({ zones: [zone] }), { store: new MemoryStore(8, 4096) });
  usePressure(pages);
  return pages;
}

test("handles that are none, and what they are not", () => {
  const pages = withPages();
  const handle = newPage(pages, pages.gfp, "anon");
  const pinned = newPage(pages, pages.gfp, "anon");
  pinPage(pages, pinned);
  refuses([
    ["handle 0", () => touchPage(pages, NO_HANDLE, true), /no page has this handle \(0\)/],
    ["a handle too high", () => touchPage(pages, 1e9, true), /this handle \(1000000000\)/],
    ["half a handle", () => touchPage(pages, 1.5, true), /this handle \(1\.5\)/],
    ["a handle not given out", () => dropPage(pages, pinned + 1), /no page has this handle/],
    ["not pinned", () => unpinPage(pages, handle), /not pinned/],
    ["not locked", () => unlockPage(pages, handle), /not locked/],
    ["dropped while pinned", () => dropPage(pages, pinned), /dropped while it is pinned/],
  ]);
  // A drop that is refused has dropped nothing.
  expect.ok(touchPage(pages, pinned, true) >= 0);
  unpinPage(pages, pinned);
  dropPage(pages, pinned);
  lockPage(pages, handle);
  unlockPage(pages, handle);
  dropPage(pages, handle);
  expect.deepEqual([...verify(pages.m), ...verifyPages(pages)], []);
});

test("areas that cannot be lent, ranges that cannot be asked for", () => {
  const holes = [{ start: 1024, end: 2048 }];
  const m = bootMemory({ zones: [{ ...zone, pages: 2560, holes }], cma: true });
  const pages = managePages(m);
  const area = createCma(pages, "one", 1024, 512);
  const { pfn } = cmaAlloc(area, 64, 6);
  refuses([
    ["no such kernel", () => createCma(withPages(), "a", 0, 512), /not made with cma: true/],
    ["half a pageblock", () => createCma(pages, "a", 1536, 256), /whole pageblocks/],
    ["not on a pageblock", () => createCma(pages, "a", 1600, 512), /whole pageblocks/],
    ["memory that is in use", () => createCma(pages, "a", 0, 512), /in a hole .*\(0\)/],
    ["lent already", () => createCma(pages, "a", 1024, 512), /in a hole .*\(1024\)/],
    ["a name again", () => createCma(pages, "one", 1536, 512), /another area has this name/],
    ["a bit for more than it has", () => createCma(pages, "a", 1536, 512, 10), /whole bits \(10\)/],
    ["a bit for less than a page", () => createCma(pages, "a", 1536, 512, -1), /whole bits \(-1\)/],
    ["no pages", () => cmaAlloc(area, 0, 0), /a range has pages \(0\)/],
    ["no alignment", () => cmaAlloc(area, 1, Number.NaN), /no such alignment \(NaN\)/],
    ["half an order", () => cmaAlloc(area, 1, 1.5), /no such alignment \(1\.5\)/],
    ["given back by halves", () => cmaRelease(area, pfn + 1, 64), /not allocated from the area/],
    ["nothing given back", () => cmaRelease(area, pfn, 0), /not allocated from the area/],
  ]);
  // What was refused lent nothing.
  expect.equal(zoneFields(m, 0).cma_pages, 512);
  cmaRelease(area, pfn, 64);
  expect.deepEqual([...verify(m), ...verifyPages(pages)], []);
});

test("as many handles as memory and store hold together: a refusal is memory's", () => {
  const m = bootMemory({ zones: [{ ...zone, pages: 1024 }] });
  const pages = managePages(m, { store: new MemoryStore(4096, 4096, false) });
  usePressure(pages);
  for (let i = 0; i < 4096; i++) expect.notEqual(newPage(pages, GFP_KERNEL, "anon"), NO_HANDLE);
  expect.ok(pages.counts.pswpout >= 3072, `${pages.counts.pswpout} pages written out`);
  expect.deepEqual(verifyPages(pages), []);
});

test("orders, zones, CPUs and counts that there are not", () => {
  const pages = withPages();
  const { m } = pages;
  const taken = allocPages(m, GFP_KERNEL, 0);
  const handle = newPage(pages, pages.gfp, "anon");
  for (const order of [-1, 1.5, 99, Number.NaN]) {
    const bad = new RegExp(`out of range \\(${order}\\)`);
    refuses([
      ["allocPages", () => allocPages(m, GFP_KERNEL, order), bad],
      ["allocPass", () => allocPass(m, GFP_KERNEL, order, 0), bad],
      ["explainRefusal", () => explainRefusal(m, GFP_KERNEL, order), bad],
      ["oomVerdict", () => oomVerdict(pages, GFP_KERNEL, order), bad],
      ["freePages", () => freePages(m, taken, order), /another order/],
      ["freePagesPastPcp", () => freePagesPastPcp(m, taken, order), /another order/],
    ]);
  }
  for (const order of [-2, 1.5, 99, Number.NaN]) {
    refuses([["compactZone", () => compactZone(pages, 0, order), /order out of range/]]);
  }
  for (const own of [-1, 0.5, 99, Number.NaN]) {
    refuses([
      ["compactZone", () => compactZone(pages, own, 4), /no zone of this number/],
      ["decayPcp of a zone", () => decayPcp(m, own, 0), /no zone of this number/],
      ["zoneFields", () => zoneFields(m, own), /no zone of this number/],
      ["decayPcp of a CPU", () => decayPcp(m, 0, own), /no such CPU/],
      ["drainCpu", () => drainCpu(m, own), /no such CPU/],
      ["passTo", () => passTo(m, taken, own), /no such CPU/],
      ["passHandle", () => passHandle(pages, handle, own), /no such CPU/],
    ]);
  }
  for (const number of [-1, 0.5, Number.NaN]) {
    refuses([
      ["compactZone up to", () => compactZone(pages, 0, 4, number), /has an index/],
      ["setProactiveness", () => setProactiveness(pages, number), /is 0 to 100/],
      ["setMarks", () => setMarks(m, { minFreeKbytes: number }), /whole numbers/],
      ["a scale", () => setMarks(m, { watermarkScaleFactor: number }), /whole numbers/],
      ["a ratio", () => setMarks(m, { lowmemReserveRatio: [256, number] }), /whole numbers/],
      ["allocPagesBulk", () => allocPagesBulk(m, GFP_KERNEL, number, []), /a number of pages/],
      ["decayPcp", () => decayPcp(m, 0, 0, number), /a number of pages/],
    ]);
  }
  refuses([["more than all", () => setProactiveness(pages, 101), /0 to 100 \(101\)/]]);
  dropPage(pages, handle);
  freePages(m, taken, 0);
  expect.deepEqual([...verify(m), ...verifyPages(pages)], []);
});

test("ranges and blocks that there are not", () => {
  const holes = [{ start: 1024, end: 2048 }];
  const m = bootMemory({ zones: [{ ...zone, pages: 2560, holes }], cma: true });
  const pages = managePages(m);
  for (const count of [0, -64, 1.5, Number.NaN]) {
    refuses([
      ["takeRange", () => takeRange(pages, 0, count, 1), /a range has pages/],
      ["allocContigRange", () => allocContigRange(m, 0, count, 1), /a range has pages/],
      ["offlinePages", () => offlinePages(pages, 0, count), /whole pageblocks/],
      ["onlinePages", () => onlinePages(pages, 1024, count), /whole pageblocks/],
      ["lendCma", () => lendCma(m, 1024, count), /whole pageblocks/],
    ]);
  }
  for (const type of [-1, 0.5, 99, Number.NaN]) {
    refuses([["of no type", () => takeRange(pages, 0, 64, type), /no mobility type/]]);
  }
  for (const pfn of [0.5, Number.NaN]) {
    refuses([
      ["from no pfn", () => takeRange(pages, pfn, 64, 1), /starts at a pfn/],
      ["offline from no pfn", () => offlinePages(pages, pfn, 512), /whole pageblocks/],
      ["lent from no pfn", () => lendCma(m, pfn, 512), /whole pageblocks/],
    ]);
  }
  refuses([["half in a hole", () => lendCma(m, 1536, 1024), /in a hole .*\(2048\)/]]);
  expect.equal(zoneFields(m, 0).cma_pages, 0);
  // What is no mistake, but cannot be had.
  expect.equal(takeRange(pages, 900, 400, 1), "-EBUSY");
  expect.equal(takeRange(pages, 1e12, 64, 1), "-EBUSY");
  expect.deepEqual([...verify(m), ...verifyPages(pages)], []);
});

test("workers that there are not", () => {
  const options = { zones: [zone], shared: true, cpus: 2 };
  const pages = managePages(bootMemory(options));
  for (const cpu of [0, -1, 2, 0.5, Number.NaN]) {
    refuses([
      ["recover", () => recover(bootMemory(options), [cpu]), /no other CPU/],
      ["recoverPages", () => recoverPages(pages, [cpu]), /no other CPU/],
    ]);
  }
  refuses([["unlockFrame", () => unlockFrame(pages.m, -1), /not in this memory \(-1\)/]]);
  expect.deepEqual([...verify(pages.m), ...verifyPages(pages)], []);
});

test("a page that a handle or an owner has is not freed, or passed on, by its pfn", () => {
  for (const options of [{}, { shared: true, cpus: 2 }]) {
    const m = bootMemory({ zones: [zone], ...options });
    const pages = managePages(m);
    const bound = bindMemory(m);
    const handle = newPage(pages, pages.gfp, "anon");
    const pfn = pinPage(pages, handle);
    const own = allocPages(m, GFP_KERNEL, 2);
    ownPages(pages, own, addOwner(pages, { name: "cache" }));
    for (const [at, order] of [
      [pfn, 0],
      [own, 2],
    ] as const) {
      refuses([
        ["freePages", () => freePages(m, at, order), /has a handle or an owner/],
        ["of a bound memory", () => bound.freePages(at, order), /has a handle or an owner/],
        ["freePagesPastPcp", () => freePagesPastPcp(m, at, order), /has a handle or an owner/],
        ["passTo", () => passTo(m, at, 0), /has a handle or an owner/],
      ]);
    }
    expect.deepEqual([...verify(m), ...verifyPages(pages)], []);
    disownPages(pages, own);
    bound.freePages(own, 2);
    unpinPage(pages, handle);
    dropPage(pages, handle);
    expect.deepEqual([...verify(m), ...verifyPages(pages)], []);
  }
});

test("a page that moved is as much its handle's as before", () => {
  const m = bootMemory({ zones: [{ ...zone, pages: 4096 }], cpus: 1 });
  const pages = managePages(m);
  const handle = newPage(pages, pages.gfp, "anon");
  const before = touchPage(pages, handle, true);
  const block = before - (before % 512);
  expect.deepEqual(offlinePages(pages, block, 512), { done: true });
  const after = touchPage(pages, handle, true);
  expect.notEqual(after, before);
  refuses([["freePages", () => freePages(m, after, 0), /has a handle or an owner/]]);
  expect.deepEqual([...verify(m), ...verifyPages(pages)], []);
});

test("memory inside a larger block is no hole: not lent, not brought online again", () => {
  // A largest block is two pageblocks; the second one of a free or taken block has nothing of its own.
  const holes = [{ start: 4096, end: 6144 }];
  const m = bootMemory({ zones: [{ ...zone, pages: 8192, holes }], cma: true });
  const pages = managePages(m);
  const taken = allocPages(m, GFP_KERNEL, 10);
  createCma(pages, "two", 4096, 1024);
  refuses([
    ["half of a taken block", () => lendCma(m, taken + 512, 512), /in a hole/],
    ["half of an extent", () => lendCma(m, 2048 + 512, 512), /in a hole/],
    ["half of an area", () => createCma(pages, "half", 4608, 512), /in a hole/],
    ["half of a taken block", () => onlinePages(pages, taken + 512, 512), /is online/],
    ["half of an extent", () => onlinePages(pages, 2048 + 512, 512), /is online/],
  ]);
  onlinePages(pages, 5120, 1024);
  freePages(m, taken, 10);
  expect.deepEqual([...verify(m), ...verifyPages(pages)], []);
});
