// Goal: masks, windows of buses, parents and pools for the impatient follow the kernel. Method: the
// values that of_dma_configure(), dma_set_mask() and dma_get_required_mask() give on worked machines.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  createDma,
  type DeviceSpec,
  DMA_BIDIRECTIONAL,
  DMA_TO_DEVICE,
  type Dma,
  isFault,
  maskLimit,
  NO_LIMIT,
  simpleDevice,
} from "../../src/dma/index.ts";
import { dmaToPhys, maskCovering, physToDma } from "../../src/dma/translate.ts";
import { dmaPolicy } from "../../src/kernels/dma.ts";
import { bootMemory, createMemory, GFP_ATOMIC, lendCma } from "../../src/mm/index.ts";
import { GIB, MIB, pc, small } from "../support/dma.ts";

test("S8 a mask is taken when it covers ZONE_DMA or all of RAM, from 32 bits always", () => {
  const dma = createDma(pc({ ram: 8 * GIB }), { era: "6.1" });
  const card = dma.addDevice(simpleDevice("card", 64));
  assert.deepEqual(
    [23, 24, 29, 31, 32, 48, 64].map((bits) => card.setMask(bits)),
    [-5, 0, 0, 0, 0, 0, 0],
  );
  card.setMask(29);
  assert.equal(card.setMask(20), -5);
  assert.equal(card.streamingLimit, maskLimit(29), "a refused mask leaves the old one");
  card.clearMask();
  assert.equal(card.setMask(32), -5, "no mask to set");
  assert.equal(dma.map(card, MIB, 64, DMA_TO_DEVICE), -1);
  assert.equal(dma.reports.lastRefusal?.reason, "no mask");
});

test("S8 without ZONE_DMA a narrow mask must reach the start of the last page", () => {
  const pages = 2 ** 16; // 256 MiB
  const memory = bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages }] });
  const dma = createDma(memory, { era: "6.1" });
  const card = dma.addDevice(simpleDevice("card", 64));
  assert.deepEqual([card.setMask(28), card.setMask(27)], [0, -5]);
});

test("S8 the required mask covers the start of the last page", () => {
  // max_pfn 0x640000, as a machine of 25 GiB has it: 0x63ffff000 needs 35 bits.
  const memory = bootMemory({
    zones: [
      { name: "DMA32", startPfn: 1, pages: 0xc0000 - 1 },
      { name: "Normal", startPfn: 0x100000, pages: 0x540000 },
    ],
  });
  const dma = createDma(memory, { era: "6.1" });
  const nic = dma.addDevice(simpleDevice("nic", 64));
  assert.equal(dma.requiredMask(nic), 0x7ffffffff);
  assert.ok(!dma.addressingLimited(nic));
  assert.ok(dma.addressingLimited(dma.addDevice(simpleDevice("ata", 32))));
});

test("S8 dma-ranges: windows cut the masks, and their end is the bus limit", () => {
  const windows = [{ cpuStart: 0, dmaStart: 0xc000_0000, size: 0x3c00_0000 }]; // a Raspberry Pi's
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024 });
  const emmc = dma.addDevice({ ...simpleDevice("emmc", 64), windows });
  assert.equal(emmc.busLimit, 0xfbff_ffff);
  assert.equal(physToDma(emmc, 0x1234), 0xc000_1234);
  assert.equal(dmaToPhys(emmc, 0xc000_1234), 0x1234);
  assert.equal(dmaToPhys(emmc, 0x1234), -1);
  const address = dma.map(emmc, 0x10_0000, 64, DMA_BIDIRECTIONAL);
  assert.equal(address, 0xc010_0000);
  dma.cpuWrite(0x10_0000, Uint8Array.of(5));
  assert.deepEqual(emmc.read(address, 1), Uint8Array.of(5));
  const wrong = emmc.read(0x10_0000, 1);
  assert.ok(isFault(wrong));
});

test("S8 a size that was written as a mask is mended; windows that hold nothing are said", () => {
  const of = (size: number): DeviceSpec => ({
    ...simpleDevice(`d${size}`, 64),
    windows: [{ cpuStart: 0, dmaStart: 0, size }],
  });
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024 });
  assert.equal(dma.addDevice(of(0x3fff_ffff)).busLimit, 0x3fff_ffff);
  assert.equal(dma.addDevice(of(0)).firmwareIssue, "the windows of the bus hold nothing");
});

