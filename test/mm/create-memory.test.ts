// Goal: somebody with RAM and no kernel gets an allocator that is right, small and clear when misused.
// Method: zones of every naming over every kind of RAM, random programs against a plain list of who
// owns which byte, every mistake in the options, and the size of a bundle that imports it alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { rolldown } from "rolldown";
import { createMemory, NO_PFN, type PageMemory } from "../../src/mm/create-memory.ts";
import { KIND_MASK, MOBILE, rowOf, TAKEN } from "../../src/mm/memory.ts";

const PAGE = 4096;
const KB_LIMIT = 25;

test("a bundle of it alone is at most 25 kB compressed", async () => {
  const input = fileURLToPath(new URL("../../src/mm/create-memory.ts", import.meta.url));
  const build = await rolldown({
    input,
    platform: "neutral",
    treeshake: { moduleSideEffects: false },
  });
  const { output } = await build.generate({ format: "esm", minify: true });
  await build.close();
  const [chunk] = output;
  assert.equal(output.length, 1);
  assert.ok(chunk.exports.includes("createMemory"));
  const bytes = gzipSync(chunk.code).length;
  assert.ok(bytes <= KB_LIMIT * 1000, `${bytes} bytes`);
  assert.ok(bytes > 5000, `${bytes} bytes cannot be all of it`);
});

test("a request gets its zone, then lower ones, never a higher one", () => {
  const memory = createMemory({
    zones: [
      { name: "DMA", pages: 100 },
      { name: "Normal", pages: 50 },
    ],
  });
  const taken: (string | null)[] = [];
  for (let pfn = memory.alloc(0); pfn !== NO_PFN; pfn = memory.alloc(0))
    taken.push(memory.zoneOf(pfn));
  assert.equal(taken.length, 150);
  assert.ok(taken.slice(0, 50).every((zone) => zone === "Normal"));
  assert.ok(taken.slice(50).every((zone) => zone === "DMA"));

  const small = createMemory({
    zones: [
      { name: "DMA", pages: 10 },
      { name: "Normal", pages: 5000 },
    ],
  });
  let own = 0;
  while (small.alloc(0, "DMA") !== NO_PFN) own++;
  assert.equal(own, 10);
});

test("up to eight zones of any name can be asked for, among Linux's names too", () => {
  const names = ["DMA", "DMA32", "Normal", "HighMem", "Movable", "chip", "fast", "slow"];
  fc.assert(
    fc.property(fc.shuffledSubarray(names, { minLength: 1 }), fc.boolean(), (zones, movable) => {
      const memory = createMemory({
        zones: zones.map((name) => ({ name, pages: 64 })),
        maxOrder: 4,
      });
      for (const zone of zones)
        assert.equal(memory.zoneOf(memory.alloc(0, zone, { movable })), zone);
      const plain = memory.zoneOf(memory.alloc(0));
      const kernel = zones.filter((name) => name !== "HighMem" && name !== "Movable");
      const expected = zones.includes("Normal") ? "Normal" : (kernel.at(-1) ?? zones[0]);
      assert.equal(plain, expected);
    }),
  );
});

test("bytes lie at the page's address in the caller's RAM, wherever that begins", () => {
  const buffer = new ArrayBuffer(64 * PAGE);
  const shared = new SharedArrayBuffer(64 * PAGE);
  const wasm = new WebAssembly.Memory({ initial: 4 });
  const view = new DataView(new ArrayBuffer(70 * PAGE), 3 * PAGE, 64 * PAGE);
  for (const bytes of [buffer, shared, wasm, view]) {
    for (const [startPfn, offset] of [
      [0, 0],
      [8, 0],
      [2 ** 20, -(2 ** 20) * PAGE],
      [0, 512],
    ] as const) {
      const memory = createMemory({ zones: [{ name: "RAM", pages: 32, startPfn }], bytes, offset });
      const pfn = memory.alloc(1);
      memory.bytesOf(pfn, 1).fill(0xa5);
      const at = memory.addressOf(pfn) + offset + (bytes === view ? 3 * PAGE : 0);
      const raw = new Uint8Array("buffer" in bytes ? bytes.buffer : bytes);
      assert.equal(raw.indexOf(0xa5), at);
      assert.equal(raw.lastIndexOf(0xa5), at + 2 * PAGE - 1);
      raw.fill(0);
    }
  }
});

