// Goal: without an IOMMU, each era's kernel takes the masks, asks the zones and bounces the buffers
// that it did. Method: worked machines per era, from the kernels' sources (kernels/dma*.ts).
import { strict as assert } from "node:assert";
import { test } from "node:test";
import {
  createDma,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  isFault,
  simpleDevice,
} from "../../src/dma/index.ts";
import { allocPages, freePages, GFP_DMA32, GFP_KERNEL } from "../../src/mm/index.ts";
import { GIB, MIB, PlainBounce, pc, small } from "../support/dma.ts";

const ZONES: readonly (readonly [number, string])[] = [
  [16 * MIB, "DMA"],
  [4 * GIB, "DMA32"],
  [Number.POSITIVE_INFINITY, "Normal"],
];

function zoneAt(physical: number): string {
  return ZONES.find(([end]) => physical < end)?.[1] ?? "";
}

/** Zone of a coherent page by era and mask on a PC of 8 GiB; null when there is none. */
function coherentZone(era: string, arch: string, bits: number, dma32 = true): string | null {
  const rules = era.startsWith("2.6") ? "2.6" : "6.1";
  const memory = pc({ ram: 8 * GIB, era: rules, dma32 });
  const dma = createDma(memory, { era, arch, devices: [simpleDevice("card", bits)] });
  const buffer = dma.allocCoherent(dma.device("card"), 4096);
  return buffer === null ? null : zoneAt(buffer.physical);
}

test("S3 DMA32 is used by itself where the mask fits it, and not before 2.6.15", () => {
  for (const era of ["2.6.18", "2.6.39", "4.19", "5.10", "6.1", "6.12"]) {
    assert.equal(coherentZone(era, "x86_64", 32), "DMA32", era);
    assert.equal(coherentZone(era, "x86_64", 64), "Normal", era);
    assert.equal(coherentZone(era, "x86_64", 24), "DMA", era);
  }
});

test("S8 the em64t problem: a 32-bit card without DMA32 lives from 16 MiB", () => {
  assert.equal(coherentZone("2.6.9", "x86_64", 32, false), "DMA");
  assert.equal(coherentZone("2.6.11", "x86_64", 32, false), "DMA");
  // i386 asks for GFP_DMA as soon as one bit is missing.
  assert.equal(coherentZone("2.6.11", "i386", 31, false), "DMA");
});

test("S4 a 29-bit mask tries DMA32 first and falls to 16 MiB when that lies too high", () => {
  const memory = pc({ ram: 8 * GIB });
  const dma = createDma(memory, { devices: [simpleDevice("sound", 29)] });
  const sound = dma.device("sound");
  const low = dma.allocCoherent(sound, 4096);
  assert.ok(low !== null && low.physical >= 16 * MIB && low.physical < 512 * MIB);
  // Somebody else has all of DMA32 that the card reaches.
  let taken = 0;
  while (taken * 4096 < 512 * MIB) taken = allocPages(memory, GFP_KERNEL | GFP_DMA32, 10);
  const late = dma.allocCoherent(sound, 4 * MIB);
  assert.ok(late !== null && late.physical < 16 * MIB);
  const wide = dma.allocCoherent(dma.addDevice(simpleDevice("nic", 32)), 4 * MIB);
  assert.equal(zoneAt(wide?.physical ?? 0), "DMA32");
});

test("S8 masks are taken or refused as the era does", () => {
  const takes = (era: string, arch: string, bits: number, ram = 8 * GIB): boolean => {
    const memory = pc({ ram });
    const dma = createDma(memory, { era, arch });
    return dma.addDevice(simpleDevice("card", 64)).setMask(bits) === 0;
  };
  for (const era of ["2.6.9", "2.6.39", "4.19", "6.1"]) {
    assert.ok(takes(era, "x86_64", 24), era);
    assert.ok(!takes(era, "x86_64", 23), era);
  }
});

test("S8 a card of 2004 without bounce pool panics the kernel, a later one warns once", () => {
  const old = createDma(pc({ ram: 8 * GIB, era: "2.6", dma32: false }), { era: "2.6.9" });
  const card = old.addDevice(simpleDevice("card", 32));
  assert.equal(old.map(card, 5 * GIB, 4096, DMA_TO_DEVICE), -1);
  assert.deepEqual(old.reports.log, [
    "Kernel panic - not syncing: PCI-DMA: high address but no IOMMU.",
  ]);
  const now = createDma(pc({ ram: 8 * GIB }), { era: "6.1" });
  const nic = now.addDevice({ ...simpleDevice("0000:00:04.0", 32), driver: "e1000" });
  for (let i = 0; i < 2; i++) assert.equal(now.map(nic, 5 * GIB, 4096, DMA_TO_DEVICE), -1);
  assert.deepEqual(now.reports.log, [
    "e1000 0000:00:04.0: DMA addr 0x0000000140000000+4096 overflow (mask ffffffff, bus limit 0).",
  ]);
  assert.equal(now.reports.lastRefusal?.reason, "mask");
});

