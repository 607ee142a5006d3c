// Goal: memory in parts is one run of addresses for the device and a row of bytes for the CPU, belongs
// to both in turn, and goes back to where it came from; processes get the pages that the kernel gives
// them and no others. Method: random lives on every way to memory beside arrays; the rules one by one.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type CpuView,
  createDma,
  DMA_ATTR_ALLOC_SINGLE_PAGES,
  DMA_ATTR_NO_WARN,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type DmaTable,
  isFault,
  simpleDevice,
} from "../../src/dma/index.ts";
import { allocPages, freePages, GFP_ATOMIC, GFP_DMA, GFP_KERNEL } from "../../src/mm/index.ts";
import { small } from "../support/dma.ts";
import {
  gartSetup,
  identitySetup,
  type Knobs,
  lazySetup,
  plainSetup,
  poolOpsSetup,
  type Setup,
  strictSetup,
  swiotlbSetup,
} from "../support/dma-setups.ts";
import { freePagesOf } from "./iommu/machine.ts";

const PAGE = 4096;
const ENXIO = -6;
const SETUPS: Readonly<Record<string, (knobs: Knobs) => Setup>> = {
  "without an IOMMU": plainSetup,
  "beside swiotlb": swiotlbSetup,
  "from a mask pool": poolOpsSetup,
  "behind a strict IOMMU": strictSetup,
  "behind a lazy IOMMU": lazySetup,
  "behind an IOMMU that lets everything through": identitySetup,
  "behind a GART": gartSetup,
};
const KNOBS: Knobs = {
  bits: 32,
  coherent: true,
  offset: 0,
  force: false,
  debug: true,
  era: "6.1",
};

/** Takes every second page, so that nothing lies together any more. */
function scatter({ memory }: Setup): () => void {
  const taken: number[] = [];
  for (let pfn = allocPages(memory, GFP_KERNEL, 0); pfn >= 0; ) {
    taken.push(pfn);
    pfn = allocPages(memory, GFP_KERNEL, 0);
  }
  // Freed from above, so that the lowest is given first.
  taken.sort((a, b) => b - a);
  for (const [i, pfn] of taken.entries()) if (i % 2 === 0) freePages(memory, pfn, 0);
  return () => {
    for (const [i, pfn] of taken.entries()) if (i % 2 === 1) freePages(memory, pfn, 0);
  };
}

interface Held {
  readonly table: DmaTable;
  readonly view: CpuView;
  readonly bytes: Uint8Array;
}

/** The CPU fills a part, the device reads all and fills another, the CPU reads all. */
function takeTurns({ dma, device }: Setup, { table, view, bytes }: Held, at: number): void {
  const offset = at % table.size;
  const part = Uint8Array.from({ length: Math.min(5000, table.size - offset) }, (_, i) => at + i);
  dma.syncSgForCpu(device, table.entries, DMA_BIDIRECTIONAL);
  assert.ok(view.write(offset, part));
  bytes.set(part, offset);
  dma.syncSgForDevice(device, table.entries, DMA_BIDIRECTIONAL);
  const seen = device.read(table.dma, table.size);
  assert.ok(!isFault(seen), isFault(seen) ? seen.reason : "");
  assert.equal(Buffer.compare(seen, bytes), 0, "the device sees other bytes");
  assert.equal(device.write(table.dma + (at % 7), Uint8Array.of(at % 251)), null);
  bytes[at % 7] = at % 251;
  dma.syncSgForCpu(device, table.entries, DMA_BIDIRECTIONAL);
  assert.deepEqual(view.read(0, table.size), bytes);
}

