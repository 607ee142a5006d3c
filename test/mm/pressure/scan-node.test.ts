// Goal: a scan ends, goes on in proportion, or begins again for a larger block by its kernel's rules.
// Method: lists of clean pages that all go, of known sizes, one look at them, and what is left.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addOwner,
  allocPages,
  newPage,
  ownPages,
  type Pages,
  pinPage,
  runKswapd,
  touchPage,
  usePages,
} from "../../../src/mm/index.ts";
import { throttleDirectReclaim, wakeKswapd } from "../../../src/mm/pressure/kswapd.ts";
import { addLru, lruHead, removeLru } from "../../../src/mm/pressure/lru.ts";
import {
  L_ACTIVE,
  L_ANON,
  L_INACTIVE,
  N_ANON_COST,
  N_FAILURES,
  N_KSWAPD_HIGHEST,
  N_KSWAPD_LAST,
  PG_ACTIVE,
  PG_DIRTY,
} from "../../../src/mm/pressure/pages.ts";
import { reclaimRule } from "../../../src/mm/pressure/rule.ts";
import { newControl, type ScanControl, shrinkActive } from "../../../src/mm/pressure/scan.ts";
import { shrinkNode } from "../../../src/mm/pressure/scan-node.ts";
import {
  LRU_LISTS,
  Z_BOOST,
  Z_FREE,
  Z_HIGH,
  Z_INDEX,
  Z_LOW,
  Z_MIN,
  Z_PAGES_SCANNED,
} from "../../../src/mm/words.ts";
import { DMA, NORMAL, setWord, small, word } from "../../support/pressure-pages.ts";

const CALLER = { mayIo: true, mayFs: true, triesHard: false };

function zonesOf(pages: Pages): number[] {
  return pages.rule.lists === "node" ? [DMA, NORMAL] : [NORMAL];
}

function size(pages: Pages, list: number): number {
  return pages.lru[NORMAL * LRU_LISTS + list] ?? 0;
}

/** Clean blocks of an owner who gives up all; the first `active` of them were used twice. */
function files(pages: Pages, count: number, active = 0, gives = true): void {
  const owner = addOwner(pages, { name: "files", mayFree: () => gives });
  for (let i = 0; i < count; i++) {
    const pfn = allocPages(pages.m, pages.gfp, 0);
    ownPages(pages, pfn, owner);
    for (let use = 0; use < 2 && i < active; use++) usePages(pages, pfn);
  }
}

/** Clean anonymous pages that have their slots, all inactive. */
function anons(pages: Pages, count: number): void {
  for (let i = 0; i < count; i++) {
    const handle = newPage(pages, pages.gfp, "anon");
    const row = pages.place[handle] ?? 0;
    removeLru(pages, row);
    pages.flags[row] = (pages.flags[row] ?? 0) & ~(PG_DIRTY | PG_ACTIVE);
    addLru(pages, row);
    pages.slot[handle] = 1;
  }
}

function shrink(pages: Pages, change: Partial<ScanControl>, kswapd = true): ScanControl {
  const control = { ...newControl(0, 15, kswapd ? null : CALLER), ...change };
  shrinkNode(pages, zonesOf(pages), control);
  return control;
}

test("once enough is freed, the rest is in proportion: never, once, or till one kind is done", () => {
  // 225 * 0.7 = 157 and 275 * 0.7 = 192 file pages, 225 * 0.3 = 67 anonymous ones. After 32 of each 35
  // of 68 anonymous ones are left, 51 %: 157 * 0.49 - 32 = 44 and 192 * 0.49 - 32 = 62 file pages more.
  for (const [era, anon, file, active] of [
    ["6.1", 32, 64, 64],
    ["5.10", 32, 76, 94],
  ] as const) {
    const pages = small(era);
    files(pages, 2000, 1100);
    anons(pages, 900);
    shrink(pages, { priority: 2, toReclaim: 32 });
    const left = [size(pages, L_ANON + L_INACTIVE), size(pages, L_ACTIVE)];
    assert.deepEqual(left, [900 - anon, 1100 - active], era);
    assert.equal(size(pages, L_INACTIVE), 900 - file + active, era);
  }
  const pages = small("3.10");
  files(pages, 2000, 1100);
  anons(pages, 900);
  assert.equal(shrink(pages, { priority: 2, toReclaim: 32 }).reclaimed, 64);
});

test("the kind of which more is left is let off the less: file pages, where these are fewer", () => {
  const pages = small("6.1", { swappiness: 150 });
  files(pages, 600, 310);
  anons(pages, 1600);
  // 400 * 0.75 = 300 anonymous, 72 * 0.25 = 18 and 77 * 0.25 = 19 file pages. The first round takes all
  // file pages: one kind is done.
  shrink(pages, { priority: 2, toReclaim: 32 });
  assert.equal(size(pages, L_ANON + L_INACTIVE), 1600 - 32);
  const more = small("6.1", { swappiness: 150 });
  files(more, 1200, 620);
  anons(more, 3200);
  // 600 anonymous, 36 and 38 file pages; after 32 of each 10 of 75 file pages are left, 13 %:
  // 600 * 0.87 - 32 = 490 anonymous ones more.
  shrink(more, { priority: 2, toReclaim: 32 });
  assert.equal(size(more, L_ANON + L_INACTIVE), 3200 - 64, "the second round ends it");
});

