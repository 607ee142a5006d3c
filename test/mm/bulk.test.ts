// Goal: pages that leave or reach a zone by other ways than one request or one free follow the
// kernel's order too. Method: small memories in states made by hand, each showing one rule that a
// recorded kernel confirmed: many at once, a free past locked lists, the decay of tuned lists.
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { test } from "node:test";
import {
  allocPages,
  allocPass,
  freePages,
  freePagesPastPcp,
  NO_PFN,
} from "../../src/mm/allocate.ts";
import { type BootOptions, bootMemory } from "../../src/mm/boot-memory.ts";
import { allocPagesBulk } from "../../src/mm/bulk.ts";
import { decayPcp } from "../../src/mm/drain.ts";
import { drainAllPages } from "../../src/mm/drain-all.ts";
import { GFP_HIGHUSER_MOVABLE, GFP_KERNEL } from "../../src/mm/gfp.ts";
import { ALLOC_NO_WATERMARKS, ALLOC_WMARK_LOW, ALLOC_WMARK_MIN } from "../../src/mm/gfp-alloc.ts";
import { equal as equalImages, snapshot } from "../../src/mm/image.ts";
import {
  type Memory,
  P_BATCH,
  P_COUNT,
  P_FACTOR,
  P_FREE_COUNT,
  P_HIGH,
  P_HIGH_MIN,
  pfnOf,
  Z_BLOCKS,
  Z_FREE,
  Z_LOW,
  Z_MIN,
} from "../../src/mm/memory.ts";

/** 16 MiB in one zone, whose first block is at pfn 4096. */
function small(options: Partial<BootOptions> = {}): Memory {
  const zones = [{ name: "Normal", startPfn: 4096, pages: 4096 }];
  return bootMemory({ zones, minFreeKbytes: 0, ...options });
}

/** A word of the only pageset. */
function pageset(m: Memory, word: number): number {
  return m.pcp[word] ?? -1;
}

test("many at once are what single requests would get, in the same order", () => {
  for (const gfp of [GFP_KERNEL, GFP_HIGHUSER_MOVABLE]) {
    const one = small();
    const many = small();
    for (const m of [one, many]) m.pcp[P_BATCH] = 7;
    const single = Array.from({ length: 20 }, () => allocPages(one, gfp, 0));
    const bulk: number[] = [];
    equal(allocPagesBulk(many, gfp, 20, bulk), 20);
    deepEqual(bulk, single);
    equal(pageset(many, P_COUNT), pageset(one, P_COUNT));
    for (const pfn of bulk) freePages(many, pfn, 0);
    drainAllPages(many);
    equal(many.zone[Z_FREE], 4096);
  }
});

test("a bulk call does not halve what frees have raised, a single request does", () => {
  for (const [era, word] of [
    ["6.1", P_FACTOR],
    ["6.12", P_FREE_COUNT],
  ] as const) {
    const m = small({ era });
    m.pcp[word] = 4;
    equal(allocPagesBulk(m, GFP_KERNEL, 3, []), 3);
    equal(pageset(m, word), 4, era);
    allocPages(m, GFP_KERNEL, 0);
    equal(pageset(m, word), 2, era);
  }
});

test("a bulk call is refused as a whole where the low mark leaves no room for all", () => {
  const m = small();
  m.zone[Z_LOW] = 4096 - 10;
  const pfns: number[] = [];
  equal(allocPagesBulk(m, GFP_KERNEL, 10, pfns), 0);
  deepEqual(pfns, []);
  // The mark must be exceeded after all of them: nine of ten pages above it.
  equal(allocPagesBulk(m, GFP_KERNEL, 9, pfns), 9);
});

test("a bulk call goes to the next zone of its node, as a request does", () => {
  const zones = [
    { name: "DMA", startPfn: 1024, pages: 1024 },
    { name: "Normal", startPfn: 2048, pages: 1024 },
  ];
  const m = bootMemory({ zones, minFreeKbytes: 0, lowmemReserveRatio: [0, 0] });
  const pfns: number[] = [];
  equal(allocPagesBulk(m, GFP_KERNEL, 1023, pfns), 1023);
  ok(pfns.every((pfn) => pfn >= 2048));
  const more: number[] = [];
  equal(allocPagesBulk(m, GFP_KERNEL, 100, more), 100);
  ok(more.every((pfn) => pfn < 2048));
});