for (const [row, make] of Object.entries(SETUPS)) {
  test(`memory in parts, ${row}`, () => {
    const knobs = fc.record({
      bits: fc.constantFrom(22, 32, 64),
      coherent: fc.boolean(),
      offset: fc.constant(0),
      force: fc.constant(false),
      debug: fc.boolean(),
      era: fc.constantFrom("5.10", "6.1", "6.12"),
    });
    const moves = fc.array(fc.tuple(fc.nat({ max: 7 }), fc.nat({ max: 60000 }), fc.nat()), {
      maxLength: 20,
      size: "max",
    });
    let given = 0;
    fc.assert(
      fc.property(knobs, moves, (knob, program) => {
        const setup = make(knob);
        const { dma, device, memory } = setup;
        const first = dma.allocNoncontiguous(device, PAGE, DMA_BIDIRECTIONAL);
        if (first !== null) dma.freeNoncontiguous(device, first, DMA_BIDIRECTIONAL);
        const before = freePagesOf(memory);
        const held: Held[] = [];
        const end = ({ table, view }: Held): void => {
          view.unmap();
          assert.equal(view.read(0, 1), null);
          dma.freeNoncontiguous(device, table, DMA_BIDIRECTIONAL);
        };
        for (const [what, length, at] of program) {
          const own = held[at % Math.max(1, held.length)];
          if (what < 3 || own === undefined) {
            const size = Math.max(8, length);
            const gfp = what === 0 ? GFP_ATOMIC : GFP_KERNEL;
            const table = dma.allocNoncontiguous(device, size, DMA_BIDIRECTIONAL, gfp);
            if (table === null) continue;
            given++;
            const view = dma.vmapNoncontiguous(table);
            dma.syncSgForCpu(device, table.entries, DMA_BIDIRECTIONAL);
            assert.ok(view.write(0, new Uint8Array(size)));
            dma.syncSgForDevice(device, table.entries, DMA_BIDIRECTIONAL);
            held.push({ table, view, bytes: new Uint8Array(size) });
          } else if (what < 6) takeTurns(setup, own, at);
          else end(...(held.splice(held.indexOf(own), 1) as [Held]));
        }
        for (const own of held) end(own);
        assert.equal(dma.liveMappings(), 0);
        assert.equal(setup.left(), 0);
        assert.equal(dma.reports.misuses.map(({ words }) => words).join(), "");
        if (row !== "behind a lazy IOMMU") assert.equal(freePagesOf(memory), before);
      }),
      { numRuns: 30 },
    );
    assert.ok(given > 30, `${given} only`);
  });
}

test("where nothing lies together an IOMMU still gives, and all else refuses", () => {
  for (const [make, gives] of [
    [strictSetup, true],
    [plainSetup, false],
    [identitySetup, false],
  ] as const) {
    const setup = make(KNOBS);
    const undo = scatter(setup);
    const { dma, device } = setup;
    const table = dma.allocNoncontiguous(device, 5 * PAGE, DMA_TO_DEVICE);
    assert.equal(table !== null, gives);
    if (table !== null) {
      assert.equal(table.entries.length, 5);
      const [first, second] = table.entries;
      assert.deepEqual([first?.dmaLength, second?.dmaLength], [5 * PAGE, 0]);
      assert.equal(first?.dma, table.dma);
      dma.freeNoncontiguous(device, table, DMA_TO_DEVICE);
    }
    undo();
  }
});

test("ALLOC_SINGLE_PAGES is the only attribute, zone bits and sizes of nothing are refused", () => {
  for (const make of [strictSetup, plainSetup]) {
    const { dma, device } = make(KNOBS);
    const ask = (size: number, gfp: number, attrs: number): string => {
      const table = dma.allocNoncontiguous(device, size, DMA_TO_DEVICE, gfp, attrs);
      if (table === null) return dma.reports.lastRefusal?.reason ?? "";
      dma.freeNoncontiguous(device, table, DMA_TO_DEVICE);
      return "given";
    };
    assert.equal(ask(PAGE, GFP_KERNEL, DMA_ATTR_ALLOC_SINGLE_PAGES), "given");
    assert.equal(ask(PAGE, GFP_KERNEL, DMA_ATTR_NO_WARN), "attributes");
    assert.equal(ask(PAGE, GFP_KERNEL | GFP_DMA, 0), "zone bits");
    assert.equal(ask(0, GFP_KERNEL, 0), "size");
  }
});

