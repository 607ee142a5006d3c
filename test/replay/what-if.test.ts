// Goal: a what-if changes what was asked and nothing else: a value that the machine had anyway gives
// every page of the recording again, a free finds the page that our run gave to its owner, marks and
// zones are those that a kernel would have, and who goes without is named with the zones' words.
// Method: whole recorded boots on the same machine with settings rewritten, with marks so high that
// requests are refused, with zones that end elsewhere and with another CMA area; random settings, and
// recordings that cannot be, with the memory verified at the end.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { before, describe, test } from "node:test";
import fc from "fast-check";
import {
  KIND_MASK,
  type Memory,
  MOBILE,
  P_COUNT,
  PCP_WORDS,
  TAKEN,
  Z_FREE_CMA,
} from "../../src/mm/memory.ts";
import { verify } from "../../src/mm/verify.ts";
import { changedSnapshot } from "../../src/replay/change-zones.ts";
import {
  Assumptions,
  type Change,
  Driver,
  InputScan,
  LookAhead,
  parseChange,
  type ReplayEvent,
  recordingOf,
  replay,
  startState,
  USE_WINDOW,
  type WhatIf,
} from "../../src/replay/index.ts";
import { freeOf } from "../../src/replay/timeline.ts";
import { WhatIfRun } from "../../src/replay/what-if.ts";
import { changedState } from "../../src/replay/what-if-result.ts";
import { type Recorded, recorded } from "./recorded.ts";

function changeOf(trace: Recorded, set: readonly string[]): Change {
  const { value, issues } = parseChange(set, trace.facts);
  ok(value !== null, JSON.stringify(issues));
  return value;
}

async function whatIf(trace: Recorded, ...set: string[]): Promise<WhatIf> {
  const recording = recordingOf(trace.events, trace.to);
  const { value, issues } = await replay({ ...trace, recording, whatIf: changeOf(trace, set) });
  ok(value !== null && value.whatIf !== null, JSON.stringify(issues));
  return value.whatIf;
}

/** Drives by hand, to look at both memories afterwards. */
function drivenBy(trace: Recorded, set: readonly string[], events = trace.events): WhatIfRun {
  const theirs = startState(trace.from, trace.facts).value;
  const ours = changedState(trace, changeOf(trace, set)).value;
  ok(theirs !== null && ours !== null);
  const watch = new WhatIfRun(theirs, ours);
  const assumptions = new Assumptions({
    hiddenBulks: !trace.events.some(({ kind }) => kind === "bulk"),
    end: null,
  });
  const driver = new Driver(theirs, { assumptions, watch });
  const window = new LookAhead([new InputScan(), assumptions], USE_WINDOW);
  driver.feed(window.push(events));
  driver.feed(window.end());
  watch.end();
  return watch;
}

function takenPages(m: Memory): number {
  let pages = 0;
  for (let row = m.firstRow; row < m.rows; row++) {
    const state = m.state[row] ?? 0;
    const kind = state & KIND_MASK;
    if (kind === TAKEN || kind === MOBILE) pages += 1 << (state & 0xf);
  }
  return pages;
}

/** Pages on free and per-CPU lists. */
function idlePages(m: Memory): number {
  const stock = (at: number): number => m.pcp[at * PCP_WORDS + P_COUNT] ?? 0;
  const sets = Array.from({ length: m.zoneCount * m.cpuCount }, (_, at) => stock(at));
  const free = m.names.map((_, zone) => freeOf(m, zone));
  return [...sets, ...free].reduce((sum, pages) => sum + pages, 0);
}

function brokenIn(m: Memory): string[] {
  m.events = null;
  // Frames that the kernel kept for itself are taken here, though no zone manages them.
  return verify(m).filter((words) => !words.startsWith("F4:"));
}

const SYSCTLS = [
  "min_free_kbytes",
  "watermark_scale_factor",
  "watermark_boost_factor",
  "lowmem_reserve_ratio",
  "percpu_pagelist_high_fraction",
];

/** Boots, and a load with reclaim, compaction and fallbacks. */
const SAME = [
  { name: "a-boot-512M", least: 5000, refusals: 0 },
  { name: "a-boot-512M-smp2", least: 5000, refusals: 0 },
  { name: "a-boot-512M-6.12", least: 5000, refusals: 0 },
  { name: "a-boot-512M-arm64-6.12", least: 5000, refusals: 0 },
  { name: "c-pressure-256M", least: 99_000, refusals: 10 },
] as const;

