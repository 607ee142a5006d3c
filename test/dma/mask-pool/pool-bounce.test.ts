// Goal: through bounce buffers of the pool a device sees and leaves the bytes that it would without
// limits. Method: random devices, masks, windows and programs of map, write, sync and unmap beside an
// ideal machine, which is one array per buffer; after every step the books are looked at.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { BOUNCE_FULL, BOUNCE_TOO_LARGE, BOUNCE_UNREACHABLE } from "../../../src/dma/bounce.ts";
import type { DmaDevice } from "../../../src/dma/dma-device.ts";
import { bootWithMaskPool, type PooledMemory } from "../../../src/dma/mask-pool/boot-mask-pool.ts";
import { maskCounts } from "../../../src/dma/mask-pool/mask-counts.ts";
import { createPoolBounce, type PoolBounce } from "../../../src/dma/mask-pool/pool-bounce.ts";
import {
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type DmaDirection,
  fromDevice,
  NO_LIMIT,
  toDevice,
} from "../../../src/dma/words.ts";
import { GFP_ATOMIC } from "../../../src/mm/gfp.ts";

const PAGE = 4096;
const KIB = 1024;
/** DMA to 128 pages, DMA32 to 256, Normal to 1024. */
const RAM = 1024 * PAGE;

interface Machine extends PooledMemory {
  readonly ram: Uint8Array;
  readonly bounce: PoolBounce;
}

function machine(copiesAlways = false, force = true): Machine {
  const zones = [
    { name: "DMA", startPfn: 1, pages: 127 },
    { name: "DMA32", startPfn: 128, pages: 128 },
    { name: "Normal", startPfn: 256, pages: 768 },
  ];
  const ram = new Uint8Array(RAM);
  const options = { zones, bytes: ram, minFreeKbytes: 0, maxOrder: 8, pageblockOrder: 5 };
  const own = bootWithMaskPool(options, { force });
  const bounce = createPoolBounce(own.memory.image, own.pool, {
    gfp: GFP_ATOMIC,
    endPfn: 1024,
    copiesAlways,
    copy: (from, to, length) => ram.copyWithin(to, from, from + length),
  });
  return { ...own, ram, bounce };
}

function deviceOf(limit: number, more: Partial<DmaDevice> = {}): DmaDevice {
  return {
    name: "0000:00:05.0",
    driver: "card",
    streamingLimit: limit,
    coherentLimit: limit,
    busLimit: NO_LIMIT,
    windows: null,
    parent: null,
    node: 0,
    maxSegmentSize: 65536,
    segmentBoundary: NO_LIMIT,
    minAlignMask: 0,
    coherent: true,
    untrusted: false,
    forceBounce: false,
    ...more,
  };
}

const ISA = deviceOf(128 * PAGE - 1);

test("a card that reads: copied on map; one that writes: copied back at unmap", () => {
  const { ram, bounce, pool } = machine();
  const orig = 700 * PAGE + 100;
  ram.fill(7, orig, orig + 5000);
  const out = bounce.map(ISA, orig, 5000, 5000, 0, DMA_TO_DEVICE, 0, 0);
  expect.equal(out % PAGE, 0);
  expect.ok(out + 5000 <= 128 * PAGE && bounce.holds(out) && bounce.holds(out + 4999));
  expect.deepEqual(new Set(ram.subarray(out, out + 5000)), new Set([7]));
  ram.fill(9, out, out + 5000);
  bounce.unmap(ISA, out, 5000, DMA_TO_DEVICE, 0);
  expect.equal(ram[orig], 7, "a card that only reads leaves nothing");

  const back = bounce.map(ISA, orig, 5000, 5000, 0, DMA_FROM_DEVICE, 0, 0);
  ram.fill(9, back, back + 5000);
  bounce.unmap(ISA, back, 5000, DMA_FROM_DEVICE, 0);
  expect.deepEqual(new Set(ram.subarray(orig, orig + 5000)), new Set([9]));
  expect.equal(ram[orig - 1], 0);
  expect.equal(ram[orig + 5000], 0);
  expect.equal(bounce.holds(back), false);
  expect.deepEqual(
    Object.values(maskCounts(pool.counts)).slice(7),
    [4, 2 * (2 * PAGE - 5000), 2, 2],
    "used pages, bytes wasted, buffers made and given back",
  );
});

test("a sync of a part leaves the rest to whom it belongs", () => {
  const { ram, bounce } = machine();
  const orig = 700 * PAGE;
  const own = bounce.map(ISA, orig, 3000, 3000, 0, DMA_FROM_DEVICE, 0, 0);
  ram.fill(9, own, own + 3000);
  bounce.syncForCpu(ISA, own + 1000, 500, DMA_FROM_DEVICE);
  expect.deepEqual(
    [ram[orig + 999], ram[orig + 1000], ram[orig + 1499], ram[orig + 1500]],
    [0, 9, 9, 0],
  );
  // Beyond the mapping's end there is nothing to copy.
  bounce.syncForCpu(ISA, own + 2900, 500, DMA_FROM_DEVICE);
  expect.deepEqual([ram[orig + 2899], ram[orig + 2999], ram[orig + 3000]], [0, 9, 0]);
  bounce.syncForDevice(ISA, own, 3000, DMA_FROM_DEVICE);
  expect.equal(ram[own], 9, "nothing goes to a device that only writes");
});

