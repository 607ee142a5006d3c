// Goal: verify() sees every kind of damage, and says which invariant it breaks. Method: a memory
// that has all kinds of blocks is sound; then one word at a time is damaged, with the label that
// must be quoted. Random damage to the links and states must never make it throw or hang.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { restore, snapshot } from "../../src/mm/image.ts";
import {
  EXTENT,
  FREE,
  freeHead,
  type Memory,
  P_COUNT,
  rowOf,
  TAKEN,
  Z_BLOCKS,
  Z_FREE,
  Z_MANAGED,
  Z_ORDERS_OF,
  Z_PRESENT,
  ZONE_WORDS,
} from "../../src/mm/memory.ts";
import { HIGHATOMIC, MOVABLE } from "../../src/mm/rule.ts";
import { verify } from "../../src/mm/verify.ts";

const KERNEL = 0xcc0;
const MOVABLE_DMA = 0xcc9;
const NORMAL = ZONE_WORDS;

/** Two zones, 4 CPU pages, an extent, halves of a block, a taken block of order 2. */
function lived(era = "6.1"): Memory {
  const m = bootMemory({
    era,
    maxOrder: 4,
    pageblockOrder: 3,
    minFreeKbytes: 0,
    zones: [
      { name: "DMA", startPfn: 0, pages: 60 },
      { name: "Normal", startPfn: 60, pages: 964 },
    ],
  });
  const pages = Array.from({ length: 5 }, () => allocPages(m, KERNEL, 0));
  allocPages(m, KERNEL, 2);
  // The last block of DMA, beside the first of Normal.
  expect.equal(allocPages(m, MOVABLE_DMA, 2), 56);
  for (const pfn of pages.slice(0, 3)) freePages(m, pfn, 0);
  return m;
}

/** Row of the head of some block of that kind in Normal. */
function headOf(m: Memory, state: number): number {
  const row = m.state.indexOf(state, rowOf(m, 64));
  expect.ok(row >= 0, `no block of state ${state}`);
  return row;
}

const add = (words: Int32Array, at: number, by: number): void => {
  words[at] = (words[at] ?? 0) + by;
};

const DAMAGE: readonly (readonly [label: string, name: string, damage: (m: Memory) => void])[] = [
  ["B1", "order of a free block", (m) => (m.state[headOf(m, FREE | 2)] = FREE | 1)],
  ["B1", "a free block on no list", (m) => (m.state[headOf(m, TAKEN)] = FREE)],
  ["B3", "two free halves", unmerge],
  ["B4", "nr_free", (m) => add(m.zone, NORMAL + Z_BLOCKS + 2, 1)],
  ["B5", "bit of an empty list", (m) => add(m.zone, NORMAL + Z_ORDERS_OF + MOVABLE, 1)],
  ["C1", "free pages", (m) => add(m.zone, NORMAL + Z_FREE, -1)],
  ["P1", "pages of a pageset", (m) => add(m.pcp, m.pcp.length / 2 + P_COUNT, 1)],
  ["P2", "a per-CPU page's type", (m) => (m.state[m.next[m.pcpHeads + 14] ?? 0] = 0x31)],
  ["P2", "a per-CPU page on no list", (m) => (m.state[headOf(m, TAKEN)] = 0x30)],
  ["L1", "next", (m) => (m.next[headOf(m, FREE | 2)] = rowOf(m, 64))],
  ["L1", "prev", (m) => (m.prev[headOf(m, FREE | 2)] = 0)],
  ["L1", "next beyond the rows", (m) => (m.next[headOf(m, FREE | 2)] = m.rows + 5)],
  ["F1", "a state inside a block", (m) => (m.state[headOf(m, TAKEN | 2) + 1] = TAKEN)],
  ["F1", "a kind that is none", (m) => (m.state[headOf(m, TAKEN | 2)] = 0x72)],
  ["F2", "a block off its alignment", shift],
  ["F2", "a block across a boundary", (m) => (m.state[rowOf(m, 56)] = TAKEN | 3)],
  ["F3", "an extent's end", (m) => add(m.next, headOf(m, EXTENT | 4) + 1, 3)],
  ["F3", "a state inside an extent", (m) => (m.state[headOf(m, EXTENT | 4) + 40] = TAKEN)],
  ["F3", "a block in an untouched section", (m) => (m.touched[rowOf(m, 64) >> m.sectionShift] = 0)],
  ["F4", "a lost block", (m) => (m.state[headOf(m, TAKEN | 2)] = 0)],
  ["F4", "a block larger than it was", (m) => (m.state[headOf(m, TAKEN)] = TAKEN | 2)],
  ["F4", "managed pages", (m) => add(m.zone, NORMAL + Z_MANAGED, -1)],
  ["F5", "present pages", (m) => add(m.zone, NORMAL + Z_PRESENT, -1)],
  [
    "H1",
    "a reserved pageblock",
    (m) => (m.blockType[rowOf(m, 2048) >> m.pageblockOrder] = HIGHATOMIC),
  ],
  ["I2", "a row of an untouched section", writeUntouched],
];

