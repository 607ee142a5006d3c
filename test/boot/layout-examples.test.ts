// Goal: the worked examples of the documents about zones, and the corners no capture has, come out as
// the kernel's rules say. Method: made-up machines; every expected number is worked out by hand from the
// rule named in the test, in pages of 4 KiB.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FirmwareRange } from "../../src/formats/boot-log.ts";
import { V6_12 } from "../../src/kernels/v6_12.ts";
import { bounded } from "../support/bounded.ts";
import { GIB, layoutFor, MIB, machine, onNode, populated, ram } from "../support/machine.ts";

const PC_LOW = [
  { start: 0, end: 0x9fc00, type: "usable" },
  { start: 0x9fc00, end: 0xa0000, type: "reserved" },
];

test("S1 x86-32 DMA 16 MiB / Normal to 896 MiB / HighMem above", () => {
  // The classic formula: the vmalloc area ends with the address space.
  const hardware = machine("i386", { memory: [...PC_LOW, ram(1, 2047)] });
  const { value } = layoutFor(hardware);
  assert.deepEqual(populated(value), [
    "0 DMA 1+4095/3998",
    "0 Normal 4096+225280/225280",
    "0 HighMem 229376+294912/294912",
  ]);
  assert.equal(value.maxLowPfn, 896 * 256);
});

test("S1 x86-64 has no HighMem", () => {
  const { value } = layoutFor(
    machine("x86_64", { memory: [...PC_LOW, ram(1, 3071), ram(4096, 4096)] }),
  );
  assert.deepEqual(value.zoneNames, ["DMA", "DMA32", "Normal", "Movable"]);
  assert.deepEqual(populated(value), [
    "0 DMA 1+4095/3998",
    "0 DMA32 4096+1044480/782336",
    "0 Normal 1048576+1048576/1048576",
  ]);
});

test("S2 ARM all low memory is DMA by default", () => {
  const { value } = layoutFor(machine("arm", { memory: [ram(0x800, 512)] }));
  assert.deepEqual(populated(value), ["0 DMA 524288+131072/131072"]);
  assert.deepEqual(value.zoneNames, ["DMA", "Normal", "HighMem", "Movable"]);
});

test("S2 platform moves the rest to Normal", () => {
  // 128 MiB window, and the kernel's off-by-one: the window's last page is Normal.
  const hardware = machine("arm", { memory: [ram(0xc00, 512)], armDmaZoneBytes: 128 * MIB });
  const { value } = layoutFor(hardware);
  assert.deepEqual(populated(value), ["0 DMA 786432+32767/32767", "0 Normal 819199+98305/98305"]);
  assert.equal(value.dmaLimitPfn, 0xc7fff);
});

test("S2 high memory is truncated where not configured", () => {
  const hardware = machine("arm", { memory: [ram(0x400, 1024)], build: { highmem: false } });
  const { value, issues } = layoutFor(hardware);
  assert.deepEqual(populated(value), [`0 DMA ${0x40000}+${768 * 256}/${768 * 256}`]);
  assert.deepEqual(value.zoneNames, ["DMA", "Normal", "Movable"]);
  assert.match(issues[0]?.message ?? "", /ignores 256 MiB/);
});

test("S2 only even MiB are DMA-able: 1 MiB DMA zone", () => {
  const arm = layoutFor(machine("arm", { memory: [ram(0xc00, 64)], armDmaZoneBytes: MIB }));
  assert.deepEqual(populated(arm.value), ["0 DMA 786432+255/255", "0 Normal 786687+16129/16129"]);
  const zones = [
    { name: "DMA", limit: MIB },
    { name: "Normal", limit: Infinity },
  ];
  const custom = layoutFor(machine("custom", { memory: [ram(0, 64)], customZones: zones }));
  assert.deepEqual(populated(custom.value), ["0 DMA 0+256/256", "0 Normal 256+16128/16128"]);
});

