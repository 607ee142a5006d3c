// Goal: managed pages are the kernel's own. Method: every zone of every capture against its zoneinfo, once
// with the memblock log (equal), once without those lines (sum equal, bounds hold it), and the reserves
// that the kernel computed in mid-boot against the count at that moment. Then boots that no capture has.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Managed } from "../../src/boot/hardware.ts";
import { managedFromLog, managedGiven } from "../../src/boot/managed.ts";
import { managedSum } from "../../src/boot/managed-sum.ts";
import type { BootLog, MemblockEvent } from "../../src/formats/boot-log.ts";
import {
  allBoots,
  anyBoot,
  type Boot,
  checkOrder,
  truthOf,
  withoutMemblock,
} from "./managed-boots.ts";

function fromLog({ log, layout, hardware, policy }: Boot): Managed {
  const { value } = managedFromLog(log, layout, hardware, policy);
  assert.ok(value !== null);
  return value;
}

function sumOf(pages: readonly number[]): number {
  return pages.reduce((sum, one) => sum + one, 0);
}

test("with memblock lines every zone of every capture is exact", () => {
  let zones = 0;
  for (const boot of allBoots()) {
    const managed = fromLog(boot);
    assert.equal(managed.source, "memblock log");
    const ends = managed.zones.map(({ end, exact }) => ({ end, exact }));
    const truth = truthOf(boot).map((end) => ({ end, exact: true }));
    assert.deepEqual(ends, truth, boot.name);
    checkOrder(managed, boot.layout, boot.name);
    zones += boot.layout.zones.filter((zone) => zone.present > 0).length;
  }
  assert.equal(zones, 573);
});

// lowmem_reserve_ratio as booted, by zone name; a ratio of 0 reserves nothing.
const RATIO: ReadonlyMap<string, number> = new Map([
  ["DMA", 256],
  ["DMA32", 256],
  ["Normal", 32],
]);

test("reserves printed after boot follow from the count at their moment", () => {
  for (const boot of allBoots()) {
    const { zones } = fromLog(boot);
    boot.zones.forEach((printed, slot) => {
      const own = zones[slot];
      assert.ok(own !== undefined);
      const expected = printed.protection.map((_, j) => {
        const ratio = RATIO.get(printed.name) ?? 0;
        if (ratio === 0 || own.t1 === 0) return 0;
        const above = zones.filter(
          (z) => z.node === own.node && z.index > own.index && z.index <= j,
        );
        return Math.floor(sumOf(above.map((zone) => zone.t1)) / ratio);
      });
      assert.deepEqual(printed.protection, expected, `${boot.name} ${printed.name}`);
    });
  }
});

test("without memblock lines the sum is exact and each zone's bounds hold it", () => {
  let exact = 0;
  for (const boot of allBoots()) {
    const log = withoutMemblock(boot.log);
    const truth = truthOf(boot);
    const sum = managedSum(log, boot.hardware, boot.policy);
    const managed = fromLog({ ...boot, log });
    assert.equal(managed.source, "boot log");
    if (boot.log.lateFrees.length === 0) {
      assert.equal(sum, sumOf(truth), boot.name);
      assert.equal(sumOf(managed.zones.map((zone) => zone.end)), sumOf(truth), boot.name);
    } else {
      // EFI before 2026: no ordinary line tells what boot services gave back.
      assert.ok(sum !== null && sum < sumOf(truth), boot.name);
    }
    managed.zones.forEach(({ low, high }, slot) => {
      const pages = truth[slot] ?? -1;
      assert.ok(
        low <= pages && pages <= high,
        `${boot.name} slot ${slot}: ${low} ${pages} ${high}`,
      );
    });
    checkOrder(managed, boot.layout, boot.name);
    const populated = managed.zones.filter((_, i) => (boot.layout.zones[i]?.present ?? 0) > 0);
    if (populated.every((zone) => zone.exact)) exact++;
  }
  // One zone above DMA leaves no doubt; two leave KASLR's.
  assert.ok(exact >= 80, `${exact} boots exact`);
});

