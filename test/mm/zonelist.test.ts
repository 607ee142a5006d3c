// Goal: nodes and zones are tried in the kernel's order. Method: every "Fallback order" line of the
// corpus, computed from the capture's own distances and CPUs; and the shape of one node's list.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { nodeFallbackOrders, zonelist } from "../../src/mm/zonelist.ts";
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
      // The lists are built before any other CPU is up, but CPUs of a node are known by then.
      hasCpus: (node) => (files.get(`node/node${node}/cpulist`) ?? "").trim() !== "",
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