test("S4 ZONE_BIGDMA of 30 bits", () => {
  const customZones = [
    { name: "DMA", limit: 16 * MIB },
    { name: "BIGDMA", limit: 2 ** 30 },
    { name: "DMA32", limit: 2 ** 32 },
    { name: "Normal", limit: Infinity },
  ];
  const { value, issues } = layoutFor(machine("custom", { memory: [ram(0, 8192)], customZones }));
  assert.deepEqual(populated(value), [
    "0 DMA 0+4096/4096",
    "0 BIGDMA 4096+258048/258048",
    "0 DMA32 262144+786432/786432",
    "0 Normal 1048576+1048576/1048576",
  ]);
  assert.deepEqual(issues, []);
});

test("custom zones whose limits cross, or without a zone, are errors", () => {
  for (const customZones of [
    [
      { name: "DMA", limit: GIB },
      { name: "Normal", limit: MIB },
    ],
    [
      { name: "DMA", limit: GIB },
      { name: "DMA", limit: Infinity },
    ],
    [{ name: "DMA", limit: 0 }],
    [],
  ]) {
    const { value, issues } = layoutFor(machine("custom", { memory: [ram(0, 64)], customZones }));
    assert.equal(issues[0]?.severity, "error");
    assert.deepEqual(value.zones, []);
  }
});

test("arm64: dma-ranges of 1 GiB give DMA to 1 GiB and DMA32 above (Raspberry Pi 4)", () => {
  for (const policy of [undefined, V6_12]) {
    const hardware = machine("arm64", { memory: [ram(0, 8192)], dmaLimit: GIB });
    const { value } = layoutFor(hardware, "", policy);
    assert.deepEqual(populated(value), [
      "0 DMA 0+262144/262144",
      "0 DMA32 262144+786432/786432",
      "0 Normal 1048576+1048576/1048576",
    ]);
    assert.equal(value.dmaLimitPfn, 262144);
  }
});

test("arm64: a limit that is no power of two counts as bits before 6.12, as an address since", () => {
  const hardware = machine("arm64", { memory: [ram(0, 2048)], dmaLimit: 768 * MIB });
  assert.deepEqual(populated(layoutFor(hardware).value)[0], "0 DMA 0+262144/262144");
  assert.deepEqual(populated(layoutFor(hardware, "", V6_12).value)[0], "0 DMA 0+196608/196608");
});

test("arm64: DRAM above 4 GiB is all DMA without a limit", () => {
  const memory = [ram(0x8000, 2048)];
  for (const policy of [undefined, V6_12]) {
    const { value } = layoutFor(machine("arm64", { memory }), "", policy);
    assert.deepEqual(populated(value), ["0 DMA 8388608+524288/524288"]);
  }
  // With a limit below DRAM: bits are given up for "everything", an address leaves DMA empty.
  const limited = machine("arm64", { memory, dmaLimit: GIB });
  assert.deepEqual(populated(layoutFor(limited).value), ["0 DMA 8388608+524288/524288"]);
  assert.deepEqual(populated(layoutFor(limited, "", V6_12).value), [
    "0 Normal 8388608+524288/524288",
  ]);
});

test("arm64: mem= keeps an amount, x86: an address, arm: a bank of its own", () => {
  const memory = [ram(1024, 512), ram(2048, 512)];
  const arm64 = layoutFor(machine("arm64", { memory }), "mem=768M").value;
  assert.deepEqual(arm64.memory, [
    { node: 0, start: 262144, end: 393216 },
    { node: 0, start: 524288, end: 589824 },
  ]);
  const x86 = layoutFor(machine("x86_64", { memory }), "mem=2304M").value;
  assert.deepEqual(x86.memory, arm64.memory);
  const arm = layoutFor(machine("arm", { memory }), "mem=256M mem=128M@0x90000000").value;
  assert.deepEqual(arm.memory, [
    { node: 0, start: 262144, end: 327680 },
    { node: 0, start: 589824, end: 622592 },
  ]);
});

test("arm: the last page below 4 GiB is lost without LPAE, and kept with it", () => {
  const memory = [ram(1024, 3072)];
  const last = (physicalExtension: boolean): string | undefined =>
    populated(layoutFor(machine("arm", { memory, build: { physicalExtension } })).value).at(-1);
  assert.equal(last(false), "0 HighMem 458752+589823/589823");
  assert.equal(last(true), "0 HighMem 458752+589824/589824");
});

