// Goal: kswapd's runs begin, go on and end by its kernel's rules, and scans free what they should in the
// order that they should. Method: small machines with lists and counts as a rule wants them; what a run
// freed, wrote and left behind.
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
import { wakeKswapd } from "../../../src/mm/pressure/kswapd.ts";
import { lruHead } from "../../../src/mm/pressure/lru.ts";
import {
  L_ACTIVE,
  L_ANON,
  L_INACTIVE,
  N_FAILURES,
  N_KSWAPD_WOKEN,
} from "../../../src/mm/pressure/pages.ts";
import { newControl, shrinkInactive } from "../../../src/mm/pressure/scan.ts";
import { shrinkNode } from "../../../src/mm/pressure/scan-node.ts";
import {
  LRU_LISTS,
  P_COUNT,
  PCP_WORDS,
  Z_ALL_UNRECLAIMABLE,
  Z_BOOST,
  Z_FREE,
  Z_HIGH,
  Z_INDEX,
  Z_LOW,
  Z_MIN,
  Z_PAGES_SCANNED,
} from "../../../src/mm/words.ts";
import {
  DMA,
  make,
  NORMAL,
  setWord,
  small,
  takeDownTo,
  word,
} from "../../support/pressure-pages.ts";

const SPLIT = ["2.6.39", "3.10"];
const NODE = ["4.9", "4.19", "5.4", "5.10", "6.1", "6.12", "6.18"];

function index(pages: Pages, zone: number): number {
  return word(pages.m, zone, Z_INDEX);
}

function wake(pages: Pages, order = 0, zone = NORMAL): void {
  wakeKswapd(pages, zone, order, index(pages, zone), true);
}

/** Blocks of an owner who gives up all of them; the pfns that it gave, in order. */
function owned(pages: Pages, count: number): number[] {
  const gone: number[] = [];
  const owner = addOwner(pages, { name: "cache", mayFree: (pfn) => gone.push(pfn) > 0 });
  for (let i = 0; i < count; i++) {
    const pfn = allocPages(pages.m, pages.gfp, 0);
    if (pfn === NO_PFN) break;
    ownPages(pages, pfn, owner);
  }
  return gone;
}

function listed(pages: Pages, list: number): number {
  return [DMA, NORMAL].reduce((sum, zone) => sum + (pages.lru[zone * LRU_LISTS + list] ?? 0), 0);
}

/** Both zones get so many free pages, as far as counts tell. */
function free(pages: Pages, mark: number, more: number): void {
  for (const zone of [DMA, NORMAL]) {
    setWord(pages.m, zone, Z_FREE, word(pages.m, zone, mark) + more);
  }
}

for (const era of [...SPLIT, ...NODE]) {
  test(`${era}: kswapd frees up to the high mark, and sleeps`, () => {
    const pages = small(era);
    make(pages, "file", 3000);
    make(pages, "anon", 8000);
    takeDownTo(pages, NORMAL, word(pages.m, NORMAL, Z_LOW) - 1);
    wake(pages);
    const [run] = runKswapd(pages);
    const isHigh = [DMA, NORMAL].map(
      (zone) => word(pages.m, zone, Z_FREE) > word(pages.m, zone, Z_HIGH),
    );
    assert.ok(SPLIT.includes(era) ? isHigh.every(Boolean) : isHigh.some(Boolean));
    assert.equal(run?.balanced, true);
    // 4.9 came to one mark, and slept at all of them.
    if (era === "4.9") return;
    assert.equal(run?.sleeps, true);
    assert.deepEqual(runKswapd(pages), []);
  });
}

test("a run that found nothing is followed by another, by itself, till the node is given up", () => {
  const pages = small("6.1");
  free(pages, Z_HIGH, 0);
  wake(pages, 2);
  const orders: number[] = [];
  for (let i = 0; i < 15; i++) {
    const [run] = runKswapd(pages);
    assert.deepEqual(
      [run?.sleeps, run?.balanced, run?.highest],
      [false, false, index(pages, NORMAL)],
    );
    orders.push(run?.order ?? -1);
  }
  assert.deepEqual(orders, [2, ...new Array(14).fill(0)]);
  assert.equal(runKswapd(pages)[0]?.sleeps, true);
  assert.equal(pages.node[N_FAILURES], 16);
  assert.deepEqual(runKswapd(pages), []);
});

