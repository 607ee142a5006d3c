// Goal: what `never` does to min_free_kbytes, at boot and when written later. Method: the captures booted
// with transparent_hugepage=never, and captures of both eras planned as if it had been written: 6.1
// computes the default once more, 5.10 keeps what it had.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { machineFromCapture, planMachine } from "../../src/plan/index.ts";
import { blindCapture } from "../conformance/score.ts";

async function minFree(name: string, thpAtRuntime: "never" | null): Promise<number | undefined> {
  const machine = machineFromCapture(await blindCapture(name)).value;
  assert.ok(machine !== null);
  return planMachine({ ...machine, thpAtRuntime }).value?.sysctls.minFreeKbytes;
}

test("booted with never: 5.10 keeps its first value, 6.1 subtracts the high marks", async () => {
  assert.equal(await minFree("x86_64-5.10-2G-thp-never", null), 5664);
  assert.equal(await minFree("x86_64-6.1-1G-thp-never", null), 3927);
});

test("never written later changes nothing on 5.10, and takes khugepaged's share back on 6.1", async () => {
  for (const name of ["x86_64-5.10-2G", "i386pae-5.10-2G"]) {
    assert.equal(await minFree(name, "never"), await minFree(name, null), name);
  }
  for (const name of ["x86_64-6.1-2G", "arm64-6.1-4G"]) {
    const [off = 0, on = 0] = [await minFree(name, "never"), await minFree(name, null)];
    assert.ok(off < on, `${name}: ${off}, ${on}`);
  }
});
