// Goal: what must hold of every layout holds on machines that nobody thought of, and bad input comes back
// as issues, never as an exception. Method: fast-check makes RAM, nodes and parameters of all kinds.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hasErrors } from "../../src/base/issue.ts";
import { parseCommandLine } from "../../src/boot/command-line.ts";
import type { Hardware, Layout } from "../../src/boot/hardware.ts";
import { layOut } from "../../src/boot/layout.ts";
import { layoutFromLog } from "../../src/boot/layout-from-log.ts";
import { bootLogReader } from "../../src/formats/boot-log-reader.ts";
import { readText } from "../../src/formats/reader.ts";
import type { Arch, Policy } from "../../src/kernels/policy.ts";
import { V6_1 } from "../../src/kernels/v6_1.ts";
import { V6_12 } from "../../src/kernels/v6_12.ts";
import { bootOf } from "../support/hardware.ts";
import { GIB, layoutFor, MIB, machine, onNode, ram } from "../support/machine.ts";

const ARCHS: readonly Arch[] = ["x86_64", "i386", "arm", "arm64", "custom"];
const CUSTOM = [
  { name: "DMA", limit: 16 * MIB },
  { name: "BIGDMA", limit: GIB },
  { name: "Normal", limit: Infinity },
];

/** A machine with up to eight banks of RAM below 16 GiB and up to three nodes laid end to end over them. */
const machines: fc.Arbitrary<Hardware> = fc
  .record({
    arch: fc.constantFrom(...ARCHS),
    banks: fc.array(fc.tuple(fc.nat(16383), fc.integer({ min: 1, max: 2048 })), {
      minLength: 1,
      maxLength: 8,
    }),
    odd: fc.nat(8191),
    borders: fc.array(fc.integer({ min: 1, max: 16383 }), { maxLength: 2 }),
    highmem: fc.boolean(),
    physicalExtension: fc.boolean(),
    hotplug: fc.boolean(),
  })
  .map(({ arch, banks, odd, borders, highmem, physicalExtension, hotplug }) => {
    const cuts = [0, ...borders.sort((a, b) => a - b), 32768];
    const nodes = cuts
      .slice(1)
      .map((end, i) => onNode(i, cuts[i] ?? 0, end - (cuts[i] ?? 0), hotplug));
    return machine(arch, {
      memory: banks.map(([start, size]) => {
        const bank = ram(start, size);
        return { ...bank, end: bank.end - odd };
      }),
      affinity: borders.length === 0 ? [] : nodes,
      build: { highmem, physicalExtension },
      customZones: CUSTOM,
    });
  });

const lines: fc.Arbitrary<string> = fc
  .array(
    fc.constantFrom(
      "mem=3G",
      "memmap=512M$1G",
      "memmap=100M@20G",
      "kernelcore=700M",
      "kernelcore=33%",
      "movablecore=1G",
      "movablecore=60%",
      "movable_node",
      "numa=off",
      "numa=fake=3",
      "numa=fake=700M",
      "numa=fake=2U",
      "highmem=200M",
      "vmalloc=300M",
      "kernelcore=mirror",
    ),
    { maxLength: 3 },
  )
  .map((words) => words.join(" "));

const policies: fc.Arbitrary<Policy> = fc.constantFrom(V6_1, V6_12);

function spansOf(layout: Layout, node: number): { start: number; end: number }[] {
  return layout.zones
    .filter((zone) => zone.node === node && zone.spanned > 0)
    .map(({ startPfn, spanned }) => ({ start: startPfn, end: startPfn + spanned }));
}

function pagesOf(ranges: readonly { start: number; end: number }[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

/** kernelcore=mirror: zones share pfns; only Normal and Movable divide RAM, others count it twice. */
function isShared(line: string): boolean {
  return line.includes("kernelcore=mirror");
}

test("zones of a node do not overlap, hold what they say, and together hold all RAM", () => {
  fc.assert(
    fc.property(machines, lines, policies, (hardware, line, policy) => {
      const { value: layout, issues } = layoutFor(hardware, line, policy);
      if (hasErrors(issues)) return assert.deepEqual(layout.zones, []);
      for (const node of layout.nodes) {
        const spans = spansOf(layout, node).sort((a, b) => a.start - b.start);
        for (const [i, span] of spans.entries()) {
          const apart = span.start >= (spans[i - 1]?.end ?? 0);
          assert.ok(apart || isShared(line), "zones of a node overlap");
        }
      }
      for (const { startPfn, spanned, present } of layout.zones) {
        assert.ok(present <= spanned && present >= 0);
        assert.ok(spanned > 0 || startPfn === 0);
      }
      const present = layout.zones.reduce((sum, zone) => sum + zone.present, 0);
      if (!isShared(line)) assert.equal(present, pagesOf(layout.memory));
      assert.equal(layout.zones.length, layout.nodes.length * layout.zoneNames.length);
    }),
    { numRuns: 400 },
  );
});

test("RAM in another order, or cut into pieces, gives the same layout", () => {
  fc.assert(
    fc.property(machines, lines, fc.infiniteStream(fc.nat(99)), (hardware, line, dice) => {
      const roll = (): number => Number(dice.next().value);
      const pieces = hardware.memory.flatMap((bank) => {
        const middle = bank.start + Math.floor(((bank.end - bank.start) * roll()) / 100);
        return [
          { ...bank, end: middle },
          { ...bank, start: middle },
        ].filter(({ start, end }) => start < end);
      });
      const shuffled = pieces
        .map((piece) => ({ piece, key: roll() }))
        .sort((a, b) => a.key - b.key);
      const again = { ...hardware, memory: shuffled.map(({ piece }) => piece) };
      assert.deepEqual(layoutFor(again, line).value, layoutFor(hardware, line).value);
    }),
    { numRuns: 200 },
  );
});

test("fake nodes cover all RAM, begin on a step, and there are as many as asked for", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(8191), fc.integer({ min: 256, max: 4096 })), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.integer({ min: 1, max: 6 }),
      (banks, count) => {
        const hardware = machine("x86_64", {
          memory: banks.map(([start, size]) => ram(start + 1, size)),
        });
        const plain = layoutFor(hardware).value;
        const { value: faked, issues } = layoutFor(hardware, `numa=fake=${count}`);
        const total = pagesOf(plain.memory);
        assert.equal(pagesOf(faked.memory), total);
        const refused = issues.some(({ severity }) => severity === "warning");
        if (refused) return assert.ok(total / count < 8192);
        // Rounding may leave the last nodes nothing, never more nodes than asked for.
        assert.ok(faked.nodes.length <= count);
      },
    ),
    { numRuns: 200 },
  );
});

