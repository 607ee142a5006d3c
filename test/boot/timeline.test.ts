// Goal: whether khugepaged raises min_free_kbytes is decided by RAM alone, at 512 MiB. Method: two zones
// whose managed pages are one page apart around that, with and without the feature.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Build } from "../../src/boot/hardware.ts";
import { bootNumbers, type Settings } from "../../src/boot/timeline.ts";
import { V6_1 } from "../../src/kernels/v6_1.ts";
import { layoutFor, machine, ram } from "../support/machine.ts";

function settingsWith(managed: number, change: Partial<Build> = {}): Settings {
  const hardware = machine("x86_64", { memory: [ram(1, 1023)], build: change });
  const layout = layoutFor(hardware).value;
  const counts = layout.zones.map(({ node, index, name }) => {
    const pages = name === "DMA" ? 3000 : name === "DMA32" ? managed - 3000 : 0;
    const steps = { m0: pages, t1: pages, t2: pages, end: pages };
    return { node, index, ...steps, low: pages, high: pages, exact: true };
  });
  const { build, cpus } = hardware;
  const input = {
    layout,
    managed: counts,
    build,
    cpus,
    policy: V6_1,
    arch: "x86_64",
    thpAtBoot: "always",
  } as const;
  return bootNumbers(input).settings;
}

test("khugepaged runs from 512 MiB of managed memory on, if it is built in", () => {
  // 4 * sqrt(512 MiB in KiB), and one page less.
  const ofDefault = { minFreeKbytes: 2896, minFreeKbytesFrom: "default" } as const;
  const { minFreeKbytes, minFreeKbytesFrom } = settingsWith(131072);
  assert.equal(minFreeKbytesFrom, "khugepaged");
  // It asks for 11264 pages and gets 5 % of what is free above the first high marks.
  assert.ok(minFreeKbytes > 4 * 0.049 * 131072 && minFreeKbytes < 4 * 0.05 * 131072);
  for (const settings of [settingsWith(131071), settingsWith(131072, { thp: false })]) {
    assert.deepEqual({ ...settings, ...ofDefault }, settings);
  }
});
