// Goal: sysctl writes are taken or refused as the kernel's handlers do. Method: one write of each
// kind at both edges of what is allowed, what a refusal says, shares of memory, and for any writes:
// what is refused changes nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Settings } from "../../src/boot/timeline.ts";
import { V5_10 } from "../../src/kernels/v5_10.ts";
import { V6_1 } from "../../src/kernels/v6_1.ts";
import {
  applySysctls,
  KNOWN_SYSCTLS,
  resolveShares,
  type SysctlWrite,
} from "../../src/plan/sysctls.ts";
import { GIB, MIB, planOf, words } from "./plans.ts";

const BOOTED: Settings = {
  minFreeKbytes: 4096,
  minFreeKbytesFrom: "default",
  watermarkScaleFactor: 10,
  lowmemReserveRatio: [256, 256, 32, 0],
  pagelistFraction: 0,
};

const write = (name: string, ...values: number[]): SysctlWrite => ({ name, values });

function taken(...writes: SysctlWrite[]): unknown {
  const { value, issues } = applySysctls(writes, BOOTED, V6_1);
  assert.deepEqual(issues, []);
  return value;
}

function refusal(own: SysctlWrite, policy = V6_1): { words: string[]; mend: string | undefined } {
  const { value, issues } = applySysctls([own], BOOTED, policy);
  assert.deepEqual(value, {}, own.name);
  assert.equal(issues.length, 1, own.name);
  return { words: words(issues), mend: issues[0]?.mend };
}

test("every sysctl changes its own setting", () => {
  assert.deepEqual(taken(), {});
  assert.deepEqual(taken(write("min_free_kbytes", 16384)), { minFreeKbytes: 16384 });
  assert.deepEqual(taken(write("min_free_kbytes", 0)), { minFreeKbytes: 0 });
  assert.deepEqual(taken(write("watermark_scale_factor", 150)), { watermarkScaleFactor: 150 });
  assert.deepEqual(taken(write("percpu_pagelist_high_fraction", 8)), { pagelistFraction: 8 });
  assert.deepEqual(taken(write("percpu_pagelist_high_fraction", 0)), { pagelistFraction: 0 });
});

test("a short ratio vector leaves the rest; writes follow one another; surplus values are cut", () => {
  assert.deepEqual(taken(write("lowmem_reserve_ratio", 64)), {
    lowmemReserveRatio: [64, 256, 32, 0],
  });
  assert.deepEqual(taken(write("lowmem_reserve_ratio", 1, 2), write("lowmem_reserve_ratio", 3)), {
    lowmemReserveRatio: [3, 2, 32, 0],
  });
  assert.deepEqual(taken(write("lowmem_reserve_ratio", 1, 2, 3, 4, 5)), {
    lowmemReserveRatio: [1, 2, 3, 4],
  });
  assert.deepEqual(
    taken(
      write("min_free_kbytes", 1),
      write("watermark_scale_factor", 20),
      write("min_free_kbytes", 2),
    ),
    { minFreeKbytes: 2, watermarkScaleFactor: 20 },
  );
});

test("watermark_scale_factor is 1 to 1000, or to 3000 where the kernel says so", () => {
  const max = V6_1.sysctls.watermarkScaleFactorMax;
  assert.equal(max, 3000);
  assert.deepEqual(taken(write("watermark_scale_factor", 1)), { watermarkScaleFactor: 1 });
  assert.deepEqual(taken(write("watermark_scale_factor", max)), { watermarkScaleFactor: max });
  for (const bad of [0, max + 1]) {
    assert.deepEqual(refusal(write("watermark_scale_factor", bad)), {
      words: [`error sysctl watermark_scale_factor: ${bad} is out of range`],
      mend: `give 1 to ${max}`,
    });
  }
  assert.equal(V5_10.sysctls.watermarkScaleFactorMax, 1000);
  assert.equal(refusal(write("watermark_scale_factor", 1001), V5_10).mend, "give 1 to 1000");
});

test("fractions below 8 are refused, and the other kernel's name is ignored with a warning", () => {
  for (const bad of [1, 7]) {
    assert.deepEqual(refusal(write("percpu_pagelist_high_fraction", bad)), {
      words: [`error sysctl percpu_pagelist_high_fraction: ${bad} is refused by the kernel`],
      mend: "give 0, or 8 and more",
    });
  }
  assert.deepEqual(refusal(write("percpu_pagelist_fraction", 8)).words, [
    "warning sysctl: kernel 6.1 has no percpu_pagelist_fraction: ignored; its name is percpu_pagelist_high_fraction",
  ]);
  assert.match(
    refusal(write("percpu_pagelist_high_fraction", 8), V5_10).words.join(),
    /^warning .*its name is percpu_pagelist_fraction$/,
  );
  const old = applySysctls([write("percpu_pagelist_fraction", 8)], BOOTED, V5_10);
  assert.deepEqual(old, { value: { pagelistFraction: 8 }, issues: [] });
});

