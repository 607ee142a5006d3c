// Goal: kswapd's runs begin, go on and end by its kernel's rules, and scans free what they should in the
// order that they should. Method: small machines with lists and counts as a rule wants them; what a run
// freed, wrote and left behind.
import assert from "node:assert/strict";
import { test } from "node:test";
import { addOwner, allocPages, ownPages, runKswapd } from "../../../src/mm/index.ts";
import { wakeKswapd } from "../../../src/mm/pressure/kswapd.ts";
import {
  L_ACTIVE,
  L_ANON,
  L_INACTIVE,
  N_FAILURES,
  N_KSWAPD_WOKEN,
} from "../../../src/mm/pressure/pages.ts";
import { Z_BOOST, Z_FREE, Z_HIGH, Z_LOW, Z_MIN } from "../../../src/mm/words.ts";
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
  takeDownTo,
  wake,
  word,
} from "../../support/pressure-pages.ts";

const SPLIT = ["2.6.39", "3.10"];
const NODE = ["4.9", "4.19", "5.4", "5.10", "6.1", "6.12", "6.18"];

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

test("each look that was not enough is followed by one at twice as much", () => {
  const pages = small("6.1");
  const gone = owned(pages, 5000);
  setWord(pages.m, DMA, Z_HIGH, 100_000);
  setWord(pages.m, NORMAL, Z_HIGH, word(pages.m, NORMAL, Z_FREE) + 200);
  wake(pages);
  assert.equal(runKswapd(pages)[0]?.balanced, true);
  // 1, 2, 4, 9, 19, 38, 77 and 151 pages.
  assert.ok(gone.length > 280 && gone.length < 310, String(gone.length));
  // In vain it comes to priority 1: the half of a list.
  const stuck = small("6.1", { slots: 0 });
  owned(stuck, 2048);
  stuck.pins.fill(1);
  free(stuck, Z_HIGH, 0);
  wake(stuck);
  runKswapd(stuck);
  assert.equal(stuck.counts.pgscanKswapd, 2047);
});

test("awake with nothing to do, it looks at nothing", () => {
  const pages = small("6.1");
  owned(pages, 5000);
  pages.node[N_KSWAPD_WOKEN] = 1;
  const [run] = runKswapd(pages);
  assert.deepEqual([run?.sleeps, run?.reclaimed, pages.counts.pgscanKswapd], [true, 0, 0]);
  assert.equal(pages.node[N_FAILURES], 0);
});

test("where the marks come before a boost, kswapd starts again at priority 12", () => {
  const pages = small("6.1", { slots: 0 });
  // The first page that goes is the last that can, and takes the balance with it.
  const mayFree = (): boolean => {
    free(pages, Z_HIGH, 0);
    pages.pins.fill(1);
    return true;
  };
  const owner = addOwner(pages, { name: "first", mayFree });
  for (let i = 0; i < 5000; i++) ownPages(pages, allocPages(pages.m, pages.gfp, 0), owner);
  setWord(pages.m, NORMAL, Z_BOOST, 50);
  wake(pages);
  const [run] = runKswapd(pages);
  assert.deepEqual([run?.reclaimed, run?.balanced], [1, false]);
  // One, and of the 4999 others a 4096th, a 2048th, … a half.
  const looks = Array.from({ length: 12 }, (_, i) => 4999 >> (12 - i));
  assert.equal(pages.counts.pgscanKswapd, 1 + looks.reduce((sum, own) => sum + own, 0));
});
