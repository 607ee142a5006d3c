// Goal: flags mean in each era what that era's kernels mean, as bits, as text, as zone and as
// mobility. Method: composites against values known from reports and headers; every text that traced
// kernels printed must come back unchanged; named rows of the zone table; parsing and printing are
// inverse on random bits, and hostile text gives issues, never an exception.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import * as gfp from "../../src/mm/gfp.ts";
import { gfpOf } from "../../src/mm/gfp-of.ts";
import { bounded } from "../support/bounded.ts";
import { PRINTED_BY_6_1, PRINTED_BY_6_12 } from "./gfp-strings.ts";

const { findGfpEra, formatGfp, GFP_ERAS, gfpEra, gfpZoneIndex, parseGfp } = gfp;

/** Value of a clean text. */
function bitsOf(text: string, version: string): number {
  const { value, issues } = parseGfp(text, gfpEra(version));
  assert.deepEqual(issues, [], text);
  return value;
}

test("composites have the values of their era", () => {
  const rows: [name: string, version: string, bits: number][] = [
    ["GFP_KERNEL", "2.6.11", 0xd0],
    ["GFP_KERNEL", "3.2", 0xd0],
    ["GFP_KERNEL", "4.4.0", 0x24000c0],
    ["GFP_KERNEL", "4.13", 0x14000c0],
    ["GFP_KERNEL", "4.19", 0x6000c0],
    ["GFP_KERNEL", "5.10", 0xcc0],
    ["GFP_KERNEL", "6.18", 0xcc0],
    ["GFP_ATOMIC", "2.6.18", 0x20],
    ["GFP_ATOMIC", "4.9", 0x2080020],
    ["GFP_ATOMIC", "4.10", 0x1080020],
    ["GFP_ATOMIC", "4.18", 0x480020],
    ["GFP_ATOMIC", "5.4", 0xa20],
    ["GFP_ATOMIC", "6.1.0-50-amd64", 0xa20],
    ["GFP_ATOMIC", "6.3", 0x820],
    ["GFP_ATOMIC", "6.12.95", 0x820],
    ["GFP_NOWAIT", "2.6.39", 0],
    ["GFP_NOWAIT", "4.4", 0x2000000],
    ["GFP_NOWAIT", "4.10", 0x1000000],
    ["GFP_NOWAIT", "4.18", 0x400000],
    ["GFP_NOWAIT", "6.1", 0x800],
    ["GFP_NOWAIT", "6.18", 0x2800],
    ["GFP_HIGHUSER_MOVABLE", "2.6.39", 0x200da],
    ["GFP_HIGHUSER_MOVABLE", "4.4", 0x24200ca],
    ["GFP_HIGHUSER_MOVABLE", "4.10", 0x14200ca],
    ["GFP_HIGHUSER_MOVABLE", "4.18", 0x6200ca],
    ["GFP_HIGHUSER_MOVABLE", "6.1", 0x100cca],
    ["GFP_HIGHUSER", "6.1", 0x100cc2],
    ["GFP_HIGHUSER", "2.6.11", 0xd2],
    ["GFP_USER", "2.6.11", 0xd0],
    ["GFP_USER", "2.6.20", 0x200d0],
    ["GFP_USER", "6.1", 0x100cc0],
    ["GFP_NOIO", "2.6.18", 0x10],
    ["GFP_NOIO", "6.1", 0xc00],
    ["GFP_NOFS", "2.6.18", 0x50],
    ["GFP_NOFS", "6.1", 0xc40],
    ["GFP_KERNEL_ACCOUNT", "6.1", 0x400cc0],
    ["GFP_TRANSHUGE_LIGHT", "6.1", 0x1c20ca],
    ["GFP_TRANSHUGE", "6.1", 0x1c24ca],
    ["GFP_TRANSHUGE", "2.6.39", 0x4352da],
    ["GFP_TEMPORARY", "2.6.39", 0x800d0],
    ["GFP_TEMPORARY", "4.13", 0x14000d0],
    ["GFP_DMA", "2.6.9", 1],
    ["GFP_DMA", "6.1", 1],
    ["GFP_DMA32", "2.6.18", 4],
    ["GFP_DMA32", "6.1", 4],
    ["__GFP_RECLAIM", "4.19", 0x600000],
    ["__GFP_RECLAIM", "6.18", 0xc00],
    ["__GFP_ZERO", "2.6.11", 0x8000],
    ["__GFP_COLD", "2.6.11", 0x100],
    ["__GFP_NOTRACK", "4.9", 0x200000],
    ["__GFP_REPEAT", "4.12", 0x400],
    ["GFP_DMA32", "2.6.39", 4],
    ["GFP_USER", "2.6.39", 0x200d0],
    ["__GFP_ZERO", "4.19", 0x8000],
    ["__GFP_ZERO", "5.0", 0x100],
    ["__GFP_REPEAT", "2.6.11", 0x400],
    ["__GFP_RETRY_MAYFAIL", "4.19", 0x400],
    ["__GFP_RETRY_MAYFAIL", "5.0", 0x4000],
    ["__GFP_MOVABLE", "2.6.24", 0x100000],
    ["__GFP_RECLAIMABLE", "2.6.39", 0x80000],
    ["__GFP_MEMALLOC", "4.19", 0x2000],
    ["__GFP_MEMALLOC", "6.1", 0x20000],
    ["__GFP_THISNODE", "2.6.18", 0x40000],
    ["__GFP_THISNODE", "6.1", 0x200000],
    ["__GFP_ZEROTAGS", "6.1", 0x800000],
    ["__GFP_NO_KSWAPD", "3.2", 0x400000],
    ["__GFP_WRITE", "4.4", 0x1000000],
    ["__GFP_WRITE", "4.10", 0x800000],
    ["__GFP_WRITE", "6.1", 0x1000],
  ];
  for (const [name, version, bits] of rows) {
    assert.equal(bitsOf(name, version), bits, `${name} of ${version}`);
  }
});

