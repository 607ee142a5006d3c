// More pages than memory, for four workers at once: each adds one to every page. Pages are where they
// need to be: some in memory, which any worker may move, the rest in a store that all have. A worker pins a
// page while it looks at its bytes, and locks its frame while it changes them. Then a camera wants 1 MiB in
// one piece out of the middle of it, and a worker is terminated with its hands full.
//
//   node examples/shared-pages.ts
import process from "node:process";
import { pathToFileURL } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import {
  attachPages,
  bootMemory,
  busy,
  cmaAlloc,
  cmaNamed,
  createCma,
  detach,
  dropPage,
  idle,
  lockFrame,
  managePages,
  newPage,
  type Pages,
  recoverPages,
  type SharedPages,
  SharedStore,
  sharePages,
  totalCounts,
  unlockFrame,
  usePinned,
  usePressure,
} from "../src/mm/index.ts";

const WORKERS = 4;
const PAGE_SIZE = 4096;
/** 4 MiB, of which 1 MiB is the camera's. */
const PAGES = 1024;
const AREA = { start: 512, end: 768 };
const TILES = 2000;

interface Job {
  readonly ticket: SharedPages;
  readonly cpu: number;
  readonly tiles: readonly number[];
}

/** Adds to a page that others may be at; returns what it says then. */
function add(pages: Pages, tile: number, by: number): number {
  return usePinned(pages, tile, by > 0, (pfn, bytes) => {
    lockFrame(pages.m, pfn);
    const sum = (bytes?.[0] ?? 0) + by;
    bytes?.fill(sum);
    unlockFrame(pages.m, pfn);
    return sum;
  });
}

/** Runs the example; `print` takes its lines. */
export async function sharedPages(print: (line: string) => unknown): Promise<void> {
  const m = bootMemory({
    zones: [{ name: "Normal", startPfn: 0, pages: PAGES, holes: [AREA] }],
    cpus: WORKERS + 1,
    shared: true,
    cma: true,
    pageblockOrder: 6,
    minFreeKbytes: 128,
    bytes: new Uint8Array(new SharedArrayBuffer(PAGES * PAGE_SIZE)),
  });
  const pages = managePages(m, { store: SharedStore.make(TILES, PAGE_SIZE) });
  usePressure(pages);
  createCma(pages, "camera", AREA.start, AREA.end - AREA.start);
  const tiles = Array.from({ length: TILES }, () => newPage(pages, pages.gfp, "anon"));
  // This thread only waits now: others may have what its lists hold.
  idle(m);
  const ticket = sharePages(pages);
  const workers = Array.from({ length: WORKERS }, (_, i) => {
    const workerData: Job = { ticket, cpu: i + 1, tiles };
    return new Worker(new URL(import.meta.url), { workerData });
  });
  await Promise.all(
    workers.map((worker) => {
      return new Promise((resolve, reject) => {
        worker.on("error", reject);
        worker.on("message", resolve);
      });
    }),
  );
  await Promise.all(workers.map((worker) => worker.terminate()));
  busy(m);
  const more = totalCounts(pages).pswpout > TILES ? "more" : "fewer";
  print(`${TILES} pages in ${PAGES} frames: ${more} than ${TILES} were written out and read back`);
  const { handles } = recoverPages(pages, [1]);
  print(`worker 1 was terminated: ${handles.length} pages of its own are gone`);
  recoverPages(pages, [2, 3, 4]);
  const right = tiles.filter((tile) => add(pages, tile, 0) === WORKERS).length;
  print(`pages that each worker added one to: ${right}`);
  const camera = cmaNamed(pages, "camera");
  const frame = camera === undefined ? null : cmaAlloc(camera, AREA.end - AREA.start, 0);
  print(`the camera has 1 MiB at pfn ${frame?.pfn}`);
  const still = tiles.filter((tile) => add(pages, tile, 0) === WORKERS).length;
  print(`pages that still say so: ${still}`);
  for (const tile of tiles) dropPage(pages, tile);
}

function work({ ticket, cpu, tiles }: Job): void {
  const pages = attachPages(ticket, cpu);
  usePressure(pages);
  const first = Math.floor((cpu * tiles.length) / WORKERS);
  for (let i = 0; i < tiles.length; i++) add(pages, tiles[(first + i) % tiles.length] ?? 0, 1);
  // The first worker is careless: it keeps some.
  if (cpu === 1) for (let i = 0; i < 7; i++) newPage(pages, pages.gfp, "anon");
  else detach(pages.m);
  parentPort?.postMessage("done");
}

const isMain =
  process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href;
if (!isMainThread) work(workerData);
else if (isMain) await sharedPages((line) => process.stdout.write(`${line}\n`));
