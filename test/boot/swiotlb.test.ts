// Goal: there is a bounce pool exactly where the kernel made one, of its size, areas and place. Method: all
// captures, planned from parameters alone, from the full log and from a log without memblock lines, against
// debugfs and the log's own word; then the rules no capture shows, on made-up command lines.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommandLine } from "../../src/boot/command-line.ts";
import type { Hardware, Layout } from "../../src/boot/hardware.ts";
import { grantsOf } from "../../src/boot/memblock.ts";
import { planSwiotlb, type SwiotlbPlan } from "../../src/boot/swiotlb.ts";
import type { BootLog } from "../../src/formats/boot-log.ts";
import type { Policy } from "../../src/kernels/policy.ts";
import { allBoots, anyBoot, type Boot, withoutMemblock } from "./managed-boots.ts";

function planOf({ hardware, commandLine, layout, policy }: Boot, log: BootLog | null): SwiotlbPlan {
  return planSwiotlb(hardware, commandLine, layout, policy, log);
}

test("pool, slots, areas and place are the kernel's on every capture", () => {
  let pools = 0;
  for (const boot of allBoots()) {
    const slots = Number(boot.files.get("debug/swiotlb/io_tlb_nslabs") ?? 0);
    const { mapped, areas } = boot.log.swiotlb;
    for (const log of [null, boot.log, withoutMemblock(boot.log)]) {
      const { pool, whyNot } = planOf(boot, log);
      assert.equal(pool?.slots ?? 0, slots, boot.name);
      assert.equal(pool === null, whyNot !== null);
      if (pool === null) continue;
      assert.equal(pool.bytes, slots * 2048);
      assert.equal(pool.areas, areas ?? 1, boot.name);
      assert.equal(pool.maxMapping, 262144);
      if (log === null) assert.equal(pool.start, null);
      else if (mapped !== null) assert.equal(pool.start, mapped.start, boot.name);
    }
    if (slots > 0) {
      const grant = grantsOf(boot.log.memblock, /^swiotlb_init/)[0];
      assert.equal(planOf(boot, boot.log).pool?.start, grant?.range.start, boot.name);
      pools++;
    }
  }
  assert.ok(pools > 50);
});

interface Machine {
  readonly text?: string;
  readonly gib?: number;
  readonly cpus?: number;
}

function planned(base: Boot, { text = "", gib = 4, cpus = 1 }: Machine): SwiotlbPlan {
  const { build } = base.hardware;
  const end = (gib * 2 ** 30) / build.pageSize;
  const layout: Layout = {
    ...base.layout,
    memory: [{ node: 0, start: 1, end }],
    maxPfn: end,
    maxPossiblePfn: end,
  };
  const hardware: Hardware = {
    ...base.hardware,
    cpus: { possible: cpus, online: 1, byNode: null },
  };
  const commandLine = parseCommandLine(text, hardware.arch, build.pageSize).value;
  return planSwiotlb(hardware, commandLine, layout, base.policy, null);
}

const amd64 = anyBoot(/^x86_64-6.1-1G$/);
const old = anyBoot(/^x86_64-5.10-1G$/);

test("x86 has a pool above 4 GiB, or when asked for, and not when told otherwise", () => {
  const why = (machine: Machine): string => {
    const { pool, whyNot } = planned(amd64, machine);
    return pool?.reason ?? `none: ${whyNot}`;
  };
  assert.equal(why({ gib: 4 }), "none: all RAM is below 4 GiB");
  assert.equal(why({ gib: 5 }), "RAM above 4 GiB");
  assert.equal(why({ gib: 5, text: "iommu=off" }), "none: iommu=off");
  assert.equal(why({ gib: 5, text: "iommu=off swiotlb=force" }), "swiotlb=force");
  assert.equal(why({ gib: 1, text: "iommu=soft" }), "iommu=soft");
  assert.equal(why({ gib: 1, text: "swiotlb=force" }), "swiotlb=force");
  assert.equal(why({ gib: 5, text: "swiotlb=noforce" }), "none: swiotlb=noforce");
});