test("the exported constants are those of 6.1", () => {
  const { bits, composites, singles } = gfpEra("6.1");
  const known = new Map([...bits, ...composites, ...singles]);
  const exported = Object.entries(gfp).filter(
    (entry): entry is [string, number] => /^(__)?GFP_/.test(entry[0]) && known.has(entry[0]),
  );
  assert.deepEqual(new Map(exported.toSorted()), new Map([...known].toSorted()));
});

test("reports' pairs of bits and names agree", () => {
  const pairs: [text: string, version: string][] = [
    ["0x101cc0(GFP_USER|__GFP_WRITE)", "5.10"],
    ["0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP)", "6.8.1"],
    ["0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO)", "6.1"],
    ["0x6040c0(GFP_KERNEL|__GFP_COMP)", "4.19.57"],
    ["0x60c0c0(GFP_KERNEL|__GFP_COMP|__GFP_ZERO)", "4.18.0-109.el8.aarch64"],
    ["0x480020(GFP_ATOMIC)", "4.19"],
    ["0x1(GFP_DMA)", "5.7.0-rc3+"],
    ["0xcc1(GFP_KERNEL|GFP_DMA)", "5.10"],
    ["0xc04(GFP_NOIO|GFP_DMA32)", "6.11.11"],
    ["0xcc2(GFP_KERNEL|__GFP_HIGHMEM)", "6.3.1"],
    ["0x4cc0(GFP_KERNEL|__GFP_RETRY_MAYFAIL)", "5.13.0"],
    ["0xc0c40(GFP_NOFS|__GFP_COMP|__GFP_NOMEMALLOC)", "6.19.0-rc5"],
    ["0x800(GFP_NOWAIT)", "6.1"],
    ["0x820(GFP_ATOMIC)", "6.8.9"],
    ["0xa20(GFP_ATOMIC)", "5.4"],
  ];
  for (const [text, version] of pairs) {
    const bits = bitsOf(text, version);
    assert.equal(`0x${bits.toString(16)}(${formatGfp(bits, gfpEra(version))})`, text);
  }
});

