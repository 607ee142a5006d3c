// Goal: the direct mapping's limits hold to the byte, and what it takes of a bounce pool comes back,
// for lists that are refused half-way and for devices with a restricted pool. Method: worked cases at
// the edge of each rule, on swiotlb as it was and is.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createDma,
  createSwiotlb,
  type Device,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type Dma,
  type DmaOptions,
  NO_LIMIT,
  type Swiotlb,
  type SwiotlbSpec,
  sgList,
  simpleDevice,
  swiotlbRule,
} from "../../src/dma/index.ts";
import { allocPages, GFP_ATOMIC, GFP_KERNEL, type Memory } from "../../src/mm/index.ts";
import { GIB, MIB, pc, small } from "../support/dma.ts";
import { strictSetup } from "../support/dma-setups.ts";

const PAGE = 4096;
const KIB = 1024;

function swiotlbIn(memory: Memory, era: string, fields: Partial<SwiotlbSpec>): Swiotlb {
  const rule = swiotlbRule(era);
  assert.ok(rule !== null);
  const spec = { rule, start: 0, slots: 128, areas: 1, pageSize: PAGE, ...fields };
  return createSwiotlb(memory.image, memory, spec);
}

function layer(era: string, options: DmaOptions, bits = 32): { dma: Dma; card: Device } {
  const dma = createDma(pc({ ram: 8 * GIB, era: era < "3" ? "2.6" : "6.1" }), {
    era,
    mappings: 1024,
    ...options,
  });
  return { dma, card: dma.addDevice(simpleDevice("card", bits)) };
}

test("S8 a buffer may end on the last byte in reach, and one byte later it may not", () => {
  for (const era of ["2.6.39", "4.19", "6.1", "6.12"]) {
    const { dma, card } = layer(era, {});
    const last = card.streamingLimit;
    assert.equal(dma.map(card, last - 63, 64, DMA_TO_DEVICE), last - 63, era);
    assert.equal(dma.map(card, last - 62, 64, DMA_TO_DEVICE), -1, era);
    assert.equal(dma.mapResource(card, last - 63, 64, DMA_TO_DEVICE), last - 63, era);
    assert.equal(dma.mapResource(card, last - 62, 64, DMA_TO_DEVICE), -1, era);
    // Registers never bounce, even where all buffers do.
    const forced = dma.addDevice({ ...simpleDevice("forced", 32), forceBounce: true });
    assert.equal(dma.mapResource(forced, last - 63, 64, DMA_TO_DEVICE), last - 63, era);
    assert.equal(dma.mapResource(forced, last - 62, 64, DMA_TO_DEVICE), -1, era);
  }
});

test("S8 old kernels are silent about masks that are narrow anyway: from 32 bits on there is a line", () => {
  for (const [era, words] of [
    ["2.6.18", "nommu_map_single: overflow"],
    ["4.19", "card: dma_direct_map_page: overflow"],
  ] as const) {
    for (const bits of [31, 32]) {
      const { dma, card } = layer(era, {}, bits);
      assert.equal(dma.map(card, 5 * GIB, 64, DMA_TO_DEVICE), -1);
      const lines = dma.reports.log.filter((line) => line.startsWith(words));
      assert.equal(lines.length, bits === 32 ? 1 : 0, `${era}, ${bits} bits`);
    }
  }
});

test("S11 a device whose mask is the required one maps without limit, a narrower one as swiotlb can", () => {
  const memory = pc({ ram: 3 * GIB });
  const dma = createDma(memory, { era: "6.1", bounce: swiotlbIn(memory, "6.1", { start: GIB }) });
  const wide = dma.addDevice(simpleDevice("wide", 32));
  assert.equal(dma.requiredMask(wide), wide.streamingLimit);
  assert.equal(dma.maxMappingSize(wide), NO_LIMIT);
  assert.equal(dma.maxMappingSize(dma.addDevice(simpleDevice("narrow", 31))), 256 * KIB);
});

test("S11 2004 looks at a bounce buffer's first byte only, today at all of it", () => {
  for (const [era, fits] of [
    ["2.6.11", true],
    ["6.1", false],
  ] as const) {
    const memory = small(512, 256, era < "3" ? "2.6" : "6.1");
    const bounce = swiotlbIn(memory, era, { start: MIB - PAGE });
    const dma = createDma(memory, { era, bounce, zoneDmaLimit: MIB - 1, mappings: 1024 });
    const card = dma.addDevice(simpleDevice("card", 32));
    card.streamingLimit = MIB - 1;
    const address = dma.map(card, MIB + 64 * PAGE, 3 * PAGE, DMA_TO_DEVICE);
    assert.equal(address, fits ? MIB - PAGE : -1, era);
    assert.equal(bounce.used, fits ? 6 : 0, era);
  }
});

