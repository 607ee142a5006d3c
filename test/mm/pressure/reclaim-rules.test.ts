// Goal: reclaim begins, works and ends by its kernel's rules. Method: small machines in states that the
// rules tell apart: one zone short and one not, a boost, a node given up, an order asked for in vain,
// pages that nothing can free, less than half of the min marks, free memory all in pieces.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  __GFP_NORETRY,
  addOwner,
  allocPages,
  bootMemory,
  freePages,
  GFP_ATOMIC,
  GFP_DMA,
  GFP_KERNEL,
  type Memory,
  MemoryStore,
  managePages,
  NO_PFN,
  newPage,
  offlinePages,
  ownPages,
  type Pages,
  pinPage,
  runKswapd,
  usePressure,
} from "../../../src/mm/index.ts";
import { requestOf } from "../../../src/mm/memory.ts";
import { tryToFreePages } from "../../../src/mm/pressure/direct.ts";
import { wakeKswapd } from "../../../src/mm/pressure/kswapd.ts";
import {
  Z_ALL_UNRECLAIMABLE,
  Z_BOOST,
  Z_FREE,
  Z_HIGH,
  Z_INDEX,
  Z_LOW,
  Z_PREV_PRIORITY,
  Z_TEMP_PRIORITY,
  ZONE_WORDS,
} from "../../../src/mm/words.ts";
import { machine as life } from "../../support/pressure-life.ts";

const NORMAL = 1;

function machine(era: string): Pages {
  const m = bootMemory({
    era,
    minFreeKbytes: 512,
    zones: [
      { name: "DMA", startPfn: 0, pages: 1024 },
      { name: "Normal", startPfn: 1024, pages: 7168 },
    ],
  });
  return managePages(m, { store: new MemoryStore(8192, m.pageSize, false) });
}

function word(m: Memory, zone: number, at: number): number {
  return m.zone[zone * ZONE_WORDS + at] ?? 0;
}

/** Kernel pages until there are no more for the flags. */
function takeAll(m: Memory, ...flags: readonly number[]): number[] {
  const taken: number[] = [];
  for (const gfp of flags) {
    for (;;) {
      const pfn = allocPages(m, gfp, 0);
      if (pfn === NO_PFN) break;
      taken.push(pfn);
    }
  }
  return taken;
}

function wake(pages: Pages, order: number): void {
  wakeKswapd(pages, NORMAL, order, word(pages.m, NORMAL, Z_INDEX), true);
}

/** Blocks of an owner who gives up all of them. */
function ownBlocks(pages: Pages, count: number): void {
  const owner = addOwner(pages, { name: "cache", mayFree: () => true });
  for (let i = 0; i < count; i++) ownPages(pages, allocPages(pages.m, pages.gfp, 0), owner);
}

function reclaimFor(pages: Pages, gfp: number): number {
  const request = requestOf(pages.m, gfp);
  return tryToFreePages(pages, gfp, 0, (request >> 4) & 0xf, request >> 8);
}

test("6.1: one zone above its high mark is enough; 2.6: a zone below its low one is not", () => {
  for (const [era, runs] of [
    ["6.1", 0],
    ["2.6", 1],
  ] as const) {
    const pages = machine(era);
    const { m } = pages;
    while (word(m, NORMAL, Z_FREE) > word(m, NORMAL, Z_LOW)) allocPages(m, pages.gfp, 0);
    assert.ok(word(m, 0, Z_FREE) > 900);
    wake(pages, 0);
    assert.equal(runKswapd(pages).length, runs, era);
  }
});

test("a boost is paid with what goes without writing, and no more is taken", () => {
  const pages = machine("6.1");
  const { m } = pages;
  ownBlocks(pages, 5000);
  for (let i = 0; i < 100; i++) newPage(pages, pages.gfp, "anon");
  m.zone[NORMAL * ZONE_WORDS + Z_BOOST] = 200;
  wake(pages, 0);
  const [run] = runKswapd(pages);
  assert.ok(run !== undefined && run.reclaimed >= 200 && run.reclaimed < 264, `${run?.reclaimed}`);
  assert.equal(run.balanced, true);
  assert.deepEqual([word(m, NORMAL, Z_BOOST), pages.counts.pswpout], [0, 0]);
});

test("a node that 16 runs freed nothing of is left alone until a request frees something", () => {
  const pages = machine("6.1");
  const taken = takeAll(pages.m, GFP_KERNEL, GFP_KERNEL | GFP_DMA);
  const runs: number[] = [];
  for (let i = 0; i < 18; i++) {
    wake(pages, 0);
    runs.push(runKswapd(pages).length);
  }
  assert.deepEqual(runs, [...new Array(16).fill(1), 0, 0]);
  for (const pfn of taken.splice(0, 1000)) freePages(pages.m, pfn, 0);
  ownBlocks(pages, 90);
  assert.ok(reclaimFor(pages, GFP_KERNEL) >= 32);
  takeAll(pages.m, GFP_KERNEL, GFP_KERNEL | GFP_DMA);
  wake(pages, 0);
  assert.equal(runKswapd(pages).length, 1);
});

