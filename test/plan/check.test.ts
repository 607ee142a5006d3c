// Goal: check finds every number that is not the model's, says which, and says what it did not
// compare and why. Method: real captures with one field changed at a time, zones taken away on
// either side, sysctls written since boot (recorded ones too), captures without a log.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Capture, readVariant } from "../../src/formats/capture.ts";
import type { ZoneinfoZone } from "../../src/formats/zoneinfo.ts";
import {
  type Check,
  type CheckOptions,
  checkCapture,
  machineFromCapture,
} from "../../src/plan/index.ts";
import { captureFiles } from "../support/corpus.ts";
import { captureOf, corpusCapture, planFor, words, zoneOf } from "./plans.ts";

const PC: Capture = await corpusCapture("x86_64-6.1-4G-smp2");
const NEW: Capture = await corpusCapture("x86_64-6.12-4G");
const NUMA: Capture = await corpusCapture("x86_64-6.1-numa2-2G+2G");

function checked(capture: Capture, options: CheckOptions = {}): Check {
  const { value, issues } = checkCapture(capture, options);
  assert.ok(value !== null, JSON.stringify(issues));
  return value;
}

/** `capture` with each of its zones passed through `change`; null takes a zone away. */
function changed(capture: Capture, change: (zone: ZoneinfoZone) => ZoneinfoZone | null): Capture {
  const { zoneinfo } = capture;
  assert.ok(zoneinfo !== null);
  const zones = zoneinfo.zones.map(change).filter((zone) => zone !== null);
  return { ...capture, zoneinfo: { ...zoneinfo, zones } };
}

const only =
  (name: string, change: (zone: ZoneinfoZone) => Partial<ZoneinfoZone>, node = 0) =>
  (zone: ZoneinfoZone): ZoneinfoZone =>
    zone.name === name && zone.node === node ? { ...zone, ...change(zone) } : zone;

function told({ differences }: Check): string[] {
  return differences.map(
    ({ node, zone, field, predicted, kernel, why }) =>
      `N${node}/${zone} ${field} ${predicted} ${kernel}${why === null ? "" : `: ${why}`}`,
  );
}

test("an unchanged capture is equal in all fields, and they are counted", () => {
  const check = checked(PC);
  assert.deepEqual(check.differences, []);
  // Three zones with memory on two CPUs and two empty ones: start, spanned, present and managed,
  // three marks, five of protection; batch and high of each CPU's pageset.
  assert.equal(check.fields, 5 * (4 + 3 + 5) + 3 * 2 * 2);
  assert.equal(check.equal, check.fields);
  assert.deepEqual(check.notPredicted, []);
  assert.deepEqual(check.moments, { watermarks: "boot", protection: "boot" });
  assert.equal(check.managedFrom, "memblock log");
  assert.equal(check.plan.moment, "boot");
});

const FIELDS: readonly (readonly [string, (zone: ZoneinfoZone) => Partial<ZoneinfoZone>])[] = [
  ["startPfn", (zone) => ({ startPfn: (zone.startPfn ?? 0) + 1 })],
  ["spanned", (zone) => ({ spanned: zone.spanned - 1 })],
  ["present", (zone) => ({ present: zone.present + 1 })],
  ["managed", (zone) => ({ managed: (zone.managed ?? 0) - 1 })],
  ["min", (zone) => ({ min: zone.min + 1 })],
  ["low", (zone) => ({ low: zone.low - 1 })],
  ["high", (zone) => ({ high: zone.high + 1 })],
];

for (const [field, change] of FIELDS) {
  test(`a wrong ${field} is found, and nothing else`, () => {
    for (const name of ["DMA", "DMA32", "Normal"]) {
      const check = checked(changed(PC, only(name, change)));
      const [found] = check.differences;
      assert.deepEqual(
        check.differences.map((own) => [own.node, own.zone, own.field, own.why]),
        [[0, name, field, null]],
      );
      assert.equal(Math.abs(Number(found?.predicted) - Number(found?.kernel)), 1);
      assert.equal(check.fields, checked(PC).fields);
      assert.equal(check.equal, check.fields - 1);
    }
  });
}

