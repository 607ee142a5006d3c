// Goal: every mistake of a driver or a device is caught and named, wherever in a program it happens.
// Method: random correct programs on random machines, with one mistake at their end.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isFault, sgList } from "../../src/dma/index.ts";
import { DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_TO_DEVICE } from "../../src/dma/words.ts";
import { allocPages, GFP_KERNEL } from "../../src/mm/index.ts";
import { Program, steps } from "../support/dma-program.ts";
import {
  type Knobs,
  lazySetup,
  plainSetup,
  poolOpsSetup,
  type Setup,
  strictSetup,
  swiotlbSetup,
  untrustedSetup,
} from "../support/dma-setups.ts";

const SETUPS = [
  plainSetup,
  swiotlbSetup,
  poolOpsSetup,
  strictSetup,
  lazySetup,
  untrustedSetup,
] as const;

const knobs: fc.Arbitrary<Knobs> = fc.record({
  bits: fc.constantFrom(20, 22, 64),
  coherent: fc.boolean(),
  offset: fc.constantFrom(0, 0x1000_0000),
  force: fc.boolean(),
  debug: fc.boolean(),
  era: fc.constantFrom("5.10", "6.1", "6.12"),
});

interface Mistake {
  /** Kind that must be reported; without the debugger, where it differs. */
  readonly kind: string;
  readonly plain?: string | null;
  /** Makes the mistake on a fresh page. False when this machine cannot make it. */
  readonly make: (setup: Setup, page: number) => boolean;
}

const SIZE = 512;

/** A mapping of the page that was asked for errors. */
function mapped({ dma, device }: Setup, page: number, direction: 0 | 1 | 2): number {
  const address = dma.mapSingle(device, page, SIZE, direction);
  assert.ok(!dma.mappingError(device, address), dma.reports.lastRefusal?.reason);
  return address;
}

function readReason(setup: Setup, address: number): string {
  const answer = setup.device.read(address, 4);
  return isFault(answer) ? answer.reason : "nothing";
}

