// Goal: a booted memory has its kernel's marks, reserves and pagesets. Method: the numbers of a real
// 24 GiB machine of two CPUs, and small machines on which one rule decides: which zones are special, whose
// CPUs share a zone, what setting marks anew changes.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { type BootOptions, bootMemory } from "../../src/mm/boot-memory.ts";
import { setMarks } from "../../src/mm/marks.ts";
import {
  type Memory,
  P_BATCH,
  P_HIGH,
  P_HIGH_MAX,
  P_HIGH_MIN,
  PCP_WORDS,
  Z_BOOST,
  Z_FREE,
  Z_HIGH,
  Z_LOW,
  Z_MIN,
  Z_PROMO,
  Z_RESERVE,
  Z_THRESHOLD,
  ZONE_WORDS,
} from "../../src/mm/memory.ts";

const words = (m: Memory, zone: number, from: number, count: number): number[] => [
  ...m.zone.subarray(zone * ZONE_WORDS + from, zone * ZONE_WORDS + from + count),
];

const marksOf = (m: Memory): number[][] =>
  m.names.map((_, zone) => [Z_MIN, Z_LOW, Z_HIGH, Z_PROMO].flatMap((at) => words(m, zone, at, 1)));

const pagesetsOf = (m: Memory, at: number): (number | undefined)[] =>
  Array.from({ length: m.zoneCount * m.cpuCount }, (_, set) => m.pcp[set * PCP_WORDS + at]);

/** x86-64 with 24 GiB: 3840, 772917 and 5013504 pages managed. */
const LIVE: BootOptions = {
  cpus: 2,
  minFreeKbytes: 67584,
  drift: true,
  zones: [
    { name: "DMA", startPfn: 1, pages: 4095, holes: [{ start: 1, end: 256 }] },
    { name: "DMA32", startPfn: 4096, pages: 772917 },
    { name: "Normal", startPfn: 1048576, pages: 5013504 },
    { name: "Movable", startPfn: 6062080, pages: 0 },
  ],
};

test("a machine of 24 GiB has the marks, reserves, thresholds and pagesets that it printed", () => {
  const m = bootMemory({ ...LIVE, era: "6.12" });
  expect.deepEqual(marksOf(m), [
    [11, 14, 17, 20],
    [2255, 3027, 3799, 4571],
    [14629, 19642, 24655, 29668],
    // An empty Movable zone is special all the same, since 6.12.
    [32, 32, 32, 32],
  ]);
  expect.deepEqual(words(m, 0, Z_RESERVE, 8), [0, 3019, 22603, 22603, 0, 0, 0, 0]);
  expect.deepEqual(words(m, 1, Z_RESERVE, 8), [0, 0, 19584, 19584, 0, 0, 0, 0]);
  expect.deepEqual(words(m, 2, Z_RESERVE, 8), [0, 0, 0, 0, 0, 0, 0, 0]);
  expect.deepEqual(pagesetsOf(m, P_BATCH), [1, 1, 63, 63, 63, 63, 1, 1]);
  expect.deepEqual(pagesetsOf(m, P_HIGH_MIN), [7, 7, 1513, 1513, 9821, 9821, 16, 16]);
  expect.deepEqual(pagesetsOf(m, P_HIGH), pagesetsOf(m, P_HIGH_MIN));
  expect.deepEqual(pagesetsOf(m, P_HIGH_MAX).slice(0, 6), [240, 240, 48307, 48307, 313344, 313344]);
  // 2 * fls(2 CPUs) * (1 + fls(stretches of 128 MiB)): 0, 23 and 153 of them.
  expect.deepEqual(
    m.names.map((_, zone) => words(m, zone, Z_THRESHOLD, 1)[0]),
    [4, 24, 36, 4],
  );
});

test("before 6.12 an empty Movable zone has no marks, and pagesets have one high", () => {
  const m = bootMemory({ ...LIVE, era: "6.1" });
  expect.deepEqual(marksOf(m)[3], [0, 0, 0, 0]);
  expect.deepEqual(marksOf(m)[0], [11, 14, 17, 20]);
  expect.deepEqual(pagesetsOf(m, P_HIGH_MAX), pagesetsOf(m, P_HIGH_MIN));
});

test("5.10 keeps six batches; 2.6 sets low and high by quarters of the share", () => {
  const m = bootMemory({ ...LIVE, era: "5.10" });
  // A zone too small for a batch keeps no page.
  expect.deepEqual(pagesetsOf(m, P_HIGH), [0, 0, 378, 378, 378, 378, 0, 0]);
  const old = bootMemory({ ...LIVE, era: "2.6" });
  expect.deepEqual(marksOf(old)[2], [14629, 18286, 21943, 21943]);
});

