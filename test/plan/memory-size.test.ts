// Goal: RAM of an amount lies where firmware puts it, and resizing a real map gives the map of the
// machine with that amount. Method: worked maps; firmware maps of captures resized into each other;
// properties over sizes (the amount is what was asked for, nothing overlaps, there and back again).
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { totalLength } from "../../src/base/range.ts";
import type { FirmwareRange } from "../../src/formats/boot-log.ts";
import { memoryOfSize, resizeMemory } from "../../src/plan/memory-size.ts";
import { corpusCapture, GIB, MIB } from "./plans.ts";

const usable = (start: number, end: number): FirmwareRange => ({ start, end, type: "usable" });
const reserved = (start: number, end: number): FirmwareRange => ({ start, end, type: "reserved" });
const LOW = [usable(0, 0x9fc00), reserved(0x9fc00, 0xa0000), reserved(0xf0000, MIB)];

function ramOf(memory: readonly FirmwareRange[]): number {
  return totalLength(memory.filter(({ type }) => type === "usable"));
}

test("a PC has the hole below 1 MiB, and the device hole below 4 GiB once RAM is larger than 3", () => {
  assert.deepEqual(memoryOfSize(512 * 1024, "x86_64", null), [usable(0, 0x80000), ...LOW.slice(1)]);
  assert.deepEqual(memoryOfSize(MIB, "i386", null), LOW);
  assert.deepEqual(memoryOfSize(2 * MIB, "i386", null), [...LOW, usable(MIB, 2 * MIB)]);
  assert.deepEqual(memoryOfSize(3 * GIB, "x86_64", null), [...LOW, usable(MIB, 3 * GIB)]);
  assert.deepEqual(memoryOfSize(8 * GIB, "x86_64", null), [
    ...LOW,
    usable(MIB, 3 * GIB),
    usable(4 * GIB, 9 * GIB),
  ]);
});

test("boards have one block from their base; a machine no kernel has starts at 0", () => {
  assert.deepEqual(memoryOfSize(GIB, "arm", null), [usable(GIB, 2 * GIB)]);
  assert.deepEqual(memoryOfSize(GIB, "arm64", null), [usable(GIB, 2 * GIB)]);
  assert.deepEqual(memoryOfSize(GIB, "arm64", 0), [usable(0, GIB)]);
  assert.deepEqual(memoryOfSize(GIB, "arm", 0x80000000), [usable(2 * GIB, 3 * GIB)]);
  assert.deepEqual(memoryOfSize(GIB, "custom", null), [usable(0, GIB)]);
  assert.deepEqual(memoryOfSize(GIB, "custom", MIB), [usable(MIB, GIB + MIB)]);
});

test("a captured PC resized has the map of the captured PC of that size", async () => {
  const maps = new Map<number, readonly FirmwareRange[]>();
  for (const [name, bytes] of [
    ["x86_64-6.1-512M", 512 * MIB],
    ["x86_64-6.1-1G", GIB],
    ["x86_64-6.1-2G", 2 * GIB],
    ["x86_64-6.1-3G", 3 * GIB],
    ["x86_64-6.1-12G", 12 * GIB],
  ] as const) {
    const { bootLog } = await corpusCapture(name);
    assert.ok(bootLog !== null);
    // What this board has at fixed places above low RAM is part of every size.
    maps.set(
      bytes,
      bootLog.e820.map(({ start, end, type }) => ({ start, end, type })),
    );
  }
  for (const [from, map] of maps) {
    for (const [to, wanted] of maps) {
      assert.deepEqual(resizeMemory(map, to, "x86_64"), wanted, `${from} to ${to}`);
    }
  }
});

const FIRMWARE_TOP = [...LOW, usable(MIB, 2047 * MIB), reserved(2047 * MIB, 2 * GIB)];

