// Goal: a refusal is explained by the very checks that refused it (R1 of refusal.ts). Method: the
// worked numbers of real kernels' zones; each kind of finding on a memory made for it; and random
// programs of all eras, where explanation and allocator must agree at every step.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { allocPages, freePages, NO_PFN } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { drainAllPages } from "../../src/mm/drain-all.ts";
import {
  __GFP_DMA,
  __GFP_DMA32,
  __GFP_HIGHMEM,
  __GFP_MEMALLOC,
  __GFP_MOVABLE,
  __GFP_RECLAIMABLE,
  __GFP_THISNODE,
  GFP_ATOMIC,
  GFP_KERNEL,
  GFP_NOWAIT,
} from "../../src/mm/gfp.ts";
import { reserveHighatomic } from "../../src/mm/highatomic.ts";
import { equal, restore, snapshot } from "../../src/mm/image.ts";
import {
  type Memory,
  rowOf,
  Z_BOOST,
  Z_FREE,
  Z_FREE_CMA,
  Z_HIGHATOMIC,
  Z_LOW,
  Z_MIN,
  Z_ORDERS_OF,
  Z_RESERVE,
  ZONE_WORDS,
  zoneOf,
} from "../../src/mm/memory.ts";
import { explainRefusal } from "../../src/mm/refusal.ts";
import { wordsFor, type ZoneVerdict } from "../../src/mm/refusal-words.ts";
import { HIGHATOMIC, TYPE_COUNT } from "../../src/mm/rule.ts";

const refusesAll = (verdicts: readonly ZoneVerdict[]): boolean =>
  verdicts.every(({ refused }) => refused);

/** The zones of a PC with 24 GiB, small: only the words of DMA32 count. */
function pc(): Memory {
  return bootMemory({
    zones: [
      { name: "DMA", startPfn: 1, pages: 4095 },
      { name: "DMA32", startPfn: 4096, pages: 28672 },
      { name: "Normal", startPfn: 32768, pages: 0 },
    ],
    lowmemReserveRatio: [],
  });
}

function setDma32(m: Memory, free: number, reserve: number): void {
  m.zone[Z_FREE] = 0; // DMA cannot help
  m.zone[ZONE_WORDS + Z_FREE] = free;
  m.zone[ZONE_WORDS + Z_MIN] = 2255;
  m.zone[ZONE_WORDS + Z_LOW] = 3027;
  m.zone[ZONE_WORDS + Z_RESERVE + 2] = reserve;
}

// Measured: min 2255, low 3027 and protection 19584 of the DMA32 zone of a PC with 24 GiB under 6.1.
test("DMA32's reserve keeps a normal request out, to the page", () => {
  const m = pc();
  const low = (free: number): ZoneVerdict | undefined => {
    setDma32(m, free, 19584);
    return explainRefusal(m, GFP_KERNEL, 0).find(
      (verdict) => verdict.pass === "low" && verdict.name === "DMA32",
    );
  };
  const refused = low(22604);
  assert.equal(
    refused?.text,
    "DMA32 skipped: 22604 <= 3027 + 19584 (lowmem_reserve keeps it for requests of lower zones)",
  );
  assert.equal(refused.finding.kind, "watermark");
  assert.equal(low(22611)?.refused, true);
  assert.equal(low(22612)?.refused, false);
});

test("the min mark, halved and quartered, decides for who cannot wait", () => {
  const m = pc();
  const passes = (gfp: number, free: number): string[] => {
    setDma32(m, free, 19584);
    return explainRefusal(m, gfp, 0)
      .filter(({ name, refused }) => name === "DMA32" && !refused)
      .map(({ pass }) => pass);
  };
  assert.deepEqual(passes(GFP_KERNEL, 21839), []);
  assert.deepEqual(passes(GFP_KERNEL, 21840), ["min"]);
  assert.deepEqual(passes(GFP_ATOMIC, 20430), []);
  assert.deepEqual(passes(GFP_ATOMIC, 20431), ["min"]);
  assert.deepEqual(passes(GFP_KERNEL | __GFP_DMA32, 3028), ["low"]);
});

