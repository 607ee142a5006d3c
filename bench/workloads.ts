/**
 * Workloads for page-frame allocators, the same in C (`native/workloads.h`) and here.
 *
 * Frames are numbered from 0 and a block of order k is 2^k frames. Indices come from xorshift32,
 * scaled by a product that is exact in a double, so both languages draw the same ones. Each
 * workload runs in a process of its own, on one adapter: every call site then sees one target.
 *
 *   W1   every frame at order 0, freed in the order of allocation, ten times after a warm-up
 *   W2   90 % held at order 0: free a random one, allocate one
 *   W2b  the same in batches of 1024, more than any per-CPU list holds back
 *   W3   allocate one frame, free it
 *   W4   orders 0 to 9, each half as likely as the one before, at 75 % of the frames
 *   W5   order 9, 90 % held: free a random one, allocate one
 *
 * An operation is one call in W1 and W4, one free and one allocation elsewhere. `scale` divides
 * operations, never frames.
 */

/** What a workload needs of an allocator. */
export interface Adapter {
  readonly name: string;
  /** Everything free again. */
  reset(): void;
  /** First frame of a block of 2^order frames, or -1. Any number that is not negative will do. */
  alloc(order: number): number;
  /** Gives a block back, with the order that it was allocated with. */
  free(frame: number, order: number): void;
  /** Frames kept back on per-CPU lists go to where they merge. */
  drain?(): void;
}

/** Nanoseconds between start() and stop(). */
export interface Clock {
  start(): void;
  stop(): number;
}

export interface Result {
  /** Timed operations. */
  readonly ops: number;
  readonly ns: number;
  /** Blocks still held when the time stopped, and their frames. */
  readonly held: number;
  readonly used: number;
  /** Allocations that were refused, timed or not. */
  readonly fails: number;
}

export const WORKLOADS = ["W1", "W2", "W2b", "W3", "W4", "W5"] as const;
export type Workload = (typeof WORKLOADS)[number];

/** 1 GiB of 4 KiB frames. */
export const FRAMES = 262144;

const SEED = 0x9e3779b9;
const BATCH = 1024; // frames freed, then allocated, at a time by W2b
const LARGEST = 9; // order of 2 MiB, the largest that is drawn

/** Runs one workload; the allocator keeps what is held at the end. */
export function runWorkload(
  workload: Workload,
  adapter: Adapter,
  frames: number,
  scale: number,
  clock: Clock,
): Result {
  adapter.reset();
  switch (workload) {
    case "W1":
      return fillAndEmpty(adapter, frames, Math.max(1, Math.round(10 / scale)), clock);
    case "W2":
      return replaceOne(adapter, Math.floor(frames * 0.9), 0, scaled(10e6, scale), clock);
    case "W2b":
      return replaceBatches(adapter, Math.floor(frames * 0.9), scaled(10e6, scale), clock);
    case "W3":
      return pingPong(adapter, scaled(20e6, scale), clock);
    case "W4":
      return mixedOrders(adapter, frames, scaled(5e6, scale), clock);
    case "W5":
      return replaceOne(
        adapter,
        Math.floor((frames >>> LARGEST) * 0.9),
        LARGEST,
        scaled(5e6, scale),
        clock,
      );
  }
}

function scaled(ops: number, scale: number): number {
  return Math.max(1, Math.floor(ops / scale));
}

/** xorshift32. */
function step(x: number): number {
  let y = x ^ (x << 13);
  y ^= y >>> 17;
  return y ^ (y << 5);
}

/** An index below n from a drawn number. */
function below(x: number, n: number): number {
  return ((x >>> 0) * n * 2 ** -32) | 0;
}

/** Order k with probability 2^-(k+1), what is left of it on the largest. */
function orderOf(x: number): number {
  const bits = x | (1 << LARGEST);
  return 31 - Math.clz32(bits & -bits);
}

/** W1. */
function fillAndEmpty(adapter: Adapter, frames: number, rounds: number, clock: Clock): Result {
  const held = new Int32Array(frames);
  const warmUp = oneRound(adapter, held);
  clock.start();
  let fails = 0;
  for (let round = 0; round < rounds; round++) fails += oneRound(adapter, held);
  const ns = clock.stop();
  return { ops: 2 * frames * rounds, ns, held: 0, used: 0, fails: fails + warmUp };
}

function oneRound(adapter: Adapter, held: Int32Array): number {
  let count = 0;
  for (let i = 0; i < held.length; i++) {
    const frame = adapter.alloc(0);
    if (frame >= 0) held[count++] = frame;
  }
  for (let i = 0; i < count; i++) adapter.free(held[i] ?? 0, 0);
  return held.length - count;
}

