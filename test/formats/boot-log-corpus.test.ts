// Goal: the reader takes from real boot logs what their kernels printed, all of it and nothing
// else. Method: every capture's dmesg; counts that must hold for each kernel, values written out
// by hand from the files, and memblock's own arithmetic from one of its dumps to the next.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { intersect, type Range, rangeList, subtract, totalLength } from "../../src/base/range.ts";
import type { BootLog } from "../../src/formats/boot-log.ts";
import { bootLogReader } from "../../src/formats/boot-log-reader.ts";
import { readText } from "../../src/formats/reader.ts";
import { corpusFiles, corpusNames } from "../support/corpus.ts";

const texts = new Map(corpusNames().map((name) => [name, corpusFiles(name).get("dmesg") ?? ""]));
const outcomes = new Map(
  [...texts].map(([name, text]) => [name, readText(bootLogReader(), text)] as const),
);

function log(name: string): BootLog {
  const outcome = outcomes.get(name);
  assert.ok(outcome, name);
  return outcome.value;
}

describe("every capture", () => {
  test("is read without trouble; arm64 buffers wrapped unless small", () => {
    for (const [name, { value, issues }] of outcomes) {
      const messages = issues.map((issue) => issue.message);
      assert.equal(messages.length, value.headless ? 1 : 0, `${name}: ${messages}`);
      if (value.headless) assert.match(name, /arm64/);
      assert.equal(value.headless, !texts.get(name)?.includes("Linux version "), name);
    }
  });

  test("has as many of each line as grep counts", () => {
    const patterns: readonly [RegExp, (value: BootLog) => number][] = [
      [/\] BIOS-e820: /g, (value) => value.e820.length],
      [/\] user: /g, (value) => value.userMap.length],
      [/\] e820: (?:update|remove) /g, (value) => value.e820Edits.length],
      [/SRAT: Node /g, (value) => value.sratRanges.length],
      [/ -> APIC /g, (value) => value.sratCpus.length],
      [/Faking node /g, (value) => value.fakeNodes.length],
      [/NODE_DATA.*\[mem /g, (value) => value.nodeData.length],
      [/ memblock_reserve: /g, (value) => events(value, "reserve")],
      [/ memblock_add: /g, (value) => events(value, "add")],
      [/ memblock_remove: /g, (value) => events(value, "remove")],
      [/ memblock_(?:phys_)?free: /g, (value) => events(value, "free")],
      [/ memblock_(?:phys_)?alloc_\w+: /g, (value) => events(value, "alloc")],
      [/MEMBLOCK configuration/g, (value) => events(value, "dump")],
      [
        / {3}(?:DMA|DMA32|Normal|HighMem|Movable|Device) +(?:empty|\[mem)/g,
        (value) => value.zoneRanges?.length ?? 0,
      ],
      [/ {3}Node \d: 0x/g, (value) => value.movableStarts.length],
      [/ {3}node +\d+: /g, (value) => value.nodeRanges.length],
      [/\] Initmem setup node/g, (value) => value.nodeSpans.length],
      [/pages in unavailable ranges/g, (value) => value.unavailable.length],
      [/LIFO batch/g, (value) => value.zonePages.length],
      [/\] (?:efi: )?Freeing .* memory: /g, (value) => value.freed.length],
      [/\] cma: Reserved/g, (value) => value.cma.length],
      [/HugeTLB:? registered/g, (value) => value.hugePages.length],
      [
        /memory at \d+MB for crashkernel|\] crashkernel (?:low memory )?reserved:/g,
        (value) => value.crashkernel.length,
      ],
      [/Fallback order/g, (value) => value.fallbackOrders.length],
      [/deferred pages initialised/g, (value) => value.deferredInit.length],
      [/DMA: preallocated/g, (value) => value.atomicPools.length],
      [/\.{4} node /g, (value) => value.startedCpus.length],
    ];
    for (const [name, { value }] of outcomes) {
      const text = texts.get(name) ?? "";
      for (const [pattern, count] of patterns) {
        assert.equal(count(value), [...text.matchAll(pattern)].length, `${name} ${pattern}`);
      }
      assert.equal(value.lines, text.split("\n").length - 1, name);
      assert.ok(value.memory && value.zonelists && value.broughtUp && value.percpuPages, name);
    }
  });

  test("has zones that hold the nodes' memory, and the Memory: line's total", () => {
    for (const [name, { value }] of outcomes) {
      const zones = rangeList(value.zoneRanges ?? []);
      const memory = rangeList(value.nodeRanges);
      // highmem= leaves memory without a zone.
      const limited = / highmem=/.test(value.commandLine ?? "");
      assert.equal(subtract(memory, zones).length > 0, limited, name);
      const pages = intersect(memory, zones).map(({ start, end }) => ({
        start: Math.ceil(start / 4096),
        end: Math.floor(end / 4096),
      }));
      assert.equal(totalLength(pages) * 4, value.memory?.totalKib, name);
    }
  });

  test("replays from each memblock dump to the next", () => {
    let replayed = 0;
    for (const [name, { value }] of outcomes) {
      let reserved: Range[] | null = null;
      let memory: Range[] = [];
      for (const event of value.memblock) {
        if (event.kind === "dump") {
          assert.ok(event.complete, name);
          if (reserved !== null) {
            assert.deepEqual(
              rangeList(event.reserved).map(plain),
              reserved,
              `${name}:${event.line}`,
            );
            assert.deepEqual(rangeList(event.memory).map(plain), memory, `${name}:${event.line}`);
            replayed++;
          }
          reserved = rangeList(event.reserved).map(plain);
          memory = rangeList(event.memory).map(plain);
        } else if (reserved !== null && event.kind === "reserve") {
          reserved = rangeList([...reserved, plain(event)]);
        } else if (reserved !== null && event.kind === "free") {
          reserved = subtract(reserved, rangeList([plain(event)]));
        } else if (event.kind === "add") memory = rangeList([...memory, plain(event)]);
        else if (event.kind === "remove") memory = subtract(memory, rangeList([plain(event)]));
      }
    }
    assert.equal(replayed, 134);
  });
});