/** What shows on a memory of several sections, with whole pageblocks. */
const WIDE = new Set([
  "a block in an untouched section",
  "a reserved pageblock",
  "a row of an untouched section",
]);

/** Splits a free block in two that nobody merges. */
function unmerge(m: Memory): void {
  const zone = 1;
  const row = headOf(m, FREE | 2);
  const type = [0, 1, 2].find((own) => m.next[freeHead(zone, own, 2)] === row) ?? 0;
  const bit = NORMAL + Z_ORDERS_OF + type;
  const head = freeHead(zone, type, 1);
  // Off its list, which must hold it alone, and on the one below as two.
  const old = freeHead(zone, type, 2);
  expect.equal(m.next[row], old);
  [m.next[old], m.prev[old]] = [old, old];
  const last = m.prev[head] ?? head;
  [m.next[last], m.prev[row], m.next[row]] = [row, last, row + 2];
  [m.prev[row + 2], m.next[row + 2], m.prev[head]] = [row, head, row + 2];
  [m.state[row], m.state[row + 2]] = [FREE | 1, FREE | 1];
  add(m.zone, NORMAL + Z_BLOCKS + 2, -1);
  add(m.zone, NORMAL + Z_BLOCKS + 1, 2);
  m.zone[bit] = ((m.zone[bit] ?? 0) & ~4) | 2;
}

function shift(m: Memory): void {
  const row = headOf(m, TAKEN | 2);
  m.state[row] = 0;
  m.state[row + 1] = TAKEN | 1;
}

function writeUntouched(m: Memory): void {
  const section = m.touched.indexOf(0);
  m.prev[(section << m.sectionShift) + 3] = 7;
}

test("a memory that has lived is sound in every era with mobility", () => {
  for (const era of ["5.10", "6.1", "6.12"]) expect.deepEqual(verify(lived(era)), [], era);
});

for (const [label, name, damage] of DAMAGE) {
  test(`${label}: ${name}`, () => {
    const m = WIDE.has(name) ? wide() : lived();
    damage(m);
    const labels = verify(m).map((message) => message.slice(0, 2));
    expect.ok(labels.includes(label), `quoted ${labels.join(" ") || "nothing"}`);
  });
}

test("B6: since 6.10 a block is on the list of its pageblock's type", () => {
  const m = lived("6.12");
  m.blockType[rowOf(m, 512) >> 3] = 2;
  expect.match(verify(m)[0] ?? "", /^B6: row \d+ is on free list 1\/1\/4, .* has type 2$/);
});

test("H1 is asked wherever zones meet between pageblocks, and not where one is cut", () => {
  for (const [start, broken] of [
    [512, ["H1"]],
    [516, []],
  ] as const) {
    const zones = [
      { name: "DMA", startPfn: 0, pages: start },
      { name: "Normal", startPfn: start, pages: 512 },
    ];
    const m = bootMemory({ zones, maxOrder: 4, pageblockOrder: 3 });
    m.blockType[rowOf(m, 64) >> m.pageblockOrder] = HIGHATOMIC;
    expect.deepEqual(
      verify(m).map((message) => message.slice(0, 2)),
      broken,
    );
  }
});

/** More than one section, the second untouched. */
function wide(): Memory {
  const m = bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages: 2 ** 17 }] });
  allocPages(m, KERNEL, 0);
  return m;
}

test("random damage is reported or harmless, and never loops", () => {
  const m = lived();
  const sound = snapshot(m.image);
  const columns = { next: m.next, prev: m.prev, state: m.state, zone: m.zone, pcp: m.pcp };
  const column = fc.constantFrom("next", "prev", "state", "zone", "pcp");
  const value = fc.oneof(fc.integer(), fc.integer({ min: 0, max: m.rows }));
  const hit = fc.record({ column, at: fc.nat(), value });
  fc.assert(
    fc.property(fc.array(hit, { minLength: 1, maxLength: 4 }), (hits) => {
      restore(m.image, sound);
      for (const { column: name, at, value: to } of hits) {
        const words = columns[name];
        words[at % words.length] = to;
      }
      expect.ok(verify(m).length <= 40);
    }),
    { numRuns: 2000 },
  );
});
