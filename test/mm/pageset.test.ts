// Goal: batch and high of the per-CPU lists are the kernel's to the page. Method: every pageset that
// zoneinfo prints after a sysctl write, in all captures of three eras, from the zone's own managed
// pages and low mark; worked numbers where the captures have one value only; and a plain twin of the
// batch rule over random zones.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { resolveEra } from "../../src/kernels/eras.ts";
import type { Policy } from "../../src/kernels/policy.ts";
import { pagesetSize, zoneBatch } from "../../src/mm/pageset.ts";
import { corpusFiles, corpusNames } from "../support/corpus.ts";
import { zonesOf } from "../support/zones.ts";

const PAGE = 4096;

function policyOf(release: string): Policy {
  const era = resolveEra(release, "x86_64");
  assert.ok(era !== null, release);
  return era.policy;
}

/** The pagesets of each zone that zoneinfo prints them for. */
function pagesetsOf(
  zoneinfo: string,
): { zone: string; cpus: number; sets: Map<string, number>[] }[] {
  return zoneinfo.split(/^(?=Node \d)/m).flatMap((text) => {
    const zone = /^Node \d+, zone +\S+/.exec(text)?.[0] ?? "";
    const sets = text
      .split(/^ {4}cpu: /m)
      .slice(1)
      .map((cpu) => {
        const rows = cpu.matchAll(/^ +(high|batch): +(\d+)$/gm);
        return new Map([...rows].map(([, name = "", value]) => [name, Number(value)]));
      });
    return sets.length === 0 ? [] : [{ zone, cpus: sets.length, sets }];
  });
}

/** CPUs in a list such as "0-3,6". */
function listLength(list: string): number {
  return list
    .trim()
    .split(",")
    .filter((part) => part !== "")
    .reduce((sum, part) => {
      const [first = 0, last = first] = part.split("-").map(Number);
      return sum + last - first + 1;
    }, 0);
}

test("pagesets after sysctl writes equal the kernel's", () => {
  let compared = 0;
  for (const name of corpusNames()) {
    const files = corpusFiles(name);
    const policy = policyOf(/Linux version (\S+)/.exec(files.get("version") ?? "")?.[1] ?? "");
    for (const [path, text] of files) {
      const variant = /^sysctl\/([^/]+)\/zoneinfo$/.exec(path)?.[1];
      if (variant === undefined) continue;
      const setting = `sysctl/${variant}/vm/${policy.pageset.fractionSysctl}`;
      const fraction = Number(files.get(setting) ?? 0);
      const seen = new Map(
        zonesOf(text).map((zone) => [`Node ${zone.node}, zone ${zone.name.padStart(8)}`, zone]),
      );
      for (const { zone: heading, cpus, sets } of pagesetsOf(text)) {
        const zone = seen.get(heading);
        assert.ok(zone !== undefined, heading);
        const ofNode = listLength(files.get(`node/node${zone.node}/cpulist`) ?? "");
        const { high, batch, tunedTo } = pagesetSize(
          {
            managed: zone.managed,
            lowMark: zone.low,
            cpus: files.has(`node/node${zone.node}/cpulist`) && ofNode > 0 ? ofNode : cpus,
            pageSize: PAGE,
            fraction,
          },
          policy,
        );
        for (const set of sets) {
          const where: string = `${name} ${variant} ${heading}`;
          assert.equal(set.get("batch"), batch, where);
          // Where the kernel tunes it, high is what the load so far made of it.
          if (tunedTo === null) assert.equal(set.get("high"), high, where);
          compared++;
        }
      }
    }
  }
  assert.ok(compared > 4000, `only ${compared} pagesets compared`);
});

const ZONE = { managed: 491_520, lowMark: 5000, cpus: 3, pageSize: PAGE, fraction: 0 };

test("high is the low mark, or the fraction of the zone, shared by the node's CPUs", () => {
  const v6_1 = policyOf("6.1");
  assert.deepEqual(pagesetSize(ZONE, v6_1), { high: 1666, batch: 63, tunedTo: null });
  assert.equal(pagesetSize({ ...ZONE, fraction: 100 }, v6_1).high, 1638);
  assert.equal(pagesetSize({ ...ZONE, fraction: 8 }, v6_1).high, 20_480);
  // Four batches at least, and a node without CPUs counts as one.
  assert.equal(pagesetSize({ ...ZONE, lowMark: 755 }, v6_1).high, 252);
  assert.equal(pagesetSize({ ...ZONE, lowMark: 759 }, v6_1).high, 253);
  assert.equal(pagesetSize({ ...ZONE, cpus: 0 }, v6_1).high, 5000);
  // A zone too small for a batch still moves one page at a time.
  const tiny = { ...ZONE, managed: 3000, lowMark: 6 };
  assert.deepEqual(pagesetSize(tiny, v6_1), { high: 4, batch: 1, tunedTo: null });
});

test("since 6.7 high moves between the low mark and an eighth of the zone", () => {
  const v6_12 = policyOf("6.12");
  const { high, batch, tunedTo } = pagesetSize(ZONE, v6_12);
  assert.deepEqual([high, batch, tunedTo], [1666, 63, { min: 1666, max: 20_480 }]);
  // A fraction fixes it, and a low mark above the eighth leaves no room.
  const fixed = pagesetSize({ ...ZONE, fraction: 100 }, v6_12);
  assert.deepEqual(fixed.tunedTo, { min: 1638, max: 1638 });
  const full = pagesetSize({ ...ZONE, lowMark: 120_000 }, v6_12);
  assert.deepEqual(full.tunedTo, { min: 40_000, max: 40_000 });
  const tiny = pagesetSize({ ...ZONE, managed: 3000, lowMark: 6 }, v6_12);
  assert.deepEqual([tiny.batch, tiny.tunedTo], [1, { min: 4, max: 125 }]);
});

test("up to 5.13 high is six batches, or the fraction of the zone for each CPU", () => {
  const v5_10 = policyOf("5.10");
  assert.deepEqual(pagesetSize(ZONE, v5_10), { high: 378, batch: 63, tunedTo: null });
  const tiny = { ...ZONE, managed: 3000 };
  assert.deepEqual(pagesetSize(tiny, v5_10), { high: 0, batch: 1, tunedTo: null });
  // A quarter of high, at most 96 pages of 4 KiB and 128 of 64 KiB.
  assert.deepEqual(pagesetSize({ ...ZONE, fraction: 2000 }, v5_10), {
    high: 245,
    batch: 61,
    tunedTo: null,
  });
  assert.equal(pagesetSize({ ...ZONE, fraction: 8 }, v5_10).batch, 96);
  assert.equal(pagesetSize({ ...ZONE, fraction: 8, pageSize: 65536 }, v5_10).batch, 128);
  assert.equal(pagesetSize({ ...tiny, fraction: 2000 }, v5_10).batch, 1);
});

test("batch equals a plain twin for zones of any size", () => {
  const twin = (managed: number, pageSize: number): number => {
    let batch = Math.floor(managed / 1024);
    if (batch * pageSize > 1024 * 1024) batch = Math.floor((1024 * 1024) / pageSize);
    batch = Math.max(1, Math.floor(batch / 4));
    let power = 1;
    while (power * 2 <= batch + Math.floor(batch / 2)) power *= 2;
    return power - 1;
  };
  const pages = fc.oneof(fc.nat({ max: 300_000 }), fc.nat({ max: 2 ** 31 }));
  fc.assert(
    fc.property(pages, fc.constantFrom(4096, 16384, 65536), (managed, pageSize) => {
      assert.equal(zoneBatch(managed, pageSize), twin(managed, pageSize));
    }),
  );
});
