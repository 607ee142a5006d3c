// Goal: a snapshot of a DMA layer is whole: after a restore the same program gets the same answers, in
// the layer that it came from and in another that was built alike. Method: random programs of pools,
// areas, buffers and both sides' reads and writes, run twice from one snapshot. Bytes are the caller's.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Heap } from "../../src/dma/heap.ts";
import {
  DMA_BIDIRECTIONAL,
  type DmaBuffer,
  type DmaPool,
  type PoolBlock,
} from "../../src/dma/index.ts";
import { equal, GFP_ATOMIC, restore, type Snapshot, snapshot } from "../../src/mm/index.ts";
import { small } from "../support/dma.ts";
import {
  identitySetup,
  type Knobs,
  plainSetup,
  type Setup,
  strictSetup,
  swiotlbSetup,
} from "../support/dma-setups.ts";

const PAGE = 4096;
const KIB = 1024;
const KINDS: Readonly<Record<string, (knobs: Knobs) => Setup>> = {
  swiotlb: swiotlbSetup,
  strict: strictSetup,
  identity: identitySetup,
};

/** What a driver holds: values, which it keeps over a restore as it keeps its own memory. */
interface Driver {
  readonly pools: readonly DmaPool[];
  blocks: readonly (readonly [pool: number, block: PoolBlock])[];
  buffers: readonly DmaBuffer[];
  mapped: readonly { readonly dma: number; readonly physical: number; readonly size: number }[];
}

function driverOf({ dma, device }: Setup): Driver {
  const sizes = [24, 100, 5000];
  const pools = sizes.map((size) => dma.createPool(`p${size}`, device, size, 8, 0));
  return { pools: pools.filter((pool) => pool !== null), blocks: [], buffers: [], mapped: [] };
}

type Move = readonly [what: number, a: number, b: number];
const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.tuple(fc.nat({ max: 15 }), fc.nat({ max: 40000 }), fc.nat({ max: 255 })),
  { maxLength: 40, size: "max" },
);

/** One step; what it answered, in words. */
function step(setup: Setup, own: Driver, [what, a, b]: Move): string {
  const { dma, device } = setup;
  const { pools, blocks, buffers, mapped } = own;
  if (what < 3) {
    const pool = a % pools.length;
    const block = pools[pool]?.alloc(what === 0 ? GFP_ATOMIC : undefined) ?? null;
    if (block !== null) own.blocks = [...blocks, [pool, block]];
    return JSON.stringify(block);
  }
  if (what < 5) {
    const held = blocks[a % Math.max(1, blocks.length)];
    if (held === undefined) return "";
    pools[held[0]]?.free(held[1]);
    own.blocks = blocks.filter((one) => one !== held);
    return pools.map((pool) => pool.poolinfo()).join();
  }
  if (what < 7) {
    const buffer = dma.allocCoherent(device, a + 1, what === 5 ? GFP_ATOMIC : undefined);
    if (buffer !== null) own.buffers = [...buffers, buffer];
    return `${buffer?.dma} ${dma.work()}`;
  }
  if (what === 7) {
    const held = buffers[a % Math.max(1, buffers.length)];
    if (held !== undefined) dma.freeCoherent(device, held);
    own.buffers = buffers.filter((one) => one !== held);
    return `${dma.counts(device).frees}`;
  }
  if (what === 8) {
    const size = (b + 1) * 64;
    dma.releaseDeclaredMemory(device);
    return `${dma.declareCoherentMemory(device, 0xf000_0000, 0x10_0000, size * KIB)}`;
  }
  if (what === 9) {
    const address = 0x10_0000 + a * KIB;
    return `${dma.markDeclaredMemoryOccupied(device, address, b * KIB)}`;
  }
  if (what < 12) {
    // Memory that nobody allocates: the last pages.
    const physical = 900 * PAGE + a;
    const bytes = Uint8Array.of(b, a & 0xff);
    if (what === 10) return `${dma.cpuWrite(physical, bytes)} ${dma.cache?.count().dirty}`;
    return `${dma.cpuRead(physical, 2)} ${dma.cache?.count().lines}`;
  }
  if (what === 12) {
    const physical = 900 * PAGE + a;
    const size = b + 1;
    const at = dma.mapSingle(device, physical, size, DMA_BIDIRECTIONAL);
    if (!dma.mappingError(device, at)) own.mapped = [...mapped, { dma: at, physical, size }];
    return `${at}`;
  }
  const held = mapped[a % Math.max(1, mapped.length)];
  if (held === undefined) return "";
  if (what === 13) {
    dma.unmapSingle(device, held.dma, held.size, DMA_BIDIRECTIONAL);
    own.mapped = mapped.filter((one) => one !== held);
    return "unmapped";
  }
  const caught = dma.reports.misuses.length;
  if (what === 14) device.write(held.dma, Uint8Array.of(b));
  else dma.syncSingleForCpu(device, held.dma, held.size, DMA_BIDIRECTIONAL);
  return `${device.read(held.dma, 1)} ${dma.cpuRead(held.physical, 1)} ${dma.reports.misuses
    .slice(caught)
    .map(({ kind }) => kind)}`;
}

