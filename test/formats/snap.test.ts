// Goal: a snapshot is read whole or said to be damaged. Method: every line of the recorded ones is
// printed back byte for byte and checked against zoneinfo and the page classes of the same moment;
// then each kind of damage by hand, and random damage.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { readText } from "../../src/formats/reader.ts";
import { freelistsReader, type SnapFreelists } from "../../src/formats/snap.ts";
import { kpageflagsReader, pageblocksReader } from "../../src/formats/snap-pages.ts";
import { zoneinfoReader } from "../../src/formats/zoneinfo-reader.ts";
import { exactTraceNames, traceFiles } from "../support/corpus.ts";
import { damaged } from "./mutate.ts";

const hex = (value: number): string => value.toString(16);

function fileOf(name: string, path: string): string {
  const text = traceFiles(name).get(path);
  expect.ok(text, `${name}/${path}`);
  return text;
}

/** All lines of the file by number. */
function printed(snap: SnapFreelists): string[] {
  const lines: string[] = [];
  for (const z of snap.zones) {
    const marks = [z.min, z.low, z.high, z.promo, z.boost, z.highatomic].join(" ");
    const size = `${hex(z.startPfn)} ${z.spanned} ${z.present} ${z.managed}`;
    const pageset = `${z.pagesetHigh} ${z.pagesetBatch} ${z.free}`;
    const reserve = z.protection.map((pages) => ` ${pages}`).join("");
    lines[z.line - 1] = `Z ${z.node} ${z.zone} ${z.name} ${size} ${marks} ${pageset}:${reserve}`;
  }
  const list = (start: string, pfns: readonly number[]): string =>
    `${start} ${String(pfns.length).padStart(10)}:${pfns.map((pfn) => ` ${hex(pfn)}`).join("")}`;
  for (const f of snap.free) {
    lines[f.line - 1] = list(`F ${f.node} ${f.zone} ${f.order} ${f.migratetype}`, f.pfns);
  }
  for (const p of snap.pcpLists) {
    lines[p.line - 1] = list(`P ${p.node} ${p.zone} ${p.cpu} ${p.index}`, p.pfns);
  }
  for (const c of snap.pcp) {
    const counters = `count ${c.count} high ${c.high} batch ${c.batch} free_factor ${c.freeFactor}`;
    const tuned = ` alloc_factor ${c.allocFactor} high_min ${c.highMin} high_max ${c.highMax}`;
    const more = c.allocFactor === null ? "" : tuned;
    lines[c.line - 1] = `C ${c.node} ${c.zone} ${c.cpu} ${counters}${more}`;
  }
  return lines;
}

test("recorded lists print back byte for byte", () => {
  let files = 0;
  for (const name of exactTraceNames()) {
    for (const when of ["before", "after"]) {
      const text = fileOf(name, `${when}/snap/freelists`);
      const { value, issues } = readText(freelistsReader(), text);
      expect.deepEqual(issues, [], name);
      expect.equal(`${printed(value).join("\n")}\n`, text, name);
      files++;
    }
  }
  expect.ok(files >= 8);
});

test("lists, counters and zoneinfo of one moment agree", () => {
  for (const name of exactTraceNames()) {
    const { value } = readText(freelistsReader(), fileOf(name, "before/snap/freelists"));
    const zoneinfo = readText(zoneinfoReader(), fileOf(name, "before/snap/zoneinfo")).value;
    for (const zone of value.zones) {
      const other = zoneinfo.zones.find((z) => z.node === zone.node && z.name === zone.name);
      expect.ok(other, `${name} ${zone.name}`);
      expect.deepEqual(
        [other.managed, other.present, other.spanned, other.startPfn],
        [zone.managed, zone.present, zone.spanned, zone.startPfn],
      );
    }
    for (const { node, zone, cpu, count } of value.pcp) {
      let listed = 0;
      for (const list of value.pcpLists) {
        if (list.node !== node || list.zone !== zone || list.cpu !== cpu) continue;
        // Orders 0 to 3 have three lists each, huge pages (order 9) the rest.
        const order = list.index < 12 ? Math.floor(list.index / 3) : 9;
        listed += list.pfns.length * 2 ** order;
      }
      expect.equal(listed, count, `${name} zone ${zone} cpu ${cpu}`);
    }
  }
});

test("pages of the free lists are the free pages of kpageflags, and have their pageblock's type", () => {
  for (const name of exactTraceNames()) {
    const { value } = readText(freelistsReader(), fileOf(name, "before/snap/freelists"));
    const runs = readText(kpageflagsReader(), fileOf(name, "before/snap/kpageflags.rle"));
    const blocks = readText(pageblocksReader(), fileOf(name, "before/snap/pageblocks"));
    expect.deepEqual([...runs.issues, ...blocks.issues], [], name);
    const free = value.free.reduce((sum, list) => sum + list.pfns.length * 2 ** list.order, 0);
    const classed = runs.value
      .filter((run) => run.class === "buddy")
      .reduce((sum, run) => sum + run.end - run.start, 0);
    expect.equal(classed, free, name);
    for (const { order, migratetype, pfns } of value.free) {
      if (order < 9) continue;
      for (const pfn of pfns) {
        const section = blocks.value.find(
          ({ firstPfn, migratetypes }) =>
            pfn >= firstPfn && pfn < firstPfn + migratetypes.length * 512,
        );
        expect.ok(section, `${name} ${hex(pfn)}`);
        expect.equal(section.migratetypes[(pfn - section.firstPfn) / 512], migratetype);
      }
    }
  }
});