const MISTAKES: Readonly<Record<string, Mistake>> = {
  "a device reads what was never mapped": {
    kind: "unmapped",
    make: (setup) => {
      const { windows, hardwareLimit } = setup.device;
      const address = (windows?.[0]?.dmaStart ?? 0) + 0x3ff000;
      if (address > hardwareLimit || setup.dma.liveMappings() > 0) return false;
      return readReason(setup, address) === "unmapped";
    },
  },
  "a device reads after the unmap": {
    kind: "freed",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_BIDIRECTIONAL);
      setup.dma.unmapSingle(setup.device, address, SIZE, DMA_BIDIRECTIONAL);
      assert.equal(readReason(setup, address), "freed");
      return true;
    },
  },
  "a device writes what it may only read": {
    kind: "direction",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_TO_DEVICE);
      assert.equal(setup.device.write(address, new Uint8Array(4))?.reason, "direction");
      setup.dma.unmapSingle(setup.device, address, SIZE, DMA_TO_DEVICE);
      return true;
    },
  },
  "a device reads what it may only write": {
    kind: "direction",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_FROM_DEVICE);
      assert.equal(readReason(setup, address), "direction");
      setup.dma.unmapSingle(setup.device, address, SIZE, DMA_FROM_DEVICE);
      return true;
    },
  },
  "a device runs over the end of its mapping": {
    kind: "unmapped",
    make: (setup, page) => {
      const { hardwareLimit, id } = setup.device;
      const address = mapped(setup, page, DMA_BIDIRECTIONAL);
      const answer = setup.device.write(address + SIZE - 2, Uint8Array.of(1, 2, 3, 4));
      setup.dma.unmapSingle(setup.device, address, SIZE, DMA_BIDIRECTIONAL);
      assert.ok(answer !== null && id === 0 && hardwareLimit > 0);
      return answer.reason === "unmapped";
    },
  },
  "a device uses more address bits than it has": {
    kind: "mask",
    make: (setup) => {
      const { hardwareLimit } = setup.device;
      if (hardwareLimit >= 2 ** 53 - 1) return false;
      assert.equal(readReason(setup, hardwareLimit + 1), "mask");
      return true;
    },
  },
  "an unmap with another size": {
    kind: "different size",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_TO_DEVICE);
      setup.dma.unmapSingle(setup.device, address, SIZE - 64, DMA_TO_DEVICE);
      return true;
    },
  },
  "an unmap with another direction": {
    kind: "different direction",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_TO_DEVICE);
      setup.dma.unmapSingle(setup.device, address, SIZE, DMA_FROM_DEVICE);
      return true;
    },
  },
  "an unmap of what is not mapped": {
    kind: "not allocated",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_TO_DEVICE);
      setup.dma.unmapSingle(setup.device, address, SIZE, DMA_TO_DEVICE);
      setup.dma.unmapSingle(setup.device, address, SIZE, DMA_TO_DEVICE);
      return true;
    },
  },
  "an unmap of an error": {
    kind: "invalid address freed",
    make: ({ dma, device }) => {
      dma.unmapSingle(device, -1, SIZE, DMA_TO_DEVICE);
      return true;
    },
  },
  "an unmap by the wrong function": {
    kind: "wrong function",
    make: (setup, page) => {
      const list = sgList([{ physical: page, length: SIZE }]);
      assert.equal(setup.dma.mapSg(setup.device, list, DMA_TO_DEVICE), 1);
      setup.dma.unmapSingle(setup.device, list[0]?.dma ?? 0, SIZE, DMA_TO_DEVICE);
      return true;
    },
  },
  "an unmap of a list with another count": {
    kind: "different entry count",
    make: ({ dma, device }, page) => {
      const list = sgList([
        { physical: page, length: SIZE },
        { physical: page + 1024, length: SIZE },
      ]);
      assert.ok(dma.mapSg(device, list, DMA_TO_DEVICE) > 0);
      dma.unmapSg(device, list.slice(0, 1), DMA_TO_DEVICE);
      return true;
    },
  },
  "an address that was not asked for errors": {
    kind: "map error not checked",
    plain: null,
    make: ({ dma, device }, page) => {
      const address = dma.mapSingle(device, page, SIZE, DMA_TO_DEVICE);
      dma.unmapSingle(device, address, SIZE, DMA_TO_DEVICE);
      return true;
    },
  },
  "coherent memory freed with another size": {
    kind: "different size",
    make: ({ dma, device }) => {
      const buffer = dma.allocCoherent(device, 4096);
      if (buffer === null) return false;
      dma.freeCoherent(device, { ...buffer, size: 2048 });
      return true;
    },
  },
  "coherent memory freed with another CPU address": {
    kind: "different CPU address",
    make: ({ dma, device }) => {
      const buffer = dma.allocCoherent(device, 4096);
      if (buffer === null) return false;
      dma.freeCoherent(device, { ...buffer, physical: buffer.physical + 64 });
      return true;
    },
  },
  "a sync of what is not mapped": {
    kind: "sync of nothing",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_FROM_DEVICE);
      setup.dma.unmapSingle(setup.device, address, SIZE, DMA_FROM_DEVICE);
      if (setup.dma.liveMappings() > 0) return false;
      setup.dma.syncSingleForCpu(setup.device, address, SIZE, DMA_FROM_DEVICE);
      return true;
    },
  },
  "a sync beyond the mapping": {
    kind: "sync outside range",
    plain: "sync of nothing",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_FROM_DEVICE);
      if (setup.dma.liveMappings() > 1) return false;
      setup.dma.syncSingleForCpu(setup.device, address, SIZE * 2, DMA_FROM_DEVICE);
      return true;
    },
  },
  "a sync with another direction": {
    kind: "sync direction",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_FROM_DEVICE);
      setup.dma.syncSingleForCpu(setup.device, address, SIZE, DMA_TO_DEVICE);
      return true;
    },
  },
  "a sync for the CPU of what the device only reads": {
    kind: "sync of read-only",
    plain: "sync direction",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_TO_DEVICE);
      setup.dma.syncSingleForCpu(setup.device, address, SIZE, DMA_FROM_DEVICE);
      return true;
    },
  },
  "a sync for the device of what it only writes": {
    kind: "sync of write-only",
    plain: "sync direction",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_FROM_DEVICE);
      setup.dma.syncSingleForDevice(setup.device, address, SIZE, DMA_TO_DEVICE);
      return true;
    },
  },
  "two mappings of one cache line": {
    kind: "overlap",
    plain: null,
    make: (setup, page) => {
      if (setup.dma.era === "5.10") return false; // it only counted them
      mapped(setup, page, DMA_FROM_DEVICE);
      mapped(setup, page + 32, DMA_FROM_DEVICE);
      return true;
    },
  },
  "the CPU reads before it is its turn": {
    kind: "missing sync for cpu",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_FROM_DEVICE);
      assert.equal(setup.device.write(address, Uint8Array.of(7)), null);
      const bounced = setup.memory.bytes?.[page] !== 7;
      setup.dma.cpuRead(page, 1);
      return bounced || !setup.device.coherent;
    },
  },
  "the device reads what the CPU has not handed over": {
    kind: "missing sync for device",
    make: (setup, page) => {
      const address = mapped(setup, page, DMA_TO_DEVICE);
      setup.dma.cpuWrite(page, Uint8Array.of(7));
      const answer = setup.device.read(address, 1);
      return !setup.device.coherent || (!isFault(answer) && answer[0] !== 7);
    },
  },
  "an invalid direction": {
    kind: "direction",
    make: ({ dma, device }, page) => {
      assert.equal(dma.mapSingle(device, page, SIZE, 3), -1);
      return true;
    },
  },
  "a driver that leaves mappings behind": {
    kind: "pending at unbind",
    plain: null,
    make: (setup, page) => {
      mapped(setup, page, DMA_TO_DEVICE);
      setup.dma.unbindDriver(setup.device);
      return true;
    },
  },
  "a pool destroyed with a block in use": {
    kind: "pool leak",
    make: ({ dma, device }) => {
      const pool = dma.createPool("td", device, 64, 64, 0);
      if (pool === null || pool.alloc() === null) return false;
      assert.equal(pool.destroy(), 1);
      return true;
    },
  },
};

for (const [name, mistake] of Object.entries(MISTAKES)) {
  test(`S8 caught: ${name}`, () => {
    let made = 0;
    const property = fc.property(
      knobs,
      steps,
      fc.constantFrom(...SETUPS),
      (knob, program, make) => {
        const run = new Program(make(knob));
        run.run(program.slice(0, 20));
        const { dma, memory } = run.setup;
        assert.equal(dma.reports.misuses.map(({ words }) => words).join(), "");
        const pfn = allocPages(memory, GFP_KERNEL, 0);
        if (pfn < 0 || !mistake.make(run.setup, pfn * 4096)) return;
        made++;
        const kinds = dma.reports.misuses.map(({ kind }) => kind);
        const { kind, plain = kind } = mistake;
        const expected = knob.debug ? kind : plain;
        assert.equal(
          expected !== null && kinds.includes(expected),
          expected !== null,
          String(kinds),
        );
        if (expected === null) assert.deepEqual(kinds, []);
      },
    );
    fc.assert(property, { numRuns: 50 });
    // Some mistakes can be made only where a program left nothing mapped.
    for (let more = 0; made <= 3 && more < 20; more++) fc.assert(property, { numRuns: 50 });
    assert.ok(made > 3, "the mistake was never made");
  });
}
