// Goal: CMA areas, the crash kernel's memory and huge pages are those the kernel set aside. Method: all
// captures, from the log and from parameters alone, against the log's own lines and zoneinfo; then each form
// of crashkernel= by its rule, and any text at all, which must not break anything.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseCommandLine } from "../../src/boot/command-line.ts";
import type { Hardware, Layout, Pools } from "../../src/boot/hardware.ts";
import { planPools } from "../../src/boot/pools.ts";
import type { BootLog } from "../../src/formats/boot-log.ts";
import { allBoots, anyBoot, type Boot } from "./managed-boots.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

function poolsOf({ hardware, commandLine, layout, policy }: Boot, log: BootLog | null): Pools {
  return planPools(hardware, commandLine, layout, policy, log).value;
}

test("CMA is what the log reserved and zoneinfo counts; parameters alone give its size", () => {
  let areas = 0;
  for (const boot of allBoots()) {
    const seen = poolsOf(boot, boot.log).cma;
    const counted = boot.zones.reduce((sum, zone) => sum + (zone.cma ?? 0), 0);
    const bytes = seen.reduce((sum, area) => sum + area.bytes, 0);
    if (boot.zones.some((zone) => zone.cma !== null))
      assert.equal(bytes, counted * 4096, boot.name);
    // The devicetree's areas are asked for before; the logs have lost the lines about them.
    const own = (boot.hardware.reserved ?? []).filter(({ kind }) => kind === "cma");
    assert.deepEqual(
      seen.slice(own.length).map((area) => area.start),
      boot.log.cma.map((area) => area.start),
    );
    const planned = poolsOf(boot, null).cma.map((area) => area.bytes);
    assert.deepEqual(
      planned,
      seen.map((area) => area.bytes),
      boot.name,
    );
    areas += seen.length;
  }
  assert.ok(areas > 20);
});

test("the crash kernel and huge pages of the captures are those of the log", () => {
  for (const boot of allBoots()) {
    const seen = poolsOf(boot, boot.log);
    const planned = poolsOf(boot, null);
    assert.deepEqual(planned.crashkernel, seen.crashkernel, boot.name);
    assert.deepEqual(planned.hugePages, seen.hugePages, boot.name);
  }
  const crash = anyBoot(/crashkernel64M/);
  assert.deepEqual(poolsOf(crash, null).crashkernel, [{ start: 64 * MIB, end: 128 * MIB }]);
  const huge = anyBoot(/hugepages64/);
  assert.deepEqual(poolsOf(huge, null).hugePages, [{ pageBytes: 2 * MIB, count: 64 }]);
});

/** A machine with RAM from 1 MiB to 3 GiB and from 4 GiB to `gib` GiB more. */
function machine(gib: number, base: Boot = anyBoot(/^x86_64-6.1-1G$/)): Boot {
  const memory = [
    { node: 0, start: 256, end: (3 * GIB) / 4096 },
    { node: 0, start: (4 * GIB) / 4096, end: ((4 + gib) * GIB) / 4096 },
  ].filter((range) => range.end > range.start);
  const layout: Layout = { ...base.layout, memory };
  return { ...base, layout };
}

function crash(text: string, boot: Boot): number[][] {
  const { hardware, layout, policy } = boot;
  const commandLine = parseCommandLine(text, hardware.arch, 4096).value;
  const { crashkernel } = planPools(hardware, commandLine, layout, policy, null).value;
  return crashkernel.map(({ start, end }) => [start / MIB, (end - start) / MIB]);
}

