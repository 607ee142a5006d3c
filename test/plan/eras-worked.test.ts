// Goal: every era that was read gives the numbers its source gives. Method: machines small enough to be
// worked out by hand from the formulas of each release; the working stands beside each number, in pages
// of 4 KiB. Sizes of zones that no log tells are given.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Plan } from "../../src/plan/index.ts";
import { type Description, GIB, MIB, planOf } from "./plans.ts";

/** "zone spanned/present min/low/high (protection)" of the zones with memory. */
function rows(plan: Plan): string[] {
  return (
    plan.nodes[0]?.zones
      .filter((zone) => zone.present > 0)
      .map(({ name, spanned, present, watermarks: { min, low, high }, protection }) => {
        return `${name} ${spanned}/${present} ${min}/${low}/${high} (${protection.join(", ")})`;
      }) ?? []
  );
}

function pagesets(plan: Plan): unknown[] {
  return (
    plan.nodes[0]?.zones.flatMap(({ name, pageset }) => {
      if (pageset === null) return [];
      const { high, batch, low, cold } = pageset;
      return [[name, high, batch, low ?? null, cold?.high ?? null, cold?.batch ?? null]];
    }) ?? []
  );
}

const PC_1G: Description = { arch: "i386", ram: GIB };

test("2.6.9: marks are 2 and 3 times min, min_free_kbytes is a quarter of the later default", () => {
  const plan = planOf({ ...PC_1G, kernel: "2.6.9" });
  // sqrt(229376 pages * 4 KiB) = 957 KiB = 239 pages; DMA 239 * 4096 / 229376 = 4, Normal 234.
  assert.equal(plan.sysctls.minFreeKbytes, 957);
  assert.deepEqual(rows(plan), [
    "DMA 4096/4096 4/8/12 (0, 0, 0)",
    "Normal 225280/225280 234/468/702 (0, 0, 0)",
    "HighMem 32768/32768 32/64/96 (0, 0, 0)",
  ]);
  // A quarter MiB is 64 pages, a quarter of that is 16: no power of two less one yet.
  assert.deepEqual(pagesets(plan), [
    ["DMA", 6, 1, 2, 2, 1],
    ["Normal", 96, 16, 32, 32, 16],
    ["HighMem", 48, 8, 16, 16, 8],
  ]);
});

test("2.6.9: lower_zone_protection keeps low marks of higher zones, times its value", () => {
  const sysctls = [{ name: "lower_zone_protection", values: [100] }];
  const plan = planOf({ ...PC_1G, kernel: "2.6.9" }, { sysctls });
  // DMA against Normal 468 * 100, against HighMem 64 * 100 more.
  assert.deepEqual(
    plan.nodes[0]?.zones.map(({ protection }) => protection),
    [
      [0, 46800, 53200],
      [0, 0, 6400],
      [0, 0, 0],
    ],
  );
});

test("2.6.11: low and high are 5/4 and 6/4 of min; HighMem's too", () => {
  const plan = planOf({ ...PC_1G, kernel: "2.6.11" });
  // sqrt(917504 * 16) = 3831 KiB = 957 pages; 225280 / 256 = 880, (225280 + 32768) / 256 = 1008.
  assert.equal(plan.sysctls.minFreeKbytes, 3831);
  assert.deepEqual(rows(plan), [
    "DMA 4096/4096 17/21/25 (0, 880, 1008)",
    "Normal 225280/225280 939/1173/1408 (0, 0, 1024)",
    "HighMem 32768/32768 32/40/48 (0, 0, 0)",
  ]);
  assert.equal(pagesets(plan).length, 3);
});

test("2.6.18: four zones whatever is configured; on x86-64 present is net of struct pages", () => {
  const plan = planOf({ arch: "x86_64", ram: GIB, kernel: "2.6.18" });
  const names = plan.nodes[0]?.zones.map(({ name }) => name);
  assert.deepEqual(names, ["DMA", "DMA32", "Normal", "HighMem"]);
  // DMA: 159 + 3840 pages of RAM less 4096 * 56 / 4096; DMA32: 258048 - 3528. min_free: sqrt(258463 * 64).
  assert.equal(plan.sysctls.minFreeKbytes, 4067);
  assert.deepEqual(rows(plan), [
    "DMA 4096/3943 15/18/22 (0, 994, 994, 994)",
    "DMA32 258048/254520 1000/1250/1500 (0, 0, 0, 0)",
  ]);
  assert.deepEqual(pagesets(plan), [
    ["DMA", 0, 1, null, 0, 1],
    ["DMA32", 186, 31, null, 62, 15],
  ]);
});

