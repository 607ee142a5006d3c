// Goal: S10: a device behind an IOMMU reaches exactly what is mapped for it, for as long as each mode
// lets it, and what it must not reach is named. Method: random programs of maps, lists, coherent memory,
// accesses, unmaps and time on three vendors' tables, beside a map from page to page; then single cases.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { IommuEvent } from "../../../src/dma/iommu/events.ts";
import { iommuEventText } from "../../../src/dma/iommu/events.ts";
import { flushTimerArmed } from "../../../src/dma/iommu/flush-queue.ts";
import { tableCount } from "../../../src/dma/iommu/table-store.ts";
import type { CoherentBlock, SgEntry } from "../../../src/dma/ops.ts";
import {
  DMA_ATTR_FORCE_CONTIGUOUS,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_MAPPING_ERROR,
  DMA_TO_DEVICE,
  type DmaDirection,
} from "../../../src/dma/words.ts";
import type { FailureMessage } from "../../../src/formats/failure-message.ts";
import { readFailures } from "../../../src/formats/failure-reader.ts";
import type { IommuVendor } from "../../../src/kernels/iommu.ts";
import { allocPages, freePages, NO_PFN } from "../../../src/mm/allocate.ts";
import { diff, restore, snapshot } from "../../../src/mm/image.ts";
import { device, freePagesOf, memoryOf, PAGES, rig } from "./machine.ts";

const VENDORS: readonly IommuVendor[] = ["intel", "amd", "smmu-v3"];
const KERNEL = 0xcc0;
const ATOMIC = 0xa20;

function messagesOf(log: readonly string[]): FailureMessage[] {
  const found: FailureMessage[] = [];
  const text = log.map((line) => `[    7.000000] ${line}\n`).join("");
  readFailures(text, { report: () => undefined, message: (one) => found.push(one) });
  return found;
}

/** What the device may see, by page of its address. */
interface Seen {
  readonly page: number;
  readonly read: boolean;
  readonly write: boolean;
}

type Held =
  | { readonly kind: "single"; dma: number; size: number; direction: DmaDirection }
  | { readonly kind: "list"; entries: SgEntry[]; direction: DmaDirection }
  | { readonly kind: "coherent"; block: CoherentBlock };

const direction = fc.constantFrom<DmaDirection>(0, 1, 2);
const buffer = fc.record({
  physical: fc.nat(PAGES * 4096 - 3e6),
  size: fc.integer({ min: 1, max: 9000 }),
});
const op = fc.oneof(
  fc.record({ kind: fc.constant("map" as const), buffer, direction, huge: fc.nat(19) }),
  fc.record({
    kind: fc.constant("list" as const),
    buffers: fc.array(buffer, { minLength: 1, maxLength: 6 }),
    direction,
  }),
  fc.record({
    kind: fc.constant("coherent" as const),
    size: fc.integer({ min: 1, max: 60000 }),
    mayWait: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("unmap" as const), which: fc.nat(30) }),
  fc.record({ kind: fc.constant("access" as const), which: fc.nat(30), write: fc.boolean() }),
  fc.record({ kind: fc.constant("time" as const), ms: fc.nat(7) }),
);

