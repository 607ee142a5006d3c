// Goal: a plan is of the moment, the managed pages and the topology that were asked for, and its
// parts agree. Method: real captures against their own zoneinfo and log, machines of one unusual
// fact each (a bus limit, no DMA zone, distances), and each way to have no plan.
import assert from "node:assert/strict";
import { test } from "node:test";
import { totalLength } from "../../src/base/range.ts";
import { simpleDevice } from "../../src/dma/device.ts";
import { type MachineInput, machineFromCapture, planMachine } from "../../src/plan/index.ts";
import { corpusNames } from "../support/corpus.ts";
import {
  corpusCapture,
  described,
  GIB,
  MIB,
  planFor,
  planOf,
  shape,
  words,
  zoneOf,
  zonesOf,
} from "./plans.ts";

async function captured(name: string): Promise<MachineInput> {
  const { value } = machineFromCapture(await corpusCapture(name));
  assert.ok(value !== null);
  return value;
}

const PC: MachineInput = await captured("x86_64-6.1-4G-smp2");

test("transparent huge pages switched off while it runs: the default min_free_kbytes again", async () => {
  const machine = await captured("trace-d-hugepages-1G");
  const plan = planFor(machine);
  assert.deepEqual([plan.sysctls.minFreeKbytes, plan.sysctls.minFreeKbytesFrom], [3823, "default"]);
  assert.equal(plan.moment, "boot");
  const { min, low, high } = zoneOf(plan, "DMA32").watermarks;
  assert.deepEqual([min, low, high], [940, 1181, 1422]); // as its zoneinfo says
  const on = planFor({ ...machine, thpAtRuntime: "always" });
  assert.deepEqual([on.sysctls.minFreeKbytes, on.sysctls.minFreeKbytesFrom], [45056, "khugepaged"]);
  assert.deepEqual(planFor({ ...machine, thpAtRuntime: null }).sysctls, on.sysctls);
  assert.deepEqual(zoneOf(plan, "DMA").protection, zoneOf(on, "DMA").protection);
});

test("where huge pages never were on, that they are off changes nothing", async () => {
  const never = await captured("x86_64-6.1-1G-thp-never");
  const small = await captured("x86_64-6.1-256M");
  for (const machine of [never, small]) {
    const off = planFor({ ...machine, thpAtRuntime: "never" });
    assert.deepEqual(off, planFor({ ...machine, thpAtRuntime: null }));
  }
  const { min, low, high } = zoneOf(planFor(never), "DMA32").watermarks;
  assert.deepEqual([min, low, high], [965, 1206, 1447]); // as its zoneinfo says
});

test("a pool that is asked for is of full size, where no address needs one too", () => {
  for (const arch of ["x86_64", "arm64"]) {
    for (const kernel of ["6.1", "6.12"]) {
      const plan = planOf({ arch, kernel, ram: GIB, cmdline: "swiotlb=force" });
      const { bytes, reason } = plan.pools.swiotlb ?? {};
      assert.deepEqual([bytes, reason], [64 * MIB, "swiotlb=force"], `${arch} ${kernel}`);
    }
  }
});

test("transparent_hugepage=never at boot leaves the default, as the configuration's word does", () => {
  const minFree = (cmdline: string, config: Readonly<Record<string, string>> = {}): unknown => {
    const { sysctls } = planOf({
      arch: "x86_64",
      ram: 4 * GIB,
      cmdline,
      config: new Map(Object.entries(config)),
    });
    return sysctls.minFreeKbytesFrom;
  };
  assert.equal(minFree(""), "khugepaged");
  assert.equal(minFree("transparent_hugepage=never"), "default");
  assert.equal(minFree("", { CONFIG_TRANSPARENT_HUGEPAGE_NEVER: "y" }), "default");
  const never = { CONFIG_TRANSPARENT_HUGEPAGE_NEVER: "y" };
  assert.equal(minFree("transparent_hugepage=madvise", never), "khugepaged");
});

