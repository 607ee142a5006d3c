// Goal: bytes are the right ones, zeroed when asked, and HighMem's are reached through kmap only, from
// a pool that runs out as the kernel's does. Method: patterns in a caller's RAM; a twin of the pool's
// rules over random programs; every misuse must be refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { allocPages, freePages, NO_PFN } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { bytesOf, viewPages } from "../../src/mm/bytes.ts";
import { __GFP_HIGHMEM, __GFP_ZERO, GFP_KERNEL } from "../../src/mm/gfp.ts";
import { restore, snapshot } from "../../src/mm/image.ts";
import { kmap, kmapCount, kmapSlot, kunmap } from "../../src/mm/kmap.ts";
import type { Memory } from "../../src/mm/memory.ts";

const PAGE = 4096;

/** 1 MiB of low memory from pfn 16 on, and 2 MiB of HighMem. */
function withHighMem(kmapSlots: number): { m: Memory; ram: Uint8Array } {
  const ram = new Uint8Array(768 * PAGE);
  const m = bootMemory({
    zones: [
      { name: "Normal", startPfn: 16, pages: 256 },
      { name: "HighMem", startPfn: 272, pages: 512 },
    ],
    minFreeKbytes: 0,
    bytes: ram,
    bytesPfn: 16,
    kmapSlots,
  });
  return { m, ram };
}

test("a view is the caller's RAM at the page's place", () => {
  const { m, ram } = withHighMem(4);
  const pfn = allocPages(m, GFP_KERNEL, 2);
  const view = bytesOf(m, pfn, 2);
  assert.equal(view.length, 4 * PAGE);
  view.fill(7);
  assert.equal(ram.indexOf(7), (pfn - 16) * PAGE);
  assert.equal(ram.lastIndexOf(7), (pfn - 12) * PAGE - 1);
});

test("__GFP_ZERO zeroes all of the block and nothing else, HighMem too", () => {
  const { m, ram } = withHighMem(4);
  for (const zone of [0, __GFP_HIGHMEM]) {
    for (const order of [0, 3, 5]) {
      ram.fill(0xee);
      const pfn = allocPages(m, GFP_KERNEL | zone | __GFP_ZERO, order);
      const start = (pfn - 16) * PAGE;
      const end = start + PAGE * 2 ** order;
      assert.ok(ram.subarray(start, end).every((byte) => byte === 0));
      assert.equal(ram.filter((byte) => byte === 0).length, end - start);
      ram.fill(0xee);
      freePages(m, pfn, order);
      freePages(m, allocPages(m, GFP_KERNEL | zone, order), order);
      assert.ok(
        ram.every((byte) => byte === 0xee),
        "without the flag bytes stay",
      );
    }
  }
});

test("bytes are refused for HighMem, foreign pfns and memories without", () => {
  const { m } = withHighMem(4);
  assert.throws(() => bytesOf(m, 300, 0), /use kmap/);
  assert.throws(() => bytesOf(m, 5, 0), /not in this memory/);
  assert.throws(() => bytesOf(m, 16, 11), /order out of range/);
  const bare = bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages: 64 }] });
  assert.throws(() => bytesOf(bare, 0, 0), /no bytes/);
  assert.throws(() => kmap(bare, 99), /not in this memory/);
});

test("places that a source does not hold give no view", () => {
  const source = new Uint8Array(new ArrayBuffer(10 * PAGE), PAGE, 8 * PAGE);
  const place = { offset: 0, firstPfn: 0, endPfn: 8, pageSize: PAGE };
  assert.equal(viewPages(source, place)?.byteOffset, PAGE);
  assert.equal(viewPages(source, { ...place, endPfn: 9 }), null);
  assert.equal(viewPages(source, { ...place, offset: -1 }), null);
  assert.equal(viewPages(source, { ...place, offset: Number.NaN }), null);
  const high = { offset: -(2 ** 40), firstPfn: 2 ** 28, endPfn: 2 ** 28 + 8, pageSize: PAGE };
  assert.equal(viewPages(source, high)?.byteLength, 8 * PAGE);
});

