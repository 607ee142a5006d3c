// Goal: the allocator of each era answers with that kernel's pfns and leaves every list in its
// order. Method: random programs over small machines of many shapes, run beside a naive twin; after
// every step the answers, what tracepoints would tell, all lists, counts and types are equal and
// verify() finds nothing.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { type BootZone, bootMemory } from "../../src/mm/boot-memory.ts";
import { type BoundMemory, bindMemory } from "../../src/mm/bound.ts";
import { decayPcp } from "../../src/mm/drain.ts";
import { drainAllPages } from "../../src/mm/drain-all.ts";
import { restore, type Snapshot, snapshot } from "../../src/mm/image.ts";
import { setMarks } from "../../src/mm/marks.ts";
import {
  type Memory,
  P_BATCH,
  P_HIGH,
  P_HIGH_MAX,
  P_HIGH_MIN,
  PCP_WORDS,
  Z_FLAGS,
  ZONE_BELOW_HIGH,
  ZONE_RECLAIM_ACTIVE,
  ZONE_WORDS,
} from "../../src/mm/memory.ts";
import { verify } from "../../src/mm/verify.ts";
import type { NaiveState } from "../support/naive-buddy.ts";
import type { NaiveMemory } from "../support/naive-memory.ts";
import { flagsOf4 } from "../support/naive-old.ts";
import { listen, naiveStateOf, naiveTwin, stateOf, takeMarks } from "../support/naive-twin.ts";

interface Shape {
  readonly maxOrder: number;
  readonly pageblockOrder: number;
  readonly start: number;
  /** Pages of DMA, DMA32 (0 for none) and Normal. */
  readonly pages: readonly [number, number, number];
  readonly nodes: number;
  readonly cpus: number;
  readonly minFreeKbytes: number;
  /** Through `bindMemory`, which answers most requests by itself. */
  readonly bound: boolean;
  /** Pages of a refill; machines this small have 1 by themselves. */
  readonly batch: number;
  /** CPUs keep changes of the free count back. */
  readonly drift: boolean;
  /** How far a tuned pageset's high may rise above what it is at least. */
  readonly room: number;
}

type Step =
  | { readonly alloc: number; readonly order: number; readonly cpu: number }
  | { readonly free: number; readonly cpu: number }
  | { readonly fill: number; readonly order: number; readonly cpu: number }
  | { readonly marks: number }
  | { readonly flag: "reclaimed" | "belowHigh"; readonly zone: number }
  | { readonly decay: number; readonly cpu: number }
  | "drain"
  | "snapshot"
  | "restore";

/** GFP_KERNEL, _DMA, _DMA32; reclaimable; user movable; atomic; nowait; memalloc; this node. */
const MASKS_6_1 = [
  0xcc0, 0xcc1, 0xcc4, 0xcd0, 0x100cca, 0xa20, 0xa21, 0xa30, 0x800, 0x20cc0, 0xa0a20, 0x200cc0, 0x0,
];
/** __GFP_ATOMIC (0x200) without __GFP_HIGH, and the other way round. */
const MASKS_5 = [...MASKS_6_1, 0xa00, 0x820];
const MASKS_OLD = [0xd0, 0xd1, 0xd4, 0xd8, 0x80_0d0, 0x20, 0x21, 0x30, 0x28, 0x80_020, 0x0];
/** With and without __GFP_WAIT (0x10) and __GFP_HIGH (0x20); no DMA32 (0x04) before 2.6.15. */
const MASKS_2_6_9 = [0xd0, 0xd1, 0x20, 0x21, 0x30, 0x0];
const MASKS: ReadonlyMap<string, readonly number[]> = new Map([
  // With and without __GFP_WAIT (0x10) and __GFP_HIGH (0x20).
  ["2.6", [0xd0, 0xd1, 0xd4, 0x20, 0x21, 0x30, 0x0]],
  ["2.6.9", MASKS_2_6_9],
  ["2.6.11", MASKS_2_6_9],
  ["5.10", MASKS_5],
  // __GFP_MOVABLE, and __GFP_RECLAIMABLE where it was then.
  ["2.6.39", MASKS_OLD],
  ["3.10", MASKS_OLD],
  ["4.9", MASKS_5.map((gfp) => flagsOf4("4.9", gfp))],
  ["4.19", MASKS_5.map((gfp) => flagsOf4("4.19", gfp))],
  ["5.4", MASKS_5],
  ["5.15", MASKS_5],
  ["6.1", MASKS_6_1],
  ["6.6", MASKS_6_1],
  ["6.18", [...MASKS_6_1, 0x820]],
  ["6.12", [...MASKS_6_1, 0x820]],
]);

