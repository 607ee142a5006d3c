// Goal: whoever gives pages with limits gives what was asked for, gives it once, and loses nothing.
// Method: one suite over the range tree, the scan of buddy lists and the classic zones. Random
// programs run beside a set of the pages in use; after each step `verify` looks inside. A refusal
// must have a reason that the reference finds too: each implementation says which free pages it
// must be able to give.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { Range } from "../../src/base/range.ts";
import { createBuddyScan } from "../../src/dma/mask-pool/buddy-scan.ts";
import { NO_PAGES, type PageSource } from "../../src/dma/mask-pool/page-source.ts";
import { createRangeTree } from "../../src/dma/mask-pool/range-tree.ts";
import { zoneSource } from "../../src/dma/mask-pool/zone-source.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { GFP_KERNEL } from "../../src/mm/gfp.ts";
import { createImage } from "../../src/mm/image.ts";

const END = 400;
const MAX_ORDER = 5;
const ZONES = [
  { name: "DMA", startPfn: 0, pages: 64 },
  { name: "DMA32", startPfn: 64, pages: 128 },
  { name: "Normal", startPfn: 192, pages: 208 },
];

interface Wish {
  readonly pages: number;
  readonly low: number;
  readonly end: number;
  readonly align: number;
  readonly boundary: number;
}

interface Implementation {
  readonly name: string;
  create(ranges: readonly Range[]): PageSource;
  /** The pages that are lost to others when so many are given at `pfn`. */
  cost(wish: Wish): number;
  /** Whether it must be able to give the pages from `pfn` on, all of which are free. */
  mustGive(wish: Wish, pfn: number, isFree: (pfn: number) => boolean): boolean;
}

const blockOf = (pages: number): number => 2 ** Math.ceil(Math.log2(pages));

/** Natural blocks: the whole power of two has to be free, and to lie inside the limits. */
function wholeBlock(
  { low, end }: Wish,
  pfn: number,
  size: number,
  isFree: (pfn: number) => boolean,
): boolean {
  if (size > 2 ** MAX_ORDER || pfn % size !== 0 || pfn < low || pfn + size > end) return false;
  return Array.from({ length: size }, (_, i) => pfn + i).every(isFree);
}

const IMPLEMENTATIONS: readonly Implementation[] = [
  {
    name: "range tree",
    create: (ranges) => createRangeTree(createImage(false), "pool", ranges),
    cost: ({ pages }) => pages,
    mustGive: () => true,
  },
  {
    name: "buddy scan",
    create: (ranges) => createBuddyScan(createImage(false), "pool", ranges, MAX_ORDER),
    cost: ({ pages }) => blockOf(pages),
    mustGive: (wish, pfn, isFree) => wholeBlock(wish, pfn, blockOf(wish.pages), isFree),
  },
  {
    name: "zones",
    create: (ranges) => {
      const zones = ZONES.map((zone) => ({ ...zone, holes: holesOf(ranges) }));
      const reserve = { minFreeKbytes: 0, lowmemReserveRatio: [0, 0, 0] };
      const m = bootMemory({ zones, maxOrder: MAX_ORDER, pageblockOrder: 4, ...reserve });
      return zoneSource(m, GFP_KERNEL);
    },
    cost: ({ pages, align }) => blockOf(Math.max(pages, align)),
    mustGive: (wish, pfn, isFree) => {
      // Only a zone that lies inside the limits is sure to give what they allow.
      const zone = ZONES.find(({ startPfn, pages }) => startPfn <= pfn && pfn < startPfn + pages);
      if (zone === undefined || wish.low > 0 || wish.end < zone.startPfn + zone.pages) return false;
      const size = blockOf(Math.max(wish.pages, wish.align));
      return pfn + size <= zone.startPfn + zone.pages && wholeBlock(wish, pfn, size, isFree);
    },
  },
];

function holesOf(ranges: readonly Range[]): Range[] {
  const holes: Range[] = [];
  let start = 0;
  for (const range of ranges) {
    holes.push({ start, end: range.start });
    start = range.end;
  }
  return [...holes, { start, end: END }];
}

const power = (max: number): fc.Arbitrary<number> => fc.nat(max).map((log) => 2 ** log);
const wish: fc.Arbitrary<Wish> = fc.record({
  pages: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 70 })),
  low: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(END)),
  end: fc.oneof(fc.constant(Number.MAX_SAFE_INTEGER), fc.integer({ min: 1, max: END })),
  align: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, power(6)),
  boundary: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, power(7)),
});
const step = fc.oneof(
  { weight: 3, arbitrary: wish },
  { weight: 2, arbitrary: fc.record({ free: fc.nat() }) },
);
/** Up to five runs of pages with holes between them. */
const ranges: fc.Arbitrary<Range[]> = fc
  .uniqueArray(fc.integer({ min: 0, max: END }), { minLength: 2, maxLength: 10 })
  .map((cuts) => {
    const sorted = [...cuts].sort((a, b) => a - b);
    if (sorted.length % 2 === 1) sorted.pop();
    return sorted.flatMap((start, i) => {
      const end = sorted[i + 1];
      return i % 2 === 0 && end !== undefined ? [{ start, end }] : [];
    });
  });