test("each entry of protection has its index, one too many is found too", () => {
  for (const wrong of [0, 1, 2, 3, 4, 5]) {
    const check = checked(
      changed(
        PC,
        only("DMA", ({ protection }) => {
          const own = [...protection];
          own[wrong] = (own[wrong] ?? 0) + 7;
          return { protection: own };
        }),
      ),
    );
    assert.deepEqual(
      check.differences.map(({ field }) => field),
      [`protection[${wrong}]`],
    );
    const { predicted = 0, kernel = 0 } = check.differences[0] ?? {};
    assert.equal(kernel, (predicted ?? 0) + 7);
    assert.equal(predicted === null, wrong === 5);
  }
});

test("each pageset has its CPU, and its high where it is not tuned", () => {
  for (const cpu of [0, 1]) {
    for (const field of ["high", "batch"] as const) {
      const check = checked(
        changed(
          PC,
          only("Normal", ({ pagesets }) => ({
            pagesets: pagesets.map((own) =>
              own.cpu === cpu ? { ...own, [field]: own[field] + 1 } : own,
            ),
          })),
        ),
      );
      assert.deepEqual(
        check.differences.map((own) => own.field),
        [`pageset[${cpu}].${field}`],
      );
    }
  }
});

test("since 6.7 high is tuned: it is not compared, batch and promo are", () => {
  const plain = checked(NEW);
  const why = "tuned at run time inside its bounds (6.7 and later)";
  assert.deepEqual(plain.notPredicted, [{ field: "pageset high", why }]);
  assert.deepEqual(plain.differences, []);
  const high = changed(
    NEW,
    only("DMA32", ({ pagesets }) => ({ pagesets: pagesets.map((own) => ({ ...own, high: 1 })) })),
  );
  assert.deepEqual(checked(high).differences, []);
  const promo = changed(
    NEW,
    only("DMA32", ({ promo }) => ({ promo: (promo ?? 0) + 1 })),
  );
  assert.deepEqual(
    checked(promo).differences.map(({ zone, field }) => `${zone} ${field}`),
    ["DMA32 promo"],
  );
  // An empty zone has no pageset, of the model or of the kernel.
  assert.equal(plain.fields, 5 * (4 + 3 + 1 + 5) + 3);
});

test("a kernel that does not print promo or managed is not asked for it", () => {
  const bare = changed(NEW, (zone) => ({ ...zone, promo: null, managed: null }));
  assert.equal(checked(bare).fields, checked(NEW).fields - 10);
  assert.deepEqual(checked(bare).differences, []);
});

test("a boost is taken off the marks before they are compared", () => {
  const boosted = changed(
    NEW,
    only("DMA32", ({ min, low, high, promo }) => ({
      boost: 100,
      min: min + 100,
      low: low + 100,
      high: high + 100,
      promo: (promo ?? 0) + 100,
    })),
  );
  assert.deepEqual(checked(boosted).differences, []);
  assert.equal(
    checked(
      changed(
        NEW,
        only("DMA32", () => ({ boost: 100 })),
      ),
    ).differences.length,
    4,
  );
});

test("a zone that one side does not have is a difference", () => {
  const strange = checked(
    changed(
      PC,
      only("DMA32", () => ({ name: "BIGDMA" })),
    ),
  );
  assert.deepEqual(told(strange), [
    "N0/BIGDMA zone null 782301: the model has no such zone",
    "N0/DMA32 zone 782301 null: the kernel has no such zone",
  ]);
  // Each side's zone counts once, in place of all that a zone on two CPUs has to compare.
  assert.equal(strange.fields, checked(PC).fields - (4 + 3 + 5 + 2 * 2) + 2);
  const elsewhere = changed(NUMA, (zone) =>
    zone.node === 1 && zone.name === "Normal" ? { ...zone, node: 2 } : zone,
  );
  assert.deepEqual(
    told(checked(elsewhere)).map((own) => own.replace(/\d+ null|null \d+/, "…")),
    [
      "N2/Normal zone …: the model has no such zone",
      "N1/Normal zone …: the kernel has no such zone",
    ],
  );
  // A kernel that leaves out zones without memory says the same as one that does not.
  const terse = changed(PC, (zone) => (zone.present === 0 ? null : zone));
  assert.deepEqual(checked(terse).differences, []);
});