test("Movable is at least what movablecore= asks for, and the kernel keeps kernelcore=", () => {
  fc.assert(
    fc.property(machines, fc.integer({ min: 1, max: 95 }), (hardware, percent) => {
      const at = (line: string): { total: number; movable: number } => {
        const { zones } = layoutFor({ ...hardware, arch: "x86_64" }, line).value;
        const movable = zones.filter(({ name }) => name === "Movable");
        const sum = (list: typeof zones): number =>
          list.reduce((pages, zone) => pages + zone.present, 0);
        return { total: sum(zones), movable: sum(movable) };
      };
      const core = at(`kernelcore=${percent}%`);
      assert.ok(core.total - core.movable >= Math.floor((core.total * percent) / 100));
      const { total, movable } = at(`movablecore=${percent}%`);
      assert.ok(
        movable <=
          Math.ceil((total * percent) / 100 / 1024) * 1024 + 1024 * hardware.affinity.length,
      );
    }),
    { numRuns: 200 },
  );
});

const wild = fc.oneof(
  fc.double({ noDefaultInfinity: false }),
  fc.integer({ min: -10, max: 2 ** 31 - 1 }).map((n) => n * 4096),
  fc.constantFrom(0, -1, 2 ** 32, 2 ** 53 - 1, 2 ** 63, Infinity, Number.NaN),
);

test("any input at all comes back with issues, never with an exception", () => {
  const range = fc.record({ start: wild, end: wild });
  const word = fc.constantFrom("usable", "reserved", "ACPI data", "type 9", "type 0", "?", "");
  fc.assert(
    fc.property(
      fc.constantFrom(...ARCHS),
      fc.array(fc.tuple(range, word), { maxLength: 12 }),
      fc.array(
        fc.record({
          node: fc.integer({ min: -1, max: 2000 }),
          start: wild,
          end: wild,
          hotplug: fc.boolean(),
        }),
        { maxLength: 12 },
      ),
      fc.array(fc.record({ name: fc.constantFrom("DMA", "Normal", "Movable", "X"), limit: wild }), {
        maxLength: 4,
      }),
      fc.oneof(lines, fc.string()),
      wild,
      (arch, memory, affinity, customZones, line, limit) => {
        const hardware = machine(arch, {
          memory: memory.map(([at, type]) => ({ ...at, type })),
          affinity,
          customZones,
          dmaLimit: limit,
          armDmaZoneBytes: limit,
          mirrored: memory.map(([at]) => at),
        });
        const { value, issues } = layOut(hardware, parseCommandLine(line, arch, 4096).value, V6_1);
        if (hasErrors(issues)) assert.deepEqual(value.zones, []);
        else for (const zone of value.zones) assert.ok(zone.present <= zone.spanned);
      },
    ),
    { numRuns: 1500 },
  );
});

test("a log cut, swapped or emptied of lines gives a layout or null, never an exception", () => {
  const boot = bootOf("x86_64-6.1-numa2-4G+1G-kernelcore2G");
  const whole = (boot.files.get("dmesg") ?? "")
    .split("\n")
    .filter(
      (line) => /zone|node|Movable|\[mem |Zone|zonelists/.test(line) && !line.includes("memblock_"),
    );
  const read = (text: string): ReturnType<typeof layoutFromLog> =>
    layoutFromLog(readText(bootLogReader(), text).value, boot.hardware);
  const expected = read(whole.join("\n")).value;
  assert.ok(expected !== null);
  assert.deepEqual(read(whole.join("\r\n")).value, expected);
  assert.equal(read("").value, null);
  fc.assert(
    fc.property(
      fc.nat(whole.length),
      fc.nat(whole.length - 1),
      fc.nat(whole.length - 1),
      (cut, a, b) => {
        const lines = [...whole];
        [lines[a], lines[b]] = [lines[b] ?? "", lines[a] ?? ""];
        for (const text of [
          lines.join("\n"),
          lines.slice(0, cut).join("\n"),
          lines.slice(cut).join("\n"),
        ]) {
          const { value } = read(text);
          for (const zone of value?.zones ?? [])
            assert.ok(zone.present <= zone.spanned && zone.present >= 0);
        }
      },
    ),
    { numRuns: 150 },
  );
});
