// Goal: pools for those who may not wait are as large as the kernel makes them, grow as they are used,
// and give each request the zone it needs. Method: the sizes that 128 KiB for each GiB come to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AtomicPools } from "../../src/dma/atomic-pool.ts";
import { Heap } from "../../src/dma/heap.ts";
import { machineOf } from "../../src/dma/machine.ts";
import type { Memory } from "../../src/mm/index.ts";
import { GIB, MIB, pc, small } from "../support/dma.ts";

const KIB = 1024;
function poolsOf(memory: Memory, size?: number): AtomicPools {
  return new AtomicPools(machineOf(memory), "dma", new Heap(memory, "dma", 4096), size);
}

const anywhere = (): boolean => true;

test("S8 128 KiB for each GiB, 128 at least, coherent_pool= otherwise", () => {
  // A page less: the first of RAM is nobody's.
  assert.equal(poolsOf(pc({ ram: 8 * GIB })).size, MIB - 4 * KIB);
  assert.equal(poolsOf(small(512, 256)).size, 128 * KIB);
  assert.equal(poolsOf(small(512, 256), 256 * KIB).size, 256 * KIB);
});

test("S8 a pool grows by its size once less than that is free, and takes back what it gave", () => {
  const pools = poolsOf(small(2048, 256));
  assert.deepEqual(pools.sizes(), { kernel: 128 * KIB, dma: 128 * KIB, dma32: 0 });
  assert.equal(pools.work(), 0, "nobody woke the worker");
  const first = pools.take(64 * KIB, 0, anywhere);
  assert.equal(pools.sizes().kernel, 128 * KIB, "the worker has not run");
  const normal = (physical: number): boolean => physical >= MIB;
  assert.equal(pools.take(128 * KIB, 0, normal), -1, "what is left is all there is");
  assert.equal(pools.work(), 128 * KIB);
  assert.deepEqual(pools.sizes(), { kernel: 256 * KIB, dma: 128 * KIB, dma32: 0 });
  assert.equal(pools.work(), 0, "once");
  assert.ok(pools.take(64 * KIB, 0, anywhere) >= 0);
  assert.equal(pools.work(), 0, "128 KiB are free");
  assert.ok(!pools.wantsWork);
  assert.ok(pools.give(first, 64 * KIB));
  assert.equal(pools.take(64 * KIB, 0, anywhere), first);
  assert.ok(!pools.give(2 ** 40, 4096), "of no pool");
});
