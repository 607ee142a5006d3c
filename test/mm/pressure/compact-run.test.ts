// Goal: a run of compaction goes over a zone as 6.1's does: who moves where, what it passes over, where it
// stops and where the next one begins. Method: zones laid out page by page, with what the source makes of
// each worked out by hand.
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { describe, test } from "node:test";
import { compactZone, lockPage, touchPage } from "../../../src/mm/index.ts";
import { rowOf, TAKEN, Z_HIGH, Z_ORDERS_OF } from "../../../src/mm/memory.ts";
import { resetNodeHints, runOver } from "../../../src/mm/pressure/compact.ts";
import { newRun, type Run, type RunWish } from "../../../src/mm/pressure/compact-run.ts";
import { D_FLUSH } from "../../../src/mm/pressure/compact-state.ts";
import { CMA, HIGHATOMIC, MOVABLE, RECLAIMABLE, UNMOVABLE } from "../../../src/mm/rule.ts";
import { BLOCK, FIRST, type Laid, laid } from "../../support/pressure-map.ts";

const ASYNC: RunWish = { order: 4, mode: "async", direct: true, type: MOVABLE };
const LIGHT: RunWish = { order: 4, mode: "light", direct: true, type: MOVABLE };
const ALL: RunWish = { order: -1, mode: "full", whole: true, ignoreSkipHint: true };

/** Where each page went that moved, as [pageblock, page] of both. */
function moves({ pages, handles }: Laid): [string, string][] {
  const at = (pfn: number): string =>
    `${Math.floor((pfn - FIRST) / BLOCK)}:${(pfn - FIRST) % BLOCK}`;
  return [...handles].flatMap(([pfn, handle]): [string, string][] => {
    const now = touchPage(pages, handle, false);
    return now === pfn ? [] : [[at(pfn), at(now)]];
  });
}

const hints = ({ pages, m }: Laid, blocks: number): string =>
  [...pages.compaction.skip.slice(rowOf(m, FIRST) >> 6, (rowOf(m, FIRST) >> 6) + blocks)].join("");

const state = ({ pages }: Laid): { free: number; async: number; sync: number } => {
  const zone = pages.compaction.zones[0];
  ok(zone !== undefined);
  const block = (pfn: number): number => (pfn < 0 ? pfn : (pfn - FIRST) / BLOCK);
  const { cachedFree, cachedAsync, cachedSync } = zone;
  return { free: block(cachedFree), async: block(cachedAsync), sync: block(cachedSync) };
};

function run(own: Laid, wish: RunWish): { result: string; run: Run } {
  const made = newRun(own.pages, 0, wish);
  const result = runOver(made);
  own.check();
  return { result, run: made };
}

