// Goal: nodes and zones are tried in the kernel's order. Method: every "Fallback order" line of the
// corpus, computed from the capture's own distances; worked machines of unequal nodes and
// a plain twin over random ones; and the shape of one node's list.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { allocPages, bootMemory, GFP_KERNEL, NO_PFN } from "../../src/mm/index.ts";
import { nodeFallbackOrders, prefersZoneOrder, zonelist } from "../../src/mm/zonelist.ts";
import { hasZoneOrder } from "../../src/mm/zonelist-order.ts";
import { corpusFiles, corpusNames } from "../support/corpus.ts";
import { zonesOf } from "../support/zones.ts";

test("node fallback orders equal the boot log's", () => {
  let orders = 0;
  for (const name of corpusNames(/numa/)) {
    const files = corpusFiles(name);
    const told = new Map<number, number[]>();
    const lines = (files.get("dmesg") ?? "").matchAll(/Fallback order for Node (\d+): ([\d ]+)/g);
    for (const [, node, order = ""] of lines) {
      told.set(Number(node), order.trim().split(" ").map(Number));
    }
    const distance = (from: number, to: number): number =>
      Number((files.get(`node/node${from}/distance`) ?? "").trim().split(/\s+/)[to]);
    const zones = zonesOf(files.get("zoneinfo") ?? "").filter((zone) => zone.present > 0);
    const computed = nodeFallbackOrders([...told.keys()], {
      nodes: [...new Set(zones.map((zone) => zone.node))],
      distance,
      // No node has a CPU yet, not even the boot CPU's own: with it, four odd nodes come out wrong.
    });
    assert.deepEqual(computed, told, name);
    orders += told.size;
  }
  assert.ok(orders >= 20, `only ${orders} orders seen`);
});

test("four nodes at equal distance are tried round the ring", () => {
  const orders = nodeFallbackOrders([0, 1, 2, 3], {
    nodes: [0, 1, 2, 3],
    distance: () => 10,
    hasCpus: () => true,
  });
  assert.deepEqual(
    [...orders.values()],
    [
      [0, 1, 2, 3],
      [1, 2, 3, 0],
      [2, 3, 0, 1],
      [3, 0, 1, 2],
    ],
  );
});

test("a machine of unequal nodes is tried in the order its kernel would", () => {
  // Two boards of two nodes: 20 within a board, 31 between them.
  const distance = (from: number, to: number): number => {
    if (from === to) return 10;
    return from >> 1 === to >> 1 ? 20 : 31;
  };
  const boards = { nodes: [0, 1, 2, 3], distance, hasCpus: () => true };
  assert.deepEqual(
    [...nodeFallbackOrders([0, 1, 2, 3], boards).values()],
    [
      [0, 1, 2, 3],
      [1, 0, 3, 2], // 2 was loaded as the first node of another distance from 0
      [2, 3, 0, 1],
      [3, 2, 1, 0],
    ],
  );
  // From the higher board, nodes below the local one count a little farther, CPUs too.
  const memoryOnly = { ...boards, hasCpus: (node: number) => node !== 3 };
  assert.deepEqual(nodeFallbackOrders([0], memoryOnly).get(0), [0, 1, 3, 2]);
  const near = {
    ...boards,
    nodes: [0, 1, 2],
    distance: (a: number, b: number) => (a === b ? 10 : 20),
  };
  assert.deepEqual(nodeFallbackOrders([1], near).get(1), [1, 2, 0]);
  // A node without memory has an order, and stands in nobody else's.
  const memoryless = { ...near, nodes: [0, 2] };
  assert.deepEqual(nodeFallbackOrders([1], memoryless).get(1), [1, 2, 0]);
  assert.deepEqual(nodeFallbackOrders([0], memoryless).get(0), [0, 2]);
});

test("fallback orders equal a plain twin that scores every node anew", () => {
  const topology = fc.integer({ min: 1, max: 6 }).chain((count) =>
    fc.record({
      count: fc.constant(count),
      far: fc.array(fc.integer({ min: 11, max: 13 }), { minLength: 36, maxLength: 36 }),
      cpus: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
    }),
  );
  fc.assert(
    fc.property(topology, ({ count, far, cpus }) => {
      const distance = (a: number, b: number): number => (a === b ? 10 : (far[a * 6 + b] ?? 0));
      const nodes = Array.from({ length: count }, (_, node) => node);
      const hasCpus = (node: number): boolean => cpus[node] === true;
      const loads = nodes.map(() => 0);
      const wanted = nodes.map((local) => {
        const order = [local];
        while (order.length < count) {
          const [best = 0] = nodes
            .filter((node) => !order.includes(node))
            .map((node): [number, number] => {
              const far = distance(local, node) + (node < local ? 1 : 0) + (hasCpus(node) ? 1 : 0);
              return [node, far * 1000 + (loads[node] ?? 0)];
            })
            .sort(([a, x], [b, y]) => x - y || a - b)[0] ?? [0];
          const before = order.at(-1) ?? local;
          if (distance(local, best) !== distance(local, before))
            loads[best] = (loads[best] ?? 0) + 1;
          order.push(best);
        }
        return order;
      });
      const got = nodeFallbackOrders(nodes, { nodes, distance, hasCpus });
      assert.deepEqual([...got.values()], wanted);
    }),
    { numRuns: 300 },
  );
});

