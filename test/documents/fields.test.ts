// Goal: a document says what the plan, check or difference says, each number at its own name, and
// JSON can hold it. Method: documents of plans with every kind of part (tuned pagesets, pools, huge
// pages, a crash kernel, a device of each verdict) against the records they were made of, schemas
// against documents with one member spoilt, and inspections with parts missing.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Issue } from "../../src/base/issue.ts";
import { finite } from "../../src/documents/common.ts";
import {
  checkDocument,
  checkSchema,
  diffDocument,
  diffSchema,
  inspectDocument,
  inspectSchema,
  issueList,
  planDocument,
  planSchema,
} from "../../src/documents/index.ts";
import { readCapture } from "../../src/formats/capture.ts";
import {
  checkCapture,
  diffPlans,
  headroomOf,
  machineFromCapture,
  machineFromDescription,
  type Plan,
  planMachine,
} from "../../src/plan/index.ts";
import { captureFiles } from "../support/corpus.ts";

const GIB = 2 ** 30;

function planOf(kernel: string, cmdline: string, ram = 8 * GIB): Plan {
  const machine = machineFromDescription({ name: "m", arch: "x86_64", kernel, ram, cmdline });
  assert.ok(machine.value !== null);
  const { value } = planMachine(machine.value);
  assert.ok(value !== null);
  return value;
}

const PLAN: Plan = planOf("6.12", "crashkernel=64M hugepagesz=2M hugepages=8 cma=32M");

test("everything of a plan is in its document, each at its own name", () => {
  const document = planDocument(PLAN);
  assert.equal(document.schema, "zonewright/plan/1");
  const { machine, kernel, arch, pageSize, moment, layoutFrom, era, sysctls } = PLAN;
  assert.deepEqual(
    [document.machine, document.kernel, document.arch, document.pageSize],
    [machine, kernel, arch, pageSize],
  );
  assert.deepEqual([document.moment, document.layoutFrom], [moment, layoutFrom]);
  assert.deepEqual(document.era, era);
  assert.deepEqual(document.sysctls, sysctls);
  assert.equal(document.minFreeKbytes, sysctls.minFreeKbytes);
  assert.deepEqual(document.issues, PLAN.issues);
  for (const [i, node] of PLAN.nodes.entries()) {
    const own = document.nodes[i];
    assert.deepEqual([own?.node, own?.cpus, own?.zonelist], [node.node, node.cpus, node.zonelist]);
    assert.equal(own?.zones.length, node.zones.length);
    for (const [j, zone] of node.zones.entries()) {
      const { name, startPfn, spanned, present, managed, watermarks, protection, pageset } = zone;
      const { promo, ...marks } = watermarks;
      assert.deepEqual(own?.zones[j], {
        name,
        startPfn,
        spanned,
        present,
        managed,
        watermarks: promo === null ? marks : { ...marks, promo },
        protection,
        pageset: pageset && {
          high: pageset.high,
          batch: pageset.batch,
          highMin: pageset.tunedTo?.min,
          highMax: pageset.tunedTo?.max,
        },
        ram: zone.ram.map(({ start, end }) => ({ startPfn: start, endPfn: end })),
      });
    }
  }
});

test("what an era does not have is absent, not null", () => {
  const [zone] = planDocument(planOf("6.1", "")).nodes[0]?.zones ?? [];
  assert.deepEqual(Object.keys(zone?.watermarks ?? {}), ["min", "low", "high"]);
  assert.deepEqual(Object.keys(zone?.pageset ?? {}), ["high", "batch"]);
  assert.deepEqual(Object.keys(zone?.managed ?? {}).sort(), [
    "atWatermarks",
    "exact",
    "from",
    "high",
    "low",
    "pages",
  ]);
});

test("pools are told with place and bytes; why there is none only where there is none", () => {
  const { pools } = planDocument(PLAN);
  assert.deepEqual(pools.swiotlb, PLAN.pools.swiotlb);
  assert.equal(pools.swiotlbWhyNot, null);
  assert.deepEqual(pools.hugePages, [{ pageBytes: 2 ** 21, count: 8 }]);
  const start = 16 * 2 ** 20;
  const kept = { ...PLAN.pools, crashkernel: [{ start, end: start + 4096 }] };
  const crash = planDocument({ ...PLAN, pools: kept }).pools.crashkernel;
  assert.deepEqual(crash, [{ start, bytes: 4096 }]);
  const area = { name: "reserved", start: null, bytes: 32 * 2 ** 20 };
  assert.deepEqual(planDocument({ ...PLAN, pools: { ...PLAN.pools, cma: [area] } }).pools.cma, [
    area,
  ]);
  const none = planDocument(planOf("6.1", "", GIB)).pools;
  assert.equal(none.swiotlb, null);
  assert.ok(none.swiotlbWhyNot !== null && none.swiotlbWhyNot !== "");
  // A reason that a pool has beside it is not told.
  const both = { ...PLAN.pools, swiotlbWhyNot: "because" };
  assert.equal(planDocument({ ...PLAN, pools: both }).pools.swiotlbWhyNot, null);
});