describe("who moves, and where to", () => {
  test("pages from below to the last free pages of the zone's upper end, the last found first", () => {
    const own = laid(["a.a.k", "k", "k", "k..k", "...k"]);
    equal(run(own, ALL).result, "complete");
    // Two places are enough for two pages: the first free blocks of the last pageblock, two pages and one.
    deepEqual(moves(own), [
      ["0:0", "4:0"],
      ["0:2", "4:1"],
    ]);
  });

  test("the kernel's pages and pinned anonymous ones stay; locked ones and owners' go", () => {
    const own = laid(["kAaok", "k", "........k", "."]);
    lockPage(own.pages, own.handles.get(FIRST + 2) ?? 0);
    equal(run(own, ALL).result, "complete");
    equal(own.map()[0]?.slice(0, 5), "kA,,k");
    equal(own.pages.counts.pgmigrateFail, 0);
    equal(own.asked.length, 1);
  });

  test("pinned pages of files and refusing owners are tried, and fail", () => {
    const own = laid(["Frk", "k", "........k", "."]);
    equal(run(own, ALL).result, "complete");
    equal(own.map()[0]?.slice(0, 3), "Fok");
    // The pageblock is not left at its end, and so not gone over again.
    deepEqual([own.asked.length, own.pages.counts.pgmigrateFail], [1, 2]);
    equal(own.map()[2]?.slice(0, 9), ",,,,,,,,k", "places that nobody used go back");
  });

  test("pages of files stay for those who may not enter a file system", () => {
    const own = laid(["fak", "k", "........k", "."]);
    run(own, { ...ALL, noFs: true });
    equal(own.map()[0]?.slice(0, 3), "f,k");
  });

  test("pageblocks of other types give pages, but take none, unless any will do; free ones take none", () => {
    const own = (...types: number[]): Laid => {
      const made = laid(["a.k", "k", "....k", ".k", "."]);
      for (const [i, type] of types.entries()) {
        made.m.blockType[rowOf(made.m, FIRST + i * BLOCK) >> 6] = type;
      }
      return made;
    };
    const first = own(RECLAIMABLE, MOVABLE, MOVABLE, UNMOVABLE);
    run(first, ALL);
    // Four pages were taken together; the last of them is used first.
    deepEqual(moves(first), [["0:0", "2:3"]]);
    const lent = own(MOVABLE, MOVABLE, MOVABLE, CMA);
    runOver(newRun(lent.pages, 0, ALL));
    deepEqual(moves(lent), [["0:0", "3:0"]]);
    const any = own(MOVABLE, MOVABLE, MOVABLE, UNMOVABLE);
    run(any, { ...ALL, anyBlock: true });
    deepEqual(moves(any), [["0:0", "3:0"]]);
  });

  test("an owner who throws loses nothing", () => {
    const own = laid(["aoaoak", "k", "........k", "."]);
    own.pages.owners[0] = {
      name: "thrower",
      moved: () => {
        throw new Error("no");
      },
    };
    throws(() => compactZone(own.pages, 0, -1), /no/);
    own.check();
    equal(own.map()[0]?.slice(0, 6), "aoao,k");
    equal(own.map().join("").replaceAll(/[^.,]/g, "").length, BLOCK + 8, "no place is lost");
  });

  test("for single pages there is nothing to do where one is free", () => {
    equal(compactZone(laid(["a.k", "k", ".k"]).pages, 0, 0), "success");
  });

  test("nothing in a memory without migration", () => {
    const own = laid(["aak", "k", "........k", "."], { migration: false });
    equal(compactZone(own.pages, 0, -1), "skipped");
  });
});

/** Every other page is free: room, and no block. */
const SPARSE = ".k".repeat(BLOCK / 2);

describe("a request's first, light run", () => {
  test("leaves a block of its order alone where a page stays", () => {
    const own = laid([`aaak${"a".repeat(16)}k`, "k", SPARSE]);
    equal(run(own, { ...ASYNC, order: 2 }).result, "success");
    equal(own.map()[0]?.slice(0, 5), "aaak.");
    equal(moves(own).length, 16);
  });

  test("and the rest of one where a page does not move after all", () => {
    const own = laid([`aFaaaaaa${"k".repeat(8)}aaaak`, "k", SPARSE]);
    run(own, { ...ASYNC, order: 3 });
    equal(own.pages.counts.pgmigrateFail, 1);
    // All eight were taken together, then seven moved.
    equal(moves(own).length, 7);
    equal(own.map()[0]?.slice(16, 21), "aaaak", "no block of eight can come of these");
  });

  test("goes by pageblocks of its type, where movable ones and CMA's are one", () => {
    for (const [type, block, moved] of [
      [MOVABLE, MOVABLE, true],
      [MOVABLE, CMA, true],
      [MOVABLE, UNMOVABLE, false],
      [UNMOVABLE, UNMOVABLE, true],
      [UNMOVABLE, MOVABLE, false],
    ] as const) {
      for (const mode of ["async", "light"] as const) {
        const own = laid([`${"a".repeat(16)}k`, "k", SPARSE, SPARSE]);
        own.m.blockType[rowOf(own.m, FIRST) >> 6] = block;
        runOver(newRun(own.pages, 0, { ...ASYNC, mode, type }));
        equal(moves(own).length > 0, moved || mode === "light", `${type} ${block} ${mode}`);
      }
    }
  });

  test("passes over huge pages, whole", () => {
    const own = laid(["k", "k", "k", SPARSE, SPARSE]);
    const row = rowOf(own.m, FIRST + BLOCK);
    own.m.state.fill(0, row, row + BLOCK);
    own.m.state[row] = TAKEN | 6;
    const { run: made } = run(own, LIGHT);
    equal(made.migrateScanned, 3 * BLOCK);
  });
});