test("every text that traced kernels printed comes back", () => {
  assert.ok(PRINTED_BY_6_1.length === 81 && PRINTED_BY_6_12.length === 58);
  for (const text of PRINTED_BY_6_1)
    assert.equal(formatGfp(bitsOf(text, "6.1"), gfpEra("6.1")), text);
  for (const text of PRINTED_BY_6_12) {
    assert.equal(formatGfp(bitsOf(text, "6.12"), gfpEra("6.12")), text);
  }
});

test("printing follows the era's own table", () => {
  const rows: [bits: number, version: string, text: string][] = [
    [0, "6.1", "none"],
    [0, "2.6.39", "GFP_NOWAIT"],
    [0xd1, "2.6.39", "GFP_KERNEL|0x1"], // zones have no name
    [0xc0, "2.6.39", "GFP_IO|0x80"], // nor has __GFP_FS
    [0x8010, "2.6.39", "GFP_NOIO|GFP_ZERO"],
    [0x500c0, "6.1", "__GFP_IO|__GFP_FS|__GFP_NORETRY|__GFP_COMP"],
    [0x120, "6.1", "__GFP_HIGH|__GFP_ZERO"],
    [0x120, "6.18", "__GFP_HIGH|__GFP_ZERO"],
    [0x40100, "6.1", "__GFP_COMP|__GFP_ZERO"],
    [0x40100, "6.18", "__GFP_ZERO|__GFP_COMP"], // by bit
    [0xcc2, "6.18", "GFP_KERNEL|__GFP_HIGHMEM"],
    [0x106, "6.18", "GFP_DMA32|__GFP_HIGHMEM|__GFP_ZERO"],
    [0x2900, "6.18", "GFP_NOWAIT|__GFP_ZERO"],
    [0x800, "6.18", "__GFP_KSWAPD_RECLAIM"],
    [0x400, "6.1", "__GFP_DIRECT_RECLAIM"],
    [0x600800, "4.19", "GFP_NOIO|__GFP_NOFAIL"],
    [0xff000000, "6.1", "0xff000000"],
    [0xcc0 | 0x80000000, "6.1", "GFP_KERNEL|0x80000000"],
    [0xd1, "2.6.18", "GFP_KERNEL|__GFP_DMA"],
  ];
  for (const [bits, version, text] of rows) {
    assert.equal(formatGfp(bits, gfpEra(version)), text, `0x${bits.toString(16)} of ${version}`);
  }
});

test("what is printed reads back as the same bits, in every era", () => {
  const word = fc.nat({ max: 0xffffffff });
  const sparse = fc
    .array(fc.nat({ max: 31 }), { maxLength: 8 })
    .map((shifts) => shifts.reduce((bits, shift) => (bits | (1 << shift)) >>> 0, 0));
  fc.assert(
    fc.property(fc.constantFrom(...GFP_ERAS), fc.oneof(word, sparse), (era, bits) => {
      const text = formatGfp(bits, era);
      assert.deepEqual(parseGfp(text, era), { value: bits, issues: [] });
      const hex = `0x${bits.toString(16)}`;
      assert.deepEqual(parseGfp(hex, era), { value: bits, issues: [] });
      assert.deepEqual(parseGfp(`${hex}(${text})`, era), { value: bits, issues: [] });
    }),
    { numRuns: 2000 },
  );
});

