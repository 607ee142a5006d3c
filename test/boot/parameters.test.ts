// Goal: counts, NUMA words and sizes of parameters are read as the kernel reads them, and only on
// the architectures that have them. Method: every edge of each reader, with the value that follows
// and whether anything is said; a value that is refused leaves an earlier one in force.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CommandLine, parseCommandLine } from "../../src/boot/command-line.ts";
import { memparse } from "../../src/boot/memparse.ts";
import type { Arch } from "../../src/kernels/policy.ts";

function read(text: string, arch: Arch = "x86_64"): { line: CommandLine; said: number } {
  const { value, issues } = parseCommandLine(text, arch, 4096);
  return { line: value, said: issues.length };
}

const COUNTS = [
  ["maxcpus", "maxCpus", 0],
  ["nr_cpus", "nrCpus", 1],
  ["possible_cpus", "possibleCpus", 1],
] as const;

for (const [name, field, least] of COUNTS) {
  test(`${name}= is a whole number from ${least} up`, () => {
    const of = (value: string): unknown[] => {
      const { line, said } = read(`${name}${value}`);
      return [line[field], said];
    };
    assert.deepEqual(of("=8"), [8, 0]);
    assert.deepEqual(of(`=${least}`), [least, 0]);
    if (least > 0) assert.deepEqual(of(`=${least - 1}`), [null, 1]);
    for (const bad of ["", "=", "=x", "=4x", "=-1", "=1,2"])
      assert.deepEqual(of(bad), [null, 1], bad);
    const { line } = read(`${name}=4 ${name}=x`);
    assert.equal(line[field], 4);
    assert.equal(read(`${name}=4 ${name}=6`).line[field], 6);
  });
}

test("nosmp is maxcpus=0, and what is said last counts", () => {
  assert.equal(read("nosmp").line.maxCpus, 0);
  assert.equal(read("nosmp maxcpus=2").line.maxCpus, 2);
  assert.equal(read("maxcpus=2 nosmp").line.maxCpus, 0);
  assert.equal(read("quiet").line.maxCpus, null);
});

test("possible_cpus= is a parameter of x86 only", () => {
  assert.equal(read("possible_cpus=4", "i386").line.possibleCpus, 4);
  assert.equal(read("possible_cpus=4", "arm64").line.possibleCpus, null);
  assert.equal(read("nr_cpus=4", "arm64").line.nrCpus, 4);
});

test("numa= knows off, on, fake=, noacpi and nohmat by how they begin", () => {
  const numa = (value: string, arch: Arch = "x86_64"): unknown[] => {
    const { line, said } = read(`numa${value}`, arch);
    return [line.numa, said];
  };
  assert.deepEqual(numa("=off"), [{ kind: "off" }, 0]);
  assert.deepEqual(numa("=offline"), [{ kind: "off" }, 0]);
  assert.deepEqual(numa("=noacpi"), [{ kind: "noacpi" }, 0]);
  assert.deepEqual(numa("=fake=2"), [{ kind: "fake", text: "2" }, 0]);
  for (const silent of ["=on", "=nohmat"]) assert.deepEqual(numa(silent), [{ kind: "auto" }, 0]);
  for (const bad of ["", "=", "=fake", "=ofF", "=ons", "=xoff"]) {
    assert.deepEqual(numa(bad), [{ kind: "auto" }, 1], bad);
  }
  assert.deepEqual(numa("=off", "arm64")[0], { kind: "off" });
  assert.deepEqual(numa("=off", "arm")[0], { kind: "auto" });
});

test("transparent_hugepage= is one of three words", () => {
  for (const word of ["always", "madvise", "never"] as const) {
    const { line, said } = read(`transparent_hugepage=${word}`);
    assert.deepEqual([line.transparentHugepage, said], [word, 0]);
  }
  for (const bad of ["=", "=Never", "=inherit", ""]) {
    const { line, said } = read(`transparent_hugepage=never transparent_hugepage${bad}`);
    assert.deepEqual([line.transparentHugepage, said], ["never", 1], bad);
  }
});

test("log_buf_len= is rounded up to a power of two, 2 GiB at most", () => {
  const bytes = (value: string): unknown[] => {
    const { line, said } = read(`log_buf_len=${value}`);
    return [line.logBufBytes, said];
  };
  assert.deepEqual(bytes("1M"), [2 ** 20, 0]);
  assert.deepEqual(bytes("1048577"), [2 ** 21, 0]);
  assert.deepEqual(bytes("2G"), [2 ** 31, 0]);
  assert.deepEqual(bytes("3G"), [2 ** 31, 1]);
  assert.deepEqual(bytes("1"), [1, 0]);
  assert.deepEqual(bytes("0")[0], null);
});

test("kaslr is on unless nokaslr comes last", () => {
  assert.equal(read("").line.kaslr, true);
  assert.equal(read("nokaslr").line.kaslr, false);
  assert.equal(read("nokaslr kaslr").line.kaslr, true);
  assert.equal(read("kaslr nokaslr").line.kaslr, false);
});

test("sizes of one architecture are not read on another, and the last good one counts", () => {
  const highmem = (text: string, arch: Arch): number | null => read(text, arch).line.highmemBytes;
  assert.equal(highmem("highmem=512M", "i386"), 2 ** 29);
  assert.equal(highmem("highmem=512M", "x86_64"), null);
  assert.equal(highmem("highmem=512M highmem=1G", "i386"), 2 ** 30);
  const vmalloc = (arch: Arch): number | null => read("vmalloc=256M", arch).line.vmallocBytes;
  assert.deepEqual((["i386", "arm", "x86_64", "arm64"] as const).map(vmalloc), [
    2 ** 28,
    2 ** 28,
    null,
    null,
  ]);
});

test("movable_node and the words of iommu= add up", () => {
  assert.equal(read("").line.movableNode, false);
  assert.equal(read("movable_node").line.movableNode, true);
  assert.deepEqual(read("iommu=soft,pt iommu=off iommu=").line.iommu, ["soft", "pt", "off"]);
});

test("numbers up to 2^53 - 1 are exact, larger ones are held there and said to be", () => {
  const most = Number.MAX_SAFE_INTEGER;
  assert.deepEqual(memparse(String(most)), { value: most, end: 16, capped: false });
  assert.deepEqual(memparse("9007199254740992"), { value: most, end: 16, capped: true });
});
