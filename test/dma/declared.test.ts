// Goal: memory that a driver declares, or firmware gives, is used as each era's kernel used it, and as
// it was proposed in 2004. Method: a SCSI controller with memory of its own, a codec with two banks.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createDma,
  DECLARED_AS_PROPOSED,
  type Device,
  DMA_MEMORY_EXCLUSIVE,
  DMA_MEMORY_INCLUDES_CHILDREN,
  DMA_MEMORY_IO,
  DMA_MEMORY_MAP,
  type Dma,
  type DmaOptions,
  isFault,
  simpleDevice,
} from "../../src/dma/index.ts";
import { small } from "../support/dma.ts";

const BUS = 0xf000_0000; // where the CPU sees the controller's memory
const OWN = 0x10_0000; // where the controller itself sees it
const PAGE = 4096;

function scsi(options: DmaOptions): { readonly dma: Dma; readonly host: Device } {
  const dma = createDma(small(512, 256), { mappings: 1024, ...options });
  return { dma, host: dma.addDevice({ ...simpleDevice("scsi0", 32), driver: "NCR_Q720" }) };
}

const OLD: DmaOptions = { era: "2.6.11", arch: "i386" };

test("S9 2004: what declare returns, and what it refuses", () => {
  const { dma, host } = scsi(OLD);
  const declare = (size: number, flags: number): number =>
    dma.declareCoherentMemory(host, BUS, OWN, size, flags);
  assert.equal(declare(PAGE, 0), 0, "neither MAP nor IO");
  assert.equal(declare(0, DMA_MEMORY_MAP), 0);
  assert.equal(declare(8 * PAGE, DMA_MEMORY_IO | DMA_MEMORY_EXCLUSIVE), DMA_MEMORY_IO);
  assert.equal(declare(8 * PAGE, DMA_MEMORY_MAP), 0, "it has one already");
  dma.releaseDeclaredMemory(host);
  assert.equal(declare(8 * PAGE, DMA_MEMORY_MAP), DMA_MEMORY_MAP);
});

test("S9 since 4.13 declare returns 0 or an error, and flags went", () => {
  for (const era of ["4.19", "6.1"]) {
    const { dma, host } = scsi({ era });
    assert.equal(dma.declareCoherentMemory(host, BUS, OWN, 0), -22);
    assert.equal(dma.declareCoherentMemory(host, BUS, OWN, PAGE), 0);
    assert.equal(dma.declareCoherentMemory(host, BUS, OWN, PAGE), -16);
  }
});

test("S9 the CPU and the controller see the same bytes at their own addresses", () => {
  const { dma, host } = scsi(OLD);
  dma.declareCoherentMemory(host, BUS, OWN, 8 * PAGE, DMA_MEMORY_MAP);
  const script = dma.allocCoherent(host, 100);
  assert.ok(script !== null);
  assert.deepEqual([script.dma, script.physical], [OWN, BUS]);
  dma.cpuWrite(script.physical + 8, Uint8Array.of(1, 2, 3));
  assert.deepEqual(host.read(script.dma + 8, 3), Uint8Array.of(1, 2, 3));
  host.write(script.dma + 9, Uint8Array.of(9));
  assert.deepEqual(dma.cpuRead(script.physical + 8, 3), Uint8Array.of(1, 9, 3));
  dma.freeCoherent(host, script);
  const after = host.read(script.dma, 1);
  assert.ok(isFault(after) && after.reason === "freed");
});

test("S9 powers of two, aligned, first fit: three pages take four", () => {
  const { dma, host } = scsi(OLD);
  dma.declareCoherentMemory(host, BUS, OWN, 8 * PAGE, DMA_MEMORY_MAP | DMA_MEMORY_EXCLUSIVE);
  const one = dma.allocCoherent(host, PAGE);
  const three = dma.allocCoherent(host, 3 * PAGE);
  const two = dma.allocCoherent(host, 2 * PAGE);
  assert.deepEqual(
    [one, three, two].map((own) => ((own?.dma ?? 0) - OWN) / PAGE),
    [0, 4, 2],
  );
  assert.equal(dma.allocCoherent(host, 2 * PAGE), null, "exclusive: nothing else is asked");
  assert.equal(dma.reports.lastRefusal?.reason, "device's own memory is full");
  assert.ok(dma.allocCoherent(host, PAGE) !== null);
});

test("S9 a full area: ordinary memory unless exclusive; since 5.3 its answer is final", () => {
  for (const [options, falls] of [
    [OLD, true],
    [{ era: "4.19" }, true],
    [{ era: "6.1" }, false],
  ] as const) {
    const { dma, host } = scsi(options);
    dma.declareCoherentMemory(host, BUS, OWN, PAGE, DMA_MEMORY_MAP);
    dma.allocCoherent(host, PAGE);
    const second = dma.allocCoherent(host, PAGE);
    assert.equal(second !== null, falls, dma.era);
    if (second !== null) assert.ok(second.physical < BUS);
  }
});