test("settled is asked for by name or by a write, and computed from the pages at the end", () => {
  const boot = planFor(PC);
  const settled = planFor(PC, { moment: "settled" });
  assert.deepEqual([boot.moment, settled.moment], ["boot", "settled"]);
  assert.deepEqual(planFor(PC, { moment: "boot" }), boot);
  for (const plan of [boot, settled]) {
    for (const { managed } of zonesOf(plan)) assert.equal(managed.pages, managed.low);
  }
  for (const { managed } of zonesOf(settled)) assert.equal(managed.atWatermarks, managed.pages);
  const early = zoneOf(boot, "DMA32").managed;
  assert.ok(early.atWatermarks < early.pages);
  assert.ok(zoneOf(settled, "DMA").protection[2] !== zoneOf(boot, "DMA").protection[2]);
  const write = { name: "min_free_kbytes", values: [1024] };
  const written = planFor(PC, { sysctls: [write] });
  assert.equal(written.moment, "settled");
  assert.equal(written.sysctls.minFreeKbytes, 1024);
  assert.equal(written.sysctls.minFreeKbytesFrom, "given");
  assert.deepEqual(planFor(PC, { sysctls: [write], moment: "boot" }), written);
  assert.deepEqual(planFor(PC, { sysctls: [] }), boot);
  const refused = planMachine(PC, { sysctls: [{ name: "swappiness", values: [1] }] });
  assert.equal(refused.value, null);
  assert.match(words(refused.issues).join(), /error sysctl swappiness/);
});

test("managed pages come as given, else from the log, else from parameters with bounds", () => {
  const from = (plan: ReturnType<typeof planFor>): string[] => [
    ...new Set(zonesOf(plan).map(({ managed }) => managed.from)),
  ];
  const byLog = planFor(PC);
  assert.deepEqual(from(byLog), ["memblock log"]);
  assert.equal(byLog.layoutFrom, "log");
  const given = new Map(zonesOf(byLog).map(({ name, managed }) => [name, managed.pages - 5]));
  const plan = planFor(PC, { managed: new Map([...given].filter(([, pages]) => pages > 0)) });
  assert.deepEqual(from(plan), ["given"]);
  for (const name of ["DMA", "DMA32", "Normal"]) {
    const { managed } = zoneOf(plan, name);
    assert.deepEqual(
      [managed.pages, managed.low, managed.high, managed.exact],
      [...Array<number>(3).fill(given.get(name) ?? 0), true],
    );
  }
  const blind = planFor({ ...PC, log: null });
  assert.deepEqual(from(blind), ["parameters"]);
  assert.equal(blind.layoutFrom, "parameters");
  assert.deepEqual(shape(blind), shape(byLog));
  for (const zone of zonesOf(byLog)) {
    const { low, high, pages } = zoneOf(blind, zone.name).managed;
    assert.ok(low <= zone.managed.pages && zone.managed.pages <= high, zone.name);
    assert.ok(low <= pages && pages <= high, zone.name);
  }
});

test("with CPUs that nobody counted the lower bounds are those of a crowd, and only equal bounds exact", () => {
  const machine = described({ arch: "x86_64", ram: 4 * GIB });
  const one = planFor(machine);
  const unknown = planFor({ ...machine, cpusKnown: false });
  const { hardware } = machine;
  const crowded = { ...hardware, cpus: { ...hardware.cpus, possible: 64 } };
  const crowd = planFor({ ...machine, hardware: crowded });
  let lower = 0;
  for (const zone of zonesOf(unknown)) {
    const { low, high, pages, exact } = zone.managed;
    const own = zoneOf(one, zone.name).managed;
    assert.deepEqual([high, pages], [own.high, own.pages]);
    assert.equal(low, Math.min(own.low, zoneOf(crowd, zone.name).managed.low), zone.name);
    assert.equal(exact, low === high, zone.name);
    if (low < own.low) lower++;
  }
  assert.ok(lower > 0);
});

test("given pages that cannot be are errors, and there is no plan", () => {
  for (const [given, message] of [
    [[["N0/DMA", 3840]], /managed pages of N0\/DMA32, N0\/Normal are missing/],
    [[["N0/DMA", 1e9]], /cannot have 1000000000 managed pages/],
    [[["N7/DMA", 1]], /no zone "N7\/DMA"/],
  ] as const) {
    const { value, issues } = planMachine(PC, { managed: new Map(given) });
    assert.equal(value, null);
    assert.match(words(issues).join(), message);
  }
});

