// Goal: a report is read the same whatever carried it to us, every number keeps its line, and no
// text breaks the reader. Method: the lab's own reports, synthetic ones in the kernel's form through
// every carrier and cut into chunks at random, and mutations of both.
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import {
  bareLine,
  type FailureMessage,
  FailureReader,
  type MemoryReport,
  readFailures,
  timeOf,
} from "../../src/formats/index.ts";
import { bounded } from "../support/bounded.ts";
import { blocksOf, CARRIERS, failureHeader, reportLines } from "../support/reports.ts";

const LAB = gunzipSync(
  readFileSync(new URL("../explain/fixtures/i-oom-256M.dmesg.gz", import.meta.url)),
).toString();

interface Found {
  readonly reports: MemoryReport[];
  readonly messages: FailureMessage[];
}

function read(text: string, sizes: readonly number[] = []): Found {
  const found: Found = { reports: [], messages: [] };
  const sink = {
    report: (report: MemoryReport) => void found.reports.push(report),
    message: (message: FailureMessage) => void found.messages.push(message),
  };
  if (sizes.length === 0) {
    readFailures(text, sink);
    return found;
  }
  const reader = new FailureReader(sink);
  let at = 0;
  for (let i = 0; at < text.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    reader.push(text.slice(at, at + size));
    at += size;
  }
  reader.end();
  return found;
}

const REPORT = reportLines({
  header: failureHeader(4, "0x40cc0(GFP_KERNEL|__GFP_COMP)", "kworker/0:1"),
  zones: [
    {
      name: "DMA",
      free: 15360,
      min: 120,
      boost: 0,
      managed: 15360,
      highatomic: 0,
      freeCma: 0,
      reserve: [0, 188, 188, 188],
      blocks: blocksOf({ 8: 1, 9: 1, 10: 3 }, "M"),
    },
    {
      name: "DMA32",
      free: 20480,
      min: 948,
      boost: 0,
      managed: 193072,
      highatomic: 0,
      freeCma: 400,
      reserve: [0, 0, 0, 0],
      blocks: blocksOf({ 0: 2060, 1: 280, 2: 500 }, "UMEC"),
    },
  ],
});

/** Without lines and times, which the carrier changes. */
function bare({ reports }: Found): unknown {
  return reports.map((report) => ({
    comm: report.comm,
    order: report.order?.value,
    gfp: [report.gfp?.bits, report.gfp?.names],
    release: [report.release, report.upstream],
    mems: report.memsAllowed,
    frames: report.frames,
    counters: [...report.counters].map(([name, { value }]) => [name, value]),
    ram: report.ram?.value,
    zones: report.zones.map((zone) => [
      zone.node,
      zone.name,
      [...zone.fields].map(([name, { value }]) => [name, value]),
      zone.protection?.map(({ value }) => value),
      zone.freeList?.blocks,
      zone.freeList?.sum?.value,
      zone.freeList?.complete,
    ]),
  }));
}

describe("the reports of the lab's kernel", () => {
  const { reports } = read(LAB);

  test("are four, with their requests", () => {
    deepEqual(
      reports.map(({ kind, comm, order, gfp }) => [kind, comm, order?.value, gfp?.names ?? null]),
      [
        ["oom", "hog", 0, "GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO"],
        ["oom", "dd", 0, "GFP_HIGHUSER_MOVABLE|__GFP_COMP"],
        ["mem-info", null, undefined, null],
        ["oom", "kworker/0:2", -1, "GFP_KERNEL"],
      ],
    );
  });

  test("have every number of the zones, on its line", () => {
    const lines = LAB.split("\n");
    let numbers = 0;
    for (const report of reports) {
      equal(report.zones.length, 2);
      for (const zone of report.zones) {
        ok(zone.freeList?.complete);
        for (const [name, { value, line }] of zone.fields) {
          ok(lines[line - 1]?.includes(`${name}:${value}`), `${name} on line ${line}`);
          numbers++;
        }
      }
    }
    ok(numbers > 140);
  });

  test("name the kernel, the killer's constraint and its victim", () => {
    const [first] = reports;
    deepEqual([first?.release, first?.upstream], ["6.1.0-50-amd64", "6.1.176"]);
    deepEqual([first?.oom?.constraint, first?.oom?.victim], ["CONSTRAINT_NONE", "hog"]);
    equal(reports[3]?.oom?.noVictim, true);
  });
});

