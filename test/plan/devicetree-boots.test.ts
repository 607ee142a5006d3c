// Goal: whatever a devicetree says of buses and reserved memory, the plan is what kernels make of it.
// Method: thirty boots of Debian's kernels under QEMU from trees made at random
// (scripts/lab/devicetrees.py): zones as their zoneinfo prints them, every region where memblock's dump
// has it, managed pages inside the bounds and near the guess.
import { equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import type { Range } from "../../src/base/range.ts";
import type { Plan } from "../../src/plan/index.ts";
import { boardPlan, treeOf } from "../support/boards.ts";
import { blob, type Node, node, wide } from "../support/fdt-writer.ts";
import { GIB } from "../support/machine.ts";

const Value = z.union([z.literal(true), z.string(), z.array(z.number()), z.array(z.string())]);
const Tree: z.ZodType<Node> = z.object({
  name: z.string(),
  properties: z.record(z.string(), Value),
  get children() {
    return z.array(Tree);
  },
});
const ranges = z.array(z.tuple([z.number(), z.number()]));
const Boot = z.object({
  name: z.string(),
  kernel: z.string(),
  arch: z.string(),
  ram: z.number(),
  cmdline: z.string(),
  devicetreeBytes: z.number(),
  nodes: z.array(Tree),
  zones: z.array(
    z.object({
      name: z.string(),
      spanned: z.number(),
      present: z.number(),
      managed: z.number(),
      cma: z.number(),
    }),
  ),
  reserved: ranges,
  unmapped: ranges,
});
type Boot = z.infer<typeof Boot>;

const FILE = new URL("../../corpus/devicetrees/boots.json.gz", import.meta.url);
const boots = z.array(Boot).parse(JSON.parse(gunzipSync(readFileSync(FILE)).toString("utf8")));

function planOf(boot: Boot): Plan {
  const core = node("cpu@0", { device_type: "cpu", compatible: "arm,cortex-a57" });
  const cells = { "#address-cells": [2], "#size-cells": [2] };
  const root = node(
    "",
    { ...cells, compatible: "linux,dummy-virt" },
    node("memory@40000000", { device_type: "memory", reg: [...wide(GIB), ...wide(boot.ram)] }),
    node("cpus", { "#address-cells": [1], "#size-cells": [0] }, core),
    ...boot.nodes,
  );
  // As long as the blob that was booted, for that stays in memory.
  const padding = boot.devicetreeBytes - blob(root).length;
  const { kernel, arch, cmdline } = boot;
  return boardPlan(treeOf(blob(root, { padding })), { kernel, arch, commandLine: cmdline });
}

describe("zones, regions and pages of boots from devicetrees made at random", () => {
  for (const boot of boots) {
    test(`${boot.name}, ${boot.kernel}`, () => {
      const { nodes, pools } = planOf(boot);
      const planned = nodes.flatMap(({ zones }) => zones);
      for (const { name, spanned, present, managed } of boot.zones) {
        const zone = planned.find((own) => own.name === name);
        equal(zone?.spanned, spanned, name);
        equal(zone?.present, present, name);
        const { low = 0, high = 0, pages = 0 } = zone?.managed ?? {};
        ok(low <= managed && managed <= high, `${name}: ${managed} is not in ${low} to ${high}`);
        ok(Math.abs(pages - managed) <= 32, `${name}: ${pages} for ${managed}`);
      }
      const cma = boot.zones.reduce((sum, zone) => sum + zone.cma, 0);
      equal(
        pools.cma.reduce((sum, area) => sum + area.bytes, 0),
        cma * 4096,
      );
      for (const { name, start, bytes } of pools.reserved ?? []) {
        ok(start !== null, name);
        ok(holds(boot, { start, end: start + bytes }), `${name} is not at ${start.toString(16)}`);
      }
    });
  }

  test("there are thirty, and they differ", () => {
    equal(boots.length, 30);
    const limits = new Set(boots.map(({ zones }) => `${zones[0]?.name} ${zones[0]?.spanned}`));
    ok(limits.size >= 6, [...limits].join());
    ok(boots.flatMap((boot) => planOf(boot).pools.reserved ?? []).length > 100);
  });
});

/** Whether memblock's dump has all of it as reserved, or as not mapped. */
function holds({ reserved, unmapped }: Boot, { start, end }: Range): boolean {
  return [...reserved, ...unmapped].some(([from, to]) => from <= start && end <= to);
}
