// Goal: on a machine with a mask pool a correct driver sees the bytes of an ideal machine, whatever its
// device reaches; coherent memory lies in reach, or is refused with a reason. Method: the programs of
// the DMA API that all ways to reach memory are held to, with pools of both kinds; then masks, windows and
// refusals by hand.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import {
  createDma,
  type DeviceSpec,
  type Dma,
  isFault,
  sgList,
  simpleDevice,
} from "../../../src/dma/index.ts";
import { bootWithMaskPool, type PooledMemory } from "../../../src/dma/mask-pool/boot-mask-pool.ts";
import type { PoolMethod } from "../../../src/dma/mask-pool/mask-pool.ts";
import { createPoolBounce } from "../../../src/dma/mask-pool/pool-bounce.ts";
import { createPoolOps } from "../../../src/dma/mask-pool/pool-ops.ts";
import { DMA_TO_DEVICE, NO_LIMIT } from "../../../src/dma/words.ts";
import { GFP_ATOMIC, GFP_KERNEL } from "../../../src/mm/gfp.ts";
import { verify } from "../../../src/mm/verify.ts";
import { Program, steps } from "../../support/dma-program.ts";
import type { Setup } from "../../support/dma-setups.ts";

const PAGE = 4096;
/** Pages of the machine. */
const PAGES = 1024;
const DMA_PAGES = 256;

interface Machine extends PooledMemory {
  readonly bounce: ReturnType<typeof createPoolBounce>;
}

function machine(method: PoolMethod, force: boolean, poolPages: number): Machine {
  const ram = new Uint8Array(PAGES * PAGE);
  const zones = [
    { name: "DMA", startPfn: 0, pages: DMA_PAGES },
    { name: "Normal", startPfn: DMA_PAGES, pages: PAGES - DMA_PAGES },
  ];
  const own = bootWithMaskPool(
    { zones, bytes: ram, minFreeKbytes: 0, lowmemReserveRatio: [0, 0] },
    { method, force, pages: poolPages },
  );
  const bounce = createPoolBounce(own.memory.image, own.pool, {
    gfp: GFP_ATOMIC,
    endPfn: PAGES,
    copiesAlways: true,
    copy: (from, to, length) => ram.copyWithin(to, from, from + length),
  });
  return { ...own, bounce };
}

/** What differs from program to program. */
interface Knobs {
  readonly bits: number;
  readonly coherent: boolean;
  readonly forceBounce: boolean;
  readonly debug: boolean;
}

function setup(knobs: Knobs, method: PoolMethod, force: boolean): { own: Machine; setup: Setup } {
  const own = machine(method, force, 128);
  const { memory, pool, bounce } = own;
  const { bits, debug, ...more } = knobs;
  const card = { ...simpleDevice("0000:00:04.0", bits), driver: "e1000", ...more, iommu: true };
  const dma = createDma(memory, {
    era: "6.1",
    debug: debug ? { allErrors: true } : false,
    ops: createPoolOps(memory, pool, bounce),
    bounce,
    aside: pool.ranges,
    devices: [card],
    mappings: 1024,
    maxDevices: 8,
  });
  const align = knobs.coherent && !debug ? 1 : 64;
  const device = dma.device(card.name);
  const left = (): number => bounce.live();
  return { own, setup: { name: method, memory, dma, device, align, fills: false, left } };
}

const knobs: fc.Arbitrary<Knobs> = fc.record({
  bits: fc.constantFrom(18, 20, 21, 22, 32, 64),
  coherent: fc.boolean(),
  forceBounce: fc.boolean(),
  debug: fc.boolean(),
});

for (const method of ["range tree", "buddy scan"] as const) {
  test(`${method}: any correct program sees the bytes of an ideal machine`, () => {
    let compared = 0;
    let refused = 0;
    fc.assert(
      fc.property(knobs, fc.boolean(), steps, (knob, force, program) => {
        const { own, setup: made } = setup(knob, method, force);
        const run = new Program(made);
        run.run(program);
        run.end();
        compared += run.compared;
        refused += run.refused;
        expect.deepEqual(made.dma.reports.misuses, []);
        expect.equal(own.pool.source.free(), own.pool.pages);
        const broken = [own.pool.source.verify(), own.bounce.verify(), verify(own.memory)];
        expect.deepEqual(broken.flat(), []);
      }),
      { numRuns: 100 },
    );
    expect.ok(compared > 100 && refused < compared, `${compared} compared, ${refused} refused`);
  });
}

function dmaOf(own: Machine, spec: Partial<DeviceSpec> & { bits: number }): Dma {
  const { bits, ...more } = spec;
  const ops = createPoolOps(own.memory, own.pool, own.bounce);
  const card = { ...simpleDevice("card", bits), driver: "card", ...more, iommu: true };
  const { bounce, pool } = own;
  return createDma(own.memory, { era: "6.1", ops, bounce, aside: pool.ranges, devices: [card] });
}