test("text that is no request is an issue that helps", () => {
  const mend = (text: string, version: string): string | undefined =>
    parseGfp(text, gfpEra(version)).issues[0]?.mend;
  assert.equal(mend("GFP_KERNAL", "6.1"), "did you mean GFP_KERNEL?");
  assert.equal(mend("gfp_kernel", "6.1"), "did you mean GFP_KERNEL?");
  assert.equal(mend("GFP_KERNEL|ZERO", "6.1"), "did you mean __GFP_ZERO?");
  assert.equal(mend("GFP_KERNEL|__GFP_ZEOR", "6.1"), "did you mean __GFP_ZERO?");
  assert.match(mend("__GFP_WAIT", "6.1") ?? "", /it is one of 2\.6\.9, 2\.6\.11, .*2\.6\.39$/);
  assert.match(mend("__GFP_ATOMIC", "6.12") ?? "", /4\.9.*6\.1$/);
  assert.match(mend("GFP_KERNEL|", "6.1") ?? "", /joined with \|/);
  assert.match(mend("", "6.1") ?? "", /joined with \|/);
  assert.equal(mend("xyzzyxyzzy", "6.1"), undefined);
  assert.equal(mend("GFP_NOXO", "6.1"), "did you mean GFP_NOIO?");
  // Beyond a name and a dozen letters nothing is guessed.
  assert.match(mend(`GFP_HIGHUSER_MOVABLE${"X".repeat(12)}`, "6.1") ?? "", /HIGHUSER_MOVABLE/);
  assert.equal(mend(`GFP_HIGHUSER_MOVABLE${"X".repeat(13)}`, "6.1"), undefined);
  const messages = (text: string): string[] =>
    parseGfp(text, gfpEra("6.1")).issues.map(({ severity, message }) => `${severity}: ${message}`);
  assert.deepEqual(messages("xyzzyxyzzy|plugh"), ["error: xyzzyxyzzy is no GFP flag"]);
  assert.deepEqual(messages("0x100000000"), ["error: 0x100000000 does not fit a gfp_t of 32 bits"]);
  assert.deepEqual(messages("0xffffffff"), []);
  assert.deepEqual(messages("0xd0(GFP_KERNEL)"), [
    "warning: 0xd0 is __GFP_IO|__GFP_FS|__GFP_RECLAIMABLE in 6.1, but the text says GFP_KERNEL",
  ]);
  assert.equal(parseGfp("0xd0(GFP_KERNEL)", gfpEra("6.1")).value, 0xd0);
});

test("hostile text neither throws nor takes long", () => {
  const odd = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom("0x", "(", "0x1(", "0x1()", "|||", "0x1(GFP_DMA", "-1", "1e9", "GFP_DMA\r\n"),
    fc
      .array(fc.constantFrom("GFP_KERNEL", "|", "0x", "(", ")", "\0", " "), { maxLength: 12 })
      .map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(odd, (text) => {
      const { value, issues } = parseGfp(text, gfpEra("6.1"));
      assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** 32);
      for (const issue of issues) assert.ok(issue.message.length < 200);
    }),
    { numRuns: 2000 },
  );
  for (const long of [
    "a|".repeat(1e6),
    "x".repeat(1e7),
    "GFP_DMA|".repeat(1e5),
    `0x${"f".repeat(1e6)}`,
  ]) {
    bounded(() => assert.equal(parseGfp(long, gfpEra("6.1")).issues.length, 1));
  }
});

test("versions find their era, and others none", () => {
  const rows: [version: string, era: string | null][] = [
    ["2.6.9", "2.6.9"],
    ["2.6.10", "2.6.9"],
    ["2.6.11", "2.6.11"],
    ["2.6.14", "2.6.11"],
    ["2.6.15", "2.6.20"],
    ["2.6.18-8.el5", "2.6.20"],
    ["2.6.30", "2.6.24"],
    ["2.6.32.71", "2.6.32"],
    ["3.10.0-957.el7", "2.6.39"],
    ["4.3", "2.6.39"],
    ["4.4", "4.9"],
    ["4.9.337", "4.9"],
    ["4.15", "4.14"],
    ["4.19", "4.19"],
    ["v5.10", "5.10"],
    ["5.13.19", "5.10"],
    ["6.2", "6.1"],
    ["6.6", "6.6"],
    ["6.12.95+deb13", "6.12"],
    ["7.0", "6.18"],
    ["2.6.8", null],
    ["2.4.20", null],
    ["", null],
    ["six", null],
  ];
  for (const [version, era] of rows) assert.equal(findGfpEra(version)?.name ?? null, era, version);
  assert.throws(() => gfpEra("six"), /no GFP era/);
});

