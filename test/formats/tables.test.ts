// Goal: nothing a table of /proc says is lost or changed. Method: print what was read of every
// such file of the corpus back in the kernel's form, here in the test where the layer has no
// writer, and compare bytes; then check the rules for odd lines one by one.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { buddyinfoReader, writeBuddyinfo } from "../../src/formats/buddyinfo.ts";
import { configReader } from "../../src/formats/config.ts";
import { cpuinfoReader } from "../../src/formats/cpuinfo.ts";
import { devicesReader } from "../../src/formats/devices.ts";
import { firmwareMemmapReader } from "../../src/formats/firmware-memmap.ts";
import { iomemNamed, iomemReader } from "../../src/formats/iomem.ts";
import { meminfoReader } from "../../src/formats/meminfo.ts";
import { type Pagetypeinfo, pagetypeinfoReader } from "../../src/formats/pagetypeinfo.ts";
import { type Reader, readText } from "../../src/formats/reader.ts";
import { vmstatReader } from "../../src/formats/vmstat.ts";
import { corpusFiles, corpusNames } from "../support/corpus.ts";

/** Reads every file of the corpus whose path matches and prints it back; at least `least` files. */
function printsBack<T>(
  path: RegExp,
  reader: () => Reader<T>,
  print: (value: T) => string,
  least: number,
): void {
  let files = 0;
  for (const name of corpusNames()) {
    for (const [file, text] of corpusFiles(name)) {
      if (!path.test(file)) continue;
      const { value, issues } = readText(reader(), text);
      expect.deepEqual(issues, [], `${name}/${file}`);
      expect.equal(print(value), text, `${name}/${file}`);
      files++;
    }
  }
  expect.ok(files >= least, `only ${files} files`);
}

const hex = (value: number, width = 0): string => value.toString(16).padStart(width, "0");

test("every buddyinfo of the corpus is printed back byte for byte", () => {
  printsBack(/(^|\/)buddyinfo$/, buddyinfoReader, writeBuddyinfo, 1300);
});

test("every pagetypeinfo of the corpus is printed back byte for byte", () => {
  printsBack(/(^|\/)pagetypeinfo$/, pagetypeinfoReader, printPagetypes, 118);
});

function printPagetypes(info: Pagetypeinfo): string {
  const orders = info.free[0]?.blocks.map((_, order) => `${String(order).padStart(6)} `).join("");
  const nodes = [...new Set(info.free.map((row) => row.node))];
  const parts = nodes.map((node) => {
    const free = info.free.filter((row) => row.node === node);
    const blocks = info.blocks.filter((row) => row.node === node);
    const types = [...(blocks[0]?.counts.keys() ?? [])];
    return [
      `Page block order: ${info.pageblockOrder}`,
      `Pages per block:  ${info.pagesPerBlock}`,
      "",
      `${"Free pages count per migrate type at order".padEnd(43)} ${orders}`,
      ...free.map((row) => {
        const cells = row.blocks.map((count) => `${String(count).padStart(6)} `).join("");
        const place = `Node ${String(node).padStart(4)}, zone ${row.zone.padStart(8)}`;
        return `${place}, type ${row.type.padStart(12)} ${cells}`;
      }),
      "",
      `${"Number of blocks type".padEnd(23)}${types.map((type) => `${type.padStart(12)} `).join("")}`,
      ...blocks.map((row) => {
        const cells = [...row.counts.values()].map((count) => `${String(count).padStart(12)} `);
        return `Node ${node}, zone ${row.zone.padStart(8)} ${cells.join("")}`;
      }),
    ];
  });
  return parts
    .flat()
    .map((line) => `${line}\n`)
    .join("");
}

test("every iomem and firmware map of the corpus is printed back byte for byte", () => {
  const print = (start: number, end: number): string => `${hex(start, 8)}-${hex(end - 1, 8)}`;
  printsBack(
    /^iomem$/,
    iomemReader,
    ({ entries }) =>
      entries
        .map(
          ({ start, end, name, depth }) => `${"  ".repeat(depth)}${print(start, end)} : ${name}\n`,
        )
        .join(""),
    118,
  );
  printsBack(
    /^firmware_memmap$/,
    firmwareMemmapReader,
    (ranges) =>
      ranges.map(({ start, end, type }) => `0x${hex(start)} 0x${hex(end - 1)} ${type}\n`).join(""),
    80,
  );
});

