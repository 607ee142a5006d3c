// Goal: a machine whose log has no memblock lines, as almost all have, is planned as well as it can be.
// Method: every capture with those lines taken out of its log. The truth lies in every interval; where
// /proc/iomem shows the image and there is one node, intervals are narrow and the guess is the truth.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Range, totalLength } from "../../src/base/range.ts";
import { type Capture, readCapture } from "../../src/formats/capture.ts";
import { readText } from "../../src/formats/index.ts";
import { zoneinfoReader } from "../../src/formats/zoneinfo-reader.ts";
import { machineFromCapture, type Plan, planMachine } from "../../src/plan/index.ts";
import { captureFiles, corpusFiles, corpusNames } from "../support/corpus.ts";

const MEMBLOCK = /memblock_|MEMBLOCK|memory size =|(?:memory|reserved)(?:\.cnt|\[)/;
const PREDICTED = /^(?:zoneinfo|buddyinfo|pagetypeinfo|vm\/|sysctl\/)/;

async function ordinary(name: string, without?: string): Promise<Capture> {
  const files = new Map([...corpusFiles(name)].filter(([path]) => !PREDICTED.test(path)));
  const lines = (files.get("dmesg") ?? "").split("\n").filter((line) => !MEMBLOCK.test(line));
  files.set("dmesg", lines.join("\n"));
  if (without !== undefined) files.delete(without);
  const paths = [...files.keys()];
  const source = {
    name,
    paths,
    async *open(path: string): AsyncIterable<string> {
      yield files.get(path) ?? "";
    },
  };
  return (await readCapture(source)).value;
}

function planOf(capture: Capture): Plan {
  const machine = machineFromCapture(capture).value;
  const plan = machine === null ? null : planMachine(machine).value;
  assert.ok(plan !== null, capture.name);
  return plan;
}

test("without memblock lines the truth is inside every interval, and exact counts are true", async () => {
  let exact = 0;
  for (const name of corpusNames()) {
    const plan = planOf(await ordinary(name));
    const seen = readText(zoneinfoReader(), corpusFiles(name).get("zoneinfo") ?? "").value;
    for (const zone of seen.zones) {
      const node = plan.nodes.find((own) => own.node === zone.node);
      const managed = node?.zones.find((own) => own.name === zone.name)?.managed;
      const where = `${name} N${zone.node}/${zone.name}`;
      assert.ok(managed !== undefined && zone.managed !== null, where);
      assert.ok(managed.low <= zone.managed && zone.managed <= managed.high, where);
      if (managed.exact) assert.equal(managed.pages, zone.managed, where);
      if (managed.exact && zone.managed > 0) exact++;
    }
  }
  assert.ok(exact >= 200, `${exact} zones exact`);
});

test("iomem tells which zone the image lies in: DMA32 and Normal of one node are guessed to the page", async () => {
  const names = [
    "x86_64-6.1-6G-movablecore1G",
    "x86_64-6.1-4G-smp2",
    "x86_64-6.1-8G-memmap-retype",
  ];
  for (const name of names) {
    const seen = readText(zoneinfoReader(), corpusFiles(name).get("zoneinfo") ?? "").value;
    const widths: number[] = [];
    for (const without of ["iomem", undefined]) {
      const zones = planOf(await ordinary(name, without)).nodes[0]?.zones ?? [];
      const dma32 = zones.find((zone) => zone.name === "DMA32")?.managed;
      assert.ok(dma32 !== undefined);
      widths.push(dma32.high - dma32.low);
      if (without !== undefined) continue;
      const real = seen.zones.find((zone) => zone.name === "DMA32")?.managed;
      assert.equal(dma32.pages, real, name);
    }
    const [blind = 0, told = Infinity] = widths;
    assert.ok(blind > 11000 && told < 200, `${name}: ${blind}, ${told}`);
  }
});

test("what EFI keeps unmapped on arm64 is the same from iomem as from the memblock dump", async () => {
  for (const name of ["arm64-6.1-2G-efi", "arm64-6.12-3G-efi"]) {
    const dumped = machineFromCapture((await readCapture(captureFiles(name))).value).value;
    const told = machineFromCapture(await ordinary(name)).value;
    const pagesOf = (ranges: readonly Range[] = []): number => totalLength(ranges) / 4096;
    assert.ok(pagesOf(dumped?.hardware.unmapped) > 16384, name);
    assert.equal(pagesOf(told?.hardware.unmapped), pagesOf(dumped?.hardware.unmapped), name);
  }
});
