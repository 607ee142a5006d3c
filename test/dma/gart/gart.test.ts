// Goal: S10: the scarce IOMMU of 2004: AMD's GART gives out what its bitmap has, as kernels of then did,
// and says so when it is full. Method: random programs beside an array of booleans that is searched as
// the kernel's words say; then options, overflow, lists and the boot's choice of an aperture by hand.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { createGart, type Gart, gartCounts, verifyGart } from "../../../src/dma/gart/gart.ts";
import { GartOps } from "../../../src/dma/gart/gart-ops.ts";
import {
  findAperture,
  GART_DEFAULTS,
  type GartOptions,
  parseGartOptions,
} from "../../../src/dma/gart/options.ts";
import type { SgEntry } from "../../../src/dma/ops.ts";
import {
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_MAPPING_ERROR,
  DMA_TO_DEVICE,
} from "../../../src/dma/words.ts";
import { gartRule } from "../../../src/kernels/gart.ts";
import { device, freePagesOf, memoryOf } from "../iommu/machine.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const BASE = 0xe0000000;
const HIGH = 5 * GIB;

interface SetUp {
  readonly version?: string;
  readonly options?: Partial<GartOptions>;
  readonly agp?: boolean;
  readonly size?: number;
}

function gart({ version = "2.6.9", options = {}, agp = false, size = 64 * MIB }: SetUp = {}): Gart {
  const made = createGart({
    memory: memoryOf(),
    rule: gartRule(version),
    aperture: { base: BASE, size, over: "hole" },
    options: { ...GART_DEFAULTS, ...options },
    agp,
    ramEnd: 8 * GIB,
  });
  expect.ok("bits" in made);
  return made;
}

const card = device({ name: "0000:01:00.0", driver: "nv" });

test("S10: half of the aperture is AGP's, the IOMMU has the upper one, emergency pages first", () => {
  const ops = new GartOps(gart({ agp: true, size: 128 * MIB }));
  const dma = ops.mapPhysical(card, HIGH + 5, 100, DMA_TO_DEVICE);
  expect.equal(dma, BASE + 64 * MIB + 32 * 4096 + 5);
  expect.equal(ops.translate(card, dma + 1), HIGH + 6);
  expect.equal(ops.badAddress, BASE + 64 * MIB);
  expect.deepEqual(ops.log, ["PCI-DMA: Reserving 64MB of IOMMU area in the AGP aperture"]);
  const small = new GartOps(gart({ agp: true }));
  expect.deepEqual(small.log, [
    "PCI-DMA: Warning: Small IOMMU 32MB. Consider increasing the AGP aperture in BIOS",
    "PCI-DMA: Reserving 32MB of IOMMU area in the AGP aperture",
  ]);
  // Nothing stops a device in a page that is free: it sees the scratch page.
  const scratch = ops.translate(card, dma + 4096);
  expect.equal(typeof scratch, "number");
  expect.equal(typeof ops.translate(card, ops.badAddress), "object");
  // Memory in reach is used as it is.
  expect.equal(ops.mapPhysical(card, GIB, 100, DMA_TO_DEVICE), GIB);
});

test("S10: the table's bytes are what the northbridge reads, to 40 bits of address", () => {
  const g = gart();
  const ops = new GartOps(g);
  const physical = 0xab_cdef_1000;
  const dma = ops.mapPhysical(card, physical, 4096, DMA_TO_DEVICE);
  expect.equal((g.entries[32] ?? 0) >>> 0, 0xcdef1ab3);
  expect.equal(ops.translate(card, dma), physical);
});

const op = fc.oneof(
  fc.record({
    kind: fc.constant("map" as const),
    offset: fc.nat(4095),
    size: fc.integer({ min: 1, max: 250000 }),
  }),
  fc.record({ kind: fc.constant("unmap" as const), which: fc.nat(50) }),
);

