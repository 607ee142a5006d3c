// Goal: what a running memory prints is the kernel's text with the kernel's numbers. Method: memories
// of the shapes of all captures of three eras, booted with the settings that were written there; the
// text read back and compared with the capture's zone by zone; and the boot state of a DMA zone, of
// pagetypeinfo and of the eras' forms, line by line.
import assert from "node:assert/strict";
import { test } from "node:test";
import { buddyinfoReader, writeBuddyinfo } from "../../src/formats/buddyinfo.ts";
import { pagetypeinfoReader } from "../../src/formats/pagetypeinfo.ts";
import { writePagetypeinfo } from "../../src/formats/pagetypeinfo-writer.ts";
import { type Reader, readText } from "../../src/formats/reader.ts";
import type { Zoneinfo } from "../../src/formats/zoneinfo.ts";
import { zoneinfoReader } from "../../src/formats/zoneinfo-reader.ts";
import { writeZoneinfo } from "../../src/formats/zoneinfo-writer.ts";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { type BootZone, bootMemory } from "../../src/mm/boot-memory.ts";
import { GFP_KERNEL } from "../../src/mm/gfp.ts";
import { type Memory, Z_FREE } from "../../src/mm/memory.ts";
import { buddyinfoOf, pagetypeinfoOf, zoneinfoOf } from "../../src/mm/procfs.ts";
import { corpusFiles, corpusNames } from "../support/corpus.ts";

/** The record of a text, which must be one of the kernel's without a flaw. */
function read<T>(reader: Reader<T>, text: string): T {
  const { value, issues } = readText(reader, text);
  assert.deepEqual(issues, []);
  return value;
}

/** A memory like that of a capture: every zone one range of its managed pages. */
function likeCapture(files: ReadonlyMap<string, string>, zoneinfo: Zoneinfo, dir: string): Memory {
  const setting = (name: string): string => files.get(`${dir}/vm/${name}`) ?? "";
  const release = /Linux version (\d+\.\d+)/.exec(files.get("version") ?? "")?.[1] ?? "";
  return bootMemory({
    era: release,
    cpus: zoneinfo.zones.find(({ pagesets }) => pagesets.length > 0)?.pagesets.length ?? 1,
    minFreeKbytes: Number(setting("min_free_kbytes")),
    watermarkScaleFactor: Number(setting("watermark_scale_factor")),
    lowmemReserveRatio: setting("lowmem_reserve_ratio").trim().split(/\s+/).map(Number),
    drift: true,
    zones: zoneinfo.zones.map(({ node, name, spanned, managed, startPfn }) => {
      const start = startPfn ?? 0;
      const holes = [{ start: start + (managed ?? 0), end: start + spanned }];
      return { node, name, startPfn: start, pages: spanned, holes };
    }),
  });
}

/** What a zone's record must share with the kernel's. */
function numbersOf(zone: Zoneinfo["zones"][number]): unknown {
  const { node, name, boost, min, low, high, promo, spanned, managed, protection } = zone;
  const { startPfn, counters, pagesets, tail } = zone;
  const names = [...counters.keys()].filter((key) => !key.startsWith("numa_"));
  const batches = pagesets.map(({ cpu, batch }) => ({ cpu, batch }));
  const sizes = { boost, min, low, high, promo, spanned, managed, protection };
  return { node, name, ...sizes, startPfn, names, batches, tail, cma: typeof zone.cma };
}

/** Thresholds are set in mid-boot, from fewer pages: only those that this cannot have changed count. */
function thresholdsOf(zone: Zoneinfo["zones"][number]): unknown {
  const steps = (pages: number): number => Math.ceil(Math.log2(Math.floor(pages / 2 ** 15) + 1));
  const managed = zone.managed ?? 0;
  if (steps(managed) !== steps(managed * 0.9)) return "not told";
  return zone.pagesets.map(({ statThreshold }) => statThreshold);
}

