/**
 * Lazy unmapping: freed blocks wait in a ring a CPU until the IOTLB has been
 * flushed, at the latest when a timer that the first of them arms fires. Until
 * then nobody gets their addresses, and the device may still reach what was there.
 *
 *   entry     first page, pages, number of flushes begun when it came, and a list
 *             of page-table pages that the unmap emptied
 *   ring      head and tail of each CPU; one entry stays unused
 *   counters  flushes begun, flushes done; when the timer was armed, -1 for not
 *
 *   Q1  entries of a ring are in the order of their flush numbers
 *
 * Linux: queue_iova(), fq_ring_free(), fq_flush_timeout(), drivers/iommu/dma-iommu.c
 * (drivers/iommu/iova.c up to 5.16)
 */
import type { FlushQueueRule } from "../../kernels/iommu.ts";
import { addRegion, type Image } from "../../mm/image.ts";

const BEGUN = 0;
const DONE = 1;
const ARMED = 2;
const DOUBLES = 3;

/** What the owner of a queue does when told. */
export interface FlushHooks {
  /** The IOTLB forgets all of the domain. */
  flushIotlb(): void;
  /** The block may be given out again, by this CPU's cache. */
  release(pfn: number, pages: number, tables: number, cpu: number): void;
}

export interface FlushQueue {
  readonly size: number;
  readonly timeoutMs: number;
  readonly cpus: number;
  readonly pfn: Float64Array;
  readonly pages: Float64Array;
  readonly counter: Float64Array;
  readonly doubles: Float64Array;
  readonly tables: Int32Array;
  readonly head: Int32Array;
  readonly tail: Int32Array;
}

export function createFlushQueue(
  image: Image,
  name: string,
  rule: FlushQueueRule,
  cpus: number,
): FlushQueue {
  const { size, timeoutMs } = rule;
  const rows = size * cpus;
  const bytes = (rows * 3 + DOUBLES) * 8 + (rows + 2 * cpus) * 4;
  const region = addRegion(image, `flush.${name}`, bytes);
  let at = region.byteOffset;
  const doubles = (length: number): Float64Array => {
    const view = new Float64Array(region.buffer, at, length);
    at += length * 8;
    return view;
  };
  const ints = (length: number): Int32Array => {
    const view = new Int32Array(region.buffer, at, length);
    at += length * 4;
    return view;
  };
  const queue: FlushQueue = {
    size,
    timeoutMs,
    cpus,
    pfn: doubles(rows),
    pages: doubles(rows),
    counter: doubles(rows),
    doubles: doubles(DOUBLES),
    tables: ints(rows),
    head: ints(cpus),
    tail: ints(cpus),
  };
  queue.doubles[ARMED] = -1;
  return queue;
}

/** A block was unmapped at time `now`. `tables` is handed back with it. */
export function queueIova(
  q: FlushQueue,
  pfn: number,
  pages: number,
  tables: number,
  cpu: number,
  now: number,
  hooks: FlushHooks,
): void {
  freeFlushed(q, cpu, cpu, hooks);
  if (next(q, q.tail[cpu]) === q.head[cpu]) {
    flush(q, hooks);
    freeFlushed(q, cpu, cpu, hooks);
  }
  const entry = cpu * q.size + q.tail[cpu];
  q.tail[cpu] = next(q, q.tail[cpu]);
  q.pfn[entry] = pfn;
  q.pages[entry] = pages;
  q.tables[entry] = tables;
  q.counter[entry] = q.doubles[BEGUN];
  if (q.doubles[ARMED] < 0) q.doubles[ARMED] = now;
}

/** The timer fires on `cpu`: all that waits is flushed and freed, CPU by CPU. */
export function fireFlushTimer(q: FlushQueue, cpu: number, hooks: FlushHooks): void {
  q.doubles[ARMED] = -1;
  flush(q, hooks);
  for (let of = 0; of < q.cpus; of++) freeFlushed(q, of, cpu, hooks);
}

/** When the timer was armed; -1 when it is not. */
export function flushTimerArmed(q: FlushQueue): number {
  return q.doubles[ARMED];
}

export function waitingEntries(q: FlushQueue): number {
  let sum = 0;
  for (let cpu = 0; cpu < q.cpus; cpu++) sum += (q.tail[cpu] - q.head[cpu] + q.size) % q.size;
  return sum;
}

/** Pages of address space that wait. */
export function waitingPages(q: FlushQueue): number {
  let sum = 0;
  for (let cpu = 0; cpu < q.cpus; cpu++) {
    for (let at = q.head[cpu]; at !== q.tail[cpu]; at = next(q, at)) {
      sum += q.pages[cpu * q.size + at];
    }
  }
  return sum;
}

function next(q: FlushQueue, at: number): number {
  return at + 1 === q.size ? 0 : at + 1;
}

function flush(q: FlushQueue, hooks: FlushHooks): void {
  q.doubles[BEGUN]++;
  hooks.flushIotlb();
  q.doubles[DONE]++;
}

/** Frees, on `cpu`, the entries of ring `of` that came before the last flush. */
function freeFlushed(q: FlushQueue, of: number, cpu: number, hooks: FlushHooks): void {
  const done = q.doubles[DONE];
  while (q.head[of] !== q.tail[of]) {
    const entry = of * q.size + q.head[of];
    if (q.counter[entry] >= done) return;
    q.head[of] = next(q, q.head[of]);
    hooks.release(q.pfn[entry], q.pages[entry], q.tables[entry], cpu);
  }
}

export function verifyFlushQueue(q: FlushQueue): string[] {
  const wrong: string[] = [];
  for (let cpu = 0; cpu < q.cpus; cpu++) {
    let last = 0;
    for (let at = q.head[cpu]; at !== q.tail[cpu]; at = next(q, at)) {
      const counter = q.counter[cpu * q.size + at];
      if (counter < last) wrong.push(`Q1: entry ${at} of CPU ${cpu} is older than the one before`);
      last = counter;
    }
  }
  if (waitingEntries(q) > 0 && q.doubles[ARMED] < 0)
    wrong.push("Q2: blocks wait and no timer runs");
  return wrong;
}