for (const version of ["2.6.9", "2.6.31"]) {
  test(`S10: random maps are placed by next fit, ${version}`, () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 120, size: "max" }), fc.boolean(), (ops, fullflush) => {
        const g = gart({ version, options: { size: 2 * MIB, fullflush } });
        const own = new GartOps(g);
        const dev = device({ segmentBoundary: 0x3ffff });
        const naive = new NaiveGart(g.pages, version === "2.6.31" ? 64 : null, version === "2.6.9");
        const held: [number, number][] = [];
        for (const step of ops) {
          if (step.kind === "map") {
            const size = Math.min(step.size, 200000);
            const dma = own.mapPhysical(dev, HIGH + step.offset, size, DMA_BIDIRECTIONAL);
            const at = naive.take(Math.ceil((step.offset + size) / 4096));
            if (own.panicked !== null) {
              expect.equal(at, -1);
              return;
            }
            expect.equal(dma, at < 0 ? DMA_MAPPING_ERROR : g.busBase + at * 4096 + step.offset);
            if (at < 0) continue;
            expect.equal(own.translate(dev, dma + size - 1), HIGH + step.offset + size - 1);
            held.push([dma, size]);
          } else if (held.length > 0) {
            const [block] = held.splice(step.which % held.length, 1);
            const [dma = 0, size = 0] = block ?? [];
            own.unmap(dev, dma, size);
            naive.give(
              (dma - (dma % 4096) - g.busBase) / 4096,
              Math.ceil(((dma % 4096) + size) / 4096),
            );
          }
          expect.deepEqual(verifyGart(g), []);
        }
        for (const [dma, size] of held) own.unmap(dev, dma, size);
        expect.equal(gartCounts(g).used, 0);
      }),
      { numRuns: 150 },
    );
  });
}

/** Pages as booleans, searched from the last block on. */
class NaiveGart {
  readonly taken: boolean[];
  readonly boundary: number | null;
  readonly wrapsToLast: boolean;
  next = 0;

  constructor(pages: number, boundary: number | null, wrapsToLast: boolean) {
    this.taken = Array.from({ length: pages }, (_, i) => i < 32);
    this.boundary = boundary;
    this.wrapsToLast = wrapsToLast;
  }

  #find(from: number, to: number, count: number): number {
    for (let at = from; at + count <= to; at++) {
      const period = this.boundary ?? this.taken.length + count;
      if ((at % period) + count > period) continue;
      if (this.taken.slice(at, at + count).every((one) => !one)) return at;
    }
    return -1;
  }

  take(count: number): number {
    let at = this.#find(this.next, this.taken.length, count);
    if (at < 0) at = this.#find(0, this.wrapsToLast ? this.next : this.taken.length, count);
    if (at < 0) return -1;
    this.taken.fill(true, at, at + count);
    this.next = at + count >= this.taken.length ? 0 : at + count;
    return at;
  }

  give(at: number, count: number): void {
    this.taken.fill(false, at, at + count);
  }
}

test("S10: a full aperture gives an error that names the device, large mappings and iommu=panic a panic", () => {
  const fill = (ops: GartOps): void => {
    for (let i = 0; i < 480; i++) ops.mapPhysical(card, HIGH, 4096, DMA_TO_DEVICE);
  };
  const ops = new GartOps(gart({ options: { size: 2 * MIB } }));
  fill(ops);
  expect.equal(ops.lastRefusal, null);
  expect.equal(ops.mapPhysical(card, HIGH, 4096, DMA_FROM_DEVICE), DMA_MAPPING_ERROR);
  const line = "PCI-DMA: Out of IOMMU space for 4096 bytes at device 0000:01:00.0";
  expect.deepEqual(ops.lastRefusal, { reason: "aperture full", message: line });
  expect.equal(ops.mapPhysical(card, HIGH, 132 * 1024, DMA_FROM_DEVICE), DMA_MAPPING_ERROR);
  expect.equal(ops.panicked, "Kernel panic: PCI-DMA: Memory would be corrupted");
  expect.equal(ops.mapPhysical(card, GIB, 1, DMA_TO_DEVICE), DMA_MAPPING_ERROR);
  const strict = new GartOps(gart({ options: { size: 2 * MIB, panic: true } }));
  fill(strict);
  strict.mapPhysical(card, HIGH, 4096, DMA_FROM_DEVICE);
  expect.equal(strict.panicked, "Kernel panic: dma_map_area overflow 4096 bytes");
  // Forced mappings fall back on memory that is in reach anyway.
  const forced = new GartOps(gart({ options: { size: 2 * MIB, force: true } }));
  fill(forced);
  expect.equal(forced.mapPhysical(card, GIB, 4096, DMA_TO_DEVICE), GIB);
  expect.equal(forced.lastRefusal, null);
});

