// Goal: what is freed late is put where boot loaders, memblock and hugetlb put things, when no log
// tells. Method: made-up RAM with one question each (which stretch holds the initrd, a CMA area, a
// gigantic page), counted zone by zone; and where the image may lie, most likely place first.
import assert from "node:assert/strict";
import { test } from "node:test";
import { imagePlaces } from "../../src/boot/estimate.ts";
import { giganticPlaces, typicalLate } from "../../src/boot/estimate-late.ts";
import { constantsFor } from "../../src/boot/estimate-parts.ts";
import type { Hardware, Layout, Pools } from "../../src/boot/hardware.ts";
import { slotOf, type ZoneStretch, zoneStretches } from "../../src/boot/placement.ts";
import { layoutFor, machine, ram } from "../support/machine.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const NONE: Pools = {
  swiotlb: null,
  swiotlbWhyNot: null,
  cma: [],
  crashkernel: [],
  hugePages: [],
};

/** DMA, DMA32 and Normal: RAM from 1 MiB to 3 GiB and from 4 to 6 GiB. */
const PC: Hardware = machine("x86_64", { memory: [ram(1, 3 * 1024 - 1), ram(4096, 2048)] });
const BOARD: Hardware = machine("arm64", { memory: [ram(1024, 3072), ram(4096, 2048)] });

interface Placed {
  readonly layout: Layout;
  readonly stretches: ZoneStretch[];
  /** Slot of the zone that holds an address. */
  slot(bytes: number): number;
}

function placed(hardware: Hardware): Placed {
  const layout = layoutFor(hardware).value;
  const stretches = zoneStretches(layout);
  const { pageSize } = hardware.build;
  return { layout, stretches, slot: (bytes) => slotOf(stretches, bytes / pageSize) };
}

/** Pages freed late by step, as "t1 SLOT pages", of a machine whose image is in slot 1. */
function late(
  hardware: Hardware,
  pools: Partial<Pools> = {},
  change: Partial<Layout> = {},
): string[] {
  const { layout, stretches } = placed(hardware);
  const release = "6.1.0-50-amd64";
  const build = { ...hardware.build, release, flavour: "amd64" };
  const constants = constantsFor(build, "x86_64");
  const own = {
    ...constants,
    values: { ...constants.values, initrd: 100, imageFreed: 10, alternatives: 1 },
  };
  const all = { ...NONE, ...pools };
  const guess = typicalLate(hardware, { ...layout, ...change }, all, own, {
    stretches,
    imageSlot: 1,
  });
  return (["t1", "t2", "end"] as const).flatMap((step) =>
    [...guess[step]].flatMap((pages, slot) => (pages === 0 ? [] : [`${step} ${slot} ${pages}`])),
  );
}

test("the initrd is at the top of low RAM on a PC, in the lowest RAM elsewhere", () => {
  const { slot } = placed(PC);
  assert.deepEqual([slot(2 * MIB), slot(GIB), slot(5 * GIB)], [0, 1, 2]);
  assert.deepEqual(late(PC), ["t1 1 1", "end 1 110"]);
  // Low RAM ends where the kernel maps it, and below 4 GiB at most.
  assert.deepEqual(late(PC, {}, { maxLowPfn: 4096 }), ["t1 1 1", "end 0 100", "end 1 10"]);
  assert.deepEqual(late(PC, {}, { maxLowPfn: 2 ** 24 }), ["t1 1 1", "end 1 110"]);
  const split = placed(BOARD);
  assert.deepEqual([split.slot(GIB), split.slot(5 * GIB)], [0, 2]);
  assert.deepEqual(late(BOARD), ["t1 1 1", "end 0 100", "end 1 10"]);
});

test("a PC without RAM below the limit has no place for an initrd", () => {
  const high = machine("x86_64", { memory: [ram(8192, 1024)] });
  assert.deepEqual(late(high), ["t1 1 1", "end 1 10"]);
});

