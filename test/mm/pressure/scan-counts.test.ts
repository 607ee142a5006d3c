// Goal: how much of each list a scan is for. Method: counts of lists, marks and costs written into a
// small machine, and the shares that each era's get_scan_count() makes of them, by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pages } from "../../../src/mm/index.ts";
import {
  L_ACTIVE,
  L_ANON,
  L_INACTIVE,
  N_ANON_COST,
  N_FILE_COST,
  R_ROTATED,
  R_SCANNED,
  RECLAIM_WORDS,
} from "../../../src/mm/pressure/pages.ts";
import { newControl, type ScanControl } from "../../../src/mm/pressure/scan.ts";
import {
  inactiveIsLow,
  isUnreclaimable,
  noteCost,
  scanCounts,
  zoneReclaimable,
} from "../../../src/mm/pressure/scan-counts.ts";
import {
  LRU_LISTS,
  Z_ALL_UNRECLAIMABLE,
  Z_BOOST,
  Z_FREE,
  Z_HIGH,
  Z_INDEX,
  Z_MANAGED,
  Z_PAGES_SCANNED,
} from "../../../src/mm/words.ts";
import {
  DMA,
  NORMAL,
  type SmallOptions,
  setWord,
  small,
  word,
} from "../../support/pressure-pages.ts";

const BOTH = [DMA, NORMAL];

/** Lists of zone Normal: file active, file inactive, anonymous active, anonymous inactive. */
function machine(era: string, lists: readonly number[], options: SmallOptions = {}): Pages {
  const pages = small(era, options);
  lists.forEach((size, list) => {
    pages.lru[NORMAL * LRU_LISTS + list] = size;
  });
  return pages;
}

function zonesOf(pages: Pages): number[] {
  return pages.rule.lists === "node" ? BOTH : [NORMAL];
}

function counts(pages: Pages, change: Partial<ScanControl> = {}): number[] {
  const control = { ...newControl(0, 15, null), priority: 0, ...change };
  const zones = zonesOf(pages);
  return scanCounts(pages, zones, control, (kind) => inactiveIsLow(pages, zones, kind, 15));
}

/** More active than inactive of both kinds, so that both take part. */
const SHORT = [600, 200, 600, 200];

test("without swap, without room in it, or where it may not be used, file pages alone", () => {
  const expected = [600, 200, 0, 0];
  assert.deepEqual(counts(machine("6.1", SHORT, { slots: 0 })), expected);
  assert.deepEqual(counts(machine("6.1", SHORT), { maySwap: false }), expected);
  const pages = machine("6.1", SHORT, { slots: 1 });
  pages.store?.write(null);
  assert.deepEqual(counts(pages), expected);
});

test("a list's share falls by half with each priority", () => {
  const pages = machine("6.1", SHORT, { slots: 0 });
  assert.deepEqual(counts(pages, { priority: 3 }), [75, 25, 0, 0]);
  assert.deepEqual(counts(pages, { priority: 12 }), [0, 0, 0, 0]);
});

test("pages of zones that are too high do not count", () => {
  const pages = machine("6.1", SHORT, { slots: 0 });
  pages.lru[DMA * LRU_LISTS + L_INACTIVE] = 40;
  assert.deepEqual(counts(pages), [600, 240, 0, 0]);
  assert.deepEqual(counts(pages, { reclaimIdx: word(pages.m, DMA, Z_INDEX) }), [0, 40, 0, 0]);
});

test("at priority 0 both kinds whole; not without swappiness, but in 2.6.39", () => {
  assert.deepEqual(counts(machine("6.1", SHORT)), SHORT);
  assert.deepEqual(counts(machine("6.1", SHORT, { swappiness: 0 })), [600, 200, 0, 0]);
  assert.deepEqual(counts(machine("2.6.39", SHORT, { swappiness: 0 })), SHORT);
});

test("costs share the work: what was written dearly is looked at less", () => {
  const pages = machine("6.1", [640, 320, 640, 320]);
  // 60 parts of 200 at equal costs: both weights count 2 * cost + 1 in 4 * cost + 1.
  assert.deepEqual(counts(pages, { priority: 1 }), [224, 112, 96, 48]);
  pages.node[N_ANON_COST] = 30;
  pages.node[N_FILE_COST] = 10;
  // anon 40 + 30, file 40 + 10: 60 * 121 / 71 = 102 and 140 * 121 / 51 = 332 of 434.
  assert.deepEqual(counts(pages, { priority: 1 }), [244, 122, 75, 37]);
});