test("since 5.18 a card that writes a part leaves the rest as it was", () => {
  for (const copiesAlways of [false, true]) {
    const { ram, bounce } = machine(copiesAlways);
    const orig = 800 * PAGE;
    ram.fill(1, orig, orig + PAGE);
    const own = bounce.map(ISA, orig, PAGE, PAGE, 0, DMA_FROM_DEVICE, 0, 0);
    ram.fill(2, own, own + 100);
    bounce.unmap(ISA, own, PAGE, DMA_FROM_DEVICE, 0);
    expect.equal(ram[orig + 50], 2);
    expect.equal(ram[orig + 200], copiesAlways ? 1 : 0);
  }
});

test("no cap of 256 KiB: a mapping is as large as memory gives in one piece", () => {
  const { bounce } = machine();
  expect.equal(bounce.maxMapping(ISA), 127 * PAGE);
  const whole = bounce.map(ISA, 512 * PAGE, 127 * PAGE, 127 * PAGE, 0, DMA_TO_DEVICE, 0, 0);
  expect.equal(whole, PAGE);
  expect.equal(bounce.map(ISA, 0, 1, 1, 0, DMA_TO_DEVICE, 0, 0), BOUNCE_FULL);
  const line = `card: Cannot allocate maskable memory size 16 gfp a20 mask 7ffff`;
  expect.equal(bounce.lastMessage, line);
  bounce.unmap(ISA, whole, 127 * PAGE, DMA_TO_DEVICE, 0);
  expect.equal(bounce.map(ISA, 0, RAM, RAM, 0, DMA_TO_DEVICE, 0, 0), BOUNCE_TOO_LARGE);
  const blind = deviceOf(PAGE - 1);
  expect.equal(bounce.map(blind, 0, 1, 1, 0, DMA_TO_DEVICE, 0, 0), BOUNCE_UNREACHABLE);
  expect.equal(bounce.maxMapping(blind), 0);
});

test("where a zone lies in reach the normal allocator gives buffers too", () => {
  const { bounce, pool } = machine(false, false);
  const pci = deviceOf(256 * PAGE - 1);
  const buffers = Array.from({ length: 10 }, () =>
    bounce.map(pci, 900 * PAGE, 64 * KIB, 64 * KIB, 0, DMA_TO_DEVICE, 0, 0),
  );
  expect.ok(buffers.every((buffer) => buffer >= 0 && buffer + 64 * KIB <= 256 * PAGE));
  expect.equal(maskCounts(pool.counts).mask_higher, 8, "eight from DMA32, two from the pool");
  for (const buffer of buffers) bounce.unmap(pci, buffer, 64 * KIB, DMA_TO_DEVICE, 0);
  expect.equal(pool.source.free(), pool.pages);
  expect.equal(bounce.live(), 0);
});

test("a window of the bus that is shifted: boundaries are the device's", () => {
  const { bounce } = machine();
  // The device sees pages 8 to 39 at 0x1000: 64 KiB boundaries lie at other places than the CPU's.
  const windows = [{ cpuStart: 8 * PAGE, dmaStart: PAGE, size: 32 * PAGE }];
  const bus = deviceOf(NO_LIMIT, { windows, segmentBoundary: 0xffff });
  const dma = (): number => {
    const buffer = bounce.map(bus, 600 * PAGE, 48 * KIB, 48 * KIB, 0, DMA_TO_DEVICE, 0, 0);
    return buffer < 0 ? buffer : buffer - 7 * PAGE;
  };
  expect.deepEqual([dma(), dma(), dma()], [0x14000, 0x4000, BOUNCE_FULL]);
});

interface Mapping {
  readonly device: DmaDevice;
  readonly buffer: number;
  readonly orig: number;
  readonly size: number;
  readonly direction: DmaDirection;
}

const device = fc
  .record({
    limit: fc.constantFrom(40 * PAGE - 1, 128 * PAGE - 1, 200 * PAGE - 1),
    segmentBoundary: fc.constantFrom(NO_LIMIT, 0xffff, 0x3fff),
    minAlignMask: fc.constantFrom(0, 511, 4095, 16383),
    shift: fc.constantFrom(null, 0, 3, 16),
  })
  .map(({ limit, shift, ...more }) => {
    const windows =
      shift === null ? null : [{ cpuStart: 4 * PAGE, dmaStart: shift * PAGE, size: 60 * PAGE }];
    return deviceOf(limit, { ...more, windows });
  });