const shape: fc.Arbitrary<Shape> = fc
  .record({
    maxOrder: fc.integer({ min: 2, max: 5 }),
    below: fc.integer({ min: 0, max: 2 }),
    start: fc.integer({ min: 0, max: 20 }),
    pages: fc.tuple(
      fc.integer({ min: 1, max: 60 }),
      fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 })),
      fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 200, max: 450 })),
    ),
    nodes: fc.constantFrom(1, 1, 2),
    cpus: fc.constantFrom(1, 2),
    minFreeKbytes: fc.constantFrom(0, 20, 60),
    bound: fc.boolean(),
    batch: fc.constantFrom(1, 1, 2, 3, 7),
    drift: fc.boolean(),
    room: fc.constantFrom(0, 5, 40),
  })
  .map(({ below, ...rest }) => ({
    ...rest,
    pageblockOrder: Math.max(1, rest.maxOrder - below),
  }));

const order = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 5 }) },
);
const cpu = fc.nat(1);
function stepOf(masks: readonly number[]): fc.Arbitrary<Step> {
  const flag = fc.constantFrom("reclaimed" as const, "belowHigh" as const);
  return fc.oneof(
    { weight: 24, arbitrary: fc.record({ alloc: fc.constantFrom(...masks), order, cpu }) },
    { weight: 14, arbitrary: fc.record({ free: fc.nat(), cpu }) },
    { weight: 1, arbitrary: fc.record({ fill: fc.constantFrom(...masks), order, cpu }) },
    { weight: 2, arbitrary: fc.constantFrom<Step>("drain", "snapshot", "restore") },
    { weight: 2, arbitrary: fc.record({ marks: fc.constantFrom(0, 8, 32, 100) }) },
    { weight: 1, arbitrary: fc.record({ flag, zone: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ decay: fc.nat(), cpu }) },
  );
}

for (const [era, masks] of MASKS) {
  test(`${era}: random programs leave the same pfns, counts and list order as the naive twin`, () => {
    const program = fc.array(stepOf(masks), { maxLength: 120, size: "max" });
    const property = fc.property(shape, program, (own, steps) => run(era, own, steps));
    fc.assert(property, { numRuns: 200 });
  });
}

interface Machine {
  readonly m: Memory;
  readonly calls: Pick<BoundMemory, "allocPages" | "freePages">;
  readonly shape: Shape;
  readonly twin: NaiveMemory;
  /** What the engine told since the last step. */
  readonly log: string[];
  held: number[];
  saved: { image: Snapshot; naive: NaiveState; held: number[] } | null;
}

function build(era: string, own: Shape): Machine {
  const zones: BootZone[] = [];
  let at = own.start;
  const add = (name: string, node: number, pages: number): void => {
    if (pages > 0) zones.push({ name, node, startPfn: at, pages });
    at += pages;
  };
  add("DMA", 0, own.pages[0]);
  add("DMA32", 0, own.pages[1]);
  add("Normal", 0, own.pages[2]);
  // The second node begins at a whole block: what a block on two nodes would do is undefined.
  at = Math.ceil(at / 32) * 32;
  if (own.nodes === 2) add("Normal", 1, 100);
  const m = bootMemory({
    ...own,
    era,
    zones,
    cpuNode: own.nodes === 2 ? [0, 1] : [0, 0],
    zonelistOrder: "node",
  });
  const ranges = zones.map(({ startPfn, pages }) => ({ start: startPfn, end: startPfn + pages }));
  const general = {
    allocPages: (gfp: number, wanted: number): number => allocPages(m, gfp, wanted),
    freePages: (pfn: number, given: number): void => {
      freePages(m, pfn, given);
    },
  };
  const calls = own.bound ? bindMemory(m) : general;
  setBatch(m, own);
  const log = listen(m);
  return { m, log, calls, shape: own, twin: naiveTwin(m, ranges), held: [], saved: null };
}

