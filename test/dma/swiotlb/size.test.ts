// Goal: how large a pool is and where it lies, as each era makes of parameter and machine (S11: a
// large low chunk, taken early at boot, used for nothing else).
// Method: worked cases; the memblock logs of all captures: the state at the kernel's own request,
// and the place and lines that it came to.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { freeRanges, grantsOf, replayMemblock } from "../../../src/boot/memblock.ts";
import {
  placeSwiotlb,
  readSwiotlbParameter,
  type SwiotlbMachine,
  type SwiotlbRule,
  sizeSwiotlb,
  swiotlbRule,
} from "../../../src/dma/swiotlb/index.ts";
import { readCapture } from "../../../src/formats/capture.ts";
import { captureFiles, corpusNames } from "../../support/corpus.ts";

const MIB = 2 ** 20;
const PC: SwiotlbMachine = { cpus: 1, ramBytes: 8 * 1024 * MIB, encrypted: false };

function era(name: string): SwiotlbRule {
  const rule = swiotlbRule(name);
  assert.ok(rule !== null);
  return rule;
}

function slots(name: string, text: string, machine: Partial<SwiotlbMachine> = {}): number {
  const asked = readSwiotlbParameter(text, era(name), 4096);
  return sizeSwiotlb(era(name), asked, { ...PC, ...machine }).slots;
}

test("the parameter: pages in ia64's first version, slots since, in whole segments", () => {
  assert.equal(slots("2.6.9", "1000"), 2048);
  assert.equal(slots("2.6.18", "1000"), 1024);
  assert.equal(slots("5.10", "1025"), 1152);
  assert.equal(slots("6.1", "1025"), 2048);
  assert.equal(slots("6.1", "128,8"), 1024);
  assert.equal(slots("6.1", "force"), 32768);
  assert.equal(slots("6.12", "noforce"), 0);
});

test("an area for each CPU, a power of two, at least a segment each", () => {
  const asked = readSwiotlbParameter("128", era("6.1"), 4096);
  assert.deepEqual(sizeSwiotlb(era("6.1"), asked, { ...PC, cpus: 6 }), {
    slots: 1024,
    areas: 8,
    force: false,
    lines: ["area num 8.", "SWIOTLB bounce buffer size roundup to 2MB"],
  });
  assert.equal(sizeSwiotlb(era("5.10"), asked, { ...PC, cpus: 6 }).areas, 1);
});

test("an encrypted guest: 6 % of its memory, 64 MiB to 1 GiB, every mapping bounces", () => {
  const none = readSwiotlbParameter("force", era("6.1"), 4096);
  const plain = { ...none, force: false };
  const size = (gib: number, asked = plain) =>
    sizeSwiotlb(era("6.1"), asked, { cpus: 1, ramBytes: gib * 1024 * MIB, encrypted: true });
  assert.deepEqual([size(1).slots, size(1).force], [32768, true]);
  // 245.76 MiB of 4 GiB, rounded to a power of two.
  assert.equal(size(4).slots, 131072);
  assert.equal(size(4).lines[0], "SWIOTLB bounce buffer size adjusted to 246MB");
  assert.equal(size(64).slots, 524288);
  assert.equal(size(64, { ...plain, slots: 4096 }).slots, 4096);
});

test("a pool that fits nowhere is halved since 5.17, down to 1 MiB", () => {
  const free = [
    { start: MIB, end: 9 * MIB },
    { start: 100 * MIB, end: 103 * MIB },
  ];
  const whole = { slots: 32768, areas: 4, force: false, lines: [] };
  const limit = 4096 * MIB;
  assert.deepEqual(placeSwiotlb(era("6.1"), whole, free, limit, 4096), {
    start: MIB,
    slots: 4096,
    areas: 4,
    lines: [
      "SWIOTLB bounce buffer size adjusted 32768 -> 4096 slabs",
      "mapped [mem 0x0000000000100000-0x0000000000900000] (8MB)",
    ],
  });
  assert.equal(placeSwiotlb(era("5.10"), whole, free, limit, 4096), null);
  const small = { ...whole, slots: 1024, areas: 1 };
  assert.equal(placeSwiotlb(era("5.10"), small, free, limit, 4096)?.start, 101 * MIB);
  assert.equal(placeSwiotlb(era("2.6.18"), small, free, limit, 4096)?.start, MIB);
  assert.equal(placeSwiotlb(era("6.1"), small, free, 50 * MIB, 4096)?.start, 7 * MIB);
  assert.equal(placeSwiotlb(era("6.1"), small, [], limit, 4096), null);
});

test("S11 every pool of the captures lies where the early allocator's state puts it", async () => {
  let checked = 0;
  for (const name of corpusNames(/x86_64/)) {
    const { value } = await readCapture(captureFiles(name), {
      skip: (path) => !/^(?:dmesg|version)$/.test(path),
    });
    const { bootLog, version } = value;
    if (bootLog === null || version === null) continue;
    const [grant] = grantsOf(bootLog.memblock, /^swiotlb_init/);
    if (grant === undefined) continue;
    const state = replayMemblock(bootLog.memblock, { untilLine: grant.line }).value;
    if (state === null) continue;
    const size = { slots: grant.bytes / 2048, areas: 1, force: false, lines: [] };
    const rule = era(version.release);
    const place = placeSwiotlb(rule, size, freeRanges(state), 2 ** 32, 4096);
    assert.deepEqual([place?.start, place?.slots], [grant.range.start, size.slots], name);
    checked++;
  }
  assert.ok(checked >= 20, `${checked} pools`);
});