/**
 * x86-64 without Movable memory, which is kept by other rules: those of the plan. Gigantic pages are
 * counted as managed after thresholds are set.
 */
const PLAIN = /^x86_64-(5\.10|6\.1)-(?!.*(kernelcore|movablecore|hugepages1G))/;

test("text of a booted memory reads back as the kernel's numbers", () => {
  let zones = 0;
  let thresholds = 0;
  for (const name of corpusNames(PLAIN)) {
    const files = corpusFiles(name);
    const text = files.get("sysctl/reserve32/zoneinfo");
    if (text === undefined) continue;
    const truth = read(zoneinfoReader(), text);
    const m = likeCapture(files, truth, "sysctl/reserve32");
    const printed = read(zoneinfoReader(), writeZoneinfo(zoneinfoOf(m)));
    assert.deepEqual(printed.zones.map(numbersOf), truth.zones.map(numbersOf), name);
    assert.deepEqual(printed.zones.map(thresholdsOf), truth.zones.map(thresholdsOf), name);
    for (const zone of printed.zones) {
      assert.equal(zone.free, zone.managed);
      assert.equal(zone.counters.get("nr_free_pages") ?? 0, zone.free);
      if (zone.startPfn !== null && Array.isArray(thresholdsOf(zone))) thresholds++;
    }
    zones += printed.zones.length;
  }
  assert.ok(zones > 200 && thresholds > 60, `${zones} zones, ${thresholds} thresholds`);
});

// Captures of x86-64 have 3840 managed pages there, pfn 256 on, and three largest blocks.
test("buddyinfo of a DMA zone right after boot", () => {
  const m = bootMemory({
    zones: [
      { name: "DMA", startPfn: 1, pages: 4095, holes: [{ start: 1, end: 256 }] },
      { name: "DMA32", startPfn: 4096, pages: 2048 },
    ],
  });
  const rows = writeBuddyinfo(buddyinfoOf(m)).split("\n");
  assert.equal(
    rows[0],
    "Node 0, zone      DMA      0      0      0      0      0      0      0      0      1      1      3 ",
  );
  const pfn = allocPages(m, GFP_KERNEL | 1, 4);
  const own = read(buddyinfoReader(), writeBuddyinfo(buddyinfoOf(m))).zones[0]?.free;
  assert.deepEqual(own, [0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 3]);
  freePages(m, pfn, 4);
  assert.equal(writeBuddyinfo(buddyinfoOf(m)).split("\n")[0], rows[0]);
});

test("pagetypeinfo counts lists, untouched runs and pageblocks", () => {
  const m = bootMemory({
    zones: [
      { name: "DMA", startPfn: 1, pages: 4095, holes: [{ start: 1, end: 256 }] },
      { name: "DMA32", startPfn: 4096, pages: 2 ** 18 },
      { name: "Normal", startPfn: 2 ** 20, pages: 0 },
    ],
  });
  const { pageblockOrder, pagesPerBlock, free, blocks } = read(
    pagetypeinfoReader(),
    writePagetypeinfo(pagetypeinfoOf(m)),
  );
  assert.deepEqual([pageblockOrder, pagesPerBlock], [9, 512]);
  const row = (zone: string, type: string): readonly number[] | undefined =>
    free.find((one) => one.zone === zone && one.type === type)?.blocks;
  assert.deepEqual(row("DMA", "Unmovable"), [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
  assert.deepEqual(row("DMA", "Movable"), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3]);
  assert.deepEqual(row("DMA32", "Movable"), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 256]);
  // As in every capture: the pageblock that the zone does not begin is Unmovable.
  const counts = blocks.map((one) => [
    one.zone,
    one.counts.get("Unmovable"),
    one.counts.get("Movable"),
  ]);
  assert.deepEqual(counts, [
    ["DMA", 1, 7],
    ["DMA32", 0, 512],
  ]);
});

