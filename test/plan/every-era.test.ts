// Goal: every era plans every architecture, and what it plans holds together. Method: machines of three
// sizes, all combinations; invariants of zones, marks and reserves, and the basis that is printed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readMachineYaml } from "../../src/io/yaml-machine.ts";
import { ERAS, resolveEra } from "../../src/kernels/eras.ts";
import { EVERY_ARCH } from "../../src/kernels/policy.ts";
import { machineFromDescription, type Plan, planMachine } from "../../src/plan/index.ts";

function planOfYaml(arch: string, kernel: string, ram: string): Plan {
  const yaml = `arch: ${arch}\nkernel: ${kernel}\nram: ${ram}\ndevices: ["nic:32"]\n`;
  const read = readMachineYaml(yaml, "m");
  assert.ok(read.value !== null, JSON.stringify(read.issues));
  const machine = machineFromDescription(read.value);
  assert.ok(machine.value !== null, JSON.stringify(machine.issues));
  const { value, issues } = planMachine(machine.value);
  assert.ok(value !== null, `${arch} ${kernel} ${ram}: ${JSON.stringify(issues)}`);
  return value;
}

function holdsTogether(plan: Plan, words: string): void {
  for (const zone of plan.nodes.flatMap(({ zones }) => zones)) {
    const { min, low, high } = zone.watermarks;
    const place = `${words} ${zone.name}`;
    assert.ok(zone.present <= zone.spanned, place);
    assert.ok(
      zone.managed.low <= zone.managed.pages && zone.managed.pages <= zone.managed.high,
      place,
    );
    assert.ok(min <= low && low <= high, `${place}: ${min} ${low} ${high}`);
    assert.ok(
      zone.protection.every((pages) => pages >= 0 && Number.isInteger(pages)),
      place,
    );
    const own = zone.protection.slice(0, zone.index + 1);
    assert.ok(
      own.every((pages) => pages === 0),
      place,
    );
    assert.equal(zone.protection.length, plan.nodes[0]?.zones.length, place);
    if (zone.pageset !== null) assert.ok(zone.pageset.batch >= 1, place);
  }
}

test("all eras on all architectures, from 128 MiB to 64 GiB", () => {
  for (const { name } of ERAS) {
    for (const arch of EVERY_ARCH) {
      for (const ram of ["128M", "3G", "64G"]) {
        const plan = planOfYaml(arch, name, ram);
        const words = `${arch} ${name} ${ram}`;
        holdsTogether(plan, words);
        assert.equal(plan.era.name, name, words);
        assert.equal(plan.era.basis, resolveEra(name, arch)?.basis, words);
        const said = plan.issues.some(({ message }) => /is unverified/.test(message));
        assert.equal(said, plan.era.basis !== "captured", words);
      }
    }
  }
});

test("architectures by the names that uname and distributions have", () => {
  for (const [name, arch] of [
    ["riscv64", "riscv"],
    ["ppc64le", "powerpc"],
    ["s390x", "s390"],
    ["aarch64", "arm64"],
    ["ppc", "powerpc32"],
  ] as const) {
    assert.equal(planOfYaml(name, "6.1", "4G").arch, arch);
  }
});

test("a limit that no board of the architecture moves is refused", () => {
  const read = (arch: string): string =>
    readMachineYaml(`arch: ${arch}\nkernel: 6.1\nram: 4G\ndmaLimit: 1G\n`, "m")
      .issues.map(({ message }) => message)
      .join();
  assert.match(read("s390"), /dmaLimit means nothing on s390: the DMA zone ends at 2 GiB there/);
  assert.match(read("riscv"), /DMA32 zone ends at 4 GiB/);
  for (const arch of ["arm64", "ia64", "powerpc", "mips64"]) assert.equal(read(arch), "", arch);
});