test("no number, half a number, a negative one or too large a one is refused, wherever it stands", () => {
  for (const name of KNOWN_SYSCTLS) {
    for (const values of [[], [-1], [1.5], [Number.NaN], [2 ** 53], [32, -1], [256, 256, 0.5]]) {
      assert.deepEqual(refusal({ name, values }), {
        words: [`error sysctl ${name}: needs whole numbers of 0 or more`],
        mend: undefined,
      });
    }
  }
});

test("a sysctl that changes nothing here is refused with the names of those that do", () => {
  const { words: told, mend } = refusal(write("swappiness", 60));
  assert.deepEqual(told, ["error sysctl swappiness: does not change zones, marks or reserves"]);
  assert.equal(mend, `known are ${KNOWN_SYSCTLS.join(", ")}`);
});

test("a refused write leaves those before and after it in force", () => {
  const { value, issues } = applySysctls(
    [write("min_free_kbytes", 1), write("nonsense", 1), write("watermark_scale_factor", 5)],
    BOOTED,
    V6_1,
  );
  assert.deepEqual(value, { minFreeKbytes: 1, watermarkScaleFactor: 5 });
  assert.equal(issues.length, 1);
});

test("a refused write makes no plan", () => {
  const machine = { arch: "x86_64", ram: GIB };
  assert.throws(() => planOf(machine, { sysctls: [write("watermark_scale_factor", 0)] }));
  assert.ok(planOf(machine, { sysctls: [write("watermark_scale_factor", 1)] }));
});

test("shares are of the pages in the zones, and high memory does not count", () => {
  const share = { name: "min_free_kbytes", percent: 5 };
  const custom = planOf({
    arch: "custom",
    ram: 64 * MIB,
    zones: [
      { name: "DMA", limit: 16 * MIB },
      { name: "HighMem", limit: Number.POSITIVE_INFINITY },
    ],
  });
  const pages = custom.nodes[0]?.zones[0]?.managed.pages ?? 0;
  assert.ok(pages > 0 && pages <= 4096);
  const given = write("watermark_scale_factor", 20);
  assert.deepEqual(resolveShares([share, given], custom), [
    write("min_free_kbytes", Math.floor((pages * 4 * 5) / 100)),
    given,
  ]);
  const two = planOf({ arch: "x86_64", ram: 2 * GIB });
  const all = two.nodes[0]?.zones.reduce((sum, zone) => sum + zone.managed.pages, 0) ?? 0;
  assert.deepEqual(resolveShares([{ name: "min_free_kbytes", percent: 100 }], two), [
    write("min_free_kbytes", all * 4),
  ]);
});

test("a share counts pages of the machine's own size", () => {
  const config = new Map([["CONFIG_ARM64_64K_PAGES", "y"]]);
  const plan = planOf({ arch: "arm64", ram: 4 * GIB, config });
  const pages = plan.nodes[0]?.zones.reduce((sum, zone) => sum + zone.managed.pages, 0) ?? 0;
  assert.deepEqual(resolveShares([{ name: "min_free_kbytes", percent: 10 }], plan), [
    write("min_free_kbytes", Math.floor(pages * 6.4)),
  ]);
});

test("any writes: a setting is what the last accepted write said, or nothing", () => {
  const any = fc.record({
    name: fc.constantFrom(...KNOWN_SYSCTLS, "swappiness", ""),
    values: fc.array(fc.oneof(fc.nat(4000), fc.double(), fc.integer()), { maxLength: 5 }),
  });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 6 }), (writes) => {
      const { value, issues } = applySysctls(writes, BOOTED, V6_1);
      const accepted = writes.filter(
        (own) => applySysctls([own], BOOTED, V6_1).issues.length === 0,
      );
      assert.equal(issues.length, writes.length - accepted.length);
      const last = (name: string): number | undefined =>
        accepted.findLast((own) => own.name === name)?.values[0];
      assert.equal(value.minFreeKbytes, last("min_free_kbytes"));
      assert.equal(value.watermarkScaleFactor, last("watermark_scale_factor"));
      assert.equal(value.pagelistFraction, last("percpu_pagelist_high_fraction"));
    }),
  );
});