test("every flag is one bit of its own, and every name printed stands for flags", () => {
  for (const { name, bits, composites, singles, unprinted } of GFP_ERAS) {
    const all = [...bits.values()];
    for (const bit of all)
      assert.ok(bit > 0 && (bit & (bit - 1)) === 0, `${name} 0x${bit.toString(16)}`);
    assert.equal(new Set(all).size, all.length, name);
    const known = all.reduce((sum, bit) => sum | bit, 0);
    for (const [word, mask] of [...composites, ...singles, ...unprinted]) {
      assert.equal(mask & ~known, 0, `${name} ${word}`);
    }
    for (const [word, mask] of [...singles, ...unprinted]) {
      const own = bits.get(word.replace(/^_*/, "__"));
      if (own !== undefined) assert.equal(mask, own, `${name} ${word}`);
    }
  }
});

test("names are tried in the kernel's order, those with most flags first", () => {
  const printed = (version: string): string =>
    gfpEra(version)
      .composites.map(([name]) => name.replace("GFP_", ""))
      .join(" ");
  assert.equal(printed("2.6.11"), "HIGHUSER KERNEL NOFS ATOMIC NOIO");
  assert.equal(printed("2.6.20"), "HIGHUSER USER KERNEL NOFS ATOMIC NOIO");
  assert.equal(
    printed("2.6.32"),
    "HIGHUSER_MOVABLE HIGHUSER USER TEMPORARY KERNEL NOFS ATOMIC NOIO",
  );
  assert.equal(printed("2.6.39"), `TRANSHUGE ${printed("2.6.32")}`);
  const modern = "KERNEL_ACCOUNT KERNEL NOFS ATOMIC NOIO NOWAIT DMA";
  const user = "HIGHUSER_MOVABLE HIGHUSER USER";
  assert.equal(printed("4.9"), `${user} TEMPORARY ${modern} __HIGHMEM DMA32`);
  const huge = `TRANSHUGE TRANSHUGE_LIGHT ${user}`;
  assert.equal(printed("4.13"), `${huge} TEMPORARY ${modern} __HIGHMEM DMA32`);
  for (const version of ["4.19", "5.10", "6.1", "6.6", "6.12"]) {
    assert.equal(printed(version), `${huge} ${modern} __HIGHMEM DMA32`);
  }
  assert.equal(printed("6.18"), `${huge} ${modern} DMA32`);
  const singles = (version: string): string =>
    gfpEra(version)
      .singles.map(([name]) => name.replace("GFP_", ""))
      .join(" ");
  assert.equal(
    singles("2.6.39"),
    "HIGH WAIT IO COLD NOWARN REPEAT NOFAIL NORETRY COMP ZERO NOMEMALLOC HARDWALL THISNODE " +
      "RECLAIMABLE MOVABLE NOTRACK NO_KSWAPD OTHER_NODE",
  );
  assert.equal(
    singles("6.1"),
    "__HIGH __ATOMIC __IO __FS __NOWARN __RETRY_MAYFAIL __NOFAIL __NORETRY __COMP __ZERO " +
      "__NOMEMALLOC __MEMALLOC __HARDWALL __THISNODE __RECLAIMABLE __MOVABLE __ACCOUNT __WRITE " +
      "__RECLAIM __DIRECT_RECLAIM __KSWAPD_RECLAIM __ZEROTAGS",
  );
  assert.equal(singles("5.10"), singles("6.1").replace(" __ZEROTAGS", ""));
  assert.equal(singles("6.12"), singles("6.1").replace(" __ATOMIC", ""));
  assert.match(singles("6.18"), /^__RECLAIM __DMA __HIGHMEM __DMA32 .* __ACCOUNT __ZEROTAGS$/);
});

const X86_64 = ["DMA", "DMA32", "Normal", "Movable", "Device"];
const X86_32 = ["DMA", "Normal", "HighMem", "Movable"];

/** The zone's name that a request may use at the highest. */
function highest(text: string, zones: readonly string[]): string | undefined {
  return zones[gfpZoneIndex(bitsOf(text, "6.1"), zones)];
}