test("pageblocks: from the zone's first page on, without other zones' and without missing sections", () => {
  const counted = (zones: BootZone[]): number[] =>
    pagetypeinfoOf(bootMemory({ zones })).blocks.map(({ counts }) =>
      [...counts.values()].reduce((sum, count) => sum + count, 0),
    );
  // 0 and 512; 700, 1212 and 1724.
  const cut = [
    { name: "DMA", startPfn: 0, pages: 700 },
    { name: "Normal", startPfn: 700, pages: 1348 },
  ];
  assert.deepEqual(counted(cut), [2, 3]);
  const around = [
    { name: "DMA", startPfn: 0, pages: 4096, holes: [{ start: 1024, end: 2048 }] },
    { name: "Normal", startPfn: 1024, pages: 1024 },
  ];
  assert.deepEqual(counted(around), [6, 2]);
  const holes = [{ start: 2 ** 15, end: 2 ** 16 }];
  assert.deepEqual(counted([{ name: "Normal", startPfn: 0, pages: 2 ** 17, holes }]), [192]);
});

test("each node's zones come together, lowest first", () => {
  const m = bootMemory({
    zones: [
      { name: "DMA", node: 1, startPfn: 8192, pages: 64 },
      { name: "DMA", startPfn: 0, pages: 64 },
      { name: "Normal", node: 1, startPfn: 8256, pages: 64 },
      { name: "Normal", startPfn: 64, pages: 64 },
    ],
    cpus: 3,
    drift: true,
  });
  const order = ["0 DMA", "0 Normal", "1 DMA", "1 Normal"];
  assert.deepEqual(
    zoneinfoOf(m).zones.map(({ node, name }) => `${node} ${name}`),
    order,
  );
  assert.deepEqual(
    buddyinfoOf(m).zones.map(({ node, name }) => `${node} ${name}`),
    order,
  );
  assert.deepEqual(
    zoneinfoOf(m).zones[0]?.pagesets.map(({ cpu }) => cpu),
    [0, 1, 2],
  );
});

test("6.12 has a promo mark, 5.10 neither boost nor CMA, and free is never below 0", () => {
  const zones = [{ name: "Normal", startPfn: 0, pages: 8192 }];
  const lines = (era: string): string[] =>
    writeZoneinfo(zoneinfoOf(bootMemory({ zones, era })))
      .split("\n")
      .slice(2, 10)
      .map((line) => line.trim().split(/ +/)[0] ?? "");
  assert.deepEqual(
    lines("5.10"),
    "min low high spanned present managed protection: nr_free_pages".split(" "),
  );
  assert.deepEqual(lines("6.1"), "boost min low high spanned present managed cma".split(" "));
  assert.deepEqual(lines("6.12"), "boost min low high promo spanned present managed".split(" "));
  const m = bootMemory({ zones });
  m.zone[Z_FREE] = -3;
  assert.deepEqual(
    [zoneinfoOf(m).zones[0]?.free, zoneinfoOf(m).zones[0]?.counters.get("nr_free_pages")],
    [0, 0],
  );
});

/** A line without its numbers, so that widths show; of what the engine counts only. */
function shapes(text: string): string[] {
  const lines = text.split("\n").filter((line) => !/^ +(numa_|nr_unaccepted)/.test(line));
  return lines.map((line) => {
    const labels = line.replace(/^(Node \d+, zone +\S+).*/, "$1").replace(/(protection:) .*/, "$1");
    return labels.replace(/(?<=[ :]) *\d+$/, (number) => number.replace(/\S+/, "#"));
  });
}

/** Zoneinfo as printed without the node's counters, which are between a heading and `pages free`. */
function withoutNodeStats(text: string): string {
  return text.replace(/\n {2}per-node stats\n[\s\S]*?(?=\n {2}pages free)/g, "");
}

