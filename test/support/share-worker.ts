// A worker that allocates, frees, and exchanges pages with others: one CPU of a shared memory. What it
// holds it writes into a ledger, so that others can tell after it was terminated.
import { parentPort, workerData } from "node:worker_threads";
import {
  allocPages,
  attachMemory,
  bindMemory,
  busy,
  detach,
  freePages,
  GFP_ATOMIC,
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  idle,
  NO_PFN,
  passTo,
} from "../../src/mm/index.ts";
import { type Plan, receive, send } from "./share-rings.ts";

const plan = workerData as Plan;
const { cpu, cpus, rings, most, crossing } = plan;
const m = attachMemory(plan.shared, cpu);
const bound = bindMemory(m);
const ledger = new Uint8Array(plan.ledger, cpu * plan.frames, plan.frames);
const words = new Int32Array(rings);
const held: number[] = [];
let seed = plan.seed | 1;

function draw(below: number): number {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return ((seed >>> 0) * below * 2 ** -32) | 0;
}

const GFPS = [GFP_KERNEL, GFP_HIGHUSER_MOVABLE, GFP_ATOMIC];

function take(): void {
  const order = draw(8) === 0 ? draw(10) : 0;
  const gfp = GFPS[draw(3)] ?? GFP_KERNEL;
  const pfn = draw(2) === 0 ? bound.allocPages(gfp, order) : allocPages(m, gfp, order);
  if (pfn === NO_PFN) return;
  if (ledger[pfn] !== 0) throw new Error(`pfn ${pfn} was handed out twice`);
  ledger[pfn] = order + 1;
  held.push(pfn * 16 + order);
}

function give(block: number): void {
  ledger[block >> 4] = 0;
  if (draw(2) === 0) bound.freePages(block >> 4, block & 15);
  else freePages(m, block >> 4, block & 15);
}

function step(): void {
  const choice = draw(100);
  if (held.length < most && choice < 50) take();
  else if (held.length > 0) {
    const at = draw(held.length);
    const block = held[at] ?? 0;
    held[at] = held.at(-1) ?? 0;
    held.pop();
    if (draw(100) >= crossing) give(block);
    else {
      const to = 1 + ((cpu + draw(cpus - 2)) % (cpus - 1));
      ledger[block >> 4] = 0;
      passTo(m, block >> 4, to);
      if (!send(words, cpus, cpu, to, block)) give(block);
    }
  }
  for (let from = 1; from < cpus; from++) {
    const block = receive(words, cpus, from, cpu);
    if (block >= 0) {
      ledger[block >> 4] = (block & 15) + 1;
      give(block);
    }
  }
}

for (let i = 0; i < plan.steps; i++) {
  step();
  if (i % 5000 === 4999) {
    idle(m);
    busy(m);
  }
}
for (const block of held) give(block);
detach(m);
parentPort?.postMessage("done");