test("S1 each zone is asked for by its own flag", () => {
  assert.equal(highest("GFP_KERNEL", X86_32), "Normal");
  assert.equal(highest("GFP_KERNEL|GFP_DMA", X86_32), "DMA");
  assert.equal(highest("GFP_HIGHUSER", X86_32), "HighMem");
  assert.equal(highest("GFP_HIGHUSER_MOVABLE", X86_32), "Movable");
  assert.equal(highest("GFP_HIGHUSER", X86_64), "Normal");
  assert.equal(highest("GFP_HIGHUSER_MOVABLE", X86_64), "Movable");
  assert.equal(highest("GFP_KERNEL|__GFP_MOVABLE", X86_64), "Normal");
});

test("S2 a DMA request where no DMA zone is configured means Normal", () => {
  const arm = ["Normal", "HighMem", "Movable"];
  assert.equal(highest("GFP_DMA", arm), "Normal");
  assert.equal(highest("GFP_DMA|__GFP_MOVABLE", arm), "Normal");
  assert.equal(highest("GFP_DMA32", X86_32), "Normal");
  assert.equal(highest("GFP_DMA32|__GFP_MOVABLE", X86_32), "Normal");
  assert.equal(highest("GFP_DMA", ["DMA32", "Normal", "Movable"]), "Normal");
  assert.equal(highest("GFP_HIGHUSER_MOVABLE", ["DMA", "Normal", "HighMem"]), "HighMem");
});

test("S3 GFP_DMA32 has a zone of its own on x86-64", () => {
  assert.equal(highest("GFP_DMA32", X86_64), "DMA32");
  assert.equal(highest("GFP_KERNEL|GFP_DMA32|__GFP_MOVABLE", X86_64), "DMA32");
  assert.equal(highest("GFP_DMA|__GFP_MOVABLE", X86_64), "DMA");
});

test("S3 on ia64 GFP_DMA and GFP_DMA32 mean the same, on 32 bits GFP_DMA32 means Normal", () => {
  const zones = ["DMA", "Normal"];
  const ask = (text: string, is: "alias" | "absent"): string | undefined => {
    const era = gfp.withDma32(gfpEra("2.6.20"), is);
    const { value, issues } = parseGfp(text, era);
    assert.deepEqual(issues, []);
    return zones[gfpZoneIndex(value, zones, era.zoneRule)];
  };
  assert.equal(ask("GFP_DMA", "alias"), "DMA");
  assert.equal(ask("GFP_DMA32", "alias"), "DMA");
  assert.equal(ask("GFP_KERNEL|__GFP_DMA32", "alias"), "DMA");
  assert.equal(ask("GFP_KERNEL", "alias"), "Normal");
  assert.equal(ask("GFP_DMA32", "absent"), "Normal");
  assert.equal(ask("GFP_DMA", "absent"), "DMA");
  // Names stay printable: a flag without a bit is in nothing.
  assert.equal(formatGfp(0xd0, gfp.withDma32(gfpEra("2.6.20"), "absent")), "GFP_KERNEL");
  // An era without the flag has nothing to move.
  assert.deepEqual(gfp.withDma32(gfpEra("2.6.9"), "alias"), gfpEra("2.6.9"));
});

test("zone bits that contradict each other give the first zone", () => {
  const legal = [0, 1, 2, 4, 8, 9, 0xa, 0xc];
  const table = gfp.gfpZoneTable(X86_64);
  assert.deepEqual([...table], [2, 0, 2, 0, 1, 0, 0, 0, 2, 0, 3, 0, 1, 0, 0, 0]);
  for (let bits = 0; bits < 16; bits++) {
    assert.equal(gfp.isLegalZoneBits(bits), legal.includes(bits), `bits ${bits}`);
    assert.equal(gfp.isLegalZoneBits(bits | 0xcc0), legal.includes(bits));
    assert.equal(gfpZoneIndex(bits | 0xcc0, X86_64), table[bits]);
  }
});

