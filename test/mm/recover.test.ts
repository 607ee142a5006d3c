// Goal: a recovery meets others at work: whoever empties the dead one's lists, whoever attaches, another
// recovery, and a CPU that died while it asked for lists or had borrowed several. Method: a CPU that dies
// before each write of a drain in turn; the states of share-words.ts brought about by hand, with what the
// other worker would do next as the answer to the first nap.
import { strict as expect } from "node:assert";
import { after, before, describe, test } from "node:test";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { beginContig } from "../../src/mm/contig.ts";
import { drainCpu } from "../../src/mm/drain.ts";
import { endLoan } from "../../src/mm/drain-all.ts";
import {
  attachMemory,
  busy,
  detach,
  drainAllPages,
  GFP_ATOMIC,
  GFP_KERNEL,
  idle,
  NO_PFN,
  recover,
  shareMemory,
} from "../../src/mm/index.ts";
import { inheritLock, lockHolder, lockZone, unlockZone } from "../../src/mm/lock.ts";
import { rowOf } from "../../src/mm/memory.ts";
import { HIGHATOMIC } from "../../src/mm/rule.ts";
import {
  borrowedState,
  C_ASKED,
  C_ASKING,
  C_SERVED,
  C_STATE,
  CPU_IDLE,
  CPU_OFFLINE,
  CPU_RUNNING,
  lineOf,
} from "../../src/mm/share-words.ts";
import { verify } from "../../src/mm/verify.ts";
import { Z_FLAGS, Z_HIGHATOMIC, Z_LOCK, ZONE_ASKED, ZONE_WORDS } from "../../src/mm/words.ts";
import { attachMortal, Crash, countAtomics, life } from "../support/crashing.ts";
import { expectAllFree, machine } from "../support/share-life.ts";
import { lines, stateOf, stock, stocked, whileAsleep } from "../support/share-states.ts";

describe("a CPU that dies while it wants everybody's lists", () => {
  let undo: () => void;
  before(() => {
    undo = countAtomics();
  });
  after(() => undo());

  for (const era of ["6.1", "6.12"]) {
    test(`${era}: at each write while it reserves a pageblock for atomic requests`, () => {
      let reserved = 0;
      for (let writes = 0, done = false; !done; writes++) {
        const m = machine(era, 2);
        const taken: number[] = [];
        for (;;) {
          const pfn = allocPages(m, GFP_KERNEL, 3);
          if (pfn === NO_PFN) break;
          taken.push(pfn);
        }
        const mortal = attachMortal(shareMemory(m), 1);
        life.left = writes;
        try {
          expect.notEqual(allocPages(mortal, GFP_ATOMIC, 3), NO_PFN);
          done = true;
        } catch (error) {
          if (!(error instanceof Crash)) throw error;
        } finally {
          life.left = Number.POSITIVE_INFINITY;
        }
        recover(m, [1]);
        expect.deepEqual(verify(m), []);
        for (const zone of m.names.keys()) {
          const counted = m.zone[zone * ZONE_WORDS + Z_HIGHATOMIC] ?? 0;
          const blocks = m.blockType.filter(
            (type, block) => type === HIGHATOMIC && m.blockZone[block] === zone,
          ).length;
          expect.equal(counted, blocks * 2 ** m.pageblockOrder);
          reserved += counted;
        }
        for (const pfn of taken) freePages(m, pfn, 3);
        expectAllFree(m);
      }
      expect.ok(era === "6.12" || reserved > 0);
    });
  }

  test("at each write of it: two loans, and an ask that nobody answers", () => {
    let writes = 0;
    for (let done = false; !done; writes++) {
      const m = machine("6.1", 4);
      const others = [2, 3].map((cpu) => attachMemory(shareMemory(m), cpu));
      stock(m);
      for (const other of others) {
        stock(other);
        idle(other);
      }
      const mortal = attachMortal(shareMemory(m), 1);
      Atomics.add(lines(m), lineOf(1) + C_ASKED, 1);
      life.left = writes;
      whileAsleep(
        () => {},
        () => {
          try {
            drainAllPages(mortal);
            done = true;
          } catch (error) {
            if (!(error instanceof Crash)) throw error;
          } finally {
            life.left = Number.POSITIVE_INFINITY;
          }
        },
      );
      recover(m, [1]);
      for (const zone of m.names.keys()) {
        expect.equal((m.zone[zone * ZONE_WORDS + Z_FLAGS] ?? 0) & ZONE_ASKED, 0);
      }
      expect.equal(lines(m)[lineOf(1) + C_ASKING], 0);
      expect.equal(lines(m)[lineOf(1) + C_SERVED], lines(m)[lineOf(1) + C_ASKED]);
      expect.deepEqual(
        [1, 2, 3].map((cpu) => stateOf(m, cpu)),
        [CPU_OFFLINE, CPU_IDLE, CPU_IDLE],
      );
      expect.deepEqual(verify(m), []);
      for (const other of others) {
        busy(other);
        stock(other);
        detach(other);
      }
      expectAllFree(m);
    }
    expect.ok(writes > 20);
  });
});

