// Goal: what a person writes down becomes the machine that was meant, on every architecture.
// Method: the classic layouts by their textbook numbers (S1 to S4), members of the description one
// by one against the hardware they make, options that change them, and each refusal by its words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { simpleDevice } from "../../src/dma/device.ts";
import { machineFromDescription } from "../../src/plan/index.ts";
import { type Description, described, GIB, MIB, planOf, shape, words, zoneOf } from "./plans.ts";

const REST = Number.POSITIVE_INFINITY;

test("S1 x86-64 has DMA below 16 MiB, DMA32 below 4 GiB and Normal above, and no HighMem", () => {
  assert.deepEqual(shape(planOf({ arch: "x86_64", ram: 8 * GIB })), [
    "DMA 1+4095/3998",
    "DMA32 4096+1044480/782336",
    "Normal 1048576+1310720/1310720",
    "Movable",
    "Device",
  ]);
  // What a machine does not need is there, and empty.
  assert.deepEqual(shape(planOf({ arch: "x86_64", ram: GIB })), [
    "DMA 1+4095/3998",
    "DMA32 4096+258048/258048",
    "Normal",
    "Movable",
    "Device",
  ]);
});

test("S1 i386 keeps some 896 MiB of low memory, the rest is HighMem", () => {
  const plain = shape(planOf({ arch: "i386", ram: 2 * GIB }));
  assert.deepEqual(plain.slice(0, 3), [
    "DMA 1+4095/3998",
    "Normal 4096+220158/220158", // ends at 0x36bfe: 876 MiB less two pages
    "HighMem 224254+300034/300034",
  ]);
  assert.deepEqual(shape(planOf({ arch: "i386", ram: 512 * MIB })).slice(1, 3), [
    "Normal 4096+126976/126976",
    "HighMem",
  ]);
});

test("S1 i386 without PAE ends at 4 GiB, with PAE it goes on", () => {
  const zones = (arch: string): string[] => shape(planOf({ arch, ram: 8 * GIB })).slice(1, 3);
  assert.deepEqual(zones("i386"), [
    "Normal 4096+220158/220158",
    "HighMem 224254+562178/562178", // 3 GiB are below the device hole
  ]);
  assert.deepEqual(zones("i386-pae"), [
    "Normal 4096+221182/221182",
    "HighMem 225278+2134018/1871874",
  ]);
});

test("S1 on ia64, told as a custom machine, DMA is everything below 4 GiB", () => {
  const zones = [
    { name: "DMA", limit: 4 * GIB },
    { name: "Normal", limit: REST },
  ];
  assert.deepEqual(shape(planOf({ arch: "custom", ram: 6 * GIB, zones })), [
    "DMA 0+1048576/1048576",
    "Normal 1048576+524288/524288",
  ]);
  assert.deepEqual(shape(planOf({ arch: "custom", ram: 2 * GIB, zones })), [
    "DMA 0+524288/524288",
    "Normal",
  ]);
});

test("S2 on arm all low memory is DMA by default, a board may ask for less", () => {
  assert.deepEqual(shape(planOf({ arch: "arm", ram: GIB })), [
    "DMA 262144+196608/196608",
    "Normal",
    "HighMem 458752+65536/65536",
    "Movable",
  ]);
  // The limit is the last page in reach and ends the zone: the kernel's own page too few.
  const board = planOf({ arch: "arm", ram: 512 * MIB, base: 2 * GIB, armDmaZone: 64 * MIB });
  assert.deepEqual(shape(board), [
    "DMA 524288+16383/16383",
    "Normal 540671+114689/114689",
    "HighMem",
    "Movable",
  ]);
});

test("S2 without a DMA zone all low memory of an arm board is Normal", () => {
  const config = new Map([["CONFIG_ZONE_DMA", "n"]]);
  assert.deepEqual(shape(planOf({ arch: "arm", ram: 512 * MIB, config })), [
    "Normal 262144+131072/131072",
    "HighMem",
    "Movable",
  ]);
});

