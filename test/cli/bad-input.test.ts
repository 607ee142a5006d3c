// Whatever is wrong with arguments or files, the user gets one clear line with the place and the
// exit code that tells usage (2) from input (3), and never a stack trace. Each row of the table is
// a file or an argument that people really get wrong; the last test throws random bytes.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { corpusFiles } from "../support/corpus.ts";
import { blob, node } from "../support/fdt-writer.ts";
import { machine, packed, type Run, run, scratch } from "./run.ts";

const CAPTURE = packed("x86_64-6.1-2G");
const YAML = "name: m\narch: x86_64\nkernel: 6.1.0-50-amd64\n";

function complains({ code, out, err }: Run, wanted: number, words: RegExp): void {
  assert.equal(code, wanted, err);
  assert.equal(out, "");
  assert.match(err, words);
  assert.doesNotMatch(err, /\n\s+at /, "a stack trace");
  for (const line of err.trimEnd().split("\n")) assert.match(line, /^zonewright: \S/);
}

describe("arguments", () => {
  const rows: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["unknown command", ["plann", CAPTURE], /plann: there is no such command; did you mean plan/],
    ["unknown option", ["plan", CAPTURE, "--sett", "a=1"], /--sett/],
    ["no machine", ["plan"], /machine/],
    ["unknown sysctl", ["plan", CAPTURE, "--sysctl", "min_free_kbyte=1"], /min_free_kbytes/],
    ["sysctl in words", ["plan", CAPTURE, "--sysctl", "min_free_kbytes=lots"], /"lots"/],
    ["negative sysctl", ["plan", CAPTURE, "--sysctl", "min_free_kbytes=-1"], /"-1"/],
    ["sysctl without value", ["plan", CAPTURE, "--sysctl", "min_free_kbytes"], /NAME=VALUE/],
    ["two values", ["plan", CAPTURE, "--sysctl", "min_free_kbytes=1 2"], /one number/],
    [
      "refused by the kernel",
      ["plan", CAPTURE, "--sysctl", "watermark_scale_factor=0"],
      /--sysctl/,
    ],
    ["no RAM", ["plan", CAPTURE, "--ram", "0"], /--ram/],
    ["RAM in words", ["plan", CAPTURE, "--ram", "much"], /"much"/],
    ["no CPUs", ["plan", CAPTURE, "--cpus", "0"], /--cpus/],
    ["kernel in words", ["plan", CAPTURE, "--kernel", "newest"], /--kernel/],
    ["kernel too old", ["plan", CAPTURE, "--kernel", "2.4"], /--kernel/],
    ["wide device", ["plan", CAPTURE, "--device", "nic:65"], /--device/],
    ["nameless device", ["plan", CAPTURE, "--device", "32"], /--device/],
    ["managed in words", ["plan", CAPTURE, "--managed", "DMA=few"], /--managed/],
    ["managed twice", ["plan", CAPTURE, "--managed", "DMA=1,DMA=2"], /DMA is there twice/],
    [
      "unknown zone, in one line",
      ["plan", CAPTURE, "--managed", "N0/DMX=1"],
      /^[^\n]*no zone "N0\/DMX"; zones are N0\/DMA, N0\/DMA32\n$/,
    ],
    [
      "zones without pages, in one line",
      ["plan", packed("x86_64-6.1-6G-kernelcore1G"), "--managed", "DMA=3840"],
      /^[^\n]*of N0\/DMA32, N0\/Movable are missing[^\n]*\n$/,
    ],
    [
      "beyond int",
      ["plan", CAPTURE, "--sysctl", "min_free_kbytes=4000000000"],
      /at most 2147483647/,
    ],
    ["more than all", ["plan", CAPTURE, "--sysctl", "min_free_kbytes=101%"], /101%/],
    ["share of a ratio", ["plan", CAPTURE, "--sysctl", "lowmem_reserve_ratio=5%"], /"5%"/],
    ["no parameter", ["plan", CAPTURE, "--set", "=128M"], /--set/],
    ["unknown effect", ["diff", CAPTURE, CAPTURE, "--fail-on", "bounces"], /--fail-on.*bounce,/],
    ["unknown schema", ["schema", "plans"], /plan, check/],
  ];
  for (const [name, args, words] of rows) {
    test(name, async () => complains(await run(args), 2, words));
  }
});

