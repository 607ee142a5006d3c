// Several workers on one small memory whose pages have owners: who holds which handle, what each page
// should say, and what must hold afterwards. For workers of one thread, and for threads.
import { strict as expect } from "node:assert";
import { Worker } from "node:worker_threads";
import {
  bootMemory,
  busy,
  type CmaArea,
  createCma,
  drainAllPages,
  dropPage,
  foldCounts,
  idle,
  type Memory,
  MemoryStore,
  managePages,
  newPage,
  type PageStore,
  type Pages,
  type ReclaimCounts,
  recoverPages,
  SharedStore,
  sharePages,
  usePinned,
  usePressure,
  verifyPages,
} from "../../src/mm/index.ts";
import { Z_FREE, Z_MANAGED, ZONE_WORDS } from "../../src/mm/memory.ts";
import { verify } from "../../src/mm/verify.ts";
import {
  E_CHANGING,
  E_HANDLE,
  E_LOCK,
  E_VALUE,
  ENTRY_WORDS,
  type Plan,
  tableOf,
} from "./share-pages-table.ts";

export const PAGE = 256;
/** Pages of a pageblock. */
export const BLOCK = 32;
const CMA_BLOCKS = 2;

/** Where slots are kept: everybody's, the first worker's, or nowhere. */
export type StoreKind = "shared" | "own" | "none";

export interface Life {
  readonly m: Memory;
  readonly pages: Pages;
  readonly area: CmaArea;
}

/** CPU 0 of a shared memory of `count` pages, with an area lent in its upper half. */
export function machine(era: string, cpus: number, slots: StoreKind, count = 640): Life {
  const base = (count * 3) / 4;
  const m = bootMemory({
    era,
    cpus,
    shared: true,
    pageSize: PAGE,
    maxOrder: 6,
    pageblockOrder: 5,
    cma: true,
    minFreeKbytes: (count * PAGE) / 1024 / 20,
    bytes: new Uint8Array(new SharedArrayBuffer(count * PAGE)),
    zones: [
      { name: "DMA", startPfn: 0, pages: count / 5 },
      {
        name: "Normal",
        startPfn: count / 5,
        pages: (count * 4) / 5,
        holes: [{ start: base, end: base + CMA_BLOCKS * BLOCK }],
      },
    ],
  });
  const store = storeOf(slots, count);
  const pages = managePages(m, store === null ? {} : { store });
  usePressure(pages);
  return { m, pages, area: createCma(pages, "test", base, CMA_BLOCKS * BLOCK) };
}

function storeOf(slots: StoreKind, count: number): PageStore | null {
  if (slots === "none") return null;
  return slots === "own" ? new MemoryStore(count, PAGE) : SharedStore.make(count, PAGE);
}

/** Writes what a page should say: its number, and a sum that it is whole. */
export function write(pages: Pages, handle: number, value: number): number {
  return usePinned(pages, handle, true, (pfn, bytes) => {
    fillWith(bytes, value);
    return pfn;
  });
}

export function fillWith(bytes: Uint8Array | null, value: number): void {
  if (bytes === null) return;
  bytes.fill(value & 0xff);
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(8, value);
}

/** What a page says; -1 where it cannot be had now. Throws where it is torn. */
export function read(pages: Pages, handle: number): number {
  return usePinned(pages, handle, false, (pfn, bytes) => saidBy(bytes, pfn));
}

export function saidBy(bytes: Uint8Array | null, pfn: number): number {
  expect.ok(bytes);
  const value = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8);
  for (let at = 0; at < bytes.length; at++) {
    if (at >= 8 && at < 12) continue;
    if (bytes[at] !== (value & 0xff)) throw new Error(`pfn ${pfn} is torn at byte ${at}`);
  }
  return value;
}

export function expectWhole({ m, pages }: Life): void {
  expect.deepEqual(verify(m), []);
  expect.deepEqual(verifyPages(pages), []);
}

/** After the last page is dropped all memory is free, and all slots. */
export function expectNothingLeft(life: Life, handles: Iterable<number>): void {
  const { m, pages } = life;
  for (const handle of handles) dropPage(pages, handle);
  drainAllPages(m);
  foldCounts(m);
  expectWhole(life);
  for (const zone of m.names.keys()) {
    expect.equal(m.zone[zone * ZONE_WORDS + Z_FREE], m.zone[zone * ZONE_WORDS + Z_MANAGED]);
  }
  expect.equal(
    pages.lru.every((size) => size === 0),
    true,
  );
  expect.equal(
    pages.kind.every((kind) => kind === 0),
    true,
  );
  if (pages.store !== null) expect.equal(pages.store.free, pages.store.slots);
}