test("a mask is taken when it reaches a page of the pool: there is no zone to cover", () => {
  const limits: number[] = [];
  for (const bits of [11, 12, 17, 22, 64]) {
    const dma = dmaOf(machine("range tree", false, DMA_PAGES), { bits });
    limits.push(dma.device("card").streamingLimit);
  }
  // 11 bits reach half a page: the mask stays at 32.
  expect.deepEqual(limits, [0xffffffff, 0xfff, 0x1ffff, 0x3fffff, NO_LIMIT]);
});

test("coherent memory: the highest place in reach, zeroed, and back to where it was", () => {
  const own = machine("range tree", false, DMA_PAGES);
  const dma = dmaOf(own, { bits: 17 });
  const card = dma.device("card");
  own.memory.bytes?.fill(0xee, 0, DMA_PAGES * PAGE);
  const buffer = dma.allocCoherent(card, 10_000);
  expect.equal(buffer?.physical, (32 - 3) * PAGE);
  expect.ok(own.memory.bytes?.subarray(29 * PAGE, 32 * PAGE).every((byte) => byte === 0));
  expect.equal(own.memory.bytes?.[29 * PAGE - 1], 0xee);
  if (buffer !== null) dma.freeCoherent(card, buffer);
  expect.equal(own.pool.source.free(), own.pool.pages);
});

test("several windows: the highest first, and never across their edges", () => {
  const own = machine("range tree", true, DMA_PAGES);
  const windows = [
    { cpuStart: 8 * PAGE, dmaStart: 0x10000, size: 4 * PAGE },
    { cpuStart: 100 * PAGE, dmaStart: 0x40000, size: 2 * PAGE },
  ];
  const dma = dmaOf(own, { bits: 32, windows });
  const card = dma.device("card");
  const take = (size: number): number | undefined => dma.allocCoherent(card, size)?.dma;
  expect.equal(take(PAGE), 0x41000);
  expect.equal(take(3 * PAGE), 0x11000);
  expect.equal(take(PAGE), 0x40000);
  expect.equal(take(PAGE), 0x10000);
  expect.equal(take(PAGE), undefined);
  // A buffer over the edge of a window bounces as one that lies outside; here nothing is left.
  expect.equal(dma.mapSingle(card, 11 * PAGE, 200, DMA_TO_DEVICE), 0x13000);
  const edge = dma.mapSingle(card, 12 * PAGE - 100, 200, DMA_TO_DEVICE);
  expect.ok(dma.mappingError(card, edge));
});

test("a list is mapped whole or not at all", () => {
  const own = machine("range tree", true, 4);
  const dma = dmaOf(own, { bits: 20 });
  const card = dma.device("card");
  const entries = [1, 2, 3].map((i) => ({ physical: (400 + 8 * i) * PAGE, length: 2 * PAGE }));
  const list = sgList(entries);
  expect.equal(dma.mapSg(card, list, DMA_TO_DEVICE), 0);
  expect.deepEqual([own.bounce.live(), own.pool.source.free()], [0, 4]);
  expect.equal(dma.mapSg(card, sgList(entries.slice(1)), DMA_TO_DEVICE), 2);
});

test("the bus carries its last address; a device that always bounces is told what fits", () => {
  const own = machine("range tree", true, 16);
  const limited = dmaOf(own, { bits: 32, busLimit: 16 * PAGE - 1 });
  const card = limited.device("card");
  const buffer = limited.allocCoherent(card, PAGE);
  expect.equal(buffer?.dma, 15 * PAGE);
  expect.ok(!isFault(card.read(15 * PAGE, PAGE)));
  expect.ok(!isFault(card.read(16 * PAGE - 1, 1)));
  const forced = dmaOf(machine("range tree", true, 16), { bits: 64, forceBounce: true });
  expect.equal(forced.maxMappingSize(forced.device("card")), 16 * PAGE);
  const free = dmaOf(machine("range tree", true, 16), { bits: 64 });
  expect.equal(free.maxMappingSize(free.device("card")), NO_LIMIT);
});

test("who may wait is refused for now, who may not for good, with the line of 2008", () => {
  const own = machine("range tree", true, 16);
  const dma = dmaOf(own, { bits: 20 });
  const card = dma.device("card");
  expect.ok(dma.allocCoherent(card, 16 * PAGE) !== null);
  expect.equal(dma.allocCoherent(card, PAGE, GFP_KERNEL), null);
  expect.equal(dma.reports.lastRefusal?.reason, "no memory now");
  expect.equal(dma.reports.lastRefusal?.message, null);
  expect.equal(dma.allocCoherent(card, PAGE, GFP_ATOMIC), null);
  const { reason, message } = dma.reports.lastRefusal ?? {};
  expect.equal(reason, "no memory");
  expect.equal(message, "card: Cannot allocate maskable memory size 4096 gfp a20 mask fffff");
  expect.equal(dma.maxMappingSize(card), 16 * PAGE);
});
