// Goal: what a mapping does besides finding slots: copies by direction and era, partial sync,
// refusals with the kernel's lines, pools that grow, pages for restricted devices.
// Method: worked cases on real bytes, one a rule; a property over the bytes of random mappings.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import {
  BOUNCE_FULL,
  BOUNCE_NO_POOL,
  BOUNCE_TOO_LARGE,
  BOUNCE_UNREACHABLE,
} from "../../../src/dma/bounce.ts";
import {
  createSwiotlb,
  growPages,
  type Swiotlb,
  type SwiotlbSpec,
  swiotlbRule,
} from "../../../src/dma/swiotlb/index.ts";
import {
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type DmaDirection,
  NO_LIMIT,
  SWIOTLB_ATTR_ENTRY,
} from "../../../src/dma/words.ts";
import { createMemory } from "../../../src/mm/create-memory.ts";
import { createImage, equal, restore, snapshot } from "../../../src/mm/image.ts";
import { Z_FREE, ZONE_WORDS } from "../../../src/mm/memory.ts";
import { device } from "./machine.ts";

const POOL = 0x10_0000;
const ORIG = 0x40_0000;
const DEV = device();

interface Bench {
  readonly own: Swiotlb;
  readonly bytes: Uint8Array;
  readonly lines: string[];
}

/** 8 MiB of bytes, the pool at 1 MiB. */
function bench(era: string, fields: Partial<SwiotlbSpec> = {}): Bench {
  const rule = swiotlbRule(era);
  assert.ok(rule !== null);
  const bytes = new Uint8Array(8 << 20);
  const lines: string[] = [];
  const own = createSwiotlb(
    createImage(false),
    { bytes, bytesPfn: 0, pageSize: 4096 },
    {
      rule,
      start: POOL,
      slots: 512,
      areas: 1,
      pageSize: 4096,
      log: (line) => lines.push(line),
      ...fields,
    },
  );
  return { own, bytes, lines };
}

function map(own: Swiotlb, size: number, direction: DmaDirection, attrs = 0, dev = DEV): number {
  return own.map(dev, ORIG, size, size, 0, direction, attrs, 0);
}

test("what is copied to the buffer: by direction before 5.18, then always (CVE-2022-0854)", () => {
  const cases = [
    ["2.6.18", DMA_TO_DEVICE, 0, true],
    ["2.6.18", DMA_FROM_DEVICE, 0, false],
    ["2.6.18", DMA_BIDIRECTIONAL, 0, true],
    ["4.19", DMA_TO_DEVICE, DMA_ATTR_SKIP_CPU_SYNC, false],
    ["6.1", DMA_FROM_DEVICE, 0, true],
    ["6.12", DMA_FROM_DEVICE, DMA_ATTR_SKIP_CPU_SYNC, true],
  ] as const;
  for (const [era, direction, attrs, isCopied] of cases) {
    const { own, bytes } = bench(era);
    bytes.fill(7, ORIG, ORIG + 5000);
    const buffer = map(own, 5000, direction, attrs);
    assert.equal(bytes[buffer + 4999], isCopied ? 7 : 0, `${era} direction ${direction}`);
    assert.equal(own.stats.bytesIn, isCopied ? 5000 : 0);
  }
});

test("what comes back at unmap: for directions from the device, unless the caller did it", () => {
  for (const [direction, attrs, back] of [
    [DMA_TO_DEVICE, 0, 1],
    [DMA_FROM_DEVICE, 0, 9],
    [DMA_BIDIRECTIONAL, 0, 9],
    [DMA_FROM_DEVICE, DMA_ATTR_SKIP_CPU_SYNC, 1],
  ] as const) {
    const { own, bytes } = bench("6.12");
    bytes.fill(1, ORIG, ORIG + 3000);
    const buffer = map(own, 3000, direction);
    bytes.fill(9, buffer, buffer + 3000);
    own.unmap(DEV, buffer, 3000, direction, attrs);
    assert.equal(bytes[ORIG + 2999], back);
    assert.equal(bytes[ORIG + 3000], 0);
    assert.equal(own.stats.used, 0);
  }
});

