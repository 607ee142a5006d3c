// Goal: at least pages_min stays free by swapping, and memory that is cut into more zones is harder to
// keep in balance: what its zones give up by page is further apart. Method: one workload that wants
// more than there is, on the same memory in one to three zones, by the rules of each era; after each
// request the marks are looked at, at the end every page must read back.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import {
  allocPages,
  bootMemory,
  bytesOf,
  freePages,
  gfpOf,
  MemoryStore,
  managePages,
  NO_HANDLE,
  NO_PFN,
  newPage,
  type Pages,
  runKswapd,
  touchPage,
  usePressure,
  verify,
  verifyPages,
  zoneFields,
} from "../../../src/mm/index.ts";
import { Dice } from "../../support/dice.ts";

/** 16 MiB, in the proportions of a PC with much high memory. */
const PAGES = 4096;
const CUTS: readonly (readonly [string, number])[][] = [
  [["Normal", PAGES]],
  [
    ["DMA", 512],
    ["Normal", PAGES - 512],
  ],
  [
    ["DMA", 512],
    ["Normal", 1536],
    ["HighMem", PAGES - 2048],
  ],
];

function machine(era: string, cut: readonly (readonly [string, number])[], bytes: boolean): Pages {
  let start = 0;
  const zones = cut.map(([name, pages]) => {
    start += pages;
    return { name, startPfn: start - pages, pages };
  });
  const own = bytes ? { bytes: new Uint8Array(PAGES * 256) } : {};
  const m = bootMemory({ era, zones, pageSize: 256, minFreeKbytes: 32, ...own });
  const pages = managePages(m, { store: new MemoryStore(4 * PAGES, 256, bytes) });
  usePressure(pages);
  return pages;
}

/** Pages that are free in a zone, on lists of CPUs too. */
function freeIn(pages: Pages, zone: number): number {
  const { free_pages, pageset } = zoneFields(pages.m, zone);
  return pageset.reduce((sum, { count }) => sum + count, free_pages);
}

for (const era of ["2.6.9", "2.6.11", "2.6.18", "3.10", "4.19", "6.1", "6.12"]) {
  test(`S7 ${era}: at least pages_min is kept free, through swapping, and nothing is lost`, () => {
    const pages = machine(era, CUTS[1] ?? [], true);
    const { m } = pages;
    const handles: number[] = [];
    for (let i = 0; i < 2 * PAGES; i++) {
      const handle = newPage(pages, pages.gfp, "anon");
      expect.notEqual(handle, NO_HANDLE, `page ${i}`);
      bytesOf(m, touchPage(pages, handle, true), 0).fill(handle % 251);
      handles.push(handle);
      for (let zone = 0; zone < m.zoneCount; zone++) {
        const { name, pages_min } = zoneFields(m, zone);
        expect.ok(freeIn(pages, zone) >= pages_min, `${name}: ${freeIn(pages, zone)} pages free`);
      }
      if (i % 16 === 0) runKswapd(pages);
    }
    expect.ok(pages.counts.pswpout > PAGES, `${pages.counts.pswpout} pages written out`);
    expect.ok(
      pages.counts.pgstealKswapd > pages.counts.pgstealDirect,
      "requests did kswapd's work",
    );
    for (const handle of handles) {
      expect.equal(bytesOf(m, touchPage(pages, handle, false), 0)[17], handle % 251);
    }
    expect.deepEqual([...verify(m), ...verifyPages(pages)], []);
  });
}

/** Pages given up by page of the zone, lowest zone first; and the share of pages that are not where they would best be. */
function churn(era: string, cut: readonly (readonly [string, number])[]): [number[], number] {
  const pages = machine(era, cut, false);
  const { m } = pages;
  const dice = new Dice(5);
  const kernel = gfpOf(m, "GFP_KERNEL");
  const own: number[] = [];
  let placed = 0;
  let misplaced = 0;
  for (let i = 0; i < 12 * PAGES; i++) {
    const kind = dice.roll(4) === 0 ? "anon" : "file";
    if (dice.roll(10) > 0) {
      const handle = newPage(pages, pages.gfp, kind);
      if (handle === NO_HANDLE) continue;
      placed++;
      const last = cut.at(-1)?.[1] ?? 0;
      if (touchPage(pages, handle, false) < PAGES - last) misplaced++;
    } else {
      const pfn = allocPages(m, kernel, 0);
      if (pfn !== NO_PFN) own.push(pfn);
      if (own.length > 384) freePages(m, own.splice(dice.roll(own.length), 1)[0] ?? 0, 0);
    }
    if (i % 32 === 0) runKswapd(pages);
    // The store takes all that is put away: that it is nearly full ends the run.
    if (pages.store !== null && pages.store.free < PAGES) break;
  }
  return [cut.map(([, size], zone) => (pages.freed[zone] ?? 0) / size), misplaced / placed];
}

for (const era of ["2.6.9", "2.6.11", "2.6.18", "4.19", "6.1", "6.12"]) {
  test(`S7 ${era}: each zone more makes balance harder`, () => {
    const runs = CUTS.map((cut) => churn(era, cut));
    const [one = 0, two = 0, three = 0] = runs.map(
      ([rates]) => Math.max(...rates) / Math.min(...rates),
    );
    expect.equal(one, 1);
    expect.ok(two > 1.1 && three > two, `the zone used up fastest: ${[one, two, three]} times`);
    const [none = -1, some = 0, many = 0] = runs.map(([, misplaced]) => misplaced);
    expect.equal(none, 0);
    expect.ok(some > 0.05 && many > 2 * some, `misplaced: ${[none, some, many]}`);
  });
}
