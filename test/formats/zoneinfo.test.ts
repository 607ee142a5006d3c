// Goal: every zoneinfo is read whole, whatever its era, and nothing is read of a zone that is
// not whole. Method: print back what was read of every file of the corpus and of made-up files
// of other eras, byte for byte; then cut, double and damage such files and see it reported.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { readText } from "../../src/formats/reader.ts";
import type { Zoneinfo, ZoneinfoZone } from "../../src/formats/zoneinfo.ts";
import { zoneinfoReader } from "../../src/formats/zoneinfo-reader.ts";
import { writeZoneinfo } from "../../src/formats/zoneinfo-writer.ts";
import { corpusFiles, corpusNames } from "../support/corpus.ts";
import { ERAS } from "./eras.ts";
import { share } from "./mutate.ts";

const read = (text: string) => readText(zoneinfoReader(), text);
const era = (name: string): string => ERAS.get(name) ?? "";

function zoneOf(zoneinfo: Zoneinfo, name: string, node = 0): ZoneinfoZone {
  const found = zoneinfo.zones.find((zone) => zone.name === name && zone.node === node);
  expect.ok(found, `no zone ${name}`);
  return found;
}

test("every zoneinfo of the corpus is printed back byte for byte, without an issue", () => {
  let files = 0;
  for (const name of corpusNames()) {
    for (const [path, text] of corpusFiles(name)) {
      if (!/(^|\/)zoneinfo$/.test(path)) continue;
      const { value, issues } = read(text);
      expect.deepEqual(issues, [], `${name}/${path}`);
      expect.equal(writeZoneinfo(value), text, `${name}/${path}`);
      expect.equal(value.zones.length, text.match(/^Node/gm)?.length, `${name}/${path}`);
      files++;
    }
  }
  expect.ok(files >= 1300, `only ${files} files`);
});

test("zoneinfo of other eras is printed back byte for byte, without an issue", () => {
  for (const [name, text] of ERAS) {
    const { value, issues } = read(text);
    expect.deepEqual(issues, [], name);
    expect.equal(writeZoneinfo(value), text, name);
  }
});

test("the numbers of each era land in their fields", () => {
  const dma = zoneOf(read(era("2.6.13")).value, "DMA");
  expect.deepEqual([dma.free, dma.min, dma.low, dma.high], [2914, 17, 21, 25]);
  expect.deepEqual([dma.managed, dma.boost, dma.promo, dma.cma], [null, null, null, null]);
  expect.deepEqual(
    [...(dma.otherSizes ?? [])],
    [
      ["active", 3],
      ["inactive", 11],
      ["scanned", 0],
    ],
  );
  expect.deepEqual(
    [...(dma.scannedBy ?? [])],
    [
      ["a", 2],
      ["i", 5],
    ],
  );
  expect.deepEqual(dma.protection, [0, 0, 1008]);
  expect.deepEqual(
    dma.pagesets.map(({ cpu, pcp, low, high }) => [cpu, pcp, low, high]),
    [
      [1, 0, 0, 6],
      [1, 1, 0, 2],
    ],
  );
  expect.equal(dma.pagesets[1]?.numa?.get("interleave_hit"), 9);
  const priorities = ["all_unreclaimable", "prev_priority", "temp_priority"];
  expect.deepEqual([...(dma.tail?.keys() ?? [])], priorities);
  expect.equal(dma.tail?.get("prev_priority"), 12);

  const old = read(era("2.6.20")).value;
  expect.equal(old.layout?.protectionLast, true);
  expect.equal(zoneOf(old, "Normal").counters.get("nr_mapped"), 5117);
  expect.deepEqual(
    zoneOf(old, "Normal").pagesets.map((pageset) => pageset.statThreshold),
    [undefined, 16, undefined, 16],
  );

  const v4 = read(era("4.8")).value;
  expect.equal(v4.nodeCounters.get(0)?.get("nr_dirty"), 3);
  expect.equal(zoneOf(v4, "Normal").tail?.get("node_inactive_ratio"), 7);
  expect.equal(zoneOf(v4, "Normal").startPfn, 1048576);

  const v418 = read(era("4.18")).value;
  expect.equal(v418.nodeCounters.get(0)?.get(""), 777);
  expect.equal(zoneOf(v418, "Movable").startPfn, null);

  const v618 = zoneOf(read(era("6.18")).value, "DMA32");
  expect.equal(v618.promo, 19250);
  expect.deepEqual(
    v618.pagesets.map(({ cpu, highMin, highMax }) => [cpu, highMin, highMax]),
    [
      [0, 6875, 62325],
      [3, 6875, 62325],
    ],
  );
});