describe("descriptions", () => {
  const rows: readonly (readonly [string, string, RegExp])[] = [
    ["empty", "", /mapping/],
    ["no YAML", "name: [unclosed", /m\.yaml:\d+: /],
    ["a list", "- a\n- b\n", /mapping/],
    ["unknown key", `${YAML}ramm: 4G\n`, /m\.yaml:4: .*"ram"/],
    ["RAM zero", `${YAML}ram: 0\n`, /m\.yaml:4: .*zero/],
    ["RAM in words", `${YAML}ram: much\n`, /m\.yaml:4: .*"much"/],
    ["no memory", YAML, /no memory/],
    ["RAM and map", `${YAML}ram: 4G\nmemory: [0x0-0xfffffff]\n`, /m\.yaml:4: .*both/],
    [
      "overlap",
      `${YAML}memory:\n  - 0x0-0xfffffff\n  - 0x8000000-0x1fffffff\n`,
      /m\.yaml:6: .*overlaps/,
    ],
    ["range backwards", `${YAML}memory:\n  - 0x2000-0x1000\n`, /m\.yaml:5: .*empty/],
    ["end of unclear meaning", `${YAML}memory:\n  - { start: 0, end: 4G }\n`, /m\.yaml:5: .*end/],
    ["unknown type", `${YAML}memory:\n  - 0x0-0xfffffff usabel\n`, /m\.yaml:5: .*usable/],
    ["unknown arch", "name: m\narch: x86-64\nkernel: 6.1\nram: 1G\n", /m\.yaml:2: .*x86_64/],
    ["no kernel", "arch: arm64\nram: 1G\n", /kernel/],
    ["kernel in words", "arch: arm64\nkernel: new\nram: 1G\n", /m\.yaml:2: /],
    ["zones elsewhere", `${YAML}ram: 1G\nzones: [{ name: A, limit: rest }]\n`, /custom/],
    [
      "node twice",
      `${YAML}nodes:\n  - { id: 0, memory: [0x0-0xfffffff] }\n  - { id: 0 }\n`,
      /m\.yaml:6: .*twice/,
    ],
    ["wide device", `${YAML}ram: 1G\ndevices: ["nic:99"]\n`, /m\.yaml:5: .*device/],
    ["alias", `${YAML}ram: &a 1G\nbase: *a\n`, /m\.yaml:5: /],
    ["key twice", `${YAML}ram: 1G\nram: 2G\n`, /m\.yaml:\d: .*unique; keep one/i],
    ["alias for a device", `${YAML}ram: &a 1G\ndevices: [*a]\n`, /m\.yaml:5: .*alias/],
    ["two documents", `${YAML}ram: 1G\n---\nname: n\n`, /m\.yaml:5: a second document/],
    ["nested lists", `a: ${"[".repeat(5000)}`, /^[^\n]*m\.yaml:1: .*nested too deeply[^\n]*\n$/],
    ["less than a page", `${YAML}ram: 100\n`, /leave no RAM.*give more RAM/],
    ["base on a PC", `${YAML}ram: 1G\nbase: 1G\n`, /m\.yaml:5: base means nothing on x86_64/],
    ["DMA limit on a PC", `${YAML}ram: 1G\ndmaLimit: 1G\n`, /m\.yaml:5: dmaLimit/],
    [
      "CPU in two nodes",
      `${YAML}nodes:\n  - { id: 0, memory: [0x0-0xfffffff], cpus: 0-1 }\n  - { id: 1, cpus: 1 }\n`,
      /m\.yaml:6: CPU 1 is in two nodes/,
    ],
    [
      "half a page",
      "arch: custom\nkernel: 6.1\nram: 1G\nzones: [{ name: A, limit: 1000 }]\n",
      /m\.yaml:4: .*whole number of pages/,
    ],
  ];
  for (const [name, text, words] of rows) {
    test(name, async (t) => {
      const path = join(scratch(t), "m.yaml");
      writeFileSync(path, text);
      complains(await run(["plan", path]), 3, words);
    });
  }

  test("limits that cross", async (t) => {
    const path = join(scratch(t), "m.yaml");
    const zones = "zones:\n  - { name: A, limit: 1G }\n  - { name: B, limit: 16M }\n";
    writeFileSync(path, `arch: custom\nkernel: 6.1\nram: 4G\n${zones}`);
    complains(await run(["plan", path]), 3, /m\.yaml:6: the limit of B is not above that of A/);
  });

  test("CRLF is fine", async (t) => {
    const path = join(scratch(t), "m.yaml");
    writeFileSync(path, `${YAML}ram: 1G\n`.replaceAll("\n", "\r\n"));
    assert.equal((await run(["plan", path, "--json"])).code, 0);
  });
});

