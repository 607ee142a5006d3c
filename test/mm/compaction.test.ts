// Goal: compaction's looks at the free lists take the kernel's block and leave the lists in the
// kernel's order. Method: lists of a few blocks on a small machine, with what each rule makes of
// them worked out by hand; hints on pageblocks cleared from both ends of a zone.
import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import {
  applySearch,
  type CompactControl,
  type CompactZone,
  fastIsolateFreepages,
  findMigrateblock,
  isolateFreePage,
  newCompactZone,
} from "../../src/mm/compaction.ts";
import { resetIsolationSuitable } from "../../src/mm/compaction-hints.ts";
import {
  freeHead,
  type Memory,
  MOBILE,
  pfnOf,
  rowOf,
  Z_FREE,
  Z_MIN,
  ZONE_WORDS,
} from "../../src/mm/memory.ts";
import { HIGHATOMIC, MOVABLE, UNMOVABLE } from "../../src/mm/rule.ts";
import { startState } from "../../src/replay/index.ts";
import { DMA_END, DMA32_END, FACTS, type FreeBlock, snapshotOf } from "../replay/made-up-kernel.ts";

const ZONE = 1;

function memory(free: readonly FreeBlock[], least = 0): Memory {
  const m = startState(snapshotOf(free), FACTS).value?.m ?? null;
  ok(m !== null);
  m.zone[ZONE * ZONE_WORDS + Z_MIN] = least;
  return m;
}

function list(m: Memory, order: number): number[] {
  const head = freeHead(ZONE, MOVABLE, order);
  const pfns: number[] = [];
  for (let row = m.next[head] ?? head; row !== head; row = m.next[row] ?? head) {
    pfns.push(pfnOf(m, row));
  }
  return pfns;
}

const control = (fields: Partial<CompactControl> = {}): CompactControl => ({
  zone: ZONE,
  zoneStart: DMA_END,
  order: 9,
  direct: false,
  movable: false,
  ignoreSkipHint: false,
  freePfn: 0x10e00,
  migratePfn: DMA_END,
  searchOrder: 9,
  searchFails: 0,
  fastStart: 0,
  migratePages: 32,
  places: [],
  taken: null,
  ...fields,
});

/** Nothing cached that a search could move. */
const zoneState = (fields: Partial<CompactZone> = {}): CompactZone => ({
  ...newCompactZone(),
  cachedFree: 0x20000,
  ...fields,
});

const at = (order: number, pfns: readonly number[]): FreeBlock[] =>
  pfns.map((pfn) => ({ pfn, order }));

