// Goal: a what-if on a captured machine gives the machine that a real kernel made of the change.
// Method: take one capture, change RAM, CPUs or a parameter, and compare with the capture of the
// machine that has just that; what cannot be exact must lie inside its bounds. And diff says who is
// affected, for each effect that CI can fail on.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { readText } from "../../src/formats/index.ts";
import { zoneinfoReader } from "../../src/formats/zoneinfo-reader.ts";
import {
  diffPlans,
  type MachineOptions,
  machineFromCapture,
  machineFromDescription,
  type Plan,
  planMachine,
} from "../../src/plan/index.ts";
import { blindCapture } from "../conformance/score.ts";
import { corpusFiles } from "../support/corpus.ts";

async function planOf(name: string, options: MachineOptions = {}): Promise<Plan> {
  const machine = machineFromCapture(await blindCapture(name), options).value;
  assert.ok(machine !== null);
  const plan = planMachine(machine).value;
  assert.ok(plan !== null);
  return plan;
}

const CASES: readonly [string, MachineOptions, string][] = [
  ["x86_64-6.1-4G-smp2", { ramBytes: 2 ** 30 }, "x86_64-6.1-1G-smp2"],
  ["x86_64-6.1-512M", { ramBytes: 3 * 2 ** 30 }, "x86_64-6.1-3G"],
  ["x86_64-6.1-2G", { ramBytes: 12 * 2 ** 30 }, "x86_64-6.1-12G"],
  ["i386pae-6.1-1G", { ramBytes: 8 * 2 ** 30 }, "i386pae-6.1-8G"],
  ["arm64-6.1-4G", { ramBytes: 8 * 2 ** 30 }, "arm64-6.1-8G"],
  ["x86_64-6.1-1G", { set: ["memmap=64M$0x10000000"] }, "x86_64-6.1-1G-memmap-hole"],
  ["x86_64-6.1-1G", { set: ["movablecore=700M"] }, "x86_64-6.1-1G-movablecore700M"],
  ["x86_64-6.1-1G", { set: ["iommu=soft"] }, "x86_64-6.1-1G-iommu-soft"],
  ["armlpae-6.1-1G", { set: ["vmalloc=128M"] }, "armlpae-6.1-1G-vmalloc128M"],
];

for (const [from, options, to] of CASES) {
  test(`${from} with ${JSON.stringify(options)} is ${to}`, async () => {
    const plan = await planOf(from, options);
    const seen = readText(zoneinfoReader(), corpusFiles(to).get("zoneinfo") ?? "").value;
    for (const zone of seen.zones) {
      const own = plan.nodes[zone.node]?.zones.find((planned) => planned.name === zone.name);
      assert.ok(own !== undefined, zone.name);
      assert.deepEqual(
        [own.startPfn, own.spanned, own.present],
        [zone.startPfn, zone.spanned, zone.present],
        zone.name,
      );
      const managed = zone.managed ?? 0;
      assert.ok(
        own.managed.low <= managed && managed <= own.managed.high,
        `${zone.name} ${managed}`,
      );
    }
  });
}

test("a change that moves nothing leaves the log's counts where they were", async () => {
  const before = await planOf("x86_64-6.1-4G-smp2");
  const after = await planOf("x86_64-6.1-4G-smp2", { set: ["quiet"] });
  const pages = (plan: Plan): number[] =>
    plan.nodes.flatMap((node) => node.zones.map((zone) => zone.managed.pages));
  assert.deepEqual(pages(after), pages(before));
});

test("S11 without a pool its 64 MiB come back, and a 32-bit device is lost above 4 GiB", async () => {
  const before = await planOf("x86_64-6.1-4G-smp2");
  const after = await planOf("x86_64-6.1-4G-smp2", { set: ["swiotlb=noforce"] });
  const { changes, affected } = diffPlans(before, after);
  const managed = changes.find((own) => own.subject === "N0/DMA32" && own.field === "managed");
  assert.equal(Number(managed?.b) - Number(managed?.a), 16384);
  const effects = affected.map((own) => `${own.effect} ${own.subject}`);
  assert.ok(effects.includes("unreachable 32-bit"), effects.join());
  assert.ok(effects.includes("swiotlb-shrunk swiotlb"), effects.join());
});

test("S12 more CMA or less, more RAM or less: diff names who is affected", async () => {
  const board = await planOf("arm64-6.1-1G-cma64M");
  const less = diffPlans(board, await planOf("arm64-6.1-1G-cma64M", { set: ["cma=16M"] }));
  assert.deepEqual(
    less.affected.map((own) => own.effect),
    ["cma-shrunk"],
  );
  const small = await planOf("x86_64-6.1-2G");
  const large = await planOf("x86_64-6.1-2G", { ramBytes: 8 * 2 ** 30 });
  const grown = diffPlans(small, large).affected.map((own) => `${own.effect} ${own.subject}`);
  assert.ok(grown.includes("bounce 32-bit"), grown.join());
  assert.ok(grown.includes("reserve-grown N0/DMA32"), grown.join());
  const shrunk = diffPlans(large, small).affected.map((own) => `${own.effect} ${own.subject}`);
  assert.ok(shrunk.includes("zone-gone N0/Normal"), shrunk.join());
  assert.deepEqual(diffPlans(small, small), {
    a: small.machine,
    b: small.machine,
    changes: [],
    affected: [],
  });
});

test("S17 64 TiB on 8 nodes is planned like any other machine", () => {
  const nodes = Array.from({ length: 8 }, (_, id) => ({
    id,
    memory: [{ start: id * 2 ** 43, end: (id + 1) * 2 ** 43 }],
    cpus: [id],
  }));
  const machine = machineFromDescription({
    name: "64T",
    arch: "x86_64",
    kernel: "6.1.0-50-amd64",
    nodes,
  }).value;
  assert.ok(machine !== null);
  const plan = planMachine(machine).value;
  assert.ok(plan !== null);
  const normal = plan.nodes.map((node) => node.zones.find((zone) => zone.name === "Normal"));
  const present = normal.reduce((sum, zone) => sum + (zone?.present ?? 0), 0);
  assert.equal(present, 2 ** 34 - 2 ** 20);
  // Ten zones make khugepaged ask for less than the square root's upper clamp.
  assert.equal(plan.sysctls.minFreeKbytes, 262144);
  for (const zone of normal)
    assert.ok(zone !== undefined && zone.managed.low <= zone.managed.pages);
});