test("a free past locked lists merges at once and is checked like any other", () => {
  const m = small();
  const pfn = allocPages(m, GFP_KERNEL, 0);
  drainAllPages(m);
  const largest = m.zone[Z_BLOCKS + m.maxOrder] ?? 0;
  freePagesPastPcp(m, pfn, 0);
  equal(pageset(m, P_COUNT), 0);
  equal(m.zone[Z_BLOCKS + m.maxOrder], largest + 1);
  equal(m.zone[Z_FREE], 4096);
  throws(() => {
    freePagesPastPcp(m, pfn, 0);
  });
});

test("decay takes an eighth off high and gives back what is above it, oldest first", () => {
  const m = small({ era: "6.12" });
  const taken = Array.from({ length: 100 }, () => allocPages(m, GFP_KERNEL, 0));
  drainAllPages(m);
  Object.assign(m.pcp, { [P_BATCH]: 8, [P_HIGH_MIN]: 16, [P_HIGH]: 104 });
  for (const pfn of taken) freePages(m, pfn, 0);
  equal(pageset(m, P_COUNT), 100);
  const drained: number[] = [];
  m.events = {
    refill() {},
    drain: (_zone, row) => drained.push(pfnOf(m, row)),
    extfrag() {},
    wakeKswapd() {},
  };
  decayPcp(m, 0, 0);
  // 104 - 13 = 91, and 9 pages more than that are on the list.
  equal(pageset(m, P_HIGH), 91);
  deepEqual(drained, taken.slice(0, 9));
  for (let i = 0; i < 40; i++) decayPcp(m, 0, 0);
  equal(pageset(m, P_HIGH), 16);
  equal(pageset(m, P_COUNT), 16);
});

test("decay lets one worker run give back no more than 32 batches by lowering high", () => {
  const m = small({ era: "6.12" });
  const taken = Array.from({ length: 300 }, () => allocPages(m, GFP_KERNEL, 0));
  drainAllPages(m);
  Object.assign(m.pcp, { [P_BATCH]: 1, [P_HIGH_MIN]: 4, [P_HIGH]: 301 });
  for (const pfn of taken) freePages(m, pfn, 0);
  decayPcp(m, 0, 0);
  equal(pageset(m, P_HIGH), 268);
  equal(pageset(m, P_COUNT), 268);
});

test("a block that leaves the free lists is told of, also without a refill", () => {
  const m = small();
  const told: string[] = [];
  m.events = {
    refill: (_zone, row, order, type) => told.push(`${pfnOf(m, row)} ${order} ${type}`),
    drain() {},
    extfrag() {},
    wakeKswapd() {},
  };
  m.pcp[P_BATCH] = 3;
  const first = allocPages(m, GFP_HIGHUSER_MOVABLE, 0);
  deepEqual(told, [`${first} 0 1`, `${first + 1} 0 1`, `${first + 2} 0 1`]);
  told.length = 0;
  const large = allocPages(m, GFP_HIGHUSER_MOVABLE, 6);
  deepEqual(told, [`${large} 6 1`]);
});

test("a pass asks for its own mark only, and a refused one changes nothing", () => {
  const m = small();
  m.zone[Z_LOW] = 4096;
  m.zone[Z_MIN] = 4000;
  const before = snapshot(m.image);
  equal(allocPass(m, GFP_KERNEL, 0, ALLOC_WMARK_LOW), NO_PFN);
  ok(equalImages(before, snapshot(m.image)));
  const pfn = allocPass(m, GFP_KERNEL, 0, ALLOC_WMARK_MIN);
  ok(pfn !== NO_PFN);
  freePages(m, pfn, 0);
  m.zone[Z_MIN] = 4096;
  equal(allocPass(m, GFP_KERNEL, 3, ALLOC_WMARK_MIN), NO_PFN);
  ok(allocPass(m, GFP_KERNEL, 3, ALLOC_NO_WATERMARKS) !== NO_PFN);
});