function run(setup: Setup, driver: Driver, program: readonly Move[]): string[] {
  const caught = setup.dma.reports.misuses.length;
  const answers = program.map((move) => step(setup, driver, move));
  return [...answers, ...setup.dma.reports.misuses.slice(caught).map(({ words }) => words)];
}

/** The caller's part: RAM. Memory of devices is not read by these programs. */
function rewind({ memory }: Setup, saved: Snapshot, ram: Uint8Array): void {
  assert.equal(restore(memory.image, saved), null);
  memory.bytes?.set(ram);
}

const knobs: fc.Arbitrary<Knobs> = fc.record({
  bits: fc.constantFrom(20, 22, 32, 64),
  coherent: fc.boolean(),
  offset: fc.constant(0),
  force: fc.boolean(),
  debug: fc.constant(false),
  era: fc.constantFrom("4.19", "5.10", "6.1", "6.12"),
});

for (const [row, make] of Object.entries(KINDS)) {
  test(`a restored layer goes on as it did: ${row}`, () => {
    let steps = 0;
    fc.assert(
      fc.property(knobs, moves, moves, (knob, before, after) => {
        const setup = make(knob);
        const twin = make(knob);
        const driver = driverOf(setup);
        const other = driverOf(twin);
        run(setup, driver, before);
        const saved = snapshot(setup.memory.image);
        const ram = setup.memory.bytes?.slice() ?? new Uint8Array(0);
        const held = { ...driver };
        const answers = run(setup, driver, after);
        const end = snapshot(setup.memory.image);
        steps += after.length;
        rewind(setup, saved, ram);
        assert.ok(equal(snapshot(setup.memory.image), saved));
        assert.deepEqual(run(setup, { ...held }, after), answers, "in its own layer");
        assert.ok(equal(snapshot(setup.memory.image), end));
        rewind(twin, saved, ram);
        const { blocks, buffers, mapped } = held;
        const again = run(twin, { ...other, blocks, buffers, mapped }, after);
        assert.deepEqual(again, answers, "in another layer");
        assert.ok(equal(snapshot(twin.memory.image), end));
      }),
      { numRuns: 60 },
    );
    assert.ok(steps > 300, `${steps} steps only`);
  });
}

test("a line that the CPU has written is dirty again after a restore, and written back then", () => {
  const setup = plainSetup({
    bits: 32,
    coherent: false,
    offset: 0,
    force: false,
    debug: false,
    era: "6.1",
  });
  const { dma, memory } = setup;
  const place = 900 * PAGE + 5;
  dma.cpuWrite(place, Uint8Array.of(77));
  assert.equal(memory.bytes?.[place], 0, "still in the cache");
  const saved = snapshot(memory.image);
  dma.cache?.evict();
  assert.equal(memory.bytes?.[place], 77);
  memory.bytes?.fill(0, place, place + 1);
  assert.deepEqual(dma.cache?.count(), { lines: 0, dirty: 0 });
  assert.equal(restore(memory.image, saved), null);
  assert.deepEqual(dma.cache?.count(), { lines: 1, dirty: 1 });
  assert.deepEqual(dma.cpuRead(place, 1), Uint8Array.of(77));
  dma.cache?.clean(place, 1);
  assert.equal(memory.bytes?.[place], 77);
});

test("the heap gives zeros, never overlapping, takes back, and says when it is full", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 40 })), { maxLength: 80 }),
      (program) => {
        const heap = new Heap(small(512, 256), "h", 600);
        const held: { at: number; count: number; mark: number }[] = [];
        for (const [i, [frees, n]] of program.entries()) {
          const [one] = frees ? held.splice(n % Math.max(1, held.length), 1) : [];
          if (one !== undefined) {
            assert.ok(heap.cells.subarray(one.at, one.at + one.count).every((v) => v === one.mark));
            heap.free(one.at, one.count);
            continue;
          }
          const at = heap.alloc(n + 1);
          if (at === 0) continue;
          const cells = heap.cells.subarray(at, at + n + 1);
          assert.equal(cells.length, n + 1);
          assert.ok(cells.every((value) => value === 0));
          cells.fill(i + 1);
          held.push({ at, count: n + 1, mark: i + 1 });
        }
        for (const { at, count, mark } of held) {
          assert.ok(heap.cells.subarray(at, at + count).every((value) => value === mark));
        }
      },
    ),
  );
  const heap = new Heap(small(512, 256), "h", 64);
  assert.equal(heap.alloc(64), 0, "cell 0 is nobody's");
  assert.ok(heap.alloc(32) > 0);
  assert.equal(heap.alloc(32), 0);
});
