// Goal: whether compaction is begun, put off, tried again and how hard, by 6.1's rules. Method: each rule at
// its limits, worked out from the source: one page less and one more, one try before and one after.
import { deepEqual, equal } from "node:assert/strict";
import { describe, test } from "node:test";
import { bootMemory, GFP_KERNEL, type Pages } from "../../../src/mm/index.ts";
import {
  COSTLY_ORDER,
  requestOf,
  Z_BLOCKS,
  Z_BOOST,
  Z_FREE,
  Z_LOW,
  Z_MIN,
  Z_ORDERS_OF,
  Z_PRESENT,
  ZONE_WORDS,
} from "../../../src/mm/memory.ts";
import type { CompactResult } from "../../../src/mm/pressure/compact.ts";
import {
  deferCompaction,
  endDeferral,
  isDeferred,
  isRestarting,
} from "../../../src/mm/pressure/compact-defer.ts";
import {
  type CompactRequest,
  mayCompact,
  newTries,
  PRIO_ASYNC,
  PRIO_FULL,
  PRIO_LIGHT,
  shouldRetry,
  tryToCompact,
} from "../../../src/mm/pressure/compact-request.ts";
import { compactRule } from "../../../src/mm/pressure/compact-rule.ts";
import { D_FLUSH, wordsOf } from "../../../src/mm/pressure/compact-state.ts";
import {
  compactGap,
  compactionSuitable,
  nodeScore,
  scoreMark,
  zonelistSuitable,
  zoneScore,
} from "../../../src/mm/pressure/compact-suitable.ts";
import { RULES } from "../../../src/mm/rule-eras.ts";
import { type Laid, laid } from "../../support/pressure-map.ts";

/** A zone's words as if `blocks` of each order, all movable, were all that is free. */
function pretend({ m }: Pages, blocks: readonly number[], zone = 0): void {
  const at = zone * ZONE_WORDS;
  m.zone.fill(0, at + Z_ORDERS_OF, at + Z_ORDERS_OF + 6);
  let free = 0;
  let orders = 0;
  for (let order = 0; order <= m.maxOrder; order++) {
    const count = blocks[order] ?? 0;
    m.zone[at + Z_BLOCKS + order] = count;
    free += count << order;
    if (count > 0) orders |= 1 << order;
  }
  m.zone[at + Z_FREE] = free;
  m.zone[at + Z_ORDERS_OF + 1] = orders;
}

function marks({ m }: Pages, min: number, low: number, boost = 0): void {
  m.zone[Z_MIN] = min;
  m.zone[Z_LOW] = low;
  m.zone[Z_BOOST] = boost;
}

describe("a zone is fit for a run", () => {
  const { pages } = laid(["k"]);
  const suitable = (order: number, flags = 0): string =>
    compactionSuitable(pages.m, 0, order, flags, 0);

  test("while it keeps twice the block above min, or above low for costly orders; boosts count", () => {
    marks(pages, 10, 20, 5);
    for (const [order, least] of [
      [2, 15 + 8],
      [COSTLY_ORDER, 15 + 16],
      [COSTLY_ORDER + 1, 25 + 32],
    ] as const) {
      equal(compactGap(order), 2 << order);
      pretend(pages, [least]);
      equal(suitable(order), "skipped", `${order}`);
      pretend(pages, [least + 1]);
      equal(suitable(order), "continue", `${order}`);
    }
  });

  test("not where the request would get its block, at its own mark", () => {
    marks(pages, 10, 100);
    pretend(pages, [50, 0, 1]);
    equal(suitable(2), "success");
    // ALLOC_WMARK_LOW
    equal(suitable(2, 1), "continue");
    pretend(pages, [10, 0, 1]);
    equal(suitable(2), "success");
    pretend(pages, [9, 0, 1]);
    equal(suitable(2), "skipped");
  });

  test("for costly orders only where pieces are the trouble: an index of more than 500", () => {
    marks(pages, 0, 0);
    // 1000 - (1000 + pages * 1000 / 16) / blocks: of 1000 single pages 937, of 125 blocks of 8 492.
    pretend(pages, [1000]);
    equal(suitable(4), "continue");
    pretend(pages, [0, 0, 0, 125]);
    equal(suitable(4), "skipped");
    // 1000 - 63125 / 126 = 500, and 1000 - 63187 / 127 = 503.
    pretend(pages, [2, 0, 0, 124]);
    equal(suitable(4), "skipped");
    pretend(pages, [3, 0, 0, 124]);
    equal(suitable(4), "continue");
    pretend(pages, [0, 0, 125]);
    equal(suitable(3), "continue", "no such question for others");
  });

  test("for all of memory always", () => {
    marks(pages, 1000, 2000);
    pretend(pages, []);
    equal(suitable(-1), "continue");
    equal(suitable(0), "skipped", "a single page is no such thing");
  });

  test("with CMA's pages, which others may not have", () => {
    const lent = laid(["k"], { cma: true }).pages;
    pretend(lent, [64]);
    lent.m.zone[12] = 64;
    equal(compactionSuitable(lent.m, 0, 1, 0, 0), "continue");
  });
});

