// Goal: each rule of sentences gives the class that the kernel's words and numbers prove, no more.
// Method: sentences in the kernel's form, one for each rule and each side of its numbers.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import { MESSAGE_RULES, redact } from "../../src/explain/index.ts";
import { failureHeader } from "../support/reports.ts";
import { explain, explainOne } from "./explain.ts";

const XHCI = "xhci_hcd 0000:0a:00.0";

function full(size: number, total: number, used: number): string {
  return `${XHCI}: swiotlb buffer is full (sz: ${size} bytes), total ${total} (slots), used ${used} (slots)`;
}

type Case = readonly [rule: string, line: string, cause: string, confidence: string];

const CASES: readonly Case[] = [
  ["swiotlb-absent", full(8, 0, 0), "pool-absent", "proven"],
  ["swiotlb-too-large", full(262_145, 32_768, 4), "request-too-large", "proven"],
  ["swiotlb-full", full(8192, 32_768, 32_765), "pool-full", "proven"],
  ["swiotlb-full", full(8192, 32_768, 32_764), "pool-fragmented", "consistent"],
  ["swiotlb-segment", full(262_144, 32_768, 16), "pool-fragmented", "consistent"],
  ["swiotlb-unexplained", full(8192, 32_768, 16), "pool-unexplained", "hint"],
  [
    "swiotlb-unexplained",
    "DMA: Out of SW-IOMMU space for 65536 bytes at device 0000:00:1f.2",
    "pool-full",
    "hint",
  ],
  [
    "swiotlb-too-large",
    `${XHCI}: swiotlb: coherent allocation failed, size=2097152`,
    "request-too-large",
    "proven",
  ],
  [
    "swiotlb-setup",
    "PCI-DMA: Out of IOMMU space for 65536 bytes at device 0000:00:1f.2",
    "aperture-full",
    "consistent",
  ],
  ["swiotlb-setup", "software IO TLB: Cannot allocate buffer", "pool-not-reserved", "hint"],
  [
    "swiotlb-setup",
    "software IO TLB: SWIOTLB bounce buffer size roundup to 8MB",
    "pool-rounded",
    "proven",
  ],
  [
    "mask-overflow",
    "e: DMA addr 0x00000001f0000000+1514 overflow (mask ffffffff, bus limit 0).",
    "mask-too-small",
    "proven",
  ],
  [
    "mask-overflow",
    "e: swiotlb addr 0x00000001f0000000+1514 overflow (mask ffffffff, bus limit 0).",
    "bounce-slot-too-high",
    "proven",
  ],
  [
    "mask-overflow",
    "e: DMA addr 0x00000000f0000000+1514 overflow (mask ffffffff, bus limit 0).",
    "not-in-report",
    "hint",
  ],
  [
    "cma-refused",
    "cma: cma_alloc: reserved: alloc failed, req-size: 1024 pages, ret: -12",
    "cma-full",
    "hint",
  ],
  [
    "cma-refused",
    "cma: cma_alloc: alloc failed, req-size: 148 pages, ret: -16",
    "cma-pinned",
    "consistent",
  ],
  [
    "cma-refused",
    "cma: cma_alloc: alloc failed, req-size: 8 pages, ret: -4",
    "cma-interrupted",
    "proven",
  ],
  ["cma-not-reserved", "cma: Failed to reserve 512 MiB", "cma-not-reserved", "hint"],
  [
    "atomic-pool",
    "DMA: failed to allocate 256 KiB GFP_KERNEL|GFP_DMA pool for atomic allocation",
    "zone-missing",
    "hint",
  ],
  [
    "dma-api",
    "DMA-API: fec 0: device driver has pending DMA allocations while released from device [count=240]",
    "leak",
    "consistent",
  ],
  [
    "iommu-fault",
    "mpt3sas 0000:41:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0021 address=0xfff9b200 flags=0x0050]",
    "wrong-direction",
    "consistent",
  ],
  [
    "iommu-fault",
    "AMD-Vi: Event logged [IO_PAGE_FAULT device=42:00.0 domain=0x005e address=0xfffffffdf8030000 flags=0x0008]",
    "interrupt-remapping",
    "consistent",
  ],
  [
    "iommu-fault",
    "DMAR: [DMA Write] Request device [03:00.0] fault addr 0xfe000000 [fault reason 02] Present bit in context entry is clear",
    "unknown-requester",
    "consistent",
  ],
  [
    "mask-overflow",
    "e1000 0000:00:19.0: nommu_map_single: overflow 1c3a0a000+2048 of device mask ffffffff",
    "mask-too-small",
    "proven",
  ],
  ["mask-overflow", "e1000 0000:00:19.0: Unable to set DMA mask", "mask-too-small", "hint"],
  [
    "iommu-fault",
    "DMAR: INTR-REMAP: Request device [f0:1f.7] fault index 0x0 [fault reason 0x22] Present field in the IRTE entry is clear",
    "interrupt-remapping",
    "consistent",
  ],
  ["iommu-fault", "arm-smmu-v3 b: event 0x13 received:", "wrong-direction", "consistent"],
  [
    "iommu-fault",
    "arm-smmu a: Unhandled context fault: fsr=0x80000402, iova=0x8010003f6000, fsynr=0x70091, cb=7",
    "not-mapped",
    "consistent",
  ],
  [
    "iommu-space",
    "DMAR: Allocating 512-page iova for 0000:03:00.0 failed",
    "iova-exhausted",
    "consistent",
  ],
  [
    "waits-for-ever",
    "XFS: nginx(2514) possible memory allocation deadlock size 50184 in kmem_alloc (mode:0x250)",
    "not-in-report",
    "hint",
  ],
  [
    "address-space",
    "vmap allocation for size 8392704 failed: use vmalloc=<size> to increase size",
    "address-space-full",
    "proven",
  ],
  [
    "oom-kill",
    "Memory cgroup out of memory: Killed process 7 (hog) total-vm:1kB, anon-rss:1kB",
    "memcg",
    "proven",
  ],
  [
    "oom-kill",
    "Out of memory: Kill process 7 (hog) score 9 or sacrifice child",
    "not-in-report",
    "hint",
  ],
];

