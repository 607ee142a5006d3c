// Goal: a plan with a mask pool has the numbers of a machine without ZONE_DMA: the same pages, none
// lost, no reserve for the zone that is gone. Method: side by side with the plan without, on a
// description and on a real boot's log.
import assert from "node:assert/strict";
import { test } from "node:test";
import { machineFromCapture, planMachine } from "../../src/plan/index.ts";
import { corpusCapture, described, GIB, MIB, planFor, zoneOf, zonesOf } from "./plans.ts";

const PC = { arch: "x86_64", ram: 8 * GIB };

function pcPlans(maskPoolBytes: number) {
  const machine = described(PC);
  return { before: planFor(machine), after: planFor(machine, { maskPoolBytes }) };
}

const managed = (plan: ReturnType<typeof planFor>): number =>
  zonesOf(plan).reduce((sum, zone) => sum + zone.managed.pages, 0);

test("ZONE_DMA is gone, its pages are the pool's or the next zone's, and swiotlb's come back", () => {
  for (const size of [4 * MIB, 15 * MIB, 64 * MIB]) {
    const { before, after } = pcPlans(size);
    assert.deepEqual(
      zonesOf(after).flatMap(({ name, present }) => (present > 0 ? [name] : [])),
      zonesOf(before).flatMap(({ name, present }) => (present > 0 && name !== "DMA" ? [name] : [])),
    );
    assert.equal(after.maskPool?.bytes, size);
    const bounce = (before.pools.swiotlb?.bytes ?? 0) / 4096;
    assert.ok(bounce > 0 && after.pools.swiotlb === null);
    assert.equal(managed(after) + size / 4096, managed(before) + bounce);
    assert.equal(zoneOf(after, "DMA32").startPfn, zoneOf(before, "DMA").startPfn);
    const present = (plan: typeof after): number =>
      zonesOf(plan).reduce((sum, zone) => sum + zone.present, 0);
    assert.equal(present(after), present(before));
    const beyond = Math.max(0, size - zoneOf(before, "DMA").managed.pages * 4096);
    assert.equal(after.maskPool?.end, 16 * MIB + beyond);
  }
});

test("no zone keeps pages for it: the reserve of ZONE_DMA is told, and gone", () => {
  const { before, after } = pcPlans(4 * MIB);
  const kept = Math.max(...zoneOf(before, "DMA").protection);
  const own = zoneOf(before, "DMA").managed.pages;
  assert.equal(after.maskPool?.reserveWithout, Math.min(kept, own));
  assert.ok(zoneOf(after, "DMA32").index === 0);
  assert.equal(zoneOf(after, "DMA32").protection[0], 0);
});

test("any mask is served: 24 bits from the pool, 29 by luck or from the pool, 64 never", () => {
  const { before, after } = pcPlans(4 * MIB);
  const told = (plan: typeof after, name: string): unknown => {
    const device = plan.devices.find((own) => own.name === name);
    return [device?.coherentFrom, device?.coherentRetry, device?.streaming];
  };
  assert.deepEqual(told(before, "29-bit"), ["DMA32", "DMA", "unreachable"]);
  // What is left of the lowest 16 MiB is DMA32's, and found by luck.
  assert.deepEqual(told(after, "24-bit"), ["DMA32", "mask pool", "bounce"]);
  const whole = pcPlans(zoneOf(before, "DMA").managed.pages * 4096).after;
  assert.deepEqual(told(whole, "24-bit"), ["mask pool", null, "bounce"]);
  assert.deepEqual(told(after, "29-bit"), ["DMA32", "mask pool", "bounce"]);
  assert.deepEqual(told(after, "32-bit"), ["DMA32", "mask pool", "bounce"]);
  assert.deepEqual(told(after, "64-bit"), ["Normal", null, "direct"]);
});

test("a log's counts stay exact", async () => {
  const { value: machine } = machineFromCapture(await corpusCapture("x86_64-6.1-12G"));
  assert.ok(machine !== null);
  const before = planFor(machine);
  const after = planFor(machine, { maskPoolBytes: 15 * MIB });
  assert.ok(zonesOf(after).every((zone) => zone.managed.exact));
  assert.equal(managed(after) + (15 * MIB) / 4096, managed(before) + (64 * MIB) / 4096);
});

test("a pool that is not possible is refused with what would be", () => {
  const refused = (bytes: number, ram = PC.ram): string => {
    const machine = described({ ...PC, ram });
    const { value, issues } = planMachine(machine, { maskPoolBytes: bytes });
    assert.equal(value, null);
    return issues.find((issue) => issue.severity === "error")?.message ?? "";
  };
  const { before } = pcPlans(4 * MIB);
  const bounce = before.pools.swiotlb?.bytes ?? 0;
  const room = zoneOf(before, "DMA").managed.low + zoneOf(before, "DMA32").managed.low;
  assert.match(refused(room * 4096 + bounce), /not possible/);
  assert.match(refused(100 * GIB), /a pool of .* pages is not possible: DMA and DMA32 hold/);
  assert.match(refused(100), /a pool of 0 pages/);
  assert.match(refused(4 * MIB, 12 * MIB), /no ZONE_DMA below another zone/);
});
