// Goal: a zone gives what its kernel would let it give. Method: random rows of counts, with marks and
// reserves close to what is free, beside the check written out step by step from what is known of each
// era; and the fractions of a mark as worked numbers.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { WatermarkRule } from "../../src/kernels/watermark.ts";
import {
  ALLOC_CMA,
  ALLOC_HIGHATOMIC,
  ALLOC_MIN_RESERVE,
  ALLOC_NON_BLOCK,
  ALLOC_OOM,
  ALLOC_WMARK_HIGH,
  ALLOC_WMARK_LOW,
  ALLOC_WMARK_MIN,
} from "../../src/mm/gfp-alloc.ts";
import {
  Z_BLOCKS,
  Z_BOOST,
  Z_FREE,
  Z_FREE_CMA,
  Z_HIGHATOMIC,
  Z_MIN,
  Z_ORDERS_OF,
  Z_RESERVE,
  ZONE_WORDS,
} from "../../src/mm/memory.ts";
import { loweredMark, watermarkFast, watermarkOk } from "../../src/mm/zone-watermark.ts";

/** ALLOC_* flags by name: up to 6.2 `reserve` is HIGH and `harder` is HARDER. */
interface Rights {
  readonly mark: 0 | 1 | 2;
  readonly reserve: boolean;
  readonly harder: boolean;
  readonly oom: boolean;
  readonly highatomic: boolean;
  readonly cma: boolean;
}

interface Row {
  readonly free: number;
  readonly marks: readonly [min: number, low: number, high: number];
  readonly boost: number;
  readonly above: number;
  readonly highatomic: number;
  readonly freeCma: number;
  /** Blocks by type and order. */
  readonly blocks: readonly (readonly number[])[];
}

const COMMON = { lessFree: 0, atomicSkipsBoost: true };
const OLD: WatermarkRule = { ...COMMON, harderAlone: true, watermark: "types" };
const NEW: WatermarkRule = { ...COMMON, harderAlone: false, watermark: "types" };
const ORDERS: WatermarkRule = { ...COMMON, harderAlone: true, watermark: "orders" };
const HIGHEST = 2;
const TYPES = 6;

const half = (pages: number): number => pages - Math.floor(pages / 2);
const threeQuarters = (pages: number): number => pages - Math.floor(pages / 4);

/** What is left of a mark, rights read from left to right. */
function naiveMark(mark: number, own: Rights, rule: WatermarkRule): number {
  const first = own.reserve ? half(mark) : mark;
  if (rule.harderAlone) {
    if (own.oom) return half(first);
    return own.harder ? threeQuarters(first) : first;
  }
  const second = own.reserve && own.harder ? threeQuarters(first) : first;
  return own.oom ? half(second) : second;
}

/** Free pages that count: not the reserve's, not the borrowed ones of CMA. */
function naiveUsable(row: Row, own: Rights, rule: WatermarkRule): number {
  const opened = rule.harderAlone
    ? own.harder || own.oom
    : own.reserve || own.harder || own.highatomic || own.oom;
  return row.free - (opened ? 0 : row.highatomic) - (own.cma ? 0 : row.freeCma);
}

function naiveOk(row: Row, order: number, mark: number, own: Rights, rule: WatermarkRule): boolean {
  const left = naiveUsable(row, own, rule) - (2 ** order - 1);
  const min = naiveMark(mark, own, rule);
  if (!(left > min + row.above)) return false;
  if (rule.watermark === "orders") {
    // Below each order: without its smaller blocks, more than the mark halved that often.
    return Array.from({ length: order }, (_, o) => o).every((o) => {
      const smaller = Array.from({ length: o + 1 }, (_, i) => blocksOf(row, i) * 2 ** i);
      return left - smaller.reduce((sum, pages) => sum + pages, 0) > Math.floor(min / 2 ** (o + 1));
    });
  }
  const types = [0, 1, 2, ...(own.cma ? [4] : []), ...(own.highatomic || own.oom ? [3] : [])];
  const fits = (type: number): boolean =>
    (row.blocks[type] ?? []).some((count, o) => o >= order && count > 0);
  return order === 0 || types.some(fits);
}

function naiveFast(row: Row, order: number, own: Rights, rule: WatermarkRule): boolean {
  const bare = row.marks[own.mark];
  const mark = bare + row.boost;
  const usable = Math.max(0, naiveUsable(row, own, rule));
  if (order === 0 && usable > mark + row.above) return true;
  if (naiveOk(row, order, mark, own, rule)) return true;
  const atomic = rule.harderAlone ? own.harder : own.reserve;
  if (order > 0 || own.mark !== 0 || !atomic) return false;
  return row.boost > 0 && naiveOk(row, 0, bare, own, rule);
}