test("numbers of the other node are not mistaken for one's own", () => {
  const check = checked(
    changed(
      NUMA,
      only("DMA32", ({ min }) => ({ min: min + 1 }), 1),
    ),
  );
  assert.deepEqual(
    check.differences.map(({ node, zone, field }) => `N${node}/${zone} ${field}`),
    ["N1/DMA32 min"],
  );
});

test("without a log managed is taken from the kernel, said so, and not compared", () => {
  const blind = { ...PC, bootLog: null };
  const check = checked(blind);
  assert.deepEqual(check.differences, []);
  assert.equal(check.fields, checked(PC).fields - 5);
  assert.deepEqual(
    check.notPredicted.map(({ field }) => field),
    ["managed"],
  );
  assert.equal(check.managedFrom, "given");
  // The marks are predicted from what is given: other pages, other marks.
  const fewer = changed(
    blind,
    only("Normal", ({ managed }) => ({ managed: Math.floor((managed ?? 0) / 2) })),
  );
  const fields = new Set(checked(fewer).differences.map(({ field }) => field));
  for (const field of ["min", "low", "high", "protection[2]"]) assert.ok(fields.has(field), field);
  assert.ok(!fields.has("managed"));
});

test("without a log, a zone on one side only or too large is a difference and not an error", () => {
  const blind = { ...PC, bootLog: null };
  const without = checked(changed(blind, (zone) => (zone.name === "Normal" ? null : zone)));
  assert.ok(told(without).some((own) => own.startsWith("N0/Normal zone 262144 null")));
  const large = checked(
    changed(
      blind,
      only("Normal", () => ({ present: 300000, managed: 300000 })),
    ),
  );
  assert.ok(told(large).includes("N0/Normal present 262144 300000"));
});

test("managed pages that the user gives come before the log's", () => {
  const managed = new Map(
    (PC.zoneinfo?.zones ?? []).map((zone) => [`N0/${zone.name}`, zone.managed ?? 0]),
  );
  const same = checked(PC, { managed });
  assert.deepEqual(same.differences, []);
  assert.equal(same.managedFrom, "given");
  assert.deepEqual(
    same.notPredicted.map(({ field }) => field),
    ["managed"],
  );
  const other = checked(PC, { managed: new Map([...managed, ["N0/DMA32", 700000]]) });
  assert.ok(other.differences.some(({ field }) => field === "min"));
  assert.equal(zoneOf(other.plan, "DMA32").managed.pages, 700000);
});

test("recorded writes: check finds what was written, and the marks that follow from it", async () => {
  const name = "x86_64-6.1-4G-smp2";
  for (const [variant, written] of [
    ["min1M", "sysctl min_free_kbytes"],
    ["wsf50", "sysctl watermark_scale_factor"],
    ["reserve32", "sysctl lowmem_reserve_ratio"],
    ["reservemix", "sysctl lowmem_reserve_ratio"],
    ["pcp8", "sysctl percpu_pagelist_high_fraction"],
  ] as const) {
    const { zoneinfo, sysctls } = (await readVariant(captureFiles(name), variant)).value;
    const check = checked({ ...PC, zoneinfo, sysctls });
    assert.deepEqual(check.differences, [], variant);
    assert.deepEqual(
      check.notPredicted.map(({ field }) => field),
      [written],
      variant,
    );
    const values = sysctls.get(written.split(" ")[1] ?? "")?.join(" ") ?? "";
    assert.ok(check.notPredicted[0]?.why.startsWith(`${values} is not what the boot leaves`));
    const { watermarks, protection } = check.moments;
    assert.ok(watermarks === "settled" || protection === "settled", variant);
    assert.equal(check.plan.moment, "settled");
    assert.ok(check.fields > 60);
  }
});

test("numbers of a written sysctl that was not written after all are differences", () => {
  const sysctls = new Map([...PC.sysctls, ["min_free_kbytes", [1024]]]);
  const check = checked({ ...PC, sysctls });
  // The kernel's marks are those of the boot: the moment that fits is found by comparing.
  assert.deepEqual(check.differences, []);
  assert.deepEqual(check.moments, { watermarks: "boot", protection: "boot" });
  assert.deepEqual(
    check.notPredicted.map(({ field }) => field),
    ["sysctl min_free_kbytes"],
  );
});