test("sync of a part finds the part's original, and is cut at the mapping's end", () => {
  const { own, bytes, lines } = bench("6.12");
  const buffer = map(own, 6000, DMA_FROM_DEVICE);
  bytes.fill(5, buffer, buffer + 8000);
  own.syncForCpu(DEV, buffer + 4100, 100, DMA_FROM_DEVICE);
  assert.deepEqual([...bytes.subarray(ORIG + 4099, ORIG + 4102)], [0, 5, 5]);
  assert.equal(bytes[ORIG + 4200], 0);
  own.syncForCpu(DEV, buffer + 5000, 2000, DMA_FROM_DEVICE);
  assert.equal(bytes[ORIG + 5999], 5);
  assert.equal(bytes[ORIG + 6000], 0);
  assert.equal(own.stats.cut, 1);
  assert.deepEqual(lines, [
    "e1000 0000:00:04.0: Buffer overflow detected. Allocation size: 1000. Mapping size: 2000.",
  ]);
  own.syncForDevice(DEV, buffer, 6000, DMA_FROM_DEVICE);
  assert.equal(bytes[buffer], 5);
});

test("an access before the mapping's start is refused in 6.1 and served in 6.12", () => {
  const nvme = device({ driver: "nvme", minAlignMask: 4095 });
  for (const [era, copied, line] of [
    [
      "6.1",
      0,
      "nvme 0000:00:04.0: Access before mapping start detected. orig offset 512, requested offset 0.",
    ],
    ["6.12", 3, undefined],
  ] as const) {
    const { own, bytes, lines } = bench(era);
    const buffer = own.map(nvme, ORIG + 512, 6000, 6000, 0, DMA_FROM_DEVICE, 0, 0);
    assert.equal(buffer % 4096, 512);
    bytes.fill(3, buffer, buffer + 6000);
    // Where the second slot begins, 512 bytes before what its first byte stands for.
    own.syncForCpu(nvme, buffer - 512 + 2048, 100, DMA_FROM_DEVICE);
    assert.equal(bytes[ORIG + 2048], copied);
    assert.equal(lines[0], line);
  }
});

test("2.6.9 knows only a mapping's start, and no sync of a bidirectional one", () => {
  const { own, bytes } = bench("2.6.9");
  const buffer = map(own, 4000, DMA_FROM_DEVICE);
  bytes.fill(4, buffer, buffer + 4000);
  own.syncForCpu(DEV, buffer + 100, 50, DMA_FROM_DEVICE);
  assert.equal(bytes[ORIG + 100], 0);
  own.syncForCpu(DEV, buffer, 50, DMA_BIDIRECTIONAL);
  assert.equal(bytes[ORIG], 0);
  assert.equal(own.stats.misuse, 2);
  own.syncForCpu(DEV, buffer, 50, DMA_FROM_DEVICE);
  assert.equal(bytes[ORIG + 49], 4);
});

test("refusals: the line of each era, and what a full pool comes to", () => {
  const full = "e1000 0000:00:04.0: swiotlb buffer is full (sz: 262144 bytes)";
  for (const [era, line] of [
    ["2.6.18", "PCI-DMA: Out of SW-IOMMU space for 262144 bytes at device 0000:00:04.0"],
    ["3.10", "DMA: Out of SW-IOMMU space for 262144 bytes at device 0000:00:04.0"],
    ["4.19", full],
    ["5.4", `${full}, total 512 (slots), used 512 (slots)`],
    ["6.1", `${full}, total 512 (slots), used 512 (slots)`],
    ["6.12", `${full}, total 512 (slots), used 512 (slots)`],
  ] as const) {
    const { own, lines } = bench(era);
    for (let i = 0; i < 4; i++) assert.ok(map(own, 262144, DMA_TO_DEVICE) > 0);
    assert.equal(map(own, 262144, DMA_TO_DEVICE), BOUNCE_FULL);
    assert.deepEqual(lines, [line]);
    assert.equal(own.lastMessage, line);
    assert.equal(map(own, 262145, DMA_TO_DEVICE), BOUNCE_TOO_LARGE);
    assert.equal(own.stats.highWater, 512);
  }
  const none = bench("6.12", { slots: 0 });
  assert.equal(map(none.own, 1, DMA_TO_DEVICE), BOUNCE_NO_POOL);
  assert.match(none.lines[0] ?? "", /Can not allocate SWIOTLB buffer earlier/);
});