test("a capture's numbers are those that grep finds", () => {
  const text = corpusFiles("x86_64-6.1-numa2-2G+2G").get("zoneinfo") ?? "";
  const grep = (key: string): number[] =>
    [...text.matchAll(new RegExp(`^ *${key} +(\\d+)$`, "gm"))].map(([, digits]) => Number(digits));
  const { zones } = read(text).value;
  expect.deepEqual(
    zones.map((zone) => zone.free),
    grep("pages free"),
  );
  expect.deepEqual(
    zones.map((zone) => zone.managed),
    grep("managed"),
  );
  expect.deepEqual(
    zones.map((zone) => zone.high),
    grep("high"),
  );
  const starts = zones.flatMap((zone) => (zone.startPfn === null ? [] : [zone.startPfn]));
  expect.deepEqual(starts, grep("start_pfn:"));
});

test("a number below zero is told with its line, wherever it stands, and read as 0", () => {
  const text = corpusFiles("x86_64-6.1-numa2-2G+2G").get("zoneinfo") ?? "";
  const lines = text.split("\n");
  const keys = [
    ["  pages free     ", "pages free"],
    ["        min      ", "min"],
    ["        managed  ", "managed"],
    ["      nr_inactive_anon ", "nr_inactive_anon"],
    ["      nr_free_pages ", "nr_free_pages"],
    ["        protection: (", "protection"],
    ["              high:  ", "high"],
    ["  vm stats threshold: ", "vm stats threshold"],
    ["  start_pfn:           ", "start_pfn"],
  ] as const;
  for (const [start, name] of keys) {
    const at = lines.findIndex((line) => line.startsWith(start));
    expect.ok(at >= 0, start);
    const line = (lines[at] ?? "").replace(/\d+/, "-7");
    const { value, issues } = read(lines.with(at, line).join("\n"));
    expect.deepEqual(
      issues.map((issue) => [issue.severity, issue.line, issue.message]),
      [["warning", at + 1, `${name} is negative (-7), read as 0`]],
    );
    const whole = read(lines.with(at, line.replace("-7", "0")).join("\n")).value;
    expect.deepEqual(value, whole, name);
  }
});

/** Records without line numbers, to compare those of files with lines put in or left out. */
function withoutLines(zones: readonly ZoneinfoZone[]): unknown[] {
  return zones.map((zone) => ({ ...zone, line: 0 }));
}

/** What must hold of `text` cut after `length` characters, when its zones are `whole`. */
function checkCut(text: string, length: number, whole: readonly ZoneinfoZone[]): void {
  const kept = text.slice(0, length);
  const [rest = ""] = text.slice(length).split("\nNode ");
  const started = [...kept.matchAll(/^Node \d+, zone +\S/gm)].length;
  // Which line follows start_pfn, only a whole zone before this one can tell.
  const untold = /start_pfn: +\d/.test(kept) && !/inactive_ratio: +\d/.test(kept);
  if (untold && started === 1 && /inactive_ratio/.test(text)) return;
  const { value, issues } = read(kept);
  const noted = issues.some((issue) => issue.message.includes("no line end"));
  expect.equal(noted, kept !== "" && !kept.endsWith("\n"));
  const ended = /(start_pfn|inactive_ratio): +\d+$/.test(kept);
  const tailed = ended && (started === 1 || /^\d*\n?$/.test(rest));
  // A cut inside the last number of a zone: nothing but the note can tell.
  const sure = value.zones.length - (noted && tailed ? 1 : 0);
  const lastLine = kept.slice(kept.lastIndexOf("\n") + 1);
  const inHeading = /^N/.test(lastLine) && !/^Node \d+, zone +\S/.test(lastLine);
  const atEnd = inHeading || /^\n?(Node|$)/.test(text.slice(length));
  const inside = kept === "" || atEnd || tailed ? 0 : 1;
  expect.deepEqual(withoutLines(value.zones.slice(0, sure)), withoutLines(whole.slice(0, sure)));
  expect.equal(value.zones.length, Math.max(0, started - inside), kept.slice(-100));
  const short = issues.filter((issue) => issue.message.includes("cut short"));
  expect.equal(short.length, started > 0 ? inside : 0);
  const lines = kept.split("\n").length - (kept.endsWith("\n") ? 1 : 0);
  for (const issue of short) {
    expect.equal(issue.severity, "error");
    // A last line that was cut beyond recognition is reported by itself.
    expect.ok(issue.line === lines || issue.line === lines - 1, `${issue.line} of ${lines}`);
  }
}

