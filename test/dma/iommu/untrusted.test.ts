// Goal: S10: a device that is not trusted sees pages only of what is mapped for it: what is not whole
// pages bounces, with zeros around the data. Method: a bounce source that hands out pages of its own
// full of secrets; what the device can read of them is looked at byte by byte.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import type { Bounce } from "../../../src/dma/bounce.ts";
import { BOUNCE_FULL } from "../../../src/dma/bounce.ts";
import {
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_MAPPING_ERROR,
  DMA_TO_DEVICE,
  type DmaDirection,
} from "../../../src/dma/words.ts";
import type { Memory } from "../../../src/mm/memory.ts";
import { device, memoryOf, rig } from "./machine.ts";

const POOL = 0x800000;

/** One buffer at a time, at the pool's start, keeping the offset in its page where `keeps`. */
function oneBuffer(m: Memory, keeps: boolean): Bounce & { held: number; orig: number } {
  const bytes = m.bytes ?? new Uint8Array(0);
  return {
    held: -1,
    orig: 0,
    map(_device, orig, size, _alloc, mask) {
      if (this.held >= 0) return BOUNCE_FULL;
      this.held = POOL + (keeps ? orig & mask : 0);
      this.orig = orig;
      bytes.copyWithin(this.held, orig, orig + size);
      return this.held;
    },
    unmap(_device, buffer, size, direction) {
      if (direction !== DMA_TO_DEVICE) bytes.copyWithin(this.orig, buffer, buffer + size);
      this.held = -1;
    },
    syncForCpu(_device, buffer, size) {
      bytes.copyWithin(this.orig, buffer, buffer + size);
    },
    syncForDevice(_device, buffer, size) {
      bytes.copyWithin(buffer, this.orig, this.orig + size);
    },
    holds: (physical) => physical >= POOL && physical < POOL + 0x10000,
    maxMapping: () => 258048,
  };
}

const external = device({ name: "0000:05:00.0", driver: "thunder", untrusted: true });

function setUp(version: string, keeps: boolean) {
  const memory = memoryOf();
  const bytes = memory.bytes ?? new Uint8Array(0);
  bytes.fill(0x5e, POOL, POOL + 0x10000);
  bytes.fill(0xda, 0x5000, 0x7000);
  const bounce = oneBuffer(memory, keeps);
  const own = rig({ memory, version, mode: "lazy", bounce });
  const seen = (dma: number, size: number): number[] =>
    Array.from({ length: size }, (_, i) => {
      const at = own.ops.translate(external, dma + i, false);
      return typeof at === "number" ? (bytes[at] ?? -1) : -1;
    });
  return { ...own, bytes, bounce, seen };
}

for (const [version, keeps] of [
  ["6.1", false],
  ["6.12", true],
] as const) {
  test(`S10: an untrusted device sees zeros around its data, ${version}`, () => {
    const { ops, seen, bounce, bytes, iommu } = setUp(version, keeps);
    const map = (direction: DmaDirection): number =>
      ops.mapPhysical(external, 0x5123, 5000, direction, 0, 0);
    const dma = map(DMA_BIDIRECTIONAL);
    const page = dma - (dma % 4096);
    const view = seen(page, 8192);
    const start = dma - page;
    expect.equal(start, keeps ? 0x123 : 0);
    expect.equal(
      view.every((byte, i) => byte === (i >= start && i < start + 5000 ? 0xda : 0)),
      true,
    );
    // Unmapped at once although the machine is lazy, and what the device wrote is back.
    const at = ops.translate(external, dma, true);
    bytes[at as number] = 7;
    ops.unmap(external, dma, 5000, DMA_BIDIRECTIONAL, 0, 0);
    expect.equal(bytes[0x5123], 7);
    expect.equal(typeof ops.translate(external, dma, false), "object");
    expect.equal(bounce.held, -1);
    // Reading into memory: since 6.10 the data's place has its old bytes, before that zeros.
    const into = map(DMA_FROM_DEVICE);
    const physical = bounce.held;
    expect.equal(bytes[physical + 1], version === "6.12" ? 0xda : 0);
    expect.equal(bytes[physical + 5000], 0);
    ops.unmap(external, into, 5000, DMA_FROM_DEVICE, 0, 0);
    expect.deepEqual(iommu.verify(), []);
  });
}