test("an order that was asked for in vain counts when kswapd is woken", () => {
  const pages = machine("6.1");
  wake(pages, 3);
  assert.deepEqual(runKswapd(pages), []);
  takeAll(pages.m, GFP_KERNEL, GFP_KERNEL | GFP_DMA);
  wake(pages, 0);
  assert.deepEqual(
    runKswapd(pages).map(({ order }) => order),
    [3],
  );
  assert.equal(pages.counts.kswapdWakes, 1);
});

test("a request tries 16 times more while what is there could serve it; not with NORETRY, nor in 2.6", () => {
  for (const [era, gfp, stalls] of [
    ["6.1", GFP_KERNEL, 17],
    ["6.1", GFP_KERNEL | __GFP_NORETRY, 1],
    ["2.6", 0xd0, 1],
  ] as const) {
    const pages = machine(era);
    for (;;) {
      const handle = newPage(pages, pages.gfp, "anon");
      if (handle === 0) break;
      pinPage(pages, handle);
    }
    takeAll(pages.m, gfp);
    usePressure(pages);
    assert.equal(allocPages(pages.m, gfp, 0), NO_PFN);
    assert.equal(pages.counts.allocstall, stalls, `${era} ${gfp}`);
  }
});

test("below half of the min marks a request waits for kswapd, since 3.6", () => {
  for (const era of ["6.1", "2.6"]) {
    const pages = machine(era);
    const [kernel, atomic, dma] =
      era === "2.6" ? [0xd0, 0x20, 1] : [GFP_KERNEL, GFP_ATOMIC, GFP_DMA];
    while (newPage(pages, pages.gfp, "anon") !== 0);
    takeAll(pages.m, kernel | dma, atomic, atomic | dma);
    usePressure(pages);
    assert.notEqual(allocPages(pages.m, kernel, 0), NO_PFN);
    const { pgscanDirectThrottle, pgstealKswapd } = pages.counts;
    assert.deepEqual(
      [pgscanDirectThrottle, pgstealKswapd > 0],
      era === "2.6" ? [0, false] : [1, true],
    );
  }
});

test("at the min marks themselves a request does not wait", () => {
  const pages = machine("6.1");
  while (newPage(pages, pages.gfp, "anon") !== 0);
  takeAll(pages.m, GFP_KERNEL, GFP_KERNEL | GFP_DMA);
  usePressure(pages);
  assert.notEqual(allocPages(pages.m, GFP_KERNEL, 0), NO_PFN);
  assert.equal(pages.counts.pgscanDirectThrottle, 0);
});

test("below the high mark and its boost kswapd does all it can", () => {
  const m = bootMemory({
    era: "6.1",
    minFreeKbytes: 512,
    zones: [{ name: "Normal", startPfn: 0, pages: 8192 }],
  });
  const pages = managePages(m, { store: new MemoryStore(8192, m.pageSize, false) });
  const high = word(m, 0, Z_HIGH);
  while (word(m, 0, Z_FREE) > high + 100) newPage(pages, pages.gfp, "anon");
  m.zone[Z_BOOST] = 600;
  wakeKswapd(pages, 0, 0, word(m, 0, Z_INDEX), true);
  const [run] = runKswapd(pages);
  assert.ok(run?.balanced && pages.counts.pswpout > 400);
});

test("lent pages are not taken out of the machine", () => {
  const { pages } = life("6.1", 0, true);
  assert.deepEqual(offlinePages(pages, 512, 32), { done: false, reason: "-EBUSY", held: [] });
  assert.deepEqual(offlinePages(pages, 480, 32), { done: true });
});

test("2.6.11: less than 32 pages is no progress; the priority that was reached is remembered until the next", () => {
  const pages = machine("2.6.11");
  const { m } = pages;
  ownBlocks(pages, 20);
  assert.equal(reclaimFor(pages, 0xd0), 0);
  assert.equal(word(m, NORMAL, Z_PREV_PRIORITY), 0);
  assert.equal(word(m, NORMAL, Z_ALL_UNRECLAIMABLE), 0);
  ownBlocks(pages, 4000);
  assert.ok(reclaimFor(pages, 0xd0) >= 32);
  assert.ok(word(m, NORMAL, Z_TEMP_PRIORITY) > 0);
  assert.equal(word(m, NORMAL, Z_PREV_PRIORITY), word(m, NORMAL, Z_TEMP_PRIORITY));
});
