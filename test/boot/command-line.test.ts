// Goal: each parameter about memory is read as the kernel reads it, traps are reported with their place
// and a mend, and nothing on a line can make the parser fail. Method: every captured command line, a
// table of values and what the kernel makes of them, and fuzzing.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Outcome } from "../../src/base/issue.ts";
import { type CommandLine, parseCommandLine } from "../../src/boot/command-line.ts";
import { memparse } from "../../src/boot/memparse.ts";
import { PARAMETERS } from "../../src/boot/parameters.ts";
import { nearestName, splitWords } from "../../src/boot/words.ts";
import type { Arch } from "../../src/kernels/policy.ts";
import { corpusNames } from "../support/corpus.ts";
import { bootOf } from "../support/hardware.ts";

const KIB = 1024;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

function parse(text: string, arch: Arch = "x86_64"): Outcome<CommandLine> {
  return parseCommandLine(text, arch, 4096);
}

/** The line's value, which must be without issues. */
function clean(text: string, arch: Arch = "x86_64"): CommandLine {
  const { value, issues } = parse(text, arch);
  assert.deepEqual(issues, [], text);
  return value;
}

/** The line's value, and the message of its one issue. */
function trap(
  text: string,
  arch: Arch = "x86_64",
): { value: CommandLine; message: string; mend: string } {
  const { value, issues } = parse(text, arch);
  assert.equal(issues.length, 1, `${text}: ${issues.map(({ message }) => message).join("; ")}`);
  assert.ok(
    text.includes((issues[0]?.source ?? "-").replace(/…$/, "")),
    "the issue names its place",
  );
  return { value, message: issues[0]?.message ?? "", mend: issues[0]?.mend ?? "" };
}

test("command lines of all captures are read without an issue", () => {
  for (const name of corpusNames()) {
    const { commandLine, hardware } = bootOf(name);
    const { value, issues } = parse(commandLine, hardware.arch);
    assert.deepEqual(issues, [], name);
    assert.equal(
      value.logBufBytes,
      Number(/log_buf_len=(\d+)/.exec(commandLine)?.[1]) *
        (commandLine.includes("log_buf_len=1M") ? MIB : KIB),
      name,
    );
    assert.equal(value.kaslr, !commandLine.includes("nokaslr"), name);
  }
});

test("numbers are the kernel's memparse(): radix by prefix, one suffix, the rest left", () => {
  const table: [string, number, number][] = [
    ["512M", 512 * MIB, 4],
    ["1g", GIB, 2],
    ["0x1000", 4096, 6],
    ["0x10K", 16 * KIB, 5],
    ["010", 8, 3],
    ["08", 0, 1],
    ["0xg", 0, 1],
    ["0x10E", 0x10e, 5],
    ["1T", 2 ** 40, 2],
    ["4P", 2 ** 52, 2],
    ["64M@0", 64 * MIB, 3],
    ["M", 0, 0],
    ["", 0, 0],
    ["-1", 0, 0],
    [" 1", 0, 0],
    ["1MB", MIB, 2],
  ];
  for (const [text, value, end] of table) {
    assert.deepEqual(memparse(text), { value, end, capped: false }, text);
  }
  assert.equal(memparse("8E").capped, true);
  assert.equal(memparse("0xffffffffffffffff").value, Number.MAX_SAFE_INTEGER);
});

test("words: quotes, hyphens, tabs, and nothing after --", () => {
  assert.deepEqual(
    splitWords(' a  b="c d" "e f=g h"\tlog-buf-len=1M =x').map(({ name, value }) => [name, value]),
    [
      ["a", null],
      ["b", "c d"],
      ["e f", "g h"],
      ["log_buf_len", "1M"],
      ["=x", null],
    ],
  );
  assert.equal(clean('mem="1G" movable-node -- mem=2G kernelcore=1G').edits.length, 1);
  assert.equal(clean("movable-node").movableNode, true);
});

test("mem= and memmap= keep the order of the line, comma lists included", () => {
  assert.deepEqual(
    clean("memmap=exactmap memmap=640K@0,1G@1M mem=2G memmap=64M$0x10000000").edits,
    [
      { kind: "exactmap" },
      { kind: "add", start: 0, bytes: 640 * KIB },
      { kind: "add", start: MIB, bytes: GIB },
      { kind: "mem", bytes: 2 * GIB },
      { kind: "reserve", start: 0x10000000, bytes: 64 * MIB },
    ],
  );
  assert.deepEqual(clean("memmap=1M#2M,1M!3M,4G,1M%5M-1+2,1M%6M+12,1M%7M-2").edits, [
    { kind: "acpi", start: 2 * MIB, bytes: MIB },
    { kind: "protected", start: 3 * MIB, bytes: MIB },
    { kind: "limit", bytes: 4 * GIB },
    { kind: "retype", start: 5 * MIB, bytes: MIB, from: 1, to: 2 },
    { kind: "retype", start: 6 * MIB, bytes: MIB, from: null, to: 12 },
    { kind: "retype", start: 7 * MIB, bytes: MIB, from: 2, to: null },
  ]);
  assert.deepEqual(clean("mem=512M@0x80000000", "arm").edits, [
    { kind: "mem", bytes: 512 * MIB, start: 0x80000000 },
  ]);
});