test("sizes are rounded to segments, then to areas and a power of two", () => {
  const sized = (base: Boot, machine: Machine): number[] => {
    const { pool } = planned(base, { gib: 5, ...machine });
    return [pool?.slots ?? 0, pool?.areas ?? 0, pool?.maxMapping ?? 0];
  };
  assert.deepEqual(sized(amd64, {}), [32768, 1, 262144]);
  assert.deepEqual(sized(amd64, { cpus: 6 }), [32768, 8, 262144]);
  assert.deepEqual(sized(amd64, { text: "swiotlb=100" }), [128, 1, 262144]);
  assert.deepEqual(sized(amd64, { text: "swiotlb=40000" }), [65536, 1, 262144]);
  assert.deepEqual(sized(amd64, { text: "swiotlb=128,16" }), [2048, 16, 262144]);
  assert.deepEqual(sized(amd64, { cpus: 300 }), [65536, 512, 262144]);
  // Before areas there is no power of two either.
  assert.deepEqual(sized(old, { text: "swiotlb=40000", cpus: 8 }), [40064, 1, 262144]);
});

test("32-bit kernels without physical extension have none; with it, arm counts RAM up to 4 GiB", () => {
  const arm = anyBoot(/^arm-6.1-1G$/);
  const lpae = anyBoot(/^armlpae-6.1-1G$/);
  assert.equal(planned(arm, { gib: 4, text: "swiotlb=force" }).pool, null);
  assert.equal(planned(lpae, { gib: 4 }).pool?.reason, "RAM above the DMA limit");
  assert.equal(planned(lpae, { gib: 3.5 }).pool, null);
});

test("arm64 keeps a small pool where no address needs one, since 6.12", () => {
  const limit = { dmaLimitPfn: 2 ** 20 };
  const since = anyBoot(/^arm64-6.12-1G$/);
  const before = anyBoot(/^arm64-6.1-2G$/);
  const on = (base: Boot, machine: Machine): number =>
    planned({ ...base, layout: { ...base.layout, ...limit } }, machine).pool?.slots ?? 0;
  assert.equal(on(before, { gib: 3 }), 0);
  assert.equal(on(before, { gib: 5 }), 32768);
  assert.equal(on(since, { gib: 1 }), 512);
  assert.equal(on(since, { gib: 3 }), 2048);
  assert.equal(on(since, { gib: 3, text: "swiotlb=8192" }), 8192);
  assert.equal(on(since, { gib: 5 }), 32768);
});

test("a log with areas but without the mapped line still proves a pool; a full log without is proof of none", () => {
  const boot = anyBoot(/^x86_64-6.1-1G$/);
  const commandLine = parseCommandLine("swiotlb=force", "x86_64", 4096).value;
  const policy: Policy = boot.policy;
  const log = withoutMemblock(boot.log);
  const seen = { ...log, swiotlb: { ...log.swiotlb, areas: 2 } };
  const found = planSwiotlb(boot.hardware, commandLine, boot.layout, policy, seen);
  assert.deepEqual([found.pool?.areas, found.pool?.start], [2, null]);
  const none = planSwiotlb(boot.hardware, commandLine, boot.layout, policy, boot.log);
  assert.equal(none.whyNot, "the boot log shows no pool");
});

test("a pool that fits nowhere below 4 GiB is not made, and that is said", () => {
  const boot = anyBoot();
  for (const [slots, fits] of [
    [2 ** 20, true],
    [2 ** 21, false],
    [99999999999, false],
  ] as const) {
    const { arch, build } = boot.hardware;
    const commandLine = parseCommandLine(`swiotlb=${slots}`, arch, build.pageSize).value;
    const { pool, whyNot } = planOf({ ...boot, commandLine }, null);
    assert.equal(pool?.slots ?? null, fits ? slots : null);
    assert.equal(whyNot !== null, !fits);
  }
});