const direction = fc.constantFrom<DmaDirection>(DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE);
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("map" as const),
      device,
      direction,
      size: fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 50_000 })),
      at: fc.nat(PAGE * 4),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom("cpu", "device", "unmap", "drop" as const),
      pick: fc.nat(),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
      value: fc.integer({ min: 1, max: 255 }),
    }),
  },
);

for (const force of [true, false]) {
  test(`the bytes of an ideal machine, ${force ? "from the pool" : "from zones and the pool"}`, () => {
    const program = fc.array(step, { maxLength: 60, size: "max" });
    fc.assert(
      fc.property(program, (steps) => live(machine(true, force), steps)),
      { numRuns: 100 },
    );
  });
}

type Step =
  | {
      readonly kind: "map";
      readonly device: DmaDevice;
      readonly direction: DmaDirection;
      readonly size: number;
      readonly at: number;
    }
  | {
      readonly kind: "cpu" | "device" | "unmap" | "drop";
      readonly pick: number;
      readonly from: number;
      readonly value: number;
    };

/** `ideal` is the memory of a machine without limits: device and CPU see one array. */
function live(own: Machine, steps: readonly Step[]): void {
  const { ram, bounce, pool } = own;
  const ideal = new Uint8Array(RAM);
  const mappings: Mapping[] = [];
  let slot = 0;
  for (const one of steps) {
    if (one.kind === "map") {
      // Originals of their own, 16 pages each, above everything that is given out.
      const orig = (256 + (slot++ % 48) * 16) * PAGE + one.at;
      if (mappings.some((other) => Math.abs(other.orig - orig) < 16 * PAGE)) continue;
      const { size } = one;
      if (one.at + size > 16 * PAGE) continue;
      const buffer = bounce.map(one.device, orig, size, size, 0, one.direction, 0, 0);
      if (buffer < 0) continue;
      checkPlace(one.device, buffer, orig, size, mappings);
      mappings.push({ device: one.device, buffer, orig, size, direction: one.direction });
      continue;
    }
    const index = one.pick % Math.max(1, mappings.length);
    const mapping = mappings[index];
    if (mapping === undefined) continue;
    const { buffer, orig, size } = mapping;
    const from = Math.floor(one.from * size);
    const many = size - from;
    if (one.kind === "cpu" && toDevice(mapping.direction)) {
      // The CPU takes the buffer, writes, and gives it to the device, which reads.
      bounce.syncForCpu(mapping.device, buffer + from, many, mapping.direction);
      ram.fill(one.value, orig + from, orig + size);
      ideal.fill(one.value, orig + from, orig + size);
      bounce.syncForDevice(mapping.device, buffer + from, many, mapping.direction);
      same(ram.subarray(buffer, buffer + size), ideal.subarray(orig, orig + size), "device reads");
    } else if (one.kind === "device" && fromDevice(mapping.direction)) {
      ram.fill(one.value, buffer + from, buffer + size);
      ideal.fill(one.value, orig + from, orig + size);
      bounce.syncForCpu(mapping.device, buffer + from, many, mapping.direction);
      same(ram.subarray(orig, orig + size), ideal.subarray(orig, orig + size), "CPU reads");
    } else if (one.kind === "unmap" || one.kind === "drop") {
      const attrs = one.kind === "drop" ? DMA_ATTR_SKIP_CPU_SYNC : 0;
      bounce.unmap(mapping.device, buffer, size, mapping.direction, attrs);
      mappings.splice(index, 1);
    }
    same(ram.subarray(256 * PAGE), ideal.subarray(256 * PAGE), "nothing else changed");
    expect.deepEqual([...bounce.verify(), ...pool.source.verify()], []);
    expect.equal(bounce.live(), mappings.length);
  }
  for (const { device: card, buffer, size, direction: way } of mappings)
    bounce.unmap(card, buffer, size, way, 0);
  expect.equal(pool.source.free(), pool.pages);
}

function same(a: Uint8Array, b: Uint8Array, what: string): void {
  expect.equal(Buffer.compare(a, b), 0, what);
}

function checkPlace(
  card: DmaDevice,
  buffer: number,
  orig: number,
  size: number,
  mappings: readonly Mapping[],
): void {
  const window = card.windows?.[0];
  const dma = buffer - (window === undefined ? 0 : window.cpuStart - window.dmaStart);
  const last = dma + size - 1;
  expect.ok(last <= card.streamingLimit, "in reach");
  if (window !== undefined)
    expect.ok(dma >= window.dmaStart && last < window.dmaStart + window.size, "in the window");
  const step = card.segmentBoundary + 1;
  if (card.segmentBoundary !== NO_LIMIT)
    expect.equal(Math.floor(dma / step), Math.floor(last / step), "no boundary inside");
  expect.equal(buffer & card.minAlignMask, orig & card.minAlignMask, "low bits kept");
  for (const other of mappings)
    expect.ok(buffer + size <= other.buffer || other.buffer + other.size <= buffer, "no overlap");
}