test("a machine with an error, or without RAM, has no plan", () => {
  const machine = described({ arch: "x86_64", ram: GIB });
  const issue = { severity: "error", message: "no" } as const;
  const bad = planMachine({ ...machine, issues: [issue] });
  assert.equal(bad.value, null);
  assert.deepEqual(bad.issues.slice(0, 1), [issue]);
  const note = { severity: "note", message: "yes" } as const;
  const noted = planMachine({ ...machine, issues: [note] });
  assert.ok(noted.value?.issues.includes(note));
  assert.equal(noted.value?.issues, noted.issues);
  const memory = [{ start: 0, end: GIB, type: "reserved" }];
  const empty = planMachine({ ...machine, hardware: { ...machine.hardware, memory } });
  assert.equal(empty.value, null);
  assert.ok(empty.issues.some(({ severity }) => severity === "error"));
});

test("a what-if corrects the estimate by how far it was off, inside its bounds", async () => {
  const capture = await corpusCapture("x86_64-6.1-4G-smp2");
  const changed = machineFromCapture(capture, { set: ["cma=32M", "crashkernel=64M"] }).value;
  assert.ok(changed !== null && changed.before !== null);
  const { before } = changed;
  const exact = planFor(before);
  const guessed = planFor({
    ...before,
    hardware: { ...before.hardware, image: null },
    log: null,
  });
  const estimate = planFor({ ...changed, before: null });
  const plan = planFor(changed);
  let corrected = 0;
  for (const zone of zonesOf(plan)) {
    const { pages, low, high, from } = zone.managed;
    assert.equal(from, "log and parameters");
    const plain = zoneOf(estimate, zone.name).managed;
    assert.deepEqual([low, high], [plain.low, plain.high]);
    const off = zoneOf(exact, zone.name).managed.pages - zoneOf(guessed, zone.name).managed.pages;
    if (off !== 0) corrected++;
    assert.equal(pages, Math.min(high, Math.max(low, plain.pages + off)), zone.name);
  }
  assert.ok(corrected >= 2);
  // A zone that the machine did not have is as estimated.
  const grown = machineFromCapture(await corpusCapture("x86_64-6.1-1G"), { ramBytes: 6 * GIB });
  assert.ok(grown.value !== null);
  const fresh = zoneOf(planFor(grown.value), "Normal").managed;
  const own = zoneOf(planFor({ ...grown.value, before: null }), "Normal").managed;
  assert.deepEqual({ ...fresh, from: own.from }, own);
});

test("a machine that was no machine before is planned from parameters alone", () => {
  const machine = described({ arch: "x86_64", ram: GIB });
  const hardware = { ...machine.hardware, memory: [] };
  const plan = planFor({ ...machine, before: { ...machine, hardware } });
  assert.deepEqual(zonesOf(plan), zonesOf(planFor(machine)));
  assert.equal(zoneOf(plan, "DMA32").managed.from, "parameters");
});

test("RAM of the zones is all there is, each inside its zone, holes left out", async () => {
  for (const name of [
    "x86_64-6.1-1G-memmap-3holes",
    "x86_64-6.1-numa3-700M+1900M+2900M",
    "x86_64-6.1-4G-numa_fake4",
    "i386pae-6.1-8G",
    "arm64-6.1-numa2-4G+4G",
  ]) {
    for (const zone of zonesOf(planFor(await captured(name)))) {
      assert.equal(totalLength(zone.ram), zone.present, `${name} ${zone.name}`);
      for (const [i, { start, end }] of zone.ram.entries()) {
        assert.ok(start < end && start >= (zone.ram[i - 1]?.end ?? zone.startPfn ?? 0));
        assert.ok(end <= (zone.startPfn ?? 0) + zone.spanned);
      }
    }
  }
});

test("empty zones have no start and no pageset; promo is told from 6.7 on", () => {
  const plan = planFor(PC);
  for (const zone of zonesOf(plan)) {
    const empty = zone.name === "Movable" || zone.name === "Device";
    assert.equal(zone.startPfn === null, empty);
    assert.equal(zone.pageset === null, empty);
    assert.equal(zone.watermarks.promo, null);
    assert.equal(zone.protection.length, 5);
  }
  assert.deepEqual(
    zonesOf(plan).map(({ index }) => index),
    [0, 1, 2, 3, 4],
  );
  const late = planOf({ arch: "x86_64", ram: GIB, kernel: "6.12" });
  assert.ok(zonesOf(late).every(({ watermarks }) => watermarks.promo !== null));
});