test("2.6: a small refused mapping gets the overflow buffer, a large one is the end, an entry neither", () => {
  const { own, lines } = bench("2.6.18", { overflowStart: 0x30_0000 });
  for (let i = 0; i < 4; i++) map(own, 262144, DMA_TO_DEVICE);
  assert.equal(map(own, 32768, DMA_TO_DEVICE), 0x30_0000);
  assert.equal(own.holds(0x30_0000), false);
  assert.equal(map(own, 32769, DMA_FROM_DEVICE), BOUNCE_FULL);
  assert.equal(map(own, 32768, DMA_TO_DEVICE, SWIOTLB_ATTR_ENTRY), BOUNCE_FULL);
  assert.deepEqual(lines, [
    "PCI-DMA: Out of SW-IOMMU space for 32768 bytes at device 0000:00:04.0",
    "PCI-DMA: Out of SW-IOMMU space for 32769 bytes at device 0000:00:04.0",
    "Kernel panic - not syncing: PCI-DMA: Memory would be corrupted",
    "PCI-DMA: Out of SW-IOMMU space for 32768 bytes at device 0000:00:04.0",
  ]);
});

test("a buffer out of reach: 2004 asks of its first byte only, today of all of it", () => {
  const short = device({ streamingLimit: POOL + 999 });
  const old = bench("2.6.9");
  assert.equal(map(old.own, 4000, DMA_TO_DEVICE, 0, short), POOL);
  const now = bench("6.12");
  assert.equal(map(now.own, 4000, DMA_TO_DEVICE, 0, short), BOUNCE_UNREACHABLE);
  assert.equal(now.own.stats.used, 0);
  assert.deepEqual(now.lines, [
    "e1000 0000:00:04.0: swiotlb addr 0x0000000000100000+4000 overflow (mask 1003e7, bus limit 0).",
  ]);
});

test("6.6: a full pool grows, by a pool for the one mapping and by work that adds a larger one", () => {
  const taken: [number, number, number, boolean][] = [];
  const given: number[] = [];
  let next = 0x50_0000;
  const pages = {
    take(bytes: number, limit: number, mayWait: boolean): number {
      taken.push([next, bytes, limit, mayWait]);
      const start = next;
      next += Math.ceil(bytes / 4096) * 4096;
      return start;
    },
    give(start: number): void {
      given.push(start);
    },
  };
  const { own, bytes } = bench("6.12", { grow: { pages, limit: 2 ** 32 - 1 } });
  for (let i = 0; i < 4; i++) map(own, 262144, DMA_TO_DEVICE);
  bytes.fill(6, ORIG, ORIG + 5000);
  const buffer = map(own, 5000, DMA_BIDIRECTIONAL);
  assert.equal(buffer, 0x50_0000);
  assert.equal(bytes[buffer + 4999], 6);
  assert.deepEqual(taken, [[0x50_0000, 6144, DEV.streamingLimit, false]]);
  assert.deepEqual([own.stats.transient, own.stats.used, own.stats.slots], [3, 515, 512]);
  assert.deepEqual(own.verify(), []);
  own.unmap(DEV, buffer, 5000, DMA_BIDIRECTIONAL, 0);
  assert.deepEqual([own.stats.transient, own.stats.used, given.length], [0, 512, 0]);
  assert.equal(own.reclaim(), 1);
  assert.deepEqual(given, [0x50_0000]);
  assert.equal(own.work(), 512);
  assert.equal(own.work(), 0);
  assert.equal(own.stats.slots, 1024);
  assert.equal(map(own, 4096, DMA_TO_DEVICE), 0x50_2000);
  assert.deepEqual(own.verify(), []);
});

