// Goal: S10: an IOMMU gives scarce addresses out as each kernel's IOVA allocator does. Method: random
// programs of requests, frees, reservations and time beside a sorted array that is walked (naive-iova.ts),
// in spaces of 256 pages with magazines of two, so that exhaustion, retries, depots and trimming are met;
// then single rules by hand.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import {
  ageCaches,
  allocIovaFast,
  createIovaDomain,
  flushCaches,
  freeIovaFast,
  IOVA_KNOWN_FULL,
  IOVA_NO_ROW,
  IOVA_NO_SPACE,
  type IovaDomain,
  type IovaSpec,
  iovaCounts,
  lastRefusal,
  reserveIova,
  verifyIovaDomain,
} from "../../../src/dma/iommu/iova-domain.ts";
import { rangeCount } from "../../../src/dma/iommu/range-tree.ts";
import { IOVA_RULES, iovaRule } from "../../../src/kernels/iommu.ts";
import { createImage, equal, restore, snapshot } from "../../../src/mm/image.ts";
import { NaiveIova } from "../../support/naive-iova.ts";

const LIMIT32 = 0xfffff;

function domain(spec: Partial<IovaSpec> = {}): IovaDomain {
  return createIovaDomain(createImage(false), {
    name: "0",
    rule: iovaRule("6.1"),
    granuleShift: 12,
    startPfn: 1,
    cpus: 1,
    maxRanges: 4096,
    roundsAll: false,
    ...spec,
  });
}

type Op =
  | { readonly kind: "alloc"; size: number; limit: number; flush: boolean; cpu: number }
  | { readonly kind: "free"; which: number; cpu: number }
  | { readonly kind: "age"; ms: number }
  | { readonly kind: "flush" };

const cpu = fc.nat(2);
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("alloc" as const),
      size: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 90 })),
      limit: fc.oneof(fc.constant(255), fc.integer({ min: 0, max: 600 })),
      flush: fc.boolean(),
      cpu,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("free" as const), which: fc.nat(40), cpu }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("age" as const), ms: fc.nat(150) }) },
);

const window = fc.tuple(fc.nat(300), fc.nat(20));

for (const era of IOVA_RULES) {
  test(`S10: random programs get the addresses of the plain walk, ${era.name}`, () => {
    const rule = { ...era, cacheOrders: 4, magazineSize: 2, depotLimit: era.depotLimit && 2 };
    const program = fc.array(op, { minLength: 1, maxLength: 160, size: "max" });
    fc.assert(
      fc.property(
        fc.array(window, { maxLength: 3 }),
        program,
        fc.boolean(),
        (windows, ops, all) => {
          // A granule of 16 MiB makes 4 GiB a space of 256 pages.
          const ours = domain({ rule, granuleShift: 24, cpus: 3, roundsAll: all });
          const naive = new NaiveIova(rule, 24, 1, 3, all);
          for (const [lo, length] of windows) {
            expect.equal(reserveIova(ours, lo, lo + length), true);
            naive.reserve(lo, lo + length);
          }
          const held: [number, number][] = [];
          let now = 0;
          for (const step of ops) {
            if (step.kind === "alloc") {
              const { size, limit, flush } = step;
              const pfn = allocIovaFast(ours, size, limit, flush, step.cpu);
              expect.equal(pfn, naive.alloc(size, limit, flush, step.cpu));
              expect.equal(pfn === 0 || pfn + size - 1 <= limit, true);
              if (pfn !== 0) held.push([pfn, size]);
            } else if (step.kind === "age") {
              now += step.ms;
              ageCaches(ours, now);
              naive.age(now);
            } else if (step.kind === "free" && held.length > 0) {
              const [block] = held.splice(step.which % held.length, 1);
              freeIovaFast(ours, block?.[0] ?? 0, block?.[1] ?? 0, step.cpu);
              naive.release(block?.[0] ?? 0, block?.[1] ?? 0, step.cpu);
            }
            expect.deepEqual(verifyIovaDomain(ours), []);
          }
          // Nothing leaks: with everything given back, the whole space can be had again.
          for (const [pfn, size] of held) freeIovaFast(ours, pfn, size, 0);
          flushCaches(ours);
          if (windows.length === 0) expect.equal(allocIovaFast(ours, 128, 511, false, 0), 384);
        },
      ),
      { numRuns: 150 },
    );
  });
}

test("S10: the first addresses are the last pages below 4 GiB, aligned to their size", () => {
  const d = domain();
  const sizes = [1, 1, 2, 5, 1, 33];
  const got = sizes.map((size) => allocIovaFast(d, size, LIMIT32, false, 0));
  // 33 pages stay 33, but begin at a multiple of 64.
  expect.deepEqual(got, [0xfffff, 0xffffe, 0xffffc, 0xffff0, 0xfffef, 0xfffc0]);
});

test("S10: reserved windows are stepped over, and the last freed of a size comes first", () => {
  const d = domain();
  reserveIova(d, 0xfee00, 0xfeeff);
  reserveIova(d, 0xfec00, 0xffffe);
  const first = allocIovaFast(d, 1, LIMIT32, false, 0);
  const second = allocIovaFast(d, 4, LIMIT32, false, 0);
  expect.deepEqual([first, second], [0xfffff, 0xfebfc]);
  freeIovaFast(d, second, 3, 0);
  expect.equal(allocIovaFast(d, 3, LIMIT32, false, 0), second);
  expect.deepEqual(iovaCounts(d), { requests: 3, fromCache: 1, refused: 0, flushed: 0 });
});