test("S9 children: as proposed in 2004 they use the parent's area, merged kernels ignored them", () => {
  const flags = DMA_MEMORY_MAP | DMA_MEMORY_INCLUDES_CHILDREN | DMA_MEMORY_EXCLUSIVE;
  const childGets = (options: DmaOptions, given: number): number | undefined => {
    const { dma, host } = scsi(options);
    dma.declareCoherentMemory(host, BUS, OWN, 4 * PAGE, given);
    const child = dma.addDevice({ ...simpleDevice("sda", 32), parent: "scsi0" });
    return dma.allocCoherent(child, PAGE)?.physical;
  };
  const proposed = { ...OLD, declared: DECLARED_AS_PROPOSED };
  assert.equal(childGets(proposed, flags), BUS);
  assert.ok((childGets(proposed, flags & ~DMA_MEMORY_INCLUDES_CHILDREN) ?? BUS) < BUS);
  assert.ok((childGets(OLD, flags) ?? BUS) < BUS);
});

test("S9 a part that is occupied is not given out; before 2.6.3x only its first page was", () => {
  for (const [options, free] of [
    [OLD, 7],
    [{ era: "2.6.39" }, 4],
    [{ era: "4.19" }, 4],
  ] as const) {
    const { dma, host } = scsi(options);
    dma.declareCoherentMemory(host, BUS, OWN, 8 * PAGE, DMA_MEMORY_MAP | DMA_MEMORY_EXCLUSIVE);
    assert.equal(dma.markDeclaredMemoryOccupied(host, OWN, 4 * PAGE), BUS);
    let pages = 0;
    while (dma.allocCoherent(host, PAGE) !== null) pages++;
    assert.equal(pages, free, dma.era);
  }
  const now = scsi({ era: "6.1" });
  now.dma.declareCoherentMemory(now.host, BUS, OWN, 8 * PAGE);
  assert.equal(now.dma.markDeclaredMemoryOccupied(now.host, OWN, PAGE), -22);
});

test("S9 up to 2.6.2x one page of each 16 MiB was kept, as get_order() was given pages for bytes", () => {
  const { dma, host } = scsi(OLD);
  const MIB = 2 ** 20;
  dma.declareCoherentMemory(host, BUS, OWN, 40 * MIB, DMA_MEMORY_MAP | DMA_MEMORY_EXCLUSIVE);
  const keeps = (at: number, size: number, pages: number): void => {
    assert.equal(dma.markDeclaredMemoryOccupied(host, OWN + at, size), BUS + at);
    // The pages are in use, and the next one is not.
    const next = at + pages * PAGE;
    assert.equal(dma.markDeclaredMemoryOccupied(host, OWN + next - PAGE, PAGE), -16);
    assert.equal(dma.markDeclaredMemoryOccupied(host, OWN + next, PAGE), BUS + next);
  };
  keeps(0, 16 * MIB, 1);
  keeps(MIB, 16 * MIB + 1, 2);
  keeps(2 * MIB, 33 * MIB, 4);
  // An address inside a page belongs to the page: the CPU's address is that of the page.
  assert.equal(dma.markDeclaredMemoryOccupied(host, OWN + 3 * MIB + 8, 16 * MIB), BUS + 3 * MIB);
  assert.equal(dma.markDeclaredMemoryOccupied(host, OWN + 3 * MIB + PAGE, PAGE), -16);
  // The last page is one, behind it there is none; nor before the first.
  const last = 40 * MIB - PAGE;
  assert.equal(dma.markDeclaredMemoryOccupied(host, OWN + last, PAGE), BUS + last);
  assert.equal(dma.markDeclaredMemoryOccupied(host, OWN + 40 * MIB, PAGE), -22);
  assert.equal(dma.markDeclaredMemoryOccupied(host, OWN - PAGE, PAGE), -22);
});

test("S12 a codec with two memory banks has a child device for each", () => {
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024 });
  const codec = dma.addDevice({
    ...simpleDevice("codec", 32),
    regions: [
      { kind: "declared", start: 0x4300_0000, size: 8 * PAGE, name: "left" },
      { kind: "declared", start: 0x5100_0000, size: 8 * PAGE, name: "right" },
    ],
  });
  const right = dma.addDevice({ ...simpleDevice("codec-r", 32), parent: "codec" });
  assert.equal(dma.initReservedMemory(right, codec, 1), 0);
  assert.equal(dma.initReservedMemory(right, codec, 1), -16);
  assert.equal(dma.initReservedMemory(right, codec, 2), -19);
  assert.equal(dma.allocCoherent(codec, PAGE)?.physical, 0x4300_0000);
  assert.equal(dma.allocCoherent(right, PAGE)?.physical, 0x5100_0000);
});

test("S9 reserved memory beyond the device's masks is warned of", () => {
  const dma = createDma(small(512, 256), { era: "6.1", mappings: 1024 });
  const regions = [{ kind: "declared", start: 2 ** 33, size: PAGE }] as const;
  dma.addDevice({ ...simpleDevice("vpu", 32), driver: "hantro", regions });
  assert.deepEqual(dma.reports.log, [
    "hantro vpu: reserved memory is beyond device's set DMA address range",
  ]);
});