/** What workers run on: handles in a table, some that all use, and a machine where memory is short. */
export interface Herd {
  readonly life: Life;
  readonly plans: readonly Plan[];
}

const ENTRIES = 700;
const COMMON = 20;

export function herd(era: string, cpus: number, steps: number, seed: number, kills: boolean): Herd {
  const life = machine(era, cpus, "shared");
  const table = tableOf(ENTRIES);
  const common = Array.from({ length: COMMON }, () => newPage(life.pages, life.pages.gfp, "anon"));
  for (const handle of common) write(life.pages, handle, 1);
  const ticket = sharePages(life.pages);
  const plans = Array.from({ length: cpus - 1 }, (_, i) => ({
    ticket,
    cpu: i + 1,
    cpus,
    seed: seed + i * 7919,
    steps,
    table,
    entries: ENTRIES,
    common,
    writesCommon: !kills,
  }));
  // Others may have what its lists hold: it only waits now.
  idle(life.m);
  return { life, plans };
}

export function start(plan: Plan): Worker {
  return new Worker(new URL("share-pages-worker.ts", import.meta.url), { workerData: plan });
}

/** What a worker has counted when it ends by itself. */
export function endOf(worker: Worker): Promise<ReclaimCounts | null> {
  return new Promise((resolve, reject) => {
    let counts: ReclaimCounts | null = null;
    worker.on("message", (said: ReclaimCounts) => {
      counts = said;
    });
    worker.on("error", reject);
    worker.on("exit", () => resolve(counts));
  });
}

/** Everybody has ended: every page says what its entry says, and all memory comes free. */
export function settle({ life, plans }: Herd): void {
  const { pages } = life;
  const [plan] = plans;
  expect.ok(plan);
  busy(life.m);
  expectWhole(life);
  const words = new Int32Array(plan.table);
  for (let at = 0; at + ENTRY_WORDS <= words.length; at += ENTRY_WORDS) {
    const handle = words[at + E_HANDLE] ?? 0;
    if (handle === 0) continue;
    const said = read(pages, handle);
    if (words[at + E_CHANGING] === 0) expect.equal(said, words[at + E_VALUE], `handle ${handle}`);
  }
  for (const handle of plan.common) expect.ok(read(pages, handle) > 0);
  expectWhole(life);
  const used = [...pages.kind.keys()].filter((handle) => pages.kind[handle] !== 0);
  expectNothingLeft(life, used);
}

/** Four workers; one is terminated in the middle of it, the others go on for a while. */
export async function killRound(era: string, round: number): Promise<void> {
  const own = herd(era, 5, 100_000_000, round * 131, true);
  const { life, plans } = own;
  const workers = plans.map(start);
  const failed: unknown[] = [];
  for (const worker of workers) worker.on("error", (error) => failed.push(error));
  await Promise.all(
    workers.map((worker) => new Promise((resolve) => worker.once("online", resolve))),
  );
  await sleep(60 + ((round * 37) % 60));
  const victim = 1 + (round % 4);
  await workers[victim - 1]?.terminate();
  busy(life.m);
  forget(own, victim, recoverPages(life.pages, [victim]).handles);
  idle(life.m);
  await sleep(30);
  await Promise.all(workers.map((worker) => worker.terminate()));
  const dead = [1, 2, 3, 4];
  busy(life.m);
  const { handles } = recoverPages(life.pages, dead);
  for (const cpu of dead) forget(own, cpu, handles);
  expect.deepEqual(failed, []);
  settle(own);
}

/** Entries that a dead worker was at, and those whose handles went with it, are nobody's. */
function forget({ plans, life }: Herd, cpu: number, handles: readonly number[]): void {
  const words = new Int32Array(plans[0]?.table ?? new SharedArrayBuffer(0));
  const gone = new Set(handles);
  for (let at = 0; at + ENTRY_WORDS <= words.length; at += ENTRY_WORDS) {
    const handle = words[at + E_HANDLE] ?? 0;
    const isTheirs = words[at + E_LOCK] === cpu + 1;
    if (gone.has(handle)) words[at + E_HANDLE] = 0;
    if (!isTheirs) continue;
    // What it was writing may be torn: somebody else may say something there.
    if (words[at + E_CHANGING] === 1 && words[at + E_HANDLE] !== 0) {
      const value = words[at + E_VALUE] ?? 0;
      if (write(life.pages, handle, value) >= 0) words[at + E_CHANGING] = 0;
    }
    Atomics.store(words, at + E_LOCK, 0);
  }
}

function sleep(ms: number): Promise<unknown> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