function events(value: BootLog, kind: string): number {
  return value.memblock.filter((event) => event.kind === kind).length;
}

function plain({ start, end }: Range): Range {
  return { start, end };
}

describe("values written out from the files", () => {
  test("x86_64 6.12, 4 GiB", () => {
    const value = log("x86_64-6.12-4G");
    assert.match(value.version ?? "", /^Linux version 6\.12\.95\+deb12-amd64 \(debian-kernel@/);
    assert.match(value.commandLine ?? "", /^console=ttyS0 .* memblock=debug$/);
    assert.equal(value.e820.length, 8);
    assert.deepEqual(value.e820[3], { start: 0x100000, end: 0xbffdd000, type: "usable" });
    assert.deepEqual(value.e820Edits, [
      { line: 20, start: 0, end: 0x1000, from: "usable", to: "reserved" },
      { line: 21, start: 0xa0000, end: 0x100000, from: "usable", to: null },
    ]);
    assert.deepEqual(value.zoneRanges, [
      { name: "DMA", start: 0x1000, end: 0x1000000 },
      { name: "DMA32", start: 0x1000000, end: 0x100000000 },
      { name: "Normal", start: 0x100000000, end: 0x140000000 },
      { name: "Device", start: 0, end: 0 },
    ]);
    assert.deepEqual(value.ramdisk, { start: 0xbfece000, end: 0xbffd0000 });
    assert.deepEqual(value.nodeData, [{ node: 0, start: 0x13fb52680, end: 0x13fb7d000 }]);
    assert.deepEqual(value.swiotlb, {
      mapped: { start: 0xbbece000, end: 0xbfece000 },
      areas: 1,
      adjustedBytes: null,
      announced: true,
      failure: null,
    });
    assert.equal(value.memory?.availableKib, 4000400);
    assert.equal(value.memory?.totalKib, 4193772);
    assert.equal(value.memory?.rodataKib, 11700);
    assert.equal(value.memory?.reservedKib, 189852);
    assert.deepEqual(
      value.freed.map(({ what, kib }) => [what, kib]),
      [
        ["SMP alternatives", 40],
        ["initrd", 1032],
        ["unused decrypted", 2028],
        ["unused kernel image (initmem)", 4252],
        ["unused kernel image (rodata/data gap)", 588],
      ],
    );
    assert.deepEqual(value.zonelists, { count: 1, mobility: true, totalPages: 1048443 });
    assert.equal(value.possibleCpus, 1);
    assert.equal(value.percpuPages, 66);
    assert.equal(value.percpuUnit?.unitBytes, 2097152);
    assert.equal(value.lastPfn, 0x140000);
    assert.deepEqual(value.unavailable.at(-1), { node: 0, zone: "Normal", pages: 35 });
    assert.deepEqual(value.hashTables[0], {
      name: "Dentry cache",
      entries: 524288,
      bytes: 4194304,
      how: "linear",
    });
  });

  test("a memblock dump, with nodes and flags", () => {
    const dumps = log("x86_64-6.12-4G").memblock.filter((event) => event.kind === "dump");
    assert.equal(dumps.length, 2);
    const last = dumps[1];
    assert.deepEqual(last?.memory[2], { start: 0x100000000, end: 0x140000000, node: 0, flags: 0 });
    assert.equal(last?.reserved.length, 7);
    assert.deepEqual(last?.reserved[4], { start: 0xbffe0000, end: 0xbffe1a7d, node: 0, flags: 0 });
    assert.deepEqual(last?.reserved[5], {
      start: 0x13fb52680,
      end: 0x13fb7d000,
      node: null,
      flags: 0,
    });
  });

  test("x86_64 5.10: pages of each zone", () => {
    assert.deepEqual(log("x86_64-5.10-4G").zonePages, [
      { node: 0, zone: "DMA", pages: 3998, memmapPages: 64, reservedPages: 21, batch: 0 },
      { node: 0, zone: "DMA32", pages: 782301, memmapPages: 12224, reservedPages: 0, batch: 63 },
      { node: 0, zone: "Normal", pages: 262144, memmapPages: 4096, reservedPages: 0, batch: 63 },
    ]);
  });

  test("i386 with PAE: high memory and a moved initrd", () => {
    const value = log("i386pae-6.1-8G");
    assert.equal(value.highmemMib, 8336);
    assert.equal(value.lowmemMib, 879);
    assert.equal(value.lowRamEnd, 0x36ffe000);
    assert.deepEqual(value.ramdisk, { start: 0x7feee000, end: 0x80000000 });
    assert.deepEqual(value.ramdiskMoved, { start: 0x36acc000, end: 0x36bddbd0 });
    assert.equal(value.memory?.highmemKib, 7487356);
    assert.deepEqual(value.percpuUnit, {
      staticBytes: 104276,
      reservedBytes: 0,
      dynamicBytes: 30892,
      unitBytes: 135168,
    });
    const empty = value.memblock.find(
      (event) => event.kind === "free" && event.start === 0x310c9000,
    );
    assert.deepEqual(empty && "end" in empty && empty.end, 0x310c9000);
  });

  test("arm: CMA and the memory policy; 32-bit wide addresses", () => {
    const value = log("armlpae-6.1-1G-cma64M");
    assert.deepEqual(value.cma, [{ line: 15, start: 0x7c000000, end: 0x80000000, node: null }]);
    assert.equal(value.memory?.cmaReservedKib, 65536);
    assert.equal(value.memoryPolicy, "Data cache writealloc");
    assert.equal(value.machine, "linux,dummy-virt");
    const narrow = log("arm-6.1-256M").memblock.find((event) => event.kind === "alloc");
    assert.deepEqual(narrow && { ...narrow, line: 0 }, {
      kind: "alloc",
      line: 0,
      bytes: 40,
      align: 4,
      node: null,
      from: 0,
      maxAddress: 0,
      caller: "iotable_init",
    });
  });

  test("NUMA: affinity, made-up nodes, a node without memory, Movable", () => {
    const two = log("x86_64-6.1-numa2-2G+2G");
    assert.deepEqual(two.sratCpus, [
      { apic: 0, node: 0 },
      { apic: 1, node: 1 },
    ]);
    assert.deepEqual(two.sratRanges[3], {
      node: 1,
      start: 0x100000000,
      end: 0x140000000,
      hotplug: false,
    });
    assert.deepEqual(two.fallbackOrders, [
      { node: 0, order: [0, 1] },
      { node: 1, order: [1, 0] },
    ]);
    assert.deepEqual(two.percpuGroups, [
      { group: 0, cpus: [0] },
      { group: 1, cpus: [1] },
    ]);
    assert.deepEqual(two.startedCpus, [{ node: 1, cpus: [1] }]);
    assert.deepEqual(two.broughtUp, { nodes: 2, cpus: 2 });
    const fake = log("x86_64-6.1-4G-numa_fake4");
    assert.deepEqual(fake.fakeNodes[2], { node: 2, start: 0x80000000, end: 0x100000000 });
    assert.deepEqual(fake.fallbackOrders[1], { node: 1, order: [1, 2, 3, 0] });
    const bare = log("arm64-6.1-numa2-memoryless1");
    assert.deepEqual(bare.nodeSpans[0], { node: 1, start: 0, end: 0 });
    assert.deepEqual(bare.nodeData[1], { node: 1, start: 0xbfbeb700, end: 0xbfbee380 });
    const movable = log("x86_64-6.1-numa2-movablecore1G");
    assert.deepEqual(movable.movableStarts, [{ node: 1, address: 0x100000000 }]);
  });

  test("parameters: mem=, crashkernel=, hugepages=", () => {
    const limited = log("x86_64-6.1-4G-mem1G");
    assert.deepEqual(limited.e820Edits[0], {
      line: limited.e820Edits[0]?.line,
      start: 0x40000000,
      end: Number.MAX_SAFE_INTEGER,
      from: "usable",
      to: null,
    });
    assert.deepEqual(limited.userMap[3], { start: 0x100000, end: 0x40000000, type: "usable" });
    const crash = log("x86_64-6.1-1G-crashkernel64M@32M").crashkernel;
    assert.deepEqual(crash.map(plain), [{ start: 0x4000000, end: 0x8000000 }]);
    const huge = log("x86_64-6.1-512M-hugepages64").hugePages;
    assert.deepEqual(
      huge.map(({ pageBytes, count }) => [pageBytes, count]),
      [[2097152, 64]],
    );
  });
});
