// Goal: per-CPU lists take, keep and give back as each era's do. Method: the order in which single
// pages come back, and the counters, on machines whose batch and high are known; 6.1 as a whole is
// compared with the naive twin in allocator.test.ts.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { drainCpu } from "../../src/mm/drain.ts";
import { drainAllPages } from "../../src/mm/drain-all.ts";
import {
  type Memory,
  P_BATCH,
  P_COUNT,
  P_FACTOR,
  P_HIGH,
  rowOf,
  Z_FLAGS,
  Z_FREE,
  Z_THRESHOLD,
  ZONE_RECLAIM_ACTIVE,
} from "../../src/mm/memory.ts";
import { foldCounts } from "../../src/mm/queue.ts";
import { MOVABLE, RECLAIMABLE, UNMOVABLE } from "../../src/mm/rule.ts";
import { verify } from "../../src/mm/verify.ts";
import { freeList, pcpList } from "../support/naive-twin.ts";

const KERNEL = 0xcc0;
const MOVABLE_USER = 0x100cca;

const normal = (pages: number, era = "6.1", cpus = 1): Memory =>
  bootMemory({ era, cpus, zones: [{ name: "Normal", startPfn: 0, pages }] });

const many = (m: Memory, count: number, gfp = KERNEL, order = 0): number[] =>
  Array.from({ length: count }, () => allocPages(m, gfp, order));

test("a refill takes a batch of pages, or of pages in blocks, two at least", () => {
  for (const [order, blocks] of [
    [0, 63],
    [1, 31],
    [3, 7],
    [9, 2],
  ] as const) {
    const m = normal(2 ** 18);
    expect.equal(m.pcp[P_BATCH], 63);
    const free = m.zone[Z_FREE] ?? 0;
    allocPages(m, KERNEL, order);
    expect.equal(m.pcp[P_COUNT], (blocks - 1) * 2 ** order, `order ${order}`);
    expect.equal(m.zone[Z_FREE], free - blocks * 2 ** order);
  }
});

test("which orders wait: 0 to 3 and huge pages in 6.1, single pages in 5.10 and 2.6", () => {
  for (const [era, kept] of [
    ["2.6", [0]],
    ["5.10", [0]],
    ["6.1", [0, 1, 2, 3, 9]],
    ["6.12", [0, 1, 2, 3, 9]],
  ] as const) {
    const m = normal(2 ** 18, era);
    const waits: number[] = [];
    for (let order = 0; order <= 10; order++) {
      const pfn = allocPages(m, era === "2.6" ? 0x10 : KERNEL, order);
      drainAllPages(m);
      freePages(m, pfn, order);
      if ((m.pcp[P_COUNT] ?? 0) > 0) waits.push(order);
      drainAllPages(m);
    }
    expect.deepEqual(waits, kept, era);
  }
});

test("6.1: what goes back doubles while nothing is taken, and a request halves it", () => {
  const m = normal(2 ** 18);
  const pfns = many(m, 6000);
  drainAllPages(m);
  const high = m.pcp[P_HIGH] ?? 0;
  const batch = 63;
  const drops: number[] = [];
  let before = 0;
  for (const pfn of pfns) {
    freePages(m, pfn, 0);
    const count = m.pcp[P_COUNT] ?? 0;
    if (count < before) drops.push(before + 1 - count);
    before = count;
  }
  const expected = [0, 1, 2, 3, 4, 5].map((factor) => Math.min(batch << factor, high - batch));
  expect.deepEqual(drops.slice(0, 6), expected);
  const factor = m.pcp[P_FACTOR] ?? 0;
  expect.ok(factor > 1);
  allocPages(m, KERNEL, 0);
  expect.equal(m.pcp[P_FACTOR], factor >> 1);
});

test("6.1: a block of order 1 to 3 freed while pages go back empties the list", () => {
  const m = normal(2 ** 18);
  const block = allocPages(m, KERNEL, 2);
  const pfns = many(m, 3000);
  drainAllPages(m);
  for (const pfn of pfns) {
    freePages(m, pfn, 0);
    if ((m.pcp[P_FACTOR] ?? 0) > 0) break;
  }
  expect.ok((m.pcp[P_COUNT] ?? 0) > 0);
  freePages(m, block, 2);
  expect.equal(m.pcp[P_COUNT], 0);
});

