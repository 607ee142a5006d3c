// Goal: a refusal is explained by the very checks that refused it (R1 of refusal.ts). Method: the
// worked numbers of real kernels' zones; each kind of finding on a memory made for it; and random
// programs of all eras, where explanation and allocator must agree at every step.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { allocPages, freePages, NO_PFN } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
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
import { equal, snapshot } from "../../src/mm/image.ts";
import { type Memory, Z_FREE, Z_LOW, Z_MIN, Z_RESERVE, ZONE_WORDS } from "../../src/mm/memory.ts";
import { explainRefusal } from "../../src/mm/refusal.ts";
import type { ZoneVerdict } from "../../src/mm/refusal-words.ts";

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
      .filter(({ pass }) => pass === "zonelist")
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
  GFP_ATOMIC,
  GFP_ATOMIC | __GFP_MOVABLE,
  GFP_ATOMIC | __GFP_MEMALLOC,
];

const step = fc.record({
  gfp: fc.constantFrom(...FLAGS),
  order: fc.oneof({ arbitrary: fc.constant(0), weight: 2 }, fc.integer({ min: 0, max: 6 })),
  /** How often the request is repeated, and whether something is given back instead. */
  times: fc.integer({ min: 1, max: 120 }),
  free: fc.boolean(),
});

const machine = fc.record({
  era: fc.constantFrom("2.6", "5.10", "6.1", "6.12"),
  minFreeKbytes: fc.constantFrom(0, 64, 256),
  ratio: fc.constantFrom(0, 4),
  nodes: fc.constantFrom(1, 2),
  cpus: fc.constantFrom(1, 2),
  /** 4: nothing was taken before. */
  keep: fc.integer({ min: 0, max: 4 }),
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
  const seen = { refused: 0, served: 0, drained: 0, fragmented: 0 };
  fc.assert(
    fc.property(machine, fc.array(step, { minLength: 5, maxLength: 40 }), (shape, program) => {
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
          const verdicts = i === 0 || i === times - 1 ? explainRefusal(m, gfp, order) : null;
          const pfn = allocPages(m, gfp, order);
          if (verdicts !== null) {
            assert.equal(
              refusesAll(verdicts),
              pfn === NO_PFN,
              verdicts.map((v) => v.text).join("\n"),
            );
            if (pfn === NO_PFN) seen.refused++;
            else seen.served++;
            if (verdicts.at(-1)?.pass === "drained" && pfn !== NO_PFN) seen.drained++;
            if (verdicts.some(({ finding }) => finding.kind === "fragmented")) seen.fragmented++;
          }
          if (pfn === NO_PFN) break;
          taken.push([pfn, order]);
        }
      });
    }),
    { numRuns: 500 },
  );
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 10, `${what}: ${count}`);
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
