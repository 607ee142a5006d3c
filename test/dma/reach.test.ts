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
  maskPool: null,
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
  const nvme = deviceReach(simpleDevice("nvme", 64), forced);
  assert.deepEqual([nvme.streaming, nvme.streamingWords], ["bounce", "bounce always"]);
  // It bounces what it could reach: there is no address above which it starts.
  assert.equal(nvme.limit, Number.POSITIVE_INFINITY);
  assert.equal(deviceReach(simpleDevice("nic", 32), forced).limit, 4 * GIB);
  assert.equal(deviceReach(simpleDevice("nic", 52), forced).limit, 2 ** 52);
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

test("a mask is judged by where the last page starts, and never against more than ZONE_DMA", () => {
  // RAM ends at 16 MiB and two pages: the last page starts one page above 16 MiB.
  const small = { ...SMALL_PC, zoneDmaLimit: null, zones: [zone(0, "Normal", 0, 0x1002)] };
  assert.equal(maskSupported(24, small), false);
  assert.equal(maskSupported(25, small), true);
  // One page less, and the last page starts where the mask ends: still one byte too high.
  const atLimit = { ...small, zones: [zone(0, "Normal", 0, 0x1001)] };
  assert.equal(maskSupported(24, atLimit), false);
  // The last page ends at the mask.
  const below = { ...small, zones: [zone(0, "Normal", 0, 0x1000)] };
  assert.equal(maskSupported(24, below), true);
  assert.equal(maskSupported(23, below), false);
  // A mask of half a page more than 23 bits does not exist, but empty memory does.
  assert.equal(maskSupported(1, { ...small, zones: [] }), true);
  assert.equal(maskSupported(31, { ...PC, zoneDmaLimit: null }), false);
  assert.equal(maskSupported(32, { ...PC, zoneDmaLimit: null }), true);
});

test("notes say what to watch, and nothing where there is nothing", () => {
  const notes = (bits: number, memory: ReachMemory): string =>
    deviceReach(simpleDevice("d", bits), memory).notes.join("; ");
  assert.equal(notes(64, PC), "");
  assert.equal(notes(32, PC), "");
  assert.match(notes(20, PC), /^the mask covers neither ZONE_DMA nor all of RAM[^;]*$/);
  assert.equal(notes(30, { ...PC, swiotlb: null }), "there is no swiotlb pool to bounce through");
  assert.equal(notes(29, PC), "the swiotlb pool itself lies above the mask");
  assert.ok(PC.swiotlb !== null);
  const forced = { ...PC, swiotlb: { ...PC.swiotlb, forced: true } };
  assert.equal(notes(64, forced), "every streaming mapping bounces, whatever its address");
  assert.equal(notes(32, forced), "every streaming mapping bounces, whatever its address");
});

test("coherent buffers come from CMA where an area lies wholly in reach", () => {
  const words = "coherent buffers of more than a page come from CMA first";
  const withArea = (start: number | null): ReachMemory => ({
    ...PC,
    cma: [{ start, bytes: 64 * MIB }],
  });
  const notes = (start: number | null, bits = 32): readonly string[] =>
    deviceReach(simpleDevice("d", bits), withArea(start)).notes;
  assert.deepEqual(notes(0), [words]);
  assert.deepEqual(notes(4 * GIB - 64 * MIB), [words]); // its last byte is the mask's last
  assert.deepEqual(notes(4 * GIB - 64 * MIB + 1), []);
  assert.deepEqual(notes(null), []);
  const translated = { ...simpleDevice("d", 32), iommu: true };
  assert.deepEqual(deviceReach(translated, withArea(0)).notes, []);
  // It is told after what goes wrong.
  const noPool = deviceReach(simpleDevice("d", 32), { ...withArea(0), swiotlb: null });
  assert.deepEqual(noPool.notes, ["there is no swiotlb pool to bounce through", words]);
  // Coherent and streaming masks are two things.
  const narrow = { ...simpleDevice("d", 64), coherentBits: 30 };
  assert.deepEqual(deviceReach(narrow, withArea(GIB)).notes, []);
  assert.deepEqual(deviceReach(narrow, withArea(0)).notes, [words]);
});

