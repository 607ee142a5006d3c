// Goal: S10: what a recording says of addresses behind an IOMMU is read right, and the engine's answers
// do not come from it. Method: a made-up trace with calls inside calls; the corpus's recordings with
// every recorded answer renamed, with frees forgotten, and under the rules of other kernels.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { ftraceReader } from "../../src/formats/ftrace.ts";
import { readText } from "../../src/formats/reader.ts";
import { IovaCalls, type IovaEvidence, iovaEvidence, scoreIova } from "../../src/replay/index.ts";
import type { IovaCall } from "../../src/replay/iova/calls.ts";
import { iovaCalls } from "./recorded-iova.ts";

const NOTHING = { groups: null, log: null, config: null };
const UPSTREAM = { upstream: "6.1.176", cpus: 1 };

const at = (seconds: number, pid: number, context: string, text: string): string =>
  `             dd-${pid}       [000] ${context}     ${seconds.toFixed(6)}: ${text}`;

/** A page map whose request an interrupt cuts in two, an unmap in it, and a list of 6.12. */
const NESTED = [
  at(
    1.0,
    9,
    ".....",
    'p_dma_map_page_attrs: (dma_map_page_attrs+0x0/0x270) dev="0000:00:05.0" page=0xffffea0000263900 off=4000 size=200 dir=2',
  ),
  at(
    1.1,
    9,
    ".....",
    "p_alloc_iova_fast: (alloc_iova_fast+0x0/0x280) iovad=0xffff888008a54e08 size=2 limit=0xfffff",
  ),
  at(
    1.2,
    9,
    "d.h2.",
    'p_dma_map_page_attrs: (dma_map_page_attrs+0x0/0x270) dev="0000:00:03.0" page=0xffffea0000263900 off=8 size=64 dir=1',
  ),
  at(
    1.3,
    9,
    "d.h2.",
    "p_alloc_iova_fast: (alloc_iova_fast+0x0/0x280) iovad=0xffff888008a54208 size=1 limit=0xfffff",
  ),
  at(
    1.4,
    9,
    "d.h2.",
    "r_alloc_iova_fast: (iommu_dma_alloc_iova+0xb9/0xe0 <- alloc_iova_fast) pfn=0xfffff",
  ),
  at(
    1.5,
    9,
    "d.h2.",
    "r_dma_map_page_attrs: (e1000_clean+0x1/0x2 <- dma_map_page_attrs) handle=0xfffff008",
  ),
  at(
    1.6,
    9,
    ".....",
    "r_alloc_iova_fast: (iommu_dma_alloc_iova+0xb9/0xe0 <- alloc_iova_fast) pfn=0xffffe",
  ),
  at(
    1.7,
    9,
    ".....",
    "r_dma_map_page_attrs: (nvme_prep_rq+0x70e/0x910 [nvme] <- dma_map_page_attrs) handle=0xffffefa0",
  ),
  at(
    1.8,
    9,
    "d.h1.",
    'p_dma_unmap_page_attrs: (dma_unmap_page_attrs+0x0/0x1c0) dev="0000:00:03.0" handle=0xfffff008 size=64 dir=1',
  ),
  at(
    1.9,
    9,
    "d.h1.",
    "unmap: IOMMU: iova=0x00000000fffff000 - 0x0000000100000000 size=4096 unmapped_size=4096",
  ),
  at(
    2.0,
    9,
    "d.h1.",
    "unmap: IOMMU: iova=0x00000000ffffe000 - 0x0000000100000000 size=8192 unmapped_size=8192",
  ),
  at(
    2.1,
    8,
    "..s1.",
    "p_free_iova_fast: (free_iova_fast+0x0/0x1a0) iovad=0xffff888008a54e08 pfn=0xffffe size=2",
  ),
  at(
    2.2,
    7,
    ".....",
    "p_alloc_iova_fast: (alloc_iova_fast+0x0/0x280) iovad=0xffff888008a54608 size=3 limit=0xfffff",
  ),
  at(
    2.3,
    7,
    ".....",
    "r_alloc_iova_fast: (iommu_dma_alloc_iova+0xb9/0xe0 <- alloc_iova_fast) pfn=0xffffc",
  ),
  at(
    2.4,
    7,
    ".....",
    "dma_map_sg: 0000:00:04.0 dir=TO_DEVICE nents=3/3 ents=2/2 dma_addrs={0xffffcf00,0xffffe000} sizes={0x1100,0x10} phys_addrs={0x105d05f00,0x105d06000,0x205d06000} attrs=",
  ),
].join("\n");