describe("the rule", () => {
  for (const [rule, line, cause, confidence] of CASES) {
    test(`${rule}: ${line.slice(0, 90)}`, () => {
      const finding = explainOne([line, "eth0: link up"]);
      deepEqual([finding.rule, finding.cause, finding.confidence], [rule, cause, confidence]);
      equal(finding.evidence[0]?.line, 1);
    });
  }

  test("has a case, whichever it is", () => {
    const cases = new Set([...CASES.map(([rule]) => rule), "tiny-zone-table"]);
    deepEqual(
      MESSAGE_RULES.map(({ name }) => name).filter((name) => !cases.has(name)),
      [],
    );
  });
});

describe("CMA", () => {
  const bitmap = (runs: string, free: number, error: number): string[] => [
    `cma: cma_alloc: alloc failed, req-size: 148 pages, ret: ${error}`,
    `cma: number of available pages: ${runs}=> ${free} free of 16384 total pages`,
  ];

  test("with a bitmap tells full from fragmented from pinned", () => {
    const causes = [
      bitmap("", 0, -12),
      bitmap("100@0+100@200", 200, -12),
      bitmap("1@3+7276@4096", 7277, -16),
    ].map((lines) => {
      const { cause, confidence } = explainOne(lines);
      return [cause, confidence];
    });
    deepEqual(causes, [
      ["cma-full", "proven"],
      ["fragmentation", "proven"],
      ["cma-pinned", "proven"],
    ]);
  });
});

describe("a series", () => {
  test("of rising use is called possible leak, with its ends", () => {
    const lines = [32_700, 32_720, 32_766].map((used) => full(8192, 32_768, used));
    const finding = explainOne(lines);
    equal(finding.count, 3);
    equal(finding.cause, "pool-full");
    ok(finding.also.includes("leak"));
    match(finding.sentence, /rose from 32700 to 32766 slots over 3 lines/);
  });

  test("that does not rise is not", () => {
    const lines = [32_766, 32_720].map((used) => full(8192, 32_768, used));
    ok(!/rose/.test(explainOne(lines).sentence));
  });

  test("of thousands is one finding with first and last line", () => {
    const lines = Array.from({ length: 5000 }, (_, i) => `[${i}.000000] ${full(8192, 32_768, 16)}`);
    const finding = explainOne(lines);
    deepEqual(
      [finding.count, finding.line, finding.lastLine, finding.time, finding.lastTime],
      [5000, 1, 5000, "0.000000", "4999.000000"],
    );
  });

  test("of reports is one finding a report, or one a signature", () => {
    const reports = Array.from({ length: 300 }, () => failureHeader(5, "0xcc0(GFP_KERNEL)"));
    equal(
      explain(reports).reduce((sum, { count }) => sum + count, 0),
      300,
    );
    deepEqual(
      explain(reports, true).map(({ count }) => count),
      [300],
    );
  });
});

test("redaction takes names out and counts them", () => {
  const findings = explain([
    full(8, 0, 0),
    failureHeader(5, "0xcc0(GFP_KERNEL)", "secret-app"),
    "CPU: 0 PID: 7 Comm: secret-app Not tainted 6.1.0-acme #1",
  ]);
  const { findings: clean, removed } = redact(findings);
  const text = JSON.stringify(clean);
  for (const word of ["secret", "xhci", "0a:00", "acme"]) ok(!text.includes(word), word);
  equal(removed.get("tasks"), 1);
  equal(removed.get("devices"), 1);
  equal(clean.length, 2);
});

test("an old DMAR report has its reason on the next line", () => {
  const finding = explainOne([
    "DMAR:[DMA Read] Request device [06:00.0] fault addr ffff0000",
    "DMAR:[fault reason 02] Present bit in context entry is clear",
  ]);
  equal(finding.cause, "unknown-requester");
});

test("an address at the top of an odd space asks for the mask behind it", () => {
  const fault = (address: string): string =>
    `ahci 0000:28:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0035 address=${address} flags=0x0000]`;
  const top = explainOne(fault("0x7fffff00000"));
  ok(top.also.includes("mask-too-small"));
  match(top.missing.join(), /has 43 address bits/);
  for (const other of ["0xfff9b300", "0x74001000000"]) deepEqual(explainOne(fault(other)).also, []);
});

test("what arm64 prints at every boot is no failure", () => {
  deepEqual(explain("software IO TLB: SWIOTLB bounce buffer size adjusted to 0MB"), []);
});