test("CMA gives its pages to the zone it lies in, else to the highest in reach of DMA", () => {
  const area = (start: number | null) => ({ cma: [{ name: "reserved", start, bytes: 4 * MIB }] });
  const cma = (hardware: Hardware, start: number | null, change: Partial<Layout> = {}): string[] =>
    late(hardware, area(start), change).filter((own) => own.startsWith("t1") && own !== "t1 1 1");
  assert.deepEqual(cma(PC, 5 * GIB), ["t1 2 1024"]);
  assert.deepEqual(cma(PC, 2 * MIB), ["t1 0 1024"]);
  assert.deepEqual(cma(PC, null), ["t1 2 1024"]);
  assert.deepEqual(cma(BOARD, null, { dmaLimitPfn: GIB / 1024 }), ["t1 0 1024"]);
  assert.deepEqual(cma(BOARD, null, { dmaLimitPfn: null }), ["t1 2 1024"]);
  assert.deepEqual(cma(PC, 3.5 * GIB), []); // no RAM there
  const arm = machine("arm", { memory: [ram(1024, 512)] });
  assert.deepEqual(cma(arm, null, { dmaLimitPfn: 0 }), ["t1 0 1024"]);
});

test("gigantic pages come from memblock: the highest places; smaller ones from the buddy", () => {
  const pages = (pageBytes: number, count: number): string[] =>
    late(PC, { hugePages: [{ pageBytes, count }] }).filter((own) => own.startsWith("t2"));
  assert.deepEqual(pages(2 * MIB, 100), []);
  assert.deepEqual(pages(4 * MIB, 100), []); // the largest block of the buddy
  assert.deepEqual(pages(GIB, 1), ["t2 2 262144"]);
  assert.deepEqual(pages(GIB, 2), ["t2 1 262144", "t2 2 262144"]);
  assert.deepEqual(pages(GIB, 3), ["t2 1 262144", "t2 2 262144"]); // there is no room for more
  assert.deepEqual(pages(GIB, 0), []);
});

test("places of gigantic pages are aligned, inside RAM, from the top down", () => {
  const stretches = [
    { start: 1, end: 40, slot: 0 },
    { start: 48, end: 65, slot: 1 },
  ];
  assert.deepEqual(giganticPlaces(stretches, 8, 9), [
    { start: 56, slot: 1 },
    { start: 48, slot: 1 },
    { start: 24, slot: 0 },
    { start: 16, slot: 0 },
    { start: 8, slot: 0 },
  ]);
  assert.deepEqual(giganticPlaces(stretches, 8, 1), [{ start: 56, slot: 1 }]);
  assert.deepEqual(giganticPlaces(stretches, 64, 1), []);
  assert.deepEqual(giganticPlaces([], 8, 1), []);
});

/** Slots that may hold the image, the most likely first. */
function slots(hardware: Hardware, kaslr: boolean): readonly number[] {
  const constants = constantsFor(hardware.build, hardware.arch);
  const { slots: found, best } = imagePlaces(
    hardware,
    kaslr,
    placed(hardware).stretches,
    constants,
  );
  assert.equal(best, found[0] ?? -1);
  return found;
}

test("a randomized image is most likely in the zone with most room, and may be in each above 16 MiB", () => {
  assert.deepEqual(slots(PC, true), [1, 2]);
  const more = machine("x86_64", { memory: [ram(1, 1023), ram(4096, 8192)] });
  assert.deepEqual(slots(more, true), [2, 1]);
  assert.deepEqual(slots(PC, false), [1]); // at its link address
});

test("where the image was seen counts, and the zone with most of it comes first", () => {
  const seen = (start: number, end: number): readonly number[] =>
    slots({ ...PC, image: { start, end } }, true);
  assert.deepEqual(seen(5 * GIB, 5 * GIB + MIB), [2]);
  assert.deepEqual(seen(15 * MIB, 18 * MIB), [1, 0]);
  assert.deepEqual(seen(13 * MIB, 17 * MIB), [0, 1]);
  assert.deepEqual(seen(3 * GIB, 3 * GIB + MIB), [1, 2]); // not in RAM: not seen
  assert.deepEqual(slots({ ...PC, image: null }, true), [1, 2]);
});
