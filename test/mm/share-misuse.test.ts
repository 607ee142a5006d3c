// Goal: whoever uses a shared memory in a way that it does not allow hears so at once, and hostile turns of
// events (two that recover one CPU, a lock that a second dead CPU holds) neither hang nor cost a page.
// Method: each mistake made on purpose; what the other CPUs would do next is the answer to a nap.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { beginContig, endContig } from "../../src/mm/contig.ts";
import { decayPcp, drainCpu } from "../../src/mm/drain.ts";
import { endLoan } from "../../src/mm/drain-all.ts";
import {
  attachMemory,
  bindMemory,
  bootMemory,
  busy,
  detach,
  foldCounts,
  GFP_KERNEL,
  idle,
  kmap,
  kunmap,
  lockFrame,
  type Memory,
  NO_PFN,
  passTo,
  recover,
  shareMemory,
} from "../../src/mm/index.ts";
import { lockHolder, lockZone, unlockZone } from "../../src/mm/lock.ts";
import { rowOf } from "../../src/mm/memory.ts";
import {
  borrowedState,
  C_STATE,
  CPU_IDLE,
  CPU_OFFLINE,
  CPU_RUNNING,
  lineOf,
} from "../../src/mm/share-words.ts";
import { verify } from "../../src/mm/verify.ts";
import { expectAllFree, machine } from "../support/share-life.ts";
import { lines, stateOf, stock, stocked, whileAsleep } from "../support/share-states.ts";

const HUGE = 9;

test("who has left, or was recovered while it ran, is told so", () => {
  for (const leave of [detach, (own: Memory, m: Memory) => recover(m, [own.cpu])]) {
    const m = machine("6.1", 2);
    const own = attachMemory(shareMemory(m), 1);
    const bound = bindMemory(own);
    const pfn = allocPages(m, GFP_KERNEL, 4);
    stock(own);
    leave(own, m);
    for (const order of [0, 4, HUGE]) {
      expect.throws(() => allocPages(own, GFP_KERNEL, order), /has left or was recovered/);
      expect.throws(() => bound.allocPages(GFP_KERNEL, order), /has left or was recovered/);
    }
    expect.throws(() => freePages(own, pfn, 4), /has left or was recovered/);
    expect.throws(() => idle(own), /has left or was recovered/);
    expect.throws(() => busy(own), /has left or was recovered/);
    expect.throws(() => detach(own), /has left or was recovered/);
    freePages(m, pfn, 4);
    expectAllFree(m);
  }
});

test("who is idle is told to be busy first", () => {
  const m = machine("6.1", 2);
  const own = attachMemory(shareMemory(m), 1);
  idle(own);
  idle(own);
  for (const order of [0, 4, HUGE]) {
    expect.throws(() => allocPages(own, GFP_KERNEL, order), /is idle: busy\(\) first/);
  }
  busy(own);
  busy(own);
  freePages(own, allocPages(own, GFP_KERNEL, 0), 0);
  detach(own);
  expectAllFree(m);
});

test("who leaves closes its range first", () => {
  const m = machine("6.1", 2);
  const own = attachMemory(shareMemory(m), 1);
  const type = m.blockType[rowOf(m, 2048) >> m.pageblockOrder] ?? 0;
  expect.ok(beginContig(own, 2048, 512, type));
  expect.throws(() => detach(own), /endContig\(\) first/);
  endContig(own, 2048, 512, type);
  detach(own);
  expectAllFree(m);
});

test("a page is freed once, by whomever, and only taken ones are passed on, to CPUs that there are", () => {
  const m = machine("6.1", 3);
  const [first, second] = [1, 2].map((cpu) => attachMemory(shareMemory(m), cpu));
  expect.ok(first && second);
  const pfn = allocPages(first, GFP_KERNEL, 0);
  for (const cpu of [-1, 3, 1.5, Number.NaN]) {
    expect.throws(() => passTo(first, pfn, cpu), /no such CPU/);
  }
  passTo(first, pfn, 2);
  freePages(second, pfn, 0);
  for (const own of [first, second, m]) {
    expect.throws(() => freePages(own, pfn, 0), /does not head an allocated block/);
    expect.throws(() => bindMemory(own).freePages(pfn, 0), /does not head an allocated block/);
    for (const wrong of [pfn, pfn + 1, 0, 2 ** 40, -5]) {
      expect.throws(() => passTo(own, wrong, 1), /does not head an allocated block/);
    }
  }
  expect.deepEqual(verify(m), []);
});

