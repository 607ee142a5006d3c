// Goal: a look at a list takes the pages that it should, frees them in the order that it should, and
// counts them. Method: short lists of pages in known states, one look or one reclaim, and what is left.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addOwner,
  allocPages,
  dropPage,
  NO_PFN,
  ownPages,
  type Pages,
  pinPage,
  runKswapd,
  touchPage,
  usePages,
} from "../../../src/mm/index.ts";
import { requestOf } from "../../../src/mm/memory.ts";
import { tryToFreePages } from "../../../src/mm/pressure/direct.ts";
import { addLru, lruHead, removeLru } from "../../../src/mm/pressure/lru.ts";
import {
  L_ACTIVE,
  L_ANON,
  L_INACTIVE,
  PG_ACTIVE,
  PG_ANON,
  PG_DIRTY,
  PG_LRU,
  PG_REFERENCED,
  PG_YOUNG,
  R_ROTATED,
} from "../../../src/mm/pressure/pages.ts";
import { newControl, shrinkInactive } from "../../../src/mm/pressure/scan.ts";
import { shrinkNode } from "../../../src/mm/pressure/scan-node.ts";
import {
  P_COUNT,
  PCP_WORDS,
  Z_BOOST,
  Z_FREE,
  Z_HIGH,
  Z_LOW,
  Z_MIN,
} from "../../../src/mm/words.ts";
import {
  DMA,
  free,
  index,
  listed,
  make,
  NORMAL,
  owned,
  setWord,
  small,
  wake,
  word,
} from "../../support/pressure-pages.ts";

test("a larger block is given up once twice its pages were freed", () => {
  for (const [order, most] of [
    [6, 2 << 6],
    [5, 2 << 5],
  ] as const) {
    const pages = small("6.1", { migration: false });
    const { m } = pages;
    for (const mark of [Z_MIN, Z_LOW]) setWord(m, NORMAL, mark, 0);
    let gone = 0;
    // Every other page goes: there will be pages, and no block.
    const mayFree = (pfn: number): boolean => pfn % 2 === 0 && ++gone > 0;
    const owner = addOwner(pages, { name: "half", mayFree });
    for (;;) {
      const pfn = allocPages(m, pages.gfp, 0);
      if (pfn === NO_PFN) break;
      ownPages(pages, pfn, owner);
    }
    setWord(m, DMA, Z_HIGH, 100_000);
    setWord(m, NORMAL, Z_HIGH, word(m, NORMAL, Z_FREE) + 10);
    wake(pages, order);
    const [run] = runKswapd(pages);
    assert.deepEqual([run?.order, run?.balanced, run?.sleeps], [order, true, true]);
    // Each look is twice as long as the one before.
    assert.ok(gone >= most && gone < 2 * most, `${gone}`);
  }
});

test("kswapd ages anonymous pages before it looks for others, where there is swap", () => {
  for (const [slots, left] of [
    [8192, 100 - 32],
    [0, 100],
  ] as const) {
    const pages = small("6.1", { slots });
    const handles = make(pages, "anon", 100);
    for (const handle of handles) touchPage(pages, handle, true);
    // All of them active: two looks with a use before each.
    const control = newControl(0, 15, null);
    const head = lruHead(pages, NORMAL, L_ANON + L_INACTIVE);
    shrinkInactive(pages, head, 100, control);
    for (const handle of handles) touchPage(pages, handle, true);
    shrinkInactive(pages, head, 100, control);
    assert.equal(listed(pages, L_ANON + L_ACTIVE), 100);
    free(pages, Z_HIGH, 0);
    setWord(pages.m, NORMAL, Z_BOOST, 0);
    control.priority = 12;
    shrinkNode(pages, [DMA, NORMAL], control);
    assert.equal(listed(pages, L_ANON + L_ACTIVE), left);
  }
});

test("pages of zones that are too high are passed over, and counted", () => {
  const pages = small("6.1");
  const gone = owned(pages, 300);
  const control = newControl(0, index(pages, DMA), null);
  const look = shrinkInactive(pages, lruHead(pages, NORMAL, L_INACTIVE), 32, control);
  assert.deepEqual(look, { scanned: 300, taken: 0, freed: 0, written: 0 });
  assert.deepEqual(
    [pages.counts.pgscanSkip, pages.counts.pgscanKswapd, gone.length],
    [300, 300, 0],
  );
  assert.equal(control.scanned, 0);
});

test("a look counts pages, not blocks", () => {
  const pages = small("6.1");
  const owner = addOwner(pages, { name: "blocks", mayFree: () => true });
  for (let i = 0; i < 20; i++) ownPages(pages, allocPages(pages.m, pages.gfp, 2), owner);
  const control = newControl(0, 15, null);
  const look = shrinkInactive(pages, lruHead(pages, NORMAL, L_INACTIVE), 32, control);
  assert.deepEqual(look, { scanned: 32, taken: 32, freed: 32, written: 0 });
});