test("2.6.20 takes the first of DMA, DMA32 and HIGHMEM", () => {
  const table = gfp.gfpZoneTable(["DMA", "DMA32", "Normal", "HighMem"], "first-match");
  assert.deepEqual([...table], [2, 0, 3, 0, 1, 0, 1, 0, 2, 0, 3, 0, 1, 0, 1, 0]);
  const noHighmem = gfp.gfpZoneTable(["DMA", "DMA32", "Normal"], "first-match");
  assert.deepEqual([...noHighmem.subarray(0, 8)], [2, 0, 2, 0, 1, 0, 1, 0]);
});

test("zones that no kernel has keep Normal at the highest ordinary one", () => {
  assert.equal(gfpZoneIndex(0, ["low", "high", "Movable"]), 1);
  assert.equal(gfpZoneIndex(0, ["DMA", "HighMem", "Device"]), 0);
  assert.equal(gfpZoneIndex(0, ["all"]), 0);
  assert.equal(gfpZoneIndex(0, ["Movable"]), 0);
  assert.equal(gfpZoneIndex(0, ["low", "Normal", "odd"]), 1);
  const second = ["odd", "DMA", "DMA32", "Normal"];
  assert.deepEqual(
    [0, 1, 4, 8, 9, 0xc].map((bits) => gfpZoneIndex(bits, second)),
    [3, 1, 2, 3, 1, 2],
  );
});

test("migratetypes are numbered as in their era", () => {
  const kernel = (text: string, version: string): number =>
    gfp.gfpMigratetype(bitsOf(text, version), gfpEra(version));
  for (const version of ["4.4", "4.19", "6.1", "6.18"]) {
    assert.equal(kernel("GFP_KERNEL", version), 0);
    assert.equal(kernel("GFP_HIGHUSER_MOVABLE", version), 1);
    assert.equal(kernel("GFP_KERNEL|__GFP_RECLAIMABLE", version), 2);
  }
  for (const version of ["2.6.24", "2.6.39", "4.3"]) {
    assert.equal(kernel("GFP_KERNEL", version), 0);
    assert.equal(kernel("GFP_HIGHUSER|__GFP_MOVABLE", version), 2);
    assert.equal(kernel("GFP_TEMPORARY", version), 1);
  }
  assert.equal(gfp.gfpMigratetype(0xffffffff, gfpEra("2.6.18")), 0);
  assert.equal(gfp.gfpMigratetype(gfp.GFP_HIGHUSER_MOVABLE), 1);
  assert.equal(gfp.gfpMigratetype(gfp.GFP_KERNEL | gfp.__GFP_RECLAIMABLE), 2);
  assert.equal(gfp.gfpMigratetype(gfp.__GFP_MOVABLE | gfp.__GFP_RECLAIMABLE), 3);
});

test("a request by name means the same in every era, and a name that the kernel lacks is refused", () => {
  const zones = [{ name: "Normal", startPfn: 0, pages: 1024 }];
  const bits = (era: string, text: string): string =>
    `0x${gfpOf(bootMemory({ era, zones }), text).toString(16)}`;
  const kernels = ["2.6.9", "2.6.18", "4.19", "6.1", "6.12"];
  assert.deepEqual(
    kernels.map((era) => bits(era, "GFP_KERNEL")),
    ["0xd0", "0xd0", "0x6000c0", "0xcc0", "0xcc0"],
  );
  assert.deepEqual(
    kernels.slice(1).map((era) => bits(era, "GFP_ATOMIC|__GFP_ZERO")),
    ["0x8020", "0x488020", "0xb20", "0x920"],
  );
  assert.throws(() => bits("2.6.9", "GFP_ATOMIC|__GFP_ZERO"), /no GFP flag of this name/);
  assert.equal(bits("2.6.11", "GFP_ATOMIC|__GFP_ZERO"), "0x8020");
  assert.throws(() => bits("2.6.18", "GFP_HIGHUSER_MOVABLE"), /no GFP flag of this name/);
  assert.throws(() => bits("6.1", ""), /no GFP flag of this name/);
});