test("S8 several windows: each with its own offset, and RAM outside makes a device limited since 6.10", () => {
  const windows = [
    { cpuStart: 0, dmaStart: 0x8000_0000, size: MIB },
    { cpuStart: MIB, dmaStart: 0x1000_0000, size: MIB / 2 },
  ];
  const spec = { ...simpleDevice("dsp", 64), windows };
  for (const [era, limited] of [
    ["6.1", false],
    ["6.12", true],
  ] as const) {
    const dma = createDma(small(512, 256), { era, mappings: 1024 });
    const dsp = dma.addDevice(spec);
    assert.equal(physToDma(dsp, MIB + 16), 0x1000_0010);
    assert.equal(physToDma(dsp, 2 * MIB - 1), -1);
    // The last page lies in no window: all ones are required of 6.1.
    assert.equal(dma.requiredMask(dsp), NO_LIMIT);
    assert.equal(dma.addressingLimited(dsp), true);
    assert.ok(limited || era === "6.1");
    assert.equal(dma.map(dsp, 2 * MIB - 64, 64, DMA_TO_DEVICE), -1);
    assert.equal(dma.reports.lastRefusal?.reason, "window");
  }
});

test("S8 one offset for a board that no device tree describes", () => {
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024 });
  const usb = dma.addDevice(simpleDevice("usb", 32));
  assert.equal(usb.setOffset(0, 0, MIB), 0);
  assert.equal(usb.windows, null, "no offset, no window");
  assert.equal(usb.setOffset(0, 0x2000_0000, 2 * MIB), 0);
  assert.equal(usb.setOffset(0, 0x3000_0000, MIB), -22);
  assert.equal(dma.map(usb, 0x1000, 16, DMA_TO_DEVICE), 0x2000_1000);
});

test("S8 children have their parent's bus, node and trust", () => {
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024 });
  const windows = [{ cpuStart: 0, dmaStart: 0x4000_0000, size: 2 * MIB }];
  dma.addDevice({ ...simpleDevice("bridge", 64), windows, untrusted: true, coherent: false });
  const disk = dma.addDevice({ ...simpleDevice("disk", 64), parent: "bridge" });
  assert.equal(disk.windows, windows);
  assert.deepEqual([disk.untrusted, disk.coherent, disk.busLimit], [true, false, 0x401f_ffff]);
});

test("S8 4.19 refuses a mask wider than the bus, later kernels cut it", () => {
  const spec = { ...simpleDevice("sata", 64), busLimit: 0xffff_ffff };
  const old = createDma(pc({ ram: 8 * GIB }), { era: "4.19" });
  const now = createDma(pc({ ram: 8 * GIB }), { era: "6.1" });
  assert.equal(old.addDevice(spec).setMask(64), -5);
  const sata = now.addDevice(spec);
  assert.equal(sata.setMask(64), 0);
  assert.equal(now.map(sata, 5 * GIB, 64, DMA_TO_DEVICE), -1);
});

test("S8 registers of another device are mapped as they are, and not beyond the mask", () => {
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024 });
  const engine = dma.addDevice(simpleDevice("engine", 32));
  dma.addIoMemory("uart", 0xfe00_0000, 4096);
  const fifo = dma.mapResource(engine, 0xfe00_0010, 4, DMA_TO_DEVICE);
  assert.equal(fifo, 0xfe00_0010);
  dma.cpuWrite(0xfe00_0010, Uint8Array.of(0x41));
  assert.deepEqual(engine.read(fifo, 1), Uint8Array.of(0x41));
  dma.unmapResource(engine, fifo, 4, DMA_TO_DEVICE);
  assert.equal(dma.mapResource(engine, 2 ** 33, 4, DMA_TO_DEVICE), -1);
  assert.equal(dma.mapResource(engine, 0xfe00_0010, 4, 3), -1);
  assert.equal(dma.reports.lastRefusal?.reason, "direction");
  assert.equal(dma.mapResource(engine, 0xfe00_0010, 0, DMA_TO_DEVICE), -1);
  assert.equal(dma.reports.lastRefusal?.reason, "size");
  assert.equal(dma.liveMappings(), 0);
});

