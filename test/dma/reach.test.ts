// Goal: what a device gets follows its mask, bus, pool and zones as the direct mapping decides it.
// Method: worked machines (a PC of 8 GiB, a small PC, a board with a 1 GiB bus window), the odd
// masks of the documents, and properties over random masks.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { maskLimit, simpleDevice } from "../../src/dma/device.ts";
import { deviceReach, maskSupported, type ReachMemory } from "../../src/dma/reach.ts";

const GIB = 2 ** 30;
const MIB = 2 ** 20;

function zone(index: number, name: string, startPfn: number, endPfn: number) {
  const ram = endPfn > startPfn ? [{ start: startPfn, end: endPfn }] : [];
  return { node: 0, index, name, present: Math.max(0, endPfn - startPfn), ram };
}

/** RAM 0-3 GiB and 4-9 GiB, the pool just below 3 GiB. */
const PC: ReachMemory = {
  pageSize: 4096,
  zones: [
    zone(0, "DMA", 1, 0x1000),
    zone(1, "DMA32", 0x1000, 0xc0000),
    zone(2, "Normal", 0x100000, 0x240000),
  ],
  zoneDmaLimit: 2 ** 24 - 1,
  hasDma32: true,
  swiotlb: { start: 0xbbec1000, bytes: 64 * MIB, maxMapping: 262144, forced: false },
  cma: [],
  custom: false,
};

const SMALL_PC: ReachMemory = {
  ...PC,
  zones: [zone(0, "DMA", 1, 0x1000), zone(1, "DMA32", 0x1000, 0x20000), zone(2, "Normal", 0, 0)],
  swiotlb: null,
};

test("S8 a 64-bit device reaches all of memory directly", () => {
  const reach = deviceReach(simpleDevice("nvme", 64), PC);
  assert.equal(reach.streaming, "direct");
  assert.equal(reach.coherentFrom, "Normal");
  assert.equal(reach.coherentFits, 1);
  assert.ok(reach.reach.every((own) => own.reachable === own.present));
});

test("S3 a 32-bit device gets coherent memory from DMA32 and bounces above 4 GiB", () => {
  const reach = deviceReach(simpleDevice("nic", 32), PC);
  assert.equal(reach.coherentFrom, "DMA32");
  assert.equal(reach.coherentRetry, null);
  assert.equal(reach.streaming, "bounce");
  assert.equal(reach.streamingWords, "bounce above 4 GiB");
  assert.equal(reach.maxMapping, 262144);
});

test("S4 a 29-bit device fits no zone: DMA32 by luck, then the 16 MiB zone, and no pool", () => {
  const reach = deviceReach(simpleDevice("b44-like", 29), PC);
  assert.equal(reach.coherentFrom, "DMA32");
  assert.equal(reach.coherentRetry, "DMA");
  assert.ok(reach.coherentFits > 0 && reach.coherentFits < 0.2);
  assert.equal(reach.streaming, "unreachable");
  assert.match(reach.notes.join(), /pool itself lies above the mask/);
});

test("S4 with a BIGDMA zone of 30 bits a 30-bit device has a zone of its own", () => {
  const bigdma: ReachMemory = {
    ...PC,
    custom: true,
    hasDma32: false,
    zones: [
      zone(0, "DMA", 1, 0x1000),
      zone(1, "BIGDMA", 0x1000, 0x40000),
      zone(2, "Normal", 0x40000, 0x240000),
    ],
  };
  const reach = deviceReach(simpleDevice("30-bit", 30), bigdma);
  assert.equal(reach.coherentFrom, "BIGDMA");
  assert.equal(reach.coherentFits, 1);
  assert.equal(deviceReach(simpleDevice("29-bit", 29), bigdma).coherentFrom, "DMA");
});

test("S8 masks below 24 bits are refused where ZONE_DMA is larger", () => {
  assert.equal(maskSupported(24, PC), true);
  assert.equal(maskSupported(23, PC), false);
  const refused = deviceReach(simpleDevice("isa", 20), PC);
  assert.equal(refused.supported, false);
  assert.equal(refused.coherentFrom, null);
  assert.equal(refused.streamingWords, "mask refused");
});

test("a machine whose RAM a mask covers needs no pool", () => {
  const reach = deviceReach(simpleDevice("30-bit", 30), SMALL_PC);
  assert.equal(reach.streaming, "direct");
  assert.equal(reach.coherentFrom, "DMA32");
  assert.equal(reach.coherentFits, 1);
});

test("a bus limit counts like a smaller mask", () => {
  const behind = { ...simpleDevice("emmc", 64), busLimit: GIB - 1 };
  const reach = deviceReach(behind, PC);
  assert.equal(reach.limit, GIB);
  assert.equal(reach.coherentRetry, "DMA");
});

test("S10 behind an IOMMU everything is in reach; S11 a forced pool bounces everything", () => {
  const translated = deviceReach({ ...simpleDevice("nic", 24), iommu: true }, PC);
  assert.equal(translated.streaming, "iommu");
  assert.ok(translated.reach.every((own) => own.reachable === own.present));
  assert.ok(PC.swiotlb !== null);
  const forced = { ...PC, swiotlb: { ...PC.swiotlb, forced: true } };
  assert.equal(deviceReach(simpleDevice("nvme", 64), forced).streaming, "bounce");
});

test("S2 on arm all low memory is DMA: a 32-bit device is direct, HighMem gives no coherent memory", () => {
  const arm: ReachMemory = {
    ...PC,
    hasDma32: false,
    swiotlb: null,
    zones: [
      zone(0, "DMA", 0x40000, 0x70000),
      zone(1, "Normal", 0, 0),
      zone(2, "HighMem", 0x70000, 0x80000),
    ],
  };
  const reach = deviceReach(simpleDevice("mmc", 32), arm);
  assert.equal(reach.coherentFrom, "DMA");
  assert.equal(reach.streaming, "direct");
});

test("a wider mask never reaches less, and reach never exceeds what is there", () => {
  const bits = fc.integer({ min: 1, max: 64 });
  fc.assert(
    fc.property(bits, bits, (one, two) => {
      const [narrow, wide] = [Math.min(one, two), Math.max(one, two)];
      const less = deviceReach(simpleDevice("n", narrow), PC);
      const more = deviceReach(simpleDevice("w", wide), PC);
      less.reach.forEach((own, i) => {
        assert.ok(own.reachable <= (more.reach[i]?.reachable ?? -1));
        assert.ok(own.reachable >= 0 && own.reachable <= own.present);
      });
      assert.ok(maskLimit(narrow) <= maskLimit(wide));
    }),
  );
});