describe("where it stops", () => {
  test("as soon as a pageblock is gone through and there is a block of the order", () => {
    const own = laid([`${"a".repeat(16)}k`, `${"a".repeat(16)}k`, "k", SPARSE, SPARSE]);
    const { result, run: made } = run(own, LIGHT);
    equal(result, "success");
    equal(made.migratePfn, FIRST + BLOCK);
    equal(own.map()[0]?.slice(0, 17), `${".".repeat(16)}k`);
    equal(own.map()[1]?.slice(0, 16), "a".repeat(16));
  });

  test("with the first look where a list has a block that the request may use", () => {
    const isDone = (order: number, type: number, list: number, at: number): boolean => {
      const own = laid(["k", "k", SPARSE, SPARSE]);
      // The block is there, and the request's own mark forbids it.
      own.m.zone[Z_HIGH] = 10_000;
      own.m.zone[Z_ORDERS_OF + list] = (own.m.zone[Z_ORDERS_OF + list] ?? 0) | (1 << at);
      const made = newRun(own.pages, 0, { order, mode: "light", direct: true, type, flags: 2 });
      return runOver(made) === "success" && made.migrateScanned === 0;
    };
    equal(isDone(4, MOVABLE, MOVABLE, 4), true);
    equal(isDone(4, MOVABLE, MOVABLE, 7), true);
    equal(isDone(4, MOVABLE, CMA, 4), true);
    equal(isDone(4, UNMOVABLE, CMA, 4), false);
    equal(isDone(4, MOVABLE, HIGHATOMIC, 4), false);
    // Others' blocks, with their pageblocks: from half a pageblock's order on.
    equal(isDone(4, MOVABLE, RECLAIMABLE, 4), true);
    equal(isDone(2, MOVABLE, UNMOVABLE, 2), false);
    equal(isDone(2, MOVABLE, UNMOVABLE, 3), true);
    equal(isDone(2, UNMOVABLE, MOVABLE, 2), true);
    equal(isDone(2, RECLAIMABLE, UNMOVABLE, 2), true);
    equal(isDone(4, MOVABLE, MOVABLE, 3), false);
  });

  test("when the scanners meet: the whole zone, or the part from where it began", () => {
    equal(run(laid(["ak", "k", "k", "k"]), LIGHT).result, "skipped");
    const own = laid(["k", SPARSE, "k", "k"]);
    equal(run(own, { ...LIGHT, order: 3 }).result, "partial_skipped");
    deepEqual(state(own), { free: 3, async: 0, sync: 0 });
    equal(own.pages.compaction.zone[D_FLUSH], 1, "kswapd may clear the hints");
    equal(run(own, { ...LIGHT, order: 3, whole: true }).result, "complete");
    const daemon = laid(["k", SPARSE, "k", "k"]);
    equal(run(daemon, { order: 3, mode: "light" }).result, "partial_skipped");
    equal(daemon.pages.compaction.zone[D_FLUSH], 0, "only for requests");
  });

  test("when there is no place any more", () => {
    const own = laid(["aaaak", "k", "k", "..k.k"]);
    equal(run(own, ALL).result, "contended");
    // Of three free pages two may go: then one is left, which is no more than the mark and itself.
    equal(moves(own).length, 2);
  });
});

