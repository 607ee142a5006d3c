// Goal: the script that collect prints runs in any shell a board has, and what it writes is the
// machine: plan, inspect, check and explain read from it what they read from the files themselves.
// Method: machines of the corpus laid out as /proc and /sys, the script run for real under every
// shell that is installed (busybox with nothing but its own programs), and captures compared.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Capture, readCapture } from "../../src/formats/capture.ts";
import { openCaptureFiles } from "../../src/host/index.ts";
import { readCollected } from "../../src/io/collected.ts";
import { machineFromCapture } from "../../src/plan/index.ts";
import { captureFiles } from "../support/corpus.ts";
import { layOutMachine } from "../support/machine-tree.ts";
import { packed, run, scratch } from "./run.ts";

const NAMES = ["x86_64-6.1-numa3-700M+1900M+2900M", "arm64-6.1-6G-devicetree", "i386pae-5.10-2G"];
const DEVICES = [
  "0000:00:02.0 dma_mask_bits=32 consistent_dma_mask_bits=32 numa_node=-1 driver=e1000",
  "0000:00:03.0 dma_mask_bits=64 consistent_dma_mask_bits=64 numa_node=0 driver=nvme iommu=DMA",
];

interface Shell {
  readonly name: string;
  readonly command: readonly string[];
  /** Only these programs; all of PATH otherwise. */
  readonly programs?: string;
}

function found(command: string): boolean {
  return spawnSync(command, ["--help"], { stdio: "ignore" }).error === undefined;
}

/** Shells that are here. Of busybox every program is its own. */
function shells(folder: string): Shell[] {
  const all: Shell[] = [{ name: "sh", command: ["sh"] }];
  if (found("dash")) all.push({ name: "dash", command: ["dash"] });
  if (found("bash")) all.push({ name: "bash", command: ["bash", "--posix"] });
  if (!found("busybox")) return all;
  const programs = join(folder, "busybox");
  const path = spawnSync("sh", ["-c", "command -v busybox"], { encoding: "utf8" }).stdout.trim();
  mkdirSync(programs);
  const list = spawnSync(path, ["--list"], { encoding: "utf8" }).stdout.trim().split("\n");
  for (const name of list) symlinkSync(path, join(programs, name));
  return [...all, { name: "busybox", command: [path, "sh"], programs }];
}

async function script(folder: string): Promise<string> {
  const { out, code } = await run(["collect"]);
  assert.equal(code, 0);
  const path = join(folder, "collect.sh");
  writeFileSync(path, out);
  return path;
}

function collect(shell: Shell, path: string, root: string, out: string): { readonly err: string } {
  const [command = "sh", ...args] = shell.command;
  const env = { COLLECT_ROOT: root, PATH: shell.programs ?? process.env["PATH"] };
  const result = spawnSync(command, [...args, path, out], { encoding: "utf8", env });
  assert.equal(result.status, 0, `${shell.name}: ${result.stderr}`);
  return { err: result.stderr };
}

async function captureAt(path: string): Promise<Capture> {
  const { value, issues } = await openCaptureFiles(path);
  assert.deepEqual(issues, []);
  assert.ok(value !== null);
  return (await readCapture(value)).value;
}

/** What must be the same; sysctls and options that the script leaves out are not asked. */
function essence(capture: Capture): unknown {
  const {
    name: _name,
    variants: _variants,
    config: _config,
    sysctls,
    sysctlWords: _words,
    devices: _devices,
    ...same
  } = capture;
  const asked = [
    "lowmem_reserve_ratio",
    "min_free_kbytes",
    "watermark_scale_factor",
    "watermark_boost_factor",
    "nr_hugepages",
  ];
  const { value } = machineFromCapture(capture);
  return { ...same, sysctls: asked.map((name) => sysctls.get(name)), build: value?.hardware.build };
}

