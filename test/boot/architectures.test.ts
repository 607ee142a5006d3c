// Goal: the architectures beside PCs lay out their zones as their own boot code does, era by era, and what
// the documents about zones say of them holds. Method: made-up machines; limits worked out from the rule
// named in each test, in pages of the architecture's size.
import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveEra } from "../../src/kernels/eras.ts";
import { gfpEra, withDma32 } from "../../src/kernels/gfp.ts";
import type { Arch, Policy } from "../../src/kernels/policy.ts";
import { gfpZoneIndex } from "../../src/mm/gfp.ts";
import { planMachine } from "../../src/plan/index.ts";
import { described } from "../plan/plans.ts";
import { GIB, layoutFor, MIB, machine, onNode, populated, ram } from "../support/machine.ts";

function era(version: string, arch: Arch): Policy {
  const found = resolveEra(version, arch);
  assert.ok(found !== null);
  return found.policy;
}

const IA64 = { pageSize: 16384, zoneDma32: false, highmem: false, numa: true };

test("S1 ia64: DMA is everything below 4 GiB, Normal the rest, and there is no HighMem", () => {
  const memory = [ram(0, 2048), ram(4096, 6144)];
  for (const version of ["2.6.9", "2.6.18", "2.6.39"]) {
    const { value } = layoutFor(machine("ia64", { memory, build: IA64 }), "", era(version, "ia64"));
    const spans = value.zones.filter(({ spanned }) => spanned > 0);
    assert.deepEqual(
      spans.map(({ name, startPfn, spanned }) => [name, startPfn, spanned]),
      [
        ["DMA", 0, 0x40000],
        ["Normal", 0x40000, 0x60000],
      ],
      version,
    );
  }
  const modern = layoutFor(machine("ia64", { memory, build: IA64 }), "", era("5.10", "ia64")).value;
  assert.deepEqual(modern.zoneNames, ["DMA32", "Normal", "Movable"]);
});

test("S3 ia64: GFP_DMA and GFP_DMA32 mean the same zone", () => {
  const { value } = planMachine(described({ arch: "ia64", ram: 8 * GIB, kernel: "2.6.18" }));
  const zones = value?.nodes[0]?.zones.map(({ name }) => name) ?? [];
  const alias = withDma32(gfpEra("2.6.18"), "alias");
  const bits = (name: string): number => alias.bits.get(name) ?? 0;
  assert.equal(bits("__GFP_DMA"), bits("__GFP_DMA32"));
  for (const name of ["__GFP_DMA", "__GFP_DMA32"]) {
    assert.equal(zones[gfpZoneIndex(bits(name), zones, alias.zoneRule)], "DMA", name);
  }
  // A 32-bit device gets its memory from there, a 29-bit one fits no zone.
  const nic = value?.devices.find(({ name }) => name === "32-bit");
  assert.deepEqual(
    nic?.reach
      .filter(({ present }) => present > 0)
      .map(({ zone, reachable, present }) => [zone, reachable / present]),
    [
      ["DMA", 1],
      ["Normal", 0],
    ],
  );
});

test("S1 ia64 of one node without NUMA: zones begin at pfn 0, whatever is there", () => {
  const hardware = machine("ia64", { memory: [ram(1024, 1024)], build: { ...IA64, numa: false } });
  const { value } = layoutFor(hardware, "", era("2.6.9", "ia64"));
  assert.deepEqual(populated(value), [`0 DMA 0+${0x20000}/${0x10000}`]);
});

test("S1 ia64: each node has its part of DMA", () => {
  const memory = [ram(0, 2048), ram(4096, 2048), ram(8192, 2048)];
  const affinity = [onNode(0, 0, 6144), onNode(1, 8192, 2048)];
  const hardware = machine("ia64", { memory, affinity, build: IA64, nodes: [0, 1] });
  const { value } = layoutFor(hardware, "", era("2.6.18", "ia64"));
  assert.deepEqual(
    value.zones.filter(({ spanned }) => spanned > 0).map(({ node, name }) => [node, name]),
    [
      [0, "DMA"],
      [0, "Normal"],
      [1, "Normal"],
    ],
  );
});

