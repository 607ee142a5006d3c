// Goal: kcompactd is woken, works and sleeps as 6.1's does. Method: zones laid out page by page; what was
// asked for, whether it may help, and rounds that pass.
import { deepEqual, equal } from "node:assert/strict";
import { describe, test } from "node:test";
import {
  allocPages,
  bootMemory,
  freePages,
  GFP_KERNEL,
  managePages,
  NO_PFN,
  runKcompactd,
  runKswapd,
  setProactiveness,
  usePressure,
} from "../../../src/mm/index.ts";
import {
  Z_BLOCKS,
  Z_BOOST,
  Z_HIGH,
  Z_INDEX,
  Z_LOW,
  Z_MIN,
  Z_ORDERS_OF,
  ZONE_WORDS,
} from "../../../src/mm/memory.ts";
import { D_FLUSH, DAEMON_WORDS, NO_LIMIT } from "../../../src/mm/pressure/compact-state.ts";
import { wakeKcompactd } from "../../../src/mm/pressure/kcompactd.ts";
import { wakeKswapd } from "../../../src/mm/pressure/kswapd.ts";
import { BLOCK, type Laid, laid } from "../../support/pressure-map.ts";

const SPARSE = ".k".repeat(BLOCK / 2);
const movable = `${"a".repeat(16)}k`;
const top = (own: Laid): number => own.m.zone[Z_INDEX] ?? -1;

/** Order, highest zone, woken or not. */
const daemon = ({ pages }: Laid): number[] => [...pages.compaction.daemon.slice(0, 3)];

const wake = (own: Laid, order: number, highest = top(own)): void =>
  wakeKcompactd(own.pages, 0, order, highest);

describe("kcompactd is woken", () => {
  test("where it can help; what was asked for before counts", () => {
    const own = laid([movable, "k", SPARSE, SPARSE]);
    deepEqual(daemon(own), [0, NO_LIMIT, 0]);
    wake(own, 0);
    deepEqual(daemon(own), [0, NO_LIMIT, 0]);
    // 64 pages are free: not more than order 5 would keep.
    wake(own, 5);
    deepEqual(daemon(own), [5, top(own), 0]);
    wake(own, 4);
    deepEqual(daemon(own), [5, top(own), 0]);
    const other = laid([movable, "k", SPARSE, SPARSE]);
    wake(other, 4, NO_LIMIT);
    wake(other, 3, top(other));
    deepEqual(daemon(other), [4, top(other), 1]);
  });

  test("not where it has nothing to do, in zones too high, or in memories and kernels without", () => {
    const blocks = laid(["................k", "k"]);
    wake(blocks, 4);
    equal(daemon(blocks)[2], 0);
    const low = laid([movable, "k", SPARSE, SPARSE]);
    wake(low, 4, top(low) - 1);
    equal(daemon(low)[2], 0);
    for (const options of [{ migration: false }, { era: "3.10" }]) {
      const own = laid([movable, "k", SPARSE, SPARSE], options);
      wake(own, 4);
      deepEqual(daemon(own), [0, NO_LIMIT, 0]);
      deepEqual(runKcompactd(own.pages), []);
    }
  });

  test("by a request that cannot wait, where kswapd would not help", () => {
    for (const waits of [true, false]) {
      const own = laid([movable, "k", SPARSE, SPARSE]);
      // 6.1 asks pgdat_balanced(), and any block of the order would do.
      own.m.zone[Z_HIGH] = 0;
      wakeKswapd(own.pages, 0, 4, top(own), waits);
      equal(own.pages.counts.kswapdWakes, 1, "no block: not balanced");
      const ready = laid([movable, `${".".repeat(8)}k`, SPARSE, SPARSE]);
      wakeKswapd(ready.pages, 0, 3, top(ready), waits);
      equal(ready.pages.counts.kswapdWakes, 0);
      equal(ready.pages.compaction.daemon[0], waits ? 0 : 3);
    }
  });

  test("by kswapd when it sleeps, for the order that it was woken for; and after a boost", () => {
    const own = laid(["d", movable, "k", SPARSE, SPARSE]);
    own.pages.compaction.skip.fill(1);
    own.pages.compaction.zone[D_FLUSH] = 1;
    own.m.zone[Z_HIGH] = 80;
    wakeKswapd(own.pages, 0, 4, top(own), true);
    const [run] = runKswapd(own.pages);
    equal(run?.sleeps, true);
    deepEqual(daemon(own), [4, top(own), daemon(own)[2]]);
    equal(own.pages.compaction.zone[D_FLUSH], 0, "it clears hints as well");
    const boosted = laid(["d", movable, "k", SPARSE, SPARSE]);
    boosted.m.zone[Z_BOOST] = 10;
    wakeKswapd(boosted.pages, 0, 0, top(boosted), true);
    runKswapd(boosted.pages);
    equal(daemon(boosted)[0], 6, "a whole pageblock");
    const short = laid(["d", movable, "k", SPARSE, SPARSE]);
    short.pages.compaction.zone[D_FLUSH] = 1;
    for (const mark of [Z_MIN, Z_LOW, Z_HIGH]) short.m.zone[mark] = 1000;
    wakeKswapd(short.pages, 0, 4, top(short), true);
    equal(runKswapd(short.pages)[0]?.sleeps, false);
    deepEqual([daemon(short)[0], short.pages.compaction.zone[D_FLUSH]], [0, 1]);
  });
});