test("2.6.18: x86-32 counts holes as present, and vmalloc= is taken as it is", () => {
  const plan = planOf({ ...PC_1G, kernel: "2.6.18", cmdline: "vmalloc=256M" });
  // Low memory ends at 1 GiB - 256 MiB = pfn 196608. min_free sqrt(196608 * 64) = 3547 KiB, 886 pages.
  assert.deepEqual(rows(plan), [
    "DMA 4096/4096 18/22/27 (0, 0, 752, 1008)",
    "Normal 192512/192512 867/1083/1300 (0, 0, 0, 2048)",
    "HighMem 65536/65536 64/137/211 (0, 0, 0, 0)",
  ]);
});

test("2.6.39: DMA begins at 64 KiB, all present is net of struct pages, khugepaged raises the marks", () => {
  const plan = planOf({ arch: "x86_64", ram: GIB, kernel: "2.6.39" });
  // DMA: (159 - 16) + 3840 less ceil(4080 * 56 / 4096) = 3927. First marks: 1016 pages, high 22 and 1500.
  // khugepaged: 512 * 2 zones * 11 = 11264 pages, under a twentieth of 256925.
  assert.equal(plan.nodes[0]?.zones[0]?.startPfn, 16);
  assert.equal(plan.sysctls.minFreeKbytes, 45056);
  assert.deepEqual(rows(plan), [
    "DMA 4080/3927 171/213/256 (0, 994, 994, 994)",
    "DMA32 258048/254520 11092/13865/16638 (0, 0, 0, 0)",
  ]);
});

const GIVEN = new Map([
  ["DMA", 3976],
  ["DMA32", 740000],
  ["Normal", 1300000],
]);
const PC_8G: Description = { arch: "x86_64", ram: 8 * GIB, config: new Map() };

test("3.10: managed pages, quarters of the share", () => {
  const plan = planOf({ ...PC_8G, kernel: "3.10" }, { managed: GIVEN });
  // Three zones: 512 * 3 * 11 = 16896 pages of 2043976. DMA 32, DMA32 6117, Normal 10746.
  assert.equal(plan.sysctls.minFreeKbytes, 67584);
  assert.deepEqual(
    plan.nodes[0]?.zones.map(({ watermarks: { min, low, high } }) => [min, low, high]),
    [
      [32, 40, 48],
      [6117, 7646, 9175],
      [10746, 13432, 16119],
      [0, 0, 0],
    ],
  );
  // 740000 / 256, (740000 + 1300000) / 256; an empty zone's reserve would divide nothing.
  assert.deepEqual(plan.nodes[0]?.zones[0]?.protection, [0, 2890, 7968, 7968]);
  assert.equal(plan.sysctls.watermarkScaleFactor, 0);
  assert.deepEqual(plan.nodes[0]?.zones[2]?.pageset, { high: 186, batch: 31, tunedTo: null });
});

test("4.9, 4.19, 5.4: the gap of the scale factor; batches grow in 4.19", () => {
  for (const [kernel, high, batch] of [
    ["4.9", 186, 31],
    ["4.19", 378, 63],
    ["5.4", 378, 63],
  ] as const) {
    const plan = planOf({ ...PC_8G, kernel }, { managed: GIVEN });
    const normal = plan.nodes[0]?.zones[2];
    // Gap: the larger of 10746 / 4 = 2686 and 0.1 % of the zone, 1300.
    assert.deepEqual(
      normal?.watermarks,
      { min: 10746, low: 13432, high: 16118, promo: null },
      kernel,
    );
    assert.deepEqual(normal?.pageset, { high, batch, tunedTo: null }, kernel);
  }
});

