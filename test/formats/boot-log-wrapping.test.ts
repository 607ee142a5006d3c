// Goal: what captured a log, and how it was damaged on the way, changes nothing but what is
// reported. Method: real logs of each kernel and architecture, rewrapped as other tools print
// them, mixed with other programs' lines, doubled, cut at any byte, shuffled, with absurd numbers.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Outcome } from "../../src/base/issue.ts";
import type { BootLog } from "../../src/formats/boot-log.ts";
import { bootLogReader } from "../../src/formats/boot-log-reader.ts";
import { MAX_ISSUES, readText } from "../../src/formats/reader.ts";
import { bounded } from "../support/bounded.ts";
import { corpusFiles } from "../support/corpus.ts";

const NAMES = [
  "x86_64-5.10-numa2-2G+4G",
  "x86_64-6.1-1G-memmap-3holes",
  "x86_64-6.12-4G",
  "i386pae-6.1-8G",
  "arm-6.1-512M",
  "arm64-6.12-4G",
];
const texts = NAMES.map((name) => corpusFiles(name).get("dmesg") ?? "");

interface Parts {
  readonly level: string;
  readonly time: string;
  readonly message: string;
}

function rewrap(text: string, wrap: (parts: Parts) => string): string {
  return text.replace(/^<(\d)>\[([ \d.]+)\] (.*)$/gm, (_all, level, time, message) =>
    wrap({ level, time, message }),
  );
}

function read(text: string): Outcome<BootLog> {
  return readText(bootLogReader(), text);
}

const WRAPPINGS: readonly [string, (parts: Parts) => string][] = [
  ["bare", ({ message }) => message],
  ["dmesg", ({ time, message }) => `[${time}] ${message}`],
  ["caller", ({ time, message }) => `[${time}][    T0] ${message}`],
  ["dmesg -x", ({ time, message }) => `kern  :info  : [${time}] ${message}`],
  ["dmesg -T", ({ message }) => `[Tue Nov  3 10:00:00 2026] ${message}`],
  ["dmesg iso", ({ message }) => `2026-11-03T10:00:00,123456+01:00 ${message}`],
  ["journal", ({ message }) => `Nov 03 10:00:00 host kernel: ${message}`],
  ["syslog", ({ time, message }) => `Nov  3 10:00:00 host kernel: [${time}] ${message}`],
  [
    "rsyslog",
    ({ time, message }) => `2026-11-03T10:00:00.1+01:00 host kernel: [${time}] ${message}`,
  ],
  [
    "kmsg",
    ({ time, level, message }) => `${level},1,${Math.round(Number(time) * 1e6)},-;${message}`,
  ],
  ["CRLF", ({ level, time, message }) => `<${level}>[${time}] ${message}\r`],
  ["blanks behind", ({ time, message }) => `[${time}] ${message}  `],
];

describe("the same log", () => {
  for (const [title, wrap] of WRAPPINGS) {
    test(`gives the same record: ${title}`, () => {
      for (const text of texts) assert.deepEqual(read(rewrap(text, wrap)), read(text));
    });
  }

  test("gives the same record among lines of other programs", () => {
    for (const text of texts) {
      const mixed = rewrap(
        text,
        (parts) => `${parts.message}\nNov 03 10:00:00 host app[7]: DMA empty\n`,
      );
      const { value } = read(mixed);
      assert.deepEqual(withoutLines(value), withoutLines(read(text).value));
    }
  });

  test("twice in a file is two boots, the last of which counts", () => {
    for (const text of texts.filter((each) => each.includes("Linux version"))) {
      const once = read(text);
      const { value, issues } = read(text + text);
      assert.deepEqual(withoutLines(value), withoutLines(once.value));
      assert.equal(value.lines, 2 * once.value.lines);
      assert.deepEqual(
        issues.map((issue) => [issue.severity, issue.message]),
        [["note", "the log holds 2 boots: the last one is used"]],
      );
    }
  });
});

/** The record without line numbers, which depend on what is around it. */
function withoutLines(value: BootLog): unknown {
  return JSON.parse(
    JSON.stringify({ ...value, lines: 0 }, (key, part) => (key === "line" ? 0 : part)),
  );
}

