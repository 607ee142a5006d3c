// Goal: S10: an untrusted device behind an IOMMU and the real pool of bounce buffers together show it
// its data and zeros, and nothing that other buffers left in the pool. Method: random buffers of random
// sizes, directions and offsets, mapped and unmapped beside each other; what the device can read of every
// page that it reaches is looked at, what it writes must arrive, and no slot may be lost.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { createSwiotlb } from "../../../src/dma/swiotlb/swiotlb.ts";
import { DMA_FROM_DEVICE, DMA_TO_DEVICE, type DmaDirection } from "../../../src/dma/words.ts";
import { swiotlbRule } from "../../../src/kernels/swiotlb.ts";
import { allocPages } from "../../../src/mm/allocate.ts";
import { device, memoryOf, rig } from "./machine.ts";

const KERNEL = 0xcc0;
const SLOTS = 512;
const SECRET = 0x5e;

const external = device({ name: "0000:05:00.0", driver: "thunder", untrusted: true });
const op = fc.record({
  // A buffer at physical address 0 is none to swiotlb.
  at: fc.integer({ min: 1, max: 0x1fffff }),
  size: fc.integer({ min: 1, max: 9000 }),
  direction: fc.constantFrom<DmaDirection>(0, 1, 2),
  ends: fc.boolean(),
});

for (const version of ["6.1", "6.12"]) {
  test(`S10: an untrusted device sees its own bytes and zeros, ${version}`, () => {
    const rule = swiotlbRule(version);
    expect.ok(rule !== null);
    fc.assert(
      fc.property(fc.array(op, { maxLength: 25, size: "max" }), (ops) => {
        const memory = memoryOf();
        const bytes = memory.bytes ?? new Uint8Array(0);
        // Pages of their own: page tables are pages, too.
        const base = allocPages(memory, KERNEL, 10) * 4096;
        const start = allocPages(memory, KERNEL, 8) * 4096;
        bytes.fill(SECRET, start, start + SLOTS * 2048);
        for (let i = base; i < base + 0x400000; i++) bytes[i] = 1 + (i % 61);
        const bounce = createSwiotlb(
          memory.image,
          { bytes, bytesPfn: 0, pageSize: 4096 },
          { rule, start, slots: SLOTS, areas: 1, pageSize: 4096 },
        );
        const own = rig({ memory, version, mode: "lazy", bounce });
        const held: { dma: number; physical: number; size: number; direction: DmaDirection }[] = [];
        const end = (one: (typeof held)[number]): void => {
          const { dma, physical, size, direction } = one;
          if (direction !== DMA_TO_DEVICE) {
            const last = own.ops.translate(external, dma + size - 1, true);
            expect.equal(typeof last, "number");
            bytes[last as number] = 0xff;
          }
          own.ops.unmap(external, dma, size, direction, 0, 0);
          if (direction !== DMA_TO_DEVICE) {
            expect.equal(bytes[physical + size - 1], 0xff);
            // What the device did not write is whatever its buffer held.
            for (let i = physical; i < physical + size; i++) bytes[i] = 1 + (i % 61);
          }
          expect.equal(
            typeof own.ops.translate(external, dma, direction !== DMA_TO_DEVICE),
            "object",
          );
        };
        for (const { at: offset, size, direction, ends } of ops) {
          const physical = base + offset;
          const dma = own.ops.mapPhysical(external, physical, size, direction, 0, 0);
          if (dma < 0) continue;
          held.push({ dma, physical, size, direction });
          if (direction !== DMA_FROM_DEVICE) {
            const first = dma - (dma % 4096);
            for (let at = first; at < dma + size || at % 4096 !== 0; at++) {
              const place = own.ops.translate(external, at, false) as number;
              const inside = at >= dma && at < dma + size;
              const whole = physical % 4096 === 0 && size % 4096 === 0;
              const wanted = inside ? 1 + ((physical + at - dma) % 61) : 0;
              if (inside || !whole) expect.equal(bytes[place], wanted);
            }
          }
          if (ends) end(held.splice(held.length >> 1, 1)[0] ?? { dma, physical, size, direction });
        }
        for (const one of held) end(one);
        expect.deepEqual(own.iommu.verify(), []);
        expect.equal(bounce.used, 0);
      }),
      { numRuns: 25 },
    );
  });
}
