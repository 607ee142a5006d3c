// Goal: a version gets the nearest older era, an honest basis for each architecture, and what its stable
// series got later only where it has it. Method: examples of each case, all eras × all architectures.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { ERAS, eraNames, resolveEra } from "../../src/kernels/eras.ts";
import { EVERY_ARCH, is32Bit } from "../../src/kernels/policy.ts";

test("captured eras speak for themselves", () => {
  for (const version of ["6.1", "6.1.0-50-amd64", "v6.1.176", "6.1.192"]) {
    const era = resolveEra(version, "x86_64");
    assert.equal(era?.policy.name, "6.1", version);
    assert.equal(era?.basis, "captured");
    assert.equal(era?.remark, null);
  }
});

test("the eras, oldest first; each stands for itself", () => {
  const names = ["2.6.9", "2.6.11", "2.6.18", "2.6.39", "3.10", "4.9", "4.19", "5.4", "5.10"];
  assert.deepEqual(eraNames(), [...names, "5.15", "6.1", "6.6", "6.12", "6.18"]);
  for (const { name, readIn } of ERAS) {
    const era = resolveEra(name, "i386");
    assert.equal(era?.policy.name, name);
    assert.notEqual(era?.basis, "inferred", name);
    assert.ok(readIn?.startsWith(name), `${name} was read in ${readIn}`);
  }
});

test("other versions use the nearest older era and say that they are inferred", () => {
  const nearest = {
    "6.19.3": "6.18",
    "6.17": "6.12",
    "5.13.0-rc5": "5.10",
    "4.18.0-80.el8": "4.9",
    "4.4": "3.10",
    "3.4.5": "2.6.39",
    "2.6.32": "2.6.18",
    "2.6.16": "2.6.11",
    "2.6.10": "2.6.9",
  };
  for (const [version, name] of Object.entries(nearest)) {
    const era = resolveEra(version, "x86_64");
    assert.equal(era?.policy.name, name, version);
    assert.deepEqual([era?.basis, era?.verified], ["inferred", false], version);
    assert.match(
      era?.remark ?? "",
      new RegExp(`unverified: the rules of ${name}, the nearest older`),
    );
  }
});

test("an era is captured, read or inferred on each architecture, and says which", () => {
  const words = {
    captured: /^$/,
    read: /its rules were read in the source of/,
    inferred: /inferred/,
  };
  for (const { name, capturedOn, readOn } of ERAS) {
    for (const arch of EVERY_ARCH) {
      const era = resolveEra(name, arch);
      const basis = capturedOn.includes(arch)
        ? "captured"
        : readOn.includes(arch)
          ? "read"
          : "inferred";
      assert.equal(era?.basis, basis, `${name} on ${arch}`);
      assert.match(era?.remark ?? "", words[basis], `${name} on ${arch}`);
    }
  }
  assert.equal(resolveEra("5.10", "arm64")?.basis, "read");
  assert.equal(resolveEra("2.6.11", "ia64")?.basis, "inferred");
  assert.equal(resolveEra("6.1", "custom")?.verified, false);
  assert.equal(resolveEra("6.1", "custom")?.basis, "read");
});

test("a release of a stable series lacks what came to it later", () => {
  const dma = (version: string): string | undefined =>
    resolveEra(version, "arm64")?.policy.boot.arm64ZoneDma;
  assert.equal(dma("5.10.13"), "thirty");
  for (const version of ["5.10", "5.10.0-32-arm64", "5.10.89", "5.10.223"]) {
    assert.equal(dma(version), "bits", version);
  }
  const remark = resolveEra("5.10.13", "arm64")?.remark ?? "";
  assert.match(remark, /without what came in 5\.10\.35: arm64/);
  assert.match(remark, /without what came in 5\.10\.89: reserves/);
  const first = (version: string): string | undefined =>
    resolveEra(version, "i386")?.policy.marksInitcall;
  const initcalls = ["5.4.59", "5.4.84", "5.4.0-97-generic", "5.4"].map(first);
  assert.deepEqual(initcalls, ["core", "postcore", "postcore", "postcore"]);
  const small = (version: string): boolean | undefined =>
    resolveEra(version, "x86_64")?.policy.pageset.deferredStaysSmall;
  const sizes = ["4.19.52", "4.19.90", "4.19.0-27-amd64"].map(small);
  assert.deepEqual(sizes, [true, false, false]);
});

test("kernels that never ran on an architecture are said to be none", () => {
  assert.match(resolveEra("2.6.39", "arm64")?.remark ?? "", /runs on arm64 since 3\.7 only/);
  assert.match(resolveEra("4.9", "riscv")?.remark ?? "", /since 4\.15 only/);
  assert.match(resolveEra("6.12", "ia64")?.remark ?? "", /left ia64 in 6\.7/);
});

test("what is older than all eras, or no version, has no rules", () => {
  for (const version of ["2.6.8", "2.4.37", "five", "", "5"]) {
    assert.equal(resolveEra(version, "x86_64"), null, version);
  }
});

test("what only changed at a release is the same on both sides of it", () => {
  const at = (name: string) => {
    const era = ERAS.find((policy) => policy.name === name);
    assert.ok(era !== undefined);
    return era;
  };
  // 4.6, 4.19, 5.8, 5.14, 6.6, 6.7 and 6.18, each seen from the eras around it.
  assert.deepEqual(
    [at("3.10"), at("4.9")].map((era) => era.watermarks.marks),
    ["quarters", "gap"],
  );
  assert.deepEqual(
    [at("4.9"), at("4.19")].map((era) => era.pageset.batchBytesMax),
    [2 ** 19, 2 ** 20],
  );
  assert.deepEqual(
    [at("5.4"), at("5.10")].map((era) => era.reserve.emptyZones),
    [true, false],
  );
  assert.deepEqual(
    [at("5.10"), at("5.15")].map((era) => era.pageset.high),
    ["six-batches", "low-mark"],
  );
  assert.deepEqual(
    [at("6.1"), at("6.6")].map((era) => era.watermarks.movableIsSpecial),
    ["donated-by-highmem", "always"],
  );
  assert.deepEqual(
    [at("6.6"), at("6.12")].map((era) => era.pageset.tuned),
    [false, true],
  );
  assert.deepEqual(
    [at("6.12"), at("6.18")].map((era) => era.reserve.followsManaged),
    [false, true],
  );
});

test("which architectures have addresses of 32 bits", () => {
  assert.deepEqual(EVERY_ARCH.filter(is32Bit), ["i386", "arm", "powerpc32", "mips"]);
});