describe("kcompactd works", () => {
  test("through the zones that were asked for, and forgets what it did", () => {
    const own = laid([movable, "k", SPARSE, SPARSE]);
    wake(own, 4);
    const runs = runKcompactd(own.pages);
    deepEqual(runs, [
      { node: 0, order: 4, highest: top(own), zones: [{ zone: 0, result: "success" }] },
    ]);
    deepEqual(daemon(own), [0, NO_LIMIT, 0]);
    equal(own.pages.compaction.zone[2], 5, "no smaller order is put off now");
    const { counts } = own.pages;
    deepEqual([counts.compactDaemonWake, counts.pgmigrateSuccess], [1, 16]);
    equal(counts.compactIsolated, 32, "16 pages and 16 places");
    deepEqual(
      [counts.compactDaemonMigrateScanned, counts.compactDaemonFreeScanned],
      [counts.compactMigrateScanned, counts.compactFreeScanned],
    );
    own.check();
  });

  test("is put off after a run for nothing, and drains what waits", () => {
    const own = laid(["k", "k", SPARSE, SPARSE]);
    const pfn = allocPages(own.m, own.pages.gfp, 0);
    freePages(own.m, pfn, 0);
    const waiting = (): string => own.map().join("").replaceAll(/[^,]/g, "");
    equal(waiting().length > 0, true);
    wake(own, 3);
    const zones = (): (string | undefined)[] =>
      runKcompactd(own.pages).map(({ zones: [first] }) => first?.result);
    deepEqual(zones(), ["partial_skipped"]);
    equal(waiting(), "");
    const seen: string[] = [];
    for (let i = 0; i < 4; i++) {
      wake(own, 3);
      seen.push(zones()[0] ?? "put off");
    }
    deepEqual(seen, ["put off", "partial_skipped", "put off", "put off"]);
  });

  test("what was asked for while it could not help waits for the next round, if rounds come", () => {
    for (const [proactiveness, rounds] of [
      [20, 1],
      [0, 0],
    ] as const) {
      const own = laid([movable, "k", SPARSE, SPARSE], { compactionProactiveness: proactiveness });
      wake(own, 5);
      equal(runKcompactd(own.pages).length, rounds);
      equal(own.pages.compaction.daemon[0], rounds === 1 ? 0 : 5);
    }
  });

  test("not while somebody reclaims", () => {
    const own = laid([movable, "k", SPARSE, SPARSE]);
    wake(own, 4);
    own.pages.reclaiming = true;
    deepEqual(runKcompactd(own.pages), []);
    own.pages.reclaiming = false;
    equal(runKcompactd(own.pages).length, 1);
  });
});