test("an eaten $ is read as the kernel reads it, and explained", () => {
  for (const text of ["memmap=64M0x10000000", "memmap=64Mx10000000"]) {
    const { value, message, mend } = trap(text);
    assert.deepEqual(value.edits, [{ kind: "limit", bytes: 64 * MIB }]);
    assert.match(message, /all RAM above 64M is lost.*eaten the \$/);
    assert.match(mend, /memmap=64M\\\$0x10000000/);
  }
  assert.match(trap("memmap=64MB$0x10000000").mend, /suffixes have no B/);
  const address = trap("memmap=64M$16Mjunk");
  assert.deepEqual(address.value.edits, [{ kind: "reserve", start: 16 * MIB, bytes: 64 * MIB }]);
  assert.equal(address.message, 'the kernel does not read "junk"');
  assert.match(trap("memmap=64M@").message, /no address after the @/);
  assert.deepEqual(trap("memmap=$0x10000000").value.edits, []);
});

test("values the kernel refuses, ignores or half reads", () => {
  assert.deepEqual(trap("mem=0").value.edits, []);
  assert.deepEqual(trap("mem=lots").value.edits, []);
  assert.deepEqual(trap("mem").value.edits, []);
  assert.deepEqual(trap("mem=1GB").value.edits, [{ kind: "mem", bytes: GIB }]);
  assert.deepEqual(trap("mem=1G@2G").value.edits, [{ kind: "mem", bytes: GIB }]);
  assert.deepEqual(trap("memmap=64M$16M", "arm64").value.edits, []);
  assert.equal(trap("highmem=512M").value.highmemBytes, null);
  assert.equal(trap("vmalloc=64M").value.vmallocBytes, null);
  assert.equal(trap("kernelcore=150%").message, "more than 100 % of memory");
  assert.equal(trap("transparent_hugepage=sometimes").value.transparentHugepage, null);
  assert.equal(trap("nr_cpus=0").value.nrCpus, null);
  assert.equal(trap("swiotlb=64M").value.swiotlb.slots, 64);
  assert.equal(trap("log_buf_len=8G").value.logBufBytes, 2 ** 31);
  assert.equal(trap("cma=64M@1G-1G").value.cma?.limit, GIB);
  assert.deepEqual(trap("crashkernel=lots").value.crashkernel, ["lots"]);
  assert.deepEqual(trap("numa=fakes").value.numa, { kind: "auto" });
});

test("repeated parameters: the last wins, or they add up, as in the kernel", () => {
  assert.deepEqual(clean("kernelcore=1G kernelcore=30%").kernelcore, {
    kind: "percent",
    percent: 30,
  });
  assert.deepEqual(clean("kernelcore=mirror kernelcore=1G").kernelcore, { kind: "mirror" });
  assert.equal(clean("vmalloc=64M vmalloc=128M", "i386").vmallocBytes, 128 * MIB);
  assert.deepEqual(clean("crashkernel=1G,high crashkernel=64M,low").crashkernel, [
    "1G,high",
    "64M,low",
  ]);
  assert.deepEqual(clean("iommu=soft iommu=pt,off").iommu, ["soft", "pt", "off"]);
  assert.deepEqual(clean("swiotlb=1024 swiotlb=force").swiotlb, {
    slots: 1024,
    areas: null,
    force: true,
    noforce: false,
  });
  assert.deepEqual(clean("swiotlb=65536,4,noforce").swiotlb, {
    slots: 65536,
    areas: 4,
    force: false,
    noforce: true,
  });
  assert.deepEqual(clean("numa=fake=4 numa=off").numa, { kind: "fake", text: "4", over: "off" });
  assert.deepEqual(clean("numa=off").numa, { kind: "off" });
});

