// Goal: who may use which memory. Method: small machines on which one rule decides: the way down
// from Normal to DMA and what keeps a request out of it, nodes, mobility types, the boost, the
// HighAtomic reserve, and where 6.1 and 6.12 part.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { allocPages, freePages, NO_PFN } from "../../src/mm/allocate.ts";
import { type BootOptions, bootMemory } from "../../src/mm/boot-memory.ts";
import { drainAllPages } from "../../src/mm/drain-all.ts";
import { ALLOC_HARDER, ALLOC_HIGH, ALLOC_MIN_RESERVE } from "../../src/mm/gfp-alloc.ts";
import {
  type Memory,
  rowOf,
  Z_BOOST,
  Z_FLAGS,
  Z_FREE,
  Z_HIGH,
  Z_HIGHATOMIC,
  ZONE_BOOSTED,
  ZONE_WORDS,
} from "../../src/mm/memory.ts";
import { HIGHATOMIC, MOVABLE, RECLAIMABLE, UNMOVABLE } from "../../src/mm/rule.ts";
import { verify } from "../../src/mm/verify.ts";
import { watermarkOk } from "../../src/mm/zone-watermark.ts";
import { freeList } from "../support/naive-twin.ts";

const KERNEL = 0xcc0;
const DMA = 0xcc1;
const MOVABLE_USER = 0x100cca;
const RECLAIM = 0xcd0;
const ATOMIC = 0xa20;
const MEMALLOC = 0x20000;
const THISNODE = 0x200000;

/** Takes blocks of `order` until none is left. */
function takeAll(m: Memory, gfp: number, order: number): number[] {
  const pfns: number[] = [];
  for (let pfn = allocPages(m, gfp, order); pfn !== NO_PFN; pfn = allocPages(m, gfp, order)) {
    pfns.push(pfn);
  }
  return pfns;
}

const typeAt = (m: Memory, pfn: number): number | undefined =>
  m.blockType[rowOf(m, pfn) >> m.pageblockOrder];

const DMA_NORMAL = [
  { name: "DMA", startPfn: 0, pages: 256 },
  { name: "Normal", startPfn: 256, pages: 256 },
];
const SMALL = { maxOrder: 5, pageblockOrder: 4, minFreeKbytes: 0, zones: DMA_NORMAL };

for (const era of ["2.6", "5.10", "6.1", "6.12"]) {
  const bits = era === "2.6" ? 0x10 : 0xcc0;
  test(`S6 ${era}: a DMA request never leaves DMA; a normal one may dip into it; a reserve keeps it out`, () => {
    const m = bootMemory({ ...SMALL, era, lowmemReserveRatio: [0] });
    const dma = takeAll(m, bits | 1, 0);
    expect.equal(dma.length, 256);
    expect.ok(dma.every((pfn) => pfn < 256));
    for (const pfn of dma) freePages(m, pfn, 0);
    const normal = takeAll(m, bits, 0);
    expect.equal(normal.length, 512);
    // The last of Normal wait on the per-CPU list, where they are not counted as free.
    const first = normal.findIndex((pfn) => pfn < 256);
    expect.ok(first >= 240, `${first} pages of Normal are used first`);

    // 256 pages above, a quarter of them: 64 pages of DMA are kept from normal requests.
    const kept = bootMemory({ ...SMALL, era, lowmemReserveRatio: [4] });
    expect.equal(takeAll(kept, bits, 0).length, 512 - 64);
    expect.equal(takeAll(kept, bits | 1, 0).length, 64);
  });
}

test("S6: with 4 GiB above it, no normal request ever takes from DMA", () => {
  const m = bootMemory({
    zones: [
      { name: "DMA", startPfn: 0, pages: 3840 },
      { name: "Normal", startPfn: 4096, pages: 2 ** 20 },
    ],
  });
  takeAll(m, KERNEL, 10);
  expect.equal(takeAll(m, KERNEL, 0).filter((pfn) => pfn < 4096).length, 0);
  expect.equal(allocPages(m, DMA, 0) < 4096, true);
});