test("crashkernel= is read in all its forms", () => {
  const small = machine(0);
  const large = machine(60);
  assert.deepEqual(crash("crashkernel=64M@32M", small), [[32, 64]]);
  assert.deepEqual(crash("crashkernel=256M", small), [[2800, 256]]);
  assert.deepEqual(crash("crashkernel=1G-4G:64M,4G-:128M", small), [[2992, 64]]);
  assert.deepEqual(crash("crashkernel=1G-4G:64M,4G-:128M", large), [[2928, 128]]);
  assert.deepEqual(crash("crashkernel=4G-:128M", small), []);
  // Of ranges that overlap the first one counts; one that cannot be read spoils the whole list.
  assert.deepEqual(crash("crashkernel=1G-:64M,2G-:128M", small), [[2992, 64]]);
  assert.deepEqual(crash("crashkernel=1G-:64M,2G-1G:128M", small), []);
  assert.deepEqual(crash("crashkernel=512M,high", large), [
    [2800, 256],
    [65008, 512],
  ]);
  assert.deepEqual(crash("crashkernel=512M,high crashkernel=0,low", large), [[65008, 512]]);
  assert.deepEqual(crash("crashkernel=64M crashkernel=32M", small), [[3024, 32]]);
  assert.deepEqual(crash("crashkernel=4G", small), []);
  assert.deepEqual(crash("crashkernel=64M@3040M", small), []);
  assert.deepEqual(crash("crashkernel=64M@32M@16M", small), []);
  assert.deepEqual(crash("", small), []);
});

test("hugetlb_cma= gives each node whole gigantic pages or nothing, and builds without CMA nothing", () => {
  const arm64 = anyBoot(/^arm64-6.1-2G$/);
  const areas = (text: string, hardware: Hardware): [string, number][] => {
    const commandLine = parseCommandLine(text, "arm64", 4096).value;
    const { cma } = planPools(hardware, commandLine, arm64.layout, arm64.policy, null).value;
    return cma.map(({ name, bytes }) => [name, bytes / MIB]);
  };
  const without = { ...arm64.hardware, build: { ...arm64.hardware.build, cma: false } };
  assert.deepEqual(areas("hugetlb_cma=2G cma=0", arm64.hardware), [["hugetlb0", 2048]]);
  assert.deepEqual(areas("hugetlb_cma=256M", arm64.hardware), [["reserved", 64]]);
  assert.deepEqual(areas("cma=3M", arm64.hardware), [["reserved", 4]]);
  assert.deepEqual(areas("hugetlb_cma=2G cma=64M", without), []);
  // Shares are rounded up to a byte and then to a page: one byte more than 2 GiB costs a third GiB.
  const halves = [0, 1].map((node) => ({ node, start: node * 2 ** 19, end: (node + 1) * 2 ** 19 }));
  const twoNodes = { ...arm64.layout, nodes: [0, 1], memory: halves };
  const split = (bytes: number): number[] => {
    const commandLine = parseCommandLine(`hugetlb_cma=${bytes} cma=0`, "arm64", 4096).value;
    const { hardware, policy } = arm64;
    const { cma } = planPools(hardware, commandLine, twoNodes, policy, null).value;
    return cma.map((area) => area.bytes / MIB);
  };
  assert.deepEqual(split(2 ** 31), [1024, 1024]);
  assert.deepEqual(split(2 ** 31 + 1), [2048, 1024]);
});

test("a fixed CMA base is kept, an unaligned one leaves no area", () => {
  const { hardware, layout, policy } = anyBoot(/^arm64-6.1-2G$/);
  const plan = (text: string) =>
    planPools(hardware, parseCommandLine(text, "arm64", 4096).value, layout, policy, null);
  assert.equal(plan("cma=64M@0x60000000").value.cma[0]?.start, 0x60000000);
  assert.equal(plan("cma=64M@0x60000000-0x64000000").value.cma[0]?.start, 0x60000000);
  assert.equal(plan("cma=16M@0x60000000-0x80000000").value.cma[0]?.start, null);
  const bad = plan("cma=64M@0x60001000");
  assert.deepEqual(bad.value.cma, []);
  assert.equal(bad.issues.length, 1);
});

test("no text breaks it, and what is kept lies in RAM", () => {
  const boot = machine(4);
  const ram = boot.layout.memory.map(({ start, end }) => ({
    start: start * 4096,
    end: end * 4096,
  }));
  const piece = fc.constantFrom(..."0123456789KMG@,:-".split(""), "high", "low", "64M", "1G-4G");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const commandLine = {
        ...boot.commandLine,
        crashkernel: [pieces.join("")],
      };
      const { value } = planPools(boot.hardware, commandLine, boot.layout, boot.policy, null);
      for (const { start, end } of value.crashkernel) {
        assert.ok(ram.some((range) => range.start <= start && end <= range.end && start < end));
      }
    }),
    { numRuns: 300 },
  );
});
