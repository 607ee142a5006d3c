// Goal: no reader throws, hangs or drops a line in silence. Method: put lines that belong to no
// format into real files and see each reported at its place and nothing else changed; then feed
// every reader damaged files, files of other formats and random text.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { Outcome } from "../../src/base/issue.ts";
import { buddyinfoReader } from "../../src/formats/buddyinfo.ts";
import { configReader } from "../../src/formats/config.ts";
import { cpuinfoReader } from "../../src/formats/cpuinfo.ts";
import { devicesReader } from "../../src/formats/devices.ts";
import { firmwareMemmapReader } from "../../src/formats/firmware-memmap.ts";
import { iomemReader } from "../../src/formats/iomem.ts";
import { meminfoReader } from "../../src/formats/meminfo.ts";
import { pagetypeinfoReader } from "../../src/formats/pagetypeinfo.ts";
import {
  MAX_ISSUES,
  MAX_LINE_LENGTH,
  type Reader,
  readStream,
  readText,
} from "../../src/formats/reader.ts";
import {
  choiceReader,
  idListReader,
  lineReader,
  numbersReader,
  sysctlReader,
} from "../../src/formats/values.ts";
import { parseVersion } from "../../src/formats/version.ts";
import { vmstatReader } from "../../src/formats/vmstat.ts";
import { zoneinfoReader } from "../../src/formats/zoneinfo-reader.ts";
import { bounded } from "../support/bounded.ts";
import { corpusFiles } from "../support/corpus.ts";
import { ERAS } from "./eras.ts";
import { damaged, share, withLine } from "./mutate.ts";

const FILES = corpusFiles("x86_64-6.1-numa2-2G+2G");
const DEVICES = `# devices of a made-up machine
0000:00:1f.2 dma_mask_bits=64 consistent_dma_mask_bits=32 numa_node=-1 driver=ahci iommu=DMA
0000:02:00.0 dma_mask_bits=32 numa_node=1 driver=e1000
`;

interface Case {
  readonly name: string;
  readonly text: string;
  readonly reader: () => Reader<unknown>;
}

function fromCapture(path: string, reader: () => Reader<unknown>): Case {
  const text = FILES.get(path);
  expect.ok(text, path);
  return { name: path, text, reader };
}

/** Formats of many lines. */
const TABLES: readonly Case[] = [
  fromCapture("zoneinfo", zoneinfoReader),
  ...[...ERAS].map(([name, text]) => ({ name, text, reader: zoneinfoReader })),
  fromCapture("buddyinfo", buddyinfoReader),
  fromCapture("pagetypeinfo", pagetypeinfoReader),
  fromCapture("vmstat", vmstatReader),
  fromCapture("meminfo", meminfoReader),
  fromCapture("node/node1/meminfo", meminfoReader),
  fromCapture("iomem", iomemReader),
  fromCapture("firmware_memmap", firmwareMemmapReader),
  fromCapture("cpuinfo", cpuinfoReader),
  fromCapture("config", configReader),
  { name: "devices", text: DEVICES, reader: devicesReader },
];
const VALUES: readonly Case[] = [
  fromCapture("vm/lowmem_reserve_ratio", () => sysctlReader("lowmem_reserve_ratio")),
  fromCapture("node/node0/distance", () => numbersReader("distance")),
  fromCapture("node/online", () => idListReader("online")),
  fromCapture("thp_enabled", () => choiceReader("enabled")),
  fromCapture("cmdline", () => lineReader("cmdline")),
];

/** A record as text without line numbers, to compare those of files with lines added. */
function contents(value: unknown): string {
  return JSON.stringify(value, (key, part: unknown) => {
    if (key === "line") return undefined;
    if (part instanceof Map) return [...part];
    return part instanceof Set ? [...part] : part;
  });
}

function sane(outcome: Outcome<unknown>, text: string): void {
  const lines = text.split("\n").length;
  expect.ok(outcome.issues.length <= MAX_ISSUES + 1);
  for (const { message, line = 1 } of outcome.issues) {
    expect.ok(message.length < 300, message);
    expect.ok(line >= 1 && line <= lines, `line ${line} of ${lines}`);
  }
}

test("a line of no format is reported at its place, in any file, and changes nothing", () => {
  const shares = fc.array(share, { minLength: 1, maxLength: 20 });
  const check = ({ name, text, reader }: Case, where: number[]): void => {
    const clean = readText(reader(), text);
    expect.deepEqual(clean.issues, [], name);
    for (const junk of ["@@", "Node x, zone", "\0", "  @@ -1 : ;"]) {
      const mixed = withLine(text, junk, where);
      const { value, issues } = readText(reader(), mixed.text);
      // A colon makes anything a field of cpuinfo.
      if (name === "cpuinfo" && junk.includes(":")) continue;
      expect.deepEqual([...new Set(issues.map(({ line }) => line))], mixed.places, name);
      expect.equal(contents(value), contents(clean.value), name);
    }
  };
  fc.assert(fc.property(fc.constantFrom(...TABLES), shares, check), { numRuns: 100 });
});