for (const own of IMPLEMENTATIONS) {
  test(`${own.name}: inside the limits, aligned, unbroken, given once; nothing is lost`, () => {
    const steps = fc.array(step, { maxLength: 60, size: "max" });
    fc.assert(
      fc.property(ranges, steps, (pool, program) => run(own, pool, program)),
      { numRuns: 150 },
    );
  });

  test(`${own.name}: page for page taken is page for page given back, and merges`, () => {
    const source = own.create([{ start: 0, end: END }]);
    const taken = Array.from({ length: END }, () => source.take(1, 0, END, 1, 0));
    expect.deepEqual(new Set(taken).size, END);
    expect.equal(source.take(1, 0, END, 1, 0), NO_PAGES);
    expect.equal(source.free(), 0);
    for (const pfn of taken) source.give(pfn, 1);
    expect.equal(source.free(), END);
    const blocks = Array.from({ length: 12 }, () => source.take(32, 0, END, 1, 0));
    expect.equal(blocks.filter((pfn) => pfn !== NO_PAGES).length, 12);
    expect.deepEqual(source.verify(), []);
  });

  test(`${own.name}: what was not taken cannot be given back`, () => {
    const source = own.create([{ start: 0, end: END }]);
    const pfn = source.take(4, 0, END, 1, 0);
    source.give(pfn, 4);
    expect.throws(() => source.give(pfn, 4), /given back/);
  });
}

test("range tree: the highest place that fits, as a search page by page finds it", () => {
  const steps = fc.array(step, { maxLength: 60, size: "max" });
  fc.assert(
    fc.property(ranges, steps, (pool, program) => {
      const source = createRangeTree(createImage(false), "pool", pool);
      const free = freePages(pool);
      const held: { pfn: number; pages: number }[] = [];
      for (const one of program) {
        if ("free" in one) {
          const [block] = held.splice(one.free % Math.max(1, held.length), 1);
          if (block === undefined) continue;
          source.give(block.pfn, block.pages);
          for (let i = 0; i < block.pages; i++) free.add(block.pfn + i);
          continue;
        }
        const pfn = source.take(one.pages, one.low, one.end, one.align, one.boundary);
        expect.equal(pfn, places(one, free).at(-1) ?? NO_PAGES);
        if (pfn === NO_PAGES) continue;
        held.push({ pfn, pages: one.pages });
        for (let i = 0; i < one.pages; i++) free.delete(pfn + i);
      }
    }),
    { numRuns: 150 },
  );
});

function freePages(pool: readonly Range[]): Set<number> {
  const free = new Set<number>();
  for (const { start, end } of pool) for (let pfn = start; pfn < end; pfn++) free.add(pfn);
  return free;
}

/** Every place that fits, ascending: the reference, page by page. */
function places({ pages, low, end, align, boundary }: Wish, free: ReadonlySet<number>): number[] {
  const found: number[] = [];
  for (let pfn = Math.ceil(low / align) * align; pfn + pages <= Math.min(end, END); pfn += align) {
    const last = pfn + pages - 1;
    if (boundary > 0 && Math.floor(pfn / boundary) !== Math.floor(last / boundary)) continue;
    if (Array.from({ length: pages }, (_, i) => pfn + i).every((page) => free.has(page)))
      found.push(pfn);
  }
  return found;
}

type Step = Wish | { readonly free: number };

function run(own: Implementation, pool: readonly Range[], program: readonly Step[]): void {
  const source = own.create(pool);
  const free = freePages(pool);
  const total = free.size;
  const held: { pfn: number; wish: Wish }[] = [];
  let lost = 0;
  for (const one of program) {
    if ("free" in one) {
      const [block] = held.splice(one.free % Math.max(1, held.length), 1);
      if (block !== undefined) lost -= giveBack(own, source, block, free);
    } else {
      const pfn = source.take(one.pages, one.low, one.end, one.align, one.boundary);
      const fitting = places(one, free);
      if (pfn !== NO_PAGES) {
        expect.ok(fitting.includes(pfn), `${pfn} is free, inside, aligned and unbroken`);
        for (let i = 0; i < one.pages; i++) free.delete(pfn + i);
        // What a block has beyond the pages is nobody's until it comes back.
        for (const page of extra(own, one, pfn)) if (free.delete(page)) lost++;
        held.push({ pfn, wish: one });
      } else {
        const due = fitting.filter((at) => own.mustGive(one, at, (page) => free.has(page)));
        expect.deepEqual(due, [], "refused, but these places are free");
      }
    }
    expect.deepEqual(source.verify(), []);
    expect.equal(source.free(), free.size);
  }
  for (const block of held) lost -= giveBack(own, source, block, free);
  expect.equal(lost, 0);
  expect.equal(source.free(), total);
  expect.deepEqual(source.verify(), []);
}

/** Pages of the block beyond those asked for. */
function extra(own: Implementation, wanted: Wish, pfn: number): number[] {
  const more = own.cost(wanted) - wanted.pages;
  return Array.from({ length: more }, (_, i) => pfn + wanted.pages + i);
}

function giveBack(
  own: Implementation,
  source: PageSource,
  { pfn, wish: wanted }: { pfn: number; wish: Wish },
  free: Set<number>,
): number {
  source.give(pfn, wanted.pages);
  for (let i = 0; i < wanted.pages; i++) free.add(pfn + i);
  const more = extra(own, wanted, pfn);
  for (const page of more) free.add(page);
  return more.length;
}