describe("a report", () => {
  const expected = bare(read(REPORT.join("\n")));

  for (const [name, carry] of Object.entries(CARRIERS)) {
    test(`is the same when ${name}`, () => {
      const text = carry(["systemd[1]: Started.", ...REPORT, "eth0: link up"]).join("\n");
      deepEqual(bare(read(text)), expected);
    });
  }

  test("is the same in chunks of any size", () => {
    const text = `${LAB}\n${REPORT.join("\n")}`;
    const whole = read(text);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1 }), (sizes) => {
        deepEqual(read(text, sizes), whole);
      }),
      { numRuns: 30 },
    );
  });

  test("of 2.6 has a dot, no node and no letters", () => {
    const { reports } = read(
      [
        "swapper: page allocation failure. order:1, mode:0x20",
        "Pid: 0, comm: swapper Not tainted 2.6.32-5-amd64 #1",
        "Mem-Info:",
        "DMA free:1936kB min:40kB low:48kB high:60kB active:0kB present:15164kB pages_scanned:0 all_unreclaimable? yes",
        "lowmem_reserve[]: 0 994 994 994",
        "DMA: 0*4kB 2*8kB 0*16kB 0*32kB 0*64kB 1*128kB 1*256kB 1*512kB 1*1024kB 0*2048kB 0*4096kB = 1936kB",
      ].join("\n"),
    );
    const [report] = reports;
    deepEqual([report?.comm, report?.order?.value, report?.gfp?.bits], ["swapper", 1, 0x20]);
    equal(report?.zones[0]?.allUnreclaimable, true);
    equal(report?.zones[0]?.freeList?.blocks[1]?.types, null);
    equal(report?.zones[0]?.freeList?.complete, true);
  });

  test("whose list is cut does not take the next zone's", () => {
    const cut = REPORT.map((line) =>
      line.startsWith("Node 0 DMA: ") ? line.slice(0, line.indexOf(" 0*32kB")) : line,
    );
    const { reports } = read(cut.join("\n"));
    const list = reports[0]?.zones[0]?.freeList;
    deepEqual([list?.blocks.length, list?.sum, list?.complete], [3, null, false]);
    equal(reports[0]?.zones[1]?.freeList?.complete, true);
  });
});

describe("a line", () => {
  const cases: readonly (readonly [string, string, string | null])[] = [
    ["<4>[    1.500000] a b", "a b", "1.500000"],
    [">> [    1.500000][    T1] a", "a", "1.500000"],
    ["Nov  3 10:00:00 host kernel: [    1.500000] a", "a", "1.500000"],
    ["Nov  3 10:00:00 host kernel: : a", "a", "Nov  3 10:00:00"],
    ["[Tue Nov  3 10:00:00 2026] a", "a", "Nov  3 10:00:00 2026"],
    ["root@board:~# [  218.861212] a: b", "a: b", "218.861212"],
    ["  1.500000] a", "a", "1.500000"],
    ["", "", null],
  ];
  for (const [raw, text, time] of cases) {
    test(JSON.stringify(raw), () => {
      const bare = bareLine(raw);
      deepEqual([bare.text, timeOf(bare.stamp)], [text, time]);
    });
  }
});

