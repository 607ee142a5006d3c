// Goal: equal elements end where the kernel's sort leaves them, and the rest is sorted.
// Method: any list against Array.sort(); an order that a kernel was seen to leave (below, in
// test/plan/machine-from-devicetree.test.ts, by the places of regions).
import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { heapSorted } from "../../src/boot/heap-sort.ts";

test("sorts any list, and leaves the list that it was given alone", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9 })), (list) => {
      const before = [...list];
      deepEqual(
        heapSorted(list, (a, b) => a - b),
        list.toSorted((a, b) => a - b),
      );
      deepEqual(list, before);
    }),
  );
});

test("is not stable: of three equal ones before two others the second comes first, then the third", () => {
  const list = ["f0", "f1", "d0", "d1", "d2"];
  const weight = (name: string): number => ({ f0: 2, f1: 1 })[name] ?? 0;
  const sorted = heapSorted(list, (a, b) => weight(a) - weight(b));
  deepEqual(sorted.slice(3), ["f1", "f0"]);
  deepEqual(sorted.slice(0, 3).toSorted(), ["d0", "d1", "d2"]);
});