test("a page keeps its slot while it is mapped, and its bytes are the page's", () => {
  const { m, ram } = withHighMem(4);
  const pfn = allocPages(m, GFP_KERNEL | __GFP_HIGHMEM, 0);
  const view = kmap(m, pfn);
  assert.ok(view !== null);
  view[5] = 99;
  assert.equal(ram[(pfn - 16) * PAGE + 5], 99);
  const slot = kmapSlot(m, pfn);
  assert.deepEqual(kmap(m, pfn), view);
  assert.deepEqual([kmapCount(m, pfn), kmapSlot(m, pfn)], [2, slot]);
  kunmap(m, pfn);
  kunmap(m, pfn);
  assert.deepEqual([kmapCount(m, pfn), kmapSlot(m, pfn)], [0, slot], "not flushed yet");
  assert.throws(() => kunmap(m, pfn), /not mapped/);
});

test("low memory needs no slot", () => {
  const { m } = withHighMem(1);
  for (let pfn = 16; pfn < 30; pfn++) assert.equal(kmap(m, pfn)?.length, PAGE);
  kunmap(m, 16);
  assert.deepEqual([kmapCount(m, 16), kmapSlot(m, 16)], [0, -1]);
});

test("the pool holds 1024 pages, 512 with PAE, and then no more", () => {
  for (const [slots, given] of [
    [1024, undefined],
    [512, 512],
  ]) {
    const pages = 2000;
    const m = bootMemory({
      zones: [
        { name: "Normal", startPfn: 0, pages: 64 },
        { name: "HighMem", startPfn: 64, pages },
      ],
      bytes: new Uint8Array((64 + pages) * PAGE),
      ...(given === undefined ? {} : { kmapSlots: given }),
    });
    let mapped = 0;
    while (kmap(m, 64 + mapped) !== null) mapped++;
    assert.equal(mapped, slots);
    kunmap(m, 64 + 100);
    assert.ok(kmap(m, 64 + mapped) !== null);
    assert.equal(kmapSlot(m, 64 + 100), -1);
    assert.equal(kmap(m, 64 + mapped + 1), null);
  }
});

/** The pool by the book: slots, counts, and a search that flushes when it comes round. */
class PoolTwin {
  readonly pages: (number | null)[];
  readonly counts: number[];
  last = 0;

  constructor(slots: number) {
    this.pages = Array.from({ length: slots }, () => null);
    this.counts = Array.from({ length: slots }, () => 0);
  }

  map(pfn: number): boolean {
    let slot = this.pages.indexOf(pfn);
    for (let left = this.pages.length; slot < 0 && left > 0; left--) {
      this.last = (this.last + 1) % this.pages.length;
      if (this.last === 0) {
        this.counts.forEach((count, at) => {
          if (count === 0) this.pages[at] = null;
        });
        left = this.pages.length;
      }
      if (this.pages[this.last] === null) slot = this.last;
    }
    if (slot < 0) return false;
    this.pages[slot] = pfn;
    this.counts[slot] = (this.counts[slot] ?? 0) + 1;
    return true;
  }

  unmap(pfn: number): void {
    const slot = this.pages.indexOf(pfn);
    this.counts[slot] = (this.counts[slot] ?? 0) - 1;
  }
}

test("slots are found as the kernel finds them, across snapshots", () => {
  const program = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 272, max: 290 })), {
    maxLength: 120,
  });
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 4, 8), program, (slots, steps) => {
      const { m } = withHighMem(slots);
      const twin = new PoolTwin(slots);
      steps.forEach(([mapping, pfn], at) => {
        if (mapping) assert.equal(kmap(m, pfn) !== null, twin.map(pfn));
        else if (kmapCount(m, pfn) > 0) {
          kunmap(m, pfn);
          twin.unmap(pfn);
        }
        if (at % 16 === 0) assert.equal(restore(m.image, snapshot(m.image)), null);
        for (let page = 272; page <= 290; page++) {
          const slot = twin.pages.indexOf(page);
          assert.deepEqual([kmapSlot(m, page), kmapCount(m, page)], [slot, twin.counts[slot] ?? 0]);
        }
      });
    }),
    { numRuns: 60 },
  );
});

test("all of HighMem is had before low memory is", () => {
  const { m } = withHighMem(4);
  const taken: number[] = [];
  for (let pfn = 0; pfn !== NO_PFN; ) {
    pfn = allocPages(m, GFP_KERNEL | __GFP_HIGHMEM, 0);
    if (pfn !== NO_PFN) taken.push(pfn);
  }
  assert.ok(taken.slice(0, 512).every((pfn) => pfn >= 272));
  assert.ok(taken.slice(512).every((pfn) => pfn < 272));
});
