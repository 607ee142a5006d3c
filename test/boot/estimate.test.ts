// Goal: bounds of managed pages from parameters alone always hold the truth, and the guess is near it for
// builds we measured. Method: all captures, as their own release, as a neighbouring release and as an
// unknown build; then made-up machines from 64 MiB to 64 TiB, where the bounds must stay in order.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type CommandLine, parseCommandLine } from "../../src/boot/command-line.ts";
import type { Build, Hardware, Managed } from "../../src/boot/hardware.ts";
import { layOut } from "../../src/boot/layout.ts";
import { managedFromParameters } from "../../src/boot/managed.ts";
import { planPools } from "../../src/boot/pools.ts";
import { allBoots, anyBoot, type Boot } from "./managed-boots.ts";

function estimateOf(boot: Boot, change: Partial<Build> = {}): Managed {
  const hardware: Hardware = { ...boot.hardware, build: { ...boot.hardware.build, ...change } };
  const { commandLine, layout, policy } = boot;
  const pools = planPools(hardware, commandLine, layout, policy, null).value;
  return managedFromParameters(hardware, commandLine, layout, pools, policy).value;
}

function missed(boot: Boot, managed: Managed): number[] {
  return managed.zones.flatMap(({ low, high }, slot) => {
    const pages = boot.zones[slot]?.managed ?? -1;
    return low <= pages && pages <= high ? [] : [slot];
  });
}

test("the bounds hold the truth on every capture, however well the build is known", () => {
  for (const boot of allBoots()) {
    assert.deepEqual(missed(boot, estimateOf(boot)), [], boot.name);
    const { release } = boot.hardware.build;
    const near = { release: release?.replace(/50|32|95/, "7") ?? null };
    assert.notEqual(near.release, release);
    assert.deepEqual(missed(boot, estimateOf(boot, near)), [], `${boot.name}, near`);
    assert.deepEqual(
      missed(boot, estimateOf(boot, { flavour: null })),
      [],
      `${boot.name}, unknown`,
    );
  }
});

test("the guess of all zones together is within 64 pages, 320 on i386", () => {
  for (const boot of allBoots()) {
    const guess = estimateOf(boot).zones.reduce((sum, zone) => sum + zone.end, 0);
    const truth = boot.zones.reduce((sum, zone) => sum + (zone.managed ?? 0), 0);
    // EFI on arm64 keeps some hundred pages of its own.
    const isEfi = (boot.hardware.unmapped ?? []).length > 0;
    const allowed = isEfi || boot.hardware.arch === "i386" ? 320 : 64;
    assert.ok(Math.abs(guess - truth) <= allowed, `${boot.name}: ${guess - truth}`);
  }
});

test("the bounds are no wider than the image and some 400 pages, 800 on i386, and a pool on nodes", () => {
  for (const boot of allBoots()) {
    const small = boot.hardware.arch === "i386" ? 800 : 400;
    // With several nodes below 4 GiB the bounce pool may lie on either.
    const pool = boot.layout.nodes.length > 1 ? 16384 : 0;
    for (const { low, high } of estimateOf(boot).zones) {
      assert.ok(high - low <= 11400 + small + pool, `${boot.name}: ${high - low}`);
    }
  }
});

function madeUp(gib: number, text: string, base: Boot): Boot {
  const memory = [
    { start: 0, end: 0x9fc00, type: "usable" },
    { start: 0x100000, end: Math.min(gib, 3) * 2 ** 30, type: "usable" },
    { start: 2 ** 32, end: 2 ** 32 + Math.max(0, gib - 3) * 2 ** 30, type: "usable" },
  ].filter((range) => range.end > range.start);
  const hardware: Hardware = { ...base.hardware, memory, affinity: [], nodes: [] };
  const commandLine: CommandLine = parseCommandLine(text, hardware.arch, 4096).value;
  const layout = layOut(hardware, commandLine, base.policy).value;
  return { ...base, hardware, commandLine, layout };
}

const LINES = [
  "",
  "nokaslr",
  "movable_node",
  "kernelcore=512M",
  "movablecore=50%",
  "crashkernel=256M",
  "crashkernel=512M,high",
  "swiotlb=force",
  "swiotlb=262144,8",
  "hugepagesz=1G hugepages=2",
  "log_buf_len=16M",
  "mem=1G",
  "numa=fake=4",
];

test("bounds stay in order on machines of any size and command line", () => {
  const base = anyBoot();
  const gib = fc.oneof(fc.double({ min: 0.0625, max: 256, noNaN: true }), fc.constant(65536));
  fc.assert(
    fc.property(gib, fc.subarray(LINES), (size, words) => {
      const pages = Math.floor((size * 2 ** 30) / 4096);
      const boot = madeUp((pages * 4096) / 2 ** 30, words.join(" "), base);
      const managed = estimateOf(boot);
      managed.zones.forEach((zone, slot) => {
        const present = boot.layout.zones[slot]?.present ?? -1;
        const rising = [0, zone.m0, zone.t1, zone.t2, zone.end, zone.high, present];
        assert.deepEqual(
          rising,
          rising.toSorted((a, b) => a - b),
        );
        assert.ok(zone.low >= 0 && zone.low <= zone.end && Number.isInteger(zone.low));
        assert.ok(Number.isInteger(zone.end) && Number.isInteger(zone.high));
      });
    }),
    { numRuns: 150 },
  );
});

test("on 64 TiB a 64th of RAM goes to the memory map", () => {
  const boot = madeUp(65536, "", anyBoot());
  const present = boot.layout.zones.reduce((sum, zone) => sum + zone.present, 0);
  const end = estimateOf(boot).zones.reduce((sum, zone) => sum + zone.end, 0);
  const share = (present - end) / present;
  assert.ok(share > 1 / 64 && share < 1 / 60, `${share}`);
});

test("movable_node lets the log buffer lie at the bottom of memory", () => {
  const boot = anyBoot(/^x86_64-6.1-4G-smp2$/);
  const low = (text: string): number => {
    const commandLine = parseCommandLine(text, "x86_64", 4096).value;
    return estimateOf({ ...boot, commandLine }).zones[0]?.low ?? -1;
  };
  // Of 1 MiB, with descriptors: 1152 pages.
  assert.equal(low("log_buf_len=1M") - low("log_buf_len=1M movable_node") >= 1152, true);
});

test("nokaslr and one zone above DMA leave no doubt about the image", () => {
  const base = anyBoot();
  const widths = (gib: number, text: string): number[] =>
    estimateOf(madeUp(gib, text, base)).zones.map((zone) => zone.high - zone.low);
  assert.ok(Math.max(...widths(2, "")) < 300);
  assert.ok(Math.max(...widths(8, "nokaslr")) < 300);
  assert.ok(Math.max(...widths(8, "")) > 11000);
});

test("a zone too small to surely hold the memory map may lose none or all of itself", () => {
  const base = anyBoot();
  const normal = (gib: number): { present: number; low: number; high: number } => {
    const boot = madeUp(gib, "nokaslr", base);
    const slot = boot.layout.zones.findIndex((zone) => zone.name === "Normal");
    const { low, high } = estimateOf(boot).zones[slot] ?? { low: -1, high: -1 };
    return { present: boot.layout.zones[slot]?.present ?? -1, low, high };
  };
  const small = normal(3 + 1 / 32);
  assert.equal(small.high, small.present);
  assert.equal(small.low, 0);
  const large = normal(5);
  assert.ok(large.high < large.present - 40 * 512);
});