test("S10: calls in interrupts, unmaps without a device and lists are put where they belong", () => {
  const calls = new IovaCalls();
  readText(ftraceReader(calls.sink), `${NESTED}\n`);
  const short = calls.calls.map((call) =>
    call.kind === "alloc"
      ? [call.kind, call.pfn, call.pages, call.api?.kind, call.api?.device, call.api?.handle]
      : [call.kind, call.pfn, call.pages, call.domain],
  );
  expect.deepEqual(short, [
    ["alloc", 0xfffff, 1, "page", "0000:00:03.0", 0xfffff008],
    ["alloc", 0xffffe, 2, "page", "0000:00:05.0", 0xffffefa0],
    ["unmap", 0xfffff, 1, "0xffff888008a54208"],
    // Nothing says whose it is but the free that comes later.
    ["unmap", 0xffffe, 2, "0xffff888008a54e08"],
    ["free", 0xffffe, 2, "0xffff888008a54e08"],
    ["alloc", 0xffffc, 3, "sg", "0000:00:04.0", 0xffffcf00],
  ]);
  const score = scoreIova(calls, iovaEvidence("6.12", 1, NOTHING));
  expect.deepEqual(score?.allocations, { recorded: 3, equal: 3 });
  expect.deepEqual(score?.sizes, { recorded: 3, equal: 3 });
  expect.deepEqual(score?.handles, { recorded: 3, equal: 3 });
  expect.deepEqual(score?.assumed, [
    "unmaps are lazy",
    "the interrupt window of x86 is reserved, no other",
    "no PCI window is reserved",
    "250 ticks a second",
  ]);
  expect.equal(scoreIova(new IovaCalls(), iovaEvidence("6.12", 1, NOTHING)), null);
});

test("S10: groups, windows and tables are read from a capture's texts", () => {
  const evidence = iovaEvidence("6.1", 2, {
    groups: [
      "0 DMA-FQ 0000:00:00.0  0x00000000fee00000 0x00000000feefffff msi;",
      "6 identity 0000:00:1f.0 0000:00:1f.2  0x0000000000000000 0x0000000000ffffff direct-relaxable;0x08000000 0x080fffff sw-msi;",
    ].join("\n"),
    log: [
      "<6>[    0.797021] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c22260206 ecap f00f4a",
      "<6>[    2.270237] pci_bus 0000:00: root bus resource [mem 0xc0000000-0xfebfffff window]",
      "<6>[    2.373694] iommu: DMA domain TLB invalidation policy: strict mode",
    ].join("\n"),
    config: "CONFIG_HZ=1000\n",
  });
  expect.deepEqual(evidence.groups, [
    {
      group: 0,
      mode: "lazy",
      devices: ["0000:00:00.0"],
      reserved: [{ start: 0xfee00000, end: 0xfef00000 }],
    },
    {
      group: 6,
      mode: "identity",
      devices: ["0000:00:1f.0", "0000:00:1f.2"],
      reserved: [{ start: 0, end: 0x1000000 }],
    },
  ]);
  expect.deepEqual(evidence.windows, [{ start: 0xc0000000, end: 0xfec00000 }]);
  expect.deepEqual(evidence.tables, { levels: 3, pageShifts: [12, 21, 30] });
  expect.deepEqual([evidence.hz, evidence.hzKnown, evidence.modeOfAll], [1000, true, "strict"]);
});