test("S8 those who may not wait on a machine that remaps use the atomic pools", () => {
  const dma = createDma(small(2048, 256), {
    era: "6.1",
    mappings: 1024,
    devices: [{ ...simpleDevice("mac", 64), coherent: false }],
  });
  const mac = dma.device("mac");
  assert.deepEqual(dma.reports.log, [
    "DMA: preallocated 128 KiB GFP_KERNEL pool for atomic allocations",
    "DMA: preallocated 128 KiB GFP_KERNEL|GFP_DMA pool for atomic allocations",
  ]);
  const ring = dma.allocCoherent(mac, 3 * 4096, GFP_ATOMIC);
  const next = dma.allocCoherent(mac, 4096, GFP_ATOMIC);
  assert.ok(ring !== null && next !== null);
  assert.ok(ring.physical >= 256 * 4096, "from the kernel's pool, which is Normal");
  const narrow = dma.addDevice({ ...simpleDevice("narrow", 20), coherent: false });
  assert.ok((dma.allocCoherent(narrow, 4096, GFP_ATOMIC)?.physical ?? MIB) < MIB, "from DMA's");
  assert.equal(next.physical - ring.physical, 3 * 4096, "first fit: three pages take three");
  dma.freeCoherent(mac, ring);
  assert.equal(dma.allocCoherent(mac, 8192, GFP_ATOMIC)?.physical, ring.physical);
});

test("S8 dma_alloc_pages() refuses zone bits", () => {
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024 });
  const nic = dma.addDevice(simpleDevice("nic", 64));
  assert.equal(dma.allocPages(nic, 4096, DMA_TO_DEVICE, 0x1), null);
  assert.equal(dma.reports.lastRefusal?.reason, "zone bits");
  const pages = dma.allocPages(nic, 5000, DMA_TO_DEVICE);
  assert.ok(pages !== null && pages.size === 8192);
  assert.equal(dma.counts(nic).allocatedBytes, 8192);
  dma.freePages(nic, pages, DMA_TO_DEVICE);
  assert.equal(dma.counts(nic).allocatedBytes, 0);
  assert.equal(dma.liveMappings(), 0);
});

test("S12 coherent memory of more than a page comes from CMA first, for those who may wait", () => {
  const holes = [{ start: 1024, end: 2048 }];
  const memory = bootMemory({
    zones: [{ name: "Normal", startPfn: 0, pages: 4096, holes }],
    cma: true,
  });
  lendCma(memory, 1024, 1024);
  const dma = createDma(memory, { era: "6.1", cma: [{ startPfn: 1024, pages: 1024 }] });
  const isp = dma.addDevice(simpleDevice("isp", 64));
  const frame = dma.allocCoherent(isp, 300 * 4096);
  assert.equal(frame?.physical, 1024 * 4096, "any number of pages");
  const other = dma.allocCoherent(isp, 2 * 4096);
  assert.equal(other?.physical, (1024 + 300) * 4096);
  const outside = (buffer: { readonly physical: number } | null): boolean =>
    buffer !== null && (buffer.physical < 1024 * 4096 || buffer.physical >= 2048 * 4096);
  assert.ok(outside(dma.allocCoherent(isp, 4096)), "a single page");
  assert.ok(outside(dma.allocCoherent(isp, 2 * 4096, GFP_ATOMIC)), "in a hurry");
  for (const own of [frame, other]) if (own !== null) dma.freeCoherent(isp, own);
  assert.equal(dma.allocCoherent(isp, 1024 * 4096)?.physical, 1024 * 4096);
});

test("S8 a device's node is asked first", () => {
  const zones = [
    { name: "Normal", node: 0, startPfn: 0, pages: 4096 },
    { name: "Normal", node: 1, startPfn: 4096, pages: 4096 },
  ];
  const dma = createDma(bootMemory({ zones, cpus: 2, cpuNode: [0, 1] }), { era: "6.1" });
  const far = dma.addDevice({ ...simpleDevice("far", 64), node: 1 });
  assert.ok((dma.allocCoherent(far, 4096)?.physical ?? 0) >= 4096 * 4096);
});

