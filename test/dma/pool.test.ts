// Goal: a dma_pool cuts its pages as the era's kernel does, and says what was not given back.
// Method: the layouts that semantics of 2.6.9, 6.1 and 6.3 lead to, and properties over sizes,
// alignments and boundaries.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createDma, type DmaPool, type PoolBlock, simpleDevice } from "../../src/dma/index.ts";
import { small } from "../support/dma.ts";

function poolOf(era: string, size: number, align = 0, boundary = 0): DmaPool | null {
  const dma = createDma(small(512, 256), { era, mappings: 1024 });
  const nic = dma.addDevice({ ...simpleDevice("0000:00:04.0", 64), driver: "e1000" });
  return dma.createPool("ring", nic, size, align, boundary);
}

const ERAS = ["2.6.9", "2.6.39", "6.1", "6.3", "6.12"];

test("S8 blocks of a page: up to 6.2 none ends on the boundary", () => {
  const count = (era: string, size: number): number | undefined =>
    poolOf(era, size)?.shape.offsets.length;
  assert.deepEqual(
    [512, 1024, 2048].map((size) => count("6.1", size)),
    [7, 3, 1],
  );
  assert.deepEqual(
    [512, 1024, 2048].map((size) => count("6.12", size)),
    [8, 4, 2],
  );
  assert.deepEqual(
    [512, 1024, 2048].map((size) => count("2.6.9", size)),
    [8, 4, 2],
  );
});

test("S8 what is next: lowest, last freed of a page, last freed of all", () => {
  const order = (era: string): number[] => {
    const pool = poolOf(era, 1024);
    assert.ok(pool !== null);
    const taken = Array.from({ length: 8 }, () => pool.alloc());
    const first = taken[0]?.dma ?? 0;
    for (const i of [1, 0, 6]) pool.free(taken[i] ?? { dma: 0, physical: 0 });
    return [pool.alloc(), pool.alloc(), pool.alloc()].map((own) => (own?.dma ?? 0) - first);
  };
  assert.deepEqual(order("2.6.9").slice(1), [0, 1024], "the newest page first, then the lowest");
  assert.deepEqual(order("6.12").slice(1), [0, 1024], "in the order of the frees, last first");
  assert.equal(order("6.1").length, 3);
});

test("S8 a pool refuses what the kernel refuses", () => {
  for (const era of ["6.1", "6.12"]) {
    assert.equal(poolOf(era, 0), null);
    assert.equal(poolOf(era, 64, 3), null);
    assert.equal(poolOf(era, 64, 0, 32), null);
    assert.equal(poolOf(era, 64, 0, 96), null);
  }
  assert.equal(poolOf("6.1", 1)?.shape.size, 4);
  assert.equal(poolOf("6.12", 1)?.shape.size, 16);
  assert.equal(poolOf("2.6.9", 15, 8)?.shape.size, 24, "rounded up too far");
});

test("S8 what is left at the end is leaked and printed", () => {
  for (const [era, line] of [
    ["6.1", "e1000 0000:00:04.0: dma_pool_destroy ring, 0000000000100000 busy"],
    ["6.12", "e1000 0000:00:04.0: dma_pool_destroy ring busy"],
  ] as const) {
    const memory = small(512, 256);
    const dma = createDma(memory, { era, mappings: 1024 });
    const nic = dma.addDevice({ ...simpleDevice("0000:00:04.0", 64), driver: "e1000" });
    const pool = dma.createPool("ring", nic, 256, 0, 0);
    const block = pool?.alloc();
    assert.ok(pool !== null && block !== null && block !== undefined);
    assert.equal(pool.poolinfo(), `ring                1   16  256  1`);
    assert.equal(pool.destroy(), 1);
    assert.deepEqual(dma.reports.log, [line]);
    assert.equal(dma.liveMappings(), 1);
  }
});

test("S8 blocks lie apart, aligned, within boundaries, and are found again", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...ERAS),
      fc.integer({ min: 1, max: 9000 }),
      fc.constantFrom(0, 1, 8, 64, 4096),
      fc.constantFrom(0, 512, 4096, 16384),
      fc.array(fc.nat({ max: 20 }), { maxLength: 40 }),
      (era, size, align, boundary, moves) => {
        const pool = poolOf(era, size, align, boundary);
        if (pool === null || runsOver(pool, boundary)) return;
        const held: PoolBlock[] = [];
        for (const move of moves) {
          if (move % 3 === 0 && held.length > 0) {
            const [block] = held.splice(move % held.length, 1);
            if (block !== undefined) pool.free(block);
            continue;
          }
          const block = pool.alloc();
          if (block === null) continue;
          const { shape } = pool;
          assert.equal(block.dma % Math.max(1, align), 0);
          if (boundary !== 0 && era !== "2.6.9") {
            const last: number = block.dma + shape.size - 1;
            assert.equal(Math.floor(block.dma / boundary), Math.floor(last / boundary));
          }
          for (const own of held) assert.ok(Math.abs(own.dma - block.dma) >= shape.size);
          held.push(block);
        }
        assert.equal(pool.counts().inUse, held.length);
        for (const block of held) pool.free(block);
        assert.equal(pool.destroy(), 0);
      },
    ),
    { numRuns: 150 },
  );
});

/** A boundary beyond the page, in kernels that did not cut it to the page. */
function runsOver({ shape }: DmaPool, boundary: number): boolean {
  const last = shape.offsets.at(-1) ?? 0;
  return boundary > shape.allocation && last + shape.size > shape.allocation;
}

test("S8 a boundary beyond the page let a block of 6.1 run over its page, and the bus catches it", () => {
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024 });
  const nic = dma.addDevice(simpleDevice("nic", 64));
  const pool = dma.createPool("odd", nic, 1366, 0, 16384);
  assert.ok(pool !== null && runsOver(pool, 16384));
  const blocks = [pool.alloc(), pool.alloc(), pool.alloc()];
  const last = blocks.map((own) => own?.dma ?? 0).sort((a, b) => a - b)[2] ?? 0;
  assert.equal(nic.write(last, new Uint8Array(1366))?.reason, "unmapped");
  const fixed = createDma(small(512, 256), { era: "6.3", mappings: 1024 });
  const shape = fixed.createPool("odd", fixed.addDevice(simpleDevice("nic", 64)), 1366, 0, 16384);
  assert.deepEqual(shape?.shape.offsets, [0, 1366]);
});

test("S8 a block freed twice, or by a wrong address, is reported", () => {
  const dma = createDma(small(512, 256), { mappings: 1024 });
  const nic = dma.addDevice({ ...simpleDevice("0000:00:04.0", 64), driver: "e1000" });
  const pool = dma.createPool("ring", nic, 256, 0, 0);
  const block = pool?.alloc();
  assert.ok(pool !== null && block !== null && block !== undefined);
  pool.free({ ...block, dma: 0 });
  pool.free({ ...block, physical: block.physical + 4 });
  pool.free(block);
  pool.free(block);
  assert.deepEqual(
    dma.reports.misuses.map(({ kind }) => kind),
    ["bad dma", "bad vaddr", "already free"],
  );
});