test("behind an IOMMU it is not zeroed unless asked; without one it always is", () => {
  for (const [make, stale] of [
    [strictSetup, true],
    [plainSetup, false],
  ] as const) {
    const { dma, device, memory } = make(KNOBS);
    const take = (gfp: number): CpuView => {
      const table = dma.allocNoncontiguous(device, PAGE, DMA_TO_DEVICE, gfp);
      assert.ok(table !== null);
      const view = dma.vmapNoncontiguous(table);
      dma.freeNoncontiguous(device, table, DMA_TO_DEVICE);
      return view;
    };
    // The page that was freed last is given next, with what was left in it.
    assert.ok(take(GFP_KERNEL).write(9, Uint8Array.of(0x5a)));
    assert.equal(take(GFP_KERNEL).read(9, 1)?.[0], stale ? 0x5a : 0);
    assert.equal(take(GFP_KERNEL | memory.gfp.zero).read(9, 1)?.[0], 0);
  }
});

test("a sync of a list that an IOMMU merged leaves the lines of its neighbours alone", () => {
  const setup = strictSetup({ ...KNOBS, coherent: false });
  const undo = scatter(setup);
  const { dma, device } = setup;
  const table = dma.allocNoncontiguous(device, 3 * PAGE, DMA_FROM_DEVICE);
  assert.ok(table !== null);
  // A page between the parts, that is another's and dirty in the cache.
  const between = (table.entries[0]?.physical ?? 0) + PAGE;
  assert.ok(!table.entries.some(({ physical }) => physical === between));
  assert.ok(dma.cpuWrite(between, Uint8Array.of(42)));
  dma.syncSgForCpu(device, table.entries, DMA_FROM_DEVICE);
  assert.deepEqual(dma.cpuRead(between, 1), Uint8Array.of(42));
  dma.freeNoncontiguous(device, table, DMA_FROM_DEVICE);
  undo();
});

test("what is freed wrongly is named", () => {
  const { dma, device } = strictSetup(KNOBS);
  const table = dma.allocNoncontiguous(device, PAGE, DMA_TO_DEVICE);
  assert.ok(table !== null);
  dma.freeNoncontiguous(device, table, DMA_FROM_DEVICE);
  dma.freeNoncontiguous(device, table, DMA_TO_DEVICE);
  const kinds = dma.reports.misuses.map(({ kind }) => kind);
  assert.deepEqual(kinds, ["different direction", "not allocated"]);
});

test("pages for those who may not wait come from the allocator, not from the atomic pools", () => {
  const { dma, device } = plainSetup({ ...KNOBS, coherent: false });
  const free = freePagesOf(dma.memory);
  const pages = dma.allocPages(device, 2 * PAGE, DMA_TO_DEVICE, GFP_ATOMIC);
  assert.ok(pages !== null);
  assert.equal(freePagesOf(dma.memory), free - 2);
  dma.freePages(device, pages, DMA_TO_DEVICE);
  assert.equal(freePagesOf(dma.memory), free);
});

/** Physical address behind byte `at` of a view; the error where there is none. */
function behind(view: CpuView | number, at = 0): number {
  return typeof view === "number" ? view : view.physicalAt(at);
}

