// Goal: what a kernel short of memory does without telling is found by rule: when a list's frees
// are done, whom the OOM killer spares nothing, what a CPU keeps back of a count, marks that
// somebody wrote, nodes with too many dirty pages. Method: the engine plays a kernel on a small
// machine and does these things in secret; its recording is replayed.
import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { parseGfp } from "../../src/mm/gfp-text.ts";
import { writeMinFree } from "../../src/mm/marks.ts";
import {
  P_COUNT,
  PCP_WORDS,
  Z_BOOST,
  Z_FLAGS,
  Z_FREE,
  Z_LOW,
  ZONE_RECLAIM_ACTIVE,
  ZONE_WORDS,
} from "../../src/mm/memory.ts";
import { foldCounts } from "../../src/mm/queue.ts";
import {
  isSame,
  type ListSnapshot,
  type MachineFacts,
  type Replay,
  type Run,
  recordingOf,
  replay,
  startState,
} from "../../src/replay/index.ts";
import { KswapdPasses } from "../../src/replay/kswapd.ts";
import { drainOutside } from "../../src/replay/remote-drain.ts";
import { allFree, event, FACTS, Kernel, snapshotOf } from "./made-up-kernel.ts";

const USER = "GFP_HIGHUSER_MOVABLE";
const DMA = "GFP_DMA|__GFP_MOVABLE";

async function replayed(
  kernel: Kernel,
  from: ListSnapshot,
  facts: MachineFacts = FACTS,
): Promise<Replay> {
  // A bulk call that took nothing: a probe was set, so none is hidden.
  const events = [event("bulk", { gfp: "0" }), event("bulk-end"), ...kernel.events];
  const recording = recordingOf(events, kernel.snapshot());
  const { value, issues } = await replay({ from, facts, recording });
  ok(value !== null, JSON.stringify(issues));
  return value;
}

function isExact({ score, comparison }: Run): boolean {
  return score.misses + score.repairs === 0 && comparison !== null && isSame(comparison);
}

/** Takes pages until `most` are had or none is left. */
function take(kernel: Kernel, gfp: string, most: number = Number.POSITIVE_INFINITY): number[] {
  const pfns: number[] = [];
  while (pfns.length < most) {
    const pfn = kernel.alloc(gfp);
    if (pfn < 0) break;
    pfns.push(pfn);
  }
  return pfns;
}

describe("frees of a list", () => {
  for (const told of [true, false]) {
    test(`are done in time, ${told ? "told" : "not told"} when`, async () => {
      const from = allFree();
      const kernel = new Kernel(from);
      const pfns = take(kernel, USER, 3000);
      for (let at = 0; at < pfns.length; at += 500) kernel.freeList(pfns.slice(at, at + 500), told);
      take(kernel, USER, 700);
      const { blind } = await replayed(kernel, from);
      ok(blind.score.drains.recorded > 1000);
      ok(isExact(blind), JSON.stringify(blind.score.firstMiss));
    });
  }
});

describe("a victim of the OOM killer", () => {
  test("takes what others are refused", async () => {
    const from = allFree();
    const kernel = new Kernel(from);
    take(kernel, USER);
    kernel.tell("victim", { a: 1 });
    ok(kernel.alloc(USER, { victim: true }) >= 0);
    const { blind } = await replayed(kernel, from);
    equal(blind.score.failed, 1);
    ok(isExact(blind), JSON.stringify(blind.score.firstMiss));
  });
});

describe("what no event tells", () => {
  test("counts that were added up show in who is refused", async () => {
    const from = allFree();
    for (const moment of [1, 2, 3, 4]) {
      const kernel = new Kernel(from);
      take(kernel, DMA, 100 + moment);
      foldCounts(kernel.m);
      take(kernel, DMA);
      const { repaired } = await replayed(kernel, from);
      ok(isExact(repaired), `${moment}: ${JSON.stringify(repaired.score.firstMiss)}`);
      ok(repaired.score.assumptions.drift <= 2);
    }
    const kernel = new Kernel(from);
    take(kernel, DMA, 101);
    foldCounts(kernel.m);
    take(kernel, DMA);
    const { blind } = await replayed(kernel, from);
    notEqual(blind.score.misses, 0, "what was kept back matters");
  });

  test("written marks show where a request goes to another zone", async () => {
    const from = allFree();
    const kernel = new Kernel(from);
    take(kernel, USER, 60_000);
    writeMinFree(kernel.m, 16_384, 10);
    take(kernel, USER);
    const { blind, repaired } = await replayed(kernel, from);
    ok(!isExact(blind));
    ok(isExact(repaired), JSON.stringify(repaired.score.firstMiss));
    equal(repaired.score.assumptions.marks, 1);
  });

  test("written marks show where a list is drained at another length", async () => {
    const from = allFree();
    const kernel = new Kernel(from);
    const pfns = take(kernel, USER, 2000);
    kernel.freeList([pfns.pop() ?? 0], true);
    writeMinFree(kernel.m, 4096, 10);
    for (const pfn of pfns) kernel.free(pfn);
    const { repaired } = await replayed(kernel, from);
    ok(isExact(repaired), JSON.stringify(repaired.score.firstMiss));
    equal(repaired.score.assumptions.marks, 1);
  });

  test("marks that are the same at the end were not written", async () => {
    const from = allFree();
    const kernel = new Kernel(from);
    take(kernel, USER, 60_000);
    const before = kernel.m.zone.slice();
    writeMinFree(kernel.m, 16_384, 10);
    take(kernel, USER, 4000);
    kernel.m.zone.set(before.subarray(0, 1), 0);
    writeMinFree(kernel.m, 1000, 10);
    const { repaired } = await replayed(kernel, from);
    equal(repaired.score.assumptions.marks, 0);
    ok(repaired.score.repairs > 0);
  });

  test("a node with too many dirty pages is passed over by writers only", async () => {
    const from = allFree();
    const kernel = new Kernel(from);
    const { zone } = kernel.m;
    while ((zone[ZONE_WORDS + Z_FREE] ?? 0) > (zone[ZONE_WORDS + Z_LOW] ?? 0)) kernel.alloc(USER);
    const pfn = kernel.alloc("GFP_HIGHUSER_MOVABLE|__GFP_WRITE", { past: true });
    ok(pfn >= 0x1000, "the min mark of DMA32 allows it, the low one does not");
    ok(kernel.alloc(USER) < 0x1000, "for all others it is DMA's turn");
    const { repaired } = await replayed(kernel, from);
    equal(repaired.score.assumptions.dirtyLimit, 1);
    ok(isExact(repaired), JSON.stringify(repaired.score.firstMiss));
  });
});