describe("the free scanner's look", () => {
  test("takes the last block of the upper quarter; what was queued before it goes behind", () => {
    // free - (free - migrate) / 4 = 0xce80: blocks from 0xce00 on are wanted.
    const m = memory(at(3, [0x2000, 0xf000, 0x3000, 0xe000, 0x4000]));
    const cc = control();
    equal(fastIsolateFreepages(m, cc, zoneState()), 0xe000);
    deepEqual(list(m, 3), [0x4000, 0x2000, 0xf000, 0x3000]);
    deepEqual(cc.places, [0xe000, 0xe001, 0xe002, 0xe003, 0xe004, 0xe005, 0xe006, 0xe007]);
    equal(cc.searchOrder, 3);
  });

  test("takes the highest of the upper half where the quarter has none", () => {
    const m = memory(at(3, [0x2000, 0xa000, 0x3000, 0xb000, 0x4000]));
    equal(fastIsolateFreepages(m, control(), zoneState()), 0xb000);
    deepEqual(list(m, 3), [0x4000, 0x2000, 0xa000, 0x3000]);
  });

  test("in vain turns the list by what it saw, and looks at less the next time", () => {
    const pfns = Array.from({ length: 40 }, (_, i) => 0x1100 + i * 0x10);
    const m = memory(at(3, pfns));
    const cc = control();
    const later = zoneState({ initFree: 0x11000 });
    equal(fastIsolateFreepages(m, cc, later), -1);
    // 33 / 2 = 16 from the tail on; the last that was seen leads now.
    deepEqual(list(m, 3), [...pfns.slice(24), ...pfns.slice(0, 24)]);
    equal(cc.searchFails, 1);
    equal(fastIsolateFreepages(m, cc, later), -1);
    deepEqual(list(m, 3), [...pfns.slice(16), ...pfns.slice(0, 16)]);
  });

  test("at the start of a zone goes to the best place it saw, or half way down for a request", () => {
    const cc = control();
    // It may not take the block that it saw there.
    equal(fastIsolateFreepages(memory(at(3, [0x2000, 0x9010]), 16), cc, zoneState()), 0x9000);
    equal(cc.freePfn, 0x9000);
    const direct = control({ direct: true });
    equal(fastIsolateFreepages(memory(at(3, [0x2000])), direct, zoneState()), 0x8e00);
    const own = control();
    equal(fastIsolateFreepages(memory(at(3, [0x2000])), own, zoneState()), -1);
    equal(own.freePfn, 0x10e00);
  });

  test("gives up where the min mark forbids to take the block", () => {
    const m = memory(at(3, [0xe000, 0xf000]), 16 - 8);
    const cc = control();
    equal(fastIsolateFreepages(m, cc, zoneState({ initFree: 0x11000 })), -1);
    equal(cc.places.length, 0);
    equal(list(m, 3).length, 2);
  });

  test("goes down from the order that gave something, round to those above it, not to larger ones", () => {
    const m = memory([...at(4, [0xf000]), ...at(3, [0xe000])]);
    const cc = control({ order: 4, searchOrder: 1 });
    equal(fastIsolateFreepages(m, cc, zoneState()), 0xe000);
    equal(cc.searchOrder, 3);
    const none = control({ order: 4, searchOrder: 1 });
    equal(
      fastIsolateFreepages(memory(at(4, [0xf000])), none, zoneState({ initFree: 0x11000 })),
      -1,
    );
    equal(none.searchOrder, 0, "the next one begins an order lower");
    const lowest = control({ order: 4, searchOrder: 0 });
    fastIsolateFreepages(memory(at(4, [0xf000])), lowest, zoneState({ initFree: 0x11000 }));
    equal(lowest.searchOrder, 3);
  });

  test("lowers where the next run begins to below the highest block that it saw", () => {
    const state = zoneState({ cachedFree: 0xe000 });
    fastIsolateFreepages(memory(at(3, [0x2000, 0xe010])), control(), state);
    equal(state.cachedFree, 0xde00);
    const above = zoneState({ cachedFree: 0xe200 });
    fastIsolateFreepages(memory(at(3, [0x2000, 0xe010])), control(), above);
    equal(above.cachedFree, 0xe200);
    const empty = zoneState({ cachedFree: 0 });
    fastIsolateFreepages(memory(at(9, [0xe000])), control(), empty);
    equal(empty.cachedFree, 0);
  });

  test("is not for all of memory", () => {
    const m = memory(at(3, [0xe000]));
    equal(fastIsolateFreepages(m, control({ order: -1 }), zoneState()), -1);
    deepEqual(list(m, 3), [0xe000]);
  });
});

describe("a place for a page", () => {
  test("counts, and half a pageblock becomes movable", () => {
    const m = memory(at(8, [0xe000]));
    const row = rowOf(m, 0xe000);
    m.blockType[row >> m.pageblockOrder] = UNMOVABLE;
    equal(isolateFreePage(m, row, 8), false, "nothing would be left");
    m.zone[ZONE * ZONE_WORDS + Z_MIN] = -257;
    equal(isolateFreePage(m, row, 8), true);
    equal(m.zone[ZONE * ZONE_WORDS + Z_FREE], 0);
    equal(m.blockType[row >> m.pageblockOrder], MOVABLE);
  });

  test("leaves what is kept back for others", () => {
    const m = memory(at(8, [0xe000]), -257);
    const block = rowOf(m, 0xe000) >> m.pageblockOrder;
    m.blockType[block] = HIGHATOMIC;
    equal(isolateFreePage(m, rowOf(m, 0xe000), 8), true);
    equal(m.blockType[block], HIGHATOMIC);
  });
});