test("S11 a list that is refused half-way leaves nothing behind", () => {
  const memory = small(512, 256);
  const bounce = swiotlbIn(memory, "6.1", { slots: 128 });
  const dma = createDma(memory, { era: "6.1", bounce, zoneDmaLimit: MIB - 1, mappings: 1024 });
  const card = dma.addDevice(simpleDevice("card", 20));
  const entries = (count: number) =>
    sgList(Array.from({ length: count }, (_, i) => ({ physical: MIB + i * 65536, length: 65536 })));
  for (const count of [5, 6]) {
    assert.equal(dma.mapSg(card, entries(count), DMA_FROM_DEVICE), 0);
    assert.equal(dma.reports.lastRefusal?.reason, "bounce pool full");
    assert.equal(bounce.used, 0);
    assert.deepEqual(bounce.verify(), []);
  }
  const four = entries(4);
  assert.equal(dma.mapSg(card, four, DMA_FROM_DEVICE), 4);
  assert.equal(bounce.used, 128);
  dma.unmapSg(card, four, DMA_FROM_DEVICE);
  assert.equal(bounce.used, 0);
});

test("S11 2.6: a single mapping gets the overflow buffer, a list is refused without panic", () => {
  const memory = small(512, 256, "2.6");
  const lines: string[] = [];
  const overflowStart = 0x8_0000;
  const bounce = swiotlbIn(memory, "2.6.18", { overflowStart, log: (line) => lines.push(line) });
  const dma = createDma(memory, { era: "2.6.18", bounce, mappings: 1024 });
  const card = dma.addDevice(simpleDevice("card", 32));
  card.streamingLimit = MIB - 1;
  const all = dma.map(card, MIB, 256 * KIB, DMA_TO_DEVICE);
  assert.equal(all, 0);
  assert.equal(dma.map(card, MIB, 512, DMA_TO_DEVICE), overflowStart);
  const list = sgList([{ physical: MIB, length: 512 }]);
  assert.equal(dma.mapSg(card, list, DMA_TO_DEVICE), 0);
  const large = sgList([{ physical: MIB, length: 64 * KIB }]);
  assert.equal(dma.mapSg(card, large, DMA_TO_DEVICE), 0);
  assert.deepEqual(
    lines.filter((line) => line.includes("panic")),
    [],
  );
  assert.equal(dma.map(card, MIB, 64 * KIB, DMA_TO_DEVICE), -1);
  assert.match(lines.at(-1) ?? "", /^Kernel panic/);
});

function restrictedLayer(era: string): { dma: Dma; device: Device; own: Swiotlb } {
  const memory = small(512, 256);
  const own = swiotlbIn(memory, era, { start: 64 * PAGE, force: true });
  const region = { kind: "restricted", start: 64 * PAGE, size: 64 * PAGE } as const;
  const dma = createDma(memory, {
    era,
    zoneDmaLimit: MIB - 1,
    mappings: 1024,
    devices: [{ ...simpleDevice("wifi", 32), regions: [region], coherent: false }],
    restrictedPool: () => own,
  });
  return { dma, device: dma.device("wifi"), own };
}

test("S11 a restricted device's coherent memory is whole pages of its pool, aligned to their order since 6.9", () => {
  for (const [era, second] of [
    ["6.1", 67],
    ["6.12", 68],
  ] as const) {
    const { dma, device, own } = restrictedLayer(era);
    own.map(device, MIB, 100, 100, 0, DMA_TO_DEVICE, 0, 0);
    const before = own.used;
    const one = dma.allocCoherent(device, 3 * PAGE, GFP_ATOMIC);
    const two = dma.allocCoherent(device, 3 * PAGE);
    assert.ok(one !== null && two !== null);
    assert.equal(one.physical % PAGE, 0, "whole pages, whatever else is in the pool");
    assert.equal((two.physical - one.physical) / PAGE, second - 64, era);
    assert.equal(device.write(two.dma, Uint8Array.of(5)), null);
    assert.deepEqual(dma.cpuRead(two.physical, 1), Uint8Array.of(5));
    for (const buffer of [one, two]) dma.freeCoherent(device, buffer);
    assert.equal(own.used, before);
    assert.deepEqual(own.verify(), []);
    assert.deepEqual(dma.reports.misuses, []);
  }
});