describe("files", () => {
  const capture = corpusFiles("x86_64-6.1-2G");

  function folder(base: string, files: Readonly<Record<string, string | Uint8Array>>): string {
    const path = join(base, "capture");
    mkdirSync(path);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
    return path;
  }
  const rest = Object.fromEntries(
    ["version", "cmdline", "cpuinfo", "config", "dmesg", "zoneinfo"].map((name) => [
      name,
      capture.get(name) ?? "",
    ]),
  );

  test("a missing path, an empty folder, a wrong suffix, an empty archive", async (t) => {
    const base = scratch(t);
    complains(await run(["plan", join(base, "gone")]), 3, /gone: there is no such file/);
    complains(await run(["check", join(base, "gone")]), 3, /gone: there is no such file/);
    complains(await run(["plan", base]), 3, /no file of a capture/);
    writeFileSync(join(base, "m.txt"), YAML);
    complains(await run(["plan", join(base, "m.txt")]), 3, /m\.txt: it is not a machine/);
    writeFileSync(join(base, "x.tar.gz"), "");
    complains(await run(["plan", join(base, "x.tar.gz")]), 3, /the file is empty/);
    complains(await run(["check", join(base, "x.tar.gz")]), 3, /the file is empty/);
    complains(await run(["plan", "-"]), 3, /nothing came on standard input/);
  });

  test("a devicetree blob that is cut, names no memory, or is of an unknown core", async (t) => {
    const path = join(scratch(t), "board.bin");
    writeFileSync(path, Uint8Array.of(0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 72));
    complains(await run(["plan", path]), 3, /board.bin: the header is cut at 8 bytes; copy/);
    const core = node("cpu@0", { device_type: "cpu", compatible: "example,core" });
    writeFileSync(path, blob(node("", {}, node("cpus", {}, core))));
    complains(await run(["plan", path]), 3, /which architecture .*; say which .*--arch arm64/);
    complains(await run(["plan", path, "--arch", "vax"]), 2, /--arch: "vax" is not/);
    complains(await run(["plan", path, "--arch", "arm64"]), 3, /names no memory: .*--ram/);
    complains(await run(["check", path]), 3, /it is not an archive of a capture/);
  });

  test("a devicetree source without its compiler, or that the compiler does not take", async (t) => {
    const path = join(scratch(t), "board.dts");
    writeFileSync(path, "no source at all");
    complains(
      await run(["plan", path]),
      3,
      /needs dtc: dtc is not installed; install|dtc does not take it/,
    );
  });

  test("an archive that is cut, damaged, no tar, or unpacks without end", async (t) => {
    const base = scratch(t);
    const gz = gzipSync(new Uint8Array(4096).fill(65));
    const write = (name: string, bytes: Uint8Array): string => {
      writeFileSync(join(base, name), bytes);
      return join(base, name);
    };
    complains(await run(["check", write("cut.tar.gz", gz.subarray(0, 20))]), 3, /damaged or cut/);
    complains(await run(["check", write("a.tar.gz", gz)]), 3, /not a tar archive/);
    const bomb = gzipSync(new Uint8Array(300 * 1024 ** 2), { level: 9 });
    assert.ok(bomb.length < 1024 ** 2);
    complains(await run(["check", write("bomb.tar.gz", bomb)]), 3, /more than 256 MiB/);
    complains(await run(["plan", "-"], { stdin: bomb }), 3, /more than 256 MiB/);
  });

  test("a zoneinfo that is cut, binary, or a folder", async (t) => {
    const cut = { ...rest, zoneinfo: (rest["zoneinfo"] ?? "").slice(0, 900) };
    complains(await run(["check", folder(scratch(t), cut)]), 3, /zoneinfo/);
    const binary = { ...rest, zoneinfo: Uint8Array.of(1, 0, 2, 0) };
    complains(await run(["check", folder(scratch(t), binary)]), 3, /zoneinfo: .*binary/);
    const { zoneinfo: _left, ...without } = rest;
    const path = folder(scratch(t), without);
    mkdirSync(join(path, "zoneinfo"));
    complains(await run(["check", path]), 3, /zoneinfo: it is a folder/);
  });

  test("an empty log, as dmesg leaves without root, does not stop a plan", async (t) => {
    const map = capture.get("firmware_memmap") ?? "";
    const path = folder(scratch(t), { ...rest, dmesg: "", firmware_memmap: map });
    const { code, out } = await run(["plan", path]);
    assert.equal(code, 0);
    assert.match(out, /the log is empty; [^:]*root/);
  });

  test("a description of gigabytes is refused unread", async (t) => {
    const path = join(scratch(t), "m.yaml");
    writeFileSync(path, "");
    truncateSync(path, 2 ** 31);
    complains(await run(["plan", path]), 3, /2048 MiB are too many for a description; .* 1 MiB/);
  });

  test("a pipe is refused, not waited for", async (t) => {
    const base = scratch(t);
    const pipe = join(base, "m.yaml");
    execFileSync("mkfifo", [pipe]);
    complains(await run(["plan", pipe]), 3, /neither a folder nor a file; pipe it/);
    const { dmesg: _left, ...without } = rest;
    const path = folder(base, without);
    execFileSync("mkfifo", [join(path, "dmesg")]);
    complains(await run(["plan", path]), 3, /dmesg: it is no ordinary file/);
  });

  test("an archive of nothing but paths outside it, and one of a path to a capture", async (t) => {
    const base = scratch(t);
    const unpacked = folder(base, rest);
    const tar = (name: string, ...args: string[]): string => {
      execFileSync("tar", ["-czf", join(base, name), ...args]);
      return join(base, name);
    };
    const outside = tar("o.tgz", "-P", "-C", unpacked, "../capture/dmesg");
    complains(await run(["check", outside]), 3, /no file in the archive can be used/);
    const nested = tar("n.tgz", "-C", "/", unpacked.slice(1));
    assert.equal((await run(["check", nested])).code, 0);
  });

  test("a zone larger than the map allows is a difference, not a wrong argument", async (t) => {
    const { dmesg: _left, ...without } = rest;
    const map = `${capture.get("firmware_memmap") ?? ""}0x200000 0x3ffffff Reserved\n`;
    const path = folder(scratch(t), { ...without, firmware_memmap: map });
    const { code, out, err } = await run(["check", path]);
    assert.equal(code, 1, err);
    assert.match(out, /N0\/DMA32 +present /);
  });

  test("plan needs the kernel that a capture does not name, check goes by zoneinfo's own numbers", async (t) => {
    const { version: _version, dmesg: _dmesg, ...without } = rest;
    const map = capture.get("firmware_memmap") ?? "";
    const path = folder(scratch(t), { ...without, firmware_memmap: map });
    complains(await run(["plan", path]), 3, /give --kernel/);
    // Without it the numbers alone are checked, by the newest rules that fit, and it says so.
    const alone = await run(["check", path]);
    assert.equal(alone.code, 0);
    assert.match(alone.out, /kernel \(not told: of the rules of/);
    assert.equal((await run(["check", path, "--kernel", "6.1.0-50-amd64"])).code, 0);
  });

  test("plan never opens what it predicts, not even when it cannot be read", async (t) => {
    const poisoned = {
      ...rest,
      zoneinfo: Uint8Array.of(0, 1, 2),
      buddyinfo: "\0",
      pagetypeinfo: "\0",
    };
    const path = folder(scratch(t), poisoned);
    for (const name of ["zoneinfo", "buddyinfo", "pagetypeinfo"]) chmodSync(join(path, name), 0);
    const { code, out } = await run(["plan", path, "--json"]);
    assert.equal(code, 0);
    const honest = await run(["plan", folder(scratch(t), rest), "--json"]);
    assert.equal(out, honest.out);
  });

  test("random bytes, by any name", async (t) => {
    const base = scratch(t);
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 600 }),
        fc.constantFrom("m.yaml", "m.json", "c.tar.gz", "c.tar.zst", "m.yaml.gz"),
        fc.constantFrom("none", "gzip", "zstd"),
        async (bytes, name, packing) => {
          const magic = { none: [], gzip: [0x1f, 0x8b, 8, 0], zstd: [0x28, 0xb5, 0x2f, 0xfd] }[
            packing
          ];
          writeFileSync(join(base, name), Uint8Array.from([...(magic ?? []), ...bytes]));
          const result = await run(["plan", join(base, name)]);
          complains(result, 3, /^zonewright: /);
        },
      ),
      { numRuns: 150 },
    );
  });
});

test("an example machine survives any one line being removed or doubled", async () => {
  const { readFileSync } = await import("node:fs");
  const lines = readFileSync(machine("two-nodes"), "utf8").split("\n");
  for (let i = 0; i < lines.length; i++) {
    for (const edit of [[], [lines[i] ?? "", lines[i] ?? ""]]) {
      const text = lines.toSpliced(i, 1, ...edit).join("\n");
      const result = await run(["plan", "-", "--json"], { stdin: text });
      if (result.code === 0) assert.equal(JSON.parse(result.out).schema, "zonewright/plan/1");
      else complains(result, 3, /^zonewright: /);
    }
  }
});