test("devices are told with their verdict and words, no limit is null", () => {
  const documents = planDocument(PLAN).devices;
  assert.equal(documents.length, PLAN.devices.length);
  for (const [i, device] of PLAN.devices.entries()) {
    const { streamingWords, streaming, limit, maxMapping, ...same } = device;
    assert.deepEqual(documents[i], {
      ...same,
      streaming: streamingWords,
      verdict: streaming,
      limitBytes: Number.isFinite(limit) ? limit : null,
      maxMappingBytes: Number.isFinite(maxMapping) ? maxMapping : null,
    });
  }
  const limits = documents.map(({ limitBytes }) => limitBytes);
  assert.deepEqual([limits[0], limits.at(-1)], [2 ** 24, null]);
  assert.deepEqual([finite(0), finite(7), finite(Number.POSITIVE_INFINITY)], [0, 7, null]);
});

test("a forced pool has a document too: nothing in it is larger than JSON's integers", () => {
  const forced = planSchema.parse(planDocument(planOf("6.1", "swiotlb=force")));
  const wide = forced.devices.find(({ dmaBits }) => dmaBits === 64);
  assert.deepEqual(
    [wide?.verdict, wide?.streaming, wide?.limitBytes, wide?.maxMappingBytes],
    ["bounce", "bounce always", null, 262144],
  );
});

test("issues are told once, in their order", () => {
  const one: Issue = { severity: "note", message: "a" };
  const two: Issue = { severity: "note", message: "a", line: 2 };
  assert.deepEqual(issueList([one, two, { ...one }, two, one]), [one, two]);
  assert.deepEqual(issueList([]), []);
  assert.deepEqual(planDocument({ ...PLAN, issues: [two, one, two] }).issues, [two, one]);
});

/** `value` with the member at `path` replaced. */
function spoilt(value: unknown, path: readonly (string | number)[], by: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return by;
  if (Array.isArray(value)) {
    return value.map((own, i) => (i === first ? spoilt(own, rest, by) : own));
  }
  assert.ok(typeof value === "object" && value !== null);
  const own = Object.entries(value).find(([key]) => key === first)?.[1];
  return { ...value, [first]: spoilt(own, rest, by) };
}

test("the schema refuses what a plan cannot say", () => {
  const document: unknown = JSON.parse(JSON.stringify(planDocument(PLAN)));
  assert.equal(planSchema.safeParse(document).success, true);
  const zone = ["nodes", 0, "zones", 1] as const;
  const bad: readonly (readonly [readonly (string | number)[], unknown])[] = [
    [["schema"], "zonewright/plan/2"],
    [["moment"], "later"],
    [["layoutFrom"], "guess"],
    [["era", "basis"], "hearsay"],
    [["pageSize"], -1],
    [["nodes", 0, "node"], 0.5],
    [[...zone, "startPfn"], -1],
    [[...zone, "managed", "exact"], "yes"],
    [[...zone, "watermarks", "min"], -1],
    [[...zone, "protection", 0], null],
    [[...zone, "pageset", "batch"], -1],
    [["devices", 0, "verdict"], "maybe"],
    [["devices", 0, "coherentFits"], 1.5],
    [["devices", 0, "coherentFits"], -0.5],
    [["devices", 0, "limitBytes"], -1],
    [["sysctls", "minFreeKbytesFrom"], "nowhere"],
    [["issues"], [{ severity: "fatal", message: "x" }]],
    [["issues"], [{ severity: "note", message: "x", line: 0 }]],
  ];
  for (const [path, by] of bad) {
    const { success } = planSchema.safeParse(spoilt(document, path, by));
    assert.equal(success, false, `${path.join(".")} = ${String(by)}`);
  }
  for (const [path, by] of [
    [[...zone, "startPfn"], null],
    [["devices", 0, "coherentFits"], 1],
    [["devices", 0, "coherentFits"], 0],
    [["devices", 0, "limitBytes"], 0],
    [["issues"], [{ severity: "error", message: "x", line: 1 }]],
  ] as const) {
    assert.equal(planSchema.safeParse(spoilt(document, path, by)).success, true, path.join("."));
  }
});