test("a request's first look goes to its end; later ones, and kswapd's, stop at what is wanted", () => {
  for (const [kswapd, priority, freed] of [
    [false, 12, 100],
    [false, 11, 32],
    [true, 12, 32],
  ] as const) {
    for (const era of ["3.10", "6.1"]) {
      const pages = small(era);
      files(pages, 400);
      // As if there were many more.
      pages.lru[NORMAL * LRU_LISTS + L_INACTIVE] = (100 << priority) + 400;
      const { reclaimed } = shrink(pages, { priority, toReclaim: 32 }, kswapd);
      const isOld = era === "3.10" && priority === 12;
      assert.equal(reclaimed, isOld ? 100 : freed, `${era} ${kswapd} ${priority}`);
    }
  }
});

/** No zone is fit for compaction. */
function unfit(pages: Pages): void {
  for (const zone of [DMA, NORMAL])
    for (const mark of [Z_LOW, Z_MIN]) setWord(pages.m, zone, mark, 9999);
}

test("reclaim for a costly block goes on while compaction cannot begin, and pages go", () => {
  const freed = (
    era: string,
    change: Partial<ScanControl>,
    isFit: boolean,
    migration = true,
  ): number => {
    const pages = small(era, { migration, slots: 0 });
    files(pages, 1000);
    if (!isFit) unfit(pages);
    return shrink(pages, { priority: 6, order: 4, ...change }).reclaimed;
  };
  // 15, 15, 15, …, 1: as long as a 64th of the list is a page.
  assert.equal(freed("6.1", {}, false), 1000 - 63);
  assert.equal(freed("6.1", {}, true), 15);
  assert.equal(freed("6.1", {}, false, false), 15);
  assert.equal(freed("6.1", { order: 0 }, false), 15);
  // Up to 4.19 first twice the block: 15 + 15 + 15 of 32.
  assert.equal(freed("4.19", {}, true), 45);
  assert.equal(freed("4.19", {}, false), 1000 - 63);
  // Not more than what is to be left is inactive then: 15, 15, 15, …, 8.
  assert.equal(freed("6.1", { order: 8 }, false), 493);
  assert.equal(freed("4.19", { order: 8 }, true), 493);
  // Blocks that are not costly only in need.
  for (const era of ["6.1", "3.10"]) {
    assert.equal(freed(era, { order: 3, priority: 10 }, false), 0);
    assert.equal(freed(era, { order: 3, priority: 9 }, false), 1000 - 511);
  }
});

test("up to 4.19 who tries hard goes on though nothing goes, once through the list", () => {
  for (const [era, triesHard, scanned] of [
    ["4.19", true, 300],
    ["4.19", false, 75],
    ["5.4", true, 75],
  ] as const) {
    const pages = small(era, { slots: 0 });
    const handles = Array.from({ length: 300 }, () => newPage(pages, pages.gfp, "file"));
    for (const handle of handles) pinPage(pages, handle);
    for (const handle of handles) {
      const row = pages.place[handle] ?? 0;
      removeLru(pages, row);
      pages.flags[row] = PG_DIRTY;
      addLru(pages, row);
    }
    unfit(pages);
    const control = shrink(pages, { priority: 2, order: 4, triesHard }, false);
    assert.deepEqual([control.scanned, control.reclaimed], [scanned, 0], era);
  }
});

test("a page that is freed makes the node worth a look again", () => {
  for (const [count, failures] of [
    [0, 7],
    [40, 0],
  ] as const) {
    const pages = small("6.1");
    files(pages, count);
    pages.node[N_FAILURES] = 7;
    shrink(pages, { priority: 2 });
    assert.equal(pages.node[N_FAILURES], failures);
  }
});

test("what was written for anonymous pages is their cost", () => {
  const pages = small("6.1");
  for (let i = 0; i < 400; i++) newPage(pages, pages.gfp, "anon");
  shrink(pages, { priority: 4, toReclaim: 10 });
  assert.equal(pages.counts.pswpout, 7);
  assert.equal(pages.node[N_ANON_COST], 7);
});

test("looks count towards a zone, a node, or not at all", () => {
  for (const [era, counts] of [
    ["3.10", [0, 50]],
    ["4.9", [50, 50]],
    ["4.19", [0, 0]],
  ] as const) {
    const pages = small(era, { slots: 0 });
    files(pages, 200, 0, false);
    shrink(pages, { priority: 2, toReclaim: 1000 });
    const scanned = [DMA, NORMAL].map((zone) => word(pages.m, zone, Z_PAGES_SCANNED));
    assert.deepEqual(scanned, counts, era);
  }
});