test("S11 a restricted pool above the coherent mask gives nothing, and keeps its pages", () => {
  const { dma, device, own } = restrictedLayer("6.12");
  device.coherentLimit = 65 * PAGE - 1;
  assert.equal(dma.allocCoherent(device, 2 * PAGE), null);
  assert.equal(dma.reports.lastRefusal?.reason, "out of reach");
  assert.equal(own.used, 0);
  assert.equal(dma.allocCoherent(device, 512 * KIB), null);
  assert.equal(dma.reports.lastRefusal?.reason, "bounce pool");
  const other = restrictedLayer("6.12");
  other.device.coherentLimit = 65 * PAGE - 1;
  assert.equal(other.dma.allocCoherent(other.device, PAGE)?.physical, 64 * PAGE);
});

test("S8 pages that the books have no room for go back", () => {
  const memory = small(512, 256);
  const dma = createDma(memory, { era: "6.1", mappings: 2 });
  const card = dma.addDevice(simpleDevice("card", 64));
  for (let i = 0; i < 2; i++) assert.ok(dma.allocPages(card, PAGE, DMA_TO_DEVICE) !== null);
  const free = (): number => {
    let pages = 0;
    while (allocPages(memory, GFP_KERNEL, 0) >= 0) pages++;
    return pages;
  };
  for (let i = 0; i < 600; i++) assert.equal(dma.allocPages(card, PAGE, DMA_TO_DEVICE), null);
  assert.equal(dma.reports.lastRefusal?.reason, "books full");
  assert.equal(dma.counts(card).refused, 600);
  assert.ok(free() > 400);
});

test("S10 behind an IOMMU pages come from anywhere, whatever the device's mask", () => {
  const { dma, device, left } = strictSetup({
    bits: 20,
    coherent: true,
    offset: 0,
    force: false,
    debug: false,
    era: "6.1",
  });
  device.coherentLimit = MIB - 1;
  const pages = dma.allocPages(device, 2 * PAGE, DMA_FROM_DEVICE);
  assert.ok(pages !== null && pages.physical >= MIB);
  assert.equal(device.write(pages.dma + PAGE, Uint8Array.of(3)), null);
  assert.deepEqual(dma.cpuRead(pages.physical + PAGE, 1), Uint8Array.of(3));
  dma.freePages(device, pages, DMA_FROM_DEVICE);
  const buffer = dma.allocCoherent(device, 2 * PAGE);
  assert.equal(dma.counts(device).allocatedBytes, 2 * PAGE);
  assert.ok(buffer !== null);
  dma.freeCoherent(device, buffer);
  assert.equal(dma.counts(device).allocatedBytes, 0);
  assert.deepEqual([left(), dma.liveMappings()], [0, 0]);
});

test("S11 4.19: slots serve coherent requests at last, to the last byte in reach, and come back", () => {
  for (const [limit, fits] of [
    [66 * PAGE - 1, true],
    [66 * PAGE - 2, false],
  ] as const) {
    const memory = small(512, 256);
    const bounce = swiotlbIn(memory, "4.19", { start: 64 * PAGE });
    const dma = createDma(memory, { era: "4.19", bounce, zoneDmaLimit: MIB - 1, mappings: 1024 });
    while (allocPages(memory, GFP_KERNEL, 0) >= 0);
    const card = dma.addDevice(simpleDevice("card", 32));
    card.coherentLimit = limit;
    const buffer = dma.allocCoherent(card, 2 * PAGE);
    assert.equal(buffer?.physical, fits ? 64 * PAGE : undefined);
    assert.equal(bounce.used, fits ? 4 : 0);
    if (buffer !== null) dma.freeCoherent(card, buffer);
    assert.equal(bounce.used, 0);
  }
});

test("S8 zone bits of the caller count where the era keeps them, and nowhere else", () => {
  const zoneOf = (era: string, arch: string): number => {
    const memory = pc({ ram: 8 * GIB, era: "2.6", dma32: false });
    const dma = createDma(memory, { era, arch, mappings: 1024 });
    const buffer = dma.allocCoherent(dma.addDevice(simpleDevice("card", 64)), PAGE, 0x1);
    return buffer?.physical ?? -1;
  };
  assert.ok(zoneOf("2.6.9", "x86_64") < 16 * MIB, "GFP_DMA was asked for");
  assert.ok(zoneOf("2.6.9", "i386") >= 16 * MIB);
  assert.ok(zoneOf("6.1", "x86_64") >= 16 * MIB);
});