test("S4 on a machine with zones of any size coherent memory comes from the widest that fits", () => {
  const zones = [
    { name: "DMA", pages: 4096 },
    { name: "BIGDMA", pages: 2 ** 18 - 4096 }, // up to 1 GiB: 30 bits
    { name: "Normal", pages: 2 ** 18 },
  ];
  const dma = createDma(createMemory({ zones }).engine, { era: "6.1" });
  const at = (bits: number): number =>
    dma.allocCoherent(dma.addDevice(simpleDevice(`d${bits}`, bits)), 4096)?.physical ?? -1;
  assert.ok(at(31) >= GIB);
  assert.ok(at(30) >= 16 * MIB && at(30) < GIB);
  assert.ok(at(29) < 16 * MIB, "no zone fits 29 bits but the first");
});

test("S8 masks and translations hold their own definitions", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 52 }), (bits) => {
      assert.equal(maskCovering(maskLimit(bits)), maskLimit(bits));
      assert.equal(maskCovering(2 ** (bits - 1)), maskLimit(bits));
    }),
  );
  assert.equal(dmaPolicy("6.1.0-50-amd64", "x86_64")?.name, "6.1");
  assert.equal(dmaPolicy("2.6.20", "i386")?.name, "2.6.9");
  assert.equal(dmaPolicy("2.6.20", "arm64"), null);
  assert.equal(dmaPolicy("nonsense", "arm"), null);
});

test("S2 arm: a mask that does not cover GFP_DMA gets nothing; pages beyond the size go back", () => {
  const memory = small(512, 64, "2.6");
  const dma: Dma = createDma(memory, {
    era: "2.6.39",
    arch: "arm",
    mappings: 1024,
    zoneDmaLimit: 64 * 4096 - 1,
  });
  const codec = dma.addDevice({ ...simpleDevice("codec", 32), coherentBits: 31 });
  const buffer = dma.allocCoherent(codec, 3 * 4096);
  assert.ok(buffer !== null && buffer.physical < 64 * 4096, "below 32 bits is GFP_DMA");
  const page = dma.allocCoherent(codec, 4096);
  assert.equal(page?.physical, buffer.physical + 3 * 4096, "the fourth page was given back");
  dma.freeCoherent(codec, buffer);
  const narrow = dma.addDevice({ ...simpleDevice("narrow", 32) });
  narrow.coherentLimit = 0xffff;
  assert.equal(dma.allocCoherent(narrow, 4096), null);
  assert.equal(dma.reports.lastRefusal?.reason, "mask below GFP_DMA");
});

test("S8 a buffer in the last page of RAM is one; behind it there is none", () => {
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024 });
  const nic = dma.addDevice(simpleDevice("nic", 32));
  assert.equal(dma.mapSingle(nic, 511 * 4096 + 100, 64, DMA_TO_DEVICE), 511 * 4096 + 100);
  assert.equal(dma.mapSingle(nic, 512 * 4096, 64, DMA_TO_DEVICE), -1);
});

test("S8 RAM that no zone has is RAM, from its first page to its last", () => {
  const aside = [{ start: 600, end: 610 }];
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024, aside });
  const nic = dma.addDevice(simpleDevice("nic", 32));
  const takes = (physical: number): boolean =>
    dma.mapSingle(nic, physical, 64, DMA_TO_DEVICE) === physical;
  const [start, end] = [600 * 4096, 610 * 4096];
  assert.deepEqual([start - 64, start, end - 64, end].map(takes), [false, true, true, false]);
});

test("S8 without a pool nothing counts as bounced, whatever the device and its bus are", () => {
  const windows = [{ cpuStart: 0, dmaStart: 0x4000_0000, size: 2 * MIB }];
  const devices = [{ ...simpleDevice("mac", 32), windows, coherent: false }];
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024, devices });
  const mac = dma.device("mac");
  const address = dma.map(mac, MIB, 64, DMA_TO_DEVICE);
  dma.unmap(mac, address, 64, DMA_TO_DEVICE);
  assert.equal(dma.counts(mac).bounces, 0);
});