const ARM = { build: { pageOffset: 0xc0000000 } };

test("S2 ARM 2.6.39: without a DMA zone all low memory is Normal", () => {
  const hardware = machine("arm", {
    memory: [ram(0x800, 256)],
    build: { ...ARM.build, zoneDma: false },
  });
  const { value } = layoutFor(hardware, "", era("2.6.39", "arm"));
  assert.deepEqual(value.zoneNames, ["Normal", "HighMem", "Movable"]);
  // 65536 pages less 65536 * 32 / 4096 of struct pages.
  assert.deepEqual(populated(value), ["0 Normal 524288+65536/65024"]);
});

test("S2 ARM 2.6.39: with a DMA zone all low memory is DMA by default", () => {
  const { value } = layoutFor(
    machine("arm", { memory: [ram(0x800, 256)] }),
    "",
    era("2.6.39", "arm"),
  );
  assert.deepEqual(populated(value), ["0 DMA 524288+65536/65024"]);
});

test("S2 ARM 2.6.39: a platform may move the rest to Normal, to the page", () => {
  const hardware = machine("arm", { memory: [ram(0x800, 256)], armDmaZoneBytes: 64 * MIB });
  const { value } = layoutFor(hardware, "", era("2.6.39", "arm"));
  assert.deepEqual(populated(value), ["0 DMA 524288+16384/16256", "0 Normal 540672+49152/48768"]);
});

test("S2 ARM: the board whose even MiB only are DMA-able gets a DMA zone of 1 MiB", () => {
  const hardware = machine("arm", { memory: [ram(0xc00, 64)], armDmaZoneBytes: MIB });
  for (const version of ["2.6.18", "2.6.39", "3.10", "4.19", "5.4"]) {
    const { value } = layoutFor(hardware, "", era(version, "arm"));
    const dma = value.zones.find(({ name }) => name === "DMA");
    assert.deepEqual([dma?.startPfn, dma?.spanned], [0xc0000, 256], version);
    const normal = value.zones.find(({ name }) => name === "Normal");
    assert.deepEqual([normal?.startPfn, normal?.spanned], [0xc0100, 63 * 256], version);
  }
  // Since 5.8 the window's last page is lost to Normal.
  const { value } = layoutFor(hardware, "", era("5.10", "arm"));
  assert.equal(value.zones.find(({ name }) => name === "DMA")?.spanned, 255);
});

test("S2 ARM: high memory where configured, else truncated", () => {
  const whole = layoutFor(machine("arm", { memory: [ram(0x400, 1024)] }), "", era("3.10", "arm"));
  // 3.10: VMALLOC_END 0xff000000, 760 MiB of low memory.
  assert.deepEqual(populated(whole.value), [
    `0 DMA ${0x40000}+${760 * 256}/${760 * 256}`,
    `0 HighMem ${0x40000 + 760 * 256}+${264 * 256}/${264 * 256}`,
  ]);
  const cut = layoutFor(
    machine("arm", { memory: [ram(0x400, 1024)], build: { highmem: false } }),
    "",
    era("3.10", "arm"),
  );
  assert.deepEqual(populated(cut.value), [`0 DMA ${0x40000}+${760 * 256}/${760 * 256}`]);
  assert.match(cut.issues[0]?.message ?? "", /ignores 264 MiB/);
});

test("arm: vmalloc= includes the hole before the area up to 5.13", () => {
  const low = (version: string): number => {
    const hardware = machine("arm", { memory: [ram(0x400, 2048)] });
    const { value } = layoutFor(hardware, "vmalloc=256M", era(version, "arm"));
    return (value.maxLowPfn - 0x40000) / 256;
  };
  // 0xff800000 - 256 MiB - 3 GiB = 760 MiB; then 8 MiB less.
  assert.deepEqual([low("5.4"), low("5.10"), low("5.15")], [760, 760, 752]);
});

test("arm: the split of the address space decides how much memory is low", () => {
  const low = (pageOffset: number): number => {
    const hardware = machine("arm", { memory: [ram(0, 3072)], build: { pageOffset } });
    return layoutFor(hardware, "", era("6.1", "arm")).value.maxLowPfn / 256;
  };
  assert.deepEqual(
    [0xc0000000, 0xb0000000, 0x80000000, 0x40000000].map(low),
    [768, 1024, 1792, 2816],
  );
});

