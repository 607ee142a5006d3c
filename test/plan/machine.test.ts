// Goal: the parameters, the era and the build facts of a machine are those that were asked for.
// Method: worked command lines; every option of a configuration switched by itself, in a whole file
// and in an excerpt; page sizes; and for any parameters, that what was set is there once.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Build } from "../../src/boot/hardware.ts";
import { eraNames } from "../../src/kernels/eras.ts";
import type { Arch } from "../../src/kernels/policy.ts";
import { buildFor, changeParameters, commandLineWith, eraFor } from "../../src/plan/machine.ts";
import { MIB } from "./plans.ts";

test("a parameter takes the place of the one of its name, others keep their order", () => {
  assert.equal(changeParameters("", []), "");
  assert.equal(changeParameters(" a=1   quiet\tb ", []), "a=1 quiet b");
  assert.equal(changeParameters("cma=16M quiet", ["cma=64M"]), "quiet cma=64M");
  assert.equal(changeParameters("cma=16M x cma=8M", ["cma=64M"]), "x cma=64M");
  assert.equal(changeParameters("cma", ["cma=64M"]), "cma=64M");
  assert.equal(changeParameters("cmax=1", ["cma=64M"]), "cmax=1 cma=64M");
  assert.equal(changeParameters("quiet", ["mem=1G", "mem=2G"]), "quiet mem=2G");
  assert.equal(changeParameters("a=b=c", ["a=d=e"]), "a=d=e");
});

test("parameters that may be given often are added", () => {
  for (const name of ["memmap", "hugepagesz", "hugepages", "crashkernel"]) {
    assert.equal(changeParameters(`${name}=1 x`, [`${name}=2`]), `${name}=1 x ${name}=2`);
  }
});

test("any parameters: what was set is there, last, once for each name", () => {
  const name = fc.constantFrom("mem", "cma", "quiet", "swiotlb", "numa");
  const word = fc.tuple(name, fc.integer({ min: 0, max: 9 })).map(([n, v]) => `${n}=${v}`);
  fc.assert(
    fc.property(fc.array(word), fc.array(word, { minLength: 1 }), (text, set) => {
      const changed = changeParameters(text.join(" "), set).split(" ");
      assert.equal(changed.at(-1), set.at(-1));
      const names = set.map((own) => own.split("=")[0]);
      for (const own of new Set(names)) {
        const left = changed.filter((other) => other.split("=")[0] === own);
        assert.deepEqual(left, [set.findLast((other) => other.split("=")[0] === own)]);
      }
      assert.equal(changeParameters(changed.join(" "), set), changed.join(" "));
    }),
  );
});

test("what is wrong with a parameter that was set is said", () => {
  const { commandLine, issues } = commandLineWith("cma=16M", { set: ["cma=x"] }, "arm64", 4096);
  assert.notEqual(commandLine.text, "cma=16M");
  assert.ok(issues.length > 0);
  assert.deepEqual(commandLineWith("cma=16M", {}, "arm64", 4096).issues, []);
});

test("an era that does not exist is an error with the names of those that do", () => {
  const issue = eraFor("nonsense", "x86_64");
  assert.ok("severity" in issue);
  assert.equal(issue.severity, "error");
  assert.equal(issue.source, "kernel");
  for (const name of eraNames()) assert.ok(issue.mend?.includes(name), name);
  const era = eraFor("6.1.0-50-amd64", "x86_64");
  assert.ok("policy" in era);
  assert.equal(era.policy.name, "6.1");
});

function build(
  release: string | null,
  arch: Arch,
  config: Readonly<Record<string, string>> | null,
  options: { extended?: boolean; excerpt?: boolean } = {},
): Build {
  const era = eraFor("6.1", arch);
  assert.ok("policy" in era);
  const entries = config && new Map(Object.entries(config).map(([k, v]) => [`CONFIG_${k}`, v]));
  const { extended = false, excerpt = false } = options;
  return buildFor(release, arch, extended, entries, era, excerpt);
}

test("build facts are those of the flavour in the release, else those typical of the machine", () => {
  const named = build("6.1.0-50-686-pae", "i386", null);
  assert.equal(named.flavour, "686-pae");
  assert.equal(named.release, "6.1.0-50-686-pae");
  assert.equal(named.physicalExtension, true);
  assert.equal(named.pageblockPages, 512);
  const plain = build("6.1.0", "i386", null);
  assert.deepEqual(
    [plain.flavour, plain.physicalExtension, plain.pageblockPages],
    [null, false, 1024],
  );
  assert.equal(build("6.1.0", "i386", null, { extended: true }).physicalExtension, true);
  assert.equal(build("6.1.0", "arm", null, { extended: true }).pageblockPages, 512);
  assert.equal(build(null, "arm", null).pageblockPages, 2048);
  assert.equal(build(null, "x86_64", null).zoneDevice, true);
  assert.equal(build(null, "custom", null).zoneDevice, false);
  assert.equal(build(null, "x86_64", {}).numa, true); // an empty file tells nothing
});

test("on arm64 the era says whether there is a Device zone", () => {
  const of = (kernel: string): boolean => {
    const era = eraFor(kernel, "arm64");
    assert.ok("policy" in era);
    return buildFor(null, "arm64", false, null, era).zoneDevice;
  };
  assert.deepEqual([of("6.1"), of("6.12")], [false, true]);
});

