// A capture may hold next to nothing. Goal: what it does not tell is said, and bounds stay honest.
// Method: captures of real machines cut down to command line, version and memory map, planned
// without a word of how many CPUs there are; their own zoneinfo must lie within the bounds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readCapture } from "../../src/formats/capture.ts";
import { readText } from "../../src/formats/reader.ts";
import { zoneinfoReader } from "../../src/formats/zoneinfo-reader.ts";
import { machineFromCapture, planMachine } from "../../src/plan/index.ts";
import { corpusFiles } from "../support/corpus.ts";

const BARE = ["cmdline", "version", "firmware_memmap"];

for (const name of ["x86_64-6.1-512M-smp4", "x86_64-6.1-8G-smp4", "x86_64-6.1-4G-smp8"]) {
  test(`${name} without a word of its CPUs`, async () => {
    const files = corpusFiles(name);
    const open = (keep: readonly string[]): ReturnType<typeof readCapture> =>
      readCapture({
        name,
        paths: [...files.keys()].filter((path) => keep.includes(path)),
        async *open(path: string): AsyncGenerator<string> {
          yield files.get(path) ?? "";
        },
      });
    const machine = machineFromCapture((await open(BARE)).value);
    assert.ok(machine.value !== null);
    const { value: plan } = planMachine(machine.value);
    assert.ok(plan !== null);
    assert.ok(plan.issues.some(({ message }) => message.startsWith("how many CPUs")));
    const truth = readText(zoneinfoReader(), files.get("zoneinfo") ?? "").value.zones;
    for (const zone of plan.nodes[0]?.zones ?? []) {
      const pages = truth.find((seen) => seen.name === zone.name)?.managed ?? -1;
      const { low, high } = zone.managed;
      assert.ok(low <= pages && pages <= high, `${zone.name}: ${low} <= ${pages} <= ${high}`);
    }
    const known = machineFromCapture((await open([...BARE, "cpuinfo"])).value);
    assert.ok(known.issues.every(({ message }) => !message.startsWith("how many CPUs")));
  });
}
