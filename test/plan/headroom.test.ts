// Goal: headroom says how many allocations the allocator grants.
// Method: memories of the engine with a random past, printed as /proc and read as a capture; then each
// class is allocated until it is refused. Captures of the corpus: bounds hold with and without
// pagetypeinfo, and the order of classes and orders is what the rules make it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Capture } from "../../src/formats/capture.ts";
import { readCapture } from "../../src/formats/capture.ts";
import { parseVersion } from "../../src/formats/version.ts";
import { gfpEra } from "../../src/kernels/gfp.ts";
import { allocPages, freePages, NO_PFN } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { GFP_ATOMIC, GFP_HIGHUSER_MOVABLE, GFP_KERNEL } from "../../src/mm/gfp.ts";
import { restore, snapshot } from "../../src/mm/image.ts";
import { type Memory, P_COUNT, PCP_WORDS } from "../../src/mm/memory.ts";
import { buddyinfoOf, pagetypeinfoOf, zoneinfoOf } from "../../src/mm/procfs.ts";
import { zoneNames } from "../../src/plan/headroom.ts";
import { type Headroom, headroomOf } from "../../src/plan/index.ts";
import { captureFiles, corpusNames } from "../support/corpus.ts";

const EMPTY = (await readCapture({ name: "engine", paths: [], open: () => nothing() })).value;

async function* nothing(): AsyncGenerator<string> {}

function captureOf(m: Memory, release = "6.1.176"): Capture {
  return {
    ...EMPTY,
    version: parseVersion(`Linux version ${release} (x) #1 SMP`).value,
    zoneinfo: zoneinfoOf(m),
    buddyinfo: buddyinfoOf(m),
    pagetypeinfo: pagetypeinfoOf(m),
  };
}

function headroom(capture: Capture): Headroom {
  const { value } = headroomOf(capture);
  assert.ok(value !== null);
  return value;
}

/** Pages in the CPUs' stocks, which the lists do not have. */
function stock(m: Memory): number {
  let pages = 0;
  for (let at = 0; at < m.pcp.length; at += PCP_WORDS) pages += m.pcp[at + P_COUNT] ?? 0;
  return pages;
}

/** Pages of the pageblocks that atomic requests keep for themselves. */
function reserve(m: Memory): number {
  const blocks = pagetypeinfoOf(m).blocks.map(({ counts }) => counts.get("HighAtomic") ?? 0);
  return blocks.reduce((sum, count) => sum + count * 512, 0);
}

const GFP: Readonly<Record<string, number>> = {
  atomic: GFP_ATOMIC,
  kernel: GFP_KERNEL,
  movable: GFP_HIGHUSER_MOVABLE,
};

/** Allocations until one is refused; the memory is as before. */
function granted(m: Memory, gfp: number, order: number): number {
  const before = snapshot(m.image);
  let count = 0;
  while (allocPages(m, gfp, order) !== NO_PFN) count++;
  restore(m.image, before);
  return count;
}