const list = (...places: readonly [number, number][]): SgEntry[] =>
  places.map(([physical, length]) => ({ physical, length, dma: 0, dmaLength: 0 }));
const out = (entries: readonly SgEntry[]): number[][] => entries.map((e) => [e.dma, e.dmaLength]);

test("S10: lists merge where pages meet, unless iommu=nomerge; later kernels keep segments short", () => {
  const places: [number, number][] = [
    [HIGH + 0x800, 0x800],
    [HIGH + 0x9000, 4096],
    [GIB, 4096],
    [HIGH, 100],
  ];
  const first = BASE + 32 * 4096;
  const merging = new GartOps(gart());
  const merged = list(...places);
  expect.equal(merging.mapSg(card, merged, DMA_TO_DEVICE), 3);
  expect.deepEqual(out(merged), [
    [first + 0x800, 0x1800],
    [GIB, 4096],
    [first + 8192, 100],
    [DMA_MAPPING_ERROR, 0],
  ]);
  expect.equal(merging.translate(card, first + 4096), HIGH + 0x9000);
  merging.unmapSg(card, merged);
  expect.equal(gartCounts(merging.gart).used, 0);
  const single = list(...places);
  expect.equal(
    new GartOps(gart({ options: parseGartOptions("nomerge") })).mapSg(card, single, DMA_TO_DEVICE),
    4,
  );
  const forced = list(...places);
  expect.equal(
    new GartOps(gart({ options: parseGartOptions("force") })).mapSg(card, forced, DMA_TO_DEVICE),
    1,
  );
  const short = device({ maxSegmentSize: 4096 });
  const later = list(...places);
  expect.equal(new GartOps(gart({ version: "2.6.31" })).mapSg(short, later, DMA_TO_DEVICE), 4);
});

test("S10: a list that does not fit is taken back whole; forced lists keep what needs the aperture", () => {
  const ops = new GartOps(gart({ options: { size: 2 * MIB } }));
  const big = list([HIGH, MIB], [HIGH + 2 * MIB + 1, 2 * MIB]);
  expect.equal(ops.mapSg(card, big, DMA_TO_DEVICE), 0);
  expect.deepEqual(out(big), [
    [DMA_MAPPING_ERROR, 0],
    [DMA_MAPPING_ERROR, 0],
  ]);
  expect.equal(gartCounts(ops.gart).used, 0);
  expect.equal(ops.lastRefusal?.reason, "aperture full");
  const forced = new GartOps(gart({ options: { size: 2 * MIB, force: true } }));
  const mixed = list([GIB, 4 * MIB], [HIGH, 4096]);
  expect.equal(forced.mapSg(card, mixed, DMA_TO_DEVICE), 2);
  expect.deepEqual(out(mixed), [
    [GIB, 4 * MIB],
    [forced.gart.busBase + 32 * 4096, 4096],
  ]);
});