for (const { name, least, refusals } of SAME) {
  test(`${name}: the values that it had give every page again`, async () => {
    const trace = await recorded(name);
    const set = SYSCTLS.map((own) => `${own}=${trace.facts.sysctls.get(own)?.join(" ")}`);
    const found = await whatIf(trace, ...set);
    const { recorded: all, served, samePage } = found.allocations;
    ok(all > least);
    deepEqual(found.recordedRefusals, { requests: refusals, served: 0 });
    deepEqual([served, samePage], [all, all]);
    deepEqual([found.refused.requests, found.zoneShift, found.extraReclaims], [0, [], 0]);
    deepEqual([found.frees.lost, found.frees.unseen], [0, 0]);
    const { wakes, awake, belowLow } = found.kswapd;
    for (const both of [wakes, awake, belowLow]) equal(both.changed, both.recorded);
    for (const zone of found.zones) {
      for (const both of [zone.managed, zone.min, zone.low, zone.high, zone.lowestFree]) {
        equal(both.changed, both.recorded, zone.name);
      }
      equal(zone.freeAtEnd.changed, zone.freeAtEnd.recorded);
    }
    deepEqual(
      found.set.map(({ value, before: was }) => value === was),
      SYSCTLS.map(() => true),
    );
  });
}

describe("a changed machine", () => {
  let trace: Recorded;
  before(async () => {
    trace = await recorded("a-boot-512M-smp2");
  });

  test("marks that are too high: who goes without is counted, and told why", async () => {
    const found = await whatIf(trace, "min_free_kbytes=430000");
    const { allocations, refused, zones, kswapd } = found;
    ok(refused.requests > 100);
    equal(allocations.served + refused.requests, allocations.recorded);
    const listed = refused.groups.reduce((sum, { count }) => sum + count, refused.further);
    equal(listed, refused.requests);
    const may = refused.groups.filter(({ mayWait }) => mayWait);
    equal(
      may.reduce((sum, { count }) => sum + count, 0),
      refused.mayWait,
    );
    for (const { zone, first, gfp } of refused.groups) {
      ok(["DMA", "DMA32"].includes(zone));
      match(first.because.join("; "), /DMA32 skipped: -?\d+ <= \d+ \+ 0/);
      const event = trace.events.find(({ line }) => line === first.line);
      deepEqual([event?.kind, event?.gfp], ["alloc", gfp]);
    }
    // The share of the zone in the sum, as the kernel divides it.
    const dma32 = zones.find(({ name }) => name === "DMA32");
    const managed = zones.map((zone) => zone.managed.recorded);
    const sum = managed.reduce((all, pages) => all + pages, 0);
    equal(dma32?.min.changed, Math.floor((107_500 * (dma32?.managed.changed ?? 0)) / sum));
    ok(kswapd.belowLow.changed > kswapd.belowLow.recorded);
    ok(kswapd.awake.changed > kswapd.awake.recorded);
    equal(found.frees.lost > 0, true);
  });

  test("without DMA32 all of it is served from Normal, page for page freed again", async () => {
    const found = await whatIf(trace, "dma32=0");
    const { allocations, zoneShift, zones } = found;
    equal(allocations.served, allocations.recorded);
    deepEqual(
      zoneShift.map(({ from, to }) => `${from} ${to}`),
      ["DMA32 Normal"],
    );
    const of = (name: string): number[] => {
      const { recorded: was, changed } = zones.find((zone) => zone.name === name)?.managed ?? {
        recorded: -1,
        changed: -1,
      };
      return [was, changed];
    };
    const [all] = of("DMA32");
    deepEqual(of("DMA32"), [all, 0]);
    deepEqual(of("Normal"), [0, all]);
    deepEqual(of("DMA"), [3840, 3840]);
  });

  test("a zone that ends elsewhere has the frames that the flags count there", async () => {
    const { value } = changedSnapshot(trace.from, trace.facts, changeOf(trace, ["dma32=256M"]));
    ok(value !== null);
    const zone = (name: string): { startPfn: number; spanned: number; managed: number } => {
      const own = value.zones.find((z) => z.name === name);
      ok(own !== undefined);
      return own;
    };
    deepEqual([zone("DMA32").startPfn, zone("DMA32").spanned], [4096, 65536 - 4096]);
    equal(zone("Normal").startPfn, 65536);
    const before32 = trace.from.zones.find((z) => z.name === "DMA32")?.managed;
    equal(zone("DMA32").managed + zone("Normal").managed, before32);
    for (const { index, pfns } of value.free) {
      const own = value.zones.find((z) => z.index === index);
      ok(own !== undefined);
      ok(pfns.every((pfn) => pfn >= own.startPfn && pfn < own.startPfn + own.spanned));
    }
    const count = (lists: typeof value.free): number =>
      lists.reduce((sum, { order, pfns }) => sum + pfns.length * 2 ** order, 0);
    equal(count(value.free), count(trace.from.free));
  });

  test("a boost factor of 0: no mark is boosted, and the marks are the same", async () => {
    const found = await whatIf(trace, "watermark_boost_factor=0");
    equal(found.allocations.served, found.allocations.recorded);
    for (const { min, low } of found.zones)
      deepEqual(min.changed + low.changed, min.recorded + low.recorded);
  });

  test("whatever is set: pages in use are the same where all was served, and both memories sound", () => {
    const setting = fc.oneof(
      fc.nat(60_000).map((kib) => `min_free_kbytes=${kib}`),
      fc.integer({ min: 1, max: 1000 }).map((n) => `watermark_scale_factor=${n}`),
      fc.integer({ min: 8, max: 500 }).map((n) => `percpu_pagelist_high_fraction=${n}`),
      fc
        .array(fc.nat(300), { minLength: 1, maxLength: 5 })
        .map((own) => `lowmem_reserve_ratio=${own.join("_")}`),
      fc.nat(4).map((n) => `dma=${n * 4}M`),
      fc.integer({ min: 5, max: 130 }).map((n) => `dma32=${n * 4}M`),
    );
    const settings = fc.uniqueArray(setting, {
      minLength: 1,
      maxLength: 4,
      selector: (text) => text.split("=")[0],
    });
    fc.assert(
      fc.property(settings, (set) => {
        const run = drivenBy(trace, set);
        equal(run.refusals.count, 0);
        equal(run.served, run.allocations);
        equal(idlePages(run.ours.m), idlePages(run.recorded.m));
        deepEqual(brokenIn(run.ours.m), []);
      }),
      { numRuns: 12 },
    );
  });

  test("a zone of frames that the boot kept has no memory, and both memories are sound", () => {
    const run = drivenBy(trace, ["dma32=28M"]);
    const zone = run.ours.zones.find(({ name }) => name === "DMA32");
    equal(zone?.spanned, 0);
    equal(run.served, run.allocations);
    equal(run.unseenFrees + run.lostFrees, 0);
    deepEqual(brokenIn(run.ours.m), []);
  });

  test("recordings that cannot be: no crash, and a sound memory", () => {
    const events = trace.events.slice(0, 3000);
    const odd = fc.record({
      at: fc.nat(events.length - 1),
      pfn: fc.oneof(fc.constant(-1), fc.nat(), fc.nat(0x20000)),
      order: fc.nat(15),
      cpu: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(odd, { maxLength: 300, size: "max" }), (mess) => {
        const made = mess.flatMap(({ at, pfn, order, cpu }): ReplayEvent[] => {
          const e = events[at];
          return e === undefined ? [] : [{ ...e, pfn, order, cpu }, { ...e }];
        });
        const run = drivenBy(trace, ["min_free_kbytes=60000", "dma32=64M"], [...made, ...events]);
        deepEqual(brokenIn(run.ours.m), []);
      }),
      { numRuns: 15 },
    );
  });
});