test("bouncing needs the whole pool in reach, and without its place assumes it low", () => {
  const verdict = (start: number | null, bits: number): string => {
    const swiotlb = { start, bytes: 64 * MIB, maxMapping: 262144, forced: false };
    return deviceReach(simpleDevice("d", bits), { ...PC, swiotlb }).streaming;
  };
  assert.equal(verdict(GIB - 64 * MIB, 30), "bounce");
  assert.equal(verdict(GIB - 64 * MIB + 1, 30), "unreachable");
  assert.equal(verdict(GIB - 32 * MIB, 30), "unreachable");
  assert.equal(verdict(null, 32), "bounce");
  assert.equal(verdict(null, 31), "unreachable");
});

test("a direct device has no largest mapping, unless every mapping bounces", () => {
  assert.ok(PC.swiotlb !== null);
  const forced = { ...PC, swiotlb: { ...PC.swiotlb, forced: true } };
  const most = (bits: number, memory: ReachMemory): number =>
    deviceReach(simpleDevice("d", bits), memory).maxMapping;
  assert.equal(most(64, PC), Number.POSITIVE_INFINITY);
  assert.equal(most(64, forced), 262144);
  assert.equal(most(32, PC), 262144);
  assert.equal(most(30, { ...PC, swiotlb: null }), 0);
  assert.equal(deviceReach(simpleDevice("d", 64), PC).limit, Number.POSITIVE_INFINITY);
  // RAM that ends exactly where the mask does needs no bouncing.
  const exact = { ...PC, zones: [zone(0, "DMA32", 1, 0x100000)] };
  assert.equal(deviceReach(simpleDevice("d", 32), exact).streaming, "direct");
  const above = { ...PC, zones: [zone(0, "DMA32", 1, 0x100001)] };
  assert.equal(deviceReach(simpleDevice("d", 32), above).streaming, "bounce");
});

test("coherent memory comes from the device's own node first, then from the others", () => {
  const on = (node: number, own: ReachMemory["zones"][number]) => ({ ...own, node });
  const two: ReachMemory = {
    ...PC,
    zones: [
      zone(0, "DMA", 1, 0x1000),
      zone(1, "DMA32", 0x1000, 0x80000),
      zone(2, "Normal", 0, 0),
      on(1, zone(0, "DMA", 0, 0)),
      on(1, zone(1, "DMA32", 0x80000, 0xc0000)),
      on(1, zone(2, "Normal", 0x100000, 0x300000)),
    ],
  };
  const fits = (node: number | null, bits: number): [string | null, string | null, number] => {
    const { coherentFrom, coherentRetry, coherentFits } = deviceReach(
      { ...simpleDevice("d", bits), node },
      two,
    );
    return [coherentFrom, coherentRetry, coherentFits];
  };
  assert.deepEqual(fits(null, 64), ["DMA32", null, 1]); // node 0 has nothing higher
  assert.deepEqual(fits(1, 64), ["Normal", null, 1]);
  assert.deepEqual(fits(1, 24), ["DMA", null, 1]); // node 1 has no DMA memory: node 0's
  assert.deepEqual(fits(1, 32), ["DMA32", null, 1]);
  assert.deepEqual(fits(1, 31), ["DMA32", "DMA", 0]); // node 1's DMA32 starts where 31 bits end
  assert.deepEqual(fits(0, 31), ["DMA32", null, 1]);
  assert.deepEqual(fits(1, 33), ["Normal", "DMA32", 0.5]);
  // A bus that carries one byte more than 32 bits does not ask for DMA32 at first.
  const bus = { ...simpleDevice("d", 64), node: 1, busLimit: 2 ** 32 };
  assert.equal(deviceReach(bus, two).coherentFrom, "Normal");
  assert.equal(deviceReach({ ...bus, busLimit: 2 ** 32 - 1 }, two).coherentFrom, "DMA32");
});

test("a refused mask bounces nowhere, even where it covers the pool", () => {
  const swiotlb = { start: 0, bytes: MIB, maxMapping: 262144, forced: false };
  assert.equal(deviceReach(simpleDevice("isa", 20), { ...PC, swiotlb }).streaming, "unreachable");
});