test("S10: without fullflush the northbridge forgets only when the search wraps", () => {
  for (const [fullflush, flushes] of [
    [true, 3],
    [false, 0],
  ] as const) {
    const ops = new GartOps(gart({ options: { fullflush } }));
    const first = ops.mapPhysical(card, HIGH, 4096, DMA_TO_DEVICE);
    expect.equal(ops.translate(card, first), HIGH);
    ops.unmap(card, first, 4096);
    // Unmapping flushes nothing: the device still reaches the memory.
    expect.equal(ops.translate(card, first), HIGH);
    for (let i = 0; i < 2; i++) ops.mapPhysical(card, HIGH, 4096, DMA_TO_DEVICE);
    expect.equal(ops.translate(card, first) === HIGH, !fullflush);
    expect.equal(gartCounts(ops.gart).flushes, flushes);
  }
});

test("S10: coherent memory goes through the aperture when it lies high, or is asked for low", () => {
  const memory = memoryOf(1024, false);
  const before = freePagesOf(memory);
  const made = createGart({
    memory,
    rule: gartRule("2.6.9"),
    aperture: { base: BASE, size: 64 * MIB, over: "hole" },
    options: { ...GART_DEFAULTS, force: true },
    agp: false,
    ramEnd: 8 * GIB,
  });
  expect.ok("bits" in made);
  // The table of 64 MiB, and the scratch page.
  expect.equal(before - freePagesOf(memory), 16 + 1);
  const ops = new GartOps(made);
  const block = ops.allocCoherent(card, 5000, 0xcc0);
  expect.equal(block?.dma, BASE + 32 * 4096);
  if (block !== null) ops.freeCoherent(card, block);
  expect.equal(before - freePagesOf(memory), 17);
  // A mask of 12 bits: no aperture, GFP_DMA, and then no.
  const narrow = device({ coherentLimit: 0xfff, streamingLimit: 0xfff });
  expect.equal(ops.allocCoherent(narrow, 4096, 0xcc0)?.dma ?? -1, -1);
  expect.equal(ops.lastRefusal?.reason, "mask");
  expect.deepEqual(
    [ops.maskSupported(card, 0xfffff), ops.maskSupported(card, 0xffffffff)],
    [false, true],
  );
});

test("S10: iommu= is read by beginnings, as the kernel does", () => {
  const of = (text: string): Partial<GartOptions> => {
    const options = parseGartOptions(text);
    const changed = Object.entries(options).filter(
      ([name, value]) => value !== GART_DEFAULTS[name as keyof GartOptions],
    );
    return Object.fromEntries(changed);
  };
  expect.deepEqual(of("merge,panic"), { force: true, panic: true });
  expect.deepEqual(of("force,nomerge,nofullflush"), {
    force: true,
    merge: false,
    fullflush: false,
  });
  expect.deepEqual(of("forcesac"), { force: true, forcesac: true });
  expect.deepEqual(of("memaper=3,noagp"), { memaper: true, order: 3, noagp: true });
  expect.deepEqual(of("134217728,soft"), { size: 128 * MIB, soft: true });
  expect.deepEqual(of("noforce,nonsense"), { merge: false });
  expect.deepEqual(of("panic,nopanic"), {});
});

test("S10: an aperture comes from the firmware, or costs RAM below 4 GiB", () => {
  const ram = [
    { start: 0, end: 3.5 * GIB },
    { start: 4 * GIB, end: 6 * GIB },
  ];
  const free = [{ start: 16 * MIB, end: 3.5 * GIB }];
  const ask = { ram, free, options: GART_DEFAULTS };
  const good = findAperture({ ...ask, firmware: { base: BASE, size: 128 * MIB } });
  expect.deepEqual(good.aperture, { base: BASE, size: 128 * MIB, over: "hole" });
  const small = findAperture({ ...ask, firmware: { base: BASE, size: 32 * MIB } });
  expect.deepEqual(small.aperture, { base: 64 * MIB, size: 64 * MIB, over: "ram" });
  expect.deepEqual(small.log.slice(2), [
    "Aperture from northbridge cpu 0 too small (32 MB)",
    "Your BIOS doesn't leave a aperture memory hole",
    "Please enable the IOMMU option in the BIOS setup",
    "This costs you 64 MB of RAM",
    "Mapping aperture over 65536 KB of RAM @ 4000000",
  ]);
  const little = [{ start: 0, end: GIB }];
  expect.equal(findAperture({ ...ask, ram: little, free: little, firmware: null }).aperture, null);
  const two = { ...GART_DEFAULTS, memaper: true, order: 6 };
  const none = findAperture({
    ...ask,
    free: [{ start: MIB, end: 3.5 * GIB }],
    options: two,
    firmware: null,
  });
  expect.equal(none.panic, "Not enough memory for aperture");
  expect.equal(
    findAperture({ ...ask, firmware: { base: GIB, size: GIB } }).log[2],
    "Aperture from northbridge cpu 0 pointing to e820 RAM. Ignoring.",
  );
});