describe("under pressure", () => {
  let trace: Recorded;
  before(async () => {
    trace = await recorded("c-pressure-256M");
  });

  test("higher marks: more requests below them, kswapd awake for longer, and zones never as empty", async () => {
    const { kswapd, zones, refused, allocations } = await whatIf(trace, "min_free_kbytes=8192");
    equal(kswapd.traced, 65);
    ok(kswapd.belowLow.changed > 2 * kswapd.belowLow.recorded);
    ok(kswapd.awake.changed > 2 * kswapd.awake.recorded);
    for (const { lowestFree, min, name } of zones) {
      ok(lowestFree.changed > lowestFree.recorded, name);
      // Reclaimers alone go below the min mark, and not far: each asks for a page or two.
      ok(lowestFree.changed > min.changed - 100, name);
    }
    equal(refused.requests, refused.mayWait);
    equal(allocations.served + refused.requests, allocations.recorded);
  });

  test("lower marks: what the recording refused is served", async () => {
    const { recordedRefusals, kswapd, zones } = await whatIf(trace, "min_free_kbytes=500");
    deepEqual(recordedRefusals, { requests: 10, served: 10 });
    ok(kswapd.belowLow.changed < kswapd.belowLow.recorded / 2);
    ok(zones.some(({ lowestFree }) => lowestFree.changed < lowestFree.recorded));
  });

  test("compaction, drains and bulk calls leave both memories sound, with the same pages in use", () => {
    const run = drivenBy(trace, ["watermark_boost_factor=0", "percpu_pagelist_high_fraction=20"]);
    deepEqual(brokenIn(run.ours.m), []);
    const unserved = run.refusals.count;
    ok(takenPages(run.recorded.m) - takenPages(run.ours.m) <= unserved);
    equal(run.served + unserved, run.allocations);
  });
});