for (const vendor of VENDORS) {
  for (const mode of ["strict", "lazy"] as const) {
    test(`S10: ${vendor}, ${mode}: a device reaches what is mapped, and nothing else`, () => {
      fc.assert(
        fc.property(fc.array(op, { maxLength: 60, size: "max" }), fc.boolean(), (ops, bytes) => {
          const memory = memoryOf(PAGES, bytes);
          const before = freePagesOf(memory);
          const own = rig({ memory, vendor, mode, maxTables: 64, cpus: 3 });
          let cpu = 0;
          const dev = device({ maxSegmentSize: 16384 });
          const mapped = new Map<number, Seen>();
          const stale = new Map<number, Seen>();
          const held: Held[] = [];
          let now = 0;
          const note = (dma: number, physical: number, size: number, dir: DmaDirection): void => {
            const first = Math.floor(dma / 4096);
            const pages = Math.ceil(((dma % 4096) + size) / 4096);
            for (let i = 0; i < pages; i++) {
              expect.equal(
                stale.has(first + i),
                false,
                "an address is used again before the flush",
              );
              const page = Math.floor(physical / 4096) + i;
              // LPAE has no entry that can be written and not read.
              const read = dir !== DMA_FROM_DEVICE || vendor === "smmu-v3";
              mapped.set(first + i, { page, read, write: dir !== DMA_TO_DEVICE });
            }
          };
          for (const step of ops) {
            cpu = (cpu + 1) % 3;
            if (step.kind === "map") {
              const aligned = step.huge === 0;
              const physical = aligned ? 2 ** 21 : step.buffer.physical;
              const size = aligned ? 2 ** 21 + 4096 : step.buffer.size;
              const dma = own.ops.mapPhysical(dev, physical, size, step.direction, 0, cpu);
              expect.equal(dma % 4096, physical % 4096);
              note(dma, physical, size, step.direction);
              held.push({ kind: "single", dma, size, direction: step.direction });
            } else if (step.kind === "list") {
              const entries = step.buffers.map(({ physical, size }) => ({
                physical,
                length: size,
                dma: 0,
                dmaLength: 0,
              }));
              const used = own.ops.mapSg(dev, entries, step.direction, 0, cpu);
              expect.equal(used > 0, true);
              checkList(entries, used);
              let at = 0;
              let filled = 0;
              for (const { physical, length } of entries) {
                const out = entries[at];
                const dma = (out?.dma ?? 0) + filled;
                expect.equal(dma % 4096, physical % 4096);
                note(dma, physical, length, step.direction);
                filled += length;
                if (filled === out?.dmaLength) {
                  at++;
                  filled = 0;
                }
              }
              held.push({ kind: "list", entries, direction: step.direction });
            } else if (step.kind === "coherent") {
              const gfp = step.mayWait ? KERNEL : ATOMIC;
              const block = own.ops.allocCoherent(dev, step.size, gfp, 0, cpu);
              if (block === null) continue;
              let dma = block.dma;
              for (const { physical, length } of block.runs) {
                note(dma, physical, length, DMA_BIDIRECTIONAL);
                dma += length;
              }
              expect.equal(dma - block.dma, Math.ceil(step.size / 4096) * 4096);
              held.push({ kind: "coherent", block });
            } else if (step.kind === "unmap" && held.length > 0) {
              const [one] = held.splice(step.which % held.length, 1);
              if (one !== undefined) drop(own, dev, one, mapped, stale, cpu);
              if (mode === "strict") expectGone(own, dev, stale);
            } else if (step.kind === "time") {
              now += step.ms;
              own.iommu.tick(now, cpu);
              const queue = own.iommu.groups[0]?.domain?.queue ?? null;
              if (queue !== null && flushTimerArmed(queue) < 0) expectGone(own, dev, stale);
            } else if (step.kind === "access") {
              const pages = [...mapped.keys()];
              const page = pages[step.which % Math.max(1, pages.length)] ?? 5;
              expectAccess(own, dev, page, mapped.get(page), step.write);
              // What waits for a flush is either still there or gone, and nowhere else.
              const [late = -1, seen] = [...stale][step.which % Math.max(1, stale.size)] ?? [];
              const answer = own.ops.translate(dev, late * 4096, false);
              if (typeof answer === "number") expect.equal(answer, (seen?.page ?? -1) * 4096);
            }
            expect.deepEqual(own.iommu.verify(), []);
          }
          for (const [page, seen] of mapped) expectAccess(own, dev, page, seen, false);
          for (const one of held) drop(own, dev, one, mapped, stale);
          own.iommu.flushTimer();
          expectGone(own, dev, stale);
          expect.equal(mapped.size, 0);
          const tables = own.iommu.groups.reduce((sum, group) => sum + count(group.domain), 0);
          expect.equal(freePagesOf(memory), before - tables);
        }),
        { numRuns: 60 },
      );
    });
  }
}

type Own = ReturnType<typeof rig>;

function count(domain: Own["iommu"]["groups"][number]["domain"]): number {
  return domain === null ? 0 : tableCount(domain.table);
}

function checkList(entries: readonly SgEntry[], used: number): void {
  const bytes = entries.reduce((sum, { length }) => sum + length, 0);
  const out = entries.slice(0, used).reduce((sum, { dmaLength }) => sum + dmaLength, 0);
  expect.equal(out, bytes);
  expect.equal(
    entries.slice(used).every((entry) => entry.dma === DMA_MAPPING_ERROR),
    true,
  );
  for (const { dmaLength } of entries.slice(0, used)) {
    const longest = Math.max(...entries.map(({ length }) => length));
    expect.equal(dmaLength <= Math.max(16384, longest), true);
  }
}

