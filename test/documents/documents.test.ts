// Every document that is printed obeys the schema that is published for it. Plans, checks and
// differences of captures of all architectures are built and validated; what must hold between
// fields (empty zones have no start, Infinity is null) is asserted apart from the schema.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkSchema,
  diffSchema,
  inspectSchema,
  jsonSchemas,
  type PlanDocument,
  planSchema,
} from "../../src/documents/index.ts";
import { machine, packed, run } from "../cli/run.ts";
import { corpusNames } from "../support/corpus.ts";

/** A spread over architectures, eras and NUMA shapes; all captures would take minutes. */
const NAMES = corpusNames(/^(?!trace)/).filter((_, i) => i % 9 === 0);

async function json(args: readonly string[]): Promise<unknown> {
  const { code, out, err } = await run([...args, "--json"]);
  assert.ok(code === 0 || code === 1, err);
  return JSON.parse(out);
}

function holds(plan: PlanDocument): void {
  for (const { zones } of plan.nodes) {
    const names = zones.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const zone of zones) {
      const empty = zone.spanned === 0;
      assert.equal(zone.startPfn === null, empty, zone.name);
      assert.equal(zone.pageset === null, zone.present === 0, zone.name);
      assert.ok(zone.managed.low <= zone.managed.pages && zone.managed.pages <= zone.managed.high);
      assert.ok(zone.managed.high <= zone.present && zone.present <= zone.spanned);
      const ram = zone.ram.reduce((sum, { startPfn, endPfn }) => sum + endPfn - startPfn, 0);
      assert.equal(ram, zone.present, zone.name);
    }
  }
  assert.ok(plan.pools.swiotlb === null || plan.pools.swiotlbWhyNot === null);
  for (const device of plan.devices) {
    if (device.verdict === "direct") assert.equal(device.limitBytes, null);
  }
}

test("plans of captures of every architecture", async () => {
  assert.ok(NAMES.length >= 10);
  for (const name of NAMES) holds(planSchema.parse(await json(["plan", packed(name)])));
});

test("plans of descriptions", async () => {
  for (const name of ["desktop-8G", "two-nodes", "bigdma", "board-arm64"]) {
    holds(planSchema.parse(await json(["plan", machine(name)])));
  }
});

test("checks count what they compare", async () => {
  for (const name of NAMES) {
    const check = checkSchema.parse(await json(["check", packed(name)]));
    assert.ok(check.fields > 0, name);
    assert.equal(check.fields - check.equal, check.differences.length, name);
  }
});

test("a difference lists under failed what --fail-on names, and nothing else", async () => {
  const args = ["diff", machine("desktop-8G"), machine("desktop-8G"), "--set", "swiotlb=noforce"];
  const diff = diffSchema.parse(await json([...args, "--fail-on", "unreachable"]));
  assert.deepEqual(new Set(diff.failed.map(({ effect }) => effect)), new Set(["unreachable"]));
  assert.ok(diff.affected.length > diff.failed.length);
});

test("an inspection shows the kernel's zones beside the plan", async () => {
  const found = inspectSchema.parse(await json(["inspect", packed("x86_64-6.1-numa2-2G+2G")]));
  assert.deepEqual(new Set(found.zones.map(({ node }) => node)), new Set([0, 1]));
  assert.ok(found.zones.some(({ free }) => free > 0));
  assert.ok(found.plan !== null && found.check !== null);
});

test("schemas are published, named, and open to later fields", () => {
  const schemas = jsonSchemas();
  assert.deepEqual(
    [...schemas.keys()],
    ["plan", "check", "inspect", "diff", "replay", "size", "explain", "audit"],
  );
  for (const [name, schema] of schemas) {
    assert.equal(schema["$id"], `zonewright/${name}/1`);
    assert.doesNotMatch(JSON.stringify(schema), /"additionalProperties":false/);
  }
});