test("a recovery waits for a living CPU that empties the dead one's lists", () => {
  const m = machine("6.1", 3);
  const dead = attachMemory(shareMemory(m), 1);
  const other = attachMemory(shareMemory(m), 2);
  stock(dead);
  idle(dead);
  const lent = borrowedState(CPU_IDLE, 2);
  Atomics.store(lines(m), lineOf(1) + C_STATE, lent);
  let naps = 0;
  whileAsleep(
    () => {
      naps++;
      expect.ok(naps > 1 || stocked(m, 1) > 0);
      drainCpu(other, 1);
      endLoan(lines(other), 1, lent, CPU_IDLE);
    },
    () => expect.equal(recover(m, [1]).stocked, 0),
  );
  expect.equal(naps, 1);
  expect.equal(stateOf(m, 1), CPU_OFFLINE);
  detach(other);
  expectAllFree(m);
});

test("a loan that ends late leaves whoever is attached by now alone", () => {
  const m = machine("6.1", 3);
  const lent = borrowedState(CPU_IDLE, 2);
  const own = attachMemory(shareMemory(m), 1);
  endLoan(lines(m), 1, lent, CPU_IDLE);
  expect.equal(stateOf(m, 1), CPU_RUNNING);
  detach(own);
});

test("who recovers may die at it: the next one recovers both", () => {
  const m = machine("6.1", 4);
  const shared = shareMemory(m);
  const [dead, second, idler] = [1, 2, 3].map((cpu) => attachMemory(shared, cpu));
  expect.ok(dead && second && idler);
  const held = allocPages(dead, GFP_KERNEL, 0);
  const own = allocPages(second, GFP_KERNEL, 1);
  stock(idler);
  // 2 was at it when it died: it had borrowed 1, and 3 of whom 1 had borrowed.
  Atomics.store(lines(m), lineOf(1) + C_STATE, borrowedState(CPU_RUNNING, 2));
  Atomics.store(lines(m), lineOf(3) + C_STATE, borrowedState(CPU_IDLE, 2));
  const found = recover(m, [2, 1]);
  expect.deepEqual(
    found.held.toSorted((a, b) => a.order - b.order),
    [
      { pfn: held, order: 0 },
      { pfn: own, order: 1 },
    ],
  );
  expect.deepEqual(
    [1, 2, 3].map((cpu) => stateOf(m, cpu)),
    [CPU_OFFLINE, CPU_OFFLINE, CPU_IDLE],
  );
  expectAllFree(m);
});

test("nobody attaches as a CPU that is being recovered, nor waits for it for ever", () => {
  const m = machine("6.1", 3);
  const shared = shareMemory(m);
  Atomics.store(lines(m), lineOf(1) + C_STATE, borrowedState(CPU_RUNNING, 2));
  whileAsleep(
    () => {},
    () => expect.throws(() => attachMemory(shared, 1), /not given back: recover the CPU/),
  );
  whileAsleep(
    () => {},
    () => expect.throws(() => recover(m, [1]), /has this CPU died too/),
  );
});

test("a lock passes from the dead one to one heir", () => {
  const m = machine("6.1", 4);
  const [dead, first, second] = [1, 2, 3].map((cpu) => attachMemory(shareMemory(m), cpu));
  expect.ok(dead && first && second);
  lockZone(dead, 1);
  expect.equal(inheritLock(first, 1, 1), true);
  expect.equal(inheritLock(second, 1, 1), false);
  expect.equal(lockHolder(m, 1), 2);
  unlockZone(first, 1);
});

