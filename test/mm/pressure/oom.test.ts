// Goal: who is killed for, and who is not, era by era. Method: the rules of each kernel, one request each,
// on a machine that has nothing left; a second machine that has.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseGfp } from "../../../src/mm/gfp-text.ts";
import {
  __GFP_DMA32,
  __GFP_NORETRY,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  allocPages,
  bootMemory,
  GFP_ATOMIC,
  GFP_DMA,
  GFP_KERNEL,
  GFP_USER,
  managePages,
  NO_PFN,
  oomVerdict,
  type Pages,
} from "../../../src/mm/index.ts";
import { Z_FREE, ZONE_WORDS } from "../../../src/mm/words.ts";

function machine(era: string, full: boolean): Pages {
  const m = bootMemory({
    era,
    minFreeKbytes: 64,
    zones: [
      { name: "DMA", startPfn: 0, pages: 1024 },
      { name: "DMA32", startPfn: 1024, pages: 1024 },
      { name: "Normal", startPfn: 2048, pages: 2048 },
      { name: "Normal", node: 1, startPfn: 4096, pages: 1024 },
    ],
  });
  const kernel = parseGfp("GFP_KERNEL", m.gfp.era).value;
  // The reserve keeps some of DMA from requests that could do without.
  const lower = parseGfp("__GFP_DMA32", m.gfp.era).value;
  const all = [kernel, kernel | lower, kernel | GFP_DMA];
  if (full) for (const gfp of all) while (allocPages(m, gfp, 0) !== NO_PFN);
  return managePages(m);
}

test("6.1: requests that nobody dies for", () => {
  const pages = machine("6.1", true);
  const cases: [number, number, RegExp][] = [
    [GFP_ATOMIC, 0, /cannot wait/],
    [GFP_KERNEL | __GFP_NORETRY, 0, /NORETRY/],
    [GFP_KERNEL, 4, /order 4: above PAGE_ALLOC_COSTLY_ORDER/],
    [GFP_KERNEL | __GFP_RETRY_MAYFAIL, 0, /may fail/],
    [GFP_KERNEL | GFP_DMA, 0, /a request for DMA never kills/],
    [GFP_KERNEL | __GFP_DMA32, 0, /a request for DMA32 never kills/],
    [0xc40, 0, /file systems/],
  ];
  for (const [gfp, order, why] of cases) {
    const verdict = oomVerdict(pages, gfp, order);
    assert.equal(verdict.kills, false);
    assert.match(verdict.because, why);
  }
});

test("6.1: a plain request kills once nothing is left, not while a zone is above its high mark", () => {
  const verdict = oomVerdict(machine("6.1", true), GFP_KERNEL, 3);
  assert.deepEqual([verdict.kills, verdict.constraint], [true, "none"]);
  assert.match(oomVerdict(machine("6.1", false), GFP_KERNEL, 0).because, /above its high mark/);
});

type Bounds = Parameters<typeof oomVerdict>[3];

test("the constraint: a memory cgroup, the policy's nodes, the cpuset's", () => {
  const pages = machine("6.1", true);
  const of = (bounds: Bounds, gfp = GFP_USER): string =>
    oomVerdict(pages, gfp, 0, bounds).constraint;
  assert.equal(of({}), "none");
  assert.equal(of({ cpuset: [0] }), "cpuset");
  assert.equal(of({ cpuset: [0], policy: [0] }), "memory-policy");
  assert.equal(of({ cpuset: [0, 1], policy: [0, 1] }), "none");
  assert.equal(of({ policy: [0, 1], cpuset: [1] }), "cpuset");
  assert.equal(of({ memcg: true, policy: [0] }), "memcg");
  assert.equal(of({ policy: [0] }, GFP_USER | __GFP_THISNODE), "none");
});

test("a cpuset binds who is hardwalled; others as far as the wall above", () => {
  const pages = machine("6.1", true);
  const of = (bounds: Bounds): string => oomVerdict(pages, GFP_KERNEL, 0, bounds).constraint;
  assert.equal(of({ cpuset: [0] }), "none");
  assert.equal(of({ cpuset: [0], hardwall: [0] }), "cpuset");
  assert.equal(of({ cpuset: [0], hardwall: [0, 1] }), "none");
});

