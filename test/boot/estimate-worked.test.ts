// Goal: the numbers an estimate decides by are the ones it says. Method: a machine with constants of zero,
// where one part of a known size is left, at sizes one page apart on either side of each decision.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommandLine } from "../../src/boot/command-line.ts";
import { estimate } from "../../src/boot/estimate.ts";
import { type Constants, constantsFor, exactly } from "../../src/boot/estimate-parts.ts";
import type { ManagedCounts, Pools } from "../../src/boot/hardware.ts";
import { managedFromLog } from "../../src/boot/managed.ts";
import { V6_1 } from "../../src/kernels/v6_1.ts";
import { layoutFor, MIB, machine, onNode, ram } from "../support/machine.ts";
import { anyBoot, withoutMemblock } from "./managed-boots.ts";

const NONE: Pools = {
  swiotlb: null,
  swiotlbWhyNot: null,
  cma: [],
  crashkernel: [],
  hugePages: [],
};
const NOTHING: Constants["values"] = {
  image: 0,
  imageFreed: 0,
  alternatives: 0,
  rest: 0,
  spread: 0,
  firstMib: 0,
  percpu: 0,
  node: 0,
  pageStructBytes: 0,
  ramPerTablePage: Infinity,
  logBufFactor: 0,
  initrd: 0,
};

test("a part is rounded to whole pages for the guess, down and up for its bounds", () => {
  const rounded = (pages: number): number[] => {
    const { best, min, max } = exactly("part", pages);
    return [best, min, max];
  };
  assert.deepEqual(rounded(10.4), [10, 10, 11]);
  assert.deepEqual(rounded(10.6), [11, 10, 11]);
  assert.deepEqual(rounded(10), [10, 10, 10]);
});

/** Bounds of DMA32 and Normal where Normal, on node 1, has `pages` pages and 1000 are taken. */
function boundsWith(pages: number, pools: Partial<Pools> = {}): ManagedCounts[] {
  const high = { start: 4096 * MIB, end: 4096 * MIB + pages * 4096 };
  const hardware = machine("x86_64", {
    memory: [ram(1, 1023), { ...high, type: "usable" }],
    affinity: [onNode(0, 0, 4096), { ...high, node: 1, hotplug: false }],
  });
  const layout = layoutFor(hardware).value;
  const values = { ...NOTHING, rest: 1000 };
  const constants: Constants = { values, known: "release", imageMin: 0, imageMax: 0, spread: 0 };
  const { value } = parseCommandLine("", "x86_64", 4096);
  const { zones } = estimate(hardware, value, layout, { ...NONE, ...pools }, V6_1, constants);
  const present = layout.zones.map((zone) => zone.present);
  assert.ok(present.includes(pages));
  return zones.filter((_, slot) => present[slot] === pages || present[slot] === 258048);
}

test("a part surely fits where twice its size and 16 MiB are left", () => {
  // Doubt: less than 2 GiB of RAM (1 page), 16 for each of two nodes, 4 for a CPU, rounded up.
  const doubt = 38;
  const room = 2 * 1000 + 4096;
  const [low, high] = boundsWith(room);
  assert.deepEqual([low?.low, low?.high], [258048 - doubt, 258048]);
  assert.deepEqual([high?.low, high?.high], [room - 1000 - doubt, room - 1000 + doubt]);
  const [below, tight] = boundsWith(room - 1);
  assert.deepEqual([below?.low, below?.high], [258048 - 1000 - doubt, 258048]);
  assert.deepEqual([tight?.low, tight?.high], [room - 1 - 1000 - doubt, room - 1]);
});

test("CMA areas and gigantic pages must fit besides", () => {
  const taken: Partial<Pools> = {
    hugePages: [
      { pageBytes: 2 ** 30, count: 1 },
      { pageBytes: 2 ** 21, count: 100 },
    ],
  };
  const room = 2 * 1000 + 4096 + 262144;
  // Some 20 MiB more than 2 GiB: one page of doubt more.
  assert.equal(boundsWith(room, taken)[0]?.low, 258048 - 39);
  assert.equal(boundsWith(room - 1, taken)[0]?.low, 258048 - 39 - 1000);
});

test("the DMA zone of a measured PC is settled from 128 MiB of memory on", () => {
  const boot = anyBoot();
  const log = withoutMemblock(boot.log);
  const slot = boot.layout.zones.findIndex(({ name }) => name === "DMA");
  const exact = (maxPfn: number): boolean | undefined =>
    managedFromLog(log, { ...boot.layout, maxPfn }, boot.hardware, boot.policy).value?.zones[slot]
      ?.exact;
  assert.equal(exact(32768), true);
  assert.equal(exact(32767), false);
});

test("of an unmeasured build pages of another size hold as many bytes", () => {
  const build = { ...machine("arm64", {}).build, release: "9.9" };
  const small = constantsFor(build, "arm64");
  const large = constantsFor({ ...build, pageSize: 65536 }, "arm64");
  assert.equal(small.known, "no");
  assert.deepEqual([small.values.image, small.imageMin, small.imageMax], [9000, 1125, 27000]);
  // 9000 / 16 is 562.5.
  assert.deepEqual([large.values.image, large.imageMin, large.imageMax], [563, 70, 1689]);
  assert.equal(constantsFor(build, "i386").values.image, 5000);
});