test("a WebAssembly.Memory may grow: bytes and zeroing follow it", () => {
  const ram = new WebAssembly.Memory({ initial: 4, maximum: 8 });
  const memory = createMemory({ zones: [{ name: "RAM", pages: 64 }], bytes: ram });
  const old = memory.bytesOf(0, 6);
  old.fill(1);
  ram.grow(1);
  assert.equal(old.length, 0);
  const pfn = memory.alloc(0, "RAM", { zero: true });
  assert.ok(memory.bytesOf(pfn, 0).every((byte) => byte === 0));
  assert.equal(memory.bytesOf(0, 6).filter((byte) => byte === 1).length, 63 * PAGE);
  memory.bytesOf(pfn, 0)[0] = 9;
  assert.equal(new Uint8Array(ram.buffer)[memory.addressOf(pfn)], 9);
});

test("HighMem is the caller's RAM too, page by page and after growth", () => {
  const ram = new WebAssembly.Memory({ initial: 4, maximum: 8 });
  const zones = [
    { name: "Normal", pages: 32 },
    { name: "HighMem", pages: 32 },
  ];
  const memory = createMemory({ zones, bytes: ram });
  const pfn = memory.alloc(0, "HighMem");
  assert.equal(memory.zoneOf(memory.alloc(0)), "Normal", "HighMem only by name");
  assert.throws(() => memory.bytesOf(pfn, 0), /use kmap/);
  memory.kmap(pfn)?.fill(3);
  memory.kunmap(pfn);
  ram.grow(1);
  assert.ok(memory.kmap(pfn)?.every((byte) => byte === 3));
  assert.equal(new Uint8Array(ram.buffer).indexOf(3), memory.addressOf(pfn));
  memory.kunmap(pfn);
  assert.throws(() => memory.kunmap(pfn), /not mapped/);
});

test("movable pages are marked, and kept apart from those that stay", () => {
  const memory = createMemory({ zones: [{ name: "RAM", pages: 8192 }] });
  const { engine } = memory;
  const rows = [false, true].map((movable) => rowOf(engine, memory.alloc(0, "RAM", { movable })));
  const kinds = rows.map((row) => (engine.state[row] ?? 0) & KIND_MASK);
  assert.deepEqual(kinds, [TAKEN, MOBILE]);
  assert.notEqual((rows[0] ?? 0) >> 9, (rows[1] ?? 0) >> 9, "different pageblocks");
});

test("a reserve is kept only when asked for", () => {
  const zones = [
    { name: "DMA", pages: 1024 },
    { name: "Normal", pages: 1024 },
  ];
  const left = (memory: PageMemory): number => {
    while (memory.alloc(0) !== NO_PFN);
    return memory.freePages("DMA");
  };
  assert.equal(left(createMemory({ zones })), 0);
  assert.equal(left(createMemory({ zones, lowmemReserveRatio: [4] })), 256);
  assert.ok(left(createMemory({ zones, minFreeKbytes: 256 })) > 0);
});

/** Who holds which page. */
function checkOwners(memory: PageMemory, held: ReadonlyMap<number, number>): void {
  const owned = new Set<number>();
  for (const [pfn, order] of held) {
    assert.equal(pfn % 2 ** order, 0, "aligned to its size");
    for (let page = pfn; page < pfn + 2 ** order; page++) {
      assert.ok(!owned.has(page), "given out twice");
      assert.ok(memory.zoneOf(page) !== null, "outside all zones");
      owned.add(page);
    }
  }
  assert.equal(memory.freePages(), memory.totalPages() - owned.size);
}

