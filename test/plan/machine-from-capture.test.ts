// Goal: a machine is put together from whatever files a capture has, each fact from its best source,
// and what is missing is said. Method: captures written down file by file, each with one source less
// than the one before; real captures with a file taken away, against the same capture whole.
import assert from "node:assert/strict";
import { test } from "node:test";
import { simpleDevice } from "../../src/dma/device.ts";
import type { Capture } from "../../src/formats/capture.ts";
import {
  type MachineInput,
  type MachineOptions,
  machineFromCapture,
} from "../../src/plan/index.ts";
import { corpusNames } from "../support/corpus.ts";
import { captureOf, corpusCapture, GIB, MIB, planFor, shape, words } from "./plans.ts";

const AMD64 = "Linux version 6.1.0-50-amd64 (b@x) (gcc) #1 SMP";
const OWN = "Linux version 6.1.0 (b@x) (gcc) #1 SMP";
const IOMEM = "00001000-3fffffff : System RAM\n";
const E820 = [
  "[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable",
  "[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000003fffffff] usable",
];
const SRAT = [
  "[    0.000000] SRAT: PXM 0 -> APIC 0x00 -> Node 0",
  "[    0.000000] SRAT: PXM 1 -> APIC 0x01 -> Node 1",
  "[    0.000000] SRAT: PXM 1 -> APIC 0x02 -> Node 1",
  "[    0.000000] ACPI: SRAT: Node 0 PXM 0 [mem 0x00000000-0x1fffffff]",
  "[    0.000000] ACPI: SRAT: Node 1 PXM 1 [mem 0x20000000-0x3fffffff]",
];

const log = (...lines: readonly string[]): string => `${lines.join("\n")}\n`;

function machineOf(capture: Capture, options: MachineOptions = {}): MachineInput {
  const { value, issues } = machineFromCapture(capture, options);
  assert.ok(value !== null, JSON.stringify(issues));
  assert.equal(value.issues, issues);
  return value;
}

async function machine(
  files: Readonly<Record<string, string>>,
  options: MachineOptions = {},
): Promise<MachineInput> {
  return machineOf(await captureOf({ version: AMD64, iomem: IOMEM, ...files }), options);
}

async function refused(files: Readonly<Record<string, string>>): Promise<[string[], string]> {
  const { value, issues } = machineFromCapture(await captureOf(files));
  assert.equal(value, null);
  return [words(issues), issues[0]?.mend ?? ""];
}

test("without a release, an architecture or a memory map there is no machine, and it is said why", async () => {
  assert.deepEqual(await refused({ iomem: IOMEM }), [
    ["error -: which kernel the machine runs is not in box"],
    "add the machine's /proc/version or dmesg, or give --kernel",
  ]);
  assert.deepEqual(await refused({ version: OWN, iomem: IOMEM }), [
    ["error -: which architecture the machine has is not in box"],
    "add cpuinfo, a config or a complete dmesg",
  ]);
  const noMap: [string[], string] = [
    ["error -: the memory map of the machine is not in box"],
    "add dmesg, /sys/firmware/memmap or, read as root, /proc/iomem or fdt",
  ];
  assert.deepEqual(await refused({ version: AMD64 }), noMap);
  const redacted = "00000000-00000000 : System RAM\n00000000-00000000 : Reserved\n";
  assert.deepEqual(await refused({ version: AMD64, iomem: redacted }), noMap);
  const kernel = await captureOf({ version: AMD64, iomem: IOMEM });
  assert.equal(machineFromCapture(kernel, { kernel: "x" }).value, null);
});

test("--kernel stands in for a release, and its era for the machine's own", async () => {
  const capture = await captureOf({ iomem: IOMEM, config: "CONFIG_X86_64=y\n" });
  assert.equal(machineOf(capture, { kernel: "6.1" }).era.policy.name, "6.1");
  const other = await machine({}, { kernel: "5.10" });
  assert.equal(other.era.policy.name, "5.10");
  assert.equal(other.hardware.build.release, "6.1.0-50-amd64"); // the build is still its own
  const later = await machine({ version: "Linux version 6.6.1-amd64 (b@x) #1 SMP" });
  assert.ok(
    later.issues.some(({ severity, source }) => severity === "note" && source === "kernel"),
  );
  assert.deepEqual(
    words((await machine({})).issues.filter(({ source }) => source === "kernel")),
    [],
  );
});