test("free pages in pieces are refused as a block, and merge into one again", () => {
  const m = bootMemory({ ...SMALL, zones: [{ name: "Normal", startPfn: 0, pages: 256 }] });
  const pfns = takeAll(m, KERNEL, 0);
  const odd = pfns.filter((pfn) => pfn % 2 === 1);
  for (const pfn of odd) freePages(m, pfn, 0);
  drainAllPages(m);
  expect.equal(m.zone[Z_FREE], 128);
  expect.equal(allocPages(m, KERNEL, 1), NO_PFN);
  for (const pfn of pfns) if (pfn % 2 === 0) freePages(m, pfn, 0);
  expect.equal(takeAll(m, KERNEL, 5).length, 8);
});

test("THISNODE stays on its node; without it the other node helps", () => {
  const m = bootMemory({
    ...SMALL,
    cpus: 2,
    cpuNode: [0, 1],
    zones: [
      { name: "Normal", node: 0, startPfn: 0, pages: 256 },
      { name: "Normal", node: 1, startPfn: 512, pages: 256 },
    ],
  });
  m.cpu = 1;
  const own = takeAll(m, KERNEL | THISNODE, 0);
  expect.equal(own.length, 256);
  expect.ok(own.every((pfn) => pfn >= 512));
  expect.ok(takeAll(m, KERNEL, 0).every((pfn) => pfn < 512));
});

/** Normal with one free movable page a pair, below it whole blocks of a lower zone. */
function mixed(below: string): Memory {
  const m = bootMemory({
    ...SMALL,
    zones: [
      { name: below, startPfn: 0, pages: 128 },
      { name: "Normal", startPfn: 128, pages: 128 },
    ],
  });
  const pfns = takeAll(m, MOVABLE_USER, 0).filter((pfn) => pfn >= 128);
  for (let i = 0; i < pfns.length; i += 2) freePages(m, pfns[i] ?? 0, 0);
  return m;
}

test("NOFRAGMENT: DMA32 is asked before types mix in Normal; without DMA32 they mix at once", () => {
  for (const [below, expected] of [
    ["DMA32", true],
    ["DMA", false],
  ] as const) {
    const m = mixed(below);
    // The lower zone gets its blocks back, all of them movable.
    for (let pfn = 0; pfn < 128; pfn++) freePages(m, pfn, 0);
    drainAllPages(m);
    expect.equal(allocPages(m, KERNEL, 0) < 128, expected, below);
  }
});

test("unmovable takes the largest movable block, movable the smallest that fits", () => {
  const zones = [{ name: "Normal", startPfn: 0, pages: 256 }];
  const m = bootMemory({ ...SMALL, zones });
  expect.equal(allocPages(m, KERNEL, 0), 0);
  expect.deepEqual([typeAt(m, 0), typeAt(m, 16), typeAt(m, 32)], [UNMOVABLE, UNMOVABLE, MOVABLE]);
  expect.equal(allocPages(m, RECLAIM, 0), 32, "the largest, though 16 unmovable pages are free");
  expect.deepEqual([typeAt(m, 16), typeAt(m, 32)], [UNMOVABLE, RECLAIMABLE]);

  const other = bootMemory({ ...SMALL, pageblockOrder: 5, zones });
  takeAll(other, KERNEL, 5);
  for (const pfn of [32, 96]) freePages(other, pfn, 5);
  drainAllPages(other);
  expect.equal(allocPages(other, KERNEL, 2), 96);
  expect.equal(allocPages(other, MOVABLE_USER, 5), 32, "a whole pageblock is converted");
  // Left are blocks of 4 at 100, 8 at 104 and 16 at 112, all unmovable; half a pageblock may be
  // claimed (order 2 of 5), and the largest that may is taken.
  expect.equal(
    allocPages(other, MOVABLE_USER, 0),
    100,
    "the block at 112 moved with its pageblock",
  );
  expect.equal(typeAt(other, 100), MOVABLE);
});

