// Goal: range lists behave as sets of numbers. Method: compare each operation with the same one on
// plain sets of integers, on random small ranges.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import {
  clip,
  intersect,
  type Range,
  rangeList,
  subtract,
  totalLength,
} from "../../src/base/range.ts";
import { formatBytes, parseSize } from "../../src/base/units.ts";

const range = fc
  .tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 12 }))
  .map(([start, length]): Range => ({ start, end: start + length }));
const ranges = fc.array(range, { maxLength: 8 });

function members(list: readonly Range[]): number[] {
  const all = new Set<number>();
  for (const { start, end } of list) for (let n = start; n < end; n++) all.add(n);
  return [...all].sort((a, b) => a - b);
}

function assertList(list: readonly Range[]): void {
  list.forEach(({ start, end }, i) => {
    assert.ok(start < end);
    assert.ok(i === 0 || (list[i - 1]?.end ?? 0) < start, "overlapping or touching");
  });
}

test("a range list holds what the ranges hold, sorted and joined", () => {
  fc.assert(
    fc.property(ranges, (list) => {
      const joined = rangeList(list);
      assertList(joined);
      assert.deepEqual(members(joined), members(list));
      assert.equal(totalLength(joined), members(list).length);
    }),
  );
});

test("subtract, intersect and clip are those of sets", () => {
  fc.assert(
    fc.property(ranges, ranges, range, (one, two, { start, end }) => {
      const a = rangeList(one);
      const b = rangeList(two);
      const inB = new Set(members(b));
      assert.deepEqual(
        members(subtract(a, b)),
        members(a).filter((n) => !inB.has(n)),
      );
      assert.deepEqual(
        members(intersect(a, b)),
        members(a).filter((n) => inB.has(n)),
      );
      assert.deepEqual(
        members(clip(a, start, end)),
        members(a).filter((n) => n >= start && n < end),
      );
    }),
  );
});

test("sizes are read as people write them and refused otherwise", () => {
  const good: [string, number][] = [
    ["4096", 4096],
    ["4K", 4096],
    ["1.5G", 1.5 * 2 ** 30],
    ["0x100000", 0x100000],
    ["64 MiB", 64 * 2 ** 20],
    ["8gb", 8 * 2 ** 30],
  ];
  for (const [text, bytes] of good) assert.equal(parseSize(text), bytes, text);
  for (const text of ["", "G", "4X", "-1", "1..5G", "4K4", "9999999E", "1.3K4"]) {
    assert.equal(parseSize(text), null, text);
  }
  assert.equal(formatBytes(536870912), "512 MiB");
  assert.equal(formatBytes(12247040), "11.7 MiB");
  assert.equal(formatBytes(2 ** 30 - 1), "1 GiB");
});