test("S10: whole pages of an untrusted device do not bounce; without a pool others are refused", () => {
  const { ops, bounce } = setUp("6.1", false);
  const dma = ops.mapPhysical(external, 0x5000, 8192, DMA_TO_DEVICE, 0, 0);
  expect.equal(ops.translate(external, dma + 4096, false), 0x6000);
  expect.equal(bounce.held, -1);
  const bare = rig();
  expect.equal(bare.ops.mapPhysical(external, 0x5001, 1, DMA_TO_DEVICE, 0, 0), DMA_MAPPING_ERROR);
  const line =
    "thunder 0000:05:00.0: DMA bounce buffers are inactive, unable to map unaligned transaction.";
  expect.deepEqual([bare.ops.lastRefusal?.message, bare.iommu.log], [line, [line]]);
  expect.equal(bare.ops.maxMappingSize(external), 0);
});

test("S10: a full pool refuses one entry of a list, and then the whole list is taken back", () => {
  const { ops, bounce, iommu } = setUp("6.1", false);
  const list = [0x5000, 0x5100, 0x6100].map((physical) => ({
    physical,
    length: 64,
    dma: 0,
    dmaLength: 0,
  }));
  expect.equal(ops.mapSg(external, list, DMA_TO_DEVICE, 0, 0), 0);
  expect.deepEqual([ops.lastRefusal?.reason, bounce.held], ["bounce pool full", -1]);
  expect.deepEqual(iommu.verify(), []);
  const one = list.slice(0, 1);
  expect.equal(ops.mapSg(external, one, DMA_TO_DEVICE, 0, 0), 1);
  ops.syncForDevice(external, one[0]?.dma ?? 0, 64, DMA_TO_DEVICE);
  ops.syncForCpu(external, one[0]?.dma ?? 0, 64, DMA_TO_DEVICE);
  ops.unmapSg(external, one, DMA_TO_DEVICE, 0, 0);
  expect.equal(bounce.held, -1);
});

test("S10: small buffers of devices that do not snoop bounce on arm64 since 6.5", () => {
  const memory = memoryOf();
  const bounce = oneBuffer(memory, true);
  const sound = device({ name: "1f00.sound", driver: "snd", coherent: false });
  const bounces = (
    version: string,
    size: number,
    direction: DmaDirection,
    own = sound,
  ): boolean => {
    const { ops } = rig({ memory: memoryOf(), vendor: "smmu-v3", version, bounce });
    const dma = ops.mapPhysical(own, 0x5040, size, direction, 0, 0);
    const held = bounce.held >= 0;
    ops.unmap(own, dma, size, direction, 0, 0);
    expect.equal(bounce.held, -1);
    return held;
  };
  const sizes = [8, 32, 33, 64, 65, 96, 97, 128, 200];
  expect.deepEqual(
    sizes.filter((size) => bounces("6.6", size, DMA_FROM_DEVICE)),
    [8, 32, 65, 96],
  );
  expect.equal(bounces("6.6", 8, DMA_TO_DEVICE), false);
  expect.equal(bounces("6.1", 8, DMA_FROM_DEVICE), false);
  expect.equal(bounces("6.6", 8, DMA_FROM_DEVICE, device()), false);
  // A list with one of them goes entry by entry, there and back.
  const { ops, iommu } = rig({ memory, vendor: "smmu-v3", version: "6.12", bounce });
  const list = [0x5000, 0x9040].map((physical, i) => ({
    physical,
    length: i === 0 ? 4096 : 20,
    dma: 0,
    dmaLength: 0,
  }));
  expect.equal(ops.mapSg(sound, list, DMA_FROM_DEVICE, 0, 0), 2);
  expect.equal(bounce.held, POOL + 0x40);
  ops.unmapSg(sound, list, DMA_FROM_DEVICE, 0, 0);
  expect.equal(bounce.held, -1);
  expect.deepEqual(iommu.verify(), []);
});