test("cma, hugetlb_cma, crashkernel and CPUs", () => {
  assert.deepEqual(clean("cma=16M@0x60000000-0x80000000", "arm64").cma, {
    bytes: 16 * MIB,
    base: 0x60000000,
    limit: 0x80000000,
  });
  assert.deepEqual(clean("cma=0").cma, { bytes: 0, base: 0, limit: 0 });
  assert.equal(clean("hugetlb_cma=0:1G,1:2G").hugetlbCmaBytes, 3 * GIB);
  for (const form of [
    "64M",
    "64M@16M",
    "1G,high",
    "512M-2G:64M,2G-:128M@16M",
    "0x4000000@0x1000000",
  ]) {
    assert.deepEqual(clean(`crashkernel=${form}`).crashkernel, [form]);
  }
  const cpus = clean("maxcpus=2 nr_cpus=4 possible_cpus=8");
  assert.deepEqual([cpus.maxCpus, cpus.nrCpus, cpus.possibleCpus], [2, 4, 8]);
  assert.equal(clean("log_buf_len=3M").logBufBytes, 4 * MIB);
});

test("huge pages: counts belong to the size before them", () => {
  const pages = (text: string): CommandLine["hugePages"] => clean(text).hugePages;
  assert.deepEqual(pages("hugepages=64"), [{ pageBytes: null, count: 64 }]);
  assert.deepEqual(pages("hugepagesz=1G hugepages=2 hugepagesz=2M hugepages=512"), [
    { pageBytes: GIB, count: 2 },
    { pageBytes: 2 * MIB, count: 512 },
  ]);
  assert.deepEqual(pages("hugepages=3 default_hugepagesz=1G"), [{ pageBytes: GIB, count: 3 }]);
  assert.deepEqual(pages("hugepages=0:3,1:010"), [{ pageBytes: null, count: 13 }]);
  assert.deepEqual(trap("hugepages=1 hugepages=2").value.hugePages, [
    { pageBytes: null, count: 1 },
  ]);
  const refused = parse("hugepagesz=3M hugepages=2");
  assert.deepEqual([refused.value.hugePages, refused.issues.length], [[], 2]);
});

test("misspelled names are reported, the many names of others are not", () => {
  const table: [string, string][] = [
    ["movablcore=1G", "movablecore"],
    ["swiotbl=force", "swiotlb"],
    ["kernalcore=1G", "kernelcore"],
    ["mem_map=1G$2G", "memmap"],
    ["crashkernal=64M", "crashkernel"],
    ["hugepage=4", "hugepages"],
    ["movable_nodes", "movable_node"],
    ["transparent_hugepages=never", "transparent_hugepage"],
  ];
  for (const [text, meant] of table)
    assert.match(trap(text).mend, new RegExp(`^write ${meant}\\b`), text);
  clean(
    "root=/dev/sda1 ro quiet memtest=4 memblock=debug numa_balancing=disable intel_iommu=on iommu.strict=1 " +
      "isolcpus=1 nohz_full=1 memory_corruption_check=1 mem_encrypt=on mem_sleep_default=deep highres=off " +
      "hugetlb_free_vmemmap=on cgroup_enable=memory memhp_default_state=online crash_kexec_post_notifiers " +
      "slab_nomerge page_owner=on vmalloc.x=1 kasan=off maxcpu.foo=1",
  );
  assert.equal(nearestName("memmap", ["memmap"]), "memmap");
});

test("nothing on a line makes the parser throw, grow or depend on what follows it", () => {
  const names = [...PARAMETERS.keys()];
  const value = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.stringMatching(/^[0-9xKMGTPE@#$!%,:+-]{0,24}$/),
    fc.constantFrom("fake=4", "9".repeat(400), "0x", "1G-2G:64M", "mirror", "force"),
  );
  const word = fc.tuple(fc.constantFrom(...names), value).map(([name, text]) => `${name}=${text}`);
  const line = fc.oneof(
    fc.array(word, { maxLength: 12 }).map((words) => words.join(" ")),
    fc.string(),
  );
  fc.assert(
    fc.property(
      line,
      fc.constantFrom<Arch>("x86_64", "i386", "arm", "arm64", "custom"),
      (text, arch) => {
        const { value: parsed, issues } = parse(text, arch);
        assert.ok(issues.length <= 100);
        for (const edit of parsed.edits) {
          if (edit.kind !== "exactmap")
            assert.ok(Number.isSafeInteger(edit.bytes) && edit.bytes >= 0);
        }
        // A word more at the end changes nothing before it, quotes apart.
        if (text.includes('"') || text.includes("--")) return;
        const longer = parse(`${text} quiet`, arch).value;
        assert.deepEqual({ ...longer, text: "" }, { ...parsed, text: "" });
      },
    ),
    { numRuns: 2000 },
  );
  const long = parse(`${"memmap=1 ".repeat(40000)}`);
  assert.ok(long.issues.length <= 101);
});