test("S10: the GART stays off where memory ends below 4 GiB, with iommu=off and with iommu=soft", () => {
  const with_ = (options: Partial<GartOptions>, ramEnd: number): unknown =>
    createGart({
      memory: memoryOf(1024, false),
      rule: gartRule("2.6.9"),
      aperture: { base: BASE, size: 64 * MIB, over: "hole" },
      options: { ...GART_DEFAULTS, ...options },
      agp: false,
      ramEnd,
    });
  expect.deepEqual(with_({}, 2 * GIB), ["PCI-DMA: Disabling IOMMU."]);
  expect.deepEqual(with_({ off: true }, 8 * GIB), ["PCI-DMA: Disabling IOMMU."]);
  expect.deepEqual(with_({ soft: true }, 8 * GIB), [
    "PCI-DMA: Using software bounce buffering for IO (SWIOTLB)",
  ]);
  expect.equal(Array.isArray(with_({ force: true }, 2 * GIB)), false);
});

test("S10: nothing asks whether a device of fewer than 32 bits reaches the aperture", () => {
  const ops = new GartOps(gart());
  const narrow = device({ streamingLimit: 2 ** 29 - 1 });
  const dma = ops.mapPhysical(narrow, HIGH, 4096, DMA_TO_DEVICE);
  expect.equal(dma > narrow.streamingLimit, true);
  expect.equal(ops.translate(narrow, dma), HIGH);
});

test("S10: borders: 128 KiB is not too large, an empty list is no list, the part ends at 2 MiB", () => {
  expect.equal(gart({ options: { size: 3 * MIB } }).size, 2 * MIB);
  const ops = new GartOps(gart({ options: { size: 2 * MIB } }));
  expect.equal(ops.mapSg(card, [], DMA_TO_DEVICE), 0);
  for (let i = 0; i < 480; i++) ops.mapPhysical(card, HIGH, 4096, DMA_TO_DEVICE);
  expect.equal(ops.mapPhysical(card, HIGH, 128 * 1024, DMA_FROM_DEVICE), DMA_MAPPING_ERROR);
  expect.equal(ops.panicked, null);
  ops.mapPhysical(card, HIGH, 128 * 1024 + 1, DMA_TO_DEVICE);
  expect.equal(ops.panicked, "Kernel panic: PCI-DMA: Random memory would be DMAed");
  expect.equal(ops.mapSg(card, list([GIB, 4]), DMA_TO_DEVICE), 0);
  expect.equal(ops.lastRefusal?.reason, "panicked");
  expect.equal(ops.allocCoherent(card, 4096, 0xcc0), null);
});

test("S10: a forced list that fails for good is flushed, and never panics", () => {
  const ops = new GartOps(gart({ options: { size: 2 * MIB, force: true } }));
  const before = gartCounts(ops.gart).flushes;
  const big = list([HIGH, 4096], [HIGH + MIB, 4 * MIB]);
  expect.equal(ops.mapSg(card, big, DMA_FROM_DEVICE), 0);
  expect.equal(ops.panicked, null);
  expect.equal(gartCounts(ops.gart).used, 0);
  // Once for the merged try, once for the single ones.
  expect.equal(gartCounts(ops.gart).flushes - before, 2);
  expect.equal(ops.lastRefusal?.reason, "aperture full");
});
