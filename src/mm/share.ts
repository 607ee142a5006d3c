/**
 * One memory, several workers: each is a CPU of it.
 *
 *   const shared = shareMemory(bootMemory({ zones, cpus: 4, shared: true }));
 *   worker.postMessage(shared);
 *   // there
 *   const memory = bindMemory(attachMemory(shared, 1));
 *   const pfn = memory.allocPages(GFP_KERNEL, 0);
 *
 * Whoever lays the memory out is CPU 0. Pages may be freed by another CPU than
 * took them; how a pfn gets there is the callers' business, and must be ordered
 * (postMessage, Atomics). Whoever is to keep a page should own it (`passTo`). A worker that waits for messages should be `idle`, so
 * that others can have what its lists hold; one that ends should `detach`; after
 * one that was terminated, `recover`.
 *
 * Linux: bringup and offlining of a CPU as its pagesets see it: page_alloc_cpu_dead(), mm/page_alloc.c
 */
import { assert } from "../base/assert.ts";
import { assertCpu } from "./arguments.ts";
import { enterCpu } from "./drain-all.ts";
import { layMemory } from "./lay-memory.ts";
import { type Memory, type MemorySpec, rowOf } from "./memory.ts";
import {
  KIND_MASK,
  MOBILE,
  ORDER_MASK,
  OWNED,
  TAKEN,
  Z_MANAGED,
  Z_PRESENT,
  ZONE_WORDS,
} from "./words.ts";

/** What a worker needs to attach: plain data for postMessage. The buffers are shared, not copied. */
export interface SharedMemory {
  readonly version: number;
  readonly spec: MemorySpec;
  readonly regions: readonly { readonly name: string; readonly buffer: SharedArrayBuffer }[];
}

/** Version of `SharedMemory`; `attachMemory` refuses others: both sides must be one release. */
export const SHARED_VERSION = 1;

/**
 * The ticket to a memory that was made with `shared: true`. Asserts that it was, that its bytes (if
 * any) are in a SharedArrayBuffer, and that all present pages are managed, which `recover` needs.
 */
export function shareMemory(m: Memory): SharedMemory {
  const { spec, image } = m;
  assert(m.cpus !== null, "this memory was not made with shared: true");
  assert(
    spec.bytes === null || spec.bytes.buffer instanceof SharedArrayBuffer,
    "the bytes of a shared memory are in a SharedArrayBuffer",
  );
  for (let words = 0; words < m.zoneCount * ZONE_WORDS; words += ZONE_WORDS) {
    const isWhole = m.zone[words + Z_MANAGED] === m.zone[words + Z_PRESENT];
    assert(isWhole, "a zone of a shared memory has pages that nobody may allocate");
  }
  const regions = [...image.regions.values()].map(({ name, buffer }) => {
    assert(buffer instanceof SharedArrayBuffer, "a region of this memory is not shared");
    return { name, buffer };
  });
  return { version: SHARED_VERSION, spec, regions };
}

/**
 * The memory as CPU `cpu` of it, for one worker at a time. Asserts that the CPU exists and nobody
 * is attached as it.
 */
export function attachMemory(shared: SharedMemory, cpu: number): Memory {
  assert(shared.version === SHARED_VERSION, "shared by another release", shared.version);
  const { spec } = shared;
  assert(Number.isInteger(cpu) && cpu >= 0 && cpu < spec.cpus, "no such CPU", cpu);
  const given = new Map(shared.regions.map(({ name, buffer }) => [name, buffer]));
  const m = layMemory(spec, given);
  m.cpu = cpu;
  assert(m.cpus !== null, "this memory was not made with shared: true");
  enterCpu(m, m.cpus);
  return m;
}

/**
 * The block at `pfn` is another CPU's from now on: `recover` of that CPU gives it back, that of this
 * one does not. To be called before the pfn is sent. Asserts that the block is taken and has no owner, and
 * that the CPU exists.
 */
export function passTo(m: Memory, pfn: number, cpu: number): void {
  assertCpu(m, cpu);
  const row = rowOf(m, pfn);
  const state = m.state[row] | (TAKEN ^ MOBILE);
  assert((state & KIND_MASK) === MOBILE, "this does not head an allocated block", pfn);
  const isOwned = (state & OWNED) !== 0;
  assert(
    !isOwned,
    "passed on, but it has a handle or an owner: passHandle() or disownPages()",
    pfn,
  );
  if (m.cpus !== null) m.owner[row] = ((cpu + 1) << 8) | (state & ORDER_MASK);
}
