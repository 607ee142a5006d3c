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
import { FREE, KIND_MASK, pfnOf } from "../../src/mm/memory.ts";
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

/** The bound functions differ by whether rows follow pfns: where the zones leave a hole they do not. */
type Shape = "hole" | "straight" | "two nodes";

function small(era: string, shape: Shape = "hole"): Memory {
  const normal = shape === "hole" ? 1048576 : 4096;
  const node = shape === "two nodes" ? 1 : 0;
  return bootMemory({
    era,
    cpus: 2,
    cpuNode: [0, node],
    zones: [
      { name: "DMA", startPfn: 1, pages: 1023 },
      { name: "DMA32", startPfn: 1024, pages: 3000 },
      { name: "Normal", startPfn: normal, pages: 6144, node },
    ],
  });
}

const eras = ["2.6", "5.10", "6.1", "6.12"];
const shapes: readonly Shape[] = ["hole", "straight", "two nodes"];

for (const [era, shape] of eras.flatMap((era) => shapes.map((shape) => [era, shape] as const))) {
  test(`${era}, ${shape}: bound and general calls leave the same image`, () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (program) => {
        const general = small(era, shape);
        const other = small(era, shape);
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

for (const shape of shapes) {
  test(`${shape}: a bound memory refuses what the general functions refuse, in their words`, () => {
    const bound = bindMemory(small("6.1", shape));
    const pfn = bound.allocPages(GFP_KERNEL, 0);
    const block = bound.allocPages(GFP_KERNEL, 2);
    for (const order of [11, -1, Number.NaN])
      assert.throws(() => bound.allocPages(GFP_KERNEL, order), /order out of range/);
    for (const order of [1, -1, 0.5, -64])
      assert.throws(() => bound.freePages(pfn, order), /another order/);
    assert.throws(() => bound.freePages(block, 0), /another order/);
    assert.throws(() => bound.freePages(block + 1, 0), /does not head an allocated block/);
    assert.throws(() => bound.freePages(pfn + 2 ** 32, 0), /not in this memory/);
    assert.throws(() => bound.freePages(block + 2 ** 32, 2), /not in this memory/);
    bound.freePages(pfn, 0);
    assert.throws(() => bound.freePages(pfn, 0), /does not head an allocated block/);
    for (const far of [2 ** 40, 2 ** 31, -1, -(2 ** 31), 900_000])
      assert.throws(() => bound.freePages(far, 0), /not in this memory/);
    for (const far of [pfn + 0.5, Number.NaN]) assert.throws(() => bound.freePages(far, 0), /./);
    // An order that would make a free block look taken.
    drainAllPages(bound.memory);
    const { state } = bound.memory;
    const row = state.findIndex((kind) => (kind & KIND_MASK) === FREE);
    const order = (state[row] ?? 0) - FREE;
    assert.throws(() => bound.freePages(pfnOf(bound.memory, row), order - 64), /does not head/);
    assert.deepEqual(verify(bound.memory), []);
  });
}

test("a bound memory zeroes what it is asked to, and no other byte", () => {
  const bytes = new Uint8Array(64 * 4096);
  const zones = [{ name: "Normal", startPfn: 0, pages: 64 }];
  const bound = bindMemory(
    bootMemory({ zones, bytes, bytesPfn: 0, minFreeKbytes: 0, maxOrder: 4 }),
  );
  for (let i = 0; i < 40; i++) {
    const order = i % 3;
    const asked = i % 2 === 0;
    bytes.fill(9);
    const pfn = bound.allocPages(asked ? GFP_KERNEL | __GFP_ZERO : GFP_KERNEL, order);
    const zeros = bytes.reduce((count, byte) => count + (byte === 0 ? 1 : 0), 0);
    assert.equal(zeros, asked ? 4096 << order : 0);
    if (asked) assert.ok(bytes.subarray(pfn << 12, (pfn + 2 ** order) << 12).every((b) => b === 0));
    bound.freePages(pfn, order);
  }
});