test("zones that are never asked say why", () => {
  const m = bootMemory({
    zones: [
      { name: "DMA", startPfn: 0, pages: 1024 },
      { name: "Normal", startPfn: 1024, pages: 1024 },
      { name: "Movable", startPfn: 2048, pages: 0 },
      { name: "Normal", node: 1, startPfn: 4096, pages: 1024 },
    ],
    minFreeKbytes: 0,
  });
  const kinds = (gfp: number): string[] =>
    explainRefusal(m, gfp, 0)
      .filter(({ pass, noFragment }) => pass === "zonelist" && !noFragment)
      .map(({ node, name, finding }) => `${node} ${name} ${finding.kind}`);
  assert.deepEqual(kinds(GFP_KERNEL | __GFP_DMA), [
    "0 Normal above-highest",
    "0 Movable above-highest",
    "1 Normal above-highest",
  ]);
  assert.deepEqual(kinds(GFP_KERNEL | __GFP_HIGHMEM | __GFP_MOVABLE), ["0 Movable empty"]);
  assert.deepEqual(kinds(GFP_KERNEL | __GFP_THISNODE), [
    "0 Movable above-highest",
    "1 Normal other-node",
  ]);
});

test("free pages without a block of the order are called fragmented, with what there is", () => {
  const m = bootMemory({
    zones: [{ name: "Normal", startPfn: 0, pages: 2048 }],
    minFreeKbytes: 0,
    lowmemReserveRatio: [],
  });
  const taken: number[] = [];
  for (let pfn = allocPages(m, GFP_KERNEL, 0); pfn !== NO_PFN; ) {
    taken.push(pfn);
    pfn = allocPages(m, GFP_KERNEL, 0);
  }
  assert.equal(taken.length, 2048);
  for (const pfn of taken) if (pfn % 2 === 0) freePages(m, pfn, 0);
  assert.equal(allocPages(m, GFP_KERNEL, 1), NO_PFN);
  const last = explainRefusal(m, GFP_KERNEL, 1).at(-1);
  assert.deepEqual(last?.finding, {
    kind: "fragmented",
    free: 1024,
    why: "none",
    blocks: [{ type: "Unmovable", orders: [0] }],
  });
  assert.match(last.text, /^Normal skipped: 1024 pages are free, but no block of order 1 \(/);
});

const FLAGS = [
  GFP_KERNEL,
  GFP_KERNEL | __GFP_MOVABLE,
  GFP_KERNEL | __GFP_RECLAIMABLE,
  GFP_KERNEL | __GFP_DMA,
  GFP_KERNEL | __GFP_THISNODE,
  GFP_KERNEL | __GFP_HIGHMEM | __GFP_MOVABLE,
  GFP_NOWAIT,
  GFP_NOWAIT | __GFP_MOVABLE,
  GFP_ATOMIC,
  GFP_ATOMIC | __GFP_MOVABLE,
  GFP_ATOMIC | __GFP_MEMALLOC,
];

/** R1 for every kind of request, each on the memory as it is. */
function checkAgreement(m: Memory): Record<string, number> {
  const saved = snapshot(m.image);
  const seen: Record<string, number> = {};
  const count = (what: string): void => {
    seen[what] = (seen[what] ?? 0) + 1;
  };
  for (const gfp of FLAGS) {
    for (let order = 0; order <= m.maxOrder; order++) {
      const verdicts = explainRefusal(m, gfp, order);
      const pfn = allocPages(m, gfp, order);
      const told = verdicts.map(({ pass, text }) => `${pass}: ${text}`).join("\n");
      assert.equal(refusesAll(verdicts), pfn === NO_PFN, `${gfp.toString(16)} ${order}\n${told}`);
      const last = verdicts.at(-1);
      if (last?.refused === false) {
        assert.equal(last.zone, zoneOf(m, rowOf(m, pfn)), told);
        count(`served ${last.pass}`);
      }
      for (const { finding } of verdicts) {
        count(finding.kind === "watermark" ? finding.term : finding.kind);
      }
      assert.equal(restore(m.image, saved), null);
    }
  }
  return seen;
}

const step = fc.record({
  gfp: fc.constantFrom(...FLAGS),
  order: fc.oneof({ arbitrary: fc.constant(0), weight: 2 }, fc.integer({ min: 0, max: 6 })),
  /** How often the request is repeated, and whether something is given back instead. */
  times: fc.integer({ min: 1, max: 120 }),
  free: fc.boolean(),
});

const machine = fc.record({
  era: fc.constantFrom("2.6", "5.4", "5.10", "5.15", "6.1", "6.12"),
  minFreeKbytes: fc.constantFrom(0, 64, 256),
  ratio: fc.constantFrom(0, 4),
  nodes: fc.constantFrom(1, 2),
  cpus: fc.constantFrom(1, 2),
  /** 4: nothing was taken before. */
  keep: fc.integer({ min: 0, max: 4 }),
  /** A pageblock is made HighAtomic at the end. */
  reserve: fc.boolean(),
});

function machineOf(shape: {
  era: string;
  minFreeKbytes: number;
  ratio: number;
  nodes: number;
  cpus: number;
}): Memory {
  const { era, minFreeKbytes, ratio, nodes, cpus } = shape;
  const zones = [
    { name: "DMA", startPfn: 0, pages: 200 },
    { name: "DMA32", startPfn: 256, pages: 256 },
    { name: "Normal", startPfn: 512, pages: 320 },
    { name: "Movable", startPfn: 832, pages: 64 },
    ...(nodes > 1 ? [{ name: "Normal", node: 1, startPfn: 1024, pages: 256 }] : []),
  ];
  const lowmemReserveRatio = [ratio, ratio, ratio, 0];
  const sizes = { maxOrder: 6, pageblockOrder: 4 };
  return bootMemory({ zones, era, cpus, minFreeKbytes, lowmemReserveRatio, ...sizes });
}

/** Takes all memory page by page, then gives `keep` of 4 pages back, here and there. */
function fill(m: Memory, keep: number): [number, number][] {
  const taken: [number, number][] = [];
  if (keep === 4) return taken;
  for (let i = 0; ; i++) {
    const pfn = allocPages(m, FLAGS[i % 3] ?? GFP_KERNEL, 0);
    if (pfn === NO_PFN) break;
    taken.push([pfn, 0]);
  }
  return taken.filter(([pfn]) => {
    const stays = (pfn * 2654435761) % 7 >= keep;
    if (!stays) freePages(m, pfn, 0);
    return stays;
  });
}

test("R1: the allocator refuses exactly when every verdict does", () => {
  const seen: Record<string, number> = {};
  fc.assert(
    fc.property(machine, fc.array(step, { maxLength: 25 }), (shape, program) => {
      const m = machineOf(shape);
      const taken = fill(m, shape.keep);
      program.forEach(({ gfp, order, times, free }, at) => {
        m.cpu = at % shape.cpus;
        for (let i = 0; i < times; i++) {
          if (free) {
            const [block] = taken.splice((i * 7919) % Math.max(1, taken.length), 1);
            if (block !== undefined) freePages(m, ...block);
            continue;
          }
          const pfn = allocPages(m, gfp, order);
          if (pfn === NO_PFN) break;
          taken.push([pfn, order]);
        }
      });
      const [reserved] = taken;
      if (shape.reserve && m.rule.highatomic && reserved !== undefined) {
        const row = rowOf(m, reserved[0]);
        reserveHighatomic(m, zoneOf(m, row), row, reserved[1]);
      }
      for (const [what, times] of Object.entries(checkAgreement(m))) {
        seen[what] = (seen[what] ?? 0) + times;
      }
    }),
    { numRuns: 250 },
  );
  const passes = ["low", "min", "reserves", "drained"].map((pass) => `served ${pass}`);
  for (const what of [...passes, "mark", "reserve", "boost", "highatomic", "fragmented"]) {
    assert.ok((seen[what] ?? 0) > 0, `${what} was never seen`);
  }
});

test("HighAtomic blocks are for those who may have them", () => {
  for (const era of ["5.10", "6.1", "6.12"]) {
    const m = bootMemory({
      zones: [{ name: "Normal", startPfn: 0, pages: 4096 }],
      era,
      minFreeKbytes: 0,
      lowmemReserveRatio: [],
      maxOrder: 6,
      pageblockOrder: 4,
    });
    const first = allocPages(m, GFP_KERNEL, 1);
    reserveHighatomic(m, 0, rowOf(m, first), 1);
    assert.equal(m.zone[Z_HIGHATOMIC], 16);
    // Everything but the 14 pages that are left of the reserved pageblock, which counts as 16.
    while ((m.zone[Z_FREE] ?? 0) > 14) {
      allocPages(m, (m.zone[Z_FREE] ?? 0) > 16 ? GFP_KERNEL : GFP_KERNEL | __GFP_MEMALLOC, 0);
      drainAllPages(m);
    }
    const seen = checkAgreement(m);
    assert.ok((seen["highatomic"] ?? 0) > 0);
    const [finding] = explainRefusal(m, GFP_KERNEL, 1).map((verdict) => verdict.finding);
    assert.equal(finding?.kind === "watermark" && finding.term, "highatomic");
    m.zone[Z_HIGHATOMIC] = 0;
    checkAgreement(m);
    const [open] = explainRefusal(m, GFP_NOWAIT, 1);
    assert.deepEqual(open?.finding.kind === "fragmented" && open.finding.blocks, [
      { type: "HighAtomic", orders: [1, 2, 3] },
    ]);
  }
});

// A zone whose words are set one by one: free 100, order 2, so 97 pages count.
test("the term that decides is told, to the page", () => {
  const m = bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages: 4096 }] });
  const told = (
    words: Partial<Record<"low" | "boost" | "reserve" | "highatomic" | "cma", number>>,
  ): unknown => {
    m.zone[Z_FREE] = 100;
    m.zone[Z_LOW] = words.low ?? 0;
    m.zone[Z_BOOST] = words.boost ?? 0;
    m.zone[Z_RESERVE] = words.reserve ?? 0;
    m.zone[Z_HIGHATOMIC] = words.highatomic ?? 0;
    m.zone[Z_FREE_CMA] = words.cma ?? 0;
    const { finding } = explainRefusal(m, GFP_NOWAIT, 2)[0] ?? {};
    if (finding?.kind !== "watermark") return finding?.kind;
    const { term, usable, mark, reserve, needs } = finding;
    assert.equal(needs, mark + reserve);
    assert.ok(usable <= needs);
    return [term, usable, mark, reserve];
  };
  assert.equal(told({ low: 96 }), "served");
  assert.deepEqual(told({ low: 97 }), ["mark", 97, 97, 0]);
  assert.deepEqual(told({ low: 50, reserve: 47 }), ["reserve", 97, 50, 47]);
  assert.deepEqual(told({ low: 97, reserve: 1 }), ["mark", 97, 97, 1]);
  assert.deepEqual(told({ low: 50, highatomic: 47 }), ["highatomic", 50, 50, 0]);
  assert.deepEqual(told({ low: 97, highatomic: 1 }), ["mark", 96, 97, 0]);
  assert.deepEqual(told({ low: 50, cma: 47 }), ["cma", 50, 50, 0]);
  assert.deepEqual(told({ low: 97, cma: 1 }), ["mark", 96, 97, 0]);
  assert.deepEqual(told({ low: 96, boost: 1 }), ["boost", 97, 97, 0]);
  assert.deepEqual(told({ low: 97, boost: 1 }), ["mark", 97, 98, 0]);
});

