// Goal: every mapping gets the slot that the kernel's search of that era gives it (S11 of the
// documents: a low pool that serves odd masks by searching it).
// Method: random programs of maps and unmaps, over eras, areas, CPUs, masks, alignments and
// boundaries, against a search written down slot by slot; the invariants after each step.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { DmaDevice } from "../../../src/dma/dma-device.ts";
import { createSwiotlb } from "../../../src/dma/swiotlb/swiotlb.ts";
import { DMA_TO_DEVICE } from "../../../src/dma/words.ts";
import { SWIOTLB_RULES, swiotlbRule } from "../../../src/kernels/swiotlb.ts";
import { createImage } from "../../../src/mm/image.ts";
import { device } from "./machine.ts";
import { type NaivePool, naiveGive, naivePool, naiveTake } from "./naive.ts";

const SLOT = 2048;

interface Step {
  readonly kind: "map" | "unmap";
  readonly size: number;
  readonly offset: number;
  readonly cpu: number;
  readonly device: number;
  readonly pick: number;
  /** What an IOMMU of such pages asks for; 0 for none. */
  readonly alignMask: number;
}

const size = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 9000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 262144 }) },
  { weight: 1, arbitrary: fc.constantFrom(2048, 2049, 4095, 4096, 4097, 65536, 262144) },
);
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("map", "map", "map", "unmap"),
  size,
  offset: fc.oneof(fc.constant(0), fc.nat(4095)),
  cpu: fc.nat(8),
  device: fc.nat(4),
  pick: fc.nat(),
  alignMask: fc.constantFrom(0, 0, 0, 4095, 16383),
});

const DEVICES: readonly DmaDevice[] = [
  device(),
  device({ minAlignMask: 4095 }),
  device({ segmentBoundary: 0xffff }),
  device({ minAlignMask: 0xffff, segmentBoundary: 0x1ffff }),
  device({ minAlignMask: 511 }),
];

function deviceOf(s: Step): DmaDevice {
  return DEVICES[s.device] ?? device();
}

const machine = fc.record({
  rule: fc.constantFrom(...SWIOTLB_RULES),
  segments: fc.constantFrom(1, 2, 4, 8),
  areas: fc.constantFrom(1, 1, 2, 4),
  // The pool's place among pages, 64 KiB and boundaries.
  at: fc.constantFrom(0, 1, 3, 16, 31, 57),
  pageSize: fc.constantFrom(4096, 4096, 16384, 65536),
});

/** A pool and its naive twin. */
function twins(
  m: { rule: (typeof SWIOTLB_RULES)[number]; segments: number; areas: number },
  start: number,
  pageSize: number,
) {
  const areas = m.rule.areas ? Math.min(m.areas, m.segments) : 1;
  const slots = m.segments * 128;
  const own = createSwiotlb(createImage(false), null, {
    rule: m.rule,
    start,
    slots,
    areas,
    pageSize,
  });
  return { own, naive: naivePool(m.rule, start, slots, areas, pageSize) };
}

/** The first slot and the buffer in it; -1 for none. */
function naiveMap(naive: NaivePool, s: Step, orig: number, fit: number): [number, number] {
  const { minAlignMask, segmentBoundary } = deviceOf(s);
  const { rule } = naive;
  const kept = rule.minAlign ? minAlignMask : 0;
  const granule = s.alignMask + 1;
  const offset = orig & kept & (rule.padSlots ? s.alignMask | 2047 : 2047);
  const total = rule.padSlots
    ? roundUp(s.size + offset, granule)
    : roundUp(s.size, granule) + offset;
  const slot = naiveTake(naive, {
    orig,
    total,
    alignMask: s.alignMask,
    minAlignMask,
    boundary: segmentBoundary,
    cpu: s.cpu,
    fit,
  });
  return [slot, slot < 0 ? -1 : naive.start + slot * SLOT + offset];
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

test("S11: each slot is the one that the era's search gives, also full, wrapped, with areas and odd masks", () => {
  fc.assert(
    fc.property(
      machine,
      fc.array(step, { minLength: 1, maxLength: 150, size: "max" }),
      (m, steps) => {
        const start = 0x7000_0000 + m.at * 4096;
        const { own, naive } = twins(m, start, m.pageSize);
        const live: { buffer: number; slot: number; step: Step }[] = [];
        for (const s of steps) {
          const dev = deviceOf(s);
          if (s.kind === "unmap") {
            const [gone] = live.splice(s.pick % Math.max(1, live.length), 1);
            if (gone === undefined) continue;
            own.unmap(deviceOf(gone.step), gone.buffer, gone.step.size, DMA_TO_DEVICE, 0);
            naiveGive(naive, gone.slot);
          } else {
            const orig = 0x1234_0000 + (s.pick % 64) * 4096 + s.offset;
            const alloc = roundUp(s.size, s.alignMask + 1);
            const { alignMask, cpu } = s;
            const buffer = own.map(dev, orig, s.size, alloc, alignMask, DMA_TO_DEVICE, 0, cpu);
            const [slot, wanted] = naiveMap(naive, s, orig, Infinity);
            assert.equal(Math.max(buffer, -1), wanted);
            if (buffer >= 0) live.push({ buffer, slot, step: s });
          }
          assert.deepEqual(own.verify(), []);
          const { areas } = own.stats;
          assert.equal(own.stats.spins, naive.spins);
          assert.deepEqual(
            areas.map((a) => a.used),
            naive.used,
          );
          assert.deepEqual(
            areas.map((a) => a.index),
            naive.index,
          );
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("S11: with fitsMask a device of any mask gets slots as long as some that it reaches are free", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1024 * SLOT + 5000 }),
      fc.array(step, { minLength: 1, maxLength: 60 }),
      fc.constantFrom("5.10", "6.12"),
      (reach, steps, era) => {
        const rule = swiotlbRule(era);
        assert.ok(rule !== null);
        const start = 0x10_0000;
        const naive = naivePool(rule, start, 1024, 1, 4096);
        const own = createSwiotlb(createImage(false), null, {
          rule,
          start,
          slots: 1024,
          areas: 1,
          pageSize: 4096,
          fitsMask: true,
        });
        const dev = device({ streamingLimit: start + reach - 1 });
        for (const s of steps) {
          const buffer = own.map(dev, 0x1000_0000, s.size, s.size, 0, DMA_TO_DEVICE, 0, 0);
          const plain = { ...s, device: 0, alignMask: 0 };
          const [, wanted] = naiveMap(naive, plain, 0x1000_0000, Math.floor(reach / SLOT));
          assert.equal(Math.max(buffer, -1), wanted);
          assert.ok(buffer < 0 || buffer + s.size <= start + reach);
          assert.deepEqual(own.verify(), []);
        }
        assert.equal(own.stats.unreachable, 0);
      },
    ),
    { numRuns: 150 },
  );
});