test("while the zone is reclaimed, four batches are enough", () => {
  const m = normal(2 ** 18);
  const pfns = many(m, 400);
  drainAllPages(m);
  m.zone[Z_FLAGS] = ZONE_RECLAIM_ACTIVE;
  for (const pfn of pfns.slice(0, 251)) freePages(m, pfn, 0);
  expect.equal(m.pcp[P_COUNT], 251);
  freePages(m, pfns[251] ?? 0, 0);
  expect.equal(m.pcp[P_COUNT], 252 - 63);
});

test("5.10: lists take turns: one page of the second, two of the next, three of the next", () => {
  const m = normal(2 ** 14, "5.10");
  expect.deepEqual([m.pcp[P_BATCH], m.pcp[P_HIGH]], [3, 18]);
  const kernel = many(m, 20);
  const user = many(m, 2, MOVABLE_USER);
  drainAllPages(m);
  for (const pfn of [...kernel.slice(0, 16), ...user]) freePages(m, pfn, 0);
  expect.equal(m.pcp[P_COUNT], 15);
  // The older movable page, none that is reclaimable, and the two oldest of the first list.
  const left = (list: number): number[] => pcpList(m, 0, 0, list).map((page) => page.pfn);
  expect.deepEqual(left(MOVABLE), [user[1]]);
  expect.deepEqual(left(UNMOVABLE), kernel.slice(2, 16).toReversed());
  expect.deepEqual(verify(m), []);
});

test("up to 5.12 a zone too small for a batch keeps no page at all", () => {
  const m = normal(2 ** 12, "5.10");
  expect.deepEqual([m.pcp[P_BATCH], m.pcp[P_HIGH]], [1, 0]);
  freePages(m, allocPages(m, KERNEL, 0), 0);
  expect.equal(m.pcp[P_COUNT], 0);
});

test("a drained page goes to the list it was freed as; since 6.10 to its pageblock's", () => {
  for (const [era, type] of [
    ["6.1", UNMOVABLE],
    ["6.12", RECLAIMABLE],
  ] as const) {
    const m = normal(2 ** 16, era);
    const pfns = many(m, 4);
    drainAllPages(m);
    for (const pfn of [1, 3]) freePages(m, pfns[pfn] ?? 0, 0);
    // The pageblock changes hands while they wait.
    m.blockType[rowOf(m, 0) >> m.pageblockOrder] = RECLAIMABLE;
    drainAllPages(m);
    expect.deepEqual(freeList(m, 0, type, 0).toSorted(), [pfns[1], pfns[3]], era);
  }
});

test("each CPU has its own lists, and a drain of one leaves the others", () => {
  const m = normal(2 ** 18, "6.1", 2);
  allocPages(m, KERNEL, 0);
  m.cpu = 1;
  allocPages(m, KERNEL, 0);
  drainCpu(m, 0);
  expect.equal(pcpList(m, 0, 0, 0).length, 0);
  expect.equal(pcpList(m, 0, 1, 0).length, 62);
  expect.deepEqual(verify(m), []);
});

test("drift: a CPU keeps changes of the count back up to its threshold", () => {
  const m = bootMemory({
    drift: true,
    cpus: 2,
    zones: [{ name: "Normal", startPfn: 0, pages: 2 ** 18 }],
  });
  // 2 * fls(2) * (1 + fls(1 GiB / 128 MiB))
  expect.equal(m.zone[Z_THRESHOLD], 20);
  const before = m.zone[Z_FREE] ?? 0;
  const pfn = allocPages(m, KERNEL, 4);
  expect.equal(m.zone[Z_FREE], before, "16 pages are kept back");
  freePages(m, pfn, 4);
  allocPages(m, KERNEL, 5);
  expect.equal(m.zone[Z_FREE], before - 32, "32 are not");
  allocPages(m, KERNEL, 4);
  foldCounts(m);
  expect.equal(m.zone[Z_FREE], before - 48);
  expect.deepEqual(verify(m), []);
});
