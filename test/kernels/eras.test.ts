// Goal: a version gets the nearest older era and an honest basis. Method: examples of each case.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { eraNames, resolveEra } from "../../src/kernels/eras.ts";

test("captured eras speak for themselves", () => {
  for (const version of ["6.1", "6.1.0-50-amd64", "v6.1.176", "6.1.192"]) {
    const era = resolveEra(version, "x86_64");
    assert.equal(era?.policy.name, "6.1", version);
    assert.equal(era?.basis, "captured");
    assert.equal(era?.remark, null);
  }
});

test("other versions use the nearest older era and say that they are unverified", () => {
  const era = resolveEra("6.18.44", "x86_64");
  assert.equal(era?.policy.name, "6.12");
  assert.equal(era?.verified, false);
  assert.match(era?.remark ?? "", /6\.18 is unverified.*6\.12/);
  assert.equal(resolveEra("5.15.0-91-generic", "x86_64")?.policy.name, "5.10");
});

test("an architecture that was not captured in an era is unverified", () => {
  const era = resolveEra("5.10", "arm64");
  assert.equal(era?.verified, false);
  assert.match(era?.remark ?? "", /5\.10 on arm64 is unverified/);
  assert.equal(resolveEra("6.1", "custom")?.verified, false);
});

test("what is older than all eras, or no version, has no rules", () => {
  for (const version of ["4.19", "2.6.32", "five", "", "5"]) {
    assert.equal(resolveEra(version, "x86_64"), null, version);
  }
  assert.deepEqual(eraNames(), ["5.10", "6.1", "6.12"]);
});
