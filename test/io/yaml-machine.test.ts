// A description says exactly what was written, in whichever of its spellings, and no text makes
// the reader throw or invent. Equal spellings are compared with each other; mutated and random
// texts must give a machine or an error with a line inside the text.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { nearest, parseCpuList, parseInclusiveRange } from "../../src/io/quantity.ts";
import { parseDevice } from "../../src/io/yaml-device.ts";
import { type DescribedMachine, readMachineYaml } from "../../src/io/yaml-machine.ts";

const HEAD = "arch: x86_64\nkernel: 6.10\n";
const EXAMPLES = new URL("../../examples/machines/", import.meta.url);

function machineOf(text: string): DescribedMachine {
  const { value, issues } = readMachineYaml(text, "m");
  assert.ok(value !== null, issues.map(({ message }) => message).join("\n"));
  return value;
}

test("values are read as written: 6.10 is not 6.1, hexadecimal is bytes, K is 1024", () => {
  const machine = machineOf("arch: arm64\nkernel: 6.10\nram: 0x40000000\nbase: 640K\ncpus: 12\n");
  assert.equal(machine.kernel, "6.10");
  assert.equal(machine.name, "m");
  assert.equal(machine.ram, 2 ** 30);
  assert.equal(machine.base, 655360);
  assert.equal(machine.cpus, 12);
});

test("a range has the same meaning in every spelling", () => {
  const wanted = [{ start: 0x1000, end: 0xa0000, type: "usable" }];
  for (const range of [
    "0x1000-0x9ffff",
    "0x1000-0x9ffff usable",
    '"0x1000 - 0x9ffff : System RAM"',
    "4096-655359 RAM",
    "{ start: 0x1000, size: 636K }",
    "{ start: 4096, size: 0x9f000, type: usable }",
  ]) {
    assert.deepEqual(machineOf(`${HEAD}memory:\n  - ${range}\n`).memory, wanted, range);
  }
});

test("types of firmware are those of the kernel's log", () => {
  const text = `${HEAD}memory: [0x0-0xfff reserved, 0x1000-0x1fff ACPI Tables, 0x2000-0x2fff RAM]\n`;
  const types = machineOf(text).memory?.map(({ type }) => type);
  assert.deepEqual(types, ["reserved", "ACPI data", "usable"]);
});

test("nodes, devices, zones and configuration", () => {
  const machine = machineOf(
    [
      "arch: custom\nkernel: 6.1\nram: 4G",
      "nodes: [{ id: 2, memory: 0x0-0xffffffff, cpus: [0, 2-3] }]",
      'devices: ["nic:32:24", { name: wifi, bits: 30, busLimit: 0x3fffffff, iommu: true, node: 2 }]',
      "zones: [{ name: DMA, limit: 1M }, { name: Normal, limit: rest }]",
      "config: { CONFIG_NUMA: y, CONFIG_CMA: n, CONFIG_CMA_SIZE_MBYTES: 64 }",
    ].join("\n"),
  );
  assert.deepEqual(machine.nodes, [
    { id: 2, memory: [{ start: 0, end: 2 ** 32 }], cpus: [0, 2, 3] },
  ]);
  assert.equal(machine.devices?.[0]?.coherentBits, 24);
  assert.deepEqual(machine.devices?.[1], {
    name: "wifi",
    dmaBits: 30,
    coherentBits: 30,
    busLimit: 0x3fffffff,
    iommu: true,
    node: 2,
  });
  assert.deepEqual(
    machine.zones?.map(({ limit }) => limit),
    [2 ** 20, Number.POSITIVE_INFINITY],
  );
  assert.equal(machine.config?.get("CONFIG_CMA_SIZE_MBYTES"), "64");
});

test("an unsorted map is read and said to be unsorted; an overlapping one is refused", () => {
  const unsorted = readMachineYaml(`${HEAD}memory: [0x2000-0x2fff, 0x0-0xfff]\n`, "m");
  assert.equal(unsorted.value?.memory?.length, 2);
  assert.match(unsorted.issues[0]?.message ?? "", /not sorted/);
  const overlap = readMachineYaml(`${HEAD}memory: [0x0-0x1000, 0x1000-0x1fff]\n`, "m");
  assert.equal(overlap.value, null);
});

test("JSON is a description too", () => {
  const json = JSON.stringify({ name: "j", arch: "arm64", kernel: "6.12", ram: "2G" }, null, 2);
  assert.equal(machineOf(json).ram, 2 ** 31);
});

test("every example is read without a remark", () => {
  const names = readdirSync(EXAMPLES).filter((name) => name.endsWith(".yaml"));
  assert.ok(names.length >= 4);
  for (const name of names) {
    const { value, issues } = readMachineYaml(readFileSync(new URL(name, EXAMPLES), "utf8"), "x");
    assert.deepEqual(issues, [], name);
    assert.equal(value?.name, name.replace(".yaml", ""));
  }
});

test("no text makes it throw; what it refuses has a line inside the text", () => {
  const texts = readdirSync(EXAMPLES).map((name) => readFileSync(new URL(name, EXAMPLES), "utf8"));
  const mutated = fc
    .tuple(
      fc.constantFrom(...texts),
      fc.nat(),
      fc.nat(40),
      fc.string({ maxLength: 12, unit: "binary" }),
    )
    .map(([text, at, cut, put]) => {
      const place = at % text.length;
      return text.slice(0, place) + put + text.slice(place + cut);
    });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.string({ unit: "binary", maxLength: 200 })), (text) => {
      const { value, issues } = readMachineYaml(text, "m");
      if (value !== null) return;
      const errors = issues.filter(({ severity }) => severity === "error");
      assert.ok(errors.length > 0, "refused without a word");
      const lines = text.split(/\r\n|\r|\n/).length;
      for (const { line = 1 } of errors) assert.ok(line >= 1 && line <= lines + 1, `line ${line}`);
    }),
    { numRuns: 400 },
  );
});

test("aliases that unfold to gigabytes are refused at once", () => {
  const rows = Array.from(
    { length: 9 },
    (_, i) => `k${i + 1}: &k${i + 1} [${`*k${i}, `.repeat(9)}*k${i}]`,
  );
  const { value, issues } = readMachineYaml(`k0: &k0 [x]\n${rows.join("\n")}\nmemory: *k9\n`, "m");
  assert.equal(value, null);
  assert.ok(issues.length > 0);
});

test("small readers: ranges, CPU lists, devices, near words", () => {
  assert.deepEqual(parseInclusiveRange("100000-0x1fffff"), { start: 100000, end: 0x200000 });
  assert.equal(parseInclusiveRange("5"), null);
  assert.deepEqual(parseCpuList("3,0-1,1"), [0, 1, 3]);
  assert.equal(parseCpuList("3-1"), null);
  assert.equal(parseCpuList("0-99999"), null);
  assert.equal(parseDevice("0000:00:01.0:32")?.name, "0000:00:01.0");
  assert.equal(parseDevice("nic:0"), null);
  assert.equal(nearest("min_free_kbyte", ["min_free_kbytes", "swappiness"]), "min_free_kbytes");
  assert.equal(nearest("zebra", ["min_free_kbytes"]), null);
});