test("every vmstat and meminfo of the corpus is printed back, but for blanks and units", () => {
  const pairs = (map: ReadonlyMap<string, number>): string =>
    [...map].map(([name, value]) => `${name} ${value}\n`).join("");
  printsBack(/(^|\/)vmstat$/, vmstatReader, pairs, 118);
  for (const name of corpusNames()) {
    for (const [path, text] of corpusFiles(name)) {
      if (!/(^|\/)meminfo$/.test(path)) continue;
      const { value, issues } = readText(meminfoReader(), text);
      expect.deepEqual(issues, []);
      const plain = text.replaceAll(/^Node \d+ /gm, "").replaceAll(/: +/g, " ");
      expect.equal(pairs(value), plain.replaceAll(" kB", ""), `${name}/${path}`);
    }
  }
});

test("buddyinfo written is read back, with any counts", () => {
  const count = fc.nat({ max: 2 ** 31 });
  const zones = fc.integer({ min: 1, max: 13 }).chain((orders) =>
    fc.array(
      fc.record({
        node: fc.nat({ max: 1023 }),
        name: fc.constantFrom("DMA", "DMA32", "Normal", "HighMem", "Movable", "Device"),
        free: fc.array(count, { minLength: orders, maxLength: orders }),
      }),
      { minLength: 1, maxLength: 9 },
    ),
  );
  const check = (rows: { node: number; name: string; free: number[] }[]): void => {
    const numbered = rows.map((row, i) => ({ ...row, line: i + 1 }));
    const { value, issues } = readText(buddyinfoReader(), writeBuddyinfo({ zones: numbered }));
    expect.deepEqual(issues, []);
    expect.deepEqual(value.zones, numbered);
  };
  fc.assert(fc.property(zones, check));
});

test("a cut line of buddyinfo or pagetypeinfo is an error, the others stay", () => {
  const buddyinfo =
    "Node 0, zone      DMA      1      2      3 \nNode 0, zone   Normal      4      5";
  const cut = readText(buddyinfoReader(), buddyinfo);
  expect.deepEqual(
    cut.value.zones.map((zone) => zone.free),
    [[1, 2, 3]],
  );
  expect.deepEqual(
    cut.issues.map(({ severity, line }) => [severity, line]),
    [
      ["note", 2],
      ["error", 2],
    ],
  );
  const blocks =
    "Number of blocks type     Unmovable      Movable \nNode 0, zone      DMA       1 \n";
  const short = readText(pagetypeinfoReader(), blocks);
  expect.deepEqual(short.value.blocks, []);
  expect.deepEqual(
    short.issues.map(({ severity, line }) => [severity, line]),
    [["error", 2]],
  );
});

test("pagetypeinfo: counting stops at a cap, page_owner adds a table", () => {
  const text = [
    "Free pages count per migrate type at order       0      1 ",
    "Node    1, zone   Normal, type      Movable >100000     17 ",
    "",
    "Number of blocks type     Unmovable      Movable ",
    "Node 1, zone   Normal            3          509 ",
    "",
    "Number of mixed blocks    Unmovable      Movable ",
    "Node 1, zone   Normal            1            2 ",
    "",
  ].join("\n");
  const { value, issues } = readText(pagetypeinfoReader(), text);
  expect.deepEqual(issues, []);
  expect.deepEqual(value.free[0]?.blocks, [100000, 17]);
  expect.deepEqual(value.free[0]?.capped, [0]);
  expect.equal(value.blocks[0]?.counts.get("Movable"), 509);
  expect.equal(value.mixed[0]?.counts.get("Movable"), 2);
});

test("iomem is a tree; zeros for everything mean that the reader was not root", () => {
  const text = corpusFiles("x86_64-6.1-numa2-2G+2G").get("iomem") ?? "";
  const { value } = readText(iomemReader(), text);
  const [code] = iomemNamed(value, "Kernel code");
  expect.equal(code?.depth, 1);
  const parent = value.entries[code?.parent ?? -1];
  expect.ok(parent !== undefined && code !== undefined);
  expect.equal(parent.name, "System RAM");
  expect.ok(parent.start <= code.start && code.end <= parent.end);
  expect.deepEqual(value.ram.at(-1), { start: 0x100000000, end: 0x140000000 });
  expect.equal(value.redacted, false);

  const zeros = readText(iomemReader(), text.replaceAll(/[0-9a-f]{8,}/g, "00000000"));
  expect.equal(zeros.value.redacted, true);
  expect.deepEqual(zeros.value.ram, []);
  expect.equal(zeros.value.entries.length, value.entries.length);
  expect.deepEqual(
    zeros.issues.map((issue) => [issue.severity, issue.line]),
    [["note", undefined]],
  );
});

