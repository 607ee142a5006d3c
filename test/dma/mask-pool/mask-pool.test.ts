// Goal: the pool of the 2006 plan does what its posts say, and what they leave open is as documented:
// who is asked first, who may have the last pages, who waits and for how long, what is counted.
// Method: small machines worked by hand, both methods; a random life with snapshots.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import {
  allocGfp,
  bootWithMaskPool,
  freeGfp,
  type PoolBoot,
  type PooledMemory,
} from "../../../src/dma/mask-pool/boot-mask-pool.ts";
import { maskCounts } from "../../../src/dma/mask-pool/mask-counts.ts";
import {
  allocAgain,
  allocMask,
  createMaskPool,
  freeMask,
  isPoolPage,
  MASK_REFUSED,
  MASK_TIMEOUT_MS,
  MASK_WAIT,
  MAY_WAIT,
  type MaskWish,
  maskRefusalLine,
  POOL_ONLY,
} from "../../../src/dma/mask-pool/mask-pool.ts";
import { NO_LIMIT } from "../../../src/dma/words.ts";
import { allocPages, NO_PFN } from "../../../src/mm/allocate.ts";
import { GFP_ATOMIC, GFP_DMA, GFP_DMA32, GFP_KERNEL } from "../../../src/mm/gfp.ts";
import { createImage, equal, restore, snapshot } from "../../../src/mm/image.ts";
import { Z_FREE, Z_RESERVE, ZONE_WORDS } from "../../../src/mm/memory.ts";
import { verify } from "../../../src/mm/verify.ts";

const METHODS = ["range tree", "buddy scan"] as const;
const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** 8 GiB of x86-64: 3 GiB below the hole, 5 above. */
function desktop(pool: PoolBoot = {}): PooledMemory {
  const zones = [
    { name: "DMA", startPfn: 1, pages: 4095, holes: [{ start: 0x9f, end: 0x100 }] },
    { name: "DMA32", startPfn: 4096, pages: 0xbf000 },
    { name: "Normal", startPfn: 0x100000, pages: 0x140000 },
  ];
  return bootWithMaskPool({ zones }, pool);
}

const limitOf = (bits: number): number => 2 ** bits - 1;