test("pools grow by pages of the allocator, of a zone that the device reaches", () => {
  const { engine } = createMemory({
    zones: [
      { name: "DMA", pages: 4096 },
      { name: "DMA32", pages: 4096 },
      { name: "Normal", pages: 4096, startPfn: 0x100000 },
    ],
  });
  const free = () => engine.names.map((_, zone) => engine.zone[zone * ZONE_WORDS + Z_FREE]);
  const before = free();
  const grow = { pages: growPages(engine), limit: 2 ** 32 - 1 };
  const { own } = bench("6.12", { grow, slots: 128 });
  const buffers = [
    DEV,
    device({ streamingLimit: 2 ** 25 - 1 }),
    device({ streamingLimit: NO_LIMIT }),
  ].map((dev) => [dev, own.map(dev, ORIG, 262144, 262144, 0, DMA_TO_DEVICE, 0, 0)] as const);
  // The first takes the pool's own slots, then one below 32 MiB, then one anywhere.
  const [first, low, any] = buffers.map(([, buffer]) => buffer);
  assert.equal(first, POOL);
  assert.ok(low !== undefined && low >= 0 && low + 262144 <= 2 ** 25);
  assert.ok(any !== undefined && any >= 2 ** 32);
  assert.equal(own.work(), 128);
  assert.deepEqual(own.verify(), []);
  for (const [dev, buffer] of buffers) own.unmap(dev, buffer, 262144, DMA_TO_DEVICE, 0);
  assert.equal(own.reclaim(), 2);
  // Only the added pool of 256 KiB stays.
  const after = free();
  const sum = (counts: readonly (number | undefined)[]): number =>
    counts.reduce<number>((total, count) => total + (count ?? 0), 0);
  assert.equal(sum(before) - sum(after), 64);
});

test("10^5 mappings, filled to failure and back: no slot is lost", () => {
  for (const [era, areas] of [
    ["5.10", 1],
    ["6.12", 4],
  ] as const) {
    const { own } = bench(era, { slots: 4096, areas });
    let seed = 1;
    const random = (below: number): number => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * below);
    };
    for (let done = 0, refused = 0; done < 50_000 || refused < 10; refused++) {
      const held: [number, number][] = [];
      for (;;) {
        const size = 1 + random(262144);
        const buffer = own.map(DEV, ORIG, size, size, 0, DMA_TO_DEVICE, 0, done);
        if (buffer < 0) break;
        held.push([buffer, size]);
        done++;
      }
      while (held.length > 0) {
        const [[buffer, size] = [0, 0]] = held.splice(random(held.length), 1);
        own.unmap(DEV, buffer, size, DMA_TO_DEVICE, 0);
      }
      assert.equal(own.used, 0);
    }
    assert.deepEqual(own.verify(), []);
    assert.equal(map(own, 262144, DMA_TO_DEVICE) > 0, true);
  }
});

test("a restricted device's pages come from its pool, aligned to their order from 6.9 on", () => {
  for (const [era, second] of [
    ["6.1", POOL + 0x3000],
    ["6.12", POOL + 0x4000],
  ] as const) {
    const { own } = bench(era);
    assert.equal(own.allocPages(DEV, 10000, 0), POOL);
    const pages = own.allocPages(DEV, 10000, 0);
    assert.equal(pages, second);
    const buffer = map(own, 100, DMA_TO_DEVICE);
    assert.equal(own.freePages(DEV, buffer), false);
    assert.equal(own.freePages(DEV, pages), true);
    assert.equal(own.freePages(DEV, pages), false);
    assert.deepEqual(own.verify(), []);
  }
});

test("slots without an original: nothing is copied in or back", () => {
  const { own, bytes } = bench("6.12");
  bytes.fill(8, 0, 4096);
  const buffer = own.map(DEV, 0, 4096, 4096, 0, DMA_FROM_DEVICE, DMA_ATTR_SKIP_CPU_SYNC, 0);
  assert.equal(bytes[buffer], 0);
  bytes.fill(9, buffer, buffer + 4096);
  own.syncForCpu(DEV, buffer, 4096, DMA_FROM_DEVICE);
  own.unmap(DEV, buffer, 4096, DMA_FROM_DEVICE, 0);
  assert.deepEqual([bytes[0], own.stats.bytesIn, own.stats.bytesOut, own.used], [8, 0, 0, 0]);
});

test("unmap of what is no mapping changes nothing and is counted", () => {
  const { own } = bench("6.1");
  const buffer = map(own, 6000, DMA_TO_DEVICE);
  const { used } = own.stats;
  own.unmap(DEV, buffer + 2048, 6000, DMA_TO_DEVICE, 0);
  own.unmap(DEV, POOL + 0x8000, 6000, DMA_TO_DEVICE, 0);
  own.unmap(DEV, 0x1000, 6000, DMA_TO_DEVICE, 0);
  assert.deepEqual([own.stats.misuse, own.stats.used], [3, used]);
  assert.deepEqual(own.verify(), []);
});