test("up to 4.18 sysctl 0 of lowmem_reserve_ratio is 1, then it is no reserve", () => {
  const sysctls = [{ name: "lowmem_reserve_ratio", values: [0, 256, 32] }];
  const reserve = (kernel: string): readonly number[] | undefined =>
    planOf({ ...PC_8G, kernel }, { managed: GIVEN, sysctls }).nodes[0]?.zones[0]?.protection;
  assert.deepEqual(reserve("3.10"), [0, 740000, 2040000, 2040000]);
  // Since 4.3 there is a Device zone behind Movable.
  assert.deepEqual(reserve("4.9"), [0, 740000, 2040000, 2040000, 2040000]);
  assert.deepEqual(reserve("4.19"), [0, 0, 0, 0, 0]);
});

test("the default of min_free_kbytes ends at 64 MiB up to 5.7, at 256 MiB since", () => {
  const large: Description = {
    arch: "x86_64",
    ram: 512 * GIB,
    cmdline: "transparent_hugepage=never",
  };
  const minFree = (kernel: string): number => planOf({ ...large, kernel }).sysctls.minFreeKbytes;
  assert.equal(minFree("4.19"), 65536);
  assert.equal(minFree("5.4"), 65536);
  // Near 4 * sqrt(512 GiB in KiB) = 92681, less what the kernel takes.
  for (const kernel of ["5.10", "5.15", "6.6", "6.18"]) {
    assert.ok(minFree(kernel) > 90000 && minFree(kernel) < 92681, `${kernel} ${minFree(kernel)}`);
  }
});

test("up to 5.7 a zone without pages has reserves too", () => {
  // All low memory is DMA, so Normal is empty; 256 MiB of HighMem. 65536 / 32 = 2048.
  const arm: Description = { arch: "arm", ram: GIB };
  const given = new Map([
    ["DMA", 190000],
    ["HighMem", 65536],
  ]);
  const normal = (kernel: string): readonly number[] | undefined =>
    planOf({ ...arm, kernel }, { managed: given }).nodes[0]?.zones[1]?.protection;
  assert.deepEqual(normal("5.4"), [0, 0, 2048, 2048]);
  assert.deepEqual(normal("5.10"), [0, 0, 0, 0]);
});

test("5.15: pagesets follow the low mark; the bounce pool has no areas", () => {
  const plan = planOf({ ...PC_8G, cpus: 4, kernel: "5.15" }, { managed: GIVEN });
  assert.deepEqual(plan.nodes[0]?.zones[2]?.pageset, { high: 3358, batch: 63, tunedTo: null });
  assert.equal(plan.pools.swiotlb?.areas, 1);
});

test("6.6: an empty Movable zone has marks of its own", () => {
  const movable = (kernel: string): unknown =>
    planOf({ ...PC_8G, kernel }, { managed: GIVEN }).nodes[0]?.zones[3]?.watermarks;
  assert.deepEqual(movable("6.1"), { min: 0, low: 0, high: 0, promo: null });
  assert.deepEqual(movable("6.6"), { min: 32, low: 32, high: 32, promo: null });
});

test("6.18: reserves are of what the zones hold in the end", () => {
  const machine: Description = { arch: "x86_64", ram: 4 * GIB };
  const reserves = (kernel: string): readonly number[] => {
    const plan = planOf({ ...machine, kernel });
    const [dma, dma32, normal] = plan.nodes[0]?.zones ?? [];
    const above = (dma32?.managed.pages ?? 0) + (normal?.managed.pages ?? 0);
    return [dma?.protection[2] ?? 0, Math.floor(above / 256)];
  };
  const [late, expected] = reserves("6.18");
  assert.equal(late, expected);
  // Debian's 6.12 frees its image's parts after the reserves are set.
  const [early, whole] = reserves("6.12.95+deb12-amd64");
  assert.ok((early ?? 0) < (whole ?? 0));
});

test("i386 of 2.6.39 to 4.18 has 887 MiB of low memory, of 2.6.18 and before 896", () => {
  const low = (kernel: string): number | undefined => {
    const zones = planOf({ arch: "i386", ram: 2 * GIB, kernel }).nodes[0]?.zones;
    return zones?.find(({ name }) => name === "HighMem")?.startPfn ?? undefined;
  };
  for (const kernel of ["2.6.9", "2.6.11", "2.6.18"]) assert.equal(low(kernel), 896 * 256, kernel);
  for (const kernel of ["2.6.39", "3.10", "4.9"]) assert.equal(low(kernel), 0x377fe, kernel);
});