test("a process gets the pages that the buffer has, from its offset on", () => {
  for (const make of [plainSetup, strictSetup, gartSetup]) {
    const { dma, device } = make(KNOBS);
    const buffer = dma.allocCoherent(device, 3 * PAGE - 100);
    const pages = dma.allocPages(device, 3 * PAGE, DMA_TO_DEVICE);
    const table = dma.allocNoncontiguous(device, 3 * PAGE, DMA_TO_DEVICE);
    assert.ok(buffer !== null && pages !== null && table !== null);
    for (const map of [
      (area: { pages: number; pgoff: number }) => dma.mmapCoherent(device, area, buffer),
      (area: { pages: number; pgoff: number }) => dma.mmapPages(area, pages),
      (area: { pages: number; pgoff: number }) => dma.mmapNoncontiguous(area, table),
    ]) {
      const whole = map({ pages: 3, pgoff: 0 });
      assert.ok(typeof whole !== "number");
      assert.equal(whole.length, 3 * PAGE);
      assert.equal(whole.physicalAt(3 * PAGE), -1);
      assert.equal(behind(map({ pages: 1, pgoff: 2 }), 5), whole.physicalAt(2 * PAGE + 5));
      assert.equal(map({ pages: 2, pgoff: 2 }), ENXIO, "one page too many");
      assert.equal(map({ pages: 1, pgoff: 3 }), ENXIO, "behind the end");
      assert.equal(map({ pages: 4, pgoff: 0 }), ENXIO);
      assert.ok(whole.write(PAGE - 1, Uint8Array.of(7, 8)));
      assert.deepEqual(whole.read(PAGE - 1, 2), Uint8Array.of(7, 8));
      assert.ok(!whole.write(3 * PAGE - 1, Uint8Array.of(1, 2)), "over the end");
    }
    // The driver's word of the size is believed, as long as one block goes on.
    assert.equal(behind(dma.mmapPages({ pages: 2, pgoff: 0 }, pages, PAGE)), ENXIO);
  }
});

test("gathered pages are mapped one by one, and listed up to the buffer's end", () => {
  const setup = strictSetup(KNOBS);
  const undo = scatter(setup);
  const { dma, device } = setup;
  const buffer = dma.allocCoherent(device, 2 * PAGE + 10);
  assert.ok(buffer !== null);
  const [a, b, c] = buffer.block.runs;
  const view = dma.mmapCoherent(device, { pages: 2, pgoff: 1 }, buffer);
  assert.deepEqual([behind(view), behind(view, PAGE)], [b?.physical, c?.physical]);
  const list = dma.getSgtable(device, buffer);
  assert.deepEqual(
    list.map(({ physical, length }) => [physical, length]),
    [
      [a?.physical, PAGE],
      [b?.physical, PAGE],
      [c?.physical, 10],
    ],
  );
  assert.equal(dma.mapSg(device, list, DMA_TO_DEVICE) > 0, true, "another device's list");
  dma.unmapSg(device, list, DMA_TO_DEVICE);
  undo();
  const other = plainSetup(KNOBS);
  const block = other.dma.allocCoherent(other.device, PAGE + 1);
  assert.ok(block !== null);
  const [entry] = other.dma.getSgtable(other.device, block);
  assert.deepEqual([entry?.physical, entry?.length], [block.physical, 2 * PAGE]);
});

test("a device's own memory is mapped where the CPU sees it", () => {
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024 });
  const host = dma.addDevice({ ...simpleDevice("scsi0", 32), driver: "NCR_Q720" });
  dma.declareCoherentMemory(host, 0xf000_0000, 0x10_0000, 4 * PAGE);
  dma.allocCoherent(host, PAGE);
  const script = dma.allocCoherent(host, PAGE);
  assert.ok(script !== null);
  const view = dma.mmapCoherent(host, { pages: 1, pgoff: 0 }, script);
  assert.equal(behind(view), 0xf000_0000 + PAGE);
  assert.equal(dma.mmapCoherent(host, { pages: 2, pgoff: 0 }, script), ENXIO);
  // What does not lie in the area whole is looked for by the device's address.
  const beyond = dma.mmapCoherent(host, { pages: 4, pgoff: 0 }, script, 4 * PAGE);
  assert.equal(behind(beyond), 0x10_0000 + PAGE);
});