test("the state is in the image: a restored one goes on as the first did", () => {
  const rule = swiotlbRule("6.12");
  assert.ok(rule !== null);
  const image = createImage(false);
  const spec = { rule, start: POOL, slots: 512, areas: 4, pageSize: 4096 };
  const own = createSwiotlb(image, null, spec);
  const first = own.map(DEV, ORIG, 9000, 9000, 0, DMA_TO_DEVICE, 0, 2);
  const saved = snapshot(image);
  const next = own.map(DEV, ORIG, 9000, 9000, 0, DMA_TO_DEVICE, 0, 2);
  assert.equal(restore(image, saved), null);
  assert.ok(equal(snapshot(image), saved));
  assert.equal(own.map(DEV, ORIG, 9000, 9000, 0, DMA_TO_DEVICE, 0, 2), next);
  own.unmap(DEV, first, 9000, DMA_TO_DEVICE, 0);
  own.unmap(DEV, next, 9000, DMA_TO_DEVICE, 0);
  assert.deepEqual([own.stats.used, own.verify()], [0, []]);
});

test("whatever is mapped, the device sees the original's bytes and the original gets the device's", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 20000 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(sizes, fc.nat(4095), fc.constantFrom("5.10", "6.1", "6.12"), (all, offset, era) => {
      const { own, bytes } = bench(era);
      const nvme = device({ minAlignMask: 4095 });
      let orig = ORIG + offset;
      const maps = all.map((size, i) => {
        bytes.fill(i + 1, orig, orig + size);
        const buffer = own.map(nvme, orig, size, size, 0, DMA_BIDIRECTIONAL, 0, 0);
        orig += size;
        return { buffer, size, orig: orig - size, mark: i + 1 };
      });
      for (const { buffer, size, mark, orig: from } of maps) {
        assert.ok(buffer > 0);
        assert.equal((buffer ^ from) & 4095, 0);
        assert.ok(bytes.subarray(buffer, buffer + size).every((byte) => byte === mark));
        bytes.fill(100 + mark, buffer, buffer + size);
      }
      for (const { buffer, size } of maps) own.unmap(nvme, buffer, size, DMA_BIDIRECTIONAL, 0);
      for (const { size, mark, orig: from } of maps) {
        assert.ok(bytes.subarray(from, from + size).every((byte) => byte === 100 + mark));
      }
      assert.deepEqual([own.stats.used, own.verify()], [0, []]);
    }),
    { numRuns: 60 },
  );
});

test("S11 with fitsMask the last slot in reach is used, and none behind it", () => {
  const { own } = bench("6.12", { fitsMask: true });
  const short = device({ streamingLimit: POOL + 4 * 2048 - 1 });
  for (let i = 0; i < 4; i++) assert.ok(map(own, 2048, DMA_TO_DEVICE, 0, short) >= POOL);
  assert.ok(map(own, 2048, DMA_TO_DEVICE, 0, short) < 0);
  assert.equal(own.used, 4);
});

test("S11 a search that found nothing long enough does not hide what shorter requests need", () => {
  const slots = 128 * 128; // two groups of segments, so that one is gone through whole
  const { own } = bench("6.12", { slots, start: 0 });
  const buffers = Array.from({ length: slots }, () => map(own, 2048, DMA_TO_DEVICE));
  assert.equal(own.used, slots);
  // A free page in each segment, in the first one half of it.
  for (let at = 0; at < slots; at += 128) {
    for (const slot of at === 0 ? [5] : [at + 8, at + 9]) {
      own.unmap(DEV, buffers[slot] ?? -1, 2048, DMA_TO_DEVICE, 0);
    }
  }
  assert.ok(map(own, 3 * 2048, DMA_TO_DEVICE) < 0);
  for (let i = 1; i < 128; i++) assert.ok(map(own, 2 * 2048, DMA_TO_DEVICE) >= 0, String(i));
  assert.ok(map(own, 2 * 2048, DMA_TO_DEVICE) < 0);
  assert.ok(map(own, 2048, DMA_TO_DEVICE) >= 0);
  assert.equal(own.used, slots);
});