describe("unasked", () => {
  const pieces = (): Laid => laid([movable, SPARSE, SPARSE, "k"]);

  test("it makes large blocks where the score is above the upper mark, until it is at the lower", () => {
    const own = laid(["a.k", "aa.k", `${".k".repeat(20)}k`, ".".repeat(64)]);
    // 23 of 87 free pages are in pieces: 26.
    deepEqual(runKcompactd(own.pages), []);
    setProactiveness(own.pages, 84);
    // Woken at once; 26 is the upper mark, and the score of the only zone a little less.
    deepEqual(runKcompactd(own.pages), []);
    setProactiveness(own.pages, 90);
    const [run] = runKcompactd(own.pages);
    deepEqual([run?.order, run?.highest, run?.zones.length], [-1, NO_LIMIT, 1]);
  });

  test("it sleeps through 63 rounds after one that did not help", () => {
    const own = pieces();
    const rounds = (): number => {
      for (let round = 1; round < 100; round++)
        if (runKcompactd(own.pages).length > 0) return round;
      return 0;
    };
    equal(rounds(), 1);
    equal(rounds(), 64);
    setProactiveness(own.pages, 50);
    equal(rounds(), 1, "the one who sets it is heard");
    equal(own.pages.compaction.daemon[4], 0);
  });

  test("who sets it goes before who asked for a block", () => {
    const own = pieces();
    own.pages.compaction.daemon[0] = 5;
    setProactiveness(own.pages, 20);
    deepEqual(
      runKcompactd(own.pages).map(({ order }) => order),
      [-1],
    );
    equal(own.pages.compaction.daemon[0], 5);
  });

  test("not at 0, not while kswapd runs, not in kernels without", () => {
    const own = pieces();
    own.m.zone[Z_HIGH] = 10_000;
    wakeKswapd(own.pages, 0, 0, top(own), true);
    deepEqual(runKcompactd(own.pages), []);
    const off = laid([movable, SPARSE, SPARSE, "k"], { compactionProactiveness: 0 });
    deepEqual(runKcompactd(off.pages), []);
    setProactiveness(off.pages, 0);
    deepEqual(runKcompactd(off.pages), []);
    const old = laid([movable, SPARSE, SPARSE, "k"], { era: "4.19", compactionProactiveness: 90 });
    setProactiveness(old.pages, 90);
    deepEqual(runKcompactd(old.pages), []);
    equal(old.pages.compaction.daemon.length, DAEMON_WORDS);
  });
});

test("each node has its own", () => {
  const m = bootMemory({
    zones: [
      { name: "Normal", startPfn: 0, pages: 4096 },
      { name: "Normal", node: 1, startPfn: 4096, pages: 4096 },
    ],
  });
  const pages = managePages(m);
  for (const zone of [0, 1]) {
    // As if all of its free pages were in pieces.
    m.zone.fill(0, zone * ZONE_WORDS + Z_BLOCKS, zone * ZONE_WORDS + Z_BLOCKS + 11);
    m.zone[zone * ZONE_WORDS + Z_BLOCKS] = 4096;
    m.zone.fill(0, zone * ZONE_WORDS + Z_ORDERS_OF, zone * ZONE_WORDS + Z_ORDERS_OF + 6);
  }
  wakeKcompactd(pages, 1, 4, 3);
  const { daemon } = pages.compaction;
  deepEqual([daemon[0], daemon[DAEMON_WORDS], daemon[DAEMON_WORDS + 2]], [0, 4, 1]);
  setProactiveness(pages, 30);
  deepEqual([daemon[4], daemon[DAEMON_WORDS + 4]], [1, 1]);
});

test("a request that may wait gets its block by moving pages, and says so", () => {
  for (const [kernel, counted] of [
    [false, [1, 1, 0, 0]],
    // Its first look is for pageblocks of its own type: there are none.
    [true, [2, 1, 1, 1]],
  ] as const) {
    const own = laid([movable, "k", SPARSE, SPARSE]);
    usePressure(own.pages);
    const gfp = kernel ? GFP_KERNEL : own.pages.gfp;
    equal(allocPages(own.m, gfp, 4) !== NO_PFN, true);
    const { compactStall, compactSuccess, compactFail, allocstall } = own.pages.counts;
    deepEqual([compactStall, compactSuccess, compactFail, allocstall], counted);
    own.check();
  }
});