test("S2 arm with LPAE reaches memory above 4 GiB, arm without does not", () => {
  assert.equal(zoneOf(planOf({ arch: "arm-lpae", ram: 4 * GIB }), "HighMem").present, 851968);
  assert.equal(zoneOf(planOf({ arch: "arm", ram: 4 * GIB }), "HighMem").present, 589823);
});

test("S2 a board whose DMA zone is 1 MiB gives Normal first and DMA last", () => {
  const zones = [
    { name: "DMA", limit: MIB },
    { name: "Normal", limit: REST },
  ];
  const plan = planOf({ arch: "custom", ram: 64 * MIB, zones });
  assert.deepEqual(shape(plan), ["DMA 0+256/256", "Normal 256+16128/16128"]);
  assert.deepEqual(
    plan.nodes[0]?.zonelist.map((own) => own.zone),
    ["Normal", "DMA"],
  );
  assert.equal(plan.devices.find((own) => own.name === "24-bit")?.coherentFrom, "DMA");
});

test("S3 a 32-bit device gets DMA32 on x86-64, and DMA where that is below 4 GiB", () => {
  const from = (own: Description): string | null | undefined =>
    planOf(own).devices.find((device) => device.name === "32-bit")?.coherentFrom;
  assert.equal(from({ arch: "x86_64", ram: 8 * GIB }), "DMA32");
  assert.equal(from({ arch: "arm64", ram: 8 * GIB }), "DMA");
  assert.equal(from({ arch: "i386", ram: 2 * GIB }), "Normal");
});

test("S4 BIGDMA at 30 bits: a zone for a device that fits no kernel's zones", () => {
  const zones = [
    { name: "DMA", limit: 16 * MIB },
    { name: "BIGDMA", limit: GIB },
    { name: "Normal", limit: REST },
  ];
  const plan = planOf({ arch: "custom", ram: 4 * GIB, zones });
  assert.deepEqual(shape(plan), [
    "DMA 0+4096/4096",
    "BIGDMA 4096+258048/258048",
    "Normal 262144+786432/786432",
  ]);
  const bits = new Map(plan.devices.map((device) => [device.dmaBits, device.coherentFrom]));
  assert.deepEqual(
    [24, 29, 30, 32].map((own) => bits.get(own)),
    ["DMA", "DMA", "BIGDMA", "Normal"],
  );
  // The narrowest zone is what such a machine keeps for masks that cover little.
  assert.equal(plan.devices.find((own) => own.dmaBits === 24)?.supported, true);
  const none = planOf({ arch: "custom", ram: 4 * GIB, zones: zones.slice(2) });
  assert.equal(none.devices.find((own) => own.dmaBits === 24)?.supported, false);
  const odd = described({ arch: "custom", ram: GIB, zones: [{ name: "DMA", limit: 3 * MIB }] });
  assert.deepEqual(odd.hardware.customZones, [{ name: "DMA", limit: 3 * MIB }]);
});

test("arm64 has DMA below its narrowest bus, DMA32 to 4 GiB, Normal above", () => {
  assert.deepEqual(shape(planOf({ arch: "arm64", ram: 8 * GIB })).slice(0, 3), [
    "DMA 262144+786432/786432",
    "DMA32",
    "Normal 1048576+1310720/1310720",
  ]);
  const narrow = planOf({ arch: "arm64", ram: 8 * GIB, base: 0, dmaLimit: GIB });
  assert.deepEqual(shape(narrow).slice(0, 3), [
    "DMA 0+262144/262144",
    "DMA32 262144+786432/786432",
    "Normal 1048576+1048576/1048576",
  ]);
});

test("arm64 with 16 KiB and 64 KiB pages counts in its own pages", () => {
  for (const [option, pageSize] of [
    ["16K", 16384],
    ["64K", 65536],
  ] as const) {
    const config = new Map([[`CONFIG_ARM64_${option}_PAGES`, "y"]]);
    const plan = planOf({ arch: "arm64", ram: 8 * GIB, config });
    assert.equal(plan.pageSize, pageSize);
    assert.equal(zoneOf(plan, "DMA").startPfn, GIB / pageSize);
    assert.equal(zoneOf(plan, "DMA").present, (3 * GIB) / pageSize);
    assert.equal(zoneOf(plan, "Normal").present, (5 * GIB) / pageSize);
    assert.equal(zoneOf(plan, "Normal").managed.pages <= (5 * GIB) / pageSize, true);
  }
  // Two zones ask for 11 pageblocks of 512 MiB each: khugepaged stops at 5 % of what is free.
  const large = planOf({
    arch: "arm64",
    ram: 8 * GIB,
    config: new Map([["CONFIG_ARM64_64K_PAGES", "y"]]),
  });
  assert.equal(large.sysctls.minFreeKbytesFrom, "khugepaged");
  assert.ok(large.sysctls.minFreeKbytes > 350_000 && large.sysctls.minFreeKbytes < 8388608 / 20);
});

