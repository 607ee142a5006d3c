// Goal: the bound hot path is the general one, only faster. Method: random programs on two memories
// built alike, one driven through `bindMemory`, one through the general functions; after each program
// every byte of both images must be equal, in every era, with several CPUs and refusals.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { __GFP_RECLAIMABLE, __GFP_THISNODE, __GFP_ZERO } from "../../src/mm/gfp.ts";
import {
  allocPages,
  bindMemory,
  bootMemory,
  diff,
  drainAllPages,
  freePages,
  GFP_ATOMIC,
  GFP_DMA,
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  type Memory,
  NO_PFN,
  snapshot,
} from "../../src/mm/index.ts";
import { verify } from "../../src/mm/verify.ts";

const GFPS = [
  GFP_KERNEL,
  GFP_KERNEL | __GFP_RECLAIMABLE,
  GFP_HIGHUSER_MOVABLE,
  GFP_ATOMIC,
  GFP_KERNEL | GFP_DMA,
  GFP_KERNEL | __GFP_ZERO,
  GFP_KERNEL | __GFP_THISNODE,
  // Nothing on a node that has no such zone.
  GFP_KERNEL | GFP_DMA | __GFP_THISNODE,
];

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ gfp: fc.constantFrom(...GFPS), order: order() }) },
  { weight: 5, arbitrary: fc.record({ free: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ cpu: fc.integer({ min: 0, max: 1 }) }) },
  { weight: 1, arbitrary: fc.constant({ drain: true }) },
);

function order(): fc.Arbitrary<number> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 10 }));
}

function small(era: string): Memory {
  return bootMemory({
    era,
    cpus: 2,
    cpuNode: [0, 1],
    zones: [
      { name: "DMA", startPfn: 1, pages: 1023 },
      { name: "DMA32", startPfn: 1024, pages: 3000 },
      { name: "Normal", startPfn: 1048576, pages: 6144 },
      { name: "Normal", node: 1, startPfn: 1064960, pages: 2048 },
    ],
  });
}

for (const era of ["2.6", "5.10", "6.1", "6.12"]) {
  test(`${era}: bound and general calls leave the same image`, () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (program) => {
        const general = small(era);
        const other = small(era);
        const bound = bindMemory(other);
        const held: { pfn: number; order: number }[] = [];
        for (const one of program) {
          if ("gfp" in one) {
            const pfn = allocPages(general, one.gfp, one.order);
            assert.equal(bound.allocPages(one.gfp, one.order), pfn);
            if (pfn !== NO_PFN) held.push({ pfn, order: one.order });
          } else if ("free" in one && held.length > 0) {
            const [block] = held.splice(one.free % held.length, 1);
            assert.ok(block !== undefined);
            freePages(general, block.pfn, block.order);
            bound.freePages(block.pfn, block.order);
          } else if ("cpu" in one) {
            general.cpu = one.cpu;
            other.cpu = one.cpu;
          } else if ("drain" in one) {
            drainAllPages(general);
            drainAllPages(other);
          }
        }
        assert.deepEqual(diff(snapshot(general.image), snapshot(other.image)), []);
        assert.deepEqual(verify(other), []);
      }),
      { numRuns: 60 },
    );
  });
}

test("a bound memory refuses what the general functions refuse, in their words", () => {
  const bound = bindMemory(small("6.1"));
  const pfn = bound.allocPages(GFP_KERNEL, 0);
  assert.throws(() => bound.allocPages(GFP_KERNEL, 11), /order out of range/);
  assert.throws(() => bound.freePages(pfn, 1), /another order/);
  bound.freePages(pfn, 0);
  assert.throws(() => bound.freePages(pfn, 0), /does not head an allocated block/);
  assert.throws(() => bound.freePages(2 ** 40, 0), /not in this memory/);
  assert.throws(() => bound.freePages(-1, 0), /not in this memory/);
  assert.throws(() => bound.freePages(900_000, 0), /not in this memory/);
});