function expectAccess(
  own: Own,
  dev: ReturnType<typeof device>,
  page: number,
  seen: Seen | undefined,
  write: boolean,
): void {
  const answer = own.ops.translate(dev, page * 4096 + 9, write);
  if (seen === undefined || !(write ? seen.write : seen.read)) {
    expect.equal(typeof answer, "object");
    expect.equal(
      (answer as { reason: string }).reason,
      seen === undefined ? "unmapped" : "direction",
    );
  } else expect.equal(answer, seen.page * 4096 + 9);
}

/** The device is shut out. */
function expectGone(own: Own, dev: ReturnType<typeof device>, stale: Map<number, Seen>): void {
  for (const page of stale.keys()) expectAccess(own, dev, page, undefined, false);
  stale.clear();
}

/** Unmaps: what was mapped is stale until the next flush. */
function drop(
  own: Own,
  dev: ReturnType<typeof device>,
  one: Held,
  mapped: Map<number, Seen>,
  stale: Map<number, Seen>,
  cpu = 0,
): void {
  const pages: number[] = [];
  const cover = (dma: number, size: number): void => {
    const first = Math.floor(dma / 4096);
    for (let i = 0; i < Math.ceil(((dma % 4096) + size) / 4096); i++) pages.push(first + i);
  };
  if (one.kind === "single") {
    cover(one.dma, one.size);
    own.ops.unmap(dev, one.dma, one.size, one.direction, 0, cpu);
  } else if (one.kind === "list") {
    for (const { dma, dmaLength } of one.entries) if (dmaLength > 0) cover(dma, dmaLength);
    own.ops.unmapSg(dev, one.entries, one.direction, 0, cpu);
  } else {
    cover(one.block.dma, one.block.size);
    own.ops.freeCoherent(dev, one.block, 0, cpu);
  }
  for (const page of pages) {
    const seen = mapped.get(page);
    if (seen !== undefined) stale.set(page, seen);
    mapped.delete(page);
  }
}

test("S10: a lazy unmap leaves the device what it has used, until the flush", () => {
  const { ops, iommu } = rig({ mode: "lazy" });
  const dev = device();
  const used = ops.mapPhysical(dev, 0x5000, 4096, DMA_BIDIRECTIONAL, 0, 0);
  const unused = ops.mapPhysical(dev, 0x6000, 4096, DMA_BIDIRECTIONAL, 0, 0);
  expect.equal(ops.translate(dev, used, true), 0x5000);
  for (const dma of [used, unused]) ops.unmap(dev, dma, 4096, DMA_BIDIRECTIONAL, 0, 0);
  // The IOTLB still knows the one, and the tables know neither.
  expect.equal(ops.translate(dev, used, true), 0x5000);
  expect.equal(typeof ops.translate(dev, unused, true), "object");
  // The address is not given out before the flush, and the last freed comes first after it.
  const next = ops.mapPhysical(dev, 0x7000, 4096, DMA_BIDIRECTIONAL, 0, 0);
  expect.deepEqual([used, unused, next], [0xfffff000, 0xffffe000, 0xffffd000]);
  iommu.tick(9);
  expect.equal(ops.translate(dev, used, true), 0x5000);
  iommu.tick(10);
  expect.equal(typeof ops.translate(dev, used, true), "object");
  expect.equal(ops.mapPhysical(dev, 0x8000, 4096, DMA_BIDIRECTIONAL, 0, 0), unused);
});

test("S10: a full queue of lazy unmaps flushes by itself", () => {
  const { ops } = rig({ mode: "lazy" });
  const dev = device();
  const all = Array.from({ length: 257 }, (_, i) =>
    ops.mapPhysical(dev, i * 4096, 4096, DMA_TO_DEVICE, 0, 0),
  );
  const [first = 0] = all;
  ops.translate(dev, first, false);
  for (const dma of all.slice(0, 255)) ops.unmap(dev, dma, 4096, DMA_TO_DEVICE, 0, 0);
  expect.equal(ops.translate(dev, first, false), 0);
  ops.unmap(dev, all[255] ?? 0, 4096, DMA_TO_DEVICE, 0, 0);
  expect.equal(typeof ops.translate(dev, first, false), "object");
});