for (const method of METHODS) {
  test(`${method}: the fitting zone first, the pool last`, () => {
    const { memory, pool } = desktop({ method });
    expect.deepEqual(memory.names, ["DMA32", "Normal"]);
    expect.equal(pool.pages, 0x9e + 0xf00);
    const zoneOfLimit = (bits: number): string => {
      const pfn = allocMask(pool, { bytes: 4096, limit: limitOf(bits), gfp: GFP_KERNEL });
      expect.ok(pfn >= 0 && (pfn + 1) * 4096 - 1 <= limitOf(bits), `${bits} bits: pfn ${pfn}`);
      return isPoolPage(pool, pfn) ? "pool" : pfn < 0x100000 ? "DMA32" : "Normal";
    };
    // The first free page of DMA32 lies at 16 MiB: in reach of 29 bits by luck.
    expect.deepEqual([64, 36, 33, 32, 29, 24, 21].map(zoneOfLimit), [
      "Normal",
      "Normal",
      "DMA32",
      "DMA32",
      "DMA32",
      "pool",
      "pool",
    ]);
    expect.equal(maskCounts(pool.counts).mask_higher, 5);
    // With everything below 512 MiB in use, 29 bits are what the pool is for.
    while (allocPages(memory, GFP_KERNEL | GFP_DMA32, 10) < 0x20000);
    while (allocPages(memory, GFP_KERNEL | GFP_DMA32, 0) < 0x20000);
    expect.equal(zoneOfLimit(29), "pool");
    expect.deepEqual([...pool.source.verify(), ...verify(memory)], []);
  });

  test(`${method}: requests that reach everything never drain the pool`, () => {
    const { memory, pool } = desktop({ method });
    while (allocPages(memory, GFP_KERNEL, 10) !== NO_PFN);
    while (allocPages(memory, GFP_ATOMIC, 0) !== NO_PFN);
    const wish = { bytes: 4096, limit: NO_LIMIT, gfp: GFP_ATOMIC };
    expect.equal(allocMask(pool, wish), MASK_REFUSED);
    expect.equal(pool.source.free(), pool.pages, "not one page went to normal requests");
    expect.ok(allocMask(pool, { ...wish, limit: limitOf(32) }) >= 0, "32 bits get the pool");
  });

  test(`${method}: forced, or asked for alone, only the pool answers`, () => {
    const forced = desktop({ method, force: true });
    const own = allocMask(forced.pool, { bytes: 4096, limit: NO_LIMIT, gfp: GFP_KERNEL });
    expect.ok(isPoolPage(forced.pool, own));
    const { pool } = desktop({ method });
    const alone = { bytes: 4096, limit: NO_LIMIT, gfp: GFP_KERNEL, flags: POOL_ONLY };
    expect.ok(isPoolPage(pool, allocMask(pool, alone)));
  });

  test(`${method}: the last pages are for those who cannot sleep`, () => {
    const ranges = [{ start: 16, end: 32 }];
    const image = createImage(false);
    const pool = createMaskPool(image, { ranges, pageSize: 4096, method, atomicPages: 4 });
    const patient = { bytes: 4096, limit: limitOf(24), gfp: GFP_KERNEL, flags: MAY_WAIT };
    const atomic = { ...patient, gfp: GFP_ATOMIC, flags: 0 };
    const first = Array.from({ length: 12 }, () => allocMask(pool, patient));
    expect.ok(first.every((pfn) => pfn >= 0));
    expect.equal(allocMask(pool, patient), MASK_WAIT);
    const rest = Array.from({ length: 4 }, () => allocMask(pool, atomic));
    expect.ok(rest.every((pfn) => pfn >= 0));
    expect.equal(allocMask(pool, atomic), MASK_REFUSED);
    expect.equal(pool.source.free(), 0);
  });

  test(`${method}: who may wait gets a page that comes back, or runs out of time`, () => {
    const ranges = [{ start: 16, end: 20 }];
    const pool = createMaskPool(createImage(false), { ranges, pageSize: 4096, method });
    const wish = { bytes: 8192, limit: limitOf(24), gfp: GFP_KERNEL, flags: MAY_WAIT };
    const a = allocMask(pool, wish);
    const b = allocMask(pool, wish);
    expect.deepEqual([a, b].sort(), [16, 18]);
    expect.equal(allocMask(pool, wish), MASK_WAIT);
    const waiter = { left: MASK_TIMEOUT_MS };
    expect.equal(allocAgain(pool, wish, waiter, 1000), MASK_WAIT);
    freeMask(pool, b, 8192);
    expect.equal(allocAgain(pool, wish, waiter, 500), b);
    expect.equal(waiter.left, 3500);
    expect.equal(allocAgain(pool, wish, waiter, 3499), MASK_WAIT);
    expect.equal(allocAgain(pool, wish, waiter, 1), MASK_REFUSED);
    expect.equal(maskCounts(pool.counts).mask_wait, 5000);
    expect.equal(maskCounts(pool.counts).mask_alloc, 3, "trying again is no attempt");
    const patient = { left: Number.POSITIVE_INFINITY };
    expect.equal(allocAgain(pool, wish, patient, 1e9), MASK_WAIT, "__GFP_REPEAT has all time");
    // No page that comes back could ever help: five pages of four, or pages below 64 KiB.
    expect.equal(allocMask(pool, { ...wish, bytes: 5 * 4096 }), MASK_REFUSED);
    expect.equal(allocMask(pool, { ...wish, limit: 64 * KIB - 1 }), MASK_REFUSED);
  });
}

test("what is counted, worked by hand", () => {
  const ranges = [{ start: 16, end: 32 }];
  const pool = createMaskPool(createImage(false), { ranges, pageSize: 4096 });
  const wish = { bytes: 5000, limit: limitOf(24), gfp: GFP_ATOMIC };
  // Two pages at the top, 3192 bytes too many; then two more below them, 2 pages passed over.
  expect.equal(allocMask(pool, wish), 30);
  expect.equal(allocMask(pool, wish), 28);
  // 64 KiB + 8 pages in reach: the highest two of those are 22 and 23, nothing is passed over.
  expect.equal(allocMask(pool, { ...wish, limit: 24 * 4096 - 1 }), 22);
  freeMask(pool, 28, 5000);
  expect.deepEqual(maskCounts(pool.counts), {
    mask_alloc: 3,
    mask_free: 1,
    mask_bitmap_skip: 2,
    mask_wait: 0,
    mask_higher: 0,
    mask_low_waste: 3 * 3192,
    mask_high_waste: 0,
    swiotlb_used_pages: 0,
    swiotlb_bytes_wasted: 0,
    swiotlb_num_allocs: 0,
    swiotlb_num_frees: 0,
  });
  const line = "insmod: Cannot allocate maskable memory size 5000 gfp a20 mask ffffff";
  expect.equal(maskRefusalLine("insmod", wish), line);
});