/** The same recording with every recorded page moved. */
function renamed(calls: IovaCalls): IovaCalls {
  const other = new IovaCalls();
  const move = (call: IovaCall): IovaCall => ({ ...call, pfn: call.pfn + 0x10000 });
  other.calls.push(...calls.calls.map(move));
  for (const [device, domain] of calls.domainOf) other.domainOf.set(device, domain);
  for (const [device, mask] of calls.masks) other.masks.set(device, mask);
  return other;
}

const without = (calls: IovaCalls, kind: IovaCall["kind"]): IovaCalls => {
  const other = renamed(calls);
  other.calls.length = 0;
  other.calls.push(...calls.calls.filter((call) => call.kind !== kind));
  return other;
};

const equalOf = (calls: IovaCalls, evidence: IovaEvidence): number =>
  scoreIova(calls, evidence)?.allocations.equal ?? -1;

test("S10: answers come from the rules: recorded ones may have any names, and frees matter", () => {
  for (const name of ["f-iommu-q35-2G", "f-iommu-q35-2G-strict"]) {
    const { calls, evidence } = iovaCalls(name, UPSTREAM);
    const score = scoreIova(calls, evidence);
    expect.equal(score?.allocations.equal, score?.allocations.recorded);
    expect.equal(equalOf(renamed(calls), evidence), 0);
    expect.ok(equalOf(without(calls, "free"), evidence) < 400);
    // Each domain answers for itself.
    const sum = score?.domains.reduce((all, own) => all + own.equal, 0);
    expect.equal(sum, score?.allocations.equal);
    expect.equal(score?.tables?.equal, score?.tables?.recorded);
    expect.ok((score?.tables?.pages ?? 0) > 0);
    const flat = { ...evidence, tables: { levels: 4, pageShifts: [12] } };
    expect.notEqual(scoreIova(calls, flat)?.tables?.equal, score?.tables?.recorded);
  }
});

test("S10: with lazy unmaps taken for strict ones, or the other way round, answers differ", () => {
  const lazy = iovaCalls("f-iommu-q35-2G", UPSTREAM);
  const strict = iovaCalls("f-iommu-q35-2G-strict", UPSTREAM);
  const swap = ({ evidence }: typeof lazy, mode: "strict" | "lazy"): IovaEvidence => ({
    ...evidence,
    groups: evidence.groups.map((group) => ({ ...group, mode })),
  });
  const predictedOf = (own: typeof lazy, evidence: IovaEvidence): number =>
    scoreIova(own.calls, evidence)?.predicted.high ?? -1;
  expect.equal(predictedOf(strict, strict.evidence), 538);
  expect.ok(predictedOf(strict, swap(strict, "lazy")) < 538);
  expect.ok(predictedOf(lazy, swap(lazy, "strict")) < predictedOf(lazy, lazy.evidence));
});

test("S10: a recording that begins late knows blocks of before by their frees, and says so", () => {
  const { calls, evidence } = iovaCalls("f-iommu-q35-2G-strict", UPSTREAM);
  const late = without(calls, "unmap");
  late.calls.splice(0, 420);
  const score = scoreIova(late, evidence);
  const [words = ""] = score?.assumed ?? [];
  const [, blocks = "0"] = /^(\d+) blocks were taken before the recording began$/.exec(words) ?? [];
  expect.ok(Number(blocks) > 0);
  // What was never freed is not known, so new blocks collide with it; freed ones come back as they did.
  const { recorded = 0, equal = 0 } = score?.allocations ?? {};
  const forgetful = renamed(late);
  forgetful.calls.length = 0;
  const seen = new Set<string>();
  for (const call of late.calls) {
    if (call.kind === "alloc") seen.add(`${call.domain} ${call.pfn}`);
    if (call.kind !== "free" || seen.has(`${call.domain} ${call.pfn}`)) forgetful.calls.push(call);
  }
  expect.ok(equal > equalOf(forgetful, evidence), `${equal} of ${recorded}`);
});