test("the architecture is the flavour's, else the configuration's, else what CPU and log look like", async () => {
  const arch = async (files: Readonly<Record<string, string>>): Promise<string> =>
    (await machine({ version: OWN, ...files })).hardware.arch;
  assert.equal(await arch({ version: "Linux version 6.1.0-50-686-pae (b@x) #1 SMP" }), "i386");
  assert.equal(await arch({ version: AMD64, config: "CONFIG_ARM64=y\n" }), "x86_64");
  assert.equal(await arch({ config: "CONFIG_X86_64=y\n" }), "x86_64");
  assert.equal(await arch({ config: "CONFIG_X86_32=y\n" }), "i386");
  assert.equal(await arch({ config: "CONFIG_ARM64=y\n" }), "arm64");
  assert.equal(await arch({ config: "CONFIG_ARM=y\n" }), "arm");
  const i386 = "processor\t: 0\nfdiv_bug\t: no\nflags\t\t: fpu pae\n";
  assert.equal(await arch({ config: "CONFIG_ARM64=y\n", cpuinfo: i386 }), "arm64");
  assert.equal(await arch({ cpuinfo: i386, dmesg: log(...E820) }), "i386");
  assert.equal(await arch({ dmesg: log(...E820) }), "x86_64");
  assert.equal(await arch({ dmesg: log(...E820.slice(1)) }), "x86_64");
});

test("a CPU's extension counts for an unknown 32-bit build, and only of its own architecture", async () => {
  const extended = async (cpuinfo: string, files: Readonly<Record<string, string>> = {}) =>
    (await machine({ version: OWN, cpuinfo, ...files })).hardware.build.physicalExtension;
  const i386 = "processor\t: 0\nfdiv_bug\t: no\n";
  assert.equal(await extended(`${i386}flags\t\t: fpu pae\n`), true);
  assert.equal(await extended(`${i386}flags\t\t: fpu\n`), false);
  assert.equal(await extended(`${i386}flags\t\t: fpu lpae\n`), false);
  const arm = "processor\t: 0\nCPU implementer\t: 0x41\n";
  assert.equal(await extended(`${arm}Features\t: half thumb lpae\n`), true);
  assert.equal(await extended(`${arm}Features\t: half thumb pae\n`), false);
  assert.equal(await extended("", { config: "CONFIG_ARM=y\n" }), false);
  assert.equal(await extended("", { config: "CONFIG_X86_32=y\n" }), false);
  const file = { config: "CONFIG_X86_32=y\nCONFIG_HIGHMEM4G=y\n" };
  assert.equal(await extended(`${i386}flags\t\t: fpu pae\n`, file), false);
});

const MEMMAP = log(
  "0x0 0x9fbff System RAM",
  "0x9fc00 0x9ffff Reserved",
  "0x100000 0x1fffffff System RAM",
);

test("the memory map is the log's e820, else sysfs's, else the log's later words, else iomem's", async () => {
  const end = (own: MachineInput): number | undefined => own.hardware.memory.at(-1)?.end;
  const NODES = [
    "[    0.000000] Early memory node ranges",
    "[    0.000000]   node   0: [mem 0x0000000000001000-0x000000002fffffff]",
  ];
  const all = { dmesg: log(...E820, ...NODES), firmware_memmap: MEMMAP };
  assert.equal(end(await machine(all)), GIB);
  assert.equal(end(await machine({ ...all, dmesg: log(...NODES) })), GIB / 2);
  const nodes = await machine({ dmesg: log(...NODES) });
  assert.deepEqual(nodes.hardware.memory, [{ start: 0x1000, end: 768 * MIB, type: "usable" }]);
  const remarks = ({ issues }: MachineInput): string[] =>
    words(issues.filter(({ source }) => source === "iomem"));
  assert.deepEqual(remarks(nodes), []);
  const iomem = await machine({ iomem: `${IOMEM}40000000-4fffffff : Reserved\n` });
  assert.deepEqual(iomem.hardware.memory, [{ start: 0x1000, end: GIB, type: "usable" }]);
  assert.deepEqual(remarks(iomem), [
    "note iomem: memory map taken from /proc/iomem, which already has mem= and memmap= applied",
  ]);
  // sysfs has a map of PCs only, and a board's iomem is as good as its devicetree.
  const version = "Linux version 6.1.0-50-arm64 (b@x) #1 SMP";
  const board = await machine({ version, firmware_memmap: MEMMAP });
  assert.equal(end(board), GIB);
  assert.deepEqual(remarks(board), []);
  const pae = "Linux version 6.1.0-50-686-pae (b@x) #1 SMP";
  assert.equal(end(await machine({ version: pae, firmware_memmap: MEMMAP })), GIB / 2);
});