test("the normal allocator's waste is that of powers of two", () => {
  const { pool } = desktop();
  const wish = { bytes: 20 * KIB, limit: limitOf(32), gfp: GFP_KERNEL };
  const pfn = allocMask(pool, wish);
  expect.equal(maskCounts(pool.counts).mask_high_waste, 12 * KIB);
  freeMask(pool, pfn, wish.bytes);
  expect.equal(maskCounts(pool.counts).mask_free, 0, "it was none of the pool's");
});

test("limits that lie in the pool are not for the normal allocator", () => {
  const asked: number[] = [];
  const none = { give: () => undefined, coversAll: () => false, largest: () => 0 };
  const normal = {
    ...none,
    take: (_gfp: number, _order: number, _low: number, end: number) => {
      asked.push(end);
      return -1;
    },
  };
  const ranges = [{ start: 16, end: 32 }];
  const pool = createMaskPool(createImage(false), { ranges, pageSize: 4096, normal });
  const wish = { bytes: 4096, gfp: GFP_ATOMIC };
  expect.equal(allocMask(pool, { ...wish, limit: 32 * 4096 - 1 }), 31);
  expect.deepEqual(asked, []);
  expect.equal(allocMask(pool, { ...wish, limit: 33 * 4096 - 1 }), 30);
  expect.deepEqual(asked, [33]);
});

test("a block of the normal allocator that only begins in reach goes back", () => {
  const { memory, pool } = desktop();
  const free = memory.zone[Z_FREE];
  // The first block of DMA32 begins at 16 MiB; its first half is in reach, 64 KiB are asked for.
  const limit = 16 * MIB + 32 * KIB - 1;
  const pfn = allocMask(pool, { bytes: 64 * KIB, limit, gfp: GFP_KERNEL });
  expect.equal(pfn, 4096 - 16, "the highest place of the pool");
  expect.equal(memory.zone[Z_FREE], free);
  expect.equal(maskCounts(pool.counts).mask_higher, 0);
});

test("alignment, boundary and a lower limit", () => {
  const ranges = [{ start: 3, end: 64 }];
  const pool = createMaskPool(createImage(false), { ranges, pageSize: 4096 });
  const wish = { bytes: 3 * 4096, limit: NO_LIMIT, gfp: GFP_ATOMIC };
  expect.equal(allocMask(pool, { ...wish, align: 64 * KIB }), 48);
  // 0xffff: no multiple of 64 KiB inside; 61 to 63 are free and lie between two of them.
  expect.equal(allocMask(pool, { ...wish, boundary: 0xffff }), 61);
  expect.equal(allocMask(pool, { ...wish, boundary: 0xffff, limit: 46 * 4096 - 1 }), 43);
  expect.equal(allocMask(pool, { ...wish, low: 40 * 4096, limit: 43 * 4096 - 1 }), 40);
  expect.equal(allocMask(pool, { ...wish, low: 40 * 4096, limit: 43 * 4096 - 1 }), MASK_REFUSED);
  // 12 KiB fit between no two multiples of 8 KiB; 4 KiB fit between those of 512 bytes never.
  expect.equal(allocMask(pool, { ...wish, boundary: 8 * KIB - 1 }), MASK_REFUSED);
  expect.equal(allocMask(pool, { ...wish, bytes: 4096, boundary: 511 }), MASK_REFUSED);
  expect.ok(allocMask(pool, { ...wish, bytes: 512, boundary: 511 }) >= 0);
});

test("ZONE_DMA is out of the zonelists, and nobody pays for it", () => {
  const { memory, pool } = desktop();
  const reserves = (z: number): number[] => [
    ...memory.zone.subarray(z * ZONE_WORDS + Z_RESERVE, z * ZONE_WORDS + Z_RESERVE + 2),
  ];
  // DMA32 keeps a 256th of Normal from normal requests, as before; the pool has no reserve.
  expect.deepEqual(reserves(0), [0, Math.floor(0x140000 / 256)]);
  expect.equal((memory.zone[Z_FREE] ?? 0) + pool.pages, 0xc0000 - 1 - 0x61);
  expect.deepEqual(
    pool.ranges,
    [
      { start: 1, end: 0x9f },
      { start: 0x100, end: 0x1000 },
    ],
    "all that was RAM below 16 MiB",
  );
});