describe("places", () => {
  test("come from the lists, and from around what they gave, which is marked where it is too little", () => {
    const few = `${".k".repeat(5)}k`;
    const own = laid([`${"a".repeat(16)}k`, "k", "k", "k", few, few, SPARSE, few]);
    equal(run(own, LIGHT).result, "success");
    const blocks = moves(own).map(([, to]) => to.slice(0, 1));
    equal(new Set(blocks).size > 1, true);
    const marked = [4, 5, 6, 7].filter((block) => hints(own, 8)[block] === "1");
    // Each pageblock that had less than was wanted.
    deepEqual(
      marked,
      [...new Set(blocks)]
        .map(Number)
        .filter((block) => block !== 6)
        .sort(),
    );
  });

  test("that are just enough are not added to", () => {
    const own = laid(["aaaak", "k", "k", "k", "k.k..k.k", "k....k", SPARSE]);
    own.m.zone[Z_HIGH] = 10_000;
    run(own, { ...LIGHT, order: 3 });
    equal(own.map().join("").includes(","), false, "none came back unused");
  });

  test("in kernels that only walk: in longer strides after pageblocks that gave nothing", () => {
    const own = laid([`${"a".repeat(16)}k`, "k", "k", "k.".repeat(32), SPARSE, "k", "k"], {
      era: "4.19",
    });
    equal(run(own, LIGHT).result, "success");
    // Two pageblocks give nothing, so one page in four is looked at, and these are free; then each.
    deepEqual(
      moves(own).map(([, to]) => to),
      Array.from({ length: 16 }, (_, i) => `4:${4 * i}`),
    );
  });

  test("that nobody used go back, and the next run begins no lower", () => {
    const room = `${"k.".repeat(10)}k`;
    const places = ["....k........k", "k.k.k", `${".k".repeat(8)}k`];
    const own = laid([`${"a".repeat(16)}k`, room, room, ...places], { era: "4.19" });
    equal(run(own, LIGHT).result, "success");
    own.check();
    equal(state(own).free, 5);
    // 8 of the last pageblock, 2, then 4, 1 and 2 make 17: the first of them is left.
    equal(own.map()[5]?.slice(0, 3), ".ka");
  });
});

describe("the migrate scanner's look at the lists", () => {
  test("leads it to a pageblock that is partly free, and later back to the lowest of these", () => {
    const own = laid(["aaak", "k", "........k", "aak", SPARSE, SPARSE, "k", "k"]);
    const { result } = run(own, LIGHT);
    equal(result, "partial_skipped");
    // It is marked before it is looked at, and so passed over; what lies below is never seen.
    deepEqual(
      moves(own).map(([from]) => from),
      ["3:0", "3:1"],
    );
    equal(hints(own, 8).slice(0, 4), "0011");
  });
});

