// Goal: the worked example of 6.1's rules comes out pfn by pfn, lists and pagesets included.
// Method: ZONE_DMA of a PC of 23 GiB with two CPUs and khugepaged's marks; seven requests by hand.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import {
  type Memory,
  P_BATCH,
  P_COUNT,
  P_FACTOR,
  P_HIGH,
  rowOf,
  Z_FREE,
  Z_HIGH,
  Z_LOW,
  Z_MIN,
  Z_RESERVE,
  ZONE_WORDS,
} from "../../src/mm/memory.ts";
import { MOVABLE, UNMOVABLE } from "../../src/mm/rule.ts";
import { verify } from "../../src/mm/verify.ts";
import { freeList, pcpList } from "../support/naive-twin.ts";

/** GFP_KERNEL | GFP_DMA */
const DMA = 0xcc1;

function pc(): Memory {
  return bootMemory({
    era: "6.1",
    cpus: 2,
    minFreeKbytes: 67584,
    zones: [
      { name: "DMA", startPfn: 1, pages: 4095, holes: [{ start: 1, end: 256 }] },
      { name: "DMA32", startPfn: 4096, pages: 772917 },
      { name: "Normal", startPfn: 1048576, pages: 5013504 },
    ],
  });
}

/** Free lists of DMA by type that are not empty, as order:[pfns]. */
function lists(m: Memory, type: number): string {
  const parts: string[] = [];
  for (let order = m.maxOrder; order >= 0; order--) {
    const pfns = freeList(m, 0, type, order);
    if (pfns.length > 0) parts.push(`${order}:[${pfns.join(" ")}]`);
  }
  return parts.join(" ");
}

test("marks, reserves and pagesets are those that this machine prints", () => {
  const m = pc();
  const words = (zone: number, at: number, count: number): number[] =>
    Array.from(m.zone.subarray(zone * ZONE_WORDS + at, zone * ZONE_WORDS + at + count));
  expect.deepEqual(words(0, Z_MIN, 4), [11, 14, 17, 20]);
  expect.deepEqual(words(1, Z_MIN, 4), [2255, 3027, 3799, 4571]);
  expect.deepEqual(words(2, Z_MIN, 4), [14629, 19642, 24655, 29668]);
  expect.deepEqual(words(0, Z_RESERVE, 3), [0, 3019, 22603]);
  expect.deepEqual(words(1, Z_RESERVE, 3), [0, 0, 19584]);
  expect.deepEqual([Z_LOW - Z_MIN, Z_HIGH - Z_MIN], [1, 2]);
  expect.deepEqual([m.pcp[P_BATCH], m.pcp[P_HIGH]], [1, 7]);
});

test("worked example, pfn by pfn", () => {
  const m = pc();
  expect.equal(lists(m, UNMOVABLE), "8:[256]");
  expect.equal(lists(m, MOVABLE), "10:[1024 2048 3072] 9:[512]");

  expect.equal(allocPages(m, DMA, 0), 256);
  expect.equal(
    lists(m, UNMOVABLE),
    "7:[384] 6:[320] 5:[288] 4:[272] 3:[264] 2:[260] 1:[258] 0:[257]",
  );
  expect.equal(allocPages(m, DMA, 0), 257);
  expect.equal(allocPages(m, DMA, 3), 264);
  // Not the exact fit at 512: a whole largest block changes hands, with both pageblocks.
  expect.equal(allocPages(m, DMA, 9), 1024);
  expect.equal(lists(m, MOVABLE), "10:[2048 3072] 9:[512]");
  expect.match(lists(m, UNMOVABLE), /^9:\[1536\] 7:/);
  for (const pfn of [1024, 1536])
    expect.equal(m.blockType[rowOf(m, pfn) >> m.pageblockOrder], UNMOVABLE);

  const free = m.zone[Z_FREE];
  freePages(m, 257, 0);
  expect.equal(m.pcp[P_COUNT], 1);
  expect.equal(m.zone[Z_FREE], free, "what a CPU keeps is not free");
  // 1 + 8 pages reach high (7): one batch goes back, from the list of order 3.
  freePages(m, 264, 3);
  expect.deepEqual([m.pcp[P_COUNT], m.pcp[P_FACTOR]], [1, 1]);
  expect.deepEqual(freeList(m, 0, UNMOVABLE, 3), [264]);
  expect.deepEqual(pcpList(m, 0, 0, 0), [{ pfn: 257, type: UNMOVABLE }]);
  // The page freed last is used first, though 258 would be next in the buddy.
  expect.equal(allocPages(m, DMA, 0), 257);
  expect.deepEqual(verify(m), []);
});

test("requests of order 0 rise through a block, batch by batch of each CPU", () => {
  const m = bootMemory({ cpus: 2, zones: [{ name: "Normal", startPfn: 0, pages: 2 ** 18 }] });
  expect.equal(m.pcp[P_BATCH], 63);
  const first = Array.from({ length: 10 }, () => allocPages(m, 0xcc0, 0));
  expect.deepEqual(
    first,
    first.map((_, i) => i),
  );
  m.cpu = 1;
  expect.equal(allocPages(m, 0xcc0, 0), 63);
  expect.deepEqual(pcpList(m, 0, 1, 0)[0], { pfn: 64, type: UNMOVABLE });
});