test("sysfs's words for memory are read as the log's", async () => {
  const types = [
    ["System RAM", "usable"],
    ["Reserved", "reserved"],
    ["ACPI Tables", "ACPI data"],
    ["ACPI Non-volatile Storage", "ACPI NVS"],
    ["Unusable memory", "unusable"],
    ["Persistent Memory", "persistent (type 7)"],
    ["Persistent Memory (legacy)", "persistent (type 12)"],
    ["Soft Reserved", "soft reserved"],
    ["Something new", "Something new"],
  ];
  const lines = types.map(([type], i) => `0x${i}00000 0x${i}fffff ${type}`);
  const own = await machine({ firmware_memmap: log(...lines) });
  assert.deepEqual(
    own.hardware.memory,
    types.map(([, type], i) => ({ start: i * MIB, end: (i + 1) * MIB, type })),
  );
});

test("sysfs's map of every captured PC gives the zones of its log's map", async () => {
  for (const name of corpusNames(/^(x86_64|i386)/).filter((_, i) => i % 6 === 0)) {
    const capture = await corpusCapture(name);
    assert.ok(capture.bootLog !== null && capture.firmwareMemmap !== null, name);
    const bare = { ...capture, bootLog: { ...capture.bootLog, e820: [] } };
    const bySysfs = { ...machineOf(bare), log: null };
    assert.deepEqual(
      shape(planFor(bySysfs)),
      shape(planFor({ ...machineOf(capture), log: null })),
      name,
    );
  }
});

test("affinity is SRAT's, or that of a devicetree's nodes, unless parameters override it", async () => {
  const affinity = async (lines: readonly string[], cmdline = "", version = AMD64) =>
    (await machine({ version, cmdline, dmesg: log(...lines) })).hardware.affinity;
  const nodes = [
    { node: 0, start: 0, end: GIB / 2, hotplug: false },
    { node: 1, start: GIB / 2, end: GIB, hotplug: false },
  ];
  assert.deepEqual(await affinity([...E820, ...SRAT]), nodes);
  const early = [
    "[    0.000000] Early memory node ranges",
    "[    0.000000]   node   0: [mem 0x0000000000000000-0x000000001fffffff]",
    "[    0.000000]   node   1: [mem 0x0000000020000000-0x000000003fffffff]",
  ];
  const board = "Linux version 6.1.0-50-arm64 (b@x) #1 SMP";
  assert.deepEqual(await affinity(early, "", board), nodes);
  assert.deepEqual(await affinity(early, "numa=fake=2", board), []);
  assert.deepEqual(await affinity(early.slice(0, 2), "", board), []);
  // On a PC with a map those nodes are what parameters made of it.
  assert.deepEqual(await affinity([...E820, ...early]), []);
});

test("nodes whose memory nobody told are a warning, once there is more than one", async () => {
  const warned = async (files: Readonly<Record<string, string>>): Promise<string[]> =>
    words((await machine(files)).issues.filter(({ source }) => source === "node"));
  const two = "0-1\n";
  assert.deepEqual(await warned({ "node/online": two, dmesg: log(...E820) }), [
    "warning node: 2 nodes are online, but which memory is whose is not in box",
  ]);
  assert.deepEqual(await warned({ "node/online": "0\n", dmesg: log(...E820) }), []);
  assert.deepEqual(await warned({ "node/online": two, dmesg: log(...E820, ...SRAT) }), []);
  const fake = { "node/online": two, cmdline: "numa=fake=2", dmesg: log(...E820) };
  assert.deepEqual(await warned(fake), []);
  assert.deepEqual((await machine(fake)).hardware.nodes, [0, 1]);
  assert.deepEqual((await machine({})).hardware.nodes, []);
});

test("CPUs: as many as asked for, as the log brought up, as cpuinfo lists, or one", async () => {
  const cpus = async (files: Readonly<Record<string, string>>, options: MachineOptions = {}) => {
    const { online, possible } = (await machine(files, options)).hardware.cpus;
    return [online, possible];
  };
  const cpuinfo = "processor\t: 0\n\nprocessor\t: 1\n";
  const up = "[    0.5] smp: Brought up 1 node, 3 CPUs";
  const allowing = "[    0.0] smpboot: Allowing 8 CPUs, 5 hotplug CPUs";
  const groups = "[    0.0] pcpu-alloc: [0] 0 1 2 3 ";
  const dmesg = (...lines: readonly string[]): string => log(...E820, ...lines);
  assert.deepEqual(await cpus({}), [1, 1]);
  assert.deepEqual(await cpus({ cpuinfo }), [2, 2]);
  assert.deepEqual(await cpus({ cpuinfo, dmesg: dmesg(up) }), [3, 3]);
  assert.deepEqual(await cpus({ dmesg: dmesg(up, groups) }), [3, 4]);
  assert.deepEqual(await cpus({ dmesg: dmesg(allowing, up, groups) }), [3, 8]);
  assert.deepEqual(await cpus({ dmesg: dmesg(allowing, up) }, { cpus: 5 }), [5, 5]);
});