test("in iomem a child lies in its parent, one level below it", () => {
  for (const name of corpusNames()) {
    const { value } = readText(iomemReader(), corpusFiles(name).get("iomem") ?? "");
    for (const [i, entry] of value.entries.entries()) {
      const parent = entry.parent === null ? null : (value.entries[entry.parent] ?? null);
      expect.equal(parent === null, entry.depth === 0);
      if (parent === null) continue;
      expect.ok((entry.parent ?? i) < i && parent.depth === entry.depth - 1, name);
      expect.ok(parent.start <= entry.start && entry.end <= parent.end, `${name}: ${entry.name}`);
    }
  }
  const nested = "0-ff : Persistent Memory\n  10-1f : System RAM\n100-1ff : System RAM\n";
  expect.deepEqual(readText(iomemReader(), nested).value.ram, [{ start: 0x100, end: 0x200 }]);
});

test("iomem and firmware map: bad ranges are left out, the end of the address space is clamped", () => {
  const iomem = readText(
    iomemReader(),
    "00002000-00001000 : a\n    00000000-00000fff : b\n0-f : c\n",
  );
  expect.deepEqual(
    iomem.value.entries.map(({ name }) => name),
    ["c"],
  );
  expect.deepEqual(
    iomem.issues.map((issue) => issue.line),
    [1, 2],
  );
  const map = readText(firmwareMemmapReader(), "0x0 0xffffffffffffffff System RAM\n0x5 0x4 X\n");
  expect.deepEqual(map.value, [{ start: 0, end: Number.MAX_SAFE_INTEGER, type: "System RAM" }]);
  expect.deepEqual(
    map.issues.map(({ severity, line }) => [severity, line]),
    [
      ["note", 1],
      ["warning", 2],
    ],
  );
});

test("cpuinfo tells the architecture of the kernel on every capture", () => {
  for (const name of corpusNames()) {
    const files = corpusFiles(name);
    const { value, issues } = readText(cpuinfoReader(), files.get("cpuinfo") ?? "");
    expect.deepEqual(issues, [], name);
    const meta = /"arch": "(\w+)"/.exec(files.get("meta.json") ?? "")?.[1];
    const expected = new Map([
      ["i386pae", "i386"],
      ["armlpae", "arm"],
      ["aarch64", "arm64"],
    ]);
    expect.equal(value.arch, expected.get(meta ?? "") ?? meta, name);
    const smp = /"smp": "(\d+)"/.exec(files.get("meta.json") ?? "")?.[1];
    const limit = /\b(?:maxcpus|nr_cpus)=(\d+)/.exec(files.get("cmdline") ?? "")?.[1];
    expect.equal(value.processors, Math.min(Number(smp), Number(limit ?? smp)), name);
  }
  const lpae = corpusFiles("armlpae-6.1-1G").get("cpuinfo") ?? "";
  expect.equal(readText(cpuinfoReader(), lpae).value.lpae, true);
  const amd64 = corpusFiles("x86_64-6.1-1G").get("cpuinfo") ?? "";
  const { lm, pae, physicalBits } = readText(cpuinfoReader(), amd64).value;
  expect.deepEqual([lm, pae, physicalBits], [true, true, 40]);
});

test("config: values, texts, absences, and names that come twice", () => {
  const text =
    '#\n# Automatic\nCONFIG_A=y\nCONFIG_B="x y"\n# CONFIG_C is not set\nCONFIG_A=m\nB=1\n';
  const { value, issues } = readText(configReader(), text);
  expect.deepEqual(
    [...value],
    [
      ["CONFIG_A", "m"],
      ["CONFIG_B", "x y"],
      ["CONFIG_C", "n"],
    ],
  );
  expect.deepEqual(
    issues.map((issue) => issue.line),
    [6, 7],
  );
  const real = readText(configReader(), corpusFiles("x86_64-6.1-1G").get("config") ?? "");
  expect.deepEqual(real.issues, []);
  expect.deepEqual(
    [real.value.get("CONFIG_NUMA"), real.value.get("CONFIG_NR_CPUS")],
    ["y", "8192"],
  );
});

test("devices: masks, node, IOMMU; lines without a mask are left out", () => {
  const text = [
    "# comment",
    "0000:00:1f.2 dma_mask_bits=64 consistent_dma_mask_bits=32 numa_node=1 driver=ahci iommu=DMA-FQ",
    "/devices/pci0000:00/0000:00:02.0 dma_mask_bits=24 numa_node=-1 iommu=identity",
    "bad dma_mask_bits=65",
    "odd dma_mask_bits=32 colour=red",
    "",
  ].join("\n");
  const { value, issues } = readText(devicesReader(), text);
  expect.deepEqual(
    value.map((device) => [device.dmaMaskBits, device.coherentMaskBits, device.node, device.iommu]),
    [
      [64, 32, 1, true],
      [24, null, null, false],
      [32, null, null, false],
    ],
  );
  expect.equal(value[0]?.driver, "ahci");
  expect.deepEqual(
    issues.map(({ severity, line }) => [severity, line]),
    [
      ["warning", 4],
      ["note", 5],
    ],
  );
});
