// Goal: the fragmentation indices are the kernel's, and lists after allocations are what taking one
// block after the other leaves.
// Method: lines of debugfs that real kernels printed beside the buddyinfo of the same moment; a model
// that splits blocks one allocation at a time.
import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  blocksAfter,
  fragmentationIndex,
  pagesIn,
  piecesIn,
  unusableIndex,
} from "../../src/mm/fragmentation.ts";

describe("as debugfs prints them", () => {
  // buddyinfo, extfrag_index and unusable_index of captures that no page moved between.
  const captured: readonly (readonly [string, string, string, string])[] = [
    [
      "i386 6.1, DMA",
      "0 0 0 0 0 0 0 0 1 1 3",
      "-1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000",
      "0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.066 0.200",
    ],
    [
      "i386 6.1, Normal",
      "3 3 3 3 2 3 3 3 3 0 201",
      "-1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000",
      "0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.001 0.003 0.007 0.007",
    ],
    [
      "6.1 after GFP_DMA requests took all of DMA",
      "0 0 0 0 0 0 0 0 0 0 0",
      "0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000",
      "1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000",
    ],
    [
      "6.1 after memory pressure, DMA",
      "4 4 3 3 3 3 4 4 3 2 1",
      "-1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000 -1.000",
      "0.000 0.001 0.003 0.006 0.012 0.025 0.050 0.118 0.254 0.457 0.728",
    ],
  ];
  for (const [name, free, index, unusable] of captured) {
    test(name, () => {
      const blocks = free.split(" ").map(Number);
      const shown = (thousandths: number): string => (thousandths / 1000).toFixed(3);
      equal(blocks.map((_, order) => shown(fragmentationIndex(blocks, order))).join(" "), index);
      equal(blocks.map((_, order) => shown(unusableIndex(blocks, order))).join(" "), unusable);
    });
  }

  test("a refusal for lack of memory is near 0, one for pieces near 1", () => {
    // 4 pages cannot be 512; 4096 single pages are enough and in pieces.
    equal(fragmentationIndex([4], 9), 1000 - Math.floor((1000 + 7) / 4));
    equal(fragmentationIndex([4096], 9), 1000 - Math.floor((1000 + 8000) / 4096));
    equal(fragmentationIndex([1], 9), 1000 - 1001);
  });
});

describe("what allocations leave", () => {
  const lists = fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 8 });

  /** One allocation: the smallest block that is large enough, its halves back on the lists. */
  function takeOne(blocks: number[], order: number): boolean {
    const from = blocks.findIndex((count, own) => own >= order && count > 0);
    if (from === -1) return false;
    blocks[from] = (blocks[from] ?? 0) - 1;
    for (let own = from - 1; own >= order; own--) blocks[own] = (blocks[own] ?? 0) + 1;
    return true;
  }

  test("is what one allocation after the other leaves, down to the last", () => {
    fc.assert(
      fc.property(lists, fc.nat({ max: 4 }), (blocks, order) => {
        const model = [...blocks];
        let count = 0;
        do {
          deepEqual(blocksAfter(blocks, order, count), model);
          equal(pagesIn(blocks) - pagesIn(model), count * 2 ** order);
          count++;
        } while (takeOne(model, order));
        equal(piecesIn(blocks, order), count - 1);
      }),
    );
  });

  test("makes memory no less fragmented", () => {
    fc.assert(
      fc.property(lists, fc.nat({ max: 7 }), (blocks, order) => {
        const share = unusableIndex(blocks, order);
        ok(share >= 0 && share <= 1000);
        ok(unusableIndex(blocks, order + 1) >= share);
      }),
    );
  });
});