test("CPUs that parameters make possible, where no log counts them", async () => {
  const possible = async (cmdline: string): Promise<number> => {
    const cpuinfo = "processor\t: 0\n\nprocessor\t: 1\n";
    return (await machine({ cpuinfo, cmdline })).hardware.cpus.possible;
  };
  assert.equal(await possible("possible_cpus=8"), 8);
  assert.equal(await possible("possible_cpus=8 nr_cpus=4"), 4);
  assert.equal(await possible("possible_cpus=1"), 2); // as many as are online at least
  assert.equal(await possible("nr_cpus=4"), 2);
});

test("CPUs of nodes are sysfs's, else SRAT's, else as they started, else the percpu groups'", async () => {
  const byNode = async (
    files: Readonly<Record<string, string>>,
    options: MachineOptions = {},
  ): Promise<unknown> => {
    const map = (await machine(files, options)).hardware.cpus.byNode;
    return map && [...map].map(([node, cpus]) => `${node}: ${cpus.join(" ")}`);
  };
  const up = "[    0.5] smp: Brought up 2 nodes, 3 CPUs";
  const groups = "[    0.0] pcpu-alloc: [0] 0 2 [1] 1 ";
  const started = "[    0.3] .... node  #1, CPUs:      #1 #2";
  const dmesg = (...lines: readonly string[]): string => log(...E820, up, ...lines);
  const sysfs = {
    "node/online": "0-1\n",
    "node/node0/cpulist": "0,2\n",
    "node/node1/cpulist": "1\n",
  };
  assert.deepEqual(await byNode({ ...sysfs, dmesg: dmesg(...SRAT) }), ["0: 0 2", "1: 1"]);
  assert.deepEqual(await byNode({ dmesg: dmesg(...SRAT, groups) }), ["0: 0", "1: 1 2"]);
  assert.deepEqual(await byNode({ dmesg: dmesg(groups, started) }), ["0: 0", "1: 1 2"]);
  // A starting CPU that has something to say breaks the list: #2 then stands on a line of its own.
  const broken = "[    0.3] .... node  #1, CPUs:      #1";
  assert.deepEqual(await byNode({ dmesg: dmesg(groups, broken) }), ["0: 0", "1: 1 2"]);
  assert.deepEqual(await byNode({ dmesg: dmesg(groups) }), ["0: 0 2", "1: 1"]);
  assert.equal(await byNode({ dmesg: dmesg() }), null);
  assert.equal(await byNode({ dmesg: dmesg("[    0.0] pcpu-alloc: [0] 0 1 2") }), null);
  assert.equal(await byNode({ cmdline: "numa=off", dmesg: dmesg(groups) }), null);
  assert.equal(await byNode({ ...sysfs, dmesg: dmesg() }, { cpus: 3 }), null);
  // A CPU that was found but is not online belongs nowhere.
  const one = log(...E820, "[    0.5] smp: Brought up 2 nodes, 2 CPUs", ...SRAT);
  assert.deepEqual(await byNode({ dmesg: one }), ["0: 0", "1: 1"]);
});

test("a CPU of a faked machine belongs to every fake node", async () => {
  const capture = await corpusCapture("x86_64-6.1-4G-numa_fake4");
  const { byNode } = machineOf({ ...capture, nodes: null }).hardware.cpus;
  assert.deepEqual(
    byNode && [...byNode],
    [0, 1, 2, 3].map((node) => [node, [0, 1]]),
  );
});

test("the log alone tells the CPUs of nodes of captured machines as sysfs does", async () => {
  const names = corpusNames(/numa\d.*(?<!fake\d|off)$/);
  assert.ok(names.length > 8, names.join());
  for (const name of names) {
    const capture = await corpusCapture(name);
    const told = machineOf({ ...capture, nodes: null }).hardware.cpus.byNode;
    for (const [node, cpus] of machineOf(capture).hardware.cpus.byNode ?? []) {
      assert.deepEqual(told?.get(node) ?? [], cpus, `${name} node ${node}`);
    }
  }
});