test("random programs: blocks never overlap, counts are exact, and all of it comes back", () => {
  const zones = fc.array(fc.record({ pages: fc.integer({ min: 1, max: 300 }), gap: fc.nat(40) }), {
    minLength: 1,
    maxLength: 4,
  });
  const steps = fc.array(fc.tuple(fc.nat(6), fc.nat(7), fc.boolean()), { maxLength: 120 });
  fc.assert(
    fc.property(zones, steps, fc.constantFrom(6, 10), (shapes, program, maxOrder) => {
      let end = 0;
      const own = shapes.map(({ pages, gap }, i) => {
        const startPfn = end + gap;
        end = startPfn + pages;
        return { name: `zone${i}`, pages, startPfn };
      });
      const memory = createMemory({ zones: own, maxOrder });
      const before = memory.freePages();
      const held = new Map<number, number>();
      for (const [order, zone, giving] of program) {
        const [first] = held;
        if (giving && first !== undefined) {
          memory.free(...first);
          held.delete(first[0]);
          continue;
        }
        const name = own[zone % own.length]?.name;
        const pfn = memory.alloc(order, name, { movable: zone > 4 });
        if (pfn === NO_PFN) continue;
        const got = memory.zoneOf(pfn) ?? "";
        assert.ok(got <= (name ?? ""), "a higher zone than asked for");
        held.set(pfn, order);
        checkOwners(memory, held);
      }
      for (const block of held) memory.free(...block);
      assert.equal(memory.freePages(), before);
    }),
    { numRuns: 150 },
  );
});

test("mistakes are refused with what is wrong", () => {
  const one = { name: "RAM", pages: 16 };
  const bad: [Parameters<typeof createMemory>[0], RegExp][] = [
    [{ zones: [] }, /1 to 8 zones/],
    [
      { zones: Array.from({ length: 9 }, (_, i) => ({ ...one, name: `z${i}` })) },
      /1 to 8 zones.*9/,
    ],
    [{ zones: [one, one] }, /two zones have one name/],
    [{ zones: [{ ...one, pages: 0 }] }, /no pages/],
    [{ zones: [{ ...one, pages: 1.5 }] }, /no pages.*1\.5/],
    [{ zones: [{ ...one, startPfn: -1 }] }, /lowest first/],
    [{ zones: [one, { name: "b", pages: 8, startPfn: 8 }] }, /overlap/],
    [{ zones: [one], pageSize: 3000 }, /page size/],
    [{ zones: [one], maxOrder: 16 }, /largest order/],
    [{ zones: [one], offset: 0.5 }, /offset/],
    [{ zones: [one], bytes: new ArrayBuffer(15 * PAGE) }, /bytes do not hold all pages/],
    [{ zones: [one], bytes: new ArrayBuffer(16 * PAGE), offset: 1 }, /bytes do not hold all pages/],
    [{ zones: [{ ...one, startPfn: 4 }], bytes: new ArrayBuffer(16 * PAGE) }, /bytes do not hold/],
  ];
  for (const [options, message] of bad) assert.throws(() => createMemory(options), message);

  const memory = createMemory({ zones: [one] });
  assert.throws(() => memory.alloc(0, "DMA"), /no zone of this name/);
  assert.throws(() => memory.alloc(11), /order out of range/);
  assert.throws(() => memory.alloc(0, "RAM", { zero: true }), /no bytes to zero/);
  assert.throws(() => memory.bytesOf(0, 0), /no bytes/);
  const pfn = memory.alloc(1);
  assert.throws(() => memory.free(pfn, 0), /another order/);
  assert.throws(() => memory.free(pfn + 1, 0), /does not head/);
  memory.free(pfn, 1);
  assert.throws(() => memory.free(pfn, 1), /does not head/);
  assert.equal(memory.zoneOf(99), null);
});
