// Goal: coherent memory is one memory for CPU and device at every moment, lies within the device's
// reach, comes zeroed, and goes back to where it came from. Method: random lives of buffers, pages
// and pool blocks on every way to memory, beside an array for each.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type DmaBuffer, isFault } from "../../src/dma/index.ts";
import { GFP_ATOMIC, GFP_KERNEL } from "../../src/mm/index.ts";
import {
  identitySetup,
  type Knobs,
  lazySetup,
  plainSetup,
  poolOpsSetup,
  type Setup,
  strictSetup,
  swiotlbSetup,
  untrustedSetup,
} from "../support/dma-setups.ts";
import { freePagesOf } from "./iommu/machine.ts";

const SETUPS: Readonly<Record<string, (knobs: Knobs) => Setup>> = {
  "S8 without an IOMMU": plainSetup,
  "S11 beside swiotlb": swiotlbSetup,
  "S13 from a mask pool": poolOpsSetup,
  "S10 behind a strict IOMMU": strictSetup,
  "S10 behind a lazy IOMMU": lazySetup,
  "S10 behind an IOMMU that lets everything through": identitySetup,
  "S10 not trusted": untrustedSetup,
};

const knobs: fc.Arbitrary<Knobs> = fc.record({
  bits: fc.constantFrom(20, 22, 32, 64),
  coherent: fc.boolean(),
  offset: fc.constantFrom(0, 0x1000_0000),
  force: fc.boolean(),
  debug: fc.boolean(),
  era: fc.constantFrom("5.10", "6.1", "6.12"),
});

interface Held {
  readonly buffer: DmaBuffer;
  readonly bytes: Uint8Array;
}

/** Physical address of a byte of a buffer. */
function physicalOf({ block }: DmaBuffer, offset: number): number {
  let before = 0;
  for (const { physical, length } of block.runs) {
    if (offset < before + length) return physical + offset - before;
    before += length;
  }
  throw new Error(`no byte ${offset}`);
}

/** The CPU or the device writes a byte, the other side reads it, and all of it is looked at. */
function use(setup: Setup, { buffer, bytes }: Held, at: number, value: number): void {
  const { dma, device } = setup;
  const offset = at % buffer.size;
  bytes[offset] = value & 0xff;
  const one = Uint8Array.of(value & 0xff);
  if (value % 2 === 0) assert.equal(device.write(buffer.dma + offset, one), null);
  else assert.ok(dma.cpuWrite(physicalOf(buffer, offset), one));
  assert.deepEqual(dma.cpuRead(physicalOf(buffer, offset), 1), one);
  const seen = device.read(buffer.dma, buffer.size);
  assert.ok(!isFault(seen), isFault(seen) ? seen.reason : "");
  assert.equal(Buffer.compare(seen, bytes), 0, "the device sees other bytes");
}

for (const [row, make] of Object.entries(SETUPS)) {
  test(`${row} coherent memory is one memory for both`, () => {
    let given = 0;
    const moves = fc.array(fc.tuple(fc.nat({ max: 9 }), fc.nat({ max: 60000 }), fc.nat()), {
      maxLength: 30,
      size: "max",
    });
    fc.assert(
      fc.property(knobs, moves, (knob, program) => {
        const setup = make(knob);
        const { dma, device, memory } = setup;
        // Page tables and atomic pools stay once they were needed.
        const first = [GFP_KERNEL, GFP_ATOMIC].map((gfp) => dma.allocCoherent(device, 4096, gfp));
        for (const buffer of first) if (buffer !== null) dma.freeCoherent(device, buffer);
        const before = freePagesOf(memory);
        const held: Held[] = [];
        let pools = 0;
        for (const [what, size, at] of program) {
          const own = held[at % Math.max(1, held.length)];
          if (what < 4) {
            const gfp = what === 0 ? GFP_ATOMIC : GFP_KERNEL;
            const buffer = dma.allocCoherent(device, size + 1, gfp);
            if (buffer === null) continue;
            if (gfp === GFP_ATOMIC) pools++;
            given++;
            held.push({ buffer, bytes: new Uint8Array(size + 1) });
          } else if (own === undefined) continue;
          else if (what < 8) use(setup, own, at, size);
          else {
            dma.freeCoherent(device, own.buffer);
            held.splice(held.indexOf(own), 1);
          }
        }
        for (const own of held) {
          use(setup, own, 0, 1);
          dma.freeCoherent(device, own.buffer);
        }
        assert.equal(dma.liveMappings(), 0);
        assert.equal(setup.left(), 0);
        assert.equal(dma.reports.misuses.map(({ words }) => words).join(), "");
        // Pools of the impatient may have grown meanwhile, and tables behind an IOMMU stay.
        if (pools === 0 && !device.spec.iommu) assert.equal(freePagesOf(memory), before);
      }),
      { numRuns: 40 },
    );
    assert.ok(given > 40, `${given} buffers only`);
  });
}