test("S11 what lies out of reach bounces, and arrives", () => {
  const memory = small(512, 256);
  const bounce = new PlainBounce(memory, 0x40000, 0x40000);
  const dma = createDma(memory, { bounce, zoneDmaLimit: 2 ** 20 - 1 });
  const card = dma.addDevice(simpleDevice("card", 20));
  const page = allocPages(memory, GFP_KERNEL, 0) * 4096;
  assert.ok(page >= 2 ** 20);
  dma.cpuWrite(page, Uint8Array.of(1, 2, 3, 4));
  const address = dma.map(card, page, 4, DMA_TO_DEVICE);
  assert.ok(bounce.holds(address));
  assert.deepEqual(card.read(address, 4), Uint8Array.of(1, 2, 3, 4));
  dma.unmap(card, address, 4, DMA_TO_DEVICE);
  const back = dma.map(card, page, 4, DMA_FROM_DEVICE);
  assert.equal(card.write(back, Uint8Array.of(9, 8)), null);
  assert.deepEqual(dma.cpuRead(page, 4), Uint8Array.of(1, 2, 3, 4));
  assert.equal(dma.reports.misuses.at(-1)?.kind, "missing sync for cpu");
  dma.unmap(card, back, 4, DMA_FROM_DEVICE);
  assert.deepEqual(dma.cpuRead(page, 4), Uint8Array.of(9, 8, 3, 4));
  const after = card.read(back, 4);
  assert.ok(isFault(after) && after.reason === "freed");
  freePages(memory, page / 4096, 0);
  assert.equal(dma.liveMappings() + bounce.live(), 0);
});

test("S11 on arm64 since 6.5 a buffer smaller than a cache line bounces for a device past the cache", () => {
  const bounces = (era: string, arch: string, size: number, direction: 0 | 1 | 2): boolean => {
    const memory = small(512, 256);
    const bounce = new PlainBounce(memory, 0x40000, 0x40000);
    const devices = [{ ...simpleDevice("spi", 32), coherent: false }];
    const dma = createDma(memory, { era, arch, bounce, devices });
    return bounce.holds(dma.map(dma.device("spi"), 0x100000, size, direction));
  };
  assert.ok(bounces("6.12", "arm64", 20, DMA_FROM_DEVICE));
  assert.ok(bounces("6.5", "arm64", 96, DMA_FROM_DEVICE));
  assert.ok(!bounces("6.12", "arm64", 40, DMA_FROM_DEVICE), "kmalloc gives 64");
  assert.ok(!bounces("6.12", "arm64", 20, DMA_TO_DEVICE));
  assert.ok(!bounces("6.1", "arm64", 20, DMA_FROM_DEVICE));
  assert.ok(!bounces("6.12", "arm", 20, DMA_FROM_DEVICE));
});

test("S8 without an IOMMU nothing stops a device: what the books know of is reported, and done", () => {
  const dma = createDma(small(512, 256), { bus: "physical", mappings: 1024 });
  const card = dma.addDevice(simpleDevice("card", 32));
  dma.cpuWrite(0x5000, Uint8Array.of(7));
  assert.deepEqual(card.read(0x5000, 1), Uint8Array.of(7));
  const address = dma.map(card, 0x5000, 64, DMA_TO_DEVICE);
  assert.equal(card.write(address, Uint8Array.of(8)), null);
  dma.unmap(card, address, 64, DMA_TO_DEVICE);
  assert.equal(card.write(address, Uint8Array.of(9)), null);
  assert.deepEqual(dma.cpuRead(0x5000, 1), Uint8Array.of(9));
  const kinds = dma.reports.misuses.map(({ kind }) => kind);
  assert.deepEqual(kinds, ["unmapped", "direction", "freed"]);
  const beyond = card.read(2 ** 32, 1);
  assert.ok(isFault(beyond) && beyond.reason === "mask");
  const nothing = card.read(2 ** 30, 1);
  assert.ok(isFault(nothing) && nothing.reason === "no memory");
});
