// Workers on one small memory that live, exchange pages and die, and what must hold afterwards.
import { strict as expect } from "node:assert";
import { Worker } from "node:worker_threads";
import { freePages } from "../../src/mm/allocate.ts";
import {
  bootMemory,
  drainAllPages,
  foldCounts,
  type Memory,
  recover,
  shareMemory,
} from "../../src/mm/index.ts";
import { Z_FREE, Z_MANAGED, ZONE_WORDS } from "../../src/mm/memory.ts";
import { verify } from "../../src/mm/verify.ts";
import { type Plan, receive, ringBytes } from "./share-rings.ts";

const FRAMES = 8192;

/** Where zones begin and end: within pageblocks, over two sections, around holes, on two nodes. */
const LAYOUTS = {
  plain: [
    { name: "DMA", startPfn: 1, pages: 1023 },
    { name: "Normal", startPfn: 1024, pages: FRAMES - 1024 },
  ],
  cut: [
    { name: "DMA", startPfn: 0, pages: 700 },
    { name: "Normal", startPfn: 700, pages: 6000 },
  ],
  sections: [{ name: "Normal", startPfn: 4096, pages: 7168 }],
  holes: [
    { name: "DMA", startPfn: 0, pages: 1024 },
    {
      name: "Normal",
      startPfn: 1024,
      pages: 20_000,
      holes: [
        { start: 2000, end: 2100 },
        { start: 6000, end: 18_000 },
      ],
    },
  ],
  nodes: [
    { name: "DMA", startPfn: 0, pages: 1024 },
    { name: "Normal", startPfn: 1024, pages: 5000 },
    { name: "Normal", node: 1, startPfn: 7680, pages: 6000 },
  ],
} as const;

export type Layout = keyof typeof LAYOUTS;
export const LAYOUT_NAMES = Object.keys(LAYOUTS) as Layout[];

export function machine(era: string, cpus: number, layout: Layout = "plain"): Memory {
  return bootMemory({
    era,
    cpus,
    shared: true,
    minFreeKbytes: 512,
    zones: LAYOUTS[layout],
    ...(layout === "nodes" ? { cpuNode: Array.from({ length: cpus }, (_, cpu) => cpu & 1) } : {}),
  });
}

export function planFor(m: Memory, cpus: number, steps: number, seed: number): Plan[] {
  const shared = shareMemory(m);
  const rings = new SharedArrayBuffer(ringBytes(cpus));
  const ledger = new SharedArrayBuffer(cpus * FRAMES);
  const common = { shared, cpus, frames: FRAMES, rings, ledger, steps, most: 700, crossing: 50 };
  return Array.from({ length: cpus - 1 }, (_, i) => ({
    ...common,
    cpu: i + 1,
    seed: seed + i * 7919,
  }));
}

export function start(plan: Plan): Worker {
  return new Worker(new URL("share-worker.ts", import.meta.url), { workerData: plan });
}

export function ended(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.on("error", reject);
    worker.on("exit", () => resolve());
  });
}

/** What nobody received is freed; then all memory is free, in one piece. */
export function settle(m: Memory, plans: readonly Plan[]): void {
  const [plan] = plans;
  expect.ok(plan);
  const words = new Int32Array(plan.rings);
  for (let from = 1; from < plan.cpus; from++) {
    for (let to = 1; to < plan.cpus; to++) {
      for (;;) {
        const block = receive(words, plan.cpus, from, to);
        if (block < 0) break;
        freePages(m, block >> 4, block & 15);
      }
    }
  }
  expectAllFree(m);
}

export function expectAllFree(m: Memory): void {
  drainAllPages(m);
  foldCounts(m);
  expect.deepEqual(verify(m), []);
  for (const zone of m.names.keys()) {
    expect.equal(m.zone[zone * ZONE_WORDS + Z_FREE], m.zone[zone * ZONE_WORDS + Z_MANAGED]);
  }
}

/** Four workers; one is terminated in the middle of it, then the others. */
export async function killRound(round: number): Promise<void> {
  const m = machine("6.1", 5);
  const plans = planFor(m, 5, 100_000_000, round * 131);
  const workers = plans.map(start);
  await Promise.all(
    workers.map((worker) => new Promise((resolve) => worker.once("online", resolve))),
  );
  await new Promise((resolve) => setTimeout(resolve, 30 + ((round * 37) % 50)));
  const victim = 1 + (round % 4);
  await workers[victim - 1]?.terminate();
  const { held } = recover(m, [victim]);
  const ledger = new Uint8Array(
    plans[0]?.ledger ?? new SharedArrayBuffer(0),
    victim * FRAMES,
    FRAMES,
  );
  const known = new Map(held.map(({ pfn, order }) => [pfn, order]));
  // A block that it held by its own account was its, but for one that was on its way to another.
  const missing = [...ledger.entries()].filter(
    ([pfn, own]) => own !== 0 && known.get(pfn) !== own - 1,
  );
  expect.ok(missing.length <= 1, `${missing.length} blocks of the ledger were not returned`);
  await Promise.all(workers.map((worker) => worker.terminate()));
  // The dead one again: others have passed pages to it since.
  recover(m, [1, 2, 3, 4]);
  expect.deepEqual(verify(m), []);
  // Blocks in the rings belong to whoever was to receive them: they are free now.
  expectAllFree(m);
}
