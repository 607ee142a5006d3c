// Goal: a request that may wait compacts, reclaims and gives up in the order of 6.1's slow path. Method: zones
// laid out page by page, one request each, and what it has counted when it is refused.
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import {
  __GFP_MEMALLOC,
  __GFP_NORETRY,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  allocPages,
  GFP_KERNEL,
  GFP_NOIO,
  NO_PFN,
  usePressure,
} from "../../../src/mm/index.ts";
import { Z_HIGH, Z_LOW, Z_MIN } from "../../../src/mm/memory.ts";
import { deferCompaction } from "../../../src/mm/pressure/compact-defer.ts";
import { D_SHIFT } from "../../../src/mm/pressure/compact-state.ts";
import { BLOCK, type Laid, laid } from "../../support/pressure-map.ts";

const SPARSE = ".k".repeat(BLOCK / 2);
/** Runs of compaction that counted, and reclaims, of a request that is refused. */
function refused(own: Laid, gfp: number, order: number): [number, number] {
  usePressure(own.pages);
  equal(allocPages(own.m, gfp, order), NO_PFN);
  own.check();
  const { compactStall, allocstall, compactFail } = own.pages.counts;
  equal(compactFail, compactStall);
  return [compactStall, allocstall];
}

const full = (): Laid => laid(["k", "k"]);
/** Room to move to, nothing that a block can come of. */
const pieces = (): Laid => laid(["k", "k", SPARSE, SPARSE]);

test("a costly request that does not retry gives up where compaction is of no use at once", () => {
  deepEqual(refused(full(), GFP_KERNEL | __GFP_NORETRY, 4), [0, 0]);
  const own = pieces();
  deferCompaction(own.pages.compaction, 0, 4);
  deepEqual(refused(own, GFP_KERNEL | __GFP_NORETRY, 4), [1, 0]);
});

test("where a light look was in vain it reclaims, and looks as lightly once more", () => {
  const own = pieces();
  deepEqual(refused(own, GFP_KERNEL | __GFP_NORETRY, 4), [2, 1]);
  equal(own.pages.compaction.zone[D_SHIFT], 0, "light looks put nothing off");
  deepEqual(refused(pieces(), GFP_KERNEL | __GFP_NORETRY | __GFP_THISNODE, 4), [1, 0]);
});

test("a smaller one reclaims in any case; a movable one before it compacts", () => {
  deepEqual(refused(full(), GFP_KERNEL | __GFP_NORETRY, 3), [0, 1]);
  deepEqual(refused(pieces(), GFP_KERNEL | __GFP_NORETRY, 3), [2, 1]);
  const own = pieces();
  deepEqual(refused(own, own.pages.gfp | __GFP_NORETRY, 3), [1, 1]);
  equal(own.pages.compaction.zone[D_SHIFT], 1);
});

test("a costly one tries once, unless it says that it may retry", () => {
  deepEqual(refused(pieces(), GFP_KERNEL, 4), [2, 1]);
  const own = pieces();
  // And if all that can go went there would be no block: that is the end all the same.
  deepEqual(refused(own, GFP_KERNEL | __GFP_RETRY_MAYFAIL, 4), [2, 1]);
  equal(own.pages.compaction.zone[D_SHIFT], 1);
});

test("a costly one does not go on reclaiming, unless it says that it may retry", () => {
  for (const retries of [true, false]) {
    // The block is there; all that can go would just not be enough, and some of it goes only later.
    const own = laid(["c", "c", "c", `${".".repeat(16)}k`]);
    for (const mark of [Z_MIN, Z_LOW, Z_HIGH]) own.m.zone[mark] = 193;
    const [, reclaims] = refused(own, GFP_KERNEL | (retries ? __GFP_RETRY_MAYFAIL : 0), 4);
    equal(reclaims > 1, retries);
  }
});

test("who may not start I/O never compacts, nor tries again for a costly block", () => {
  deepEqual(refused(pieces(), GFP_NOIO, 4), [0, 1]);
  deepEqual(refused(pieces(), GFP_NOIO | __GFP_RETRY_MAYFAIL, 4), [0, 1]);
});

test("whom no mark holds does not look first", () => {
  deepEqual(refused(pieces(), GFP_KERNEL | __GFP_NORETRY | __GFP_MEMALLOC, 4), [1, 1]);
});

test("single pages do not compact", () => {
  const [stalls] = refused(full(), GFP_KERNEL, 0);
  equal(stalls, 0);
});