test("2.6.11 knew no constraint; 2.6.18 took the cpuset first, and nodes that the zonelist has no zone of", () => {
  const of = (era: string, bounds: Bounds, gfp = 0x200d0): string =>
    oomVerdict(machine(era, true), gfp, 0, bounds).constraint;
  assert.equal(of("2.6.11", { cpuset: [0], policy: [0] }), "none");
  assert.equal(of("2.6", { cpuset: [0], policy: [0] }), "memory-policy");
  assert.equal(of("2.6", { cpuset: [1], policy: [0] }), "cpuset");
  assert.equal(of("2.6", {}), "none");
  assert.equal(of("2.6", {}, 0x200d1), "memory-policy", "node 1 has no DMA zone");
});

test("a zone above its high mark is no help on the other side of a wall", () => {
  const pages = machine("6.1", true);
  const { m } = pages;
  const far = m.names.length - 1;
  m.zone[far * ZONE_WORDS + Z_FREE] = 1000;
  assert.match(oomVerdict(pages, GFP_USER, 0).because, /above its high mark/);
  for (const bounds of [{ cpuset: [0] }, { policy: [0] }]) {
    assert.equal(oomVerdict(pages, GFP_USER, 0, bounds).kills, true);
  }
});

test("a memory cgroup's limit: whom it spares", () => {
  const pages = machine("6.1", false);
  const of = (gfp: number, order = 0): boolean =>
    oomVerdict(pages, gfp, order, { memcg: true }).kills;
  const kills = [
    of(GFP_KERNEL),
    of(GFP_KERNEL | GFP_DMA),
    of(GFP_KERNEL, 3),
    of(0xc40),
    of(GFP_KERNEL, 4),
    of(GFP_ATOMIC),
    of(GFP_KERNEL | __GFP_NORETRY),
    of(GFP_KERNEL | __GFP_RETRY_MAYFAIL),
  ];
  assert.deepEqual(kills, [true, true, true, true, false, false, false, false]);
  assert.match(oomVerdict(pages, GFP_KERNEL, 0, { memcg: true }).because, /cgroup is at its limit/);
});

test("who may not fail kills for any order and zone from 2.6.39 to 4.9, and from within file systems in 4.9", () => {
  for (const [era, order, fs] of [
    ["2.6.39", true, false],
    ["3.10", true, false],
    ["4.9", true, true],
    ["4.19", false, false],
    ["6.1", false, false],
  ] as const) {
    const pages = machine(era, true);
    const bits = (text: string): number => parseGfp(text, pages.m.gfp.era).value;
    const kills = (text: string, of: number): boolean => oomVerdict(pages, bits(text), of).kills;
    assert.equal(kills("GFP_KERNEL|__GFP_NOFAIL", 4), order, era);
    assert.equal(kills("GFP_KERNEL|__GFP_NOFAIL|GFP_DMA", 0), order, era);
    assert.equal(kills("GFP_NOFS|__GFP_NOFAIL", 0), fs, era);
    assert.equal(kills("GFP_KERNEL", 4), false, era);
    assert.equal(kills("GFP_KERNEL|__GFP_THISNODE", 0), false, era);
  }
});

test("up to 4.12 a request that is to be repeated may kill", () => {
  for (const [era, name] of [
    ["3.10", "__GFP_REPEAT"],
    ["4.9", "__GFP_REPEAT"],
  ] as const) {
    const pages = machine(era, true);
    const gfp = parseGfp(`GFP_KERNEL|${name}`, pages.m.gfp.era).value;
    assert.equal(oomVerdict(pages, gfp, 0).kills, true, era);
  }
});

test("2.6: a request for DMA memory, and one of order 4, kill", () => {
  const pages = machine("2.6", true);
  assert.equal(oomVerdict(pages, 0xd1, 0).kills, true);
  assert.equal(oomVerdict(pages, 0xd0, 4).kills, true);
});