test("line by line the text is that of each captured kernel, on every architecture", () => {
  const seen = new Map<string, number>();
  for (const name of corpusNames()) {
    const files = corpusFiles(name);
    const text = files.get("zoneinfo");
    const types = files.get("pagetypeinfo");
    const rows = files.get("buddyinfo");
    if (text === undefined || types === undefined || rows === undefined) continue;
    const release = /Linux version (\d+\.\d+)/.exec(files.get("version") ?? "")?.[1] ?? "";
    const truth = read(zoneinfoReader(), text);
    const zones = truth.zones.map(({ node, name, spanned, managed, startPfn }): BootZone => {
      const start = startPfn ?? 0;
      const holes = [{ start: start + (managed ?? 0), end: start + spanned }];
      return { node, name, startPfn: start, pages: spanned, holes };
    });
    const cpus = Math.max(...truth.zones.map(({ pagesets }) => pagesets.length));
    const drift = truth.zones.some((zone) => zone.pagesets[0]?.statThreshold !== undefined);
    const { pageblockOrder, free } = read(pagetypeinfoReader(), types);
    const maxOrder = (free[0]?.blocks.length ?? 11) - 1;
    const shape = { pageblockOrder: pageblockOrder ?? 9, maxOrder, cma: types.includes(" CMA ") };
    const m = bootMemory({ era: release, cpus, drift, zones, ...shape });
    const printed = writeZoneinfo(zoneinfoOf(m));
    // A node without memory has a heading for each zone, and no frames here.
    assert.deepEqual(shapes(printed), shapes(withoutNodeStats(text)), name);
    assert.deepEqual(shapes(writeBuddyinfo(buddyinfoOf(m))), shapes(rows), name);
    const heads = (of: string): string[] =>
      of.split("\n").map((line) => line.replace(/^(Node +\d+, zone +\w+(, type +\w+)?).*/, "$1"));
    assert.deepEqual(heads(writePagetypeinfo(pagetypeinfoOf(m))), heads(types), name);
    seen.set(release, (seen.get(release) ?? 0) + 1);
  }
  assert.deepEqual([...seen.keys()].sort(), ["5.10", "6.1", "6.12"]);
  assert.ok(
    [...seen.values()].every((files) => files >= 10),
    [...seen].join(" "),
  );
});

/** What a zone of one CPU prints in an era, from `pages free` on, without numbers and indentation. */
function zoneLabels(era: string): string[] {
  const zones = [{ name: "Normal", startPfn: 0, pages: 2 ** 20 }];
  const text = writeZoneinfo(zoneinfoOf(bootMemory({ zones, era, drift: true, cpus: 2 })));
  const own = text.split("\n").slice(1, -1);
  return own.map((line) =>
    line
      .replace(/(protection:).*/, "$1")
      .replace(/ +\d+$/, "")
      .trim(),
  );
}

const SETS = ["pagesets", "cpu:", "count:", "high:", "batch:", "vm stats threshold:"];
const TWO_SETS = [...SETS, ...SETS.slice(1)];
const SIZES = ["pages free", "min", "low", "high"];
const ENDS = ["spanned", "present", "managed"];