test("S6 a request prefers the highest zone of its own node and may dip into lower ones", () => {
  const populated = [
    { node: 0, index: 0 },
    { node: 0, index: 1 },
    { node: 1, index: 1 },
    { node: 1, index: 2 },
  ];
  assert.deepEqual(
    zonelist([1, 0], populated).map((ref) => `N${ref.node}/${ref.index}`),
    ["N1/2", "N1/1", "N0/1", "N0/0"],
  );
});

test("zone order: other nodes' Normal memory goes before the own DMA memory", () => {
  const zones = [
    { name: "DMA", startPfn: 0, pages: 1024 },
    { name: "Normal", startPfn: 1024, pages: 1024 },
    { name: "Normal", node: 1, startPfn: 2048, pages: 2048 },
  ];
  const firstAfter = (zonelistOrder: "node" | "zone" | "default"): string => {
    const m = bootMemory({
      zones,
      cpuNode: [0],
      zonelistOrder,
      minFreeKbytes: 0,
      lowmemReserveRatio: [],
    });
    for (;;) {
      const pfn = allocPages(m, GFP_KERNEL, 0);
      if (pfn === NO_PFN) return "none";
      if (pfn < 1024) return "own DMA";
      if (pfn >= 2048) return "the other node";
    }
  };
  assert.equal(firstAfter("node"), "own DMA");
  assert.equal(firstAfter("zone"), "the other node");
  // A quarter of memory is low, and each node has Normal memory: these kernels took zone order.
  assert.equal(firstAfter("default"), "the other node");
});

test("zone order is what kernels of 2.6.23 to 3.17 chose here, others go by node", () => {
  const zones = [
    { name: "DMA", startPfn: 0, pages: 4096 },
    { name: "Normal", startPfn: 4096, pages: 4096 },
    { name: "Normal", node: 1, startPfn: 8192, pages: 8192 },
  ];
  for (const [era, after] of [
    ["2.6.9", "own DMA"],
    ["2.6.18", "own DMA"],
    ["2.6.22", "own DMA"],
    ["2.6.23", "the other node"],
    ["2.6.39", "the other node"],
    ["3.10", "the other node"],
    ["3.17.8", "the other node"],
    ["3.18", "own DMA"],
    ["4.4", "own DMA"],
    ["4.9", "own DMA"],
    ["4.13.16", "own DMA"],
    ["4.14", "own DMA"],
    ["4.18", "own DMA"],
    ["4.19", "own DMA"],
    ["6.1", "own DMA"],
    ["6.12", "own DMA"],
  ] as const) {
    const m = bootMemory({ era, zones, minFreeKbytes: 0 });
    let pfn = 0;
    // Node 0's Normal zone is used up; what comes next is somewhere else.
    for (let i = 0; i <= 4096; i++) pfn = allocPages(m, GFP_KERNEL, 0);
    assert.equal(pfn < 4096 ? "own DMA" : "the other node", after, era);
  }
});

test("the order that 2.6.39 chose for itself", () => {
  const dma32 = (node: number, pages: number) => ({ node, index: 1, name: "DMA32", pages });
  const normal = (node: number, pages: number) => ({ node, index: 2, name: "Normal", pages });
  assert.equal(prefersZoneOrder([dma32(0, 100), normal(0, 300), normal(1, 400)]), true);
  // No low memory at all; more than half of it low; a node without Normal; a large node nearly all low.
  assert.equal(prefersZoneOrder([normal(0, 300), normal(1, 400)]), false);
  assert.equal(prefersZoneOrder([dma32(0, 500), normal(0, 300), normal(1, 100)]), false);
  assert.equal(prefersZoneOrder([dma32(0, 100), normal(1, 400)]), false);
  assert.equal(prefersZoneOrder([dma32(0, 390), normal(0, 60), normal(1, 400)]), false);
});

test("from 3.18 to 4.13 words decide: 32-bit kernels take zones", () => {
  const zone = (node: number, name: string, index: number) => ({ node, index, name, pages: 100 });
  const wide = [zone(0, "DMA32", 1), zone(0, "Normal", 2), zone(1, "Normal", 2)];
  const narrow = [zone(0, "DMA", 0), zone(0, "Normal", 1), zone(1, "HighMem", 2)];
  const has = (version: string): boolean[] =>
    [wide, narrow].map((zones) => hasZoneOrder(version, zones, undefined));
  for (const version of ["3.18", "4.4.302", "4.9", "4.13"])
    assert.deepEqual(has(version), [false, true]);
  for (const version of ["2.6.18", "2.6.22", "4.14", "4.15.0-213-generic", "6.1"]) {
    assert.deepEqual(has(version), [false, false]);
  }
  // A node without Normal memory speaks against it since 2.6.35.
  assert.deepEqual(has("2.6.34"), [true, true]);
  assert.deepEqual(has("2.6.35"), [true, false]);
});
