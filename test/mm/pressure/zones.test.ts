// Goal: reclaim as it was while lists were the zones': up to 2.6.27 two of them, up to 4.7 four. Method:
// small machines with lists and counts as a rule wants them, in both and in what changed between them.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addOwner,
  allocPages,
  dropPage,
  ownPages,
  pinPage,
  runKswapd,
} from "../../../src/mm/index.ts";
import { requestOf } from "../../../src/mm/memory.ts";
import { isSplitBalanced } from "../../../src/mm/pressure/balance-zones.ts";
import { tryToFreePages } from "../../../src/mm/pressure/direct.ts";
import { wakeKswapd } from "../../../src/mm/pressure/kswapd.ts";
import { addLru, removeLru } from "../../../src/mm/pressure/lru.ts";
import { PG_ACTIVE, PG_MLOCKED, PG_YOUNG } from "../../../src/mm/pressure/pages.ts";
import { newControl } from "../../../src/mm/pressure/scan.ts";
import { shrinkNode } from "../../../src/mm/pressure/scan-node.ts";
import { shrinkZone } from "../../../src/mm/pressure/scan-zone.ts";
import {
  Z_ALL_UNRECLAIMABLE,
  Z_FREE,
  Z_LOW,
  Z_PAGES_SCANNED,
  Z_PREV_PRIORITY,
  Z_SCAN_INACTIVE,
} from "../../../src/mm/words.ts";
import {
  DMA,
  free,
  index,
  make,
  NORMAL,
  owned,
  setWord,
  small,
  wake,
  word,
} from "../../support/pressure-pages.ts";

const SPLIT = ["2.6.39", "3.10"];

for (const era of SPLIT) {
  test(`${era}: every zone is to be balanced, or unreclaimable`, () => {
    const pages = small(era, { slots: 0 });
    setWord(pages.m, DMA, Z_FREE, word(pages.m, DMA, Z_LOW) - 1);
    wakeKswapd(pages, DMA, 0, index(pages, NORMAL), true);
    const [run] = runKswapd(pages);
    // Nothing to reclaim: six times nothing was looked at.
    assert.deepEqual([run?.sleeps, word(pages.m, DMA, Z_ALL_UNRECLAIMABLE)], [true, 1]);
    assert.equal(word(pages.m, NORMAL, Z_ALL_UNRECLAIMABLE), 0);
  });

  test(`${era}: a zone below its low mark wakes it, though all others are balanced`, () => {
    const pages = small(era);
    wake(pages);
    assert.deepEqual(runKswapd(pages), []);
    setWord(pages.m, DMA, Z_FREE, word(pages.m, DMA, Z_LOW) - 1);
    wakeKswapd(pages, DMA, 0, index(pages, NORMAL), true);
    assert.equal(runKswapd(pages).length, 1);
  });

  test(`${era}: looks count towards the zone, and a page that comes back clears the count`, () => {
    const pages = small(era, { slots: 0 });
    const handles = make(pages, "file", 2000);
    for (const handle of handles) pinPage(pages, handle);
    const control = newControl(0, 15, null);
    control.priority = 0;
    shrinkNode(pages, [NORMAL], control);
    assert.ok(word(pages.m, NORMAL, Z_PAGES_SCANNED) >= 1000);
    for (const handle of handles) {
      const row = pages.place[handle] ?? 0;
      pages.pins[row] = 0;
      dropPage(pages, handle);
    }
    assert.equal(word(pages.m, NORMAL, Z_PAGES_SCANNED), 0);
  });
}

test("2.6.11: a scan ends with its first cluster; 2.6.18's goes to its end", () => {
  for (const [era, isShort] of [
    ["2.6.11", true],
    ["2.6", false],
  ] as const) {
    const pages = small(era);
    const gone = owned(pages, 4000);
    const request = requestOf(pages.m, 0xd0);
    // Priority 12 to 7 owe less than a cluster; 6 is 4000 / 64.
    const freed = tryToFreePages(pages, 0xd0, 0, (request >> 4) & 0xf, request >> 8);
    assert.equal(gone.length, freed);
    assert.equal(freed < 64, isShort, `${era} ${freed}`);
  }
});

test("2.6.18: passes that free less than a cluster add up", () => {
  for (const [era, progress] of [
    ["2.6.11", false],
    ["2.6", true],
  ] as const) {
    const pages = small(era);
    // One page in three goes.
    const owner = addOwner(pages, { name: "some", mayFree: (pfn) => pfn % 3 === 0 });
    for (let i = 0; i < 120; i++) ownPages(pages, allocPages(pages.m, 0xd0, 0), owner);
    const request = requestOf(pages.m, 0xd0);
    const freed = tryToFreePages(pages, 0xd0, 0, (request >> 4) & 0xf, request >> 8);
    assert.equal(freed > 0, progress, `${era} ${freed}`);
  }
});

