// Goal: struct zone is whole, live, and each field means what it means in the kernel. Method: the
// fields that the book and newer kernels list, by name; their values against numbers worked by hand,
// against counting by traffic, and against zoneinfo of the same memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { GFP_KERNEL } from "../../src/mm/gfp.ts";
import { LRU_LISTS, type Memory, rowOf } from "../../src/mm/memory.ts";
import { waitTableSize } from "../../src/mm/wait-table.ts";
import { ZoneFields, zoneFields } from "../../src/mm/zone-fields.ts";

// 1 GiB of x86-32 by 2.6.11: 4096 + 225280 + 32768 pages.
function oldMachine(): Memory {
  return bootMemory({
    era: "2.6",
    zones: [
      { name: "DMA", startPfn: 0, pages: 4096 },
      { name: "Normal", startPfn: 4096, pages: 225280 },
      { name: "HighMem", startPfn: 229376, pages: 32768 },
    ],
    lowmemReserveRatio: [256, 32, 0],
  });
}

/** struct zone of 2.6.9 without paddings, and what the last twenty years added. */
const FIELDS = `lock free_pages pages_min pages_low pages_high protection
  lru_lock active_list inactive_list nr_scan_active nr_scan_inactive nr_active nr_inactive
  pages_scanned all_unreclaimable temp_priority prev_priority free_area
  wait_table wait_table_size wait_table_bits pageset zone_pgdat zone_mem_map zone_start_pfn name
  spanned_pages present_pages
  pages_promo watermark_boost managed_pages nr_reserved_highatomic cma_pages nr_free_cma`
  .split(/\s+/)
  .sort();

test("S5 every field of the book's struct zone is there, and nothing else", () => {
  const own = Object.getOwnPropertyNames(ZoneFields.prototype);
  assert.deepEqual(own.filter((name) => name !== "constructor").sort(), FIELDS);
  const normal = zoneFields(oldMachine(), 1);
  for (const name of own) assert.notEqual(Reflect.get(normal, name), undefined, name);
});

test("a zone after boot, number by number", () => {
  const m = oldMachine();
  const normal = zoneFields(m, 1);
  assert.deepEqual(
    [normal.name, normal.zone_pgdat, normal.zone_start_pfn, normal.spanned_pages],
    ["Normal", 0, 4096, 225280],
  );
  assert.deepEqual([normal.free_pages, normal.present_pages], [225280, 225280]);
  // Worked by hand from min_free_kbytes 3831: 957 pages times 225280 / 229376.
  assert.deepEqual([normal.pages_min, normal.pages_low], [939, 1173]);
  assert.deepEqual([...normal.protection], [0, 0, 1024]);
  assert.deepEqual([...zoneFields(m, 0).protection], [0, 880, 1008]);
  assert.deepEqual([normal.wait_table_size, normal.wait_table_bits], [1024, 10]);
  assert.equal(normal.free_area[10]?.nr_free, 220);
  assert.equal(normal.pageset.length, 1);
  assert.throws(() => zoneFields(m, 3), /no zone of this number/);
});

test("what nobody has written yet is as in a zone that was never reclaimed", () => {
  const normal = zoneFields(oldMachine(), 1);
  const { nr_active, nr_inactive, nr_scan_active, nr_scan_inactive, pages_scanned } = normal;
  const counts = { nr_active, nr_inactive, nr_scan_active, nr_scan_inactive, pages_scanned };
  assert.ok(Object.values(counts).every((count) => count === 0));
  assert.deepEqual([normal.temp_priority, normal.prev_priority], [12, 12]); // DEF_PRIORITY
  assert.deepEqual([...normal.active_list, ...normal.inactive_list], []);
  assert.deepEqual([normal.lock, normal.lru_lock, normal.all_unreclaimable], [0, 0, 0]);
  assert.ok(normal.wait_table.every((sleepers) => sleepers === 0));
});

test("S5 the view is live: counts follow traffic", () => {
  const m = bootMemory({
    zones: [{ name: "Normal", startPfn: 0, pages: 8192 }],
    minFreeKbytes: 0,
    cpus: 2,
  });
  const zone = zoneFields(m, 0);
  const taken: number[] = [];
  for (let i = 0; i < 500; i++) {
    m.cpu = i % 2;
    taken.push(allocPages(m, GFP_KERNEL, 0));
    const stock = zone.pageset.reduce((sum, { count }) => sum + count, 0);
    assert.equal(zone.free_pages + stock + taken.length, 8192);
    const blocks = zone.free_area.reduce(
      (sum, { nr_free, order }) => sum + nr_free * 2 ** order,
      0,
    );
    assert.equal(blocks, zone.free_pages);
  }
  for (const pfn of taken) freePages(m, pfn, 0);
  const [first] = zone.free_area[0]?.free_list(0) ?? [];
  assert.ok(first === undefined || first < 8192);
});

test("free lists are told from the head on", () => {
  const m = bootMemory({
    zones: [{ name: "DMA", startPfn: 1, pages: 31 }],
    pageblockOrder: 4,
    maxOrder: 4,
  });
  const { free_area } = zoneFields(m, 0);
  const all = free_area.flatMap(({ free_list }) => [0, 1, 2].map((type) => [...free_list(type)]));
  assert.deepEqual(all, [[1], [], [], [2], [], [], [4], [], [], [8], [], [], [], [16], []]);
});

test("wait tables: a power of two, a queue for 256 pages, 4 to 4096", () => {
  // Twin: the kernel's loop over doubled sizes, then its two clamps.
  const twin = (pages: number): number => {
    let size = 1;
    while (size < Math.floor(pages / 256)) size <<= 1;
    return Math.max(Math.min(size, 4096), 4);
  };
  for (const [pages, queues] of [
    [0, 4],
    [4096, 16],
    [32768, 128],
    [225280, 1024],
    [2 ** 20, 4096],
    [2 ** 30, 4096],
  ] as const) {
    assert.equal(waitTableSize(pages), queues);
  }
  fc.assert(fc.property(fc.nat(2 ** 28), (pages) => waitTableSize(pages) === twin(pages)));
});

test("each zone has two LRU lists, told from the head on", () => {
  const m = oldMachine();
  const link = (head: number, pfn: number): void => {
    const row = rowOf(m, pfn);
    const first = m.next[head] ?? 0;
    m.next[row] = first;
    m.prev[row] = head;
    m.prev[first] = row;
    m.next[head] = row;
  };
  for (const list of [0, 1, 2, 3, 4, 5]) {
    const head = m.lruHeads + Math.floor(list / 2) * LRU_LISTS + (list % 2);
    link(head, 10 + list);
    link(head, 20 + list);
  }
  for (const zone of [0, 1, 2]) {
    const { active_list, inactive_list } = zoneFields(m, zone);
    assert.deepEqual([...active_list], [20 + zone * 2, 10 + zone * 2]);
    assert.deepEqual([...inactive_list], [21 + zone * 2, 11 + zone * 2]);
  }
});

test("zones have wait tables of their own", () => {
  const m = oldMachine();
  const tables = [0, 1, 2].map((zone) => zoneFields(m, zone).wait_table);
  tables.forEach((table, zone) => void table.fill(zone + 1));
  assert.deepEqual(
    tables.map((table) => [table.length, table.at(-1)]),
    [
      [16, 1],
      [1024, 2],
      [128, 3],
    ],
  );
  assert.equal(m.waitTable.length, 16 + 1024 + 128);
});