test("distances go from node to node by number, not by place in the row", async () => {
  const files = {
    "node/online": "0,2\n",
    "node/node0/distance": "10 21\n",
    "node/node2/distance": "31 10\n",
  };
  const { distances } = await machine(files);
  assert.deepEqual(distances && [...distances].map(([from, row]) => [from, [...row]]), [
    [
      0,
      [
        [0, 10],
        [2, 21],
      ],
    ],
    [
      2,
      [
        [0, 31],
        [2, 10],
      ],
    ],
  ]);
  const short = await machine({ ...files, "node/node2/distance": "31\n" });
  assert.equal(short.distances?.get(2)?.get(2), 20);
  assert.equal((await machine({})).distances, null);
});

test("devices have the masks, the IOMMU and the node of their line", async () => {
  const devices = log(
    "nic dma_mask_bits=32 consistent_dma_mask_bits=30 numa_node=1 iommu=identity",
    "disk dma_mask_bits=64 numa_node=-1 iommu=DMA-FQ",
  );
  const extra = simpleDevice("wifi", 30);
  assert.deepEqual((await machine({ devices }, { devices: [extra] })).devices, [
    { name: "nic", dmaBits: 32, coherentBits: 30, busLimit: null, iommu: false, node: 1 },
    { name: "disk", dmaBits: 64, coherentBits: 64, busLimit: null, iommu: true, node: null },
    extra,
  ]);
  const plan = planFor(await machine({ devices }));
  assert.deepEqual(
    plan.devices.slice(-2).map(({ name, streaming }) => [name, streaming]),
    [
      ["nic", "direct"],
      ["disk", "iommu"],
    ],
  );
});

test("the command line is the file's, else the log's", async () => {
  const dmesg = log("[    0.0] Command line: quiet mem=512M", ...E820);
  assert.equal((await machine({ dmesg })).commandLine.text, "quiet mem=512M");
  assert.equal((await machine({ dmesg, cmdline: "mem=256M\n" })).commandLine.text, "mem=256M");
  assert.equal((await machine({})).commandLine.text, "");
  const set = await machine({ cmdline: "mem=256M" }, { set: ["mem=128M"] });
  assert.equal(set.commandLine.text, "mem=128M");
  assert.ok((await machine({ cmdline: "mem=x" })).issues.length > 1);
});

test("any change but devices puts the log and what ran aside, and keeps the machine as it was", async () => {
  const capture = await corpusCapture("trace-d-hugepages-1G");
  const plain = machineOf(capture);
  assert.equal(plain.log, capture.bootLog);
  assert.equal(plain.before, null);
  assert.equal(plain.thpAtRuntime, "never");
  assert.ok(plain.hardware.image != null);
  for (const options of [{ devices: [simpleDevice("d", 30)] }, { set: [] }]) {
    assert.equal(machineOf(capture, options).log, capture.bootLog);
  }
  for (const options of [{ kernel: "6.12" }, { ramBytes: GIB }, { cpus: 1 }, { set: ["quiet"] }]) {
    const changed = machineOf(capture, options);
    assert.equal(changed.log, null);
    assert.equal(changed.thpAtRuntime, null);
    assert.equal(changed.hardware.image, null);
    assert.deepEqual(changed.before, plain);
    const blind = machineOf({ ...capture, bootLog: null }, options);
    assert.equal(blind.before, null);
  }
  assert.equal(machineOf(capture, { ramBytes: 2 * GIB }).hardware.memory.at(-1)?.end, 2 ** 40);
});

test("where the image lies is from its first to its last part, and not told by a redacted file", async () => {
  const parts = log(
    "00001000-3fffffff : System RAM",
    "  02000000-027fffff : Kernel rodata",
    "  01000000-01ffffff : Kernel code",
    "  03000000-03ffffff : Kernel bss",
    "  02800000-02bfffff : Kernel data",
  );
  const image = async (iomem: string): Promise<unknown> =>
    (await machine({ iomem, firmware_memmap: MEMMAP })).hardware.image;
  assert.deepEqual(await image(parts), { start: 0x1000000, end: 0x4000000 });
  assert.equal(await image(IOMEM), null);
  assert.equal(await image(parts.replace(/[0-9a-f]{8}/g, "00000000")), null);
});

test("memory that EFI keeps unmapped is known by its flag", async () => {
  const capture = await corpusCapture("arm64-6.1-2G-efi");
  const { unmapped, memory } = machineOf(capture).hardware;
  assert.equal(unmapped?.length, 3);
  for (const range of unmapped ?? []) {
    assert.ok(memory.some(({ start, end }) => start === range.start && end === range.end));
  }
  assert.deepEqual((await machine({})).hardware.unmapped, []);
});
