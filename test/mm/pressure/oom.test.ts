// Goal: who is killed for, and who is not, era by era. Method: the rules of each kernel, one request each,
// on a machine that has nothing left; a second machine that has.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  __GFP_DMA32,
  __GFP_NORETRY,
  __GFP_RETRY_MAYFAIL,
  allocPages,
  bootMemory,
  GFP_ATOMIC,
  GFP_DMA,
  GFP_KERNEL,
  managePages,
  NO_PFN,
  oomVerdict,
  type Pages,
} from "../../../src/mm/index.ts";

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
  const kernel = era === "2.6" ? 0xd0 : GFP_KERNEL;
  // The reserve keeps some of DMA from requests that could do without.
  if (full) for (const gfp of [kernel, kernel | GFP_DMA]) while (allocPages(m, gfp, 0) !== NO_PFN);
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

test("the constraint is the narrower of policy and cpuset", () => {
  const pages = machine("6.1", true);
  const of = (bounds: Parameters<typeof oomVerdict>[3]): string =>
    oomVerdict(pages, GFP_KERNEL, 0, bounds).constraint;
  assert.equal(of({ cpuset: [0] }), "cpuset");
  assert.equal(of({ cpuset: [0], policy: [0] }), "memory-policy");
  assert.equal(of({ cpuset: [0, 1], policy: [0, 1] }), "none");
});

test("2.6: a request for DMA memory, and one of order 4, kill", () => {
  const pages = machine("2.6", true);
  assert.equal(oomVerdict(pages, 0xd1, 0).kills, true);
  assert.equal(oomVerdict(pages, 0xd0, 4).kills, true);
});
