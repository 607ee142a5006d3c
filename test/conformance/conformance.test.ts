// Goal: the model says what the kernel said, on every capture of the corpus. Method: score each
// capture blind (zoneinfo, buddyinfo and pagetypeinfo are not opened for planning), then demand that
// no difference is without a known cause, that enough was compared, and that docs/fidelity.md is
// what these scores say. The rows S1, S5 of the mission are shown here on real kernels.
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { readCapture } from "../../src/formats/capture.ts";
import { readText } from "../../src/formats/index.ts";
import { zoneinfoReader } from "../../src/formats/zoneinfo-reader.ts";
import { checkCapture, machineFromCapture, planMachine } from "../../src/plan/index.ts";
import { captureFiles, corpusFiles, corpusNames, dmaNames, traceNames } from "../support/corpus.ts";
import { type DmaRow, dmaWords, isDmaExact, scoreDma } from "./dma-score.ts";
import { fidelityPage, unexplained } from "./fidelity.ts";
import { blindCapture, type Question, type Score, scoreCapture } from "./score.ts";
import { isExact, scoreTrace, type TraceScore } from "./trace-score.ts";

const scores: Score[] = [];
const traces: TraceScore[] = [];
const dma: DmaRow[] = [];

before(async () => {
  for (const name of corpusNames()) scores.push(await scoreCapture(name));
  for (const name of traceNames()) traces.push(await scoreTrace(name));
  for (const name of dmaNames()) dma.push(await scoreDma(name));
});

function total(question: Question): { equal: number; compared: number } {
  const sum = { equal: 0, compared: 0 };
  for (const score of scores) {
    sum.equal += score.counts.get(question)?.equal ?? 0;
    sum.compared += score.counts.get(question)?.compared ?? 0;
  }
  return sum;
}

test("S1 S5 every prediction equals the kernel, or differs for a cause that is named", () => {
  assert.deepEqual(unexplained(scores), []);
});

test("S7 every recording replays page for page, with every list in order at the end; without lists every zone and all free pages", () => {
  assert.ok(traces.length >= 8);
  const wrong = traces.filter((trace) => !isExact(trace)).map(({ name }) => name);
  assert.deepEqual(wrong, []);
  for (const { name, replay } of traces) {
    const { allocations, zoneEqual, pfnEqual } = replay.repaired.score;
    if (replay.start === "flags and counts") continue;
    assert.deepEqual([zoneEqual, pfnEqual], [allocations, allocations], name);
    // 6.1 with its probes leaves nothing to assume, unless a sysctl is written in the middle.
    const { repairs, assumptions } = replay.repaired.score;
    assert.equal(repairs, 0, name);
    if (replay.facts.era === "6.1" && assumptions.marks === 0) {
      assert.equal(replay.blind, replay.repaired, name);
    }
  }
});

test("S11 every recorded mapping bounces where the kernel's did, in its very slot", () => {
  assert.ok(dma.length >= 4);
  assert.deepEqual(dma.filter((row) => !isDmaExact(row)).map(dmaWords), []);
});

test("S10 every address behind an IOMMU is the kernel's, and what is derived from the API's calls", () => {
  const scores = traces.flatMap(({ iova }) => (iova === null ? [] : [iova]));
  assert.ok(scores.length >= 2);
  for (const score of scores) {
    const { allocations, predicted, sizes, limits, handles, coherent, tables, domains } = score;
    assert.ok(allocations.recorded > 500);
    for (const { recorded, equal } of [allocations, sizes, limits, handles, coherent]) {
      assert.equal(equal, recorded);
    }
    assert.equal(tables?.equal, tables?.recorded);
    const strict = domains.every(({ mode }) => mode === "strict");
    if (strict) assert.equal(predicted.equal, predicted.recorded);
  }
});

test("the corpus asks enough of each question", () => {
  const least: [Question, number][] = [
    ["span from log", 700],
    ["span from parameters", 700],
    ["managed", 700],
    ["managed inside interval", 700],
    ["marks at boot", 700],
    ["protection at boot", 700],
    ["pageset high", 390],
    ["min_free_kbytes", 130],
    ["swiotlb", 100],
    ["variant marks", 6000],
    ["variant protection", 6000],
  ];
  for (const [question, count] of least) {
    assert.ok(total(question).compared >= count, `${question}: ${total(question).compared}`);
  }
});

test("docs/fidelity.md says what the scores say", () => {
  const page = readFileSync(new URL("../../docs/fidelity.md", import.meta.url), "utf8");
  assert.equal(page, fidelityPage(scores, traces, dma), "run npm run conformance");
});

test("given managed pages, the marks of the boot follow as from the memblock log", async () => {
  for (const name of corpusNames()) {
    const machine = machineFromCapture(await blindCapture(name)).value;
    assert.ok(machine !== null, name);
    const seen = readText(zoneinfoReader(), corpusFiles(name).get("zoneinfo") ?? "").value;
    const managed = new Map(seen.zones.map((z) => [`N${z.node}/${z.name}`, z.managed ?? 0]));
    const numbers = (given: boolean): unknown =>
      planMachine(machine, given ? { managed } : {}).value?.nodes.map((node) =>
        node.zones.map((zone) => [zone.watermarks, zone.protection, zone.managed.atWatermarks]),
      );
    assert.deepEqual(numbers(true), numbers(false), name);
  }
});

test("check compares every capture with itself and finds nothing", async () => {
  for (const name of corpusNames()) {
    const capture = (await readCapture(captureFiles(name))).value;
    const check = checkCapture(capture).value;
    assert.ok(check !== null, name);
    assert.deepEqual(check.differences, [], name);
    assert.equal(check.equal, check.fields);
    assert.ok(check.fields > 40, `${name}: ${check.fields} fields`);
    assert.equal(check.moments.protection, "boot", `${name} was read right after boot`);
  }
});

test("check finds a number that is off by one", async () => {
  const capture = (await readCapture(captureFiles("x86_64-6.1-4G-smp2"))).value;
  assert.ok(capture.zoneinfo !== null);
  const zones = capture.zoneinfo.zones.map((zone) =>
    zone.name === "DMA32" ? { ...zone, low: zone.low + 1 } : zone,
  );
  const check = checkCapture({ ...capture, zoneinfo: { ...capture.zoneinfo, zones } }).value;
  const told = check?.differences.map(({ zone, field }) => `${zone} ${field}`);
  assert.deepEqual(told, ["DMA32 low"]);
});