test("boost: a pageblock at a time up to one and a half of high, and kswapd is flagged", () => {
  const m = bootMemory({
    ...SMALL,
    minFreeKbytes: 64,
    zones: [{ name: "Normal", startPfn: 0, pages: 256 }],
  });
  const high = m.zone[Z_HIGH] ?? 0;
  const most = Math.max(16, Math.floor(high * 1.5));
  const pfns = takeAll(m, MOVABLE_USER | MEMALLOC, 0);
  expect.equal(pfns.length, 256);
  for (let i = 0; i < pfns.length; i += 4) freePages(m, pfns[i] ?? 0, 0);
  drainAllPages(m);
  expect.equal(allocPages(m, 0x400 | MEMALLOC, 0) >= 0, true, "without waking kswapd");
  expect.equal(m.zone[Z_BOOST], 16);
  expect.equal((m.zone[Z_FLAGS] ?? 0) & ZONE_BOOSTED, 0);
  for (let i = 0; i < 20; i++) allocPages(m, 0x410 | MEMALLOC, 0);
  expect.ok((m.zone[Z_BOOST] ?? 0) <= most);
});

test("kswapd is woken for a boosted zone once, by the first who may wake it", () => {
  const m = bootMemory(SMALL);
  const woken: number[] = [];
  const nothing = (): void => undefined;
  const wakeKswapd = (zone: number): void => void woken.push(zone);
  m.events = { refill: nothing, drain: nothing, extfrag: nothing, wakeKswapd };
  allocPages(m, KERNEL, 0);
  expect.deepEqual(woken, []);
  m.zone[ZONE_WORDS + Z_FLAGS] = ZONE_BOOSTED;
  allocPages(m, 0x400, 0);
  expect.deepEqual(woken, [], "without __GFP_KSWAPD_RECLAIM the flag stays");
  allocPages(m, KERNEL, 0);
  allocPages(m, KERNEL, 0);
  allocPages(m, KERNEL, 4);
  expect.deepEqual(woken, [1]);
  expect.equal(m.zone[ZONE_WORDS + Z_FLAGS], 0);
});

test("a request that finds no zone above its low mark wakes kswapd for all of its zones", () => {
  const m = bootMemory({ ...SMALL, minFreeKbytes: 64, lowmemReserveRatio: [0] });
  takeAll(m, 0x1, 0);
  takeAll(m, 0x0, 0);
  const woken: string[] = [];
  const nothing = (): void => undefined;
  const wakeKswapd = (zone: number, order: number): void => void woken.push(`${zone} ${order}`);
  m.events = { refill: nothing, drain: nothing, extfrag: nothing, wakeKswapd };
  allocPages(m, 0x0, 2);
  expect.deepEqual(woken, [], "who may not wake it does not");
  allocPages(m, 0x800, 2);
  expect.deepEqual(woken, ["1 2", "0 2"]);
  woken.length = 0;
  allocPages(m, 0x801, 0);
  expect.deepEqual(woken, ["0 0"]);
});

const RESERVE: BootOptions = {
  ...SMALL,
  minFreeKbytes: 256,
  zones: [{ name: "Normal", startPfn: 0, pages: 256 }],
};

test("HighAtomic: reserved by who cannot wait, closed to others, and given back at last", () => {
  const m = bootMemory(RESERVE);
  // Down to the low mark, where only GFP_ATOMIC still gets blocks.
  const held = takeAll(m, 0x0, 0);
  const pfn = allocPages(m, ATOMIC, 1);
  expect.ok(pfn >= 0);
  expect.equal(m.zone[Z_HIGHATOMIC], 16);
  expect.equal(typeAt(m, pfn), HIGHATOMIC);
  expect.deepEqual(verify(m), []);
  // A request that may wait empties the reserve before it is refused.
  takeAll(m, KERNEL, 0);
  expect.equal(m.zone[Z_HIGHATOMIC], 0);
  expect.deepEqual(verify(m), []);
  for (const page of held) freePages(m, page, 0);
  expect.deepEqual(verify(m), []);
});