test("arm64: one zone below 4 GiB, called DMA then DMA32; 1 GiB of DMA in 5.10.13", () => {
  const hardware = machine("arm64", { memory: [ram(0, 8192)] });
  const names = (version: string): string[] =>
    populated(layoutFor(hardware, "", era(version, "arm64")).value).map((zone) => zone.slice(2));
  const normal = `Normal ${2 ** 20}+${2 ** 20}/${2 ** 20}`;
  assert.deepEqual(names("3.10"), [`DMA 0+${2 ** 20}/${2 ** 20}`, normal]);
  assert.deepEqual(names("4.9"), [`DMA 0+${2 ** 20}/${2 ** 20}`, normal]);
  assert.deepEqual(names("4.19"), [`DMA32 0+${2 ** 20}/${2 ** 20}`, normal]);
  assert.deepEqual(names("5.4"), [`DMA32 0+${2 ** 20}/${2 ** 20}`, normal]);
  const quarter = 2 ** 18;
  const rest = 2 ** 20 - quarter;
  assert.deepEqual(names("5.10.13"), [
    `DMA 0+${quarter}/${quarter}`,
    `DMA32 ${quarter}+${rest}/${rest}`,
    normal,
  ]);
  assert.deepEqual(names("5.10.89"), [`DMA 0+${2 ** 20}/${2 ** 20}`, normal]);
});

test("arm64 up to 5.4: the window is counted from 4 GiB steps below the first RAM", () => {
  const hardware = machine("arm64", { memory: [ram(514 * 1024, 8192)] });
  const { value } = layoutFor(hardware, "", era("5.4", "arm64"));
  // RAM from 514 GiB: the window is 512 to 516 GiB.
  assert.deepEqual(populated(value), [
    `0 DMA32 ${514 * 2 ** 18}+${2 ** 19}/${2 ** 19}`,
    `0 Normal ${516 * 2 ** 18}+${6 * 2 ** 18}/${6 * 2 ** 18}`,
  ]);
});

test("riscv: DMA32 to 4 GiB and Normal above, no DMA", () => {
  const build = { zoneDma: false };
  const large = layoutFor(machine("riscv", { memory: [ram(2048, 4096)], build }));
  assert.deepEqual(large.value.zoneNames, ["DMA32", "Normal", "Movable"]);
  assert.deepEqual(populated(large.value), [
    `0 DMA32 ${2 ** 19}+${2 ** 19}/${2 ** 19}`,
    `0 Normal ${2 ** 20}+${2 ** 19}/${2 ** 19}`,
  ]);
  const small = layoutFor(machine("riscv", { memory: [ram(2048, 512)], build }));
  assert.deepEqual(populated(small.value), [`0 DMA32 ${2 ** 19}+${2 ** 17}/${2 ** 17}`]);
});

test("s390: DMA is 2 GiB, what 31 bits reach", () => {
  const build = { zoneDma32: false };
  const { value } = layoutFor(machine("s390", { memory: [ram(0, 8192)], build }));
  assert.deepEqual(populated(value), [
    `0 DMA 0+${2 ** 19}/${2 ** 19}`,
    `0 Normal ${2 ** 19}+${3 * 2 ** 19}/${3 * 2 ** 19}`,
  ]);
});

test("powerpc: DMA to 2 GiB, on 32-bit to 1 GiB of low memory; all of it before 5.0", () => {
  const hardware = machine("powerpc", { memory: [ram(0, 8192)], build: { zoneDma32: false } });
  const zones = (version: string): string[] =>
    populated(layoutFor(hardware, "", era(version, "powerpc")).value);
  const split = [
    `0 DMA 0+${2 ** 19}/${2 ** 19}`,
    `0 Normal ${2 ** 19}+${3 * 2 ** 19}/${3 * 2 ** 19}`,
  ];
  assert.deepEqual(zones("6.1"), split);
  assert.deepEqual(zones("5.4"), split);
  assert.deepEqual(zones("4.19"), [`0 DMA 0+${2 ** 21}/${2 ** 21}`]);
  assert.deepEqual(zones("2.6.18"), [`0 DMA 0+${2 ** 21}/${2 ** 21}`]);
  const narrow = machine("powerpc32", { memory: [ram(0, 1536)], build: { highmem: true } });
  // CONFIG_LOWMEM_SIZE, 768 MiB, all of it below 1 GiB.
  assert.deepEqual(populated(layoutFor(narrow, "", era("6.6", "powerpc32")).value), [
    `0 DMA 0+${768 * 256}/${768 * 256}`,
    `0 HighMem ${768 * 256}+${768 * 256}/${768 * 256}`,
  ]);
});