// Orders and names as public dumps of these kernels show them.
test("the lines of kernels without captures: 2.6.39 to 4.9", () => {
  const counters = (later: string[]): string[] => [
    ..."nr_free_pages nr_inactive_anon nr_active_anon nr_inactive_file nr_active_file".split(" "),
    ..."nr_unevictable nr_mlock nr_anon_pages nr_mapped nr_file_pages nr_dirty".split(" "),
    ..."nr_writeback nr_slab_reclaimable nr_slab_unreclaimable nr_page_table_pages".split(" "),
    ..."nr_kernel_stack nr_unstable nr_bounce nr_vmscan_write".split(" "),
    ...later,
  ];
  const late = "nr_writeback_temp nr_isolated_anon nr_isolated_file nr_shmem nr_dirtied nr_written";
  const tail = ["all_unreclaimable:", "start_pfn:", "inactive_ratio:"];
  const thp = "nr_anon_transparent_hugepages";
  assert.deepEqual(zoneLabels("2.6.39"), [
    ...[...SIZES, "scanned", "spanned", "present"],
    ...counters([...late.split(" "), thp]),
    ...["protection:", ...TWO_SETS, ...tail],
  ]);
  assert.deepEqual(zoneLabels("3.10"), [
    ...[...SIZES, "scanned", ...ENDS],
    ...counters(["nr_vmscan_immediate_reclaim", ...late.split(" "), thp, "nr_free_cma"]),
    ...["protection:", ...TWO_SETS, ...tail],
  ]);
  const lru = "nr_free_pages nr_zone_inactive_anon nr_zone_active_anon nr_zone_inactive_file";
  const more = "nr_zone_active_file nr_zone_unevictable nr_zone_write_pending nr_mlock";
  const rest = "nr_page_table_pages nr_kernel_stack nr_bounce nr_zspages nr_free_cma".split(" ");
  assert.deepEqual(zoneLabels("4.9"), [
    ...[...SIZES, "node_scanned", ...ENDS, ...lru.split(" "), ...more.split(" ")],
    ...["nr_slab_reclaimable", "nr_slab_unreclaimable", ...rest, "protection:", ...TWO_SETS],
    ...["node_unreclaimable:", "start_pfn:", "node_inactive_ratio:"],
  ]);
  const since = ["node_unreclaimable:", "start_pfn:"];
  for (const era of ["4.19", "5.4"]) {
    const heads = [...SIZES, ...ENDS, "protection:", ...lru.split(" "), ...more.split(" ")];
    assert.deepEqual(zoneLabels(era), [...heads, ...rest, ...TWO_SETS, ...since], era);
  }
  const late515 = ["nr_bounce", "nr_zspages", "nr_free_cma"];
  assert.deepEqual(zoneLabels("5.15"), [
    ...[...SIZES, ...ENDS, "cma", "protection:", ...lru.split(" "), ...more.split(" ")],
    ...[...late515, ...TWO_SETS, ...since],
  ]);
  const of618 = zoneLabels("6.18");
  assert.deepEqual(of618.slice(0, 13), [
    ...["pages free", "boost", "min", "low", "high", "promo", ...ENDS, "cma", "protection:"],
    ...["nr_free_pages", "nr_free_pages_blocks"],
  ]);
  assert.ok(!of618.includes("nr_bounce"));
  assert.deepEqual(of618.slice(-9, -2), [
    ...SETS.slice(1, 5),
    "high_min:",
    "high_max:",
    "vm stats threshold:",
  ]);
});

test("old text: blanks, empty zones, the ratio of a large zone, Reserve's row", () => {
  const zones = [
    { name: "Normal", startPfn: 0, pages: 2 ** 20 },
    { name: "Movable", startPfn: 0, pages: 0 },
  ];
  const of = (era: string): string => writeZoneinfo(zoneinfoOf(bootMemory({ zones, era })));
  for (const era of ["2.6.39", "3.10"]) {
    assert.match(of(era), /\n {4}nr_free_pages \d+\n/);
    // 4 GiB: the root of 40.
    assert.match(
      of(era),
      / {2}all_unreclaimable: 0\n {2}start_pfn: {9}0\n {2}inactive_ratio: {4}6\n/,
    );
  }
  assert.match(of("4.9"), /\n {3}node_scanned {2}0\n/);
  assert.match(of("4.9"), /\n {6}nr_free_pages \d+\n/);
  const headings = (era: string): number => of(era).match(/^Node/gm)?.length ?? 0;
  assert.deepEqual(["2.6.39", "3.10", "4.9", "4.19", "6.18"].map(headings), [1, 1, 1, 2, 2]);
  assert.match(of("6.18"), /\n {14}count: {4}\d+\n/);
  const typesOf = (era: string): string[] => [
    ...new Set(pagetypeinfoOf(bootMemory({ zones, era })).free.map(({ type }) => type)),
  ];
  const old = ["Unmovable", "Reclaimable", "Movable", "Reserve", "Isolate"];
  assert.deepEqual(typesOf("2.6.39"), old);
  assert.deepEqual(typesOf("3.10"), old);
  const since = ["Unmovable", "Movable", "Reclaimable", "HighAtomic", "Isolate"];
  assert.deepEqual(typesOf("4.9"), since);
});

