/**
 * Two workers on one memory, or one, in a process of its own:
 *
 *   node bench/shared-worker.ts WORKERS CROSSING LOCK PAIRS
 *
 * Together the workers hold 90 % of the pages, as W2 does. Each replaces a random one PAIRS times:
 * frees it, allocates another. Of a hundred frees CROSSING, evenly spread, are of pages that another
 * worker allocated, exchanged through a ring. With
 * LOCK 1 one lock around everything keeps the workers apart, as with an allocator that only one
 * thread may use. Prints nanoseconds a pair, of each worker's wall clock from the first to the last.
 */
import process from "node:process";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import {
  attachMemory,
  bindMemory,
  detach,
  GFP_KERNEL,
  type SharedMemory,
  shareMemory,
} from "zonewright/mm";
import { bootFor } from "./adapters/zonewright.ts";
import { FRAMES } from "./workloads.ts";

interface Plan {
  readonly shared: SharedMemory;
  readonly cpu: number;
  readonly workers: number;
  readonly crossing: number;
  readonly locked: boolean;
  readonly pairs: number;
  /** Words: how many are ready, the one lock; then a ring for each worker. */
  readonly words: Int32Array;
}

const READY = 0;
const LOCK = 16;
const RINGS = 32;
const SLOTS = 1024;
/** Pages that a worker sends at a time. */
const BATCH = 64;
const RING_WORDS = SLOTS + 32;

function lock(words: Int32Array): void {
  while (Atomics.compareExchange(words, LOCK, 0, 1) !== 0);
}

function unlock(words: Int32Array): void {
  Atomics.store(words, LOCK, 0);
}

function run(plan: Plan): number {
  const { words, cpu, workers, crossing, locked } = plan;
  const memory = attachMemory(plan.shared, cpu);
  const { allocPages, freePages } = bindMemory(memory);
  const count = Math.floor((FRAMES * 0.9) / workers);
  const held = new Int32Array(count);
  for (let i = 0; i < count; i++) held[i] = allocPages(GFP_KERNEL, 0);
  const to = RINGS + (cpu % workers) * RING_WORDS;
  const from = RINGS + (cpu - 1) * RING_WORDS;
  let seed = cpu * 0x9e3779b9;

  const batch = new Int32Array(BATCH);
  let waiting = 0;
  let sent = 0;
  let received = 0;
  let owed = 0;

  /** Sends a page to the other, 64 at a time where there is room, and frees what came from there. */
  function exchange(pfn: number): void {
    batch[waiting++] = pfn;
    if (waiting < BATCH) return;
    waiting = 0;
    if (sent + BATCH - Atomics.load(words, to) > SLOTS) {
      for (const page of batch) freePages(page, 0);
    } else {
      words.set(batch, to + 32 + (sent % SLOTS));
      sent += BATCH;
      Atomics.store(words, to + 16, sent);
    }
    const end = Atomics.load(words, from + 16);
    if (received === end) return;
    while (received !== end) freePages(words[from + 32 + (received++ % SLOTS)] ?? 0, 0);
    Atomics.store(words, from, received);
  }

  function replace(pairs: number): void {
    for (let i = 0; i < pairs; i++) {
      seed ^= seed << 13;
      seed ^= seed >>> 17;
      seed ^= seed << 5;
      const at = ((seed >>> 0) * count * 2 ** -32) | 0;
      owed += crossing;
      if (locked) lock(words);
      if (owed >= 100) {
        owed -= 100;
        exchange(held[at] ?? 0);
      } else freePages(held[at] ?? 0, 0);
      held[at] = allocPages(GFP_KERNEL, 0);
      if (locked) unlock(words);
    }
  }

  replace(plan.pairs / 4);
  Atomics.add(words, READY, 1);
  while (Atomics.load(words, READY) < workers);
  const start = process.hrtime.bigint();
  replace(plan.pairs);
  const ns = Number(process.hrtime.bigint() - start);
  detach(memory);
  return ns / plan.pairs;
}

async function start(): Promise<void> {
  const [workers = 1, crossing = 0, locked = 0, pairs = 1e6] = process.argv.slice(2).map(Number);
  const memory = bootFor(FRAMES, 0, 3, true);
  const words = new Int32Array(new SharedArrayBuffer((RINGS + 3 * RING_WORDS) * 4));
  const common = { shared: shareMemory(memory), workers, crossing, locked: locked === 1, words };
  const times = await Promise.all(
    Array.from({ length: workers }, (_, i) => {
      const worker = new Worker(new URL(import.meta.url), {
        workerData: { ...common, pairs, cpu: i + 1 },
      });
      return new Promise<number>((resolve, reject) => {
        worker.on("message", resolve);
        worker.on("error", reject);
      });
    }),
  );
  console.log(JSON.stringify({ ns: times.reduce((sum, ns) => sum + ns, 0) / workers }));
}

if (isMainThread) await start();
else parentPort?.postMessage(run(workerData));