test("HighAtomic: up to 6.2 __GFP_HIGH alone lowers the mark, and does not open the reserve", () => {
  const row = new Int32Array(ZONE_WORDS);
  row[Z_FREE] = 100;
  row[Z_HIGHATOMIC] = 60;
  const ok = (harderAlone: boolean, flags: number): boolean =>
    watermarkOk(row, 0, 0, 80, 0, flags, {
      harderAlone,
      watermark: "types",
      lessFree: 0,
      atomicSkipsBoost: true,
    });
  // 100 free pages or 40, against half of 80 or three eighths.
  expect.equal(ok(true, ALLOC_HIGH), false);
  expect.equal(ok(true, ALLOC_HIGH | ALLOC_HARDER), true);
  expect.equal(ok(false, ALLOC_MIN_RESERVE), true);
  expect.equal(ok(false, 0), false);
});

test("HighAtomic: a pageblock more than a hundredth of the zone, whole ones within it since 6.8", () => {
  for (const [era, most] of [
    ["5.10", 32],
    ["6.1", 32],
    ["6.12", 16],
  ] as const) {
    const zones = [{ name: "Normal", startPfn: 0, pages: 1600 }];
    const m = bootMemory({ ...RESERVE, era, minFreeKbytes: 1024, zones });
    const atomic = era === "5.10" ? 0xa20 : ATOMIC;
    takeAll(m, 0x0, 0);
    takeAll(m, atomic, 1);
    expect.equal(m.zone[Z_HIGHATOMIC], most, era);
    expect.deepEqual(verify(m), [], era);
  }
  const tiny = bootMemory({ ...RESERVE, era: "6.12" });
  takeAll(tiny, 0x0, 0);
  expect.ok(allocPages(tiny, ATOMIC, 1) >= 0);
  expect.equal(tiny.zone[Z_HIGHATOMIC], 0, "none in a zone below a hundred pageblocks");
});

test("a small steal: 6.1 moves the pageblock's free pages, 6.12 takes one block and leaves the rest", () => {
  for (const [era, moved] of [
    ["6.1", [0, 1]],
    ["6.12", [1, 0]],
  ] as const) {
    const m = bootMemory({ ...SMALL, era, zones: [{ name: "Normal", startPfn: 0, pages: 64 }] });
    const pfns = takeAll(m, MOVABLE_USER, 0);
    // Three free pages in one pageblock: less than half of it agrees.
    for (const pfn of [1, 3, 5]) if (pfns.includes(pfn)) freePages(m, pfn, 0);
    drainAllPages(m);
    expect.equal(allocPages(m, KERNEL, 0) < 16, true);
    drainAllPages(m);
    const movable = freeList(m, 0, MOVABLE, 0).length;
    const unmovable = freeList(m, 0, UNMOVABLE, 0).length;
    expect.deepEqual([movable > 0 ? 1 : 0, unmovable > 0 ? 1 : 0], moved, era);
    expect.equal(typeAt(m, 1), MOVABLE);
    expect.deepEqual(verify(m), []);
  }
});

test("a pageblock that two zones share keeps each zone's blocks on its own lists", () => {
  for (const era of ["5.10", "6.1", "6.12"]) {
    const zones = [
      { name: "DMA", startPfn: 0, pages: 72 },
      { name: "Normal", startPfn: 72, pages: 56 },
    ];
    const m = bootMemory({ ...SMALL, era, zones, minFreeKbytes: 60 });
    for (const gfp of [MOVABLE_USER, 0x9, ATOMIC, KERNEL, 0x11, RECLAIM]) {
      const pfns = takeAll(m, gfp, 1);
      expect.deepEqual(verify(m), [], era);
      for (const pfn of pfns) if (pfn % 3 > 0) freePages(m, pfn, 1);
      expect.deepEqual(verify(m), [], era);
    }
  }
});