test("a single page in stock is worth draining for", () => {
  const m = bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages: 2 }], minFreeKbytes: 0 });
  const [pfn = NO_PFN] = [allocPages(m, GFP_KERNEL, 0), allocPages(m, GFP_KERNEL, 0)];
  assert.equal(refusesAll(explainRefusal(m, GFP_KERNEL, 0)), true);
  freePages(m, pfn, 0);
  assert.equal(explainRefusal(m, GFP_KERNEL, 0).at(-1)?.pass, "drained");
  assert.equal(allocPages(m, GFP_KERNEL, 0), pfn);
});

test("blocks of the largest order are told too", () => {
  const m = bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages: 2048 }], minFreeKbytes: 0 });
  for (let type = 0; type < TYPE_COUNT; type++) m.zone[Z_ORDERS_OF + type] = 0;
  m.zone[Z_ORDERS_OF + HIGHATOMIC] = 1 << 10;
  assert.deepEqual(explainRefusal(m, GFP_NOWAIT, 0)[0]?.finding, {
    kind: "fragmented",
    free: 2048,
    why: "not-yours",
    blocks: [{ type: "HighAtomic", orders: [10] }],
  });
});

test("sentences for people", () => {
  const finding = {
    kind: "watermark" as const,
    free: 8,
    usable: 5,
    needs: 9,
    mark: 9,
    boost: 0,
    reserve: 0,
    highatomic: 0,
    cma: 0,
    term: "mark" as const,
  };
  assert.equal(wordsFor(finding, 2), "5 <= 9 + 0 (below the mark)");
  const none = { ...finding, usable: 0 };
  assert.equal(wordsFor(none, 3), "0 <= 9 + 0 (fewer pages are free than the block has)");
  assert.match(wordsFor({ ...none, term: "boost" }, 3), /boosted/);
  const fragmented = { kind: "fragmented" as const, free: 9, why: "none" as const, blocks: [] };
  assert.equal(wordsFor(fragmented, 3), "9 pages are free, but no block of order 3");
  const blocks = [
    { type: "Movable", orders: [0, 2] },
    { type: "CMA", orders: [4] },
  ];
  assert.equal(
    wordsFor({ ...fragmented, blocks, why: "not-yours" }, 1),
    "9 pages are free, but no block of order 1 that this pass may take (Movable up to order 2, CMA up to order 4)",
  );
  assert.match(wordsFor({ ...fragmented, blocks, why: "orders" }, 1), /too few of them in blocks/);
  assert.equal(wordsFor({ kind: "empty" }, 0), "no memory");
  assert.equal(wordsFor({ kind: "other-node", node: 1 }, 0), "the request stays on node 1");
});