const SWITCHES: readonly (readonly [string, Arch, keyof Build])[] = [
  ["ZONE_DMA", "x86_64", "zoneDma"],
  ["ZONE_DMA32", "x86_64", "zoneDma32"],
  ["ZONE_DEVICE", "x86_64", "zoneDevice"],
  ["TRANSPARENT_HUGEPAGE", "x86_64", "thp"],
  ["NUMA", "x86_64", "numa"],
  ["HIGHMEM", "i386", "highmem"],
  ["X86_PAE", "i386", "physicalExtension"],
  ["ARM_LPAE", "arm", "physicalExtension"],
];

for (const [option, arch, fact] of SWITCHES) {
  test(`CONFIG_${option} decides ${fact}; without it a whole file says no`, () => {
    for (const value of ["y", "m"])
      assert.equal(build(null, arch, { [option]: value })[fact], true);
    assert.equal(build(null, arch, { [option]: "n" })[fact], false);
    assert.equal(build(null, arch, { OTHER: "y" })[fact], false);
    // An excerpt says nothing of what it does not name.
    const extended = fact === "physicalExtension";
    const usual = build(null, arch, null, { extended })[fact];
    assert.equal(usual, true);
    assert.equal(build(null, arch, { OTHER: "y" }, { extended, excerpt: true })[fact], true);
    assert.equal(build(null, arch, { [option]: "n" }, { extended, excerpt: true })[fact], false);
  });
}

test("64-bit builds have neither HIGHMEM nor PAE, whatever the file says", () => {
  const own = build(null, "x86_64", { HIGHMEM: "y", X86_PAE: "y", ARM_LPAE: "y" });
  assert.deepEqual([own.highmem, own.physicalExtension], [false, false]);
  assert.equal(build(null, "i386", { ARM_LPAE: "y" }).physicalExtension, false);
  assert.equal(build(null, "arm", { X86_PAE: "y" }).physicalExtension, false);
});

test("a known flavour's file may be an excerpt", () => {
  const own = build("6.1.0-50-amd64", "x86_64", { NUMA: "n" });
  assert.deepEqual([own.numa, own.zoneDma], [false, true]);
  const unknown = build("6.1.0-mine", "x86_64", { NUMA: "n" });
  assert.deepEqual([unknown.numa, unknown.zoneDma], [false, false]);
});

test("CMA needs both options, and its size is that of the file or the usual one", () => {
  const cma = (config: Readonly<Record<string, string>>, excerpt = false): unknown[] => {
    const own = build(null, "arm64", config, { excerpt });
    return [own.cma, own.cmaDefaultBytes / MIB];
  };
  assert.deepEqual(cma({ CMA: "y", DMA_CMA: "y", CMA_SIZE_MBYTES: "24" }), [true, 24]);
  assert.deepEqual(cma({ CMA: "y", DMA_CMA: "y" }), [true, 64]);
  assert.deepEqual(cma({ CMA: "y", CMA_SIZE_MBYTES: "24" }), [false, 0]);
  assert.deepEqual(cma({ DMA_CMA: "y", CMA_SIZE_MBYTES: "24" }), [false, 0]);
  assert.deepEqual(cma({ CMA_SIZE_MBYTES: "24" }, true), [true, 24]);
  assert.deepEqual(cma({ CMA: "n", CMA_SIZE_MBYTES: "24" }, true), [false, 0]);
});

test("transparent huge pages begin as configured", () => {
  const thp = (config: Readonly<Record<string, string>>): string =>
    build(null, "x86_64", { TRANSPARENT_HUGEPAGE: "y", ...config }).thpDefault;
  assert.equal(thp({ TRANSPARENT_HUGEPAGE_ALWAYS: "y" }), "always");
  assert.equal(thp({ TRANSPARENT_HUGEPAGE_MADVISE: "y" }), "madvise");
  assert.equal(thp({ TRANSPARENT_HUGEPAGE_NEVER: "y" }), "never");
});

test("the split of a 32-bit address space is the file's, or the usual one", () => {
  assert.equal(build(null, "i386", { PAGE_OFFSET: "0x80000000" }).pageOffset, 0x80000000);
  assert.equal(build(null, "i386", { OTHER: "y" }).pageOffset, 0xc0000000);
  assert.equal(build(null, "x86_64", { OTHER: "y" }).pageOffset, null);
});

test("arm64 with larger pages has pageblocks of its huge page", () => {
  const sizes = (config: Readonly<Record<string, string>>): unknown[] => {
    const own = build(null, "arm64", config);
    return [own.pageSize, own.pageblockPages, own.maxOrderPages];
  };
  assert.deepEqual(sizes({ ARM64_4K_PAGES: "y" }), [4096, 512, 1024]);
  assert.deepEqual(sizes({ ARM64_16K_PAGES: "y" }), [16384, 2048, 2048]); // 32 MiB
  assert.deepEqual(sizes({ ARM64_64K_PAGES: "y" }), [65536, 8192, 8192]); // 512 MiB
  assert.deepEqual(sizes({ ARM64_64K_PAGES: "n" }), [4096, 512, 1024]);
  assert.deepEqual(sizes({ ARCH_FORCE_MAX_ORDER: "12" }), [4096, 512, 2048]);
  for (const order of ["10", "11"]) {
    assert.deepEqual(sizes({ ARCH_FORCE_MAX_ORDER: order }), [4096, 512, 1024]);
  }
});