test("2.6.39: CONFIG_VMSPLIT_2G leaves what 2 GiB of kernel leave", () => {
  const config = new Map([["CONFIG_VMSPLIT_2G", "y"]]);
  const zones = planOf({ arch: "i386", ram: 4 * GIB, kernel: "2.6.18", config }).nodes[0]?.zones;
  // 2 GiB - 128 MiB = 1920 MiB.
  assert.equal(zones?.find(({ name }) => name === "HighMem")?.startPfn, 1920 * 256);
  const none = new Map([["CONFIG_NOHIGHMEM", "y"]]);
  const cut = planOf({ arch: "i386", ram: 4 * GIB, kernel: "2.6.18", config: none });
  assert.equal(cut.nodes[0]?.zones.find(({ name }) => name === "HighMem")?.present, 0);
  assert.ok(cut.issues.some(({ message }) => /without HIGHMEM, the kernel ignores/.test(message)));
  assert.equal(cut.nodes[0]?.zones[2]?.spanned, 896 * 256 - 4096);
});

test("THP, CMA and NUMA are options of the build", () => {
  const base: Description = { arch: "arm64", ram: 2 * GIB, kernel: "6.1" };
  const plan = (config: Record<string, string>): Plan =>
    planOf({ ...base, config: new Map(Object.entries(config)) });
  assert.equal(plan({}).sysctls.minFreeKbytesFrom, "khugepaged");
  assert.equal(plan({ CONFIG_TRANSPARENT_HUGEPAGE: "n" }).sysctls.minFreeKbytesFrom, "default");
  assert.equal(plan({ CONFIG_CMA_SIZE_MBYTES: "32" }).pools.cma[0]?.bytes, 32 * MIB);
  assert.deepEqual(plan({ CONFIG_CMA: "n" }).pools.cma, []);
  assert.equal(plan({ CONFIG_ARM64_64K_PAGES: "y" }).pageSize, 65536);
});

test("5.8 to 5.13: a zone without a ratio hides its pages from the zones below", () => {
  const machine: Description = { arch: "i386-pae", ram: 2 * GIB };
  const given = new Map([
    ["DMA", 3976],
    ["Normal", 211000],
    ["HighMem", 290000],
  ]);
  const reserves = (kernel: string): unknown =>
    planOf({ ...machine, kernel }, { managed: given }).nodes[0]?.zones.map(
      ({ protection }) => protection,
    );
  // Against Movable HighMem does not count: 211000 / 256 alone, and nothing above Normal.
  assert.deepEqual(reserves("5.10.44"), [
    [0, 824, 1957, 824],
    [0, 0, 9062, 0],
    [0, 0, 0, 0],
    [0, 0, 0, 0],
  ]);
  assert.deepEqual(reserves("5.10.89"), [
    [0, 824, 1957, 1957],
    [0, 0, 9062, 9062],
    [0, 0, 0, 0],
    [0, 0, 0, 0],
  ]);
});

test("4.9: the last zone keeps the pageset of its first section where struct pages come late", () => {
  const config = new Map([["CONFIG_DEFERRED_STRUCT_PAGE_INIT", "y"]]);
  const sizes = (kernel: string): unknown =>
    planOf({ ...PC_8G, config, kernel }, { managed: GIVEN }).nodes[0]?.zones.map((zone) => [
      zone.pageset?.high,
      zone.pageset?.batch,
    ]);
  // 32768 / 1024 / 4 = 8, 12, then 7; six times that.
  assert.deepEqual(sizes("4.9"), [
    [0, 1],
    [186, 31],
    [42, 7],
    [undefined, undefined],
    [undefined, undefined],
  ]);
  assert.deepEqual(sizes("4.19.48"), [
    [0, 1],
    [378, 63],
    [42, 7],
    [undefined, undefined],
    [undefined, undefined],
  ]);
  assert.deepEqual(sizes("4.19.108"), [
    [0, 1],
    [378, 63],
    [378, 63],
    [undefined, undefined],
    [undefined, undefined],
  ]);
});