test("powerpc without CONFIG_ZONE_DMA, as pseries has it since 5.0: all is Normal", () => {
  const build = { zoneDma: false, zoneDma32: false };
  const { value } = layoutFor(machine("powerpc", { memory: [ram(0, 8192)], build }));
  assert.deepEqual(populated(value), [`0 Normal 0+${2 ** 21}/${2 ** 21}`]);
});

test("mips: DMA and DMA32 where configured; low memory ends at 512 MiB", () => {
  const bare = machine("mips", { memory: [ram(0, 128)], build: { zoneDma: false } });
  assert.deepEqual(populated(layoutFor(bare).value), ["0 Normal 0+32768/32768"]);
  const isa = machine("mips", { memory: [ram(0, 256)], build: { zoneDma: true } });
  assert.deepEqual(populated(layoutFor(isa).value), [
    "0 DMA 0+4096/4096",
    "0 Normal 4096+61440/61440",
  ]);
  const cut = layoutFor(
    machine("mips", { memory: [ram(0, 1024)], build: { zoneDma: false, highmem: false } }),
  );
  assert.deepEqual(populated(cut.value), ["0 Normal 0+131072/131072"]);
  assert.match(cut.issues[0]?.message ?? "", /ignores 512 MiB/);
  const high = machine("mips", {
    memory: [ram(0, 1024)],
    build: { zoneDma: false, highmem: true },
  });
  assert.deepEqual(populated(layoutFor(high).value), [
    "0 Normal 0+131072/131072",
    "0 HighMem 131072+131072/131072",
  ]);
  const wide = machine("mips64", {
    memory: [ram(0, 8192)],
    build: { zoneDma: false, zoneDma32: true },
  });
  assert.deepEqual(populated(layoutFor(wide).value), [
    `0 DMA32 0+${2 ** 20}/${2 ** 20}`,
    `0 Normal ${2 ** 20}+${2 ** 20}/${2 ** 20}`,
  ]);
});

test("mem= ends the RAM of each; nothing left is an error", () => {
  for (const arch of ["ia64", "riscv", "powerpc", "s390", "mips64"] as const) {
    const hardware = machine(arch, { memory: [ram(0, 4096)] });
    assert.equal(layoutFor(hardware, "mem=1G").value.maxPfn, 2 ** 18, arch);
    const none = layoutFor(machine(arch, { memory: [] }));
    assert.equal(none.issues[0]?.severity, "error", arch);
  }
});

test("S11 a swiotlb of 128 MiB", () => {
  // Two slots a page of 4 KiB: 65536 slots of 2 KiB.
  const machineOf = described({
    arch: "ia64",
    ram: 8 * GIB,
    kernel: "2.6.18",
    cmdline: "swiotlb=65536",
  });
  assert.equal(planMachine(machineOf).value?.pools.swiotlb?.bytes, 128 * MIB);
});

test("S4 a device of 29 bits fits no zone: part of DMA32 on x86-64, bounced above", () => {
  const { value } = planMachine(described({ arch: "x86_64", ram: 8 * GIB, kernel: "5.15" }));
  const sound = value?.devices.find(({ name }) => name === "29-bit");
  const reach = Object.fromEntries(
    (sound?.reach ?? []).map(({ zone, reachable, present }) => [zone, reachable / present]),
  );
  assert.equal(reach.DMA, 1);
  assert.ok((reach.DMA32 ?? 0) > 0.15 && (reach.DMA32 ?? 1) < 0.18);
  assert.equal(reach.Normal, 0);
});
