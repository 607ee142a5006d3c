// Goal: the zones of every captured kernel, predicted from its machine and command line alone, and again
// from the zone lines of its log, equal what that kernel printed. Method: all captures; names, start_pfn,
// spanned and present of every zone of every node, in order, compared with the capture's own zoneinfo.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../../src/base/issue.ts";
import { parseCommandLine } from "../../src/boot/command-line.ts";
import type { Layout } from "../../src/boot/hardware.ts";
import { layOut } from "../../src/boot/layout.ts";
import { layoutFromLog } from "../../src/boot/layout-from-log.ts";
import type { BootLog, NodeRange } from "../../src/formats/boot-log.ts";
import { bootLogReader } from "../../src/formats/boot-log-reader.ts";
import { readText } from "../../src/formats/reader.ts";
import { corpusNames } from "../support/corpus.ts";
import { bootOf, type CapturedBoot } from "../support/hardware.ts";
import { zonesOf } from "../support/zones.ts";

function fromParameters({ hardware, policy, commandLine }: CapturedBoot): Outcome<Layout> {
  const { arch, build } = hardware;
  return layOut(hardware, parseCommandLine(commandLine, arch, build.pageSize).value, policy);
}

/** The log without its many lines about memblock: this part has no use for them. */
function fromLog({ hardware, files }: CapturedBoot): Outcome<Layout | null> {
  const lines = (files.get("dmesg") ?? "")
    .split("\n")
    .filter((line) => !line.includes("memblock_"));
  return layoutFromLog(readText(bootLogReader(), lines.join("\n")).value, hardware);
}

function columns(
  zones: readonly {
    node: number;
    name: string;
    startPfn: number;
    spanned: number;
    present: number;
  }[],
) {
  return zones.map(({ node, name, startPfn, spanned, present }) => ({
    node,
    name,
    startPfn,
    spanned,
    present,
  }));
}

/** Touching ranges of a node as one: the log lists RAM with other flags (EFI on arm64) by itself. */
function joined(ranges: readonly NodeRange[]): NodeRange[] {
  const result: NodeRange[] = [];
  for (const range of ranges) {
    const last = result.at(-1);
    if (last?.node === range.node && last.end === range.start) {
      result[result.length - 1] = { ...last, end: range.end };
    } else result.push(range);
  }
  return result;
}

for (const name of corpusNames()) {
  test(`layout: ${name}`, () => {
    const boot = bootOf(name);
    const real = columns(zonesOf(boot.files.get("zoneinfo") ?? ""));
    assert.ok(real.length > 0);
    const predicted = fromParameters(boot);
    assert.deepEqual(columns(predicted.value.zones), real);
    assert.deepEqual(
      predicted.issues.filter(({ severity }) => severity === "error"),
      [],
    );
    const read = fromLog(boot);
    assert.ok(read.value !== null);
    assert.deepEqual(columns(read.value.zones), real);
    assert.deepEqual(read.issues, []);
    // Both ways agree on everything else that other parts of the boot build on.
    assert.deepEqual(
      { ...read.value, from: "parameters", memory: joined(read.value.memory) },
      { ...predicted.value, memory: joined(predicted.value.memory) },
    );
  });
}

test("nodes without memory are those the log sets up; the machine's where it names none", () => {
  const { hardware, files } = bootOf("x86_64-6.1-numa2-2G+2G");
  const { value: log } = readText(bootLogReader(), files.get("dmesg") ?? "");
  const nodes = (change: Partial<BootLog>): readonly number[] | undefined => {
    const quiet = { nodeSpans: [], fallbackOrders: [], zonelists: null, sratCpus: [], ...change };
    return layoutFromLog({ ...log, ...quiet }, { ...hardware, nodes: [0, 1, 2] }).value?.nodes;
  };
  const span = (node: number): NodeRange => ({ node, start: 0, end: 0 });
  const order = (node: number) => ({ node, order: [node], line: 1 });
  assert.deepEqual(nodes({}), [0, 1, 2]);
  assert.deepEqual(nodes({ nodeSpans: [span(0), span(1)] }), [0, 1]);
  assert.deepEqual(nodes({ fallbackOrders: [order(0), order(3)] }), [0, 1, 3]);
  const nodeSpans = [span(3), span(4)];
  assert.deepEqual(nodes({ nodeSpans }), [0, 1, 3, 4]);
  // With fewer zonelists than nodes it is the one with CPUs, then the lower number.
  const zonelists = log.zonelists;
  assert.ok(zonelists !== null);
  const counted = { nodeSpans, zonelists: { ...zonelists, count: 3 } };
  assert.deepEqual(nodes(counted), [0, 1, 3]);
  const [cpu] = log.sratCpus;
  assert.ok(cpu !== undefined);
  assert.deepEqual(nodes({ ...counted, sratCpus: [{ ...cpu, node: 4 }] }), [0, 1, 4]);
});