const blocksOf = (row: Row, order: number): number =>
  row.blocks.reduce((sum, type) => sum + (type[order] ?? 0), 0);

function wordsOf(row: Row): Int32Array {
  const at = ZONE_WORDS;
  const words = new Int32Array(2 * ZONE_WORDS).fill(-1, 0, at);
  words[at + Z_FREE] = row.free;
  words.set(row.marks, at + Z_MIN);
  words[at + Z_BOOST] = row.boost;
  words[at + Z_HIGHATOMIC] = row.highatomic;
  words[at + Z_FREE_CMA] = row.freeCma;
  words[at + Z_RESERVE + HIGHEST] = row.above;
  row.blocks.forEach((type, t) => {
    words[at + Z_ORDERS_OF + t] = type.reduce((bits, n, o) => bits + (n > 0 ? 2 ** o : 0), 0);
  });
  for (let order = 0; order < 6; order++) words[at + Z_BLOCKS + order] = blocksOf(row, order);
  return words;
}

function flagsOf(own: Rights): number {
  let flags = [ALLOC_WMARK_MIN, ALLOC_WMARK_LOW, ALLOC_WMARK_HIGH][own.mark] ?? 0;
  if (own.reserve) flags |= ALLOC_MIN_RESERVE;
  if (own.harder) flags |= ALLOC_NON_BLOCK;
  if (own.oom) flags |= ALLOC_OOM;
  if (own.highatomic) flags |= ALLOC_HIGHATOMIC;
  if (own.cma) flags |= ALLOC_CMA;
  return flags;
}

const rights = fc.record<Rights>({
  mark: fc.constantFrom(0, 1, 2),
  reserve: fc.boolean(),
  harder: fc.boolean(),
  oom: fc.boolean(),
  highatomic: fc.boolean(),
  cma: fc.boolean(),
});
const few = fc.oneof(fc.constant(0), fc.nat(12));
const row: fc.Arbitrary<Row> = fc.record({
  free: fc.nat(90),
  marks: fc.tuple(fc.nat(40), fc.nat(50), fc.nat(60)),
  boost: few,
  above: few,
  highatomic: few,
  freeCma: few,
  blocks: fc.array(
    fc.array(fc.oneof(fc.constant(0), fc.constant(0), fc.nat(3)), { maxLength: 6 }),
    {
      minLength: TYPES,
      maxLength: TYPES,
    },
  ),
});

for (const [name, rule] of Object.entries({ "up to 6.2": OLD, "6.3": NEW, "2.6": ORDERS })) {
  test(`${name}: the check and its quick form answer as written out`, () => {
    let refused = 0;
    const property = fc.property(row, fc.nat(5), fc.nat(80), rights, (own, order, mark, asked) => {
      const words = wordsOf(own);
      const flags = flagsOf(asked);
      const ok = watermarkOk(words, ZONE_WORDS, order, mark, HIGHEST, flags, rule);
      expect.equal(ok, naiveOk(own, order, mark, asked, rule));
      const fast = watermarkFast(words, ZONE_WORDS, order, HIGHEST, flags, rule);
      expect.equal(fast, naiveFast(own, order, asked, rule));
      if (!ok) refused++;
    });
    fc.assert(property, { numRuns: 4000 });
    expect.ok(refused > 400 && refused < 3600, `${refused} of 4000 refused`);
  });
}

test("what is left of a mark of 1000, and of one of 7", () => {
  const reserve = ALLOC_MIN_RESERVE;
  const harder = ALLOC_NON_BLOCK;
  const oom = ALLOC_OOM;
  for (const [flags, old, now] of [
    [0, 1000, 1000],
    [reserve, 500, 500],
    [harder, 750, 1000],
    [reserve | harder, 375, 375],
    [oom, 500, 500],
    [oom | harder, 500, 500],
    [oom | reserve, 250, 250],
    [oom | reserve | harder, 250, 188],
    [ALLOC_HIGHATOMIC, 1000, 1000],
  ] as const) {
    expect.equal(loweredMark(1000, flags, OLD), old);
    expect.equal(loweredMark(1000, flags, NEW), now);
  }
  // 7 - 3 = 4, 4 - 1 = 3: what is taken off is rounded down.
  expect.equal(loweredMark(7, reserve | harder, NEW), 3);
});