test("who leaves while idle has left", () => {
  const m = machine("6.1", 2);
  const shared = shareMemory(m);
  const own = attachMemory(shared, 1);
  stock(own);
  idle(own);
  detach(own);
  expect.equal(stocked(m, 1), 0);
  detach(attachMemory(shared, 1));
  expectAllFree(m);
});

test("a flag that calls for lists stays up while somebody else asks", () => {
  const m = machine("6.1", 3);
  const other = attachMemory(shareMemory(m), 1);
  stock(other);
  // 2 asks as well.
  Atomics.store(lines(m), lineOf(2) + C_ASKING, 1);
  whileAsleep(
    () => {},
    () => drainAllPages(m),
  );
  for (const zone of m.names.keys()) {
    expect.equal((m.zone[zone * ZONE_WORDS + Z_FLAGS] ?? 0) & ZONE_ASKED, ZONE_ASKED);
  }
  Atomics.store(lines(m), lineOf(2) + C_ASKING, 0);
  whileAsleep(
    () => {},
    () => drainAllPages(m),
  );
  for (const zone of m.names.keys()) {
    expect.equal((m.zone[zone * ZONE_WORDS + Z_FLAGS] ?? 0) & ZONE_ASKED, 0);
  }
  detach(other);
});

test("of two CPUs one isolates a range; pageblocks of one that died are open again", () => {
  const m = machine("6.1", 3);
  const other = attachMemory(shareMemory(m), 1);
  const type = m.blockType[rowOf(m, 2048) >> m.pageblockOrder] ?? 0;
  expect.equal(beginContig(other, 2048, 600, type), true);
  expect.equal(beginContig(m, 2560, 512, type), false);
  expect.equal(beginContig(m, 3072, 512, type), true);
  expect.throws(() => beginContig(m, 4096, 512, type), /one range at a time/);
  recover(other, [0]);
  recover(attachMemory(shareMemory(m), 2), [1]);
  const next = attachMemory(shareMemory(m), 1);
  expectAllFree(next);
  // What the dead one had noted is not its successor's.
  expect.equal(beginContig(next, 4096, 512, type), true);
});

test("a running CPU gives its lists up at its next refill or free, and whoever asked waits no longer", () => {
  const m = machine("6.1", 2);
  const other = attachMemory(shareMemory(m), 1);
  const pfn = allocPages(other, GFP_KERNEL, 0);
  stock(other);
  let naps = 0;
  whileAsleep(
    () => {
      // Frees of others look closer now.
      expect.equal((m.zone[Z_FLAGS] ?? 0) & ZONE_ASKED, ZONE_ASKED);
      if (naps++ === 2) freePages(other, pfn, 0);
    },
    () => drainAllPages(m),
  );
  expect.equal(naps, 3);
  expect.equal(stocked(m, 1), 0);
  detach(other);
  expectAllFree(m);
});

test("an heir wakes who sleeps for the dead one's lock", () => {
  const m = machine("6.1", 3);
  const dead = attachMemory(shareMemory(m), 1);
  lockZone(dead, 1);
  const at = ZONE_WORDS + Z_LOCK;
  const { notify } = Atomics;
  let woken = 0;
  // As one that sleeps has left it.
  Atomics.or(m.zone, at, 0x4000_0000);
  expect.equal(inheritLock(m, 1, 1), true);
  Reflect.set(Atomics, "notify", (words: Int32Array, place: number) => {
    if (words === m.zone && place === at) woken++;
    return 0;
  });
  try {
    unlockZone(m, 1);
  } finally {
    Reflect.set(Atomics, "notify", notify);
  }
  expect.equal(woken, 1);
});

test("lists that somebody else empties already are not waited for", () => {
  const m = machine("6.1", 3);
  const other = attachMemory(shareMemory(m), 1);
  stock(other);
  Atomics.store(lines(m), lineOf(1) + C_STATE, borrowedState(CPU_IDLE, 2));
  let naps = 0;
  whileAsleep(
    () => naps++,
    () => drainAllPages(m),
  );
  expect.equal(naps, 0);
  expect.ok(stocked(m, 1) > 0);
});
