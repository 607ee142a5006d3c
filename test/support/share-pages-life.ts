// Several workers on one small memory whose pages have owners: who holds which handle, what each page
// should say, and what must hold afterwards. For workers of one thread, and for threads.
import { strict as expect } from "node:assert";
import {
  bootMemory,
  type CmaArea,
  createCma,
  drainAllPages,
  dropPage,
  foldCounts,
  type Memory,
  MemoryStore,
  managePages,
  type PageStore,
  type Pages,
  SharedStore,
  usePinned,
  usePressure,
  verifyPages,
} from "../../src/mm/index.ts";
import { Z_FREE, Z_MANAGED, ZONE_WORDS } from "../../src/mm/memory.ts";
import { verify } from "../../src/mm/verify.ts";

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
