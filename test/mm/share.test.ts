// Goal: several workers on one memory lose no frame and get none twice, and one that dies takes
// nothing with it. Method: real worker threads that allocate, free and exchange pages where memory is
// short; a CPU that dies before each single write there is; threads terminated in the middle of it.
import { strict as expect } from "node:assert";
import { after, before, describe, test } from "node:test";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { allocContigRange } from "../../src/mm/contig.ts";
import {
  attachMemory,
  bindMemory,
  bootMemory,
  busy,
  detach,
  drainAllPages,
  GFP_ATOMIC,
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  idle,
  lockFrame,
  NO_PFN,
  passTo,
  recover,
  shareMemory,
  tryLockFrame,
  unlockFrame,
  zoneFields,
} from "../../src/mm/index.ts";
import { P_COUNT, PCP_WORDS, rowOf } from "../../src/mm/memory.ts";
import { verify } from "../../src/mm/verify.ts";
import { attachMortal, Crash, countAtomics, life } from "../support/crashing.ts";
import {
  ended,
  expectAllFree,
  killRound,
  LAYOUT_NAMES,
  machine,
  planFor,
  settle,
  start,
} from "../support/share-life.ts";

for (const era of ["2.6", "5.10", "6.1", "6.12"]) {
  test(`${era}: four workers, half of the frees are of another's pages, memory is short`, async () => {
    const m = machine(era, 5);
    const plans = planFor(m, 5, 100_000, 17);
    await Promise.all(plans.map((plan) => ended(start(plan))));
    expect.deepEqual(verify(m), []);
    settle(m, plans);
  });
}

test("workers that are terminated in the middle of it: recover returns what they held", async () => {
  for (let round = 0; round < 12; round++) await killRound(round);
});

describe("a CPU that dies before a write", () => {
  let undo: () => void;
  before(() => {
    undo = countAtomics();
  });
  after(() => undo());

  const gfp = fc.constantFrom(GFP_KERNEL, GFP_HIGHUSER_MOVABLE, GFP_ATOMIC);
  const order = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 9 }));
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ gfp, order }) },
    { weight: 4, arbitrary: fc.record({ free: fc.nat() }) },
    { weight: 1, arbitrary: fc.constantFrom("drain" as const, "idle" as const) },
    {
      weight: 1,
      arbitrary: fc.record({
        range: fc.integer({ min: 1024, max: 7000 }),
        pages: fc.integer({ min: 1, max: 700 }),
      }),
    },
  );

  for (const era of ["2.6", "5.10", "6.1", "6.12"]) {
    test(`${era}: whatever it was doing, all it had is free afterwards and nothing else is`, () => {
      fc.assert(
        fc.property(
          fc.array(step, { minLength: 1, maxLength: 40 }),
          fc.integer({ min: 0, max: 4000 }),
          fc.boolean(),
          fc.constantFrom(...LAYOUT_NAMES),
          (steps, writes, isBound, layout) => {
            const m = machine(era, 3, layout);
            const other = attachMemory(shareMemory(m), 2);
            const kept = [allocPages(m, GFP_KERNEL, 0), allocPages(other, GFP_KERNEL, 3)];
            // Lists that the dying CPU may borrow.
            freePages(other, allocPages(other, GFP_KERNEL, 0), 0);
            idle(other);
            const mortal = attachMortal(shareMemory(m), 1);
            const held = new Map<number, number>();
            let passing: readonly number[] = [];
            life.left = writes;
            try {
              const bound = bindMemory(mortal);
              for (const own of steps) {
                if (own === "drain") drainAllPages(mortal);
                else if (own === "idle") {
                  idle(mortal);
                  busy(mortal);
                } else if ("range" in own) {
                  const { range, pages } = own;
                  if (rowOf(m, range) < 0) continue;
                  passing = Array.from({ length: 4096 }, (_, i) => range - 1024 + i);
                  const type = m.blockType[rowOf(m, range)] ?? 0;
                  if (allocContigRange(mortal, range, pages, type)) {
                    for (let i = 0; i < pages; i++) held.set(range + i, 0);
                  }
                  passing = [];
                } else if ("free" in own) {
                  const pfn = [...held.keys()][own.free % held.size];
                  if (pfn === undefined) continue;
                  const size = held.get(pfn) ?? 0;
                  passing = [pfn];
                  held.delete(pfn);
                  if (isBound) bound.freePages(pfn, size);
                  else freePages(mortal, pfn, size);
                  passing = [];
                } else {
                  const pfn = isBound
                    ? bound.allocPages(own.gfp, own.order)
                    : allocPages(mortal, own.gfp, own.order);
                  if (pfn !== NO_PFN) held.set(pfn, own.order);
                }
              }
            } catch (error) {
              if (!(error instanceof Crash)) throw error;
            } finally {
              life.left = Number.POSITIVE_INFINITY;
            }
            const found = recover(m, [1]);
            const returned = new Map(found.held.map((block) => [block.pfn, block.order]));
            for (const [pfn, size] of held) expect.equal(returned.get(pfn), size);
            // At most what it was just being given, or was just giving back.
            const extra = [...returned.keys()].filter((pfn) => !held.has(pfn));
            expect.ok(extra.length <= Math.max(passing.length, 1));
            if (passing.length > 0) expect.ok(extra.every((pfn) => passing.includes(pfn)));
            expect.deepEqual(verify(m), []);
            busy(other);
            freePages(other, kept[1] ?? 0, 3);
            freePages(m, kept[0] ?? 0, 0);
            detach(other);
            expectAllFree(m);
          },
        ),
        { numRuns: 250 },
      );
    });
  }
});