test("arm: vmalloc= is clamped between 16 MiB and what leaves 32 MiB of low memory", () => {
  const hardware = machine("arm", { memory: [ram(1024, 2048)] });
  const lowMib = (line: string): number =>
    (layoutFor(hardware, line).value.maxLowPfn - 262144) / 256;
  assert.equal(lowMib(""), 768);
  assert.equal(lowMib("vmalloc=512M"), 496);
  assert.equal(lowMib("vmalloc=1M"), 992);
  assert.equal(lowMib("vmalloc=4G"), 32);
});

test("i386: highmem= takes the top of low memory, unless less than 64 MiB would be left", () => {
  const hardware = machine("i386", {
    memory: [...PC_LOW, ram(1, 511)],
    build: { vmallocEnd: 0xfeffe000 },
  });
  const zones = (line: string): string[] => populated(layoutFor(hardware, line).value).slice(1);
  assert.deepEqual(zones("highmem=128M"), [
    "0 Normal 4096+94208/94208",
    "0 HighMem 98304+32768/32768",
  ]);
  assert.deepEqual(zones("highmem=449M"), ["0 Normal 4096+126976/126976"]);
});

test("i386: without PAE nothing above 4 GiB, with PAE nothing above 64 GiB, without HIGHMEM only low memory", () => {
  const memory = [...PC_LOW, ram(1, 2047), ram(4096, 131072)];
  const end = (build: object): number => {
    const { value } = layoutFor(
      machine("i386", { memory, build: { vmallocEnd: 0xfeffe000, ...build } }),
    );
    return value.memory.at(-1)?.end ?? 0;
  };
  assert.equal(end({}), 2048 * 256);
  assert.equal(end({ physicalExtension: true }), 65536 * 256);
  assert.equal(end({ highmem: false }), 0x36ffe);
});

test("kernelcore=mirror shares a zone's pfns by whether they are mirrored", () => {
  const hardware = machine("x86_64", {
    memory: [ram(1, 3071), ram(4096, 4096)],
    mirrored: [ram(0, 5120), ram(6144, 512)],
  });
  const { value } = layoutFor(hardware, "kernelcore=mirror");
  assert.deepEqual(populated(value).slice(2), [
    `0 Normal ${4096 * 256}+${4096 * 256}/${1536 * 256}`,
    `0 Movable ${5120 * 256}+${3072 * 256}/${2560 * 256}`,
  ]);
  // Without mirrors the parameter does nothing since 6.6, and before took all above 4 GiB.
  const none = machine("x86_64", { memory: hardware.memory });
  assert.equal(layoutFor(none, "kernelcore=mirror", V6_12).value.movableStart.size, 0);
  const old = layoutFor(none, "kernelcore=mirror");
  assert.equal(old.value.movableStart.get(0), 2 ** 20);
});

test("movable_node gives hot-pluggable ranges to Movable, but not on the kernel's node", () => {
  const hardware = machine("x86_64", {
    memory: [ram(1, 3071), ram(4096, 5120)],
    affinity: [onNode(0, 0, 3072, true), onNode(0, 4096, 1024), onNode(1, 5120, 4096, true)],
  });
  const { value } = layoutFor(hardware, "movable_node kernelcore=1G");
  assert.deepEqual([...value.movableStart], [[1, 5120 * 256]]);
  assert.equal(populated(value).at(-1), `1 Movable ${5120 * 256}+${4096 * 256}/${4096 * 256}`);
});

test("Movable starts at a block of the highest order of the build", () => {
  const start = (build: object): number | undefined =>
    layoutFor(
      machine("arm", { memory: [ram(1024, 512)], build }),
      "kernelcore=101M",
    ).value.movableStart.get(0);
  assert.equal(start({}), 262144 + 104 * 256);
  assert.equal(start({ maxOrderPages: 4096 }), 262144 + 112 * 256);
});