describe("sentences", () => {
  const only = (text: string): FailureMessage | undefined => read(text).messages[0];

  test("of a full pool, in each era's words, also broken", () => {
    const words = [
      "xhci_hcd 0000:0a:00.0: swiotlb buffer is full (sz: 8192 bytes), total 32768 (slots), used 16 (slots)",
      "xhci_hcd 0000:0a:00.0: swiotlb buffer is full (sz: 8192 bytes), total 32768\n(slots), used 16 (slots)",
      "[1.000000] xhci_hcd 0000:0a:00.0: swiotlb buffer\nis full (sz: 8192 bytes), total 32768 (slots), used 16",
    ];
    for (const word of words) {
      const message = only(`a\n${word}\nb`);
      ok(message?.kind === "swiotlb-full");
      deepEqual(
        [message.device, message.size, message.total, message.used, message.line],
        ["xhci_hcd 0000:0a:00.0", 8192, 32768, 16, 2],
      );
    }
    const old = only("DMA: Out of SW-IOMMU space for 65536 bytes at device 0000:00:1f.2");
    ok(old?.kind === "swiotlb-full");
    deepEqual([old.device, old.size, old.total], ["0000:00:1f.2", 65536, null]);
  });

  test("of a mask: the buffer's address or the slot's", () => {
    const old = only("usb: overflow 0x000000067430b000+1003520 of DMA mask ffffffff bus mask 0");
    ok(old?.kind === "dma-overflow");
    deepEqual(
      [old.of, old.address, old.mask, old.limit],
      ["buffer", 0x67430b000n, 0xffffffffn, 0n],
    );
    const slot = only("e: swiotlb addr 0x1f0000000+1514 overflow (mask ffffffff, bus limit 0).");
    ok(slot?.kind === "dma-overflow");
    equal(slot.of, "bounce-slot");
  });

  test("of CMA, with the bitmap on the lines behind", () => {
    const message = only(
      "cma: cma_alloc: linux,cma: alloc failed, req-size: 148 pages, ret: -16\ncma: number of available pages: 1@3+12@40+\n7276@4096=> 7289 free of 16384 total pages\nx",
    );
    ok(message?.kind === "cma-alloc-failed");
    deepEqual(
      [message.pages, message.error, message.longestRun, message.free, message.total],
      [148, -16, 7276, 7289, 16384],
    );
  });

  test("of the DMA API: the mistake, the device of either era, the facts", () => {
    const now = only(
      "DMA-API: fec 2188000.ethernet: device driver frees DMA memory with different size [device address=0x000000004781a020] [map size=2048 bytes] [unmap size=64 bytes]",
    );
    ok(now?.kind === "dma-api");
    deepEqual([now.mistake, now.device], ["different-size", "fec 2188000.ethernet"]);
    deepEqual([...now.facts.keys()], ["device address", "map size", "unmap size"]);
    const old = only(
      "NULL NULL: DMA-API: device driver tries to free DMA memory it has not allocated",
    );
    ok(old?.kind === "dma-api");
    deepEqual([old.mistake, old.device], ["free-not-allocated", null]);
  });

  test("of IOMMUs", () => {
    const amd = only(
      "ahci 0000:63:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0042 address=0xfff9b300 flags=0x0020]",
    );
    ok(amd?.kind === "iommu-fault");
    deepEqual([amd.vendor, amd.access, amd.code], ["amd", "write", 0x20]);
    const intel = only(
      "DMAR: [DMA Read NO_PASID] Request device [0b:00.0]\nfault addr 0xffffe000 [fault reason 0x06] PTE Read access is not set",
    );
    ok(intel?.kind === "iommu-fault");
    deepEqual([intel.device, intel.code, intel.access, intel.line], ["0b:00.0", 6, "read", 1]);
  });

  test("are not found in what only looks like one", () => {
    deepEqual(read("swiotlb is fine\nDMA-API: preallocated 65536 debug entries\n").messages, []);
  });
});

describe("any text", () => {
  const check = (text: string): void => {
    const { reports, messages } = read(text);
    let last = 0;
    const count = text.split("\n").length;
    for (const { line, endLine } of reports) {
      ok(line >= last && endLine >= line && endLine <= count);
      last = line;
    }
    for (const { line } of messages) ok(line >= 1 && line <= count);
  };

  test("is read to its end", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 2000 }), check));
  });

  test("as is any mutation of a report", () => {
    const text = `${LAB}\n${REPORT.join("\n")}`;
    const edit = fc.tuple(fc.nat(text.length), fc.nat(300), fc.string({ maxLength: 40 }));
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 12 }), (edits) => {
        let mutant = text;
        for (const [at, length, put] of edits) {
          mutant = mutant.slice(0, at) + put + mutant.slice(at + length);
        }
        check(mutant);
      }),
      { numRuns: 300 },
    );
  });

  test("of one line without end costs no more than its length", () => {
    const reader = new FailureReader({ report() {}, message() {} });
    for (let i = 0; i < 200; i++) reader.push("Mem-Info: swiotlb ".repeat(5000));
    reader.end();
    ok(reader.lines <= 1);
  });

  // A pattern that tries every beginning with every end would not come back from these.
  for (const part of [
    "swiotlb buffer is full (sz: ",
    "overflow 0x1+",
    "DMA-API: [a b c ",
    "software IO TLB: x ",
    "page allocation failure: order:",
    "Node 0 DMA free:1kB ",
    "Node 0 DMA: 0*4kB ",
    "lowmem_reserve[]: 0 ",
    "cma_alloc: alloc failed, req-size: 1 pages, ret: -12 number of available pages: 1@1+",
    "> > ",
    "[ 1.000000] ",
  ]) {
    test(`of one long line of "${part}" is read`, () => {
      const line = part.repeat(Math.ceil(60_000 / part.length));
      bounded(() => check(`Mem-Info:\n${line}\n`.repeat(20)));
    });
  }
});
