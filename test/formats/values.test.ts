// Goal: versions and one-value files mean what the kernel meant. Method: examples of each form,
// real ones where the corpus has them, and properties for lists of ids.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { readText } from "../../src/formats/reader.ts";
import {
  choiceReader,
  idListReader,
  lineReader,
  numbersReader,
  sysctlReader,
} from "../../src/formats/values.ts";
import { compareVersions, parseVersion } from "../../src/formats/version.ts";
import { corpusFiles, corpusNames } from "../support/corpus.ts";

test("versions of the corpus: upstream numbers, flavour, distribution", () => {
  const seen = new Map<string, string>();
  for (const name of corpusNames()) {
    const { value, issues } = parseVersion(corpusFiles(name).get("version") ?? "");
    expect.deepEqual(issues, [], name);
    const { numbers, flavour, distribution } = value;
    seen.set(value.release, `${numbers.join(".")} ${flavour} ${distribution}`);
  }
  expect.equal(seen.get("6.1.0-50-amd64"), "6.1.176 amd64 Debian 6.1.176-1");
  expect.equal(seen.get("6.1.0-50-686"), "6.1.176 686 Debian 6.1.176-1");
  expect.equal(seen.get("6.1.0-50-armmp-lpae"), "6.1.176 armmp-lpae Debian 6.1.176-1");
  expect.equal(seen.get("5.10.0-32-686-pae"), "5.10.223 686-pae Debian 5.10.223-1");
  expect.equal(seen.get("6.12.95+deb12-arm64"), "6.12.95 arm64 Debian 6.12.95-1~bpo12+1");
});

test("versions of other distributions and ages", () => {
  const cases: [string, string, string | null, string | null][] = [
    ["2.6.16 (a@b) (gcc version 4.1.0) #3 PREEMPT Tue", "2.6.16", null, null],
    ["5.4.0-97-generic (b@c) (gcc) #110-Ubuntu SMP Thu", "5.4.0", "generic", "Ubuntu 110-Ubuntu"],
    [
      "5.4.0-97-generic (b@c) (gcc) #110-Ubuntu SMP Thu (Ubuntu 5.4.0-97.110-generic 5.4.162)",
      "5.4.162",
      "generic",
      "Ubuntu 5.4.0-97.110-generic",
    ],
    ["4.18.0-80.el8.x86_64 (m@r) (gcc) #1 SMP Wed", "4.18.0", null, "Red Hat el8"],
    ["6.8-rc1 (a@b) #1 SMP", "6.8.0", null, null],
    ["6.12.95+deb12-686 (d) #1 SMP", "6.12.95", "686", null],
    [
      "6.1.0-0.deb11.13-cloud-amd64 (d) #1 SMP Debian 6.1.55-1~bpo11+1 (2023-10-08)",
      "6.1.55",
      "cloud-amd64",
      "Debian 6.1.55-1~bpo11+1",
    ],
    ["5.10.0-32-amd64 (d) #1 SMP Debian 6.1.1-1 (2024-08-10)", "5.10.0", "amd64", "Debian 6.1.1-1"],
  ];
  for (const [text, numbers, flavour, distribution] of cases) {
    const { value, issues } = parseVersion(`Linux version ${text}\n`);
    expect.deepEqual(issues, [], text);
    expect.deepEqual(
      [value.numbers.join("."), value.flavour, value.distribution],
      [numbers, flavour, distribution],
    );
  }
  expect.deepEqual(
    parseVersion("Linux version 6.1.0 (x) #1 SMP PREEMPT_DYNAMIC Debian").value.features,
    ["SMP", "PREEMPT_DYNAMIC"],
  );
});

test("what is no version is an error", () => {
  for (const text of ["", "FreeBSD 14.1", "Linux version x", "Linux version\n6.1"]) {
    expect.deepEqual(
      parseVersion(text).issues.map((issue) => issue.severity),
      ["error"],
      text,
    );
  }
});

test("versions have an order", () => {
  expect.ok(compareVersions([5, 10, 223], [6, 1, 0]) < 0);
  expect.ok(compareVersions([6, 12, 95], [6, 1, 176]) > 0);
  expect.equal(compareVersions([6, 1, 176], [6, 1, 176]), 0);
});

test("sysctls are numbers, vectors or words", () => {
  const sysctl = (text: string) => readText(sysctlReader("x"), text);
  expect.deepEqual(sysctl("256\t256\t32\t0\t0\n").value, [256, 256, 32, 0, 0]);
  expect.deepEqual(sysctl("-1\n").value, [-1]);
  expect.equal(sysctl("Node\n").value, "Node");
  expect.equal(sysctl("\n").value, null);
  expect.deepEqual(
    sysctl("1\n2\n").issues.map((issue) => issue.line),
    [2],
  );
  expect.deepEqual(sysctl("90112").issues, []);
  expect.equal(readText(numbersReader("x"), "10 x\n").value, null);
  expect.equal(readText(lineReader("cmdline"), "a=1  b\n").value, "a=1  b");
});

test("id lists: ranges, the empty set, and what is neither", () => {
  const ids = (text: string) => readText(idListReader("online"), text);
  expect.deepEqual(ids("0-1,3\n").value, [0, 1, 3]);
  expect.deepEqual(ids("\n").value, []);
  for (const text of ["0-4294967295\n", "3-1\n", "a\n", "0-3:1/2\n", "1,,2\n"]) {
    const { value, issues } = ids(text);
    expect.equal(value, null, text);
    expect.equal(issues.length, 1, text);
  }
  expect.equal(ids("").value, null);
  const check = (list: number[]): void => {
    const sorted = [...new Set(list)].sort((a, b) => a - b);
    expect.deepEqual(ids(`${sorted.join(",")}\n`).value, sorted);
    expect.deepEqual(ids(`${list.map((id) => `${id}-${id}`).join(",")}\n`).value, sorted);
  };
  fc.assert(fc.property(fc.array(fc.nat({ max: 1023 }), { minLength: 1, maxLength: 40 }), check));
});

test("the chosen word is the one in brackets", () => {
  const chosen = (text: string) => readText(choiceReader("enabled"), text).value;
  expect.equal(chosen("[always] madvise never\n"), "always");
  expect.equal(chosen("always madvise [never]\n"), "never");
  expect.equal(chosen("always madvise never\n"), null);
  expect.equal(chosen("[always] [never]\n"), null);
});