test("S10: faults name device and address in each vendor's and release's words", () => {
  const lines = (vendor: IommuVendor, version: string): string[] => {
    const { ops, iommu } = rig({ vendor, version });
    const dev = device();
    const dma = ops.mapPhysical(dev, 0x5000, 4096, DMA_TO_DEVICE, 0, 0);
    ops.translate(dev, dma, true);
    ops.unmap(dev, dma, 4096, DMA_TO_DEVICE, 0, 0);
    ops.translate(dev, dma + 0x40, false);
    return iommu.log;
  };
  expect.deepEqual(lines("intel", "6.1"), [
    "DMAR: [DMA Write NO_PASID] Request device [00:03.0] fault addr 0xfffff000 [fault reason 0x05] PTE Write access is not set",
    "DMAR: [DMA Read NO_PASID] Request device [00:03.0] fault addr 0xfffff040 [fault reason 0x06] PTE Read access is not set",
  ]);
  expect.deepEqual(
    lines("intel", "4.19")[1],
    "DMAR: [DMA Read] Request device [00:03.0] fault addr fffff040 [fault reason 06] PTE Read access is not set",
  );
  expect.deepEqual(lines("amd", "6.1"), [
    "e1000 0000:00:03.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0001 address=0xfffff000 flags=0x0070]",
    "e1000 0000:00:03.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0001 address=0xfffff040 flags=0x0000]",
  ]);
  expect.deepEqual(lines("smmu-v3", "6.12").slice(5), [
    "arm-smmu-v3 arm-smmu-v3.0.auto: event 0x10 received:",
    "arm-smmu-v3 arm-smmu-v3.0.auto: \t0x0000001800000010",
    "arm-smmu-v3 arm-smmu-v3.0.auto: \t0x0000020800000000",
    "arm-smmu-v3 arm-smmu-v3.0.auto: \t0x00000000fffff040",
    "arm-smmu-v3 arm-smmu-v3.0.auto: \t0x0000000000000000",
  ]);
});

test("S10: only ten faults in five seconds reach the log, all are counted", () => {
  const { ops, iommu } = rig();
  for (let i = 0; i < 25; i++) ops.translate(device(), 0x1000 * (i + 1), false);
  expect.deepEqual([iommu.log.length, iommu.faults], [10, 25]);
  iommu.tick(5000);
  ops.translate(device(), 0x1000, false);
  expect.equal(iommu.log[10], "iommu: 15 callbacks suppressed");
});

test("S10: a group shares its addresses, another group has its own, identity has none", () => {
  const direct: string[] = [];
  const identity = new Proxy(rig().ops, {
    get: (_ops, name) => () => {
      direct.push(String(name));
      return 0x1234;
    },
  });
  const { ops, iommu } = rig({ identity });
  const [a, b, c, d] = ["1f.2", "1f.3", "04.0", "05.0"].map((at) =>
    device({ name: `0000:00:${at}` }),
  );
  expect.ok(a !== undefined && b !== undefined && c !== undefined && d !== undefined);
  iommu.attach(a, { group: 6 });
  iommu.attach(b, { group: 6 });
  iommu.attach(d, { group: 7, mode: "identity" });
  const dma = ops.mapPhysical(a, 0x5000, 4096, DMA_TO_DEVICE, 0, 0);
  expect.equal(ops.translate(b, dma, false), 0x5000);
  expect.equal(typeof ops.translate(c, dma, false), "object");
  expect.equal(ops.mapPhysical(c, 0x9000, 4096, DMA_TO_DEVICE, 0, 0), dma);
  expect.equal(ops.mapPhysical(d, 0x9000, 4096, DMA_TO_DEVICE, 0, 0), 0x1234);
  expect.deepEqual(direct, ["mapPhysical"]);
  expect.deepEqual(
    iommu.groups.map(({ number, mode }) => [number, mode]),
    [
      [6, "strict"],
      [7, "identity"],
      [0, "strict"],
    ],
  );
});