test("a pool smaller than the zone leaves the rest to the next, a larger one takes from it", () => {
  const small = desktop({ pages: 1024 });
  expect.equal(small.pool.pages, 1024);
  expect.deepEqual(small.pool.ranges.at(-1), { start: 0x100, end: 0x100 + 1024 - 0x9e });
  const large = desktop({ pages: 16384 });
  expect.equal(large.pool.pages, 16384);
  expect.equal(large.pool.end, 16384 + 1 + 0x61);
  for (const { memory, pool } of [small, large]) {
    expect.equal((memory.zone[Z_FREE] ?? 0) + pool.pages, 0xc0000 - 1 - 0x61);
    expect.deepEqual(verify(memory), []);
  }
});

test("GFP_DMA becomes a mask of 24 bits", () => {
  const machine = desktop();
  const pfn = allocGfp(machine, GFP_KERNEL | GFP_DMA, 3);
  expect.ok(isPoolPage(machine.pool, pfn));
  freeGfp(machine, pfn, 3);
  expect.equal(machine.pool.source.free(), machine.pool.pages);
  const plain = allocGfp(machine, GFP_KERNEL, 3);
  expect.ok(!isPoolPage(machine.pool, plain));
  freeGfp(machine, plain, 3);
});

test("an order in place of bytes is refused as a mistake", () => {
  const { pool } = desktop();
  expect.throws(() => allocMask(pool, { bytes: 3, limit: NO_LIMIT, gfp: GFP_KERNEL }), /order/);
});

test("a snapshot holds the pool too", () => {
  for (const method of METHODS) {
    const { memory, pool } = desktop({ method });
    const wish = { bytes: 8192, limit: limitOf(24), gfp: GFP_KERNEL };
    const kept = allocMask(pool, wish);
    const before = snapshot(memory.image);
    const after = allocMask(pool, wish);
    expect.equal(restore(memory.image, before), null);
    expect.ok(equal(snapshot(memory.image), before));
    expect.equal(allocMask(pool, wish), after, "the same pages again");
    freeMask(pool, kept, 8192);
    expect.deepEqual(pool.source.verify(), []);
  }
});

test("a random life: nothing is lost, nothing given twice, counters add up", () => {
  const step = fc.oneof(
    fc.record({
      bytes: fc.integer({ min: 16, max: 200_000 }),
      bits: fc.integer({ min: 16, max: 36 }),
      flags: fc.constantFrom(0, MAY_WAIT, POOL_ONLY),
    }),
    fc.record({ free: fc.nat() }),
  );
  const program = fc.array(step, { maxLength: 80, size: "max" });
  fc.assert(
    fc.property(program, fc.constantFrom(...METHODS), (steps, method) => {
      const machine = tiny(method);
      const { memory, pool } = machine;
      const held: { pfn: number; bytes: number }[] = [];
      const used = new Set<number>();
      for (const one of steps) {
        if ("free" in one) {
          const [block] = held.splice(one.free % Math.max(1, held.length), 1);
          if (block === undefined) continue;
          freeMask(pool, block.pfn, block.bytes);
          for (const pfn of pagesOf(block)) used.delete(pfn);
        } else {
          const wish: MaskWish = { ...one, limit: limitOf(one.bits), gfp: GFP_KERNEL };
          const pfn = allocMask(pool, wish);
          if (pfn < 0) continue;
          for (const page of pagesOf({ pfn, bytes: one.bytes })) {
            expect.ok(!used.has(page) && (page + 1) * 4096 - 1 <= wish.limit);
            used.add(page);
          }
          held.push({ pfn, bytes: one.bytes });
        }
        expect.deepEqual([...pool.source.verify(), ...verify(memory)], []);
      }
      for (const { pfn, bytes } of held) freeMask(pool, pfn, bytes);
      expect.equal(pool.source.free(), pool.pages);
    }),
    { numRuns: 40 },
  );
});

function pagesOf({ pfn, bytes }: { pfn: number; bytes: number }): number[] {
  return Array.from({ length: Math.ceil(bytes / 4096) }, (_, i) => pfn + i);
}

function tiny(method: (typeof METHODS)[number]): PooledMemory {
  const zones = [
    { name: "DMA", startPfn: 0, pages: 96 },
    { name: "DMA32", startPfn: 96, pages: 200 },
    { name: "Normal", startPfn: GIB / KIB, pages: 128 },
  ];
  const options = { zones, minFreeKbytes: 0, maxOrder: 6, pageblockOrder: 5 };
  return bootWithMaskPool(options, { method, atomicPages: 8 });
}