describe("up to 4.8 a zone is fit", () => {
  test("above the low mark, and for lack of order, whatever the order", () => {
    const { pages } = laid(["k"], { era: "3.10" });
    const suitable = (order: number): string => compactionSuitable(pages.m, 0, order, 0, 0);
    equal(suitable(-1), "continue");
    marks(pages, 10, 20);
    pretend(pages, [20 + 8]);
    equal(suitable(2), "skipped");
    pretend(pages, [20 + 9]);
    equal(suitable(2), "continue");
    // 1000 - (1000 + 25000) / 50 = 480.
    pretend(pages, [0, 50]);
    equal(suitable(2), "skipped");
    pretend(pages, [50]);
    equal(suitable(2), "continue");
    pretend(pages, [20, 0, 2]);
    equal(suitable(2), "skipped", "20 + 8 of 28");
    pretend(pages, [23, 0, 2]);
    equal(suitable(2), "continue", "a block is there, and the request would not get it");
    pretend(pages, [2, 0, 20]);
    equal(suitable(2), "success");
  });

  test("for requests that may enter a file system, up to 4.9", () => {
    for (const [era, noFs] of [
      ["3.10", false],
      ["4.9", false],
      ["4.19", true],
    ] as const) {
      const { pages } = laid(["k"], { era });
      const bit = (name: string): number => pages.m.gfp.era.bits.get(`__GFP_${name}`) ?? 0;
      equal(mayCompact(pages, bit("IO")), noFs, era);
      equal(mayCompact(pages, bit("IO") | bit("FS")), true, era);
      equal(mayCompact(pages, bit("FS")), false, era);
    }
  });
});

describe("a list of zones is fit for reclaim to help compaction", () => {
  test("where a part of what can go, smaller for larger orders, would be enough", () => {
    const { pages, m } = laid(["f", "k"]);
    const list = requestOf(m, GFP_KERNEL) >> 8;
    const highest = (requestOf(m, GFP_KERNEL) >> 4) & 0xf;
    const fit = (order: number, top = highest): boolean =>
      zonelistSuitable(pages, order, top, list, 0);
    // 64 pages of files: 64 / 2 = 32 for order 2, against min + 8.
    marks(pages, 23, 23);
    equal(fit(2), true);
    marks(pages, 24, 24);
    equal(fit(2), false);
    // 64 / 3 = 21, against min + 16.
    marks(pages, 4, 4);
    equal(fit(3), true);
    marks(pages, 5, 5);
    equal(fit(3), false);
    marks(pages, 4, 4);
    equal(fit(3, -1), false, "zones above the request's do not count");
    pretend(pages, [0, 0, 0, 10]);
    equal(fit(3), false, "a block that is there needs no compaction");
  });
});