test("S10: what firmware uses a device for is mapped at its own address; tables grow by page size", () => {
  const events: IommuEvent[] = [];
  const { ops, iommu } = rig({ levels: 3, event: (event) => events.push(event) });
  const dev = device({ name: "0000:00:1f.2" });
  iommu.attach(dev, { group: 6, direct: [{ start: 0, end: 0x1000000 }] });
  expect.equal(ops.translate(dev, 0xb8123, true), 0xb8123);
  expect.equal(
    events[0] === undefined ? "" : iommuEventText(events[0]),
    "IOMMU: iova=0x0000000000000000 - 0x0000000001000000 paddr=0x0000000000000000 size=16777216",
  );
  // Eight pages of 2 MiB: a root and one table.
  expect.equal(count(iommu.groups[0]?.domain ?? null), 2);
  const dma = ops.mapPhysical(dev, 0x5000, 1, DMA_TO_DEVICE, 0, 0);
  expect.equal(count(iommu.groups[0]?.domain ?? null), 4);
  ops.unmap(dev, dma, 1, DMA_TO_DEVICE, 0, 0);
  // A single page covers no table, so both stay.
  expect.equal(count(iommu.groups[0]?.domain ?? null), 4);
});

test("S10: Intel and SMMU free a table that an unmap covers, AMD keeps it for the next large page", () => {
  for (const [vendor, left] of [
    ["intel", 3],
    ["smmu-v3", 3],
    ["amd", 4],
  ] as const) {
    const { ops, iommu } = rig({ vendor });
    const dev = device();
    const size = 2 ** 21;
    const dma = ops.mapPhysical(dev, 0x1000, size, DMA_TO_DEVICE, 0, 0);
    expect.equal(count(iommu.groups[0]?.domain ?? null), 4);
    ops.unmap(dev, dma, size, DMA_TO_DEVICE, 0, 0);
    expect.equal(count(iommu.groups[0]?.domain ?? null), left);
    expect.equal(ops.mapPhysical(dev, 2 ** 21, size, DMA_TO_DEVICE, 0, 0), dma);
    expect.equal(count(iommu.groups[0]?.domain ?? null), 3);
    expect.deepEqual(iommu.verify(), []);
  }
});

test("S10: the bytes of a table are what the hardware reads", () => {
  const { ops, memory, iommu } = rig();
  const dma = ops.mapPhysical(device(), 0x5000, 4096, DMA_TO_DEVICE, 0, 0);
  const bytes = new DataView(memory.bytes?.buffer ?? new ArrayBuffer(0));
  let at = (iommu.groups[0]?.domain?.table.pfn[1] ?? 0) * 4096;
  for (let level = 4; level >= 1; level--) {
    const index = Number((BigInt(dma) >> BigInt(12 + 9 * (level - 1))) & 511n);
    const entry = bytes.getBigUint64(at + index * 8, true);
    if (level > 1) expect.equal(entry & 0xfffn, 3n);
    else expect.equal(entry, 0x5001n);
    at = Number(entry & ~0xfffn);
  }
});

test("S10: a list becomes one segment where entries meet at pages, and is cut at limits", () => {
  const list = (...places: [number, number][]): SgEntry[] =>
    places.map(([physical, length]) => ({ physical, length, dma: 0, dmaLength: 0 }));
  const { ops } = rig();
  const dev = device({ maxSegmentSize: 12288 });
  const merged = list(
    [0x3800, 0x800],
    [0x9000, 4096],
    [0x20000, 4096],
    [0x40000, 100],
    [0x50000, 4],
  );
  expect.equal(ops.mapSg(dev, merged, DMA_TO_DEVICE, 0, 0), 2);
  // Eight pages: five, rounded up. The end of the short entry does not meet the next.
  expect.deepEqual(merged.map(({ dma, dmaLength }) => [dma, dmaLength]).slice(0, 2), [
    [0xffff8800, 0x800 + 8192 + 100],
    [0xffffc000, 4],
  ]);
  const bounded = device({ name: "0000:00:04.0", segmentBoundary: 0x3fff });
  const padded = list([0, 0x3000], [0x10000, 0x3000]);
  expect.equal(ops.mapSg(bounded, padded, DMA_TO_DEVICE, 0, 0), 2);
  const starts = padded.map(({ dma }) => dma % 0x4000);
  expect.deepEqual(starts, [0, 0]);
});

