// The page of the browser test: CPU 0 of a memory that its workers share.
import {
  allocPages,
  bootMemory,
  drainAllPages,
  foldCounts,
  freePages,
  GFP_KERNEL,
  recover,
  shareMemory,
} from "../../src/mm/index.ts";
import { Z_FREE, Z_MANAGED } from "../../src/mm/memory.ts";
import { verify } from "../../src/mm/verify.ts";

/** What this page uses of a browser: the tests are compiled for Node. */
declare class Worker {
  constructor(url: string, options: { type: "module" });
  postMessage(message: unknown): void;
  terminate(): void;
  addEventListener(type: "message", listener: (event: { data: Answer }) => void): void;
  addEventListener(type: "error", listener: (event: { message: string }) => void): void;
}

interface Answer {
  readonly held: readonly number[];
  readonly refused: number;
}

const WORKERS = 3;

/** A browser does not tell when a terminated worker has ended: two seconds without a step. */
async function hasEnded(beats: Int32Array): Promise<void> {
  let still = 0;
  for (let last = -1; still < 20; ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = Atomics.load(beats, 0);
    still = now === last ? still + 1 : 0;
    last = now;
  }
}

async function run(): Promise<object> {
  const m = bootMemory({
    zones: [{ name: "Normal", startPfn: 0, pages: 8192 }],
    cpus: WORKERS + 2,
    shared: true,
    minFreeKbytes: 256,
  });
  const shared = shareMemory(m);
  const beat = new SharedArrayBuffer(4);
  const start = (cpu: number, steps: number, own = new SharedArrayBuffer(4)): Worker => {
    const worker = new Worker("/worker.js", { type: "module" });
    worker.postMessage({ shared, cpu, steps, beat: own });
    return worker;
  };
  // One that never ends by itself.
  const victim = start(WORKERS + 1, 1e9, beat);
  const answers = await Promise.all(
    Array.from(
      { length: WORKERS },
      (_, i) =>
        new Promise<Answer>((resolve, reject) => {
          const worker = start(i + 1, 100_000);
          worker.addEventListener("message", (event) => resolve(event.data));
          worker.addEventListener("error", (event) => reject(new Error(event.message)));
        }),
    ),
  );
  // The main thread may not sleep, and takes part all the same.
  const own = Array.from({ length: 100 }, () => allocPages(m, GFP_KERNEL, 0));
  victim.terminate();
  await hasEnded(new Int32Array(beat));
  const { held } = recover(m, [WORKERS + 1]);
  for (const pfn of own) if (pfn >= 0) freePages(m, pfn, 0);
  for (const answer of answers) {
    for (const block of answer.held) freePages(m, block >> 4, block & 15);
  }
  drainAllPages(m);
  foldCounts(m);
  return {
    broken: verify(m),
    free: m.zone[Z_FREE],
    managed: m.zone[Z_MANAGED],
    recovered: held.length,
    handedOver: answers.reduce((sum, answer) => sum + answer.held.length, 0),
  };
}

run().then(
  (result) => Reflect.set(globalThis, "result", result),
  (error: unknown) => Reflect.set(globalThis, "result", { error: String(error) }),
);