test("pages that go are freed one by one, backward, or 31 at a time: the next request gets the last one", () => {
  for (const [era, last, early] of [
    // Pagesets as small as this machine's keep nothing back.
    ["2.6.39", 0, 39],
    ["3.10", 0, 0],
    ["6.1", 0, 0],
    ["6.12", 7, 31],
  ] as const) {
    for (const count of [8, 40]) {
      const pages = small(era);
      const gone: number[] = [];
      const seen: number[] = [];
      const mayFree = (pfn: number): boolean => {
        seen.push(freeOrKept(pages));
        return gone.push(pfn) > 0;
      };
      const owner = addOwner(pages, { name: "cache", mayFree });
      for (let i = 0; i < count; i++) ownPages(pages, allocPages(pages.m, pages.gfp, 0), owner);
      const before = freeOrKept(pages);
      const head = lruHead(pages, NORMAL, L_INACTIVE);
      shrinkInactive(pages, head, count, newControl(0, 15, null));
      assert.deepEqual([gone.length, freeOrKept(pages)], [count, before + count]);
      if (count === 8) assert.equal(allocPages(pages.m, pages.gfp, 0), gone[last], era);
      else assert.equal((seen[39] ?? 0) - before, early, era);
    }
  }
});

/** Free pages, and those on per-CPU lists. */
function freeOrKept({ m }: Pages): number {
  let count = word(m, DMA, Z_FREE) + word(m, NORMAL, Z_FREE);
  for (let set = 0; set < m.pcp.length; set += PCP_WORDS) count += m.pcp[set + P_COUNT] ?? 0;
  return count;
}

test("direct reclaim for a costly block leaves a zone alone where compaction has all it needs", () => {
  const pages = small("6.1");
  const gone = owned(pages, 500);
  const word_ = requestOf(pages.m, pages.gfp);
  const order4 = tryToFreePages(pages, pages.gfp, 4, (word_ >> 4) & 0xf, word_ >> 8);
  assert.deepEqual([order4, gone.length], [1, 0]);
  const order3 = tryToFreePages(pages, pages.gfp, 3, (word_ >> 4) & 0xf, word_ >> 8);
  assert.ok(order3 >= 32 && gone.length === order3);
  assert.deepEqual([pages.counts.pgscanDirect, pages.counts.pgscanKswapd], [order3, 0]);
});

test("what is used is taken where nothing else helps, since it is asked before the look; 4.9 looks twice anyway", () => {
  for (const [era, stalls, freed] of [
    ["4.9", 2, false],
    ["5.4", 1, false],
    ["6.1", 2, true],
  ] as const) {
    const pages = small(era, { slots: 0 });
    const owner = addOwner(pages, { name: "cache", mayFree: () => true });
    const stuck = addOwner(pages, { name: "stuck", mayFree: () => false });
    const used = Array.from({ length: 64 }, () => allocPages(pages.m, pages.gfp, 0));
    for (const pfn of used) ownPages(pages, pfn, owner);
    for (const pfn of used) for (let i = 0; i < 2; i++) usePages(pages, pfn);
    assert.equal(listed(pages, L_ACTIVE), 64);
    // So many in zones that are too high keep the ratio for those of DMA.
    for (let i = 0; i < 80; i++) ownPages(pages, allocPages(pages.m, pages.gfp, 0), stuck);
    const request = requestOf(pages.m, pages.gfp);
    for (let row = pages.m.firstRow; row < pages.m.rows; row++) {
      if (pages.handleOf[row] === -stuck) pages.pins[row] = 1;
    }
    const answer = tryToFreePages(pages, pages.gfp, 0, (request >> 4) & 0xf, request >> 8);
    assert.deepEqual([pages.counts.allocstall, answer >= 32], [stalls, freed], era);
  }
});

test("a page that is written out again leaves its old slot", () => {
  const pages = small("6.1", { slots: 8 });
  const [handle = 0] = make(pages, "anon", 1);
  const list = lruHead(pages, NORMAL, L_ANON + L_INACTIVE);
  const out = (): void => void shrinkInactive(pages, list, 32, newControl(0, 15, null));
  out();
  assert.deepEqual([pages.place[handle], pages.store?.free], [0, 7]);
  touchPage(pages, handle, false);
  const row = pages.place[handle] ?? 0;
  pages.flags[row] = PG_LRU | PG_ANON | PG_DIRTY;
  out();
  assert.deepEqual([pages.place[handle], pages.store?.free, pages.counts.pswpout], [0, 7, 2]);
  dropPage(pages, handle);
  assert.equal(pages.store?.free, 8);
});

test("pages that were found used count by kind", () => {
  const pages = small("5.4");
  const rotated = (): number[] => [...pages.reclaim.subarray(R_ROTATED, R_ROTATED + 2)];
  const [used = 0] = make(pages, "anon", 1);
  touchPage(pages, used, false);
  // New pages begin active: once it is inactive, a use makes it active again.
  const row = pages.place[used] ?? 0;
  removeLru(pages, row);
  pages.flags[row] = (pages.flags[row] ?? 0) & ~PG_ACTIVE;
  addLru(pages, row);
  shrinkInactive(pages, lruHead(pages, NORMAL, L_ANON + L_INACTIVE), 32, newControl(0, 15, null));
  assert.deepEqual(rotated(), [0, 1]);
  const [kept = 0] = make(pages, "file", 1);
  pinPage(pages, kept);
  pages.flags[pages.place[kept] ?? 0] = PG_LRU;
  shrinkInactive(pages, lruHead(pages, NORMAL, L_INACTIVE), 32, newControl(0, 15, null));
  assert.deepEqual(rotated(), [0, 1], "it stays, but not because it was used");
  pages.pins.fill(0);
  pages.flags[pages.place[kept] ?? 0] = PG_LRU | PG_YOUNG | PG_REFERENCED;
  shrinkInactive(pages, lruHead(pages, NORMAL, L_INACTIVE), 32, newControl(0, 15, null));
  assert.deepEqual(rotated(), [1, 1]);
});