test("a description of nodes that contradicts itself or leaves out RAM is refused as a whole", () => {
  const memory = [ram(1, 4095)];
  const nodes = (affinity: ReturnType<typeof onNode>[]): readonly number[] => {
    const { value, issues } = layoutFor(machine("x86_64", { memory, affinity }));
    assert.equal(issues.length, value.nodes.length > 1 ? 0 : 1);
    return value.nodes;
  };
  assert.deepEqual(nodes([onNode(0, 0, 2048), onNode(1, 2048, 2048)]), [0, 1]);
  assert.deepEqual(nodes([onNode(0, 0, 2049), onNode(1, 2048, 2048)]), [0]);
  assert.deepEqual(nodes([onNode(0, 0, 2048), onNode(1, 2050, 2046)]), [0]);
});

test("a node without memory stays when it has CPUs", () => {
  const affinity = [onNode(0, 0, 1024), onNode(2, 8192, 1024)];
  const withCpus = (byNode: ReadonlyMap<number, readonly number[]>): readonly number[] =>
    layoutFor(
      machine("x86_64", {
        memory: [ram(1, 1023)],
        affinity,
        nodes: [0, 1, 2],
        cpus: { possible: 2, online: 2, byNode },
      }),
    ).value.nodes;
  assert.deepEqual(
    withCpus(
      new Map([
        [0, [0]],
        [1, [1]],
      ]),
    ),
    [0, 1],
  );
  assert.deepEqual(
    withCpus(
      new Map([
        [0, [0]],
        [1, []],
        [2, [1]],
      ]),
    ),
    [0, 2],
  );
});

test("numa=fake: a count, a size, a count per node, and what is too small", () => {
  const hardware = machine("x86_64", { memory: [ram(1, 2047)] });
  const starts = (value: string, policy?: typeof V6_12): number[] =>
    layoutFor(hardware, `numa=fake=${value}`, policy)
      .value.zones.filter(({ name, spanned }) => name === "DMA32" && spanned > 0)
      .map(({ startPfn }) => startPfn / 256);
  // 2047 MiB in three: 682 MiB each, rounded down to 672. The first MiB is no RAM, so the first
  // node grows by a step until it holds that much; the last takes what is left.
  assert.deepEqual(starts("3"), [16, 704, 1376]);
  assert.deepEqual(starts("512M"), [16, 544, 1056]);
  assert.deepEqual(starts("2U"), [16, 1024]);
  assert.deepEqual(starts("0"), [16]);
  assert.deepEqual(starts("200"), [16]);
  // Since 6.12 the first node begins at the first RAM, here 1 MiB, and has enough without a step.
  assert.deepEqual(starts("3", V6_12), [16, 673, 1345]);
});

test("no RAM, and no RAM after mem=, are errors that say what took it", () => {
  const none = layoutFor(machine("x86_64", { memory: [] }));
  assert.deepEqual(
    none.issues.map(({ severity }) => severity),
    ["error"],
  );
  assert.match(none.issues[0]?.message ?? "", /no usable RAM/);
  const cut = layoutFor(machine("x86_64", { memory: [ram(1, 1023)] }), "mem=4K");
  assert.match(cut.issues[0]?.message ?? "", /mem= and memmap= leave no RAM/);
  assert.deepEqual(cut.value.zones, []);
});

test("e820 overlap: the highest type wins; RAM listed twice elsewhere is a warning", () => {
  const overlap = [ram(1, 1023), { ...ram(512, 256), type: "reserved" }];
  const pc = layoutFor(machine("x86_64", { memory: overlap }));
  assert.deepEqual(
    pc.issues.map(({ severity, message }) => `${severity}: ${message}`),
    [
      "note: the ranges 0x100000 to 0x40000000 (usable) and 0x20000000 to 0x30000000 (reserved)" +
        " of the memory map overlap: where they do, the kernel takes it as reserved",
    ],
  );
  assert.equal(pc.value.memory.length, 2);
  const twice = layoutFor(machine("arm64", { memory: [ram(1024, 512), ram(1280, 512)] }));
  assert.deepEqual(
    twice.issues.map(({ severity }) => severity),
    ["warning"],
  );
  assert.deepEqual(twice.value.memory, [{ node: 0, start: 262144, end: 262144 + 768 * 256 }]);
});