test("pageblocks and page classes print back byte for byte", () => {
  const letters = new Map(
    Object.entries({ B: "buddy", N: "no-page", R: "reserved", S: "slab", T: "pagetable" }).concat(
      Object.entries({ a: "anon", s: "swapbacked", l: "lru", c: "compound", o: "other" }),
    ),
  );
  for (const name of exactTraceNames()) {
    const blocks = fileOf(name, "after/snap/pageblocks");
    const sections = readText(pageblocksReader(), blocks).value.map(
      ({ firstPfn, migratetypes, skip }) =>
        `${hex(firstPfn)}: ${migratetypes.map((type, i) => hex(type + (skip[i] ? 8 : 0))).join("")}\n`,
    );
    expect.equal(sections.join(""), blocks, name);
    const flags = fileOf(name, "before/snap/kpageflags.rle");
    const [comment, ...lines] = flags.trimEnd().split("\n");
    expect.ok(comment?.startsWith("#"));
    const { value } = readText(kpageflagsReader(), flags);
    expect.equal(value.length, lines.length);
    for (const [i, run] of value.entries()) {
      const letter = lines[i]?.at(-1) ?? "";
      expect.equal(`${hex(run.start)} ${hex(run.end - run.start)} ${letter}`, lines[i]);
      expect.equal(run.class, letters.get(letter));
    }
  }
});

const ZONE = "Z 0 1 DMA32 1000 8 8 8 1 2 3 4 0 0 5 1 3: 0 0\n";

test("newer snapshots have more counters of a per-CPU list", () => {
  const old = "C 0 1 0 count 3 high 9 batch 1 free_factor 2";
  const counters = [old, `${old.replace("0 1 0", "0 1 1")} alloc_factor 1 high_min 5 high_max 7`];
  const text = `${ZONE}F 0 1 0 0          3: 1001 1002 1003\n${counters.join("\n")}\n`;
  const { value, issues } = readText(freelistsReader(), text);
  expect.deepEqual(issues, []);
  expect.deepEqual(
    value.pcp.map((pcp) => [pcp.freeFactor, pcp.allocFactor, pcp.highMin, pcp.highMax]),
    [
      [2, null, null, null],
      [2, 1, 5, 7],
    ],
  );
});

test("damage is named with its line", () => {
  const cases: readonly (readonly [string, readonly (number | undefined)[]])[] = [
    [`${ZONE}F 0 1 0 0          1: 1001\nF 0 1 1 0          1: 1002\n`, []],
    [`${ZONE}F 0 1 0 0          2: 1001\nF 0 1 1 0          1: 1002\n`, [2]],
    [`${ZONE}F 0 1 0 0          1: 1001 !TORN\nF 0 1 1 0          1: 1002\n`, [2]],
    [`${ZONE}F 0 1 0 0          1: 1001\n`, [1]],
    [`${ZONE}F 0 1 0 0          3: 1001 1002 1003\nF 0 1 0 0          0:\n`, [3]],
    [`${ZONE}F 0 1 0 0          3: 1001 1002 1003\nP 0 2 0 0          1: 5\n`, [3]],
    [`${ZONE}F 0 1 0 0          3: 1001 1002 1003\nwhat\n`, [3]],
    ["\n", [undefined]],
  ];
  for (const [text, lines] of cases) {
    const { issues } = readText(freelistsReader(), text);
    expect.deepEqual(
      issues.map(({ line }) => line),
      lines,
      text,
    );
  }
  const overlap = readText(pageblocksReader(), "0: 0101\n600: 1\n");
  expect.deepEqual(
    overlap.issues.map(({ line, severity }) => [line, severity]),
    [[2, "error"]],
  );
  const gap = readText(kpageflagsReader(), "0 10 R\n20 10 B\n30 10 ?\n");
  expect.deepEqual(
    gap.issues.map(({ line }) => line),
    [2, 3],
  );
});

test("damaged snapshots are read without harm", () => {
  const [name = ""] = exactTraceNames();
  const readers = [freelistsReader, pageblocksReader, kpageflagsReader] as const;
  const texts = ["freelists", "pageblocks", "kpageflags.rle"].map((file) =>
    fileOf(name, `before/snap/${file}`),
  );
  const any = fc.oneof(
    fc.constantFrom(...texts).chain(damaged),
    fc.string({ unit: fc.constantFrom(..."ZFCP 0123af:!\n"), maxLength: 200 }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...readers), any, (reader, text) => {
      const { issues } = readText<unknown>(reader(), text);
      for (const { message, line = 1 } of issues) {
        expect.ok(message.length < 300 && line >= 1 && line <= text.split("\n").length);
      }
    }),
    { numRuns: 400 },
  );
});