test("CPUs of a node are its own; of a machine of one node all of them", () => {
  const nodes = [0, 1].map((id) => ({
    id,
    memory: [{ start: id * GIB, end: (id + 1) * GIB }],
    cpus: id === 0 ? [0, 1, 2] : [],
  }));
  const machine = described({ arch: "x86_64", nodes });
  const cpus = (own: MachineInput): number[] => planFor(own).nodes.map((node) => node.cpus);
  assert.deepEqual(cpus(machine), [3, 0]);
  const { hardware } = machine;
  const unknown = {
    ...machine,
    hardware: { ...hardware, cpus: { ...hardware.cpus, byNode: null } },
  };
  assert.deepEqual(cpus(unknown), [0, 0]);
  assert.deepEqual(cpus(described({ arch: "x86_64", ram: GIB, cpus: 6 })), [6]);
});

test("zonelists of captured machines follow from distances as the log tells them", async () => {
  const names = corpusNames(/numa/).filter((_, i) => i % 2 === 0);
  let compared = 0;
  for (const name of names) {
    const machine = await captured(name);
    if (machine.log === null || machine.log.fallbackOrders.length === 0) continue;
    const told = planFor(machine).nodes.map((node) => node.zonelist);
    const bare = { ...machine, log: { ...machine.log, fallbackOrders: [] } };
    assert.deepEqual(
      planFor(bare).nodes.map((node) => node.zonelist),
      told,
      name,
    );
    compared += told.length;
  }
  assert.ok(compared >= 10, `${compared} zonelists`);
});

test("the log's fallback orders and the distances decide who comes next", () => {
  const nodes = [0, 1, 2].map((id) => ({
    id,
    memory: [{ start: (id + 4) * GIB, end: (id + 5) * GIB }],
    cpus: [id],
  }));
  const machine = described({ arch: "x86_64", nodes });
  const order = (own: MachineInput): string[] =>
    planFor(own).nodes.map(({ zonelist }) => zonelist.map(({ node }) => node).join(" "));
  assert.deepEqual(order(machine), ["0 1 2", "1 2 0", "2 0 1"]);
  const row = (...to: readonly number[]): Map<number, number> => new Map(to.entries());
  const distances = new Map([
    [0, row(10, 30, 20)],
    [1, row(30, 10, 20)],
    [2, row(20, 15, 10)],
  ]);
  assert.deepEqual(order({ ...machine, distances }), ["0 2 1", "1 2 0", "2 1 0"]);
  // A distance that is not known is 20, and to oneself 10.
  const knowing = (node: number, distance: number): string | undefined =>
    order({ ...machine, distances: new Map([[0, new Map([[node, distance]])]]) })[0];
  assert.deepEqual([knowing(1, 25), knowing(1, 15)], ["0 2 1", "0 1 2"]);
  assert.deepEqual([knowing(1, 20), knowing(2, 20), knowing(2, 19)], ["0 1 2", "0 1 2", "0 2 1"]);
});

test("zones of a zonelist go from the highest down, populated ones only, node by node", async () => {
  const plan = planFor(await captured("x86_64-6.1-numa2-2G+2G"));
  const lists = plan.nodes.map(({ zonelist }) => zonelist.map((own) => `N${own.node}/${own.zone}`));
  assert.deepEqual(lists, [
    ["N0/DMA32", "N0/DMA", "N1/Normal", "N1/DMA32"],
    ["N1/Normal", "N1/DMA32", "N0/DMA32", "N0/DMA"],
  ]);
});

test("every plan shows the classic masks, then the machine's own devices", () => {
  const devices = [simpleDevice("nic", 40), simpleDevice("codec", 28)];
  const plan = planOf({ arch: "x86_64", ram: GIB, devices });
  assert.deepEqual(
    plan.devices.map(({ name, dmaBits }) => [name, dmaBits]),
    [24, 29, 30, 32, 64]
      .map((bits) => [`${bits}-bit`, bits] as [string, number])
      .concat([
        ["nic", 40],
        ["codec", 28],
      ]),
  );
});

/** Whether a mask is accepted, and where its coherent memory comes from. */
function coherent(own: MachineInput, bits: number): [boolean, string | null, string | null] {
  const devices = [simpleDevice("own", bits)];
  const found = planFor({ ...own, devices }).devices.find(({ name }) => name === "own");
  assert.ok(found !== undefined);
  return [found.supported, found.coherentFrom, found.coherentRetry];
}