test("S10: who runs out of addresses, and who holds them, is told", () => {
  const events: IommuEvent[] = [];
  const { ops, iommu } = rig({
    version: "5.10",
    event: (event) => events.push(event),
    maxTables: 64,
  });
  const dev = device({ streamingLimit: 0xffffff });
  const got: number[] = [];
  for (let i = 0; i < 5; i++) got.push(ops.mapPhysical(dev, 0, 4 << 20, DMA_TO_DEVICE, 0, 0));
  expect.deepEqual(got.slice(3), [DMA_MAPPING_ERROR, DMA_MAPPING_ERROR]);
  expect.deepEqual(ops.lastRefusal, {
    reason: "no IOVA",
    message: "DMAR: Allocating 1024-page iova for 0000:00:03.0 failed",
  });
  expect.equal(
    ops.lastWords,
    "address space full: of 4095 pages of addresses 3072 are mapped or reserved, 0 in caches, 0 wait for a flush, 1023 are free",
  );
  expect.equal(ops.mapPhysical(dev, 0, 600 * 4096, DMA_TO_DEVICE, 0, 0), DMA_MAPPING_ERROR);
  expect.equal(
    ops.lastWords,
    "address space fragmented: 1023 pages are free, the longest run 1023, the largest aligned block 512; of 4095 pages of addresses 3072 are mapped or reserved, 0 in caches, 0 wait for a flush",
  );
  expect.equal(events.filter(({ name }) => name === "iova_refused").length, 3);
  expect.equal(iommu.log.length, 3);
});

test("S10: 64-bit devices go above 4 GiB when nothing is left below, 6.6 for good", () => {
  for (const [version, again] of [
    ["6.1", 0xfff80000],
    ["6.6", 2 ** 48 - 2 ** 19 * 2],
  ] as const) {
    const { ops, iommu } = rig({ version, windows: [{ start: 0x1000, end: 0xfff00000 }] });
    const dev = device({ streamingLimit: Number.MAX_SAFE_INTEGER, driver: "nvme" });
    const map = (): number => ops.mapPhysical(dev, 0, 2 ** 19, DMA_TO_DEVICE, 0, 0);
    const [first, , third] = [map(), map(), map()];
    expect.deepEqual([first, third], [0xfff80000, 2 ** 48 - 2 ** 19]);
    ops.unmap(dev, first ?? 0, 2 ** 19, DMA_TO_DEVICE, 0, 0);
    expect.equal(map(), again);
    const said = version === "6.6" ? ["nvme 0000:00:03.0: Using 64-bit DMA addresses"] : [];
    expect.deepEqual(iommu.log, said);
  }
});

test("no memory for tables: nothing is mapped, nothing leaks, and the reason is told", () => {
  const memory = memoryOf(256, false);
  const own = rig({ memory });
  const dev = device();
  own.iommu.attach(dev);
  const taken: number[] = [];
  for (let pfn = allocPages(memory, ATOMIC, 0); pfn !== NO_PFN; pfn = allocPages(memory, ATOMIC, 0))
    taken.push(pfn);
  expect.equal(own.ops.mapPhysical(dev, 0, 4096, DMA_TO_DEVICE, 0, 0), DMA_MAPPING_ERROR);
  expect.equal(own.ops.lastRefusal?.reason, "no memory for page tables");
  expect.equal(
    own.ops.mapSg(dev, [{ physical: 0, length: 9, dma: 0, dmaLength: 0 }], DMA_TO_DEVICE, 0, 0),
    0,
  );
  expect.equal(own.ops.allocCoherent(dev, 4096, KERNEL, 0, 0), null);
  expect.deepEqual(own.iommu.verify(), []);
});