/** W2 and W5. */
function replaceOne(
  adapter: Adapter,
  wanted: number,
  order: number,
  ops: number,
  clock: Clock,
): Result {
  const held = new Int32Array(wanted);
  let count = hold(adapter, held, 0, wanted, order);
  let fails = wanted - count;
  let x = SEED;
  clock.start();
  for (let op = 0; op < ops; op++) {
    if (count === 0) {
      fails++;
      continue;
    }
    x = step(x);
    const i = below(x, count);
    adapter.free(held[i] ?? 0, order);
    const frame = adapter.alloc(order);
    if (frame >= 0) held[i] = frame;
    else {
      fails++;
      held[i] = held[--count] ?? 0;
    }
  }
  const ns = clock.stop();
  return { ops, ns, held: count, used: count * 2 ** order, fails };
}

/** Allocates until `to` blocks are held or one is refused; the number held. */
function hold(adapter: Adapter, held: Int32Array, from: number, to: number, order: number): number {
  let count = from;
  while (count < to) {
    const frame = adapter.alloc(order);
    if (frame < 0) break;
    held[count++] = frame;
  }
  return count;
}

/** W2b. */
function replaceBatches(adapter: Adapter, wanted: number, ops: number, clock: Clock): Result {
  const held = new Int32Array(wanted);
  let count = hold(adapter, held, 0, wanted, 0);
  let fails = wanted - count;
  let x = SEED;
  const size = Math.min(BATCH, count);
  const batches = Math.max(1, Math.floor(ops / BATCH));
  clock.start();
  for (let batch = 0; batch < batches; batch++) {
    const target = count;
    for (let k = 0; k < size && count > 0; k++) {
      x = step(x);
      const i = below(x, count);
      adapter.free(held[i] ?? 0, 0);
      held[i] = held[--count] ?? 0;
    }
    count = hold(adapter, held, count, target, 0);
    fails += target - count;
  }
  const ns = clock.stop();
  return { ops: batches * size, ns, held: count, used: count, fails };
}

/** W3. */
function pingPong(adapter: Adapter, ops: number, clock: Clock): Result {
  let fails = 0;
  clock.start();
  for (let op = 0; op < ops; op++) {
    const frame = adapter.alloc(0);
    if (frame >= 0) adapter.free(frame, 0);
    else fails++;
  }
  const ns = clock.stop();
  return { ops, ns, held: 0, used: 0, fails };
}

/** W4: its whole state, because it runs in an untimed and a timed part. */
interface Mix {
  readonly adapter: Adapter;
  readonly limit: number;
  readonly held: Int32Array;
  readonly orders: Uint8Array;
  count: number;
  used: number;
  fails: number;
  x: number;
  /** Order of the next allocation, which waits until it fits. */
  next: number;
}

function mixedOrders(adapter: Adapter, frames: number, ops: number, clock: Clock): Result {
  const mix: Mix = {
    adapter,
    limit: Math.floor(frames * 0.75),
    held: new Int32Array(frames),
    orders: new Uint8Array(frames),
    count: 0,
    used: 0,
    fails: 0,
    x: SEED,
    next: orderOf(SEED),
  };
  // An allocator that refuses more than it gives never fills up.
  for (let i = 0; i < 2 * frames && mix.used + (1 << mix.next) <= mix.limit; i++) mixOps(mix, 1);
  mixOps(mix, Math.min(200_000, ops));
  clock.start();
  mixOps(mix, ops);
  const ns = clock.stop();
  return { ops, ns, held: mix.count, used: mix.used, fails: mix.fails };
}

function mixOps(mix: Mix, ops: number): void {
  const { adapter, limit, held, orders } = mix;
  let { count, used, fails, x, next } = mix;
  for (let op = 0; op < ops; op++) {
    if (used + (1 << next) <= limit) {
      const frame = adapter.alloc(next);
      if (frame >= 0) {
        held[count] = frame;
        orders[count++] = next;
        used += 1 << next;
        x = step(x);
        next = orderOf(x);
        continue;
      }
      fails++;
      x = step(x);
      next = orderOf(x);
    }
    if (count === 0) continue;
    x = step(x);
    const i = below(x, count);
    const order = orders[i] ?? 0;
    adapter.free(held[i] ?? 0, order);
    used -= 1 << order;
    held[i] = held[--count] ?? 0;
    orders[i] = orders[count] ?? 0;
  }
  mix.count = count;
  mix.used = used;
  mix.fails = fails;
  mix.x = x;
  mix.next = next;
}