test("whole pageblocks that are free are counted since 6.18", () => {
  const m = bootMemory({ era: "6.18", zones: [{ name: "Normal", startPfn: 0, pages: 4096 }] });
  const whole = (): number | undefined =>
    zoneinfoOf(m).zones[0]?.counters.get("nr_free_pages_blocks");
  assert.equal(whole(), 4096);
  const pfn = allocPages(m, GFP_KERNEL, 0);
  assert.equal(whole(), 4096 - 512);
  freePages(m, pfn, 0);
});

test("lists and buddyinfo tell the same blocks after any traffic", () => {
  const m = bootMemory({ zones: [{ name: "Normal", startPfn: 3, pages: 9000 }], minFreeKbytes: 0 });
  const taken: number[] = [];
  for (let i = 0; i < 4000; i++) taken.push(allocPages(m, GFP_KERNEL | ((i % 3) << 3), 0));
  for (const pfn of taken) if (pfn % 5 !== 0) freePages(m, pfn, 0);
  const sums = Array.from({ length: 11 }, (_, order) =>
    pagetypeinfoOf(m).free.reduce((sum, { blocks }) => sum + (blocks[order] ?? 0), 0),
  );
  assert.deepEqual(sums, [...(buddyinfoOf(m).zones[0]?.free ?? [])]);
  const total = sums.reduce((sum, blocks, order) => sum + blocks * 2 ** order, 0);
  assert.equal(total, zoneinfoOf(m).zones[0]?.free);
});

test("a list of 100000 blocks or more is counted no further", () => {
  const m = bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages: 2 ** 17 * 1024 }] });
  const row = pagetypeinfoOf(m).free.find(({ type }) => type === "Movable");
  assert.deepEqual([row?.blocks[10], row?.capped], [100000, [10]]);
  assert.match(writePagetypeinfo(pagetypeinfoOf(m)), />100000 $/m);
});

test("2.6 prints no empty zones, no managed pages, and protection last", () => {
  const m = bootMemory({
    era: "2.6",
    minFreeKbytes: 0,
    zones: [
      { name: "DMA", startPfn: 0, pages: 4096 },
      { name: "Normal", startPfn: 4096, pages: 40960 },
      { name: "HighMem", startPfn: 45056, pages: 0 },
    ],
  });
  const taken = [0, 1, 2].map(() => allocPages(m, 0xd0, 0));
  for (const pfn of taken.slice(1)) freePages(m, pfn, 0);
  const text = writeZoneinfo(zoneinfoOf(m));
  assert.equal(
    text.slice(text.indexOf("Node 0, zone   Normal")),
    `Node 0, zone   Normal
  pages free     40953
        min      0
        low      0
        high     0
        active   0
        inactive 0
        scanned  0 (a: 0 i: 0)
        spanned  40960
        present  40960
        protection: (0, 0, 0)
  pagesets
    cpu: 0 pcp: 0
              count: 6
              high:  42
              batch: 7
  all_unreclaimable: 0
  prev_priority:     12
  temp_priority:     12
  start_pfn:         4096
`,
  );
  assert.deepEqual(pagetypeinfoOf(m).free, []);
});

test("pagetypeinfo of every capture is written back byte for byte", () => {
  let files = 0;
  for (const name of corpusNames()) {
    const text = corpusFiles(name).get("pagetypeinfo");
    if (text === undefined) continue;
    assert.equal(writePagetypeinfo(readText(pagetypeinfoReader(), text).value), text, name);
    files++;
  }
  assert.ok(files > 100);
});
