// Goal: whoever sleeps is called as soon as what it waits for is there, and not after its nap; and a
// recovery tells exactly what it found. Method: calls of Atomics.notify are written down; a CPU that dies
// before each write in turn, with the frames that no block covers counted beside it.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { allocPages, freePages, freePagesPastPcp } from "../../src/mm/allocate.ts";
import { allocContigRange, beginContig, endContig, takeContig } from "../../src/mm/contig.ts";
import { endLoan, stopAsking } from "../../src/mm/drain-all.ts";
import {
  attachMemory,
  bindMemory,
  busy,
  detach,
  drainAllPages,
  GFP_KERNEL,
  idle,
  lockFrame,
  type Memory,
  recover,
  shareMemory,
  unlockFrame,
} from "../../src/mm/index.ts";
import { lockHolder, lockZone, unlockZone } from "../../src/mm/lock.ts";
import { EXTENT, KIND_MASK, ORDER_MASK, PCP, rowOf } from "../../src/mm/memory.ts";
import { MOVABLE } from "../../src/mm/rule.ts";
import {
  borrowedState,
  C_ASKED,
  C_SERVED,
  C_STATE,
  CPU_IDLE,
  CPU_RUNNING,
  lineOf,
} from "../../src/mm/share-words.ts";
import { verify } from "../../src/mm/verify.ts";
import { Z_LOCK, ZONE_WORDS } from "../../src/mm/words.ts";
import { attachMortal, Crash, countAtomics, life } from "../support/crashing.ts";
import { expectAllFree, machine } from "../support/share-life.ts";
import { lines, stateOf, stock, stocked, whileAsleep } from "../support/share-states.ts";

/** What sleepers on a word find in it when `run` calls them: a value each time. */
function calls(words: Int32Array, at: number, run: () => void): number[] {
  const { notify } = Atomics;
  const found: number[] = [];
  Reflect.set(Atomics, "notify", (view: Int32Array, place: number, count?: number) => {
    if (view === words && place === at) found.push(Atomics.load(view, place));
    return notify(view, place, count);
  });
  try {
    run();
  } finally {
    Reflect.set(Atomics, "notify", notify);
  }
  return found;
}

test("who asked for lists is called when they are empty, and when their CPU is recovered", () => {
  const m = machine("6.1", 2);
  const other = attachMemory(shareMemory(m), 1);
  const pfn = allocPages(other, GFP_KERNEL, 0);
  const ask = (): number => Atomics.add(lines(m), lineOf(1) + C_ASKED, 1);
  const flag = (): void =>
    whileAsleep(
      () => freePages(other, pfn, 0),
      () => drainAllPages(m),
    );
  stock(other);
  expect.deepEqual(calls(lines(other), lineOf(1) + C_SERVED, flag), [1]);
  ask();
  const gone = (): unknown => recover(m, [1]);
  expect.deepEqual(calls(lines(m), lineOf(1) + C_SERVED, gone), [2]);
  expectAllFree(m);
});

test("who waits for another's lists answers others meanwhile", () => {
  const m = machine("6.1", 3);
  const other = attachMemory(shareMemory(m), 1);
  stock(other);
  let naps = 0;
  whileAsleep(
    () => {
      if (naps++ === 0) Atomics.add(lines(m), lineOf(0) + C_ASKED, 1);
      else if (naps === 2) expect.equal(lines(m)[lineOf(0) + C_SERVED], 1);
    },
    () => drainAllPages(m),
  );
  expect.ok(naps > 2);
  detach(other);
  expectAllFree(m);
});

test("who waits for its lists, or for a lock, is called when it may go on", () => {
  const m = machine("6.1", 3);
  const lent = borrowedState(CPU_IDLE, 2);
  Atomics.store(lines(m), lineOf(1) + C_STATE, lent);
  const at = lineOf(1) + C_STATE;
  expect.deepEqual(
    calls(lines(m), at, () => endLoan(lines(m), 1, lent + 256, CPU_IDLE)),
    [],
  );
  expect.deepEqual(
    calls(lines(m), at, () => endLoan(lines(m), 1, lent, CPU_IDLE)),
    [CPU_IDLE],
  );

  const word = ZONE_WORDS + Z_LOCK;
  lockZone(m, 1);
  expect.deepEqual(
    calls(m.zone, word, () => unlockZone(m, 1)),
    [],
  );
  const other = attachMemory(shareMemory(m), 2);
  lockZone(other, 1);
  // Who has slept has the lock as one after whom others may sleep still.
  whileAsleep(
    () => unlockZone(other, 1),
    () => lockZone(m, 1),
  );
  expect.equal(lockHolder(m, 1), 0);
  expect.deepEqual(
    calls(m.zone, word, () => unlockZone(m, 1)),
    [0],
  );
});

test("whoever needs a lock, or its own lists, sleeps until it has them", () => {
  const m = machine("6.1", 3);
  const own = attachMemory(shareMemory(m), 1);
  const other = attachMemory(shareMemory(m), 2);
  stock(own);
  const lent = borrowedState(CPU_IDLE, 2);
  const lend = (): void => {
    idle(own);
    Atomics.store(lines(m), lineOf(1) + C_STATE, lent);
  };
  const waits: readonly (readonly [() => void, () => void, () => unknown])[] = [
    [() => lockZone(other, 1), () => unlockZone(other, 1), () => stopAsking(m, lines(m), 0)],
    [() => lockZone(other, 1), () => unlockZone(other, 1), () => recover(m, [])],
    [lend, () => endLoan(lines(m), 1, lent, CPU_IDLE), () => busy(own)],
    [
      () => lockZone(other, 1),
      () => {
        // Nobody may attach as it before its lists are empty.
        expect.equal(stateOf(m, 1), CPU_RUNNING);
        unlockZone(other, 1);
      },
      () => detach(own),
    ],
  ];
  for (const [begin, end, wait] of waits) {
    let naps = 0;
    begin();
    whileAsleep(() => {
      naps++;
      end();
    }, wait);
    expect.equal(naps, 1);
    expect.equal(lockHolder(m, 1), -1);
  }
  detach(other);
  expectAllFree(m);
});

