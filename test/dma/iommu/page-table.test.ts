// Goal: S10: page tables hold what was mapped, in any page sizes and across any borders, and take and give
// back the pages that they should. Method: random ranges near the borders of tables beside a map from page
// to page; then tables counted by hand.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { PTE_FORMATS } from "../../../src/dma/iommu/formats.ts";
import { mapRange, reachOf, unmapRange, walk } from "../../../src/dma/iommu/page-table.ts";
import {
  createPageTable,
  freeTables,
  type PageTable,
  tableCount,
} from "../../../src/dma/iommu/table-store.ts";
import { verifyPageTable } from "../../../src/dma/iommu/verify-page-table.ts";
import { allocPages, NO_PFN } from "../../../src/mm/allocate.ts";
import { freePagesOf, memoryOf } from "./machine.ts";

const VENDORS = ["intel", "amd", "smmu-v3"] as const;
/** Around borders of tables of each level. */
const BORDERS = [512, 1024, 512 * 512, 2 * 512 * 512];

const op = fc.record({
  border: fc.constantFrom(...BORDERS),
  before: fc.nat(600),
  pages: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 1300 })),
  aligned: fc.boolean(),
  prot: fc.constantFrom(1, 3),
});

function table(
  vendor: (typeof VENDORS)[number],
  bytes: boolean,
  own: Partial<PageTable> = {},
): PageTable {
  const made = createPageTable({
    name: "0",
    memory: memoryOf(2048, bytes),
    format: PTE_FORMATS[vendor],
    levels: 3,
    pageShifts: [12, 21, 30],
    gfp: 0xcc0,
    maxTables: 64,
    ...own,
  });
  expect.ok(made !== null);
  return made;
}

for (const vendor of VENDORS) {
  test(`S10: random ranges are mapped and unmapped page for page, ${vendor}`, () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 25, size: "max" }), fc.boolean(), (ops, bytes) => {
        const t = table(vendor, bytes);
        const pages = new Map<number, [number, number]>();
        for (const { border, before, pages: count, aligned, prot } of ops) {
          const iova = aligned ? border : Math.max(1, border - before);
          const phys = aligned ? 0x40000 : 0x12345;
          let taken = false;
          for (let i = 0; i < count; i++) taken ||= pages.has(iova + i);
          if (taken) {
            // Whole ranges that were mapped at once may go; parts of large pages may not.
            const [first = 0] = pages.keys();
            let run = 0;
            while (pages.has(first + run)) run++;
            let low = first;
            while (pages.has(low - 1)) low--;
            freeTables(t, unmapRange(t, low, first - low + run));
            for (let i = low; i < first + run; i++) pages.delete(i);
          } else {
            expect.equal(
              mapRange(t, iova, phys, count, prot, () => undefined),
              true,
            );
            for (let i = 0; i < count; i++) pages.set(iova + i, [phys + i, prot]);
          }
          expect.deepEqual(verifyPageTable(t), []);
          for (const around of BORDERS) {
            for (let page = around - 3; page < around + 3; page++) check(t, page, pages.get(page));
          }
        }
        for (const [page, wanted] of pages) check(t, page, wanted);
        expect.equal(walk(t, reachOf(t)), null);
      }),
      { numRuns: 120 },
    );
  });
}

function check(t: PageTable, page: number, wanted: [number, number] | undefined): void {
  const found = walk(t, page);
  expect.deepEqual(found === null ? undefined : [found.pfn, found.prot], wanted);
}

test("S10: a range takes a table for each span that it touches, and large pages take none", () => {
  const t = table("intel", true);
  const map = (iova: number, phys: number, pages: number): number => {
    const before = tableCount(t);
    expect.equal(
      mapRange(t, iova, phys, pages, 3, () => undefined),
      true,
    );
    return tableCount(t) - before;
  };
  expect.equal(map(511, 7, 2), 1 + 2);
  // 1 GiB at once, then 2 MiB of it and a page: two tables of the next span, one below.
  expect.equal(map(2 ** 18, 2 ** 18, 2 ** 18), 0);
  expect.equal(map(2 ** 19, 2 ** 19, 512 + 1), 2);
  expect.equal(walk(t, 2 ** 18 + 5)?.level, 3);
  expect.equal(walk(t, 2 ** 19 + 5)?.level, 2);
  expect.equal(walk(t, 2 ** 19 + 512)?.level, 1);
  freeTables(t, unmapRange(t, 2 ** 19, 2 ** 18));
  expect.deepEqual([walk(t, 2 ** 19), tableCount(t)], [null, 4]);
});

test("S10: a larger page in the place of a table frees it, after a flush", () => {
  const t = table("amd", true);
  const before = freePagesOf(t.memory);
  const flushes: number[] = [];
  const flush = (): void => void flushes.push(tableCount(t));
  mapRange(t, 512, 7, 512, 3, flush);
  freeTables(t, unmapRange(t, 512, 512));
  expect.equal(before - freePagesOf(t.memory), 2);
  mapRange(t, 512, 1024, 512, 3, flush);
  expect.deepEqual(flushes, [3]);
  expect.equal(before - freePagesOf(t.memory), 1);
});

test("no slot left for another table is no memory", () => {
  const t = table("intel", false, { maxTables: 4 });
  expect.equal(
    mapRange(t, 1, 1, 1, 3, () => undefined),
    true,
  );
  expect.equal(
    mapRange(t, 2 ** 18, 1, 1, 3, () => undefined),
    false,
  );
  expect.deepEqual(verifyPageTable(t), []);
  expect.equal(createPageTable({ ...t, name: "1", gfp: 0xcc0, memory: fullMemory() }), null);
});

function fullMemory(): PageTable["memory"] {
  const memory = memoryOf(64, false);
  const ATOMIC = 0xa20;
  while (allocPages(memory, ATOMIC, 0) !== NO_PFN);
  return memory;
}