describe("what the engine grants", () => {
  const step = fc.record({
    order: fc.constantFrom(0, 0, 0, 1, 2, 3, 5, 9),
    gfp: fc.constantFrom(GFP_ATOMIC, GFP_KERNEL, GFP_HIGHUSER_MOVABLE),
    count: fc.nat({ max: 3000 }),
    kept: fc.nat({ max: 4 }),
  });

  test("is what was told, but for the pages that wait in CPUs' stocks", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (steps) => {
        const m = bootMemory({
          era: "6.1",
          watermarkBoostFactor: 0,
          zones: [
            { name: "DMA", startPfn: 0, pages: 4096 },
            { name: "Normal", startPfn: 4096, pages: 12288 },
          ],
        });
        for (const { order, gfp, count, kept } of steps) {
          const pfns: number[] = [];
          for (let i = 0; i < count; i++) {
            const pfn = allocPages(m, gfp, order);
            if (pfn !== NO_PFN) pfns.push(pfn);
          }
          // Every so many stay, so that what is freed is in pieces.
          for (const [i, pfn] of pfns.entries()) if (i % (kept + 1) !== 0) freePages(m, pfn, order);
        }
        const { classes } = headroom(captureOf(m));
        for (const { name, orders } of classes) {
          const gfp = GFP[name];
          if (gfp === undefined) continue;
          for (const { order, beforeRefusal, beforeKswapd } of orders) {
            assert.equal(beforeRefusal.low, beforeRefusal.high);
            assert.ok(beforeKswapd.high <= beforeRefusal.high);
            const real = granted(m, gfp, order);
            // A stock serves without asking the marks, is given back before one that may wait is
            // refused, and is refilled by a batch, two blocks at least, at once. Order 4 has none.
            const refill = order === 4 ? 0 : Math.max(2, Math.ceil(126 / 2 ** order));
            // So is the highatomic reserve, to one that may wait.
            const back = stock(m) + (name === "atomic" ? 0 : reserve(m));
            const slack = Math.ceil(back / 2 ** order) + refill;
            const off = Math.abs(real - beforeRefusal.high);
            assert.ok(
              off <= slack,
              `${name} order ${order}: told ${beforeRefusal.high}, granted ${real}`,
            );
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});

test("the two pages that 2.6.38 to 3.2 took off too many are told, and granted by none", () => {
  const told = new Map<string, number>();
  const bits = gfpEra("2.6.39").bits;
  const kernel = ["WAIT", "IO", "FS"].reduce(
    (sum, bit) => sum | (bits.get(`__GFP_${bit}`) ?? 0),
    0,
  );
  for (const release of ["2.6.37", "2.6.38", "3.2", "3.3", "3.9"]) {
    const zones = [{ name: "Normal", startPfn: 0, pages: 16384 }];
    const m = bootMemory({ era: release, zones });
    // What is left over the mark is a multiple of the block's: two pages less cost a block.
    const { min } = zoneinfoOf(m).zones[0] ?? { min: 0 };
    const left = (16384 - min - 1) % 8;
    for (let i = 0; i < left; i++) allocPages(m, kernel, 0);
    const orders = headroom(captureOf(m, release)).classes.find(({ name }) => name === "kernel");
    const single = orders?.orders.find(({ order }) => order === 0);
    const pages = single?.beforeRefusal.high ?? 0;
    told.set(release, pages);
    // Single pages come through a stock, which is filled while the check says yes.
    const real = granted(m, kernel, 0);
    assert.ok(
      Math.abs(real - pages) <= stock(m) + 32,
      `${release}: told ${pages}, granted ${real}`,
    );
  }
  const [before = 0, ...rest] = told.values();
  assert.deepEqual(rest, [before - 2, before - 2, before, before]);
});

test("of a memory that has none left nothing is told, but to those with a right to the reserve", () => {
  const m = bootMemory({ era: "6.1", zones: [{ name: "Normal", startPfn: 0, pages: 16384 }] });
  while (allocPages(m, GFP_KERNEL, 0) !== NO_PFN);
  const { classes, fragmentation } = headroom(captureOf(m));
  const at = (name: string): number[] | undefined =>
    classes.find((one) => one.name === name)?.orders.map(({ beforeRefusal }) => beforeRefusal.high);
  assert.deepEqual(at("kernel"), [0, 0, 0, 0]);
  assert.deepEqual(at("DMA"), at("kernel"));
  assert.ok((at("atomic")?.[0] ?? 0) > 50);
  assert.equal(granted(m, GFP_KERNEL, 0), 0);
  assert.equal(fragmentation[0]?.blocks.length, 11);
});

describe("of captures", () => {
  const names = corpusNames(
    /^(x86_64-6\.1-(1G|numa2-1G\+1G)|arm64-6\.1-4G-cma256M|i386pae-6\.1-4G|x86_64-5\.10-4G|arm-6\.1-1G)$/,
  );

  test("bounds without pagetypeinfo hold what it tells; classes and orders are in their order", async () => {
    assert.equal(names.length, 6);
    for (const name of names) {
      const { value: capture } = await readCapture(captureFiles(name));
      const known = headroom(capture);
      const blind = headroom({ ...capture, pagetypeinfo: null });
      assert.ok(known.byType && !blind.byType);
      for (const [i, { name: own, orders }] of known.classes.entries()) {
        for (const [j, { order, beforeRefusal: exact }] of orders.entries()) {
          const bounds = blind.classes[i]?.orders[j]?.beforeRefusal;
          const where = `${name} ${own} ${order}`;
          assert.equal(exact.low, exact.high, where);
          // Lists are read a little after the sums: a few pages may have moved.
          assert.ok(
            (bounds?.low ?? 0) <= exact.low + 2,
            `${where}: ${JSON.stringify([bounds, exact])}`,
          );
          assert.ok(
            (bounds?.high ?? 0) + 2 >= exact.high,
            `${where}: ${JSON.stringify([bounds, exact])}`,
          );
        }
        const counts = orders.map(({ beforeRefusal }) => beforeRefusal.high);
        assert.deepEqual(
          counts,
          counts.toSorted((a, b) => b - a),
          name,
        );
      }
      const at = (wanted: string): number =>
        known.classes.find((one) => one.name === wanted)?.orders[0]?.beforeRefusal.high ?? -1;
      assert.ok(at("DMA") <= at("DMA32") && at("DMA32") <= at("kernel"), name);
      assert.ok(at("kernel") <= at("movable") && at("kernel") <= at("atomic"), name);
    }
  });

  test("CMA pages are for movable requests only", async () => {
    const { value: capture } = await readCapture(captureFiles("arm64-6.1-4G-cma256M"));
    const { classes } = headroom(capture);
    const at = (name: string): number =>
      classes.find((one) => one.name === name)?.orders[0]?.beforeRefusal.high ?? 0;
    const cma = capture.zoneinfo?.zones[0]?.counters.get("nr_free_cma") ?? 0;
    assert.ok(cma > 60000);
    assert.equal(at("movable") - at("kernel"), cma);
  });

  test("HighMem is for movable requests, and lower zones keep their reserve", async () => {
    const { value: capture } = await readCapture(captureFiles("i386pae-6.1-4G"));
    const { classes } = headroom(capture);
    assert.deepEqual(
      classes.map(({ name, zones }) => [name, zones.join(" ")]),
      [
        ["atomic", "Normal DMA"],
        ["kernel", "Normal DMA"],
        ["movable", "HighMem Normal DMA"],
        ["DMA32", "Normal DMA"],
        ["DMA", "DMA"],
      ],
    );
  });
});

describe("what is missing", () => {
  test("is named, and nothing is made up", () => {
    const m = bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages: 8192 }] });
    const whole = captureOf(m);
    for (const [part, words] of [
      ["zoneinfo", /zoneinfo is missing/],
      ["buddyinfo", /buddyinfo is missing/],
      ["version", /release is not known/],
    ] as const) {
      const { value, issues } = headroomOf({ ...whole, [part]: null });
      assert.equal(value, null);
      assert.match(issues[0]?.message ?? "", words);
    }
  });

  test("damaged tables are survived", () => {
    const m = bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages: 8192 }] });
    const zone = must(zoneinfoOf(m).zones[0]);
    const huge = fc.oneof(fc.nat(), fc.constantFrom(0, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER));
    fc.assert(
      fc.property(
        huge,
        huge,
        huge,
        fc.array(huge, { maxLength: 14 }),
        (free, min, boost, blocks) => {
          const capture = {
            ...captureOf(m),
            pagetypeinfo: null,
            zoneinfo: { ...zoneinfoOf(m), zones: [{ ...zone, free, min, boost }] },
            buddyinfo: { zones: [{ node: 0, name: "Normal", line: 1, free: blocks }] },
          };
          for (const { orders } of headroom(capture).classes) {
            for (const { beforeRefusal } of orders) {
              assert.ok(beforeRefusal.low >= 0 && beforeRefusal.low <= beforeRefusal.high);
            }
          }
        },
      ),
    );
  });

  test("zones that old kernels do not print are known from the columns of the reserve", () => {
    const row = (name: string, columns: number) => ({
      ...must(
        zoneinfoOf(bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages: 8192 }] })).zones[0],
      ),
      name,
      protection: Array.from({ length: columns }, () => 0),
    });
    assert.deepEqual(zoneNames([row("DMA", 3), row("Normal", 3)]), ["DMA", "Normal", "HighMem"]);
    assert.deepEqual(zoneNames([row("DMA", 4), row("DMA32", 4), row("Normal", 4)]), [
      "DMA",
      "DMA32",
      "Normal",
      "Movable",
    ]);
    assert.equal(zoneNames([row("Exotic", 3)]), null);
  });
});

function must<T>(value: T | undefined): T {
  assert.ok(value !== undefined);
  return value;
}