describe("a score", () => {
  test("is the hundredths of free memory that no huge page can use; a node's, weighed by size", () => {
    const { pages, m } = laid(["k"]);
    pretend(pages, []);
    equal(zoneScore(m, 0), 0);
    pretend(pages, [64, 0, 0, 0, 0, 0, 1]);
    equal(zoneScore(m, 0), 50);
    pretend(pages, [1, 0, 0, 0, 0, 0, 2]);
    equal(zoneScore(m, 0), 0);
    pretend(pages, [128, 0, 0, 0, 0, 0, 1]);
    equal(zoneScore(m, 0), 66);
    const two = bootMemory({
      zones: [
        { name: "DMA", startPfn: 0, pages: 1024 },
        { name: "Normal", startPfn: 1024, pages: 3072 },
      ],
    });
    two.zone.fill(0, Z_BLOCKS, Z_BLOCKS + 11);
    two.zone[Z_BLOCKS] = 100;
    equal(zoneScore(two, 0), 100);
    equal(zoneScore(two, 1), 0);
    // 1024 * 100 / 4097
    equal(nodeScore(two, [0, 1]), 24);
    two.zone[Z_PRESENT] = 0;
    equal(nodeScore(two, [0, 1]), 0);
  });

  test("has two marks, ten apart, and no lower one below 5", () => {
    deepEqual([scoreMark(20, true), scoreMark(20, false)], [80, 90]);
    deepEqual([scoreMark(95, true), scoreMark(96, true), scoreMark(100, false)], [5, 5, 15]);
    deepEqual([scoreMark(0, true), scoreMark(5, false)], [100, 100]);
  });
});

describe("putting off", () => {
  test("doubles with each failure, up to 64; then hints are looked at anew", () => {
    const { compaction } = laid(["k"]).pages;
    const tries = (): number => {
      for (let count = 1; ; count++) if (!isDeferred(compaction, 0, 4)) return count;
    };
    equal(tries(), 1);
    const seen: number[] = [];
    for (let i = 0; i < 8; i++) {
      deferCompaction(compaction, 0, 4);
      equal(isRestarting(compaction, 0, 4), false);
      seen.push(tries());
    }
    deepEqual(seen, [2, 4, 8, 16, 32, 64, 64, 64]);
    equal(isRestarting(compaction, 0, 4), true);
    equal(isRestarting(compaction, 0, 3), true);
    equal(isDeferred(compaction, 0, 4), false, "still not, until a run failed");
  });

  test("is for orders from the lowest that failed on", () => {
    const { compaction } = laid(["k"]).pages;
    endDeferral(compaction, 0, 6, false);
    equal(isDeferred(compaction, 0, 6), false);
    deferCompaction(compaction, 0, 9);
    equal(isDeferred(compaction, 0, 6), false, "7 is the lowest since");
    equal(isDeferred(compaction, 0, 7), true);
    deferCompaction(compaction, 0, 5);
    equal(isDeferred(compaction, 0, 5), true);
    equal(isDeferred(compaction, 0, 4), false);
    equal(isRestarting(compaction, 0, 4), false);
  });

  test("ends when somebody got a block; a run alone only lifts the order", () => {
    const { compaction } = laid(["k"]).pages;
    const flush = wordsOf(0) + D_FLUSH;
    compaction.zone[flush] = 1;
    deferCompaction(compaction, 0, 4);
    endDeferral(compaction, 0, 4, false);
    deepEqual([...compaction.zone.slice(0, 4)], [0, 1, 5, 1]);
    endDeferral(compaction, 0, 3, true);
    deepEqual([...compaction.zone.slice(0, 4)], [0, 0, 5, 0]);
  });
});

describe("a request tries compaction again", () => {
  const { pages } = laid(["f", "k"]);
  const request = (order: number): CompactRequest => ({
    ...{ gfp: GFP_KERNEL, order, type: 0, flags: 0 },
    ...{ highest: (requestOf(pages.m, GFP_KERNEL) >> 4) & 0xf },
    list: requestOf(pages.m, GFP_KERNEL) >> 8,
  });
  const tries = (order: number, result: CompactResult, most = 100): [number, number] => {
    const own = newTries();
    let count = 0;
    for (; count < most; count++) {
      own.result = result;
      if (!shouldRetry(pages, request(order), own)) break;
    }
    return [count, own.priority];
  };

  test("17 times after blocks that others got, 5 for costly orders, at each priority that is left", () => {
    // One more to the full priority, which costly orders do not get.
    deepEqual(tries(3, "success"), [16 + 1 + 16, PRIO_FULL]);
    deepEqual(tries(4, "success"), [4, PRIO_LIGHT]);
  });

  test("once, harder, after a run through the zone or none at all; costly ones do not", () => {
    for (const result of ["complete", "partial_skipped", "contended", "deferred"] as const) {
      deepEqual(tries(3, result), [1, PRIO_FULL]);
      deepEqual(tries(4, result), [0, PRIO_LIGHT]);
    }
    const light = { ...newTries(), priority: PRIO_ASYNC, result: "complete" } as const;
    const own = { ...light };
    equal(shouldRetry(pages, request(9), own), true);
    equal(own.priority, PRIO_LIGHT);
  });

  test("for as long as reclaim could make room where there was none", () => {
    marks(pages, 4, 4);
    deepEqual(tries(3, "skipped", 50), [50, PRIO_LIGHT]);
    marks(pages, 5, 5);
    deepEqual(tries(3, "skipped", 50), [0, PRIO_LIGHT]);
  });

  test("not for a single page", () => {
    deepEqual(tries(0, "success"), [0, PRIO_LIGHT]);
  });
});

