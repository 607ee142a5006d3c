// Goal: memory after boot is what the kernel has: which block is on which list, in which order, of
// which type. Method: machines with holes and odd starts in each era, and random RAM ranges whose
// lists are worked out by feeding single blocks to plain arrays.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { allocPages } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import {
  type Memory,
  rowOf,
  Z_FREE,
  Z_MANAGED,
  Z_PRESENT,
  Z_SPANNED,
} from "../../src/mm/memory.ts";
import { MOVABLE, UNMOVABLE } from "../../src/mm/rule.ts";
import { verify } from "../../src/mm/verify.ts";
import { freeList } from "../support/naive-twin.ts";

const largest = (m: Memory, type: number): number[] => freeList(m, 0, type, m.maxOrder);

test("lists ascend since 5.10, and memory is used from below", () => {
  for (const era of ["5.10", "6.1", "6.12"]) {
    const m = bootMemory({ era, zones: [{ name: "Normal", startPfn: 0, pages: 4096 }] });
    expect.deepEqual(largest(m, MOVABLE), [0, 1024, 2048, 3072]);
    expect.equal(allocPages(m, 0x100cca, 0), 0);
    expect.equal(allocPages(m, 0xcc0, 0), 1024);
  }
});

test("lists descend in 2.6: the highest block is used first, upward inside", () => {
  const m = bootMemory({ era: "2.6", zones: [{ name: "Normal", startPfn: 0, pages: 4096 }] });
  expect.deepEqual(largest(m, UNMOVABLE), [3072, 2048, 1024, 0]);
  expect.equal(allocPages(m, 0x10, 0), 3072);
  expect.equal(allocPages(m, 0x10, 0), 3073);
  expect.deepEqual(verify(m), []);
});

test("a pageblock without its first page is Unmovable; one that another zone begins is Movable", () => {
  const m = bootMemory({
    zones: [
      { name: "DMA", startPfn: 1, pages: 4095 + 100 },
      { name: "Normal", startPfn: 4196, pages: 4096 },
    ],
  });
  const typeAt = (pfn: number): number | undefined =>
    m.blockType[rowOf(m, pfn) >> m.pageblockOrder];
  expect.deepEqual([1, 512, 4095, 4196, 8191].map(typeAt), [UNMOVABLE, 1, 1, MOVABLE, 1]);
});

test("a zone whose RAM begins later has no Unmovable pageblock", () => {
  const holes = [{ start: 1, end: 4096 }];
  const m = bootMemory({ zones: [{ name: "Normal", startPfn: 1, pages: 8191, holes }] });
  expect.deepEqual(largest(m, MOVABLE), [4096, 5120, 6144, 7168]);
});

test("state is shared between workers only where it is asked for", () => {
  const zones = [{ name: "Normal", startPfn: 0, pages: 1024 }];
  expect.ok(bootMemory({ zones }).next.buffer instanceof ArrayBuffer);
  expect.ok(bootMemory({ zones, shared: true }).next.buffer instanceof SharedArrayBuffer);
});

test("far memory and wide holes cost nothing", () => {
  const far = 2 ** 33;
  const m = bootMemory({
    zones: [
      { name: "DMA", startPfn: 0, pages: 4096 },
      { name: "Normal", startPfn: far, pages: 2 ** 20 },
    ],
  });
  expect.equal(allocPages(m, 0xcc0, 10), far);
  expect.deepEqual(verify(m), []);
});

test("random RAM: every list holds what single blocks, fed in order, would make", () => {
  const cut = fc.uniqueArray(fc.nat(400), { minLength: 2, maxLength: 12 });
  const spec = fc.record({ cut, maxOrder: fc.integer({ min: 2, max: 6 }), start: fc.nat(70) });
  fc.assert(
    fc.property(spec, ({ cut: cuts, maxOrder, start }) => {
      const edges = cuts.toSorted((a, b) => a - b).map((at) => at + start);
      const holes = edges.flatMap((at, i) =>
        i % 2 === 1 ? [{ start: at, end: edges[i + 1] ?? at }] : [],
      );
      const first = edges[0] ?? 0;
      const last = edges.length % 2 === 0 ? (edges.at(-1) ?? 0) : first + 400;
      const zone = { name: "Normal", startPfn: first, pages: last - first, holes };
      const m = bootMemory({ zones: [zone], maxOrder, pageblockOrder: 2 });
      expect.deepEqual(verify(m), []);
      const isRam = (pfn: number): boolean =>
        pfn >= first && pfn < last && !holes.some((h) => pfn >= h.start && pfn < h.end);
      const expected = feed(first, last, maxOrder, isRam);
      for (let order = 0; order <= maxOrder; order++) {
        const found = [UNMOVABLE, MOVABLE].flatMap((type) => freeList(m, 0, type, order));
        expect.deepEqual(found, expected[order], `order ${order}`);
      }
      const ram = Array.from({ length: last }, (_, pfn) => pfn).filter(isRam).length;
      const counts = [Z_FREE, Z_MANAGED, Z_PRESENT, Z_SPANNED].map((at) => m.zone[at]);
      expect.deepEqual(counts, [ram, ram, ram, last - first]);
    }),
  );
});

/** Largest aligned blocks from below, each at the end of its list. */
function feed(
  first: number,
  last: number,
  maxOrder: number,
  isRam: (pfn: number) => boolean,
): number[][] {
  const lists = Array.from({ length: maxOrder + 1 }, (): number[] => []);
  for (let pfn = first; pfn < last; ) {
    if (!isRam(pfn)) {
      pfn++;
      continue;
    }
    let order = maxOrder;
    const whole = (): boolean =>
      pfn % 2 ** order === 0 &&
      Array.from({ length: 2 ** order }, (_, i) => pfn + i).every((own) => isRam(own));
    while (!whole()) order--;
    lists[order]?.push(pfn);
    pfn += 2 ** order;
  }
  return lists;
}