test("several writes are told in one order, after what is not compared", () => {
  const sysctls = new Map([
    ...PC.sysctls,
    ["watermark_scale_factor", [50]] as const,
    ["min_free_kbytes", [1024]] as const,
  ]);
  assert.deepEqual(
    checked({ ...PC, bootLog: null, sysctls }).notPredicted.map(({ field }) => field),
    ["managed", "sysctl min_free_kbytes", "sysctl watermark_scale_factor"],
  );
});

test("a ratio vector without the Device zone's entry is what the boot left", () => {
  const short = new Map([...PC.sysctls, ["lowmem_reserve_ratio", [256, 256, 32, 0]]]);
  assert.deepEqual(checked({ ...PC, sysctls: short }).notPredicted, []);
  const other = new Map([...PC.sysctls, ["lowmem_reserve_ratio", [256, 256, 31, 0]]]);
  assert.equal(checked({ ...PC, sysctls: other }).notPredicted.length, 1);
});

test("a settled machine is told from a booted one by its numbers alone", () => {
  const machine = machineFromCapture(PC).value;
  assert.ok(machine !== null);
  const plan = planFor(machine, { moment: "settled" });
  const settled = changed(PC, (zone) => {
    const { watermarks, protection, pageset } = zoneOf(plan, zone.name, zone.node);
    const { min, low, high } = watermarks;
    const pagesets = zone.pagesets.map((own) => ({ ...own, high: pageset?.high ?? 0 }));
    return { ...zone, min, low, high, protection, pagesets };
  });
  const check = checked(settled);
  assert.deepEqual(check.differences, []);
  assert.equal(check.moments.watermarks, "settled");
  assert.equal(check.moments.protection, "settled");
  // Reading lowmem_reserve_ratio settles protection alone.
  const halves = changed(PC, (zone) => {
    const { protection } = zoneOf(plan, zone.name, zone.node);
    return { ...zone, protection };
  });
  assert.deepEqual(checked(halves).moments, { watermarks: "boot", protection: "settled" });
  assert.deepEqual(checked(halves).differences, []);
});

test("options of the machine are the check's too", () => {
  const check = checked(PC, { cpus: 4 });
  assert.ok(check.differences.length > 0);
  assert.ok(
    check.differences.every(({ field }) => field.startsWith("pageset[")),
    told(check).join(),
  );
});

test("nothing to compare with, or no machine, is an error that says so", async () => {
  const none = checkCapture({ ...PC, zoneinfo: null });
  assert.equal(none.value, null);
  assert.deepEqual(words(none.issues), [
    "error -: x86_64-6.1-4G-smp2 has no zoneinfo to compare with",
  ]);
  assert.equal(checkCapture(changed(PC, () => null)).value, null);
  // Without a machine there is no plan, but the numbers follow from the sizes that are printed.
  const nameless = checkCapture({ ...PC, version: null }, { numbersAlone: true });
  assert.equal(nameless.value?.plan.layoutFrom, "zoneinfo");
  assert.match(words(nameless.issues).join(), /note -: which kernel/);
  const bare = await captureOf({ version: "Linux version 6.1.0-50-amd64 (x) #1 SMP" });
  const numbers = checkCapture({ ...bare, zoneinfo: PC.zoneinfo }, { numbersAlone: true });
  assert.deepEqual(numbers.value?.differences, []);
  assert.match(words(numbers.issues).join(), /memory map of the machine is not in/);
  const told = new Map([["DMA", 3840]]);
  const asked = checkCapture({ ...PC, version: null }, { managed: told, numbersAlone: true });
  assert.equal(asked.value, null);
  assert.equal(checkCapture({ ...PC, version: null }).value, null);
  const unplanned = checkCapture(PC, { managed: new Map([["N9/DMA", 1]]) });
  assert.equal(unplanned.value, null);
  assert.ok(unplanned.issues.some(({ severity }) => severity === "error"));
});