test("on several nodes a zone is called by its node", () => {
  const zones = [
    { name: "Normal", startPfn: 0, pages: 64 },
    { name: "Normal", node: 1, startPfn: 64, pages: 64 },
  ];
  const m = bootMemory({ zones, minFreeKbytes: 0 });
  const texts = explainRefusal(m, GFP_KERNEL, 10).map(({ text }) => text);
  assert.ok(texts[0]?.startsWith("Node 0 Normal skipped: "));
  assert.ok(texts[1]?.startsWith("Node 1 Normal skipped: "));
  assert.equal(
    explainRefusal(m, GFP_KERNEL, 0)[0]?.text,
    "Node 0 Normal serves: a block of order 0 can be had",
  );
  assert.throws(() => explainRefusal(m, GFP_KERNEL, 11), /order out of range/);
});

test("explaining changes nothing", () => {
  fc.assert(
    fc.property(machine, fc.constantFrom(...FLAGS), fc.nat(6), (shape, gfp, order) => {
      const m = machineOf(shape);
      const taken: number[] = [];
      for (let pfn = allocPages(m, GFP_KERNEL, 0); pfn !== NO_PFN; ) {
        taken.push(pfn);
        pfn = allocPages(m, GFP_KERNEL, 0);
      }
      for (const pfn of taken.slice(0, 9)) freePages(m, pfn, 0);
      const before = snapshot(m.image);
      explainRefusal(m, gfp, order);
      assert.ok(equal(before, snapshot(m.image)));
    }),
    { numRuns: 60 },
  );
});