test("damaged files and files of other formats are read without harm", () => {
  const cases = [...TABLES, ...VALUES];
  const text = fc.constantFrom(...cases).chain((from) => damaged(from.text));
  const check = ({ reader }: Case, mangled: string): void => {
    sane(readText(reader(), mangled), mangled);
  };
  fc.assert(fc.property(fc.constantFrom(...cases), text, check), { numRuns: 400 });
  const own = fc
    .constantFrom(...cases)
    .chain((from) => fc.tuple(fc.constant(from), damaged(from.text)));
  fc.assert(
    fc.property(own, ([from, mangled]) => check(from, mangled)),
    { numRuns: 400 },
  );
});

test("random text is read without harm", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.string({ unit: fc.constantFrom(..."Node 0,zone:()\n -1af"), maxLength: 300 }),
  );
  const check = ({ reader }: Case, random: string): void => {
    sane(readText(reader(), random), random);
    sane(parseVersion(random), random);
  };
  fc.assert(fc.property(fc.constantFrom(...TABLES, ...VALUES), text, check), { numRuns: 500 });
});

test("lines that nearly match take no longer than others", () => {
  const lengths = MAX_LINE_LENGTH - 40;
  const long = [
    `        scanned  0 (${"1".repeat(lengths)}`,
    `        scanned  0 (a: ${"1".repeat(lengths)}`,
    `        protection: (${"0, ".repeat(lengths / 3)}`,
    `Node 0, zone DMA${" 1".repeat(lengths / 2)} x`,
    `Node 0, zone DMA, type Movable${" >1".repeat(lengths / 3)} x`,
    `Number of blocks type${" a".repeat(lengths / 2)}\t`,
    `${" ".repeat(lengths)}x`,
    `a${" ".repeat(lengths)}b`,
    `  a_b${"_ ".repeat(lengths / 2)}`,
    `Linux version 6.1 (Ubuntu ${"1".repeat(lengths)}`,
    `Linux version 6.1${" Debian 1".repeat(lengths / 10)}(`,
    `Linux version 6.1 #1${" SMP".repeat(lengths / 4)}`,
    `${"a ".repeat(lengths / 2)}[b`,
  ];
  const text = `Node 0, zone DMA\n  pages free     1\n${long.join("\n")}\n`;
  bounded(() => {
    for (const { reader } of [...TABLES, ...VALUES]) readText(reader(), text);
    for (const line of long) parseVersion(line);
  });
});

test("a line longer than any of ours is reported and dropped, in a stream as in a text", async () => {
  const buddyinfo = FILES.get("buddyinfo") ?? "";
  const text = `${buddyinfo}${"9 ".repeat(MAX_LINE_LENGTH)}\n`;
  const lines = buddyinfo.split("\n").length;
  async function* chunks(): AsyncIterable<string> {
    for (let at = 0; at < text.length; at += 1000) yield text.slice(at, at + 1000);
  }
  for (const outcome of [
    readText(buddyinfoReader(), text),
    await readStream(buddyinfoReader(), chunks()),
  ]) {
    expect.equal(outcome.value.zones.length, lines - 1);
    expect.deepEqual(
      outcome.issues.map((issue) => issue.line),
      [lines],
    );
  }
});

test("a NUL byte makes a line unreadable, whatever is around it", () => {
  for (const [text, reader] of [
    ["# a comment\0\nCONFIG_A=y\n", configReader()],
    ["flags\0: pae\nprocessor : 0\n", cpuinfoReader()],
    ["a=1 \0 b=2\n", lineReader("cmdline")],
  ] as const) {
    const { value, issues } = readText<unknown>(reader, text);
    expect.deepEqual(
      issues.map((issue) => [issue.severity, issue.line]),
      [["warning", 1]],
    );
    expect.doesNotMatch(contents(value), /"pae":true|a=1/);
  }
});

test("chunks of any size give the same record as the whole text", async () => {
  for (const { name, text, reader } of TABLES) {
    async function* chunks(): AsyncIterable<string> {
      for (let at = 0, size = 1; at < text.length; at += size, size = (size * 7) % 31) {
        yield text.slice(at, at + size);
      }
    }
    const streamed = await readStream(reader(), chunks());
    expect.equal(contents(streamed), contents(readText(reader(), text)), name);
  }
});

test("an empty file is an empty record with a warning", () => {
  for (const { name, reader } of TABLES) {
    const { issues } = readText(reader(), "");
    expect.deepEqual(
      issues.map(({ severity }) => severity),
      ["warning"],
      name,
    );
    expect.match(issues[0]?.message ?? "", /is empty/);
  }
});

test("a message shows the start of a long name, not all of it", () => {
  const long = "x".repeat(5000);
  const said = (reader: Reader<unknown>, text: string): string[] =>
    readText(reader, text).issues.map(({ message }) => message);
  const messages = [
    ...said(iomemReader(), `2-1 : ${long}\n`),
    ...said(iomemReader(), `    1-2 : ${long}\n`),
    ...said(firmwareMemmapReader(), `2 1 ${long}\n`),
    ...said(configReader(), `CONFIG_${long}=y\n`.repeat(2)),
    ...said(devicesReader(), `${long} dma_mask_bits=99\n`),
  ];
  expect.equal(messages.length, 5);
  for (const message of messages) expect.ok(message.length < 150, message);
});
