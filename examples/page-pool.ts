// A page pool shared by four workers: each takes pages, fills them and sends only their number; the
// main thread reads them where they are and gives them back. Nothing is copied. One worker is then
// terminated with pages in its hands, and the pool has them back.
//
//   node examples/page-pool.ts
import process from "node:process";
import { pathToFileURL } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import {
  allocPages,
  attachMemory,
  bootMemory,
  bytesOf,
  detach,
  drainAllPages,
  foldCounts,
  freePages,
  GFP_KERNEL,
  passTo,
  recover,
  type SharedMemory,
  shareMemory,
  zoneFields,
} from "../src/mm/index.ts";

const WORKERS = 4;
const PAGES = 4096;
const PAGE_SIZE = 4096;
const TILES = 100;
/** 16 KiB. */
const TILE_ORDER = 2;

interface Job {
  readonly shared: SharedMemory;
  readonly cpu: number;
}

/** Runs the example; `print` takes its lines. */
export async function pagePool(print: (line: string) => unknown): Promise<void> {
  const bytes = new Uint8Array(new SharedArrayBuffer(PAGES * PAGE_SIZE));
  const zones = [{ name: "Normal", startPfn: 0, pages: PAGES }];
  // CPU 0 is this thread. Tiles go through the per-CPU lists, as single pages do.
  const m = bootMemory({ zones, cpus: WORKERS + 1, shared: true, minFreeKbytes: 0, bytes });
  const shared = shareMemory(m);
  const workers = Array.from({ length: WORKERS }, (_, i) => {
    const workerData: Job = { shared, cpu: i + 1 };
    return new Worker(new URL(import.meta.url), { workerData });
  });

  let tiles = 0;
  let sum = 0;
  await Promise.all(
    workers.map(
      (worker) =>
        new Promise<void>((resolve, reject) => {
          worker.on("error", reject);
          worker.on("message", (pfn: number) => {
            if (pfn < 0) {
              resolve();
              return;
            }
            tiles++;
            sum += bytesOf(m, pfn, TILE_ORDER).reduce((total, byte) => total + byte, 0);
            freePages(m, pfn, TILE_ORDER);
          });
        }),
    ),
  );
  print(`${tiles} tiles of 16 KiB from ${WORKERS} workers, none copied`);
  print(`sum of their bytes: ${sum}`);

  await Promise.all(workers.map((worker) => worker.terminate()));
  const { held } = recover(m, [1]);
  print(`worker 1 was terminated with ${held.length} blocks in its hands: recovered`);
  recover(m, [2, 3, 4]);
  drainAllPages(m);
  foldCounts(m);
  print(`free again: ${zoneFields(m, 0).free_pages} of ${PAGES} pages`);
}

function work({ shared, cpu }: Job): void {
  const m = attachMemory(shared, cpu);
  for (let tile = 0; tile < TILES; tile++) {
    const pfn = allocPages(m, GFP_KERNEL, TILE_ORDER);
    bytesOf(m, pfn, TILE_ORDER).fill(cpu);
    passTo(m, pfn, 0);
    parentPort?.postMessage(pfn);
  }
  // The first worker is careless: it keeps some.
  if (cpu === 1) for (let i = 0; i < 7; i++) allocPages(m, GFP_KERNEL, i);
  else detach(m);
  parentPort?.postMessage(-1);
}

const isMain =
  process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href;
if (!isMainThread) work(workerData);
else if (isMain) await pagePool((line) => process.stdout.write(`${line}\n`));