describe("a damaged log", () => {
  test("cut at any byte loses the rest, and says when it cut a line", () => {
    const whole = texts.map((text) => read(text).value);
    fc.assert(
      fc.property(
        fc.nat({ max: texts.length - 1 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (i, share) => {
          const text = texts[i] ?? "";
          const { value, issues } = read(text.slice(0, Math.floor(share * text.length)));
          assertPrefix(value, whole[i]);
          for (const { line } of issues) assert.ok(line === undefined || line <= value.lines);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("a line cut in the middle is named", () => {
    const text = texts[2] ?? "";
    const cuts: readonly [RegExp, string][] = [
      [/BIOS-e820: \[mem 0x0000000100000000-0x0/, "e820 map"],
      [/RAMDISK: \[mem 0xbfe/, "initrd"],
      [/Zone ranges:\n.*DMA {6}\[mem 0x0000/, "zone range"],
      [/ {2}node {3}0: \[mem 0x0/, "memory of a node"],
      [/Memory: 4000400K\/4193/, "Memory: line"],
      [/Freeing initrd mem/, "freed memory"],
      [/software IO TLB: mapped \[mem 0x0/, "swiotlb"],
      [/memblock_reserve: \[0x[0-9a-f]+-0x[0-9a-f]+\] memblock_alloc_ra/, "memblock"],
      [/memory\[0x1\]\t\[0x0000/, "memblock dump"],
      [/NODE_DATA\(0\) allocated \[mem/, "NODE_DATA"],
      [/percpu: Embedded 66 pages/, "percpu area"],
      [/Brought up 1 no/, "CPUs brought up"],
    ];
    for (const [pattern, what] of cuts) {
      const found = pattern.exec(text);
      assert.ok(found, `${pattern}`);
      const cut =
        text.slice(0, found.index) +
        found[0] +
        text.slice(text.indexOf("\n", found.index + found[0].length));
      const line = cut.slice(0, found.index + found[0].length).split("\n").length;
      const named = read(cut).issues.filter((issue) => issue.line === line);
      assert.deepEqual(
        named.map((issue) => issue.message),
        [`cannot read this line: ${what}`],
      );
    }
  });

  test("a memblock dump that lost a region is not complete", () => {
    const text = texts[2] ?? "";
    const { value, issues } = read(text.replace(/^.*\sreserved\[0x2\].*\n/m, ""));
    const dumps = value.memblock.filter((event) => event.kind === "dump");
    assert.deepEqual(
      dumps.map((dump) => dump.complete),
      [false, true],
    );
    assert.equal(dumps[0]?.reserved.length, 3);
    assert.deepEqual(
      issues.map((issue) => issue.line),
      [dumps[0]?.line],
    );
  });

  test("without its beginning it is headless, and half a list is not taken for a whole", () => {
    const text = texts[2] ?? "";
    const { value, issues } = read(text.slice(text.indexOf("  DMA32    [mem")));
    assert.equal(value.headless, true);
    assert.equal(value.version, null);
    assert.equal(value.zoneRanges, null);
    assert.equal(value.nodeRanges.length, 3);
    assert.match(
      issues.map((issue) => issue.message).join(),
      /without its heading.*beginning of the log/,
    );
  });

  test("with lines swapped, dropped, doubled or glued it is still read to the end", () => {
    const lines = texts.map((text) => text.split("\n"));
    const place = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        fc.nat({ max: lines.length - 1 }),
        fc.array(fc.tuple(place, place, fc.nat({ max: 3 }))),
        (i, edits) => {
          const damaged = [...(lines[i] ?? [])];
          for (const [from, to, how] of edits) {
            const a = Math.floor(from * damaged.length);
            const b = Math.floor(to * damaged.length);
            const [line = ""] = damaged.splice(a, how === 0 ? 0 : 1);
            if (how < 3) damaged.splice(b, 0, line);
            else damaged[b] = line + (damaged[b] ?? "");
          }
          assertSound(read(damaged.join("\n")));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("with absurd numbers every number of the record is still exact", () => {
    const absurd = fc.constantFrom(
      "ffffffffffffffff",
      "fffffffffffffffffffff",
      "99999999999999999999999",
      "0",
      "",
    );
    fc.assert(
      fc.property(
        fc.nat({ max: texts.length - 1 }),
        absurd,
        fc.integer({ min: 1, max: 40 }),
        (i, number, step) => {
          let nth = 0;
          const text = (texts[i] ?? "").replace(/(?<=[\s:x(-])[0-9a-f]*\d[0-9a-f]*/g, (was) =>
            nth++ % step === 0 ? number : was,
          );
          assertSound(read(text));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("arbitrary text never throws", () => {
    const words = fc.constantFrom(
      "Zone ranges:",
      "Linux version 1",
      "memory[0x0]",
      "MEMBLOCK configuration:",
      "[mem 0x1-0x0]",
      "memblock_reserve:",
      "[0x1-0x2]",
      "RAMDISK:",
      "Memory: ",
      "1K/2K available (",
      "Freeing ",
      "node 0: ",
      "pcpu-alloc: [0] 0",
      "e820: update ",
      "\n",
      " ",
      ")",
      "0",
      "constructor",
      "__proto__",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: "binary" }),
          fc.array(words).map((all) => all.join("")),
        ),
        (text) => {
          assertSound(read(text));
        },
      ),
    );
  });

  test("no line of the longest kind takes more than a moment", () => {
    const starts = [
      "BIOS-e820: [mem 0x1-0x2] ",
      "user: ",
      "e820: update [mem 0x1-0x2] ",
      "efi: mem00: [",
      "efi: mem00: type=7",
      "ACPI: SRAT: Node 0 ",
      "NODE_DATA(0) ",
      "NODE_DATA [mem 0x1-0x2] (from ",
      "Initmem setup node 0 ",
      "OF: reserved mem: initialized node ",
      "Reserved memory: created ",
      "memblock_reserve: [0x1-0x2] ",
      "memblock_alloc_try_nid: 1 bytes ",
      "MEMBLOCK configuration:\nmemory[0x0] ",
      "DMA ",
      "Node 0: ",
      "early_node_map[1]\n0: ",
      "Fallback order for Node 0: ",
      "Built 1 zonelists ",
      "Memory: 1K/2K available (",
      "Freeing ",
      "Dentry cache hash table entries: ",
      "RAMDISK: ",
      "software IO TLB: ",
      "cma: Reserved ",
      "crashkernel ",
      "HugeTLB: registered ",
      "percpu: Embedded ",
      "pcpu-alloc: [0] ",
      ".... node  #0, CPUs: ",
      "Nov  3 10:00:00 ",
      "[",
      "6,1,",
      "\u001b[",
    ];
    const fillers = [
      "a",
      "0",
      " ",
      ": ",
      "[",
      "-",
      ", 1",
      "1 ",
      "[0] 0 ",
      "#1 ",
      "failed ",
      "\u001b[",
    ];
    bounded(() => {
      for (const start of starts)
        for (const filler of fillers) read(`${start}${filler.repeat(60000 / filler.length)}!`);
    });
  });

  test("bounds what it keeps and says so", () => {
    const { value, issues } = read("Freeing initrd memory: 4K\n".repeat(65536 + 3));
    assert.equal(value.freed.length, 65536);
    assert.ok(issues.some((issue) => issue.message.startsWith("3 entries more")));
    const garbled = read("Linux version 1\nFreeing initrd\n".padEnd(6000, "Freeing initrd\n"));
    assert.equal(garbled.issues.length, MAX_ISSUES + 1);
    const long = read(`Linux version 1\nRAMDISK: [mem ${"0".repeat(70000)}\n`);
    assert.deepEqual(
      long.issues.map((issue) => issue.line),
      [2],
    );
  });

  test("a text that is no log is an error; an empty one, as dmesg leaves without root, is not", () => {
    assert.equal(read("").issues[0]?.severity, "warning");
    assert.equal(read("hello\nworld\n").issues[0]?.severity, "error");
  });
});

/** Every list but its last entry, which may be of the cut line, is the start of the whole list. */
function assertPrefix(part: BootLog, whole: BootLog | undefined): void {
  const rest = new Map<string, unknown>(Object.entries(whole ?? {}));
  for (const [key, value] of Object.entries(part)) {
    const other = rest.get(key);
    if (!Array.isArray(value) || !Array.isArray(other)) continue;
    assert.ok(value.length <= other.length, key);
    assert.deepEqual(value.slice(0, -1), other.slice(0, Math.max(0, value.length - 1)), key);
  }
}

function assertSound({ value, issues }: Outcome<BootLog>): void {
  assert.ok(issues.length <= MAX_ISSUES + 5);
  assert.ok(value.recognised <= value.lines);
  JSON.stringify(value, (key, part) => {
    if (typeof part === "number")
      assert.ok(Number.isSafeInteger(part) && part >= 0, `${key} = ${part}`);
    return part;
  });
}