test("S10: what each group does is counted; a group that goes gives its tables back", () => {
  const memory = memoryOf();
  const before = freePagesOf(memory);
  const { ops, iommu } = rig({ memory, mode: "lazy", cpus: 2 });
  const dev = device();
  const map = (): number => ops.mapPhysical(dev, 0x5000, 4096, DMA_TO_DEVICE, 0, 1);
  const dma = map();
  ops.translate(dev, dma, false);
  ops.translate(dev, dma, false);
  ops.unmap(dev, dma, 4096, DMA_TO_DEVICE, 0, 1);
  const of = (): unknown[] => {
    const { iova, cached, waiting, tableBytes, iotlb } = [...iommu.counts().values()][0] ?? {};
    return [
      iova?.requests,
      iova?.fromCache,
      cached,
      waiting,
      tableBytes,
      iotlb?.hits,
      iotlb?.misses,
    ];
  };
  expect.deepEqual(of(), [1, 0, 0, 1, 4 * 4096, 1, 1]);
  iommu.flushTimer(1);
  expect.deepEqual(of().slice(2, 4), [1, 0]);
  // CPU 1 has it cached; when CPU 1 goes, it is anybody's again.
  iommu.forgetCpu(1);
  expect.deepEqual(of().slice(2, 4), [0, 0]);
  expect.equal(map(), dma);
  ops.unmap(dev, dma, 4096, DMA_TO_DEVICE, 0, 1);
  expect.deepEqual([iommu.remove(0), iommu.remove(0)], [true, false]);
  expect.equal(freePagesOf(memory), before);
  // The device comes back with a domain of its own.
  expect.equal(map(), 0xfffff000);
  expect.deepEqual(iommu.verify(), []);
});

test("S10: any memory comes into the reach of any device", () => {
  const { ops } = rig();
  const isa = device({ name: "isa", driver: "sound", streamingLimit: 0xffffff });
  const high = 5 * 2 ** 30 + 0x123;
  const dma = ops.mapPhysical(isa, high, 100000, DMA_FROM_DEVICE, 0, 0);
  expect.equal(dma + 100000 <= 2 ** 24, true);
  expect.equal(ops.translate(isa, dma + 99999, true), high + 99999);
  expect.deepEqual([ops.maskSupported(isa, 0xfff), ops.requiredMask(isa)], [true, 0xffffffff]);
  expect.equal(ops.optMappingSize(), 128 * 1024);
});

test("S10: what the engine logs, explain reads: vendor, device, address, access", () => {
  const found = [
    ["intel", "4.19", "0000:00:03.0"],
    ["intel", "5.10", "0000:00:03.0"],
    ["intel", "6.12", "0000:00:03.0"],
    ["amd", "4.19", "0000:00:03.0"],
    ["amd", "6.1", "0000:00:03.0"],
  ] as const;
  for (const [vendor, version, name] of found) {
    const { ops, iommu } = rig({ vendor, version });
    ops.translate(device({ name }), 0xfffff040, true);
    const [message] = messagesOf(iommu.log);
    expect.ok(message?.kind === "iommu-fault", `${vendor} ${version}`);
    const { vendor: whose, device: who, address, access } = message;
    expect.deepEqual([whose, address, access], [vendor, 0xfffff040n, "write"]);
    expect.match(who ?? "", /00:03\.0$/);
  }
  const { ops, iommu } = rig({ version: "5.10" });
  const narrow = device({ streamingLimit: 0xffff });
  expect.equal(ops.mapPhysical(narrow, 0, 2 ** 20, DMA_TO_DEVICE, 0, 0), DMA_MAPPING_ERROR);
  const [full] = messagesOf(iommu.log);
  expect.ok(full?.kind === "iova-exhausted");
  expect.deepEqual([full.device, full.pages], ["0000:00:03.0", 256]);
});

test("S10: a snapshot of the image is a snapshot of the IOMMU", () => {
  const memory = memoryOf(PAGES, false);
  const { ops, iommu } = rig({ memory, mode: "lazy" });
  const dev = device();
  const first = ops.mapPhysical(dev, 0x5000, 4096, DMA_TO_DEVICE, 0, 0);
  ops.translate(dev, first, false);
  const saved = snapshot(memory.image);
  ops.unmap(dev, first, 4096, DMA_TO_DEVICE, 0, 0);
  const second = ops.mapPhysical(dev, 0x9000, 2 ** 22, DMA_FROM_DEVICE, 0, 0);
  iommu.flushTimer();
  expect.equal(restore(memory.image, saved), null);
  expect.deepEqual(diff(saved, snapshot(memory.image)), []);
  expect.equal(ops.translate(dev, first, false), 0x5000);
  expect.equal(typeof ops.translate(dev, second, true), "object");
  expect.deepEqual(iommu.verify(), []);
  expect.equal(iommu.counts().get(0)?.waiting, 0);
  expect.equal(iommu.counts().get(0)?.tableBytes, 4 * 4096);
  expect.equal(ops.mapPhysical(dev, 0x9000, 2 ** 22, DMA_FROM_DEVICE, 0, 0), second);
});