test("what a CPU holds as it leaves stays its own", () => {
  const m = machine("6.1", 2);
  const own = attachMemory(shareMemory(m), 1);
  const kept = [allocPages(own, GFP_KERNEL, 0), allocPages(own, GFP_KERNEL, 3)];
  detach(own);
  freePages(m, kept[0] ?? 0, 0);
  expect.deepEqual(recover(m, [1]).held, [{ pfn: kept[1], order: 3 }]);
  expectAllFree(m);
});

test("lists of a CPU that runs are nobody else's", () => {
  const m = machine("6.12", 2);
  const other = attachMemory(shareMemory(m), 1);
  stock(other);
  expect.throws(() => drainCpu(m, 1), /lists of another CPU/);
  expect.throws(() => decayPcp(m, 1, 1), /lists of another CPU/);
  Atomics.store(lines(m), lineOf(1) + C_STATE, borrowedState(CPU_IDLE, 1));
  expect.throws(() => drainCpu(m, 1), /lists of another CPU/);
  Atomics.store(lines(m), lineOf(1) + C_STATE, CPU_RUNNING);
  decayPcp(other, 1, 1);
  expect.ok(stocked(m, 1) > 0);
  detach(other);
  expectAllFree(m);
});

test("a shared memory has 255 CPUs at most: an owner is a byte", () => {
  expect.throws(() => machine("6.1", 256), /255 CPUs at most/);
  const m = machine("6.1", 255);
  const last = attachMemory(shareMemory(m), 254);
  const pfn = allocPages(last, GFP_KERNEL, HUGE);
  lockFrame(last, pfn);
  expect.deepEqual(verify(m), []);
  expect.deepEqual(recover(m, [254]).held, [{ pfn, order: HUGE }]);
  expectAllFree(m);
});

test("what is recovered are other CPUs, each once", () => {
  const m = machine("6.1", 2);
  for (const cpu of [0, 2, -1, 0.5, Number.NaN]) {
    expect.throws(() => recover(m, [cpu]), /no other CPU/);
  }
  allocPages(attachMemory(shareMemory(m), 1), GFP_KERNEL, 0);
  expect.equal(recover(m, [1, 1]).held.length, 1);
  expectAllFree(m);
});

test("of two that recover one CPU the late one leaves alone whoever is attached by then", () => {
  const m = machine("6.1", 3);
  const shared = shareMemory(m);
  allocPages(attachMemory(shared, 1), GFP_KERNEL, 0);
  const second = attachMemory(shared, 2);
  const lent = borrowedState(CPU_RUNNING, 2);
  Atomics.store(lines(m), lineOf(1) + C_STATE, lent);
  let next = m;
  let pfn = NO_PFN;
  whileAsleep(
    () => {
      endLoan(lines(m), 1, lent, CPU_RUNNING);
      expect.equal(recover(second, [1]).held.length, 1);
      next = attachMemory(shared, 1);
      pfn = allocPages(next, GFP_KERNEL, 0);
      stock(next);
    },
    () => expect.deepEqual(recover(m, [1]), { held: [], stocked: 0, inFlight: 0 }),
  );
  expect.notEqual(pfn, NO_PFN);
  expect.equal(stateOf(m, 1), CPU_RUNNING);
  expect.ok(stocked(m, 1) > 0);
  freePages(next, pfn, 0);
  detach(next);
  detach(second);
  expectAllFree(m);
});

test("a second dead CPU has a lock: nothing is given back until both are recovered, by whomever", () => {
  for (const zone of [0, 1]) {
    const m = machine("6.1", 4);
    const shared = shareMemory(m);
    const [first, second, other] = [1, 2, 3].map((cpu) => attachMemory(shared, cpu));
    expect.ok(first && second && other);
    allocPages(first, GFP_KERNEL, 0);
    allocPages(second, GFP_KERNEL, 1);
    lockZone(second, zone);
    whileAsleep(
      () => {},
      () => {
        expect.throws(() => recover(m, [1]), /has this CPU died too\? \(2\)/);
        expect.throws(() => recover(m, [1]), /has this CPU died too\? \(2\)/);
      },
    );
    expect.equal(stateOf(m, 1), CPU_RUNNING);
    expect.equal(recover(zone === 0 ? m : other, [1, 2]).held.length, 2);
    detach(other);
    expectAllFree(m);
  }
});

