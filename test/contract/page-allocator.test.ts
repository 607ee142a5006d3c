// Goal: whatever the era, an allocator never breaks what callers count on. Method: one suite over
// every implementation: the four eras and the naive twin. Random programs run beside a set of the
// pages in use: blocks are aligned, in a zone that the request may use, in use once; nothing is
// lost; and who takes away all that is free gets every page.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { allocPages, freePages, NO_PFN } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { drainAllPages } from "../../src/mm/drain-all.ts";
import { Z_MANAGED } from "../../src/mm/memory.ts";
import { verify } from "../../src/mm/verify.ts";
import { naiveTwin } from "../support/naive-twin.ts";

/** What the suite asks for. `kind` 0: kernel memory, 1: DMA, 2: movable, 3: may not wait. */
interface Implementation {
  alloc(kind: number, order: number, cpu: number): number;
  free(pfn: number, order: number, cpu: number): void;
  drain(): void;
  /** Pages managed in all, and what is broken inside, if it can tell. */
  readonly managed: number;
  check(): readonly string[];
}

const MAX_ORDER = 4;
const CPUS = 2;
const ZONES = [
  { name: "DMA", startPfn: 0, pages: 80 },
  { name: "DMA32", startPfn: 80, pages: 80 },
  { name: "Normal", startPfn: 160, pages: 224 },
];
/** First pfn after the highest zone of each kind. */
const END = [384, 80, 384, 384] as const;
const RAM = 384;

function engine(era: string): () => Implementation {
  const masks = era === "2.6" ? [0x10, 0x11, 0x12, 0x20] : [0xcc0, 0xcc1, 0x100cca, 0xa20];
  return () => {
    const m = bootMemory({
      era,
      zones: ZONES,
      maxOrder: MAX_ORDER,
      pageblockOrder: 3,
      cpus: CPUS,
      minFreeKbytes: 0,
      lowmemReserveRatio: [0, 0, 0],
    });
    expect.equal(m.zone[Z_MANAGED], 80);
    return {
      alloc: (kind, order, cpu) => {
        m.cpu = cpu;
        return allocPages(m, masks[kind] ?? 0, order);
      },
      free: (pfn, order, cpu) => {
        m.cpu = cpu;
        freePages(m, pfn, order);
      },
      drain: () => {
        drainAllPages(m);
      },
      managed: RAM,
      check: () => verify(m),
    };
  };
}

function naive(): Implementation {
  const options = { zones: ZONES, maxOrder: MAX_ORDER, pageblockOrder: 3, cpus: CPUS };
  const m = bootMemory({ ...options, minFreeKbytes: 0, lowmemReserveRatio: [0, 0, 0] });
  const ranges = ZONES.map(({ startPfn, pages }) => ({ start: startPfn, end: startPfn + pages }));
  const twin = naiveTwin(m, ranges);
  return {
    alloc: (kind, order, cpu) => twin.alloc([0xcc0, 0xcc1, 0x100cca, 0xa20][kind] ?? 0, order, cpu),
    free: (pfn, _order, cpu) => {
      twin.free(pfn, cpu);
    },
    drain: () => {
      twin.drainAll();
    },
    managed: RAM,
    check: () => [],
  };
}

const IMPLEMENTATIONS: readonly (readonly [string, () => Implementation])[] = [
  ["2.6", engine("2.6")],
  ["5.10", engine("5.10")],
  ["6.1", engine("6.1")],
  ["6.12", engine("6.12")],
  ["naive twin", naive],
];

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.nat(3),
      order: fc.oneof(fc.constant(0), fc.nat(MAX_ORDER)),
      cpu: fc.nat(CPUS - 1),
    }),
  },
  { weight: 3, arbitrary: fc.record({ free: fc.nat(), cpu: fc.nat(CPUS - 1) }) },
);

for (const [name, create] of IMPLEMENTATIONS) {
  test(`${name}: blocks are aligned, allowed and in use once; nothing is lost`, () => {
    const program = fc.array(step, { maxLength: 200, size: "max" });
    fc.assert(
      fc.property(program, (steps) => run(create(), steps)),
      { numRuns: 60 },
    );
  });

  test(`${name}: a request that may wait gets the last page, and a free one merges back`, () => {
    const own = create();
    const pfns = takeAll(own, 0, 0);
    expect.equal(new Set(pfns).size, own.managed);
    expect.equal(own.alloc(0, 0, 1), NO_PFN);
    for (const pfn of pfns) own.free(pfn, 0, pfn % CPUS);
    own.drain();
    // 80 + 80 + 224 pages at 0, 80 and 160 are 24 blocks of 16.
    expect.equal(takeAll(own, 0, MAX_ORDER).length, own.managed >> MAX_ORDER);
    expect.deepEqual(own.check(), []);
  });

  test(`${name}: a page of the wrong end of memory does not serve a block`, () => {
    const own = create();
    const pfns = takeAll(own, 0, 0);
    for (const pfn of pfns) if (pfn % 4 !== 0) own.free(pfn, 0, 0);
    own.drain();
    // Pages 1, 2 and 3 of every four: a pair each, and no block of four.
    expect.equal(own.alloc(0, 2, 0), NO_PFN);
    expect.equal(takeAll(own, 0, 1).length, own.managed / 4);
  });
}

function takeAll(own: Implementation, kind: number, order: number): number[] {
  const pfns: number[] = [];
  for (let pfn = own.alloc(kind, order, 0); pfn !== NO_PFN; pfn = own.alloc(kind, order, 0)) {
    pfns.push(pfn);
  }
  return pfns;
}

type Step =
  | { readonly kind: number; readonly order: number; readonly cpu: number }
  | { readonly free: number; readonly cpu: number };

function run(own: Implementation, steps: readonly Step[]): void {
  const used = new Set<number>();
  const held: { pfn: number; order: number }[] = [];
  for (const one of steps) {
    if ("free" in one) {
      const [block] = held.splice(one.free % Math.max(1, held.length), 1);
      if (block === undefined) continue;
      own.free(block.pfn, block.order, one.cpu);
      for (let i = 0; i < 2 ** block.order; i++) used.delete(block.pfn + i);
    } else {
      const pfn = own.alloc(one.kind, one.order, one.cpu);
      if (pfn === NO_PFN) {
        justify(own, used, one.kind, one.order);
        continue;
      }
      expect.equal(pfn % 2 ** one.order, 0, "aligned");
      expect.ok(pfn >= 0 && pfn + 2 ** one.order <= (END[one.kind] ?? 0), `${pfn} is allowed`);
      for (let i = 0; i < 2 ** one.order; i++) {
        expect.ok(!used.has(pfn + i), `${pfn + i} is in use once`);
        used.add(pfn + i);
      }
      held.push({ pfn, order: one.order });
    }
  }
  expect.deepEqual(own.check(), []);
  for (const { pfn, order } of held) own.free(pfn, order, 0);
  own.drain();
  expect.equal(takeAll(own, 0, 0).length, own.managed, "every page comes back");
}

/** Who may wait is only refused when no aligned free block of that size is left in an allowed zone. */
function justify(
  own: Implementation,
  used: ReadonlySet<number>,
  kind: number,
  order: number,
): void {
  if (kind === 3) return;
  const size = 2 ** order;
  const end = END[kind] ?? 0;
  const free = Array.from({ length: end / size }, (_, i) => i * size).filter((pfn) =>
    Array.from({ length: size }, (_, i) => pfn + i).every((page) => !used.has(page)),
  );
  expect.deepEqual(free, [], `order ${order} refused, but these blocks are free`);
  expect.deepEqual(own.check(), []);
}