test("S10: a size that failed below 4 GiB fails at once until something there is freed", () => {
  const d = domain();
  const half = allocIovaFast(d, 0x80000, LIMIT32, false, 0);
  expect.equal(half, 0x80000);
  expect.equal(allocIovaFast(d, 0x80000, LIMIT32, false, 0), 0);
  expect.equal(lastRefusal(d), IOVA_NO_SPACE);
  expect.equal(allocIovaFast(d, 0x80001, LIMIT32, false, 0), 0);
  expect.equal(lastRefusal(d), IOVA_KNOWN_FULL);
  // Smaller ones are still tried, and larger limits have space.
  expect.equal(allocIovaFast(d, 0x40000, LIMIT32, false, 0), 0x40000);
  expect.equal(allocIovaFast(d, 0x80000, 2 ** 36 - 1, false, 0), 2 ** 36 - 0x80000);
  freeIovaFast(d, half, 0x80000, 0);
  expect.equal(allocIovaFast(d, 0x80000, LIMIT32, false, 0), half);
});

test("S10: what another CPU caches is found only by emptying the caches", () => {
  const d = domain({ granuleShift: 24, cpus: 2 });
  const blocks = Array.from({ length: 127 }, () => allocIovaFast(d, 2, 255, false, 0));
  expect.equal(blocks.includes(0), false);
  for (const pfn of blocks) freeIovaFast(d, pfn, 2, 1);
  expect.equal(allocIovaFast(d, 2, 255, false, 0), 0);
  expect.equal(allocIovaFast(d, 2, 255, true, 0), 254);
  expect.equal(iovaCounts(d).flushed, 127);
});

test("no row left for a block is a refusal with its own reason, not a fault", () => {
  const d = domain({ maxRanges: 8 });
  const got = Array.from({ length: 12 }, () => allocIovaFast(d, 1, LIMIT32, false, 0));
  expect.equal(got.filter((pfn) => pfn > 0).length >= 8, true);
  expect.equal(got.at(-1), 0);
  expect.equal(lastRefusal(d), IOVA_NO_ROW);
  expect.deepEqual(verifyIovaDomain(d), []);
});

test("a domain's whole state is in the image", () => {
  const image = createImage(false);
  const spec = { rule: iovaRule("6.12"), granuleShift: 12, startPfn: 1, cpus: 1 };
  const d = createIovaDomain(image, { ...spec, name: "7", maxRanges: 64, roundsAll: false });
  for (let i = 0; i < 9; i++) allocIovaFast(d, 1 + i, LIMIT32, false, 0);
  const saved = snapshot(image);
  const next = allocIovaFast(d, 3, LIMIT32, false, 0);
  expect.equal(restore(image, saved), null);
  expect.equal(allocIovaFast(d, 3, LIMIT32, false, 0), next);
  expect.equal(equal(saved, snapshot(image)), false);
});

for (const size of [1, 2, 4]) {
  test(`S10: since 6.7 a depot too full gives a magazine back each 100 ms, ${size} pages`, () => {
    depotAges(size);
  });
}

function depotAges(size: number): void {
  const rule = { ...iovaRule("6.12"), magazineSize: 2 };
  const d = domain({ rule, granuleShift: 24 });
  const held = Array.from({ length: 12 }, () => allocIovaFast(d, size, 255, false, 0));
  const give = (count: number): void => {
    for (const pfn of held.splice(0, count)) freeIovaFast(d, pfn, size, 0);
  };
  // Two loaded magazines, one in the depot: as many as there are CPUs.
  give(6);
  ageCaches(d, 1000);
  expect.equal(rangeCount(d.tree), 12);
  give(6);
  ageCaches(d, 1099);
  expect.equal(rangeCount(d.tree), 12);
  ageCaches(d, 1100);
  expect.equal(rangeCount(d.tree), 10);
  ageCaches(d, 5000);
  expect.equal(rangeCount(d.tree), 6);
  expect.deepEqual(verifyIovaDomain(d), []);
}

test("verify names what is broken", () => {
  const broken = (spoil: (d: IovaDomain) => void): string => {
    const d = domain();
    for (let i = 0; i < 9; i++) allocIovaFast(d, 1 + i, LIMIT32, false, 0);
    freeIovaFast(d, 0xfffff, 1, 0);
    expect.deepEqual(verifyIovaDomain(d), []);
    spoil(d);
    return verifyIovaDomain(d)[0]?.slice(0, 2) ?? "";
  };
  expect.equal(
    broken((d) => d.ints.set([77], 0)),
    "V2",
  );
  expect.equal(
    broken((d) => d.ints.set([77], 1)),
    "V2",
  );
  expect.equal(
    broken((d) => d.tree.lo.set([3], 4)),
    "T1",
  );
  expect.equal(
    broken((d) => d.tree.gap.set([1], 5)),
    "T3",
  );
  expect.equal(
    broken((d) => d.tree.words.set([2], 3)),
    "T4",
  );
  expect.equal(
    broken((d) => d.rcache.pfns.set([5], (d.rcache.loaded[0] ?? 0) * 127)),
    "V3",
  );
  expect.equal(
    broken((d) => d.rcache.unused.set([0])),
    "C1",
  );
});