describe("a difference", () => {
  test("is mended whole, and what it told counts as wrong", async () => {
    const from = allFree();
    const kernel = new Kernel(from);
    take(kernel, USER, 300);
    // The lists begin with another block than the kernel's.
    const free = from.free.map((list) => ({ ...list, pfns: list.pfns.toReversed() }));
    const { blind, repaired } = await replayed(kernel, { ...from, free });
    equal(blind.score.pfnEqual, 0);
    // The answer, and the refill that it came with.
    equal(repaired.score.repairs, 2);
    equal(repaired.score.pfnEqual, 300 - 15, "the pages of one recorded refill");
    equal(repaired.comparison?.pcp?.equal, repaired.comparison?.pcp?.lists);
  });
});

describe("memory of another node", () => {
  test("that a CPU keeps and does not use goes back by a batch", () => {
    const onNode = (node: number): MachineFacts["zones"] =>
      FACTS.zones.map((zone) => ({ ...zone, node }));
    const facts = { ...FACTS, zones: [...onNode(0), ...onNode(1)] };
    const from = allFree();
    const there = <T extends { readonly index: number }>(list: readonly T[]): T[] =>
      list.map((own) => (own.index === 1 ? { ...own, node: 1 } : own));
    const { zones, free, counters } = from;
    const far = { zones: there(zones), free: there(free), counters: there(counters) };
    const m = startState({ ...from, ...far }, facts).value?.m ?? null;
    ok(m !== null);
    const zone = 5;
    const pfns: number[] = [];
    while (pfns.length < 40) {
      const pfn = allocPages(m, parseGfp(USER, m.gfp.era).value, 0);
      ok(pfn >= 0);
      if (pfn >= 0x1000) pfns.push(pfn);
    }
    for (const pfn of pfns) freePages(m, pfn, 0);
    const kept = m.pcp[zone * PCP_WORDS + P_COUNT] ?? 0;
    ok(kept > 30, `${kept} kept`);
    equal(drainOutside(m, event("drain", { drainRun: 15 }), 1)?.kind, "decay");
    equal(m.pcp[zone * PCP_WORDS + P_COUNT], kept - 15);
    equal(
      drainOutside(m, event("drain", { drainRun: 14 }), 1),
      null,
      "less than a batch is nobody's doing",
    );
  });
});

describe("a pass of kswapd", () => {
  const passes = (): { kswapd: KswapdPasses; flags: () => number[]; boosts: Int32Array } => {
    const state = startState(snapshotOf([]), FACTS).value;
    ok(state !== null);
    const { m } = state;
    const flags = (): number[] =>
      [0, 1].map((z) => (m.zone[z * ZONE_WORDS + Z_FLAGS] ?? 0) & ZONE_RECLAIM_ACTIVE);
    return { kswapd: new KswapdPasses(m), flags, boosts: m.zone };
  };
  const ACTIVE = ZONE_RECLAIM_ACTIVE;

  test("is for the zones that it was woken for, and for the same again without a wake-up", () => {
    const { kswapd, flags } = passes();
    kswapd.wanted(0, 0);
    kswapd.begins(0);
    deepEqual(flags(), [ACTIVE, 0]);
    kswapd.ends(0, true);
    deepEqual(flags(), [0, 0]);
    kswapd.begins(0);
    deepEqual(flags(), [ACTIVE, 0]);
    kswapd.wanted(0, 2);
    kswapd.wanted(0, 0);
    kswapd.begins(0);
    deepEqual(flags(), [ACTIVE, ACTIVE]);
  });

  test("pays the boosts that it found, and no more", () => {
    const { kswapd, boosts } = passes();
    boosts[Z_BOOST] = 100;
    kswapd.begins(0);
    boosts[Z_BOOST] = 130;
    kswapd.ends(0, true);
    equal(boosts[Z_BOOST], 30);
  });

  test("whose end nobody told goes on where drains say so", () => {
    const { kswapd, flags } = passes();
    kswapd.begins(0);
    kswapd.ends(0, false);
    kswapd.seen(1, true);
    deepEqual(flags(), [0, 0], "the list is too short to say");
    const m = startState(snapshotOf([]), FACTS).value?.m ?? null;
    ok(m !== null);
    const own = new KswapdPasses(m);
    own.begins(0);
    own.ends(0, false);
    m.pcp[PCP_WORDS + P_COUNT] = 70;
    own.seen(1, true);
    equal((m.zone[ZONE_WORDS + Z_FLAGS] ?? 0) & ACTIVE, ACTIVE);
    own.seen(1, false);
    equal((m.zone[ZONE_WORDS + Z_FLAGS] ?? 0) & ACTIVE, 0);
    own.sleeps(0);
    own.seen(1, true);
    equal((m.zone[ZONE_WORDS + Z_FLAGS] ?? 0) & ACTIVE, 0, "asleep");
  });
});