test("counts given by the user yield the log's own earlier counts, with any log", () => {
  for (const boot of allBoots()) {
    const { layout, hardware, policy } = boot;
    const given = new Map(boot.zones.map((z) => [`N${z.node}/${z.name}`, z.managed ?? 0]));
    const { zones } = fromLog(boot);
    // Of what EFI gave back an ordinary log tells the size at most.
    const ordinary = boot.log.efi === null ? [withoutMemblock(boot.log)] : [];
    for (const log of [boot.log, ...ordinary]) {
      const { value } = managedGiven(given, layout, hardware, policy, log);
      assert.equal(value?.source, "given");
      assert.deepEqual(value?.zones, zones, boot.name);
    }
  }
});

test("given counts that cannot be are refused by name", () => {
  const { layout, hardware, policy } = anyBoot();
  const good = new Map(layout.zones.map((zone) => [zone.name, zone.present]));
  const refuse = (name: string, pages: number | null): string => {
    const given = new Map(good);
    if (pages === null) given.delete(name);
    else given.set(name, pages);
    const { value, issues } = managedGiven(given, layout, hardware, policy, null);
    assert.equal(value, null);
    return issues.map((issue) => issue.message).join();
  };
  assert.notEqual(managedGiven(good, layout, hardware, policy, null).value, null);
  assert.match(refuse("DMA32", null), /N0\/DMA32 are missing/);
  assert.match(refuse("DMA32", 1e9), /N0\/DMA32 cannot have/);
  assert.match(refuse("DMA32", 1.5), /cannot have/);
  assert.match(refuse("Dma", 1), /no zone "Dma"/);
});

test("a gigantic page counts from the second step on, in the zone it lies in", () => {
  const boot = anyBoot();
  const gib = 2 ** 30;
  const line = (boot.log.memory?.line ?? 0) - 0.5;
  const range = { start: gib, end: 2 * gib };
  const caller = "__alloc_bootmem_huge_page";
  const request = { bytes: gib, align: gib, node: 0, from: 0, maxAddress: 0, caller, line };
  const events: MemblockEvent[] = [
    { kind: "alloc", ...request },
    { kind: "reserve", ...range, line, caller: "memblock_alloc_range_nid" },
  ];
  const before = fromLog(boot);
  const after = fromLog({
    ...boot,
    log: { ...boot.log, memblock: [...boot.log.memblock, ...events] },
  });
  const slot = boot.layout.zones.findIndex((zone) => zone.name === "DMA32");
  assert.equal(before.zones[slot]?.t1, (after.zones[slot]?.t1 ?? 0) + gib / 4096);
  assert.equal(before.zones[slot]?.t2, after.zones[slot]?.t2);
  assert.equal(before.zones[slot]?.end, after.zones[slot]?.end);
});

test("an image across a zone boundary gives its freed parts to the zone they lie in", () => {
  const boot = anyBoot(/^x86_64-6.1-2G-kernelcore512M$/);
  const { zones } = fromLog(boot);
  const late = zones.map((zone) => zone.end - zone.t1);
  const at = (name: string): number =>
    late[boot.layout.zones.findIndex((zone) => zone.name === name)] ?? -1;
  assert.equal(at("DMA32"), 0);
  assert.equal(at("Movable"), sumOf(late));
});

test("a log that says nothing of memory gives no counts", () => {
  const boot = anyBoot();
  const log: BootLog = { ...withoutMemblock(boot.log), memory: null };
  assert.equal(managedFromLog(log, boot.layout, boot.hardware, boot.policy).value, null);
});

test("damaged logs never break the order of the counts", () => {
  const boot = anyBoot();
  const number = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(0, 1, 2 ** 32));
  const kinds = fc.constantFrom("reserve", "free", "add", "remove");
  const event = fc
    .tuple(kinds, fc.nat(400), number, number)
    .map(([kind, line, start, end]) => ({ kind, line, start, end, caller: "x" }) as const);
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 40 }),
      fc.nat(6),
      fc.boolean(),
      (events, cut, keep) => {
        const all = keep ? boot.log.memblock : boot.log.memblock.slice(0, 20);
        const log: BootLog = {
          ...boot.log,
          memblock: [...all, ...events],
          freed: boot.log.freed.slice(cut),
          ramdisk: cut % 2 === 0 ? null : { start: events[0]?.start ?? 0, end: 0 },
        };
        const { value } = managedFromLog(log, boot.layout, boot.hardware, boot.policy);
        if (value !== null) checkOrder(value, boot.layout, "damaged");
      },
    ),
    { numRuns: 100 },
  );
});