test("on arm64 GFP_DMA stands for whole bits up to 6.11, and for the limit itself later", () => {
  const board = (kernel: string, dmaLimit?: number): MachineInput =>
    described({
      arch: "arm64",
      kernel,
      ram: 12 * GIB,
      base: 0,
      ...(dmaLimit === undefined ? {} : { dmaLimit }),
    });
  for (const kernel of ["6.1", "6.12"]) {
    assert.deepEqual(coherent(board(kernel, GIB), 30), [true, "DMA", null]);
    assert.deepEqual(coherent(board(kernel, GIB), 29), [false, null, null]);
    assert.deepEqual(coherent(board(kernel, GIB), 31), [true, "DMA32", "DMA"]);
    assert.deepEqual(coherent(board(kernel), 32), [true, "DMA", null]);
    assert.deepEqual(coherent(board(kernel), 31), [false, null, null]);
    assert.deepEqual(coherent(board(kernel), 33), [true, "Normal", "DMA"]);
  }
  const odd = GIB + 512 * MIB;
  assert.deepEqual(coherent(board("6.1", odd), 31), [true, "DMA", null]);
  assert.deepEqual(coherent(board("6.12", odd), 31), [true, "DMA32", "DMA"]);
  assert.deepEqual(coherent(board("6.1", odd), 30), [false, null, null]);
  // A bus of more than 32 bits does not make the zone larger than 4 GiB.
  assert.deepEqual(coherent(board("6.12", 8 * GIB), 32), [true, "DMA", null]);
  assert.deepEqual(coherent(board("6.1", 8 * GIB), 32), [true, "DMA", null]);
});

test("elsewhere GFP_DMA stands for 24 bits, and without such a zone for nothing", () => {
  const pc = described({ arch: "x86_64", ram: 8 * GIB });
  assert.deepEqual(coherent(pc, 24), [true, "DMA", null]);
  assert.deepEqual(coherent(pc, 23), [false, null, null]);
  assert.deepEqual(coherent(pc, 25), [true, "DMA32", "DMA"]);
  const config = new Map([["CONFIG_ZONE_DMA", "n"]]);
  const without = described({ arch: "x86_64", ram: 8 * GIB, config });
  assert.deepEqual(coherent(without, 24), [false, null, null]);
  assert.deepEqual(coherent(without, 32), [true, "DMA32", null]);
  const no32 = described({
    arch: "x86_64",
    ram: 8 * GIB,
    config: new Map([["CONFIG_ZONE_DMA32", "n"]]),
  });
  assert.deepEqual(coherent(no32, 32), [true, "Normal", "DMA"]);
});

test("a machine no kernel has keeps its lowest zone with memory for its narrowest devices", () => {
  const zones = [
    { name: "tiny", limit: MIB },
    { name: "low", limit: 64 * MIB },
    { name: "rest", limit: Number.POSITIVE_INFINITY },
  ];
  const custom = (base: number): MachineInput =>
    described({ arch: "custom", ram: GIB, base, zones });
  assert.deepEqual(coherent(custom(0), 20), [true, "tiny", null]);
  assert.deepEqual(coherent(custom(0), 19), [false, null, null]);
  assert.deepEqual(coherent(custom(MIB), 26), [true, "low", null]);
  assert.deepEqual(coherent(custom(MIB), 25), [false, null, null]);
});

test("pools of the machine are the devices': forced bouncing, and CMA for coherent memory", async () => {
  const verdict = (cmdline: string): string | undefined =>
    planOf({ arch: "x86_64", ram: 8 * GIB, cmdline }).devices.find(({ dmaBits }) => dmaBits === 64)
      ?.streaming;
  assert.equal(verdict(""), "direct");
  assert.equal(verdict("swiotlb=force"), "bounce");
  const board = planFor(await captured("arm64-6.1-1G-cma64M"));
  const notes = board.devices.find(({ dmaBits }) => dmaBits === 32)?.notes.join() ?? "";
  assert.match(notes, /come from CMA first/);
  assert.ok(planFor(PC).devices.every(({ notes }) => !notes.join().includes("CMA")));
});

test("era, architecture, page size and names are the machine's", () => {
  const plan = planFor(PC);
  assert.deepEqual(
    [plan.machine, plan.kernel, plan.arch, plan.pageSize],
    ["x86_64-6.1-4G-smp2", PC.era.kernel, "x86_64", 4096],
  );
  assert.deepEqual(plan.era, { name: "6.1", basis: "captured", verified: true });
  const custom = planOf({
    arch: "custom",
    ram: GIB,
    zones: [{ name: "Normal", limit: Number.POSITIVE_INFINITY }],
  });
  assert.deepEqual(custom.era, { name: "6.1", basis: "read", verified: false });
});