test("up to 5.4 what was used again shares the work", () => {
  for (const [era, expected] of [
    // 60 * 41 / 11 = 223 and 140 * 21 / 2 = 1470 of 1694; 2.6.39 has 61 and 141: 227, 1480 of 1708.
    ["4.19", [277, 138, 42, 21]],
    ["5.4", [278, 139, 43, 22]],
    ["3.10", [277, 138, 42, 21]],
    ["2.6.39", [277, 138, 42, 0]],
  ] as const) {
    const pages = machine(era, [640, 320, 640, 320]);
    const words = (pages.rule.lists === "node" ? DMA : NORMAL) * RECLAIM_WORDS;
    pages.reclaim.set([20, 40, 1, 10], words + R_SCANNED);
    assert.deepEqual(counts(pages, { priority: 1 }), expected, era);
    assert.equal(pages.reclaim[words + R_ROTATED], 1, era);
  }
});

test("what was looked at long ago counts half", () => {
  const pages = machine("5.4", [640, 320, 640, 320]);
  pages.reclaim.set([241, 240, 8, 8], R_SCANNED);
  counts(pages, { priority: 1 });
  assert.deepEqual([...pages.reclaim.subarray(R_SCANNED, R_SCANNED + 4)], [120, 240, 4, 8]);
});

test("2.6.39: less than a cluster is owed till next time", () => {
  const pages = machine("2.6.39", [0, 160, 0, 0], { slots: 0 });
  const rounds = [1, 2, 3].map(() => counts(pages, { priority: 3 })[L_INACTIVE]);
  assert.deepEqual(rounds, [0, 40, 0]);
});

test("few file pages: anonymous ones alone, up to 4.9 always, then if enough of them are inactive", () => {
  const tiny = (era: string, inactive: number): number[] => {
    const pages = machine(era, [8, 4, 600, inactive]);
    const zones = zonesOf(pages);
    for (const zone of BOTH) {
      setWord(pages.m, zone, Z_FREE, 0);
      setWord(pages.m, zone, Z_HIGH, zone === NORMAL ? 12 : 0);
    }
    assert.equal(inactiveIsLow(pages, zones, L_ANON, 15), inactive < 600);
    return counts(pages, { priority: 1 });
  };
  for (const era of ["2.6.39", "3.10", "4.9", "4.19", "6.1"]) {
    assert.deepEqual(tiny(era, 600), [0, 0, 300, 300], era);
    const isAlone = ["2.6.39", "3.10", "4.9"].includes(era);
    assert.equal(tiny(era, 200)[L_ACTIVE] === 0 && isAlone, isAlone, era);
  }
  const pages = machine("6.1", [8, 4, 600, 600]);
  for (const zone of BOTH) setWord(pages.m, zone, Z_FREE, 0);
  for (const [high, boost, isAlone] of [
    [11, 0, false],
    [11, 1, true],
  ] as const) {
    setWord(pages.m, NORMAL, Z_HIGH, high);
    setWord(pages.m, DMA, Z_HIGH, 0);
    setWord(pages.m, NORMAL, Z_BOOST, boost);
    assert.equal((counts(pages, { priority: 1 })[L_ACTIVE] ?? 0) === 0, isAlone);
  }
  // No inactive one at this priority: as usual.
  const single = machine("6.1", [8, 4, 1, 1]);
  for (const zone of BOTH) setWord(single.m, zone, Z_FREE, 0);
  assert.ok((counts(single, { priority: 1 })[L_ACTIVE] ?? 0) > 0);
});

test("enough inactive file pages: they alone, from 4.9 on if the priority leaves any, in 2.6.39 never", () => {
  const lists = [200, 600, 600, 200];
  for (const era of ["3.10", "4.9", "6.1"]) {
    assert.deepEqual(counts(machine(era, lists), { priority: 1 }), [100, 300, 0, 0], era);
  }
  assert.notEqual(counts(machine("2.6.39", lists), { priority: 1 })[L_ANON], 0);
  const few = [2, 3, 6000, 200];
  assert.equal(counts(machine("3.10", few), { priority: 2 })[L_ANON], 0);
  assert.notEqual(counts(machine("6.1", few), { priority: 2 })[L_ANON], 0);
  assert.notEqual(counts(machine("6.12", lists), { priority: 1, noTrim: true })[L_ANON], 0);
});