test("what changes a zone waits for its lock", () => {
  const m = machine("6.1", 2);
  const other = attachMemory(shareMemory(m), 1);
  const pfn = allocPages(m, GFP_KERNEL, 9);
  const single = allocPages(m, GFP_KERNEL, 0);
  const type = m.blockType[rowOf(m, 4096) >> m.pageblockOrder] ?? 0;
  const acts: readonly (() => unknown)[] = [
    () => allocPages(m, GFP_KERNEL, 5),
    () => bindMemory(m).allocPages(GFP_KERNEL, 9),
    () => freePages(m, pfn, 9),
    () => freePagesPastPcp(m, single, 0),
    () => beginContig(m, 4096, 512, type),
    () => takeContig(m, 4096, 512),
    () => endContig(m, 4096, 512, type),
    () => drainAllPages(m),
  ];
  for (const act of acts) {
    stock(m);
    let naps = 0;
    lockZone(other, 1);
    const free = m.zone.slice(ZONE_WORDS, ZONE_WORDS + Z_LOCK);
    whileAsleep(() => {
      naps++;
      expect.deepEqual(m.zone.slice(ZONE_WORDS, ZONE_WORDS + Z_LOCK), free);
      unlockZone(other, 1);
    }, act);
    expect.equal(naps, 1);
    expect.equal(lockHolder(m, 1), -1);
  }
  expect.deepEqual(verify(m), []);
});

test("whenever it dies that sleeps for a page's lock, the queue has no sleeper too few", () => {
  const undo = countAtomics();
  try {
    for (let writes = 0, done = false; !done; writes++) {
      const m = machine("6.1", 3);
      const pfn = allocPages(m, GFP_KERNEL, 0);
      expect.ok(lockFrame(m, pfn));
      const dying = attachMortal(shareMemory(m), 1);
      life.left = writes;
      whileAsleep(
        () => {},
        () => {
          try {
            expect.equal(lockFrame(dying, pfn, 2), false);
            done = true;
          } catch (error) {
            if (!(error instanceof Crash)) throw error;
          } finally {
            life.left = Number.POSITIVE_INFINITY;
          }
        },
      );
      recover(m, [1]);
      const sleepers = m.waitTable.filter((own) => own !== 0);
      expect.ok(sleepers.length === 0 || (!done && sleepers.every((own) => own === 1)));
      unlockFrame(m, pfn);
    }
  } finally {
    undo();
  }
});

test("a range that others have on their lists is taken all the same", () => {
  const m = machine("6.1", 2);
  const other = attachMemory(shareMemory(m), 1);
  stock(other);
  const pfns = Array.from({ length: 8191 }, (_, i) => 1 + i);
  const pfn = pfns.find((own) => ((m.state[rowOf(m, own)] ?? 0) & KIND_MASK) === PCP);
  expect.ok(pfn !== undefined && stocked(m, 1) > 0);
  idle(other);
  expect.ok(allocContigRange(m, pfn, 1, m.blockType[rowOf(m, pfn) >> m.pageblockOrder] ?? 0));
  freePages(m, pfn, 0);
  detach(other);
  expectAllFree(m);
});

/** Pages of RAM that are in no block. */
function lostPages(m: Memory): number {
  let lost = 0;
  for (const { ram } of m.spec.zones) {
    for (const { start, end } of ram) {
      const stop = rowOf(m, end - 1) + 1;
      for (let row = rowOf(m, start); row < stop; ) {
        const state = m.state[row] ?? 0;
        const order = (state & KIND_MASK) === PCP ? (m.owner[row] ?? 0) : state;
        if (state === 0) lost++;
        if (state === 0) row++;
        else if ((state & KIND_MASK) === EXTENT) row = m.next[row + 1] ?? stop;
        else row += 1 << (order & ORDER_MASK);
      }
    }
  }
  return lost;
}

test("what was in flight is counted to the page", () => {
  const undo = countAtomics();
  try {
    let most = 0;
    for (let writes = 0, done = false; !done; writes++) {
      const m = machine("6.1", 3, "sections");
      const dying = attachMortal(shareMemory(m), 1);
      life.left = writes;
      try {
        const pfn = allocPages(dying, GFP_KERNEL, 4);
        allocPages(dying, GFP_KERNEL, 10);
        freePages(dying, pfn, 4);
        expect.ok(allocContigRange(dying, 10_240, 1024, MOVABLE));
        done = true;
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
      } finally {
        life.left = Number.POSITIVE_INFINITY;
      }
      const lost = lostPages(m);
      expect.ok(lost === 0 || lockHolder(m, 0) === 1);
      expect.equal(recover(m, [1]).inFlight, lost);
      most = Math.max(most, lost);
      expectAllFree(m);
    }
    expect.ok(most >= 1024);
  } finally {
    undo();
  }
});