describe("what the next run knows", () => {
  test("pageblocks with nothing to move, or whose first page went, are passed over", () => {
    const own = laid(["k", "k", `${"ak".repeat(16)}k`, "k", SPARSE]);
    const first = run(own, { ...LIGHT, order: 3 });
    equal(first.result, "partial_skipped");
    equal(moves(own).length, 16);
    equal(hints(own, 5), "11110");
    const again = run(own, { ...LIGHT, order: 3 });
    equal(again.run.migrateScanned, 0);
    const full = run(own, { ...LIGHT, order: 3, whole: true, ignoreSkipHint: true });
    equal(full.run.migrateScanned, 4 * BLOCK);
  });

  test("after success scanners go on where they were", () => {
    const own = laid([`${"a".repeat(16)}k`, "k", "k", SPARSE, SPARSE]);
    equal(run(own, LIGHT).result, "success");
    deepEqual(state(own), { free: 4, async: 0, sync: 0 });
    equal(hints(own, 5), "10000");
  });

  test("pageblocks that were gone over twice count as seen, and the one behind each", () => {
    const room = Array.from({ length: 5 }, () => SPARSE);
    const own = laid([`${"a".repeat(40)}k`, "a", "k", "k", ...room]);
    equal(run(own, { ...LIGHT, order: 6 }).result, "success");
    // 32 at first, the rest without a limit.
    equal(moves(own).length, 104);
    deepEqual([state(own).async, state(own).sync], [3, 3]);
    // Within a pageblock smaller blocks are left behind after each 32 pages.
    const small = laid([`${"a".repeat(40)}k`, "k", "k", SPARSE, SPARSE]);
    equal(run(small, LIGHT).result, "success");
    deepEqual([state(small).async, state(small).sync], [0, 0]);
  });

  test("runs that never wait go on elsewhere, from the first pages that they found", () => {
    const own = laid(["k", "Faaak", "k", "k", "aaaak", SPARSE, SPARSE]);
    equal(run(own, { ...ASYNC, order: 2 }).result, "success");
    deepEqual([state(own).async, state(own).sync], [6, 2]);
    equal(hints(own, 7), "1111100");
    const light = newRun(own.pages, 0, { ...LIGHT, order: 3 });
    runOver(light);
    // Pageblock 5 alone: 2 to 4 are hinted at.
    equal(light.migrateScanned, BLOCK);
  });

  test("a run of the whole zone begins at its ends all the same; one place out of it costs both", () => {
    const own = laid(["k", "k", SPARSE, SPARSE, "k"]);
    const zone = own.pages.compaction.zones[0];
    ok(zone !== undefined);
    zone.cachedSync = FIRST + 2 * BLOCK;
    zone.cachedFree = FIRST + 3 * BLOCK;
    const whole = run(own, { ...LIGHT, order: 3, whole: true, ignoreSkipHint: true });
    equal(whole.run.migrateScanned, 4 * BLOCK);
    const other = laid([`${"a".repeat(16)}k`, "k", SPARSE, SPARSE]);
    const own2 = other.pages.compaction.zones[0];
    ok(own2 !== undefined);
    own2.cachedSync = FIRST;
    own2.cachedAsync = FIRST + BLOCK;
    equal(run(other, LIGHT).result, "success");
    equal(state(other).async, 1);
  });

  test("a run that never waits and finds nothing tells others only what they knew as well", () => {
    for (const [sync, then] of [
      [0, 2],
      [1, 1],
    ] as const) {
      const own = laid(["k", "aaaak", "k", SPARSE, SPARSE]);
      const zone = own.pages.compaction.zones[0];
      ok(zone !== undefined);
      zone.cachedAsync = FIRST;
      zone.cachedSync = FIRST + sync * BLOCK;
      zone.cachedFree = FIRST + 4 * BLOCK;
      equal(run(own, { ...ASYNC, order: 2 }).result, "success");
      equal(state(own).sync, then);
    }
  });

  test("a run from where scanners begin after a reset is one of the whole zone", () => {
    const own = laid(["k", SPARSE, "k", "k"]);
    const zone = own.pages.compaction.zones[0];
    ok(zone !== undefined);
    zone.initMigrate = FIRST;
    equal(run(own, { ...LIGHT, order: 3 }).result, "complete");
    zone.cachedSync = FIRST + BLOCK;
    equal(run(own, { ...LIGHT, order: 3 }).result, "partial_skipped");
    zone.cachedSync = FIRST + 4 * BLOCK;
    zone.cachedFree = FIRST - 1;
    zone.cachedAsync = FIRST;
    equal(run(own, { ...LIGHT, order: 3 }).result, "complete", "places out of the zone are none");
  });

  test("hints are cleared when kswapd sleeps, if a request's run went through", () => {
    const own = laid(["k", "kkkkkkkkak", "k", ".k", "k"]);
    own.pages.compaction.skip.fill(1);
    resetNodeHints(own.pages, 0);
    equal(hints(own, 5), "11111", "no such run");
    own.pages.compaction.zone[D_FLUSH] = 1;
    resetNodeHints(own.pages, 1);
    equal(hints(own, 5), "11111", "another node");
    resetNodeHints(own.pages, 0);
    // One page in eight is looked at: from below for one on a list, from above for a free one.
    equal(hints(own, 5), "10101");
    equal(own.pages.compaction.zone[D_FLUSH], 0);
  });

  test("and at once when the last of 64 tries comes", () => {
    const own = laid(["k", "kkkkkkkkak", "k", SPARSE, SPARSE]);
    const { compaction } = own.pages;
    compaction.skip.fill(1);
    compaction.zone.set([63, 6, 0, 1]);
    run(own, LIGHT);
    equal(hints(own, 2), "11", "63 are not enough");
    compaction.zone.set([64, 6, 0, 1]);
    run(own, LIGHT);
    equal(moves(own).length, 1);
  });
});