test("architectures by name, with what each can address", () => {
  const of = (arch: string): unknown[] => {
    const zones = [{ name: "Normal", limit: REST }];
    const { hardware } = described({ arch, ram: GIB, zones });
    return [hardware.arch, hardware.build.physicalExtension, hardware.memory[0]?.start];
  };
  assert.deepEqual(of("x86_64"), ["x86_64", false, 0]);
  assert.deepEqual(of("i386"), ["i386", false, 0]);
  assert.deepEqual(of("i386-pae"), ["i386", true, 0]);
  assert.deepEqual(of("arm"), ["arm", false, GIB]);
  assert.deepEqual(of("arm-lpae"), ["arm", true, GIB]);
  assert.deepEqual(of("arm64"), ["arm64", false, GIB]);
  assert.deepEqual(of("custom"), ["custom", false, 0]);
});

const NODES = [
  { id: 3, memory: [{ start: 2 * GIB, end: 3 * GIB }], cpus: [1, 2] },
  { id: 0, memory: [{ start: 0, end: 2 * GIB }], cpus: [0] },
];

test("nodes give memory, affinity and CPUs", () => {
  const { hardware } = described({ arch: "x86_64", nodes: NODES });
  assert.deepEqual(hardware.memory, [
    { start: 2 * GIB, end: 3 * GIB, type: "usable" },
    { start: 0, end: 2 * GIB, type: "usable" },
  ]);
  assert.deepEqual(hardware.affinity, [
    { start: 2 * GIB, end: 3 * GIB, node: 3, hotplug: false },
    { start: 0, end: 2 * GIB, node: 0, hotplug: false },
  ]);
  assert.deepEqual(hardware.nodes, [0, 3]);
  assert.deepEqual(hardware.cpus, {
    online: 3,
    possible: 3,
    byNode: new Map([
      [3, [1, 2]],
      [0, [0]],
    ]),
  });
  const plan = planOf({ arch: "x86_64", nodes: NODES });
  assert.deepEqual(
    plan.nodes.map(({ node, cpus }) => [node, cpus]),
    [
      [0, 1],
      [3, 2],
    ],
  );
  assert.equal(zoneOf(plan, "DMA32", 3).present, GIB / 4096);
});

test("CPUs are those asked for, those listed, or one", () => {
  const cpus = (own: Partial<Description>, count?: number): unknown =>
    described({ arch: "x86_64", ram: GIB, ...own }, count === undefined ? {} : { cpus: count })
      .hardware.cpus;
  assert.deepEqual(cpus({}), { online: 1, possible: 1, byNode: null });
  assert.deepEqual(cpus({ cpus: 6 }), { online: 6, possible: 6, byNode: null });
  assert.deepEqual(cpus({ cpus: 6 }, 2), { online: 2, possible: 2, byNode: null });
  assert.deepEqual(cpus({ nodes: NODES }, 8), { online: 8, possible: 8, byNode: null });
  const bare = NODES.map((node) => ({ ...node, cpus: [] }));
  assert.deepEqual(cpus({ nodes: bare }), { online: 1, possible: 1, byNode: null });
});