test("where file pages alone were looked at in vain, that is told", () => {
  for (const [gives, failed] of [
    [true, false],
    [false, true],
  ] as const) {
    const pages = small("6.12");
    files(pages, 200, 0, gives);
    anons(pages, 10);
    assert.equal(shrink(pages, { priority: 2 }).trimFailed, failed);
  }
  const none = small("6.12");
  anons(none, 10);
  assert.equal(shrink(none, { priority: 12 }).trimFailed, false);
});

test("below half of the min marks a request waits; zones without a page to reclaim count by era", () => {
  const waits = (era: string, prepare: (pages: Pages) => void): boolean => {
    const pages = small(era, { slots: 0 });
    for (const zone of [DMA, NORMAL]) setWord(pages.m, zone, Z_MIN, 100);
    prepare(pages);
    throttleDirectReclaim(pages, [NORMAL, DMA]);
    return pages.counts.pgscanDirectThrottle === 1;
  };
  const free = (pages: Pages, dma: number, normal: number): void => {
    setWord(pages.m, DMA, Z_FREE, dma);
    setWord(pages.m, NORMAL, Z_FREE, normal);
  };
  for (const era of ["3.10", "4.9", "4.19", "6.1", "6.18"]) {
    // One page to reclaim, in Normal; Normal has more than its half, DMA nothing.
    const dry = waits(era, (pages) => {
      files(pages, 1, 0, false);
      free(pages, 0, 51);
    });
    assert.equal(dry, era !== "4.19" && era !== "6.1", era);
    const wet = waits(era, (pages) => {
      files(pages, 1, 0, false);
      free(pages, 200, 50);
    });
    assert.equal(wet, era === "4.19" || era === "6.18", era);
    const nothing = waits(era, (pages) => free(pages, 0, 0));
    assert.equal(nothing, era === "3.10" || era === "6.18", era);
  }
  assert.equal(
    waits("2.6.39", (pages) => free(pages, 0, 0)),
    false,
  );
  assert.equal(
    waits("3.10", (pages) => free(pages, 50, 51)),
    false,
    "101 of 200",
  );
  assert.equal(
    waits("3.10", (pages) => free(pages, 50, 50)),
    true,
    "100 of 200",
  );
});

test("who waits has kswapd look at what it may use, up to Normal", () => {
  const pages = small("6.1", { slots: 0 });
  files(pages, 1, 0, false);
  for (const zone of [DMA, NORMAL]) setWord(pages.m, zone, Z_FREE, 0);
  pages.node[N_KSWAPD_HIGHEST] = 15;
  throttleDirectReclaim(pages, [NORMAL, DMA]);
  assert.equal(pages.counts.kswapdWakes, 1);
  assert.equal(pages.node[N_KSWAPD_LAST], word(pages.m, NORMAL, Z_INDEX));
  // In vain: sixteen runs, and it is given up.
  assert.equal(pages.node[N_FAILURES], 16);
  throttleDirectReclaim(pages, [NORMAL, DMA]);
  assert.equal(pages.counts.pgscanDirectThrottle, 1);
});

test("kernels whose reclaim is not there are refused by name", () => {
  assert.throws(() => reclaimRule("2.4"), /no rules of 2\.4/);
  assert.equal(reclaimRule("2.6.11").lists, "zone");
  assert.equal(word(small("6.1").m, NORMAL, Z_INDEX) > word(small("6.1").m, DMA, Z_INDEX), true);
  assert.ok(word(small("6.1").m, NORMAL, Z_HIGH) > 0);
});

test("a boost takes no anonymous page, clean or not", () => {
  const pages = small("6.1");
  anons(pages, 5000);
  setWord(pages.m, NORMAL, Z_BOOST, 50);
  wakeKswapd(pages, NORMAL, 0, word(pages.m, NORMAL, Z_INDEX), true);
  assert.equal(runKswapd(pages)[0]?.reclaimed, 0);
  assert.equal(pages.counts.pgscanKswapd, 0);
});

test("a block that is not costly is gone on for below priority 10 only", () => {
  const pages = small("6.1", { slots: 0 });
  files(pages, 3000);
  unfit(pages);
  assert.equal(shrink(pages, { priority: 10, order: 3 }).reclaimed, 2);
});

test("5.4: looks at active pages count, and those that were used", () => {
  const pages = small("5.4");
  const handles = Array.from({ length: 40 }, () => newPage(pages, pages.gfp, "anon"));
  for (const handle of handles.slice(0, 10)) touchPage(pages, handle, false);
  const head = lruHead(pages, NORMAL, L_ANON + L_ACTIVE);
  const look = shrinkActive(pages, head, 32, 15, () => false);
  assert.deepEqual(look, { scanned: 32, taken: 32, rotated: 10 });
});