test("every range that overlaps one below it is told once, and a flood of them in one line", () => {
  const notes = (memory: readonly FirmwareRange[]): string[] =>
    layoutFor(machine("x86_64", { memory })).issues.map(({ message }) => message);
  // Neighbours do not overlap; the long range is told with each of the two inside it.
  assert.deepEqual(notes([ram(1, 63), ram(64, 64)]), []);
  const nested = [ram(1, 127), ram(8, 8), { ...ram(32, 8), type: "ACPI NVS" }];
  assert.deepEqual(
    notes([...nested].reverse()).map((message) => message.match(/0x\w+|joined|ACPI NVS$/g)),
    [
      ["0x100000", "0x8000000", "0x800000", "0x1000000", "joined"],
      ["0x100000", "0x8000000", "0x2000000", "0x2800000", "ACPI NVS"],
    ],
  );
  // Of two that reach equally far the first is the one that others are told with.
  assert.deepEqual(
    notes([ram(1, 9), ram(5, 5), ram(7, 2)]).map((message) => message.match(/0x\w+/g)?.slice(0, 3)),
    [
      ["0x100000", "0xa00000", "0x500000"],
      ["0x100000", "0xa00000", "0x700000"],
    ],
  );
  const flood = notes(Array.from({ length: 1000 }, () => ram(1, 63)));
  assert.equal(flood.length, 6);
  assert.equal(flood.at(-1), "994 more ranges of the memory map overlap");
});

test("memmap=: pieces are applied in order, types win when the map is merged", () => {
  const hardware = machine("x86_64", { memory: [ram(1, 1023)] });
  const mib = (line: string): [number, number][] =>
    layoutFor(hardware, line).value.memory.map(({ start, end }) => [start / 256, end / 256]);
  assert.deepEqual(mib("memmap=exactmap,64M@1M,64M@256M"), [
    [1, 65],
    [256, 320],
  ]);
  assert.deepEqual(mib("memmap=64M$128M"), [
    [1, 128],
    [192, 1024],
  ]);
  assert.deepEqual(mib("memmap=64M$128M memmap=32M@144M"), [
    [1, 128],
    [192, 1024],
  ]);
  assert.deepEqual(mib("memmap=1G@1G"), [[1, 2048]]);
  assert.deepEqual(mib("mem=512M memmap=1G@1G"), [
    [1, 512],
    [1024, 2048],
  ]);
  assert.deepEqual(mib("memmap=1G@1G mem=512M"), [[1, 512]]);
  assert.deepEqual(mib("memmap=64M!128M memmap=16M#512M"), [
    [1, 128],
    [192, 512],
    [528, 1024],
  ]);
  assert.deepEqual(mib("memmap=64M%128M-1+2"), [
    [1, 128],
    [192, 1024],
  ]);
  // Taking the reserved entry away uncovers the RAM below it.
  assert.deepEqual(mib("memmap=64M$128M memmap=32M%144M-2"), [
    [1, 128],
    [144, 176],
    [192, 1024],
  ]);
  assert.deepEqual(mib("memmap=64M%128M-1 memmap=64M%128M+1"), [[1, 1024]]);
});

test("x86: SRAT ranges above RAM count as possible memory, unless NUMA is off", () => {
  const hardware = machine("x86_64", {
    memory: [ram(1, 1023)],
    affinity: [onNode(0, 0, 1024), onNode(0, 4096, 4096, true)],
  });
  assert.equal(layoutFor(hardware).value.maxPossiblePfn, 8192 * 256);
  assert.equal(layoutFor(hardware, "numa=off").value.maxPossiblePfn, 1024 * 256);
  assert.equal(layoutFor(hardware).value.maxPfn, 1024 * 256);
});

test("64 TiB on eight nodes cost no more than 1 GiB: by ranges, not by pages", () => {
  const size = 8 * 1024 * 1024;
  const affinity = [onNode(0, 0, 3072)];
  for (let node = 0; node < 8; node++) affinity.push(onNode(node, 4096 + node * size, size));
  const hardware = machine("x86_64", { memory: [ram(1, 3071), ram(4096, 8 * size)], affinity });
  for (const line of ["", "kernelcore=30%", "numa=fake=64", "numa=fake=1G"]) {
    bounded(() => layoutFor(hardware, line), line);
  }
  assert.equal(layoutFor(hardware).value.nodes.length, 8);
});