describe("the migrate scanner's look", () => {
  const noHints = (m: Memory): Uint8Array => new Uint8Array(m.blockType.length);

  test("finds a pageblock of the lower half that nothing hints at; its block goes last", () => {
    const m = memory([...at(8, [0xa000]), ...at(5, [0x9000, 0x3040, 0x5000, 0x7000])]);
    const skip = noHints(m);
    skip[rowOf(m, 0x3040) >> m.pageblockOrder] = 1;
    const cc = control();
    const search = findMigrateblock(m, cc, skip);
    ok(search?.found === true);
    equal(pfnOf(m, search.row), 0x5000);
    deepEqual(list(m, 5), [0x9000, 0x3040, 0x5000, 0x7000], "a look changes nothing");
    applySearch(m, cc, skip, search);
    deepEqual(list(m, 5), [0x7000, 0x9000, 0x3040, 0x5000]);
    equal(skip[rowOf(m, 0x5000) >> m.pageblockOrder], 1);
    equal(cc.fastStart, 0x5000);
  });

  test("in vain, turns a long list and begins again at the lowest block it once found", () => {
    const pfns = Array.from({ length: 40 }, (_, i) => 0xc000 + i * 0x10);
    const m = memory(at(3, pfns));
    const skip = noHints(m);
    const cc = control({ fastStart: 0x2340, migratePfn: 0x4000 });
    const search = findMigrateblock(m, cc, skip);
    ok(search !== null && !search.found);
    applySearch(m, cc, skip, search);
    // 33 were looked at, and the 34th ended it: it is the last now.
    deepEqual(list(m, 3), [...pfns.slice(34), ...pfns.slice(0, 34)]);
    deepEqual([cc.migratePfn, cc.fastStart, cc.searchFails], [0x2340, -1, 1]);
    cc.migratePfn = 0x6000;
    const again = findMigrateblock(m, cc, skip);
    ok(again !== null);
    applySearch(m, cc, skip, again);
    equal(cc.migratePfn, 0x6000, "only once");
  });

  test("in vain at first, leaves the scanner where it is", () => {
    const m = memory(at(3, [0xf000]));
    const cc = control({ migratePfn: 0x4000 });
    const search = findMigrateblock(m, cc, noHints(m));
    ok(search !== null);
    equal(applySearch(m, cc, noHints(m), search), -1);
    deepEqual([cc.migratePfn, cc.fastStart], [0x4000, 0]);
  });

  test("is left out within a pageblock, for small requests and for others' pages", () => {
    const m = memory(at(5, [0x3040]));
    const skip = noHints(m);
    notEqual(findMigrateblock(m, control(), skip), null);
    equal(findMigrateblock(m, control({ migratePfn: 0x2020 }), skip), null);
    equal(findMigrateblock(m, control({ order: 3 }), skip), null);
    equal(findMigrateblock(m, control({ direct: true }), skip), null);
    equal(findMigrateblock(m, control({ ignoreSkipHint: true }), skip), null);
    notEqual(findMigrateblock(m, control({ direct: true, movable: true }), skip), null);
  });
});

describe("hints on pageblocks", () => {
  test("go from blocks with something to move, from below, and with room, from above", () => {
    const m = memory(at(3, [0x10008, 0x3008]));
    const skip = new Uint8Array(m.blockType.length).fill(1);
    const hint = (pfn: number): number | undefined => skip[rowOf(m, pfn) >> m.pageblockOrder];
    m.state[rowOf(m, 0x1810)] = MOBILE;
    m.state[rowOf(m, 0x1c01)] = MOBILE;
    const state = zoneState();
    resetIsolationSuitable(m, ZONE, DMA_END, DMA32_END, skip, state);
    equal(hint(0x1800), 0);
    equal(hint(0x1c00), 1, "one frame in eight is looked at");
    equal(hint(0x10000), 0);
    deepEqual([state.initFree, state.cachedFree], [0x101ff, 0x101ff]);
    deepEqual([state.initMigrate, state.cachedAsync, state.cachedSync], [0x1800, 0x1800, 0x1800]);
    equal(hint(0x3000), 0, "when both ends are known, either will do");
    equal(hint(0x4000), 1);
  });

  test("stay on huge pages and on others' pageblocks", () => {
    const m = memory(at(3, [0x10008]));
    const skip = new Uint8Array(m.blockType.length).fill(1);
    m.state.fill(0, rowOf(m, DMA_END), rowOf(m, DMA_END) + 512);
    m.state[rowOf(m, DMA_END)] = MOBILE | 9;
    m.state[rowOf(m, DMA_END + 512)] = MOBILE;
    const state = zoneState();
    resetIsolationSuitable(m, ZONE, DMA_END, DMA32_END, skip, state);
    equal(state.initMigrate, DMA_END + 512);
    equal(skip[rowOf(m, DMA_END) >> m.pageblockOrder], 1);
    const other = zoneState({ initMigrate: 7 });
    resetIsolationSuitable(m, 0, DMA_END, DMA32_END, skip, other);
    equal(other.initMigrate, 7);
  });

  test("leave the next run no way where there is nothing to find", () => {
    const m = memory([]);
    m.state.fill(0, m.firstRow);
    const skip = new Uint8Array(m.blockType.length).fill(1);
    const state = zoneState({ initFree: 5, initMigrate: 6 });
    resetIsolationSuitable(m, ZONE, DMA_END, DMA32_END, skip, state);
    ok(state.cachedSync >= state.cachedFree);
    equal(state.cachedAsync, state.cachedSync);
    deepEqual([state.initFree, state.initMigrate], [5, 6]);
    ok(skip.every((hint) => hint === 1));
  });
});