test("2.6.9 and 2.6.11: marks, reserves and batches of 1 GiB of x86-32", () => {
  const machine = (era: string) => {
    let startPfn = 0;
    const zones = (
      [
        ["DMA", 4096],
        ["Normal", 225280],
        ["HighMem", 32768],
      ] as const
    ).map(([name, pages]) => {
      startPfn += pages;
      return { name, startPfn: startPfn - pages, pages };
    });
    return bootMemory({ era, zones });
  };
  const lowMarks = (era: string) => marksOf(machine(era)).map((marks) => marks.slice(0, 3));
  // 917504 KiB of low memory: min_free_kbytes is its root, 957, times 4 since 2.6.10: 239 or 957 pages.
  expect.deepEqual(lowMarks("2.6.9"), [
    [4, 8, 12],
    [234, 468, 702],
    [32, 64, 96],
  ]);
  expect.deepEqual(lowMarks("2.6.11"), [
    [17, 21, 25],
    [939, 1173, 1408],
    [32, 40, 48],
  ]);
  expect.deepEqual(words(machine("2.6.9"), 0, Z_RESERVE, 3), [0, 0, 0]);
  expect.deepEqual(words(machine("2.6.11"), 0, Z_RESERVE, 3), [0, 880, 1008]);
  expect.deepEqual(words(machine("2.6.11"), 1, Z_RESERVE, 3), [0, 0, 1024]);
  // A quarter of 1/1024 of the zone, 256 KiB at most; one less than a power of two since 2.6.12.
  expect.deepEqual(pagesetsOf(machine("2.6.9"), P_BATCH), [1, 16, 8]);
  expect.deepEqual(pagesetsOf(machine("2.6.18"), P_BATCH), [1, 31, 7]);
});

test("Movable is special where HighMem has memory to feed it, and always since 6.12", () => {
  const machine = (era: string, highmem: number): number[][] =>
    marksOf(
      bootMemory({
        era,
        minFreeKbytes: 4096,
        zones: [
          { name: "Normal", startPfn: 0, pages: 2 ** 16 },
          { name: "HighMem", startPfn: 2 ** 16, pages: highmem },
          { name: "Movable", startPfn: 2 ** 17, pages: 2 ** 16 },
        ],
      }),
    );
  // 1024 pages: half each, or all for Normal and a thousandth of Movable, 64.
  expect.deepEqual(
    machine("6.1", 0).map(([min]) => min),
    [512, 32, 512],
  );
  expect.deepEqual(
    machine("6.1", 2 ** 16).map(([min]) => min),
    [1024, 64, 64],
  );
  expect.deepEqual(
    machine("6.12", 0).map(([min]) => min),
    [1024, 32, 64],
  );
});

test("a node's CPUs share its zones; a node without any is shared by all", () => {
  const m = bootMemory({
    minFreeKbytes: 65536,
    cpus: 4,
    cpuNode: [0, 1, 1, 1],
    zones: [0, 1, 2].map((node) => ({
      name: "Normal",
      node,
      startPfn: node * 2 ** 18,
      pages: 2 ** 18,
    })),
  });
  const low = words(m, 0, Z_LOW, 1)[0] ?? 0;
  const high = pagesetsOf(m, P_HIGH);
  expect.deepEqual([high[0], high[4], high[8]], [low, Math.floor(low / 3), Math.floor(low / 4)]);
});

test("marks set anew end a boost; nothing kept back is nothing at all", () => {
  const m = bootMemory({ ...LIVE, era: "6.1" });
  m.zone[Z_BOOST] = 512;
  const free = words(m, 0, Z_FREE, 1);
  setMarks(m, { minFreeKbytes: 0 });
  expect.deepEqual(words(m, 0, Z_BOOST, 1), [0]);
  expect.deepEqual(
    marksOf(m).flat(),
    Array.from({ length: 16 }, () => 0),
  );
  expect.deepEqual(words(m, 0, Z_THRESHOLD, 1), [0], "drift is off unless it is asked for");
  expect.deepEqual(words(m, 0, Z_FREE, 1), free);
  // By itself the kernel takes four times the square root of the KiB: 23161044 of them.
  setMarks(m, {});
  expect.deepEqual(marksOf(m)[2]?.[0], Math.floor((4812 * 5013504) / 5790261));
  setMarks(m, { minFreeKbytes: 67584, watermarkScaleFactor: 100 });
  expect.deepEqual(marksOf(m)[2], [14629, 14629 + 50135, 14629 + 2 * 50135, 14629 + 3 * 50135]);
});