test("a check's document is the check, and the plan beside it", async () => {
  const capture = (await readCapture(captureFiles("x86_64-6.12-4G"))).value;
  const { zoneinfo } = capture;
  assert.ok(zoneinfo !== null);
  const zones = zoneinfo.zones.map((zone) => ({ ...zone, min: zone.min + 1 }));
  const check = checkCapture({ ...capture, zoneinfo: { ...zoneinfo, zones } }).value;
  assert.ok(check !== null);
  const document = checkSchema.parse(checkDocument(check));
  assert.equal(document.schema, "zonewright/check/1");
  const { plan, ...rest } = check;
  assert.deepEqual(document, {
    schema: "zonewright/check/1",
    ...rest,
    plan: planDocument(plan),
  });
  assert.equal(document.differences.length, 5);
  assert.ok(document.notPredicted.length > 0);
  for (const [path, by] of [
    [["fields"], -1],
    [["equal"], 0.5],
    [["differences", 0, "node"], -1],
    [["moments", "watermarks"], "never"],
  ] as const) {
    assert.equal(checkSchema.safeParse(spoilt(document, path, by)).success, false, path.join("."));
  }
});

test("a difference's document has both sides in order, and fails on what was named only", () => {
  const diff = diffPlans(PLAN, { ...planOf("6.12", "swiotlb=noforce"), machine: "other" });
  const document = diffSchema.parse(diffDocument(diff, ["swiotlb-shrunk", "bounce"]));
  assert.deepEqual([document.a, document.b], ["m", "other"]);
  assert.deepEqual(document.changes, diff.changes);
  assert.deepEqual(document.affected, diff.affected);
  assert.deepEqual(
    document.failed.map(({ effect }) => effect),
    ["swiotlb-shrunk"],
  );
  assert.deepEqual(diffDocument(diff, []).failed, []);
});

test("an inspection without this or that part says null, and its zones are the kernel's", async () => {
  const capture = (await readCapture(captureFiles("x86_64-6.1-4G-smp2"))).value;
  const machine = machineFromCapture(capture).value;
  assert.ok(machine !== null && capture.zoneinfo !== null);
  const plan = planMachine(machine).value;
  const check = checkCapture(capture).value;
  assert.ok(plan !== null && check !== null);
  const issue: Issue = { severity: "note", message: "a" };
  const sources = [{ path: "zoneinfo", from: "x", missing: null }];
  const whole = {
    name: "box",
    zoneinfo: capture.zoneinfo,
    plan,
    check,
    checkWhyNot: null,
    headroom: headroomOf(capture).value,
    sources,
    issues: [issue, issue],
  };
  const document = inspectSchema.parse(inspectDocument(whole));
  assert.equal(document.machine, "box");
  assert.deepEqual(document.sources, sources);
  assert.deepEqual(document.issues, [issue]);
  assert.ok(whole.headroom !== null);
  assert.deepEqual(document.headroom, whole.headroom);
  const short = plan.devices.filter(({ name, streaming }) => {
    return !/^\d+-bit$/.test(name) && (streaming === "bounce" || streaming === "unreachable");
  });
  assert.deepEqual(
    document.bouncing.map(({ name }) => name),
    short.map(({ name }) => name),
  );
  assert.deepEqual(document.plan, planDocument(plan));
  assert.equal(document.check?.fields, check.fields);
  assert.ok(document.check !== null && !("plan" in document.check));
  for (const [i, seen] of capture.zoneinfo.zones.entries()) {
    const { node, name, startPfn, free, min, low, high, spanned, present, managed } = seen;
    const { protection } = seen;
    assert.deepEqual(document.zones[i], {
      node,
      name,
      startPfn,
      free,
      min,
      low,
      high,
      spanned,
      present,
      managed,
      protection,
    });
  }
  const nothing = {
    ...whole,
    headroom: null,
    zoneinfo: null,
    plan: null,
    check: null,
    checkWhyNot: "no log",
  };
  const bare = inspectSchema.parse(inspectDocument(nothing));
  assert.deepEqual(
    [bare.zones, bare.headroom, bare.bouncing, bare.plan, bare.check, bare.checkWhyNot],
    [[], null, [], null, null, "no log"],
  );
});