test("what firmware keeps at the top of low RAM stays at the top", () => {
  assert.deepEqual(resizeMemory(FIRMWARE_TOP, GIB, "x86_64"), [
    ...LOW,
    usable(MIB, 1023 * MIB),
    reserved(1023 * MIB, GIB),
  ]);
  assert.deepEqual(resizeMemory(FIRMWARE_TOP, 5 * GIB, "i386"), [
    ...LOW,
    usable(MIB, 3071 * MIB),
    reserved(3071 * MIB, 3 * GIB),
    usable(4 * GIB, 6 * GIB),
  ]);
  // Devices above low RAM do not move.
  const flash = reserved(4 * GIB - 256 * 1024, 4 * GIB);
  assert.deepEqual(resizeMemory([...FIRMWARE_TOP, flash], GIB, "x86_64").at(-1), flash);
  assert.deepEqual(resizeMemory([...FIRMWARE_TOP, flash], 4 * GIB, "x86_64").slice(-2), [
    flash,
    usable(4 * GIB, 5 * GIB),
  ]);
});

test("a PC with RAM above 4 GiB keeps its own device hole", () => {
  const q35 = [...LOW, usable(MIB, 2 * GIB), usable(4 * GIB, 6 * GIB)];
  assert.deepEqual(resizeMemory(q35, 3 * GIB, "x86_64"), [
    ...LOW,
    usable(MIB, 2 * GIB),
    usable(4 * GIB, 5 * GIB),
  ]);
  assert.deepEqual(resizeMemory(q35, 2 * GIB, "x86_64"), [...LOW, usable(MIB, 2 * GIB)]);
  assert.deepEqual(resizeMemory(q35, GIB, "x86_64"), [...LOW, usable(MIB, GIB)]);
  // Low RAM that ended above 3 GiB does so at every size that reaches there.
  const high = [...LOW, usable(MIB, 3.5 * GIB)];
  assert.deepEqual(resizeMemory(high, 4 * GIB, "x86_64"), [
    ...LOW,
    usable(MIB, 3.5 * GIB),
    usable(4 * GIB, 4.5 * GIB),
  ]);
});

test("a board's last block is cut or grown, blocks that are cut away are gone", () => {
  const board = [usable(GIB, 2 * GIB), reserved(2 * GIB, 2 * GIB + MIB), usable(3 * GIB, 4 * GIB)];
  assert.deepEqual(resizeMemory(board, 3 * GIB, "arm64"), [
    usable(GIB, 2 * GIB),
    reserved(2 * GIB, 2 * GIB + MIB),
    usable(3 * GIB, 5 * GIB),
  ]);
  assert.deepEqual(resizeMemory(board, 1.5 * GIB, "arm64"), [
    usable(GIB, 2 * GIB),
    reserved(2 * GIB, 2 * GIB + MIB),
    usable(3 * GIB, 3.5 * GIB),
  ]);
  assert.deepEqual(resizeMemory(board, GIB, "arm"), board.slice(0, 2));
  assert.deepEqual(resizeMemory(board, GIB / 2, "custom"), [
    usable(GIB, 1.5 * GIB),
    reserved(2 * GIB, 2 * GIB + MIB),
  ]);
  assert.deepEqual(resizeMemory(board, 2 * GIB, "arm"), board);
  assert.deepEqual(resizeMemory([], GIB, "arm"), []);
});

test("any size: as much as was asked for, sorted, nothing overlaps, and back again", () => {
  const modules = fc.integer({ min: 1, max: 512 }).map((n) => n * 128 * MIB);
  const arch = fc.constantFrom("x86_64", "i386", "arm", "arm64", "custom");
  fc.assert(
    fc.property(modules, modules, arch, (one, two, of) => {
      const map = memoryOfSize(one, of, null);
      const resized = resizeMemory(map, two, of);
      // The legacy hole below 1 MiB is RAM that nobody gets.
      const hole = of === "x86_64" || of === "i386" ? MIB - 0x9fc00 : 0;
      assert.equal(ramOf(map), one - hole);
      assert.equal(ramOf(resized), two - (of === "x86_64" || of === "i386" ? hole : 0));
      for (const [i, range] of resized.entries()) {
        assert.ok(range.start < range.end);
        assert.ok((resized[i - 1]?.end ?? 0) <= range.start);
      }
      assert.deepEqual(resized, memoryOfSize(two, of, null));
      assert.deepEqual(resizeMemory(resized, one, of), map);
    }),
  );
});
