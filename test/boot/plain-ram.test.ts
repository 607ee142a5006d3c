// Goal: a plain list of RAM is read in any order, and RAM listed twice is joined and said once.
// Method: lists in and out of order, touching, overlapping and inside each other.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Issue } from "../../src/base/issue.ts";
import { plainRam } from "../../src/boot/memory-map.ts";

const MIB = 2 ** 20;

function read(...ranges: readonly (readonly [number, number, string?])[]): [number[][], string[]] {
  const issues: Issue[] = [];
  const memory = ranges.map(([start, end, type = "usable"]) => {
    return { start: start * MIB, end: end * MIB, type };
  });
  const ram = plainRam(memory, issues).map(({ start, end }) => [start / MIB, end / MIB]);
  return [ram, issues.map(({ message }) => message)];
}

test("order does not matter, and what touches is one", () => {
  const wanted = [
    [
      [1, 4],
      [8, 9],
    ],
    [],
  ];
  assert.deepEqual(read([1, 2], [2, 4], [8, 9]), wanted);
  assert.deepEqual(read([8, 9], [2, 4], [1, 2]), wanted);
  assert.deepEqual(read([2, 4], [8, 9], [1, 2]), wanted);
});

test("what is not RAM is left out", () => {
  assert.deepEqual(read([0, 1], [1, 2, "reserved"], [2, 3]), [
    [
      [0, 1],
      [2, 3],
    ],
    [],
  ]);
});

test("RAM listed twice is joined, and its part told", () => {
  assert.deepEqual(read([1, 4], [3, 6]), [
    [[1, 6]],
    ["RAM is listed twice from 0x300000 to 0x400000"],
  ]);
  assert.deepEqual(read([3, 6], [1, 4]), read([1, 4], [3, 6]));
  assert.deepEqual(read([1, 9], [2, 3], [4, 5])[1], [
    "RAM is listed twice from 0x200000 to 0x300000",
    "RAM is listed twice from 0x400000 to 0x500000",
  ]);
});