test("3.10: larger blocks are wanted in the lowest of the zones asked for, single pages in any", () => {
  const asked = (...calls: readonly (readonly [order: number, zone: number])[]): number => {
    const pages = small("3.10", { slots: 0 });
    free(pages, Z_LOW, -1);
    for (const [order, zone] of calls) {
      wakeKswapd(pages, NORMAL, order, index(pages, zone), true);
    }
    return (runKswapd(pages)[0]?.highest ?? -1) - index(pages, DMA);
  };
  const normal = index(small("3.10"), NORMAL) - index(small("3.10"), DMA);
  assert.ok(asked([0, DMA]) > normal);
  assert.equal(asked([2, DMA]), 0);
  assert.equal(asked([2, NORMAL]), normal);
  assert.equal(asked([2, NORMAL], [3, DMA]), 0);
  assert.equal(asked([2, DMA], [3, NORMAL]), 0);
  assert.equal(asked([2, NORMAL], [2, DMA]), normal);
  assert.equal(asked([2, NORMAL], [1, DMA]), normal);
});

test("3.10: as long as a zone was not given up there is hope", () => {
  const pages = small("3.10", { slots: 0 });
  const request = requestOf(pages.m, pages.gfp);
  const reclaim = (): number =>
    tryToFreePages(pages, pages.gfp, 0, (request >> 4) & 0xf, request >> 8);
  assert.equal(reclaim(), 1);
  setWord(pages.m, DMA, Z_ALL_UNRECLAIMABLE, 1);
  assert.equal(reclaim(), 1);
  setWord(pages.m, NORMAL, Z_ALL_UNRECLAIMABLE, 1);
  assert.equal(reclaim(), 0);
});

test("2.6: mapped pages leave the active list in need only, and where they can go", () => {
  for (const { slots, distress, young, locked, left } of [
    { slots: 64, distress: false, young: false, locked: false, left: [0, 60] },
    { slots: 64, distress: true, young: false, locked: false, left: [0, 0] },
    { slots: 64, distress: true, young: true, locked: false, left: [0, 59] },
    { slots: 0, distress: true, young: false, locked: false, left: [0, 60] },
    { slots: 64, distress: false, young: false, locked: true, left: [60, 60] },
    { slots: 64, distress: true, young: false, locked: true, left: [0, 0] },
  ] as const) {
    const pages = small("2.6", { slots });
    const all = { file: make(pages, "file", 60), anon: make(pages, "anon", 60) };
    for (const kind of ["file", "anon"] as const) {
      for (const handle of all[kind]) {
        const row = pages.place[handle] ?? 0;
        removeLru(pages, row);
        const lock = locked && kind === "file" ? PG_MLOCKED : 0;
        const use = young ? PG_YOUNG : 0;
        pages.flags[row] = (pages.flags[row] ?? 0) | PG_ACTIVE | lock | use;
        addLru(pages, row);
      }
    }
    const control = newControl(0, 15, null);
    setWord(pages.m, NORMAL, Z_PREV_PRIORITY, distress ? 0 : 12);
    control.priority = 0;
    control.mayWrite = false;
    shrinkZone(pages, NORMAL, control);
    const active = (handles: readonly number[]): number =>
      handles.filter((own) => ((pages.flags[pages.place[own] ?? 0] ?? 0) & PG_ACTIVE) !== 0).length;
    // A list that owes one look more than it has pages has its first page looked at twice.
    const file = young ? 0 : left[0];
    assert.deepEqual([active(all.file), active(all.anon)], [file, left[1]], `${slots} ${distress}`);
  }
});

test("2.6: a scan takes a share of each list, and what is owed; its looks count, in 2.6.11 one more", () => {
  for (const [era, more] of [
    ["2.6.11", 1],
    ["2.6", 0],
  ] as const) {
    const pages = small(era);
    owned(pages, 100);
    const control = newControl(0, 15, null);
    control.priority = 3;
    const owes = (): number => word(pages.m, NORMAL, Z_SCAN_INACTIVE);
    shrinkZone(pages, NORMAL, control);
    assert.deepEqual([owes(), control.scanned], [13, 0]);
    shrinkZone(pages, NORMAL, control);
    assert.deepEqual([owes(), control.scanned], [26, 0]);
    shrinkZone(pages, NORMAL, control);
    // 39 pages: a cluster, and in 2.6.18 the next one too, whole.
    assert.deepEqual([owes(), control.scanned], [0, more === 1 ? 32 : 64]);
    assert.equal(pages.counts.pgscanKswapd, control.scanned);
  }
  const stuck = small("2.6.11");
  owned(stuck, 40);
  stuck.pins.fill(1);
  const control = newControl(0, 15, null);
  control.priority = 0;
  shrinkZone(stuck, NORMAL, control);
  assert.equal(word(stuck.m, NORMAL, Z_PAGES_SCANNED), 2 * (32 + 1));
});

test("3.10: for a larger block zones of a quarter of the memory are enough, for single pages all", () => {
  const balanced = (order: number, dma: boolean, normal: boolean): boolean => {
    const pages = small("3.10");
    if (!dma) setWord(pages.m, DMA, Z_FREE, 0);
    if (!normal) setWord(pages.m, NORMAL, Z_FREE, 0);
    return isSplitBalanced(pages, [DMA, NORMAL], order, index(pages, NORMAL));
  };
  assert.deepEqual(
    [balanced(0, true, true), balanced(0, false, true), balanced(0, true, false)],
    [true, false, false],
  );
  // DMA has an eighth.
  assert.deepEqual(
    [balanced(1, true, true), balanced(1, false, true), balanced(1, true, false)],
    [true, true, false],
  );
});
