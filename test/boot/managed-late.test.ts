// Goal: what the log says was freed late is counted page by page where it lies. Method: logs that say one
// thing each, of sizes that can be worked out by hand, on RAM whose borders decide.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  BOOT_SERVICES,
  isGigantic,
  type LatePiece,
  latePieces,
} from "../../src/boot/managed-late.ts";
import { lateFromLog } from "../../src/boot/managed-late-place.ts";
import type { BootLog, MemblockEvent } from "../../src/formats/boot-log.ts";
import { GIB, layoutFor, MIB, machine, ram } from "../support/machine.ts";
import { anyBoot } from "./managed-boots.ts";

const PC = machine("x86_64", { memory: [ram(1, 16), ram(4096, 4096)] });

/** A log that says nothing of what comes late but what is given. */
function logWith(change: Partial<BootLog>): BootLog {
  const quiet = { cma: [], lateFrees: [], memblock: [], freed: [], hugePages: [], memory: null };
  return { ...anyBoot().log, ...quiet, ramdisk: null, ramdiskMoved: null, ...change };
}

function piecesOf(change: Partial<BootLog>, hardware = PC): LatePiece[] {
  return latePieces(logWith(change), hardware, null);
}

function reserve(start: number, end: number, line: number, caller: string): MemblockEvent {
  return { kind: "reserve", start, end, line, caller };
}

test("a gigantic page granted by memblock is one piece at its address", () => {
  const caller = "__alloc_bootmem_huge_page+0x1/0x2";
  const bytes = GIB;
  const request = { align: GIB, node: 0, from: 0, maxAddress: 0, caller, bytes };
  const memblock: MemblockEvent[] = [
    { kind: "alloc", line: 3, ...request },
    reserve(5 * GIB, 6 * GIB, 4, "memblock_alloc_range_nid+0x1/0x2"),
  ];
  const piece = { what: "huge page", step: "t2", pages: 262144, start: 5 * GIB, line: 3 } as const;
  assert.deepEqual(piecesOf({ memblock }), [piece]);
  // Counted once, whatever the summary at the end says, and not at all when none was granted.
  const hugePages = [{ pageBytes: GIB, count: 1, line: 9 }];
  assert.deepEqual(piecesOf({ memblock, hugePages }), [piece]);
  assert.deepEqual(piecesOf({ memblock: memblock.slice(0, 1), hugePages }), []);
});

test("an ordinary log counts gigantic pages without an address, and others not at all", () => {
  const hugePages = [
    { pageBytes: GIB, count: 2, line: 9 },
    { pageBytes: 2 * MIB, count: 7, line: 10 },
  ];
  const pages = 2 * 262144;
  assert.deepEqual(piecesOf({ hugePages }), [
    { what: "huge page", step: "t2", pages, start: null, line: 9, each: 262144 },
  ]);
  assert.deepEqual(piecesOf({ hugePages: [{ pageBytes: GIB, count: 0, line: 9 }] }), []);
  // They are put at the top of RAM, one below the other: 6 to 8 GiB, all Normal.
  const layout = layoutFor(PC).value;
  const { t1, t2, end } = lateFromLog(logWith({ hugePages }), layout, PC);
  const normal = layout.zones.findIndex(({ name }) => name === "Normal");
  assert.deepEqual([t1[normal], t2[normal], end[normal]], [0, pages, 0]);
});

test("gigantic is what is larger than the largest buddy block", () => {
  assert.equal(isGigantic(4 * MIB, PC), false);
  assert.equal(isGigantic(4 * MIB + 4096, PC), true);
  const small = machine("arm64", { build: { maxOrderPages: 256 } });
  assert.equal(isGigantic(MIB, small), false);
  assert.equal(isGigantic(2 * MIB, small), true);
});

test("boot services memory lies at the end of the highest RAM below 4 GiB that is larger", () => {
  // DMA is 1 to 16 MiB, DMA32 one MiB above it, Normal starts at 4 GiB sharp.
  const layout = layoutFor(PC).value;
  const slotOf = (pages: number): string => {
    const freed = [{ line: 5, what: BOOT_SERVICES, kib: 4 * pages, range: null }];
    const { t2, guessed } = lateFromLog(logWith({ freed }), layout, PC);
    return layout.zones
      .flatMap(({ name }, slot) => (t2[slot] ? [`${name} ${t2[slot]} ${guessed[slot]}`] : []))
      .join();
  };
  assert.equal(slotOf(255), "DMA32 255 0");
  assert.equal(slotOf(256), "DMA 256 0");
  assert.equal(slotOf(3839), "DMA 3839 0");
  // Nowhere else: the zone with most pages gets it, and the bounds allow for another.
  assert.equal(slotOf(3840), "Normal 3840 3840");
});

test("the sum of boot services is what was reserved for them above 1 MiB, or has no place", () => {
  const caller = "efi_reserve_boot_services";
  const memblock = [
    reserve(4096, 8192, 1, caller),
    reserve(2 * MIB, 3 * MIB, 2, caller),
    reserve(5 * MIB, 6 * MIB, 3, "somebody_else"),
  ];
  const sum = (kib: number): LatePiece[] => {
    return piecesOf({ memblock, freed: [{ line: 5, what: BOOT_SERVICES, kib, range: null }] });
  };
  const piece = { what: "boot services", step: "t2", pages: 256, start: 2 * MIB, line: 5 } as const;
  assert.deepEqual(sum(1024), [piece]);
  assert.deepEqual(sum(1028), [{ ...piece, pages: 257, start: null }]);
});

test("an initrd without an address is what arm reserved or arm64 gave back, of its size", () => {
  const freed = [{ line: 50, what: "initrd", kib: 1024, range: null }];
  const startOf = (memblock: MemblockEvent[]): number | null | undefined => {
    const whole = anyBoot().log.memory;
    assert.ok(whole !== null);
    return piecesOf({ memblock, freed, memory: { ...whole, line: 20 } })[0]?.start;
  };
  const free = (start: number, end: number, line: number): MemblockEvent => {
    return { kind: "free", start, end, line, caller: "x" };
  };
  assert.equal(startOf([]), null);
  assert.equal(startOf([reserve(7 * MIB, 8 * MIB, 10, "reserve_initrd_mem")]), 7 * MIB);
  assert.equal(startOf([reserve(7 * MIB, 8 * MIB, 10, "another")]), null);
  assert.equal(startOf([free(3 * MIB, 4 * MIB, 30)]), 3 * MIB);
  // A page more is one it did not fill; two more, or one less, is another thing.
  assert.equal(startOf([free(3 * MIB, 4 * MIB + 4096, 30)]), 3 * MIB);
  assert.equal(startOf([free(3 * MIB, 4 * MIB + 8192, 30)]), null);
  assert.equal(startOf([free(3 * MIB, 4 * MIB - 4096, 30)]), null);
  // Before the handover, and from the line that tells its size on, it is something else.
  assert.equal(startOf([free(3 * MIB, 4 * MIB, 19)]), null);
  assert.equal(startOf([free(3 * MIB, 4 * MIB, 20)]), 3 * MIB);
  assert.equal(startOf([free(3 * MIB, 4 * MIB, 49)]), 3 * MIB);
  assert.equal(startOf([free(3 * MIB, 4 * MIB, 50)]), null);
});