test("an unreclaimable zone's short lists are looked at by kswapd: each in 3.10, where none has any in 4.9", () => {
  const old = machine("3.10", [5, 40, 0, 0], { slots: 0 });
  assert.deepEqual(counts(old, { priority: 5 }), [0, 1, 0, 0]);
  setWord(old.m, NORMAL, Z_ALL_UNRECLAIMABLE, 1);
  assert.deepEqual(counts(old, { priority: 5 }), [5, 1, 0, 0]);
  assert.deepEqual(counts(old, { priority: 5, kswapd: false }), [0, 1, 0, 0]);
  const node = machine("4.9", [5, 40, 0, 0], { slots: 0 });
  for (const zone of BOTH) setWord(node.m, zone, Z_PAGES_SCANNED, 269);
  assert.deepEqual(counts(node, { priority: 6 }), [0, 0, 0, 0]);
  for (const zone of BOTH) setWord(node.m, zone, Z_PAGES_SCANNED, 270);
  assert.deepEqual(counts(node, { priority: 6 }), [5, 32, 0, 0]);
  assert.deepEqual(counts(node, { priority: 5 }), [0, 1, 0, 0]);
  setWord(node.m, DMA, Z_PAGES_SCANNED, 0);
  assert.deepEqual(
    counts(node, { priority: 6 }),
    [0, 0, 0, 0],
    "a page came back to one of its zones",
  );
  assert.equal(isUnreclaimable(small("6.1"), BOTH), false, "nobody counts");
});

test("the inactive list is long enough with as many pages, with fewer where there are gigabytes", () => {
  const low = (era: string, lists: number[], kind: number, options: SmallOptions = {}): boolean => {
    const pages = machine(era, lists, options);
    return inactiveIsLow(pages, zonesOf(pages), kind, 15);
  };
  assert.equal(low("6.1", [200, 200, 0, 0], 0), false);
  assert.equal(low("6.1", [201, 200, 0, 0], 0), true);
  // 1 GiB: 1 to 3. 262144 pages.
  assert.equal(low("6.1", [196_608, 65_535, 0, 0], 0), true);
  assert.equal(low("6.1", [196_608, 65_536, 0, 0], 0), false);
  assert.equal(low("6.1", [196_609, 65_536, 0, 0], 0), true);
  // As long as zones had lists of their own: by the zone's size, and file pages one to one.
  assert.equal(low("3.10", [196_608, 196_607, 0, 0], 0), true);
  assert.equal(low("3.10", [0, 0, 196_608, 65_536], L_ANON), true);
  const big = machine("3.10", [0, 0, 196_608, 65_536]);
  setWord(big.m, NORMAL, Z_MANAGED, 262_144);
  assert.equal(inactiveIsLow(big, [NORMAL], L_ANON, 15), false);
  // Where nothing can be swapped, anonymous pages need not age; 5.10 asks elsewhere.
  for (const era of ["3.10", "5.4"])
    assert.equal(low(era, [0, 0, 9, 0], L_ANON, { slots: 0 }), false);
  assert.equal(low("5.10", [0, 0, 9, 0], L_ANON, { slots: 0 }), true);
});

test("up to 5.4 the ratio is that of zones that are low enough", () => {
  for (const [era, isLow] of [
    ["5.4", false],
    ["5.10", true],
  ] as const) {
    const pages = machine(era, [500, 0, 0, 0]);
    pages.lru[DMA * LRU_LISTS + L_INACTIVE] = 100;
    assert.equal(inactiveIsLow(pages, BOTH, 0, word(pages.m, DMA, Z_INDEX)), isLow, era);
  }
});

test("what cannot go does not count as reclaimable; in 6.1.y free pages do where nothing else is there", () => {
  const pages = machine("6.1", SHORT);
  assert.equal(zoneReclaimable(pages, NORMAL), 1600);
  assert.equal(zoneReclaimable(machine("6.1", SHORT, { slots: 0 }), NORMAL), 800);
  assert.equal(zoneReclaimable(pages, DMA), word(pages.m, DMA, Z_FREE));
  assert.equal(zoneReclaimable(machine("5.15", SHORT), DMA), 0);
});

test("what a look cost: pages written, from 6.6 on also those that stayed; halved when it outgrows the lists", () => {
  const costs = (era: string, written: number, kept: number): number[] => {
    const pages = machine(era, [0, 400, 0, 400]);
    pages.node[N_FILE_COST] = 100;
    noteCost(pages, BOTH, L_ANON, written, kept);
    return [pages.node[N_ANON_COST] ?? 0, pages.node[N_FILE_COST] ?? 0];
  };
  assert.deepEqual(costs("6.1", 3, 7), [3, 100]);
  assert.deepEqual(costs("6.6", 2, 7), [71, 100]);
  assert.deepEqual(costs("6.1", 100, 0), [100, 100]);
  assert.deepEqual(costs("6.1", 101, 0), [50, 50]);
  for (const [era, file] of [
    ["6.6", 150],
    ["6.18", 300],
  ] as const) {
    const pages = machine(era, [0, 400, 0, 400]);
    pages.node[N_FILE_COST] = 300;
    noteCost(pages, BOTH, 0, 0, 0);
    assert.equal(pages.node[N_FILE_COST], file, era);
  }
  const pages = machine("6.1", [0, 400, 0, 400]);
  noteCost(pages, BOTH, 0, 5, 0);
  assert.deepEqual([pages.node[N_ANON_COST], pages.node[N_FILE_COST]], [0, 5]);
});