test("what is asked for while it is awake is the next run's", () => {
  const pages = small("6.1");
  free(pages, Z_HIGH, 0);
  wakeKswapd(pages, DMA, 1, index(pages, DMA), true);
  assert.equal(runKswapd(pages)[0]?.highest, index(pages, DMA));
  assert.equal(runKswapd(pages)[0]?.highest, index(pages, DMA), "the same again");
  wake(pages, 3);
  assert.equal(pages.counts.kswapdWakes, 1);
  const [run] = runKswapd(pages);
  assert.deepEqual([run?.order, run?.highest], [3, index(pages, NORMAL)]);
  // Enough for single pages is not enough for what was asked for meanwhile.
  free(pages, Z_HIGH, 1);
  assert.equal(runKswapd(pages)[0]?.sleeps, true);
});

test("4.9: it sleeps once all zones are balanced, not any; it never gives up", () => {
  for (const [era, sleeps] of [
    ["4.9", false],
    ["4.19", true],
  ] as const) {
    const pages = small(era);
    wake(pages);
    pages.node[N_KSWAPD_WOKEN] = 1;
    setWord(pages.m, DMA, Z_FREE, word(pages.m, DMA, Z_HIGH));
    assert.equal(runKswapd(pages)[0]?.sleeps, sleeps, era);
  }
  const pages = small("4.9");
  free(pages, Z_HIGH, 0);
  wake(pages);
  for (let i = 0; i < 20; i++) assert.equal(runKswapd(pages)[0]?.sleeps, false);
});

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

test("a boost is paid gently: nothing written, no anonymous page taken, or not at all", () => {
  const pages = small("6.1");
  make(pages, "anon", 400);
  const files = make(pages, "file", 100);
  assert.ok(files.length > 0);
  setWord(pages.m, NORMAL, Z_BOOST, 50);
  wake(pages);
  const [run] = runKswapd(pages);
  assert.deepEqual([run?.reclaimed, pages.counts.pswpout], [0, 0]);
  assert.deepEqual([listed(pages, L_ANON + L_ACTIVE) + listed(pages, L_ANON + L_INACTIVE)], [400]);
  assert.equal(word(pages.m, NORMAL, Z_BOOST), 0);
  assert.equal(pages.node[N_FAILURES], 1);
  // Clean anonymous pages with a slot would go without writing: they stay too.
  for (const handle of make(pages, "anon", 64)) pages.slot[handle] = 1;
  setWord(pages.m, NORMAL, Z_BOOST, 50);
  wake(pages);
  assert.equal(runKswapd(pages)[0]?.reclaimed, 0);
});

test("a boost is looked for down to priority 10 only, as often as it takes", () => {
  const pages = small("6.1");
  const gone = owned(pages, 5000);
  setWord(pages.m, NORMAL, Z_BOOST, 900);
  wake(pages);
  const [run] = runKswapd(pages);
  assert.ok(
    run !== undefined && run.reclaimed >= 900 && run.reclaimed < 932,
    String(run?.reclaimed),
  );
  // 5000 / 4096, 5000 / 2048 and from then on 5000 / 1024 and less.
  assert.ok(pages.counts.pgscanKswapd < 932);
  assert.equal(gone.length, run.reclaimed);
});

test("below the marks a boost waits, and what was looked at for it does not count", () => {
  const pages = small("6.1");
  owned(pages, 6000);
  setWord(pages.m, DMA, Z_HIGH, 100_000);
  takeDownTo(pages, NORMAL, word(pages.m, NORMAL, Z_MIN) + 1);
  setWord(pages.m, NORMAL, Z_BOOST, 300);
  const missing = word(pages.m, NORMAL, Z_HIGH) + 300 - word(pages.m, NORMAL, Z_FREE);
  wake(pages);
  const [run] = runKswapd(pages);
  assert.ok(run?.balanced && run.reclaimed > missing, `${run?.reclaimed} ${missing}`);
  assert.ok(run.reclaimed < missing + 32);
  assert.equal(word(pages.m, NORMAL, Z_BOOST), 0);
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