test("memory is the list, else RAM of a size, else the nodes'", () => {
  const list = [{ start: 0, end: GIB, type: "usable" }];
  const end = (own: Partial<Description>, ramBytes?: number): number | undefined =>
    described(
      { arch: "custom", zones: [{ name: "Normal", limit: REST }], ...own },
      ramBytes === undefined ? {} : { ramBytes },
    ).hardware.memory.at(-1)?.end;
  assert.equal(end({ memory: list, ram: 3 * GIB }), GIB);
  assert.equal(end({ memory: list }, 2 * GIB), 2 * GIB);
  assert.equal(end({ ram: 3 * GIB }), 3 * GIB);
  assert.equal(end({ ram: 3 * GIB, base: MIB }), 3 * GIB + MIB);
  assert.equal(end({ ram: 3 * GIB }, 2 * GIB), 2 * GIB);
  assert.equal(end({ ram: 3 * GIB, nodes: NODES }), 3 * GIB);
  assert.equal(end({ nodes: NODES.slice(0, 1) }), 3 * GIB);
  assert.equal(end({ memory: [], ram: GIB }), GIB);
});

test("what else is written down arrives, and what is absent is none", () => {
  const nic = simpleDevice("nic", 32);
  const wifi = simpleDevice("wifi", 30);
  const full = described(
    { arch: "arm", ram: GIB, dmaLimit: 7, armDmaZone: 8, devices: [nic], cmdline: "cma=8M quiet" },
    { devices: [wifi], set: ["cma=4M"] },
  );
  assert.deepEqual([full.hardware.dmaLimit, full.hardware.armDmaZoneBytes], [7, 8]);
  assert.deepEqual(full.devices, [nic, wifi]);
  assert.equal(full.commandLine.text, "quiet cma=4M");
  const bare = described({ arch: "arm", ram: GIB });
  assert.deepEqual([bare.hardware.dmaLimit, bare.hardware.armDmaZoneBytes], [null, null]);
  assert.deepEqual([bare.devices, bare.hardware.customZones, bare.hardware.nodes], [[], [], []]);
  assert.deepEqual(
    [bare.log, bare.before, bare.thpAtRuntime, bare.distances],
    [null, null, null, null],
  );
  assert.equal(bare.name, "m");
});

test("the kernel asked for replaces the described one, and an unlisted one is remarked", () => {
  const kernel = (own: string, option?: string): string =>
    described(
      { arch: "x86_64", ram: GIB, kernel: own },
      option === undefined ? {} : { kernel: option },
    ).era.policy.name;
  assert.equal(kernel("6.1"), "6.1");
  assert.equal(kernel("6.1", "6.12"), "6.12");
  assert.deepEqual(described({ arch: "x86_64", ram: GIB }).issues, []);
  const later = described({ arch: "x86_64", ram: GIB, kernel: "6.6" });
  assert.deepEqual(
    later.issues.map(({ severity, source }) => [severity, source]),
    [["note", "kernel"]],
  );
});

test("each thing that is missing or wrong is an error with its place and mend", () => {
  const refused = (own: Partial<Description>): [string[], string | undefined] => {
    const { value, issues } = machineFromDescription({
      name: "m",
      arch: "x86_64",
      kernel: "6.1",
      ...own,
    });
    assert.equal(value, null);
    return [words(issues), issues[0]?.mend];
  };
  assert.deepEqual(refused({ arch: "alpha", ram: GIB }), [
    ['error arch: "alpha" is not an architecture'],
    "use one of x86_64, i386, i386-pae, arm, arm-lpae, arm64, ia64, riscv, powerpc, powerpc32, s390, mips, mips64, custom",
  ]);
  assert.deepEqual(refused({}), [
    ["error memory: the machine has no memory"],
    "give ram: 4G, or a list memory:",
  ]);
  assert.deepEqual(refused({ memory: [], nodes: [{ id: 0, memory: [], cpus: [0] }] })[0], [
    "error memory: the machine has no memory",
  ]);
  assert.deepEqual(refused({ arch: "custom", ram: GIB })[0], [
    "error zones: a custom machine needs its zones",
  ]);
  assert.deepEqual(refused({ arch: "custom", ram: GIB, zones: [] })[0], [
    "error zones: a custom machine needs its zones",
  ]);
  assert.deepEqual(refused({ kernel: "x", ram: GIB })[0], [
    'error kernel: no rules for kernel "x"',
  ]);
  // A parameter that cannot be read is said too.
  assert.ok(described({ arch: "x86_64", ram: GIB, cmdline: "mem=x" }).issues.length > 0);
});