test("a CPU is one worker at a time, and only one that exists", () => {
  const m = machine("6.1", 2);
  const shared = shareMemory(m);
  const other = attachMemory(shared, 1);
  expect.throws(() => attachMemory(shared, 1), /another worker is attached as this CPU/);
  expect.throws(() => attachMemory(shared, 0), /another worker/);
  expect.throws(() => attachMemory(shared, 2), /no such CPU/);
  expect.throws(() => recover(m, [0]), /no other CPU/);
  detach(other);
  attachMemory(shared, 1);
  const alone = bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages: 1024 }] });
  expect.throws(() => shareMemory(alone), /shared: true/);
});

test("a page that was passed on outlives its giver", () => {
  const m = machine("6.1", 2);
  const other = attachMemory(shareMemory(m), 1);
  const own = allocPages(other, GFP_KERNEL, 2);
  const passed = allocPages(other, GFP_KERNEL, 1);
  passTo(other, passed, 0);
  expect.deepEqual(verify(m), []);
  expect.deepEqual(recover(m, [1]).held, [{ pfn: own, order: 2 }]);
  freePages(m, passed, 1);
  expect.deepEqual(verify(m), []);
});

test("a request that finds nothing gets what an idle CPU's lists hold, and what one that left had", () => {
  for (const leave of [idle, detach]) {
    const m = machine("6.1", 2);
    const other = attachMemory(shareMemory(m), 1);
    const held: number[] = [];
    for (;;) {
      const pfn = allocPages(other, GFP_KERNEL, 0);
      if (pfn === NO_PFN) break;
      held.push(pfn);
    }
    // Fewer than a list holds: they stay there.
    for (const pfn of held.splice(0, 10)) freePages(other, pfn, 0);
    leave(other);
    while (allocPages(m, GFP_KERNEL, 0) !== NO_PFN);
    expect.deepEqual(verify(m), []);
    for (const zone of m.names.keys()) {
      expect.equal(m.pcp[(zone * 2 + 1) * PCP_WORDS + P_COUNT], 0);
    }
  }
});

test("the lock of a page: one CPU at a time, others sleep on the wait table, a dead one's is opened", async () => {
  const m = machine("6.1", 3);
  const other = attachMemory(shareMemory(m), 1);
  const pfn = allocPages(m, GFP_KERNEL, 1);
  const words = new SharedArrayBuffer(8);
  const workerData = {
    shared: shareMemory(m),
    index: new URL("../../src/mm/index.ts", import.meta.url).href,
    pfn,
    words,
  };
  expect.equal(lockFrame(other, pfn), true);
  expect.throws(() => lockFrame(other, pfn), /locked by this CPU already/);
  expect.equal(tryLockFrame(m, pfn), false);
  expect.equal(lockFrame(m, pfn, 3), false);
  expect.throws(() => unlockFrame(m, pfn), /not locked by this CPU/);
  expect.throws(() => lockFrame(m, pfn + 1), /does not head an allocated block/);
  const code = `
    import { workerData } from "node:worker_threads";
    const { attachMemory, lockFrame } = await import(workerData.index);
    const done = new Int32Array(workerData.words);
    const m = attachMemory(workerData.shared, 2);
    done[1] = lockFrame(m, workerData.pfn, 60_000) ? 1 : 2;
    Atomics.store(done, 0, 1);
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData,
  });
  const sleepers = (): number =>
    [...m.names.keys()].reduce(
      (sum, zone) => sum + zoneFields(m, zone).wait_table.reduce((all, own) => all + own, 0),
      0,
    );
  while (sleepers() === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  expect.equal(new Int32Array(words)[0], 0);
  const { notify } = Atomics;
  let called = 0;
  Reflect.set(Atomics, "notify", (queue: Int32Array, at: number) => {
    if (queue === other.waitTable) called++;
    return notify(queue, at);
  });
  try {
    unlockFrame(other, pfn);
  } finally {
    Reflect.set(Atomics, "notify", notify);
  }
  expect.equal(called, 1);
  await ended(worker);
  expect.deepEqual([...new Int32Array(words)], [1, 1]);
  expect.equal(sleepers(), 0);
  expect.equal(tryLockFrame(m, pfn), false);
  // The page is not the dead one's: it stays.
  expect.deepEqual(recover(m, [2]).held, []);
  expect.equal(tryLockFrame(m, pfn), true);
  expect.deepEqual(verify(m), []);
  m.pageLock[rowOf(m, pfn) + 2] = 2;
  expect.match(verify(m).join(), /S3/);
});