test("S10: a try below 4 GiB leaves the caches alone; the last try empties them", () => {
  const windows = [{ start: 0x1000, end: 0xfff00000 }];
  const wide = device({ streamingLimit: Number.MAX_SAFE_INTEGER });
  for (const dev of [wide, device()]) {
    const { ops } = rig({ windows });
    const held = Array.from({ length: 32 }, () =>
      ops.mapPhysical(dev, 0, 8 * 4096, DMA_TO_DEVICE, 0, 0),
    );
    for (const dma of held) ops.unmap(dev, dma, 8 * 4096, DMA_TO_DEVICE, 0, 0);
    const dma = ops.mapPhysical(dev, 0, 16 * 4096, DMA_TO_DEVICE, 0, 0);
    expect.equal(dma > 0xffffffff, dev === wide);
    expect.equal(dma > 0, true);
  }
});

test("S10: space that is just large enough but in pieces is called fragmented", () => {
  const { ops } = rig({ windows: [{ start: 0x1000, end: 0xfff00000 }] });
  const dev = device({ name: "0000:00:04.0" });
  const held = Array.from({ length: 4 }, () =>
    ops.mapPhysical(dev, 0, 64 * 4096, DMA_TO_DEVICE, 0, 0),
  );
  for (const i of [0, 2]) ops.unmap(dev, held[i] ?? 0, 64 * 4096, DMA_TO_DEVICE, 0, 0);
  expect.equal(ops.mapPhysical(dev, 0, 128 * 4096, DMA_TO_DEVICE, 0, 0), DMA_MAPPING_ERROR);
  expect.match(
    ops.lastWords ?? "",
    /^address space fragmented: 128 pages are free, the longest run 64,/,
  );
});

test("S10: callers who may wait get pages from anywhere, others one block or nothing", () => {
  const memory = memoryOf(1024, false);
  const { ops, iommu } = rig({ memory });
  const dev = device();
  iommu.attach(dev);
  const first = ops.allocCoherent(dev, 4096, KERNEL, 0, 0);
  expect.ok(first !== null);
  const taken: number[] = [];
  for (
    let pfn = allocPages(memory, ATOMIC, 0);
    pfn !== NO_PFN;
    pfn = allocPages(memory, ATOMIC, 0)
  ) {
    taken.push(pfn);
  }
  const odd = taken.filter((pfn) => pfn % 2 === 1);
  for (const pfn of odd) freePages(memory, pfn, 0);
  // What the marks held back until now, in pairs.
  while (allocPages(memory, ATOMIC, 1) !== NO_PFN);
  const before = freePagesOf(memory);
  expect.equal(ops.allocCoherent(dev, 3 * 4096, ATOMIC, 0, 0), null);
  expect.equal(ops.allocCoherent(dev, 3 * 4096, KERNEL, DMA_ATTR_FORCE_CONTIGUOUS, 0), null);
  expect.equal(ops.lastRefusal?.reason, "no memory");
  const block = ops.allocCoherent(dev, 3 * 4096 - 5, KERNEL, 0, 0);
  expect.ok(block !== null);
  expect.deepEqual(
    block.runs.map(({ length }) => length),
    [4096, 4096, 4096],
  );
  expect.equal(before - freePagesOf(memory), 3);
  for (const [i, { physical }] of block.runs.entries()) {
    expect.equal(ops.translate(dev, block.dma + i * 4096, true), physical);
  }
  ops.freeCoherent(dev, block, 0, 0);
  expect.equal(freePagesOf(memory), before);
});

test("an identity domain without ops of its own refuses everything", () => {
  const { ops } = rig({ mode: "identity" });
  const dev = device();
  const entry = { physical: 0, length: 8, dma: 0, dmaLength: 0 };
  expect.equal(ops.mapPhysical(dev, 0, 8, DMA_TO_DEVICE, 0, 0), DMA_MAPPING_ERROR);
  expect.equal(ops.mapSg(dev, [entry], DMA_TO_DEVICE, 0, 0), 0);
  expect.equal(ops.allocCoherent(dev, 8, KERNEL, 0, 0), null);
  expect.equal(ops.maskSupported(dev, 0xffffffff), false);
  expect.equal(typeof ops.translate(dev, 0, false), "object");
});