function setBatch(m: Memory, { batch, room }: Shape): void {
  for (let words = 0; words < m.pcp.length; words += PCP_WORDS) {
    const high = Math.max(m.pcp[words + P_HIGH] ?? 0, 4 * batch);
    m.pcp[words + P_BATCH] = batch;
    m.pcp[words + P_HIGH] = high;
    m.pcp[words + P_HIGH_MIN] = high;
    m.pcp[words + P_HIGH_MAX] = high + room;
  }
}

function run(era: string, own: Shape, steps: readonly Step[]): void {
  const machine = build(era, own);
  compare(machine, "boot");
  steps.forEach((one, i) => {
    apply(machine, one);
    compare(machine, `step ${i}: ${JSON.stringify(one)}`);
  });
}

function apply(machine: Machine, one: Step): void {
  const { m, calls, twin, held } = machine;
  if (one === "drain") {
    drainAllPages(m);
    twin.drainAll();
  } else if (one === "snapshot") {
    const naive = structuredClone(twin.state);
    machine.saved = { image: snapshot(m.image), naive, held: [...held] };
  } else if (one === "restore") {
    if (machine.saved === null) return;
    expect.equal(restore(m.image, machine.saved.image), null);
    twin.state = structuredClone(machine.saved.naive);
    machine.held = [...machine.saved.held];
  } else if ("marks" in one) {
    setMarks(m, { minFreeKbytes: one.marks, drift: machine.shape.drift });
    setBatch(m, machine.shape);
    takeMarks(twin, m);
  } else if ("flag" in one) {
    const zone = one.zone % m.zoneCount;
    const bit = one.flag === "reclaimed" ? ZONE_RECLAIM_ACTIVE : ZONE_BELOW_HIGH;
    m.zone[zone * ZONE_WORDS + Z_FLAGS] = (m.zone[zone * ZONE_WORDS + Z_FLAGS] ?? 0) ^ bit;
    const own = twin.state.zones[zone];
    if (own !== undefined) own[one.flag] = !own[one.flag];
  } else if ("decay" in one) {
    if (m.rule.pcp !== "tuned") return;
    const zone = one.decay % m.zoneCount;
    m.cpu = one.cpu % m.cpuCount;
    decayPcp(m, zone, m.cpu);
    twin.cpu = m.cpu;
    const own = twin.state.zones[zone];
    const set = own?.pcp[m.cpu];
    if (own !== undefined && set !== undefined) twin.decay(own, set);
  } else if ("free" in one) {
    const pfn = held[one.free % held.length];
    if (pfn === undefined) return;
    held.splice(held.indexOf(pfn), 1);
    m.cpu = one.cpu % m.cpuCount;
    calls.freePages(pfn, twin.state.taken[pfn]?.order ?? -1);
    twin.free(pfn, m.cpu);
  } else if ("fill" in one) {
    m.cpu = one.cpu % m.cpuCount;
    while (take(machine, one.fill, one.order) >= 0);
  } else {
    m.cpu = one.cpu % m.cpuCount;
    take(machine, one.alloc, one.order);
  }
}

/** A block for both, or for neither: its pfn. */
function take({ m, calls, twin, held }: Machine, gfp: number, wanted: number): number {
  const most = Math.min(wanted, m.maxOrder);
  const pfn = calls.allocPages(gfp, most);
  expect.equal(pfn, twin.alloc(gfp, most, m.cpu), `${gfp} ${most}`);
  if (pfn >= 0) held.push(pfn);
  return pfn;
}

function compare({ m, twin, log }: Machine, when: string): void {
  expect.deepEqual(log.splice(0), twin.log.splice(0), when);
  expect.deepEqual(verify(m), [], when);
  const ours = stateOf(m);
  const naive = naiveStateOf(twin);
  // Equal texts are equal states; comparing them is ten times faster.
  if (JSON.stringify(ours) !== JSON.stringify(naive)) expect.deepEqual(ours, naive, when);
}