test("a file cut anywhere keeps its whole zones and says on which line it ends", () => {
  for (const text of ERAS.values()) {
    const whole = read(text).value.zones;
    for (let length = 0; length <= text.length; length++) checkCut(text, length, whole);
  }
  const text = corpusFiles("x86_64-6.12-4G").get("zoneinfo") ?? "";
  const whole = read(text).value.zones;
  const check = (where: number): void => checkCut(text, Math.floor(where * text.length), whole);
  fc.assert(fc.property(share, check), { numRuns: 300 });
});

test("a line missing in the middle of a zone leaves the zone out, with an error", () => {
  const text = era("4.8");
  for (const name of ["min ", "managed", "start_pfn", "node_inactive_ratio"]) {
    const at = text.lastIndexOf(name);
    const from = text.lastIndexOf("\n", at);
    const without = text.slice(0, from) + text.slice(text.indexOf("\n", at));
    const { value, issues } = read(without);
    expect.deepEqual(
      value.zones.map((zone) => zone.name),
      ["DMA"],
      name,
    );
    expect.deepEqual(
      issues.map((issue) => issue.severity),
      ["error"],
      name,
    );
    expect.match(issues[0]?.message ?? "", new RegExp(`its ${name.trim()} is missing`));
  }
});

test("lines and zones that come twice are reported, the first counts", () => {
  const text = era("6.18");
  const twice = text.replace(
    "        low      13750\n",
    "        low      13750\n        low      1\n",
  );
  const doubled = read(twice);
  expect.equal(zoneOf(doubled.value, "DMA32").low, 13750);
  expect.deepEqual(
    doubled.issues.map((issue) => [issue.severity, issue.line]),
    [["warning", 9]],
  );
  const both = read(text + text);
  expect.equal(both.value.zones.length, 1);
  expect.deepEqual(
    both.issues.map((issue) => [issue.severity, issue.line]),
    [["warning", text.split("\n").length]],
  );
});

test("a pageset's field of no known era is reported, a pageset without its fields left out", () => {
  const text = era("6.18");
  const field = "              batch:    63\n";
  const more = read(text.replace(field, `${field}              magic:    5\n`));
  expect.deepEqual(
    more.issues.map((issue) => [issue.severity, issue.line]),
    [["warning", 24]],
  );
  expect.deepEqual(withoutLines(more.value.zones), withoutLines(read(text).value.zones));
  const less = read(text.replace(field, ""));
  expect.deepEqual(
    zoneOf(less.value, "DMA32").pagesets.map(({ cpu }) => cpu),
    [3],
  );
  expect.deepEqual(
    less.issues.map((issue) => issue.severity),
    ["warning"],
  );
});

test("CRLF, collapsed indentation and absurd numbers are read", () => {
  const text = era("6.18");
  expect.deepEqual(read(text.replaceAll("\n", "\r\n")), read(text));
  const narrow = read(text.replaceAll(/^ +/gm, " ")).value;
  expect.deepEqual(narrow.zones, read(text).value.zones);
  const underflow = text.replace("min      11000", "min      18446744073709551615");
  const { value, issues } = read(underflow);
  expect.equal(zoneOf(value, "DMA32").min, Number.MAX_SAFE_INTEGER);
  expect.deepEqual(
    issues.map((issue) => [issue.severity, issue.line]),
    [["note", 7]],
  );
});

test("a record that only predicts is printed without what it does not have", () => {
  const zone: ZoneinfoZone = {
    ...zoneOf(read(era("4.18")).value, "Normal"),
    counters: new Map(),
    pagesets: [],
    protection: [],
  };
  const text = writeZoneinfo({ zones: [zone], nodeCounters: new Map() });
  expect.match(text, /^Node 0, zone {3}Normal\n {2}pages free {5}1\n {8}min/);
  expect.doesNotMatch(text, /boost|nr_|protection|per-node|cpu/);
  expect.equal(writeZoneinfo({ zones: [], nodeCounters: new Map() }), "");
});