test("a zone that ends lower: what was saved for its requests is no longer taken by others", async () => {
  const trace = await recorded("k-dma32-fallback-4G");
  const { zoneShift, zones } = await whatIf(trace, "dma32=1G");
  const requests = trace.events.filter(({ kind }) => kind === "alloc").length;
  equal(zoneShift.length, 1);
  const { pages, ...shift } = zoneShift[0] ?? { pages: 0 };
  deepEqual(shift, { from: "DMA32", to: "Normal", requests });
  ok(pages >= requests);
  const managed = (side: "recorded" | "changed"): number =>
    zones.reduce((sum, zone) => sum + zone.managed[side], 0);
  equal(managed("changed"), managed("recorded"));
});

describe("CMA areas", () => {
  let trace: Recorded;
  before(async () => {
    trace = await recorded("a-boot-512M-arm64-6.12");
  });

  test("none: its pages are movable ones, and every request is served", () => {
    const run = drivenBy(trace, ["cma=0"]);
    equal(run.served, run.allocations);
    ok((run.recorded.m.zone[Z_FREE_CMA] ?? 0) > 0);
    equal(run.ours.m.zone[Z_FREE_CMA], 0);
    equal(takenPages(run.ours.m), takenPages(run.recorded.m));
    deepEqual(brokenIn(run.ours.m), []);
  });

  test("another one: the highest free blocks, and only where there was none", () => {
    const none = changedSnapshot(trace.from, trace.facts, changeOf(trace, ["cma=0"])).value;
    ok(none !== null);
    const area = changeOf(trace, ["cma=16M"]);
    const { value } = changedSnapshot(none, trace.facts, area);
    const blocks = value?.blocks.flatMap(({ types }) => types.filter((type) => type === 4)) ?? [];
    equal(blocks.length, 8);
    const lent = value?.free.filter(({ type, pfns }) => type === 4 && pfns.length > 0) ?? [];
    equal(
      lent.reduce((sum, { order, pfns }) => sum + pfns.length * 2 ** order, 0),
      4096,
    );
    const again = changedSnapshot(trace.from, trace.facts, area);
    match(again.issues[0]?.message ?? "", /has an area/);
    const huge = changedSnapshot(none, trace.facts, changeOf(trace, ["cma=8G"]));
    match(huge.issues[0]?.message ?? "", /longest run of free movable blocks is/);
  });
});

test("settings that cannot be: one issue, at the name, with the way out", async () => {
  const trace = await recorded("a-boot-512M");
  for (const [set, words] of [
    ["mem=128M", /nothing that a replay can change/],
    ["min_free", /nothing that a replay can change/],
    ["min_free_kbytes", /has no value/],
    ["min_free_kbytes=1 2", /takes one number/],
    ["min_free_kbytes=x", /is not a number/],
    ["min_free_kbytes=9999999999", /refused by the kernel/],
    ["watermark_scale_factor=0", /out of range/],
    ["watermark_boost_factor=9999999999", /at most/],
    ["percpu_pagelist_high_fraction=3", /refused by the kernel/],
    ["dma32=1.5", /no whole number of pages|not a size/],
    ["dma32=1Q", /is not a size/],
  ] as const) {
    const { value, issues } = parseChange([set], trace.facts);
    equal(value, null, set);
    equal(issues.length, 1);
    match(issues[0]?.message ?? "", words);
    equal(issues[0]?.source, set.split("=")[0]);
  }
  const twice = parseChange(["dma=0", "dma=16M"], trace.facts);
  match(twice.issues[0]?.message ?? "", /there twice/);
  const { facts, from } = trace;
  for (const [set, words] of [
    [["dma32=18M"], /inside a block/],
    [["dma=32M", "dma32=20M"], /DMA32 would end below DMA/],
    [["cma=64M"], /cannot lend CMA/],
  ] as const) {
    const { value, issues } = changedSnapshot(from, facts, changeOf(trace, set));
    equal(value, null);
    match(issues[0]?.message ?? "", words);
  }
  const blind = changedSnapshot(
    { ...from, unmanaged: null },
    facts,
    changeOf(trace, ["dma32=64M"]),
  );
  match(blind.issues[0]?.message ?? "", /kpageflags/);
  const told = new Map([...facts.sysctls].filter(([name]) => name !== "min_free_kbytes"));
  const poor = parseChange(["dma=0"], { ...facts, sysctls: told });
  deepEqual([poor.value, poor.issues[0]?.source], [null, "min_free_kbytes"]);
});
