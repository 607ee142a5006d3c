// Goal: diff lists every number that changed, and names who is affected and by what. Method: each
// effect once from two real plans, its opposite direction (which is none), plans with one number
// changed at a time, and machines that share only some of their zones and devices.
import assert from "node:assert/strict";
import { test } from "node:test";
import { simpleDevice } from "../../src/dma/device.ts";
import { diffPlans, EFFECTS, type Plan, type PlannedZone } from "../../src/plan/index.ts";
import { type Description, described, GIB, MIB, planFor, planOf, zoneOf } from "./plans.ts";

const PC = planOf({ arch: "x86_64", ram: 8 * GIB });
const BOARD: Description = { arch: "arm64", ram: 4 * GIB };

function affected(a: Plan, b: Plan): string[] {
  return diffPlans(a, b).affected.map(
    ({ effect, subject, words }) => `${effect} ${subject}: ${words}`,
  );
}

/** `plan` with one zone changed. */
function withZone(plan: Plan, name: string, change: Partial<PlannedZone>): Plan {
  return {
    ...plan,
    nodes: plan.nodes.map((node) => ({
      ...node,
      zones: node.zones.map((zone) => (zone.name === name ? { ...zone, ...change } : zone)),
    })),
  };
}

test("a plan and itself differ in nothing", () => {
  assert.deepEqual(diffPlans(PC, PC), { a: "m", b: "m", changes: [], affected: [] });
});

test("the names of both machines are told in order", () => {
  const { a, b } = diffPlans(PC, { ...PC, machine: "other" });
  assert.deepEqual([a, b], ["m", "other"]);
});

const ZONE = zoneOf(PC, "Normal");
const CHANGES: readonly (readonly [string, Partial<PlannedZone>, number, number])[] = [
  ["startPfn", { startPfn: 7 }, ZONE.startPfn ?? 0, 7],
  ["spanned", { spanned: 7 }, ZONE.spanned, 7],
  ["managed", { managed: { ...ZONE.managed, pages: 7 } }, ZONE.managed.pages, 7],
  ["watermarks.min", { watermarks: { ...ZONE.watermarks, min: 7 } }, ZONE.watermarks.min, 7],
  ["watermarks.low", { watermarks: { ...ZONE.watermarks, low: 7 } }, ZONE.watermarks.low, 7],
  ["watermarks.high", { watermarks: { ...ZONE.watermarks, high: 7 } }, ZONE.watermarks.high, 7],
];

for (const [field, change, a, b] of CHANGES) {
  test(`a change of ${field} is told by its name, and affects nobody by itself`, () => {
    assert.deepEqual(diffPlans(PC, withZone(PC, "Normal", change)), {
      a: "m",
      b: "m",
      changes: [{ subject: "N0/Normal", field, a, b }],
      affected: [],
    });
  });
}

test("zone-shrunk: a zone has less, told in bytes of the new machine's pages", () => {
  const less = withZone(PC, "Normal", { present: ZONE.present - 256 });
  assert.deepEqual(affected(PC, less), ["zone-shrunk N0/Normal: N0/Normal has 1 MiB less"]);
  assert.deepEqual(diffPlans(PC, less).changes, [
    { subject: "N0/Normal", field: "present", a: ZONE.present, b: ZONE.present - 256 },
  ]);
  assert.deepEqual(affected(less, PC), []);
  const large = { ...less, pageSize: 65536 };
  assert.deepEqual(affected(PC, large), ["zone-shrunk N0/Normal: N0/Normal has 16 MiB less"]);
  const one = withZone(PC, "Normal", { present: ZONE.present - 1 });
  assert.deepEqual(affected(PC, one), ["zone-shrunk N0/Normal: N0/Normal has 4 KiB less"]);
});

test("zone-gone: a zone is empty, or the kernel has none of that name", () => {
  const gone = ["zone-gone N0/Normal: N0/Normal has no memory any more"];
  assert.deepEqual(affected(PC, withZone(PC, "Normal", { present: 0 })), gone);
  assert.deepEqual(affected(withZone(PC, "Normal", { present: 0 }), PC), []);
  const named = withZone(PC, "Normal", { name: "BIGDMA" });
  assert.deepEqual(affected(PC, named), gone);
  const fields = diffPlans(PC, named).changes.filter(({ field }) => field === "present");
  assert.deepEqual(fields, [
    { subject: "N0/Normal", field: "present", a: ZONE.present, b: null },
    { subject: "N0/BIGDMA", field: "present", a: null, b: ZONE.present },
  ]);
  // An empty zone that is not there at all any more is nobody's loss.
  assert.deepEqual(affected(PC, withZone(PC, "Device", { name: "Other" })), []);
});