describe("the script", () => {
  test("gives the same machine under every shell that is here", async (t) => {
    const folder = scratch(t);
    const path = await script(folder);
    for (const name of NAMES) {
      const root = join(folder, name);
      layOutMachine(root, name, DEVICES);
      const wanted = essence((await readCapture(captureFiles(name))).value);
      const texts = new Set<string>();
      for (const shell of shells(join(mkdirs(folder, `${name}-shells`)))) {
        const out = join(folder, `${name}.txt`);
        collect(shell, path, root, out);
        const capture = await captureAt(out);
        assert.deepEqual(essence(capture), wanted, `${shell.name} ${name}`);
        assert.deepEqual(
          capture.devices.map((device) => [
            device.name,
            device.dmaMaskBits,
            device.driver,
            device.iommu,
          ]),
          [
            ["0000:00:02.0", 32, "e1000", false],
            ["0000:00:03.0", 64, "nvme", true],
          ],
        );
        texts.add(readFileSync(out, "utf8"));
      }
      // Programs may set blanks differently around bytes in hexadecimal; the rest is the same text.
      if (name !== NAMES[1]) assert.equal(texts.size, 1, name);
    }
  });

  test("prints to standard output, and is read from standard input and packed", async (t) => {
    const folder = scratch(t);
    const path = await script(folder);
    layOutMachine(folder, NAMES[0] ?? "");
    const { stdout, status } = spawnSync("sh", ["-s", "--", "-"], {
      input: readFileSync(path),
      encoding: "utf8",
      env: { ...process.env, COLLECT_ROOT: folder },
    });
    assert.equal(status, 0);
    const direct = await run(["check", packed(NAMES[0] ?? ""), "--json"]);
    const piped = await run(["check", "-", "--json"], { stdin: stdout });
    assert.equal(piped.code, 0, piped.err);
    const fields = (text: string): unknown => JSON.parse(text).fields;
    assert.equal(fields(piped.out), fields(direct.out));
    for (const command of [
      ["plan", "-"],
      ["inspect", "-"],
      ["diff", "-", packed(NAMES[0] ?? "")],
    ]) {
      const result = await run(command, { stdin: stdout });
      assert.ok(result.code <= 1, result.err);
    }
  });

  test("says what it could not read, and goes on", async (t) => {
    const folder = scratch(t);
    const path = await script(folder);
    layOutMachine(folder, NAMES[0] ?? "");
    rmSync(join(folder, "proc/iomem"));
    rmSync(join(folder, "var/log/dmesg"));
    // A folder can be opened and not read, also by root.
    rmSync(join(folder, "proc/cpuinfo"));
    mkdirSync(join(folder, "proc/cpuinfo"));
    const out = join(folder, "out.txt");
    const { err } = collect({ name: "sh", command: ["sh"] }, path, folder, out);
    assert.match(err, /not read: cpuinfo? ?.*|not read:.* iomem/);
    const text = readFileSync(out, "utf8");
    assert.match(text, /^@missing iomem not there$/m);
    assert.match(text, /^@missing cpuinfo it cannot be read$/m);
    assert.match(text, /^@missing dmesg only root may read the kernel log$/m);
    const { out: screen, code } = await run(["inspect", out]);
    assert.equal(code, 0);
    assert.match(screen, /iomem: not read, not there/);
  });

  test("cuts what is too long, and says so", async (t) => {
    const folder = scratch(t);
    const path = await script(folder);
    layOutMachine(folder, NAMES[0] ?? "");
    const lines = (count: number): string =>
      Array.from({ length: count }, (_, i) => `<6>[    0.000000] line ${i}\n`).join("");
    appendFileSync(join(folder, "var/log/dmesg"), lines(20_000));
    appendFileSync(
      join(folder, "proc/vmstat"),
      Array.from({ length: 30_000 }, (_, i) => `counter_${i} 1\n`).join(""),
    );
    const out = join(folder, "out.txt");
    collect({ name: "sh", command: ["sh"] }, path, folder, out);
    const { value, issues } = readCollected(readFileSync(out, "utf8"));
    assert.deepEqual(
      issues.map(({ source, severity }) => [source, severity]),
      [
        ["vmstat", "note"],
        ["dmesg", "note"],
      ],
    );
    assert.equal(value?.files.get("vmstat")?.trimEnd().split("\n").length, 20_000);
    assert.match(value?.files.get("dmesg") ?? "", /Linux version[\s\S]*line 19999/);
  });

  test("reads a devicetree that only /proc/device-tree shows", async (t) => {
    const folder = scratch(t);
    const path = await script(folder);
    layOutMachine(folder, NAMES[0] ?? "");
    const put = (name: string, bytes: readonly number[]): void => {
      const place = join(folder, "proc/device-tree", name);
      mkdirSync(join(place, ".."), { recursive: true });
      writeFileSync(place, Uint8Array.from(bytes));
    };
    put("compatible", [0x61, 0]);
    put("#address-cells", [0, 0, 0, 2]);
    put("memory@0/reg", [0, 0, 0, 0, 0x3b, 0x40, 0, 0]);
    put("reserved-memory/linux,cma/reusable", []);
    put("chosen/rng-seed", [1, 2, 3]);
    const out = join(folder, "out.txt");
    collect({ name: "sh", command: ["sh"] }, path, folder, out);
    const { devicetree } = await captureAt(out);
    const names = devicetree?.root.children.map(({ name }) => name).sort();
    assert.deepEqual(names, ["memory@0", "reserved-memory"]);
    assert.deepEqual([...(devicetree?.root.properties.get("#address-cells") ?? [])], [0, 0, 0, 2]);
    const region = devicetree?.root.children.find(({ name }) => name === "reserved-memory")
      ?.children[0];
    assert.equal(region?.properties.get("reusable")?.length, 0);
  });

  test("cannot write where nobody may, and leaves nothing behind", async (t) => {
    const folder = scratch(t);
    const path = await script(folder);
    const { status, stderr } = spawnSync("sh", [path, join(folder, "no/such/place")], {
      encoding: "utf8",
    });
    assert.equal(status, 1);
    assert.match(stderr, /cannot write/);
    assert.deepEqual(readdirSync(folder), ["collect.sh"]);
  });

  test("runs on this machine as it is", async (t) => {
    const folder = scratch(t);
    const path = await script(folder);
    chmodSync(path, 0o755);
    const out = join(folder, "here.txt");
    const { status, stderr } = spawnSync(path, [out], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    const { code } = await run(["inspect", out]);
    assert.equal(code, 0);
  });
});

describe("its file", () => {
  const word = fc.string({ maxLength: 40 }).map((text) => text.replaceAll(/[\r\n]/g, " "));
  const path = fc.stringMatching(/^[a-z]{1,12}(\/[a-z0-9_]{1,12})?$/);
  const files = fc.dictionary(path, fc.array(word, { minLength: 1, maxLength: 6 }), {
    maxKeys: 5,
    noNullPrototype: true,
  });

  test("gives back any contents, marks and bars among them, also quoted and with CRLF", () => {
    fc.assert(
      fc.property(
        files,
        fc.constantFrom("", "> ", ">>"),
        fc.constantFrom("\n", "\r\n"),
        (all, quote, end) => {
          const lines = ["zonewright-capture 1", "# a comment"];
          for (const [name, body] of Object.entries(all)) {
            lines.push(`@file ${name}`, ...body.map((line) => `|${line}`), "");
          }
          const text = [...lines, "@end", ""]
            .map((line) => (line === "" ? line : quote + line))
            .join(end);
          const { value, issues } = readCollected(text);
          assert.deepEqual(issues, []);
          const wanted = Object.entries(all).map(([name, body]) => [name, `${body.join("\n")}\n`]);
          assert.deepEqual([...(value?.files ?? [])], wanted);
        },
      ),
    );
  });

  test("is survived however it is damaged", () => {
    const line = fc.oneof(
      word,
      fc.constantFrom("@file dmesg", "@file ../x", "@missing a b", "@cut a b", "@end", "|x", "@"),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const { value } = readCollected(["zonewright-capture 1", ...lines].join("\n"));
        assert.ok(value !== null);
        assert.ok([...value.files.keys()].every((name) => !name.includes("..")));
      }),
    );
    assert.equal(readCollected("zonewright-capture x").value, null);
    assert.match(
      readCollected("zonewright-capture 9\n@end").issues[0]?.message ?? "",
      /newer program/,
    );
    assert.match(
      readCollected("zonewright-capture 1\n@file a\n|x").issues[0]?.message ?? "",
      /no end/,
    );
  });

  test("explain reads its log, with the lines of the file", async (t) => {
    const folder = scratch(t);
    const report =
      "<3>[ 1.0] ehci-pci 0000:00:1d.7: swiotlb buffer is full (sz: 4096 bytes), total 0 (slots), used 0 (slots)";
    const file = join(folder, "board.txt");
    writeFileSync(
      file,
      `zonewright-capture 1\n@file zoneinfo\n|Node 0, zone DMA\n@file dmesg\n|${report}\n@end\n`,
    );
    const { code, out } = await run(["explain", file, "--json"]);
    assert.equal(code, 1);
    assert.deepEqual(
      JSON.parse(out).findings.map((found: { line: number }) => found.line),
      [5],
    );
    const { code: piped } = await run(["explain", "-"], { stdin: readFileSync(file) });
    assert.equal(piped, 1);
  });
});

function mkdirs(...parts: string[]): string {
  const path = join(...parts);
  mkdirSync(path, { recursive: true });
  return path;
}