test("two died, and somebody who empties the one's lists waits for the other's lock", () => {
  for (const [idler, holder] of [
    [1, 2],
    [2, 1],
  ] as const) {
    const m = machine("6.1", 4);
    const shared = shareMemory(m);
    const both = [idler, holder].map((cpu) => attachMemory(shared, cpu));
    const other = attachMemory(shared, 3);
    const [sleeper, worker] = both;
    expect.ok(sleeper && worker);
    stock(sleeper);
    stock(worker);
    idle(sleeper);
    const lent = borrowedState(CPU_IDLE, 3);
    Atomics.store(lines(m), lineOf(idler) + C_STATE, lent);
    lockZone(worker, 1);
    let naps = 0;
    whileAsleep(
      () => {
        naps++;
        if (lockHolder(m, 1) >= 0) return;
        drainCpu(other, idler);
        endLoan(lines(m), idler, lent, CPU_IDLE);
      },
      () => recover(m, [1, 2]),
    );
    expect.equal(naps, 1);
    expect.equal(stateOf(m, idler), CPU_OFFLINE);
    detach(other);
    expectAllFree(m);
  }
});

test("whoever wants a lock that others have in turns waits on: each call is a sign of life", () => {
  const m = machine("6.1", 2);
  const other = attachMemory(shareMemory(m), 1);
  lockZone(other, 1);
  let naps = 0;
  whileAsleep(
    () => {
      if (++naps === 5000) unlockZone(other, 1);
    },
    () => expect.notEqual(allocPages(m, GFP_KERNEL, HUGE), NO_PFN),
    true,
  );
  expect.equal(naps, 5000);
  lockZone(other, 1);
  whileAsleep(
    () => {},
    () => expect.throws(() => allocPages(m, GFP_KERNEL, HUGE), /recover the CPU that died \(1\)/),
  );
});

test("counts are folded, and pages mapped, under the zone's lock", () => {
  const m = bootMemory({
    shared: true,
    cpus: 2,
    zones: [
      { name: "Normal", startPfn: 0, pages: 1024 },
      { name: "HighMem", startPfn: 1024, pages: 1024 },
    ],
    bytes: new Uint8Array(new SharedArrayBuffer(2048 * 4096)),
  });
  const other = attachMemory(shareMemory(m), 1);
  for (const act of [
    foldCounts,
    (own: Memory) => kmap(own, 1500),
    (own: Memory) => kunmap(own, 1500),
  ]) {
    let naps = 0;
    lockZone(other, 1);
    whileAsleep(
      () => {
        naps++;
        unlockZone(other, 1);
      },
      () => act(m),
    );
    expect.equal(naps, 1);
    expect.equal(lockHolder(m, 1), -1);
  }
  detach(other);
});

test("who died asleep for a page's lock is no sleeper any more", () => {
  const m = machine("6.1", 3);
  const shared = shareMemory(m);
  const pfn = allocPages(m, GFP_KERNEL, 0);
  expect.ok(lockFrame(m, pfn));
  const dying = attachMemory(shared, 1);
  const { compareExchange } = Atomics;
  let tries = 0;
  Reflect.set(Atomics, "compareExchange", (...args: unknown[]) => {
    if (args[0] === dying.pageLock && ++tries === 2) throw new Error("dies asleep");
    return Reflect.apply(compareExchange, Atomics, args);
  });
  try {
    expect.throws(() => lockFrame(dying, pfn), /dies asleep/);
  } finally {
    Reflect.set(Atomics, "compareExchange", compareExchange);
  }
  const sleepers = (): number => m.waitTable.reduce((sum, own) => sum + own, 0);
  expect.equal(sleepers(), 1);
  recover(m, [1]);
  expect.equal(sleepers(), 0);
  recover(attachMemory(shared, 2), [1]);
  expect.equal(sleepers(), 0);
});