test("reserve-grown: more of a zone is kept from ordinary requests", () => {
  const grown = withZone(PC, "DMA32", { protection: [0, 0, 6000, 6000, 6000] });
  const kept = Math.max(...zoneOf(PC, "DMA32").protection);
  assert.deepEqual(affected(PC, grown), [
    `reserve-grown N0/DMA32: N0/DMA32 keeps 6000 pages from ordinary requests, before ${kept}`,
  ]);
  assert.deepEqual(affected(grown, PC), []);
  assert.deepEqual(
    affected(PC, withZone(PC, "DMA32", { protection: [0, 0, kept, kept, kept] })),
    [],
  );
  // The largest entry counts, and in a zone that is empty none does.
  const first = withZone(PC, "DMA32", { protection: [0, kept + 1, 0, 0, 0] });
  assert.equal(affected(PC, first).length, 1);
  assert.deepEqual(affected(PC, withZone(PC, "Movable", { protection: [9, 9] })), []);
  const fresh = { ...PC, nodes: PC.nodes.map((node) => ({ ...node, zones: [] })) };
  assert.equal(affected(fresh, PC).length, 2); // DMA and DMA32 keep something, Normal nothing
});

test("reserve-grown, from real plans: more RAM above, more kept below", () => {
  const small = planOf({ arch: "x86_64", ram: 4 * GIB });
  const effects = diffPlans(small, PC).affected.map(
    ({ effect, subject }) => `${effect} ${subject}`,
  );
  assert.ok(effects.includes("reserve-grown N0/DMA32"), effects.join());
  const back = diffPlans(PC, small).affected.map(({ effect, subject }) => `${effect} ${subject}`);
  assert.ok(!back.some((own) => own.startsWith("reserve-grown")), back.join());
});

test("bounce, unreachable and coherent-moved: what devices lose when RAM grows above their mask", () => {
  const nic = simpleDevice("nic", 32);
  const wifi = simpleDevice("wifi", 31);
  const from = planFor(described({ arch: "x86_64", ram: GIB, devices: [nic, wifi] }));
  const to = planFor(described({ arch: "x86_64", ram: 8 * GIB, devices: [nic, wifi] }));
  const all = affected(from, to);
  assert.ok(all.includes("bounce nic: nic: bounce above 4 GiB"), all.join("\n"));
  assert.ok(all.includes("unreachable wifi: wifi: unreachable above 2 GiB"), all.join("\n"));
  assert.ok(
    all.includes("coherent-moved 64-bit: 64-bit: coherent buffers from Normal, before DMA32"),
    all.join("\n"),
  );
  assert.ok(!all.some((own) => own.startsWith("coherent-moved nic")));
  const changes = diffPlans(from, to).changes.filter(({ subject }) => subject === "nic");
  assert.deepEqual(changes, [
    { subject: "nic", field: "streaming", a: "direct", b: "bounce above 4 GiB" },
  ]);
  const moved = diffPlans(from, to).changes.filter(({ subject }) => subject === "64-bit");
  assert.deepEqual(moved, [{ subject: "64-bit", field: "coherentFrom", a: "DMA32", b: "Normal" }]);
  const back = affected(to, from);
  assert.ok(!back.some((own) => /^(bounce|unreachable)/.test(own)), back.join("\n"));
  assert.ok(
    back.includes("coherent-moved 64-bit: 64-bit: coherent buffers from DMA32, before Normal"),
  );
});

/** `PC` with its device "32-bit" turned. */
function withDevice(change: Partial<Plan["devices"][number]>): Plan {
  return {
    ...PC,
    devices: PC.devices.map((own) => (own.name === "32-bit" ? { ...own, ...change } : own)),
  };
}

test("only a device that was served without a copy can lose that", () => {
  const verdicts = ["direct", "iommu", "bounce", "unreachable"] as const;
  for (const before of verdicts) {
    for (const after of verdicts) {
      const effects = diffPlans(
        withDevice({ streaming: before }),
        withDevice({ streaming: after }),
      ).affected.map(({ effect }) => effect);
      const served = before === "direct" || before === "iommu";
      const wanted =
        after === "bounce" && served
          ? ["bounce"]
          : after === "unreachable" && before !== "unreachable"
            ? ["unreachable"]
            : [];
      assert.deepEqual(effects, wanted, `${before} to ${after}`);
    }
  }
});