describe("who may compact", () => {
  test("requests that may start I/O, in kernels and memories that can", () => {
    const { pages } = laid(["k"]);
    equal(mayCompact(pages, 0xcc0), true);
    equal(mayCompact(pages, 0xc80), false, "GFP_NOIO with __GFP_FS");
    equal(mayCompact(laid(["k"], { migration: false }).pages, 0xcc0), false);
    equal(mayCompact(laid(["k"], { era: "2.6" }).pages, 0xd0), false);
    const request = { order: 2, type: 0, highest: 3, list: 0, flags: 0 };
    equal(tryToCompact(pages, { ...request, gfp: 0xc00 }, PRIO_LIGHT), "skipped");
  });

  const SPARSE = ".k".repeat(32);
  const wish = ({ m, pages }: Laid, gfp = 0xcc0): CompactRequest => ({
    ...{ gfp, order: 4, type: 1, flags: 0, highest: (requestOf(m, pages.gfp) >> 4) & 0xf },
    list: requestOf(m, pages.gfp) >> 8,
  });

  test("and what for: without a file system its pages stay", () => {
    for (const [gfp, result, moved] of [
      [0xc40, "partial_skipped", 0],
      [0xcc0, "success", 16],
    ] as const) {
      const own = laid([`${"f".repeat(16)}k`, "k", SPARSE, SPARSE]);
      equal(tryToCompact(own.pages, wish(own, gfp), PRIO_LIGHT), result);
      equal(own.pages.counts.pgmigrateSuccess, moved);
    }
  });

  test("how hard: at the full priority nothing that was noted keeps from anything", () => {
    const own = laid([`${"a".repeat(16)}k`, "k", SPARSE, SPARSE]);
    const { pages, m } = own;
    pages.compaction.skip.fill(1);
    m.blockType.fill(0);
    deferCompaction(pages.compaction, 0, 4);
    equal(tryToCompact(pages, wish(own), PRIO_LIGHT), "deferred");
    equal(tryToCompact(pages, wish(own), PRIO_LIGHT), "partial_skipped");
    equal(pages.compaction.zone[1], 2, "it was for nothing, and is put off longer");
    equal(tryToCompact(pages, wish(own), PRIO_FULL), "success");
    equal(pages.compaction.zone[1], 2, "there may be a block: nobody has it yet");
    equal(pages.compaction.zone[2], 5);
    const vain = laid(["k", "k", SPARSE, SPARSE]);
    equal(tryToCompact(vain.pages, wish(vain), PRIO_ASYNC), "partial_skipped");
    equal(vain.pages.compaction.zone[1], 0, "the first look is a light one");
    equal(tryToCompact(vain.pages, wish(vain), PRIO_FULL), "complete");
    equal(vain.pages.compaction.zone[1], 1);
    equal(tryToCompact(vain.pages, { ...wish(vain), highest: -1 }, PRIO_FULL), "skipped");
  });

  test("what there was of it when", () => {
    const since = (part: "direct" | "remembers" | "kcompactd" | "searches"): string | undefined =>
      RULES.find(({ name }) => compactRule(name)[part])?.name;
    deepEqual(
      [since("direct"), since("remembers"), since("kcompactd"), since("searches")],
      ["2.6.39", "3.10", "4.9", "5.4"],
    );
    equal(RULES.find(({ name }) => compactRule(name).proactiveness > 0)?.name, "5.10");
    equal(compactRule("6.18").proactiveness, 20);
  });
});