test("zones count with memory only, page by page up to the limit", () => {
  const empty = deviceReach(simpleDevice("d", 64), SMALL_PC);
  assert.deepEqual(
    empty.reach.map(({ zone: name, present }) => [name, present]),
    [
      ["DMA", 0xfff],
      ["DMA32", 0x1f000],
    ],
  );
  // A bus that ends inside a page does not carry that page, and RAM may have holes.
  const ram = [
    { start: 0, end: 0x10 },
    { start: 0x20, end: 0x40 },
  ];
  const board = { ...SMALL_PC, zones: [{ ...zone(0, "Normal", 0, 0), present: 0x30, ram }] };
  const reachable = (busLimit: number): number | undefined =>
    deviceReach({ ...simpleDevice("d", 64), busLimit }, board).reach[0]?.reachable;
  assert.equal(reachable(0x30 * 4096 - 1), 0x20);
  assert.equal(reachable(0x30 * 4096 + 100), 0x20);
  assert.equal(reachable(0x18 * 4096 - 1), 0x10);
  assert.equal(reachable(0x8 * 4096 - 1), 0x8);
  const low = { ...board, zoneDmaLimit: null };
  assert.equal(maskSupported(17, low), false);
  assert.equal(maskSupported(18, low), true);
});

test("on a machine no kernel has, a mask below every zone still asks the highest", () => {
  const zones = [zone(0, "low", 0, 0x4000), zone(1, "high", 0x4000, 0x8000)];
  const own = { ...SMALL_PC, custom: true, zoneDmaLimit: null, hasDma32: false, zones };
  const device = { ...simpleDevice("d", 64), coherentBits: 24 };
  const { coherentFrom, coherentRetry, coherentFits } = deviceReach(device, own);
  assert.deepEqual([coherentFrom, coherentRetry, coherentFits], ["high", null, 0]);
});

test("masks reach as many bytes as their bits say", () => {
  assert.equal(maskLimit(0), 0);
  assert.equal(maskLimit(1), 1);
  assert.equal(maskLimit(24), 0xffffff);
  assert.equal(maskLimit(52), 2 ** 52 - 1);
  assert.equal(maskLimit(53), Number.MAX_SAFE_INTEGER);
  assert.equal(maskLimit(64), Number.MAX_SAFE_INTEGER);
});

/** A bus that shows RAM's first 960 MiB at 3 GiB, as a Raspberry Pi's, and 256 MiB of Normal at 0. */
const WINDOWS = [
  { cpuStart: 0, dmaStart: 0xc000_0000, size: 0x3c00_0000 },
  { cpuStart: 5 * GIB, dmaStart: 0, size: 256 * MIB },
];

test("S8 a bus with windows shows what lies in them, at other addresses", () => {
  const device = { ...simpleDevice("emmc", 32), windows: WINDOWS };
  const { reach, streaming, coherentFrom, streamingWords } = deviceReach(device, PC);
  assert.deepEqual(
    reach.map(({ zone: name, reachable }) => [name, reachable]),
    [
      ["DMA", 0xfff],
      ["DMA32", 0x3c000 - 0x1000],
      ["Normal", 0x10000],
    ],
  );
  assert.equal(streaming, "unreachable", "the pool lies in no window");
  assert.match(streamingWords, /^unreachable outside of /);
  // The highest address of the bus lies in a window of low memory no more than in another.
  assert.equal(coherentFrom, "Normal");
  // A mask that ends below the first window shows the second alone.
  const narrow = deviceReach({ ...device, ...{ dmaBits: 28, coherentBits: 28 } }, PC);
  assert.equal(narrow.supported, false, "it does not show where ZONE_DMA ends");
  assert.deepEqual(
    narrow.reach.map(({ reachable }) => reachable),
    [0, 0, 0x10000],
  );
});

test("S8 with a mask pool it is what the windows show of it that counts", () => {
  const pool = { start: 4096, end: 16 * MIB, bytes: 16 * MIB - 4096 };
  const memory = { ...PC, zones: PC.zones.slice(1), zoneDmaLimit: null, maskPool: pool };
  const at = (cpuStart: number, size: number) => {
    const windows = [{ cpuStart, dmaStart: 0, size }];
    const { supported, streaming, maxMapping, coherentFrom, coherentRetry } = deviceReach(
      { ...simpleDevice("d", 24), windows },
      memory,
    );
    return [supported, streaming, maxMapping, coherentFrom, coherentRetry];
  };
  assert.deepEqual(at(0, 16 * MIB), [true, "bounce", pool.bytes, "mask pool", null]);
  assert.deepEqual(at(15 * MIB, 16 * MIB), [true, "bounce", MIB, "DMA32", "mask pool"]);
  assert.deepEqual(at(16 * MIB - 4096, 4096), [true, "bounce", 4096, "mask pool", null]);
  assert.deepEqual(at(16 * MIB - 4095, 4096), [false, "unreachable", 0, null, null]);
  assert.deepEqual(at(16 * MIB, 16 * MIB).slice(0, 3), [false, "unreachable", 0]);
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