test("coherent memory that is gone, or there for the first time, is told as nowhere", () => {
  const gone = withDevice({ coherentFrom: null });
  assert.deepEqual(affected(PC, gone), [
    "coherent-moved 32-bit: 32-bit: coherent buffers from nowhere, before DMA32",
  ]);
  assert.deepEqual(affected(gone, PC), [
    "coherent-moved 32-bit: 32-bit: coherent buffers from DMA32, before nowhere",
  ]);
});

test("devices of one side only are not compared", () => {
  const more = planFor(
    described({ arch: "x86_64", ram: 8 * GIB, devices: [simpleDevice("isa", 20)] }),
  );
  assert.deepEqual(diffPlans(PC, more).changes, []);
  assert.deepEqual(diffPlans(more, PC).affected, []);
});

test("swiotlb-shrunk: a smaller pool, or none", () => {
  const plan = (cmdline: string): Plan => planOf({ arch: "x86_64", ram: 8 * GIB, cmdline });
  const half = plan("swiotlb=16384");
  const smaller = diffPlans(PC, half);
  assert.deepEqual(
    smaller.changes.find(({ subject }) => subject === "swiotlb"),
    { subject: "swiotlb", field: "bytes", a: 64 * MIB, b: 32 * MIB },
  );
  assert.ok(
    affected(PC, half).includes("swiotlb-shrunk swiotlb: swiotlb has 32 MiB, before 64 MiB"),
  );
  assert.ok(!affected(half, PC).some((own) => own.startsWith("swiotlb")));
  const none = affected(PC, plan("swiotlb=noforce"));
  assert.ok(
    none.some((own) => own.startsWith("swiotlb-shrunk swiotlb: swiotlb has 0")),
    none.join(),
  );
  assert.ok(
    none.some((own) => own.startsWith("unreachable 32-bit")),
    none.join(),
  );
});

test("cma-shrunk: all areas count together", () => {
  const plan = (cmdline: string): Plan => planOf({ ...BOARD, cmdline });
  const more = affected(plan("cma=32M"), plan("cma=128M"));
  assert.ok(!more.some((own) => own.startsWith("cma")), more.join());
  const less = affected(plan("cma=128M"), plan("cma=32M"));
  assert.ok(less.includes("cma-shrunk cma: cma has 32 MiB, before 128 MiB"), less.join());
  const board = plan("cma=128M");
  const area = board.pools.cma[0];
  assert.ok(area !== undefined);
  const halves = [0, 64 * MIB].map((start) => ({ ...area, start, bytes: 64 * MIB }));
  const split = { ...board, pools: { ...board.pools, cma: halves } };
  assert.deepEqual(diffPlans(board, split).changes, []);
  assert.deepEqual(affected(board, { ...split, pools: { ...board.pools, cma: halves.slice(1) } }), [
    "cma-shrunk cma: cma has 64 MiB, before 128 MiB",
  ]);
});

test("min_free_kbytes is among the changes", () => {
  const raised = planOf(
    { arch: "x86_64", ram: 8 * GIB },
    { sysctls: [{ name: "min_free_kbytes", values: [1024] }] },
  );
  assert.deepEqual(
    diffPlans(PC, raised).changes.filter(({ subject }) => subject === "sysctl"),
    [{ subject: "sysctl", field: "min_free_kbytes", a: PC.sysctls.minFreeKbytes, b: 1024 }],
  );
});

test("every effect that CI can be told to fail on was produced from two plans", () => {
  const small = planOf({ arch: "x86_64", ram: GIB, devices: [simpleDevice("wifi", 31)] });
  const large = planOf({ arch: "x86_64", ram: 8 * GIB, devices: [simpleDevice("wifi", 31)] });
  const board = planOf({ ...BOARD, cmdline: "cma=128M" });
  const pairs: [Plan, Plan][] = [
    [small, large],
    [large, small],
    [board, planOf({ ...BOARD, cmdline: "cma=32M" })],
  ];
  const seen = new Set(
    pairs.flatMap(([a, b]) => diffPlans(a, b).affected.map((own) => own.effect)),
  );
  assert.deepEqual([...seen].sort(), [...EFFECTS].sort());
});
