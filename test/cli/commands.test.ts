// What the screens say, not how they look: each must hold the numbers of the document it draws,
// stay inside its width, and be plain when colour or UTF-8 is not wanted. Options are tested by
// what they change in the plan.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { formatCount } from "../../src/base/units.ts";
import { bundledCapture } from "../../src/cli/commands/start.ts";
import { type PlanDocument, planSchema } from "../../src/documents/index.ts";
import { corpusFiles } from "../support/corpus.ts";
import { machine, packed, run, scratch } from "./run.ts";

const CAPTURE = packed("x86_64-6.1-8G-smp2");
const ESC = "\u001b";
const BUNDLED = fileURLToPath(
  new URL("../../examples/captures/x86_64-6.1-8G.tar.gz", import.meta.url),
);

async function plan(...args: readonly string[]): Promise<PlanDocument> {
  const { code, out, err } = await run(["plan", ...args, "--json"]);
  assert.equal(code, 0, err);
  return planSchema.parse(JSON.parse(out));
}

function zone(document: PlanDocument, name: string): PlanDocument["nodes"][0]["zones"][0] {
  const found = document.nodes[0]?.zones.find((candidate) => candidate.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

describe("plan", () => {
  test("--config changes options of the kernel's configuration, one by one and from a file", async (t) => {
    const machine = "examples/machines/desktop-8G.yaml";
    const zones = async (...more: readonly string[]): Promise<Map<string, number>> => {
      const { code, out } = await run(["plan", machine, "--json", ...more]);
      assert.equal(code, 0);
      const [node] = planSchema.parse(JSON.parse(out)).nodes;
      return new Map(
        node?.zones.flatMap((zone) => (zone.present > 0 ? [[zone.name, zone.watermarks.min]] : [])),
      );
    };
    const plain = await zones();
    assert.deepEqual([...plain.keys()], ["DMA", "DMA32", "Normal"]);
    assert.deepEqual([...(await zones("--config", "ZONE_DMA=n")).keys()], ["DMA32", "Normal"]);
    // Without huge pages nothing raises min_free_kbytes.
    const path = join(scratch(t), "config");
    writeFileSync(path, "CONFIG_X86=y\n# CONFIG_TRANSPARENT_HUGEPAGE is not set\n");
    const calm = await zones("--config", path);
    assert.ok((calm.get("Normal") ?? 0) < (plain.get("Normal") ?? 0) / 2);
    const { code, err } = await run(["plan", machine, "--config", join(path, "none")]);
    assert.equal(code, 2);
    assert.match(err, /--config: .* is neither NAME=value nor a file/);
  });

  test("shows the numbers of its document", async () => {
    const document = await plan(CAPTURE);
    const { out } = await run(["plan", CAPTURE], { columns: 160 });
    for (const name of ["DMA", "DMA32", "Normal"]) {
      const { present, managed, watermarks, protection } = zone(document, name);
      for (const number of [present, managed.pages, watermarks.min, watermarks.high]) {
        assert.ok(out.includes(formatCount(number)), `${name} ${number}`);
      }
      assert.ok(out.includes(`(${protection.join(", ")})`), name);
    }
    assert.match(
      out,
      /a GFP_DMA32 request may not take the last 2 9\d\d pages \(11\.\d MiB\) of DMA/,
    );
    assert.match(out, /hole/);
    assert.match(out, /memblock log: exact/);
  });

  test("keeps inside every width, with and without colour and UTF-8", async () => {
    for (const name of [
      "x86_64-6.1-8G-smp2",
      "x86_64-6.1-numa2-6G+2G",
      "arm-6.1-2G",
      "i386pae-6.1-8G",
    ]) {
      for (const columns of [80, 100, 160]) {
        const { out } = await run(["plan", packed(name), "--color", "never"], { columns });
        for (const line of out.split("\n")) assert.ok(line.length <= columns, line);
        assert.ok(!out.includes(ESC));
      }
    }
    const ascii = await run(["plan", CAPTURE, "--color", "never"], { env: { LANG: "C" } });
    assert.match(ascii.out, /^[ -~\n]*$/);
    const coloured = async (env: Record<string, string>, columns?: number): Promise<boolean> => {
      const options = columns === undefined ? { env } : { env, columns };
      return (await run(["plan", CAPTURE], options)).out.includes(ESC);
    };
    assert.equal(await coloured({}, 100), true);
    assert.equal(await coloured({ NO_COLOR: "1" }, 100), false);
    assert.equal(await coloured({}), false, "a pipe");
  });

  test("the map is to scale: each zone has its share of the bar", async () => {
    const { out } = await run(["plan", machine("bigdma")], { env: { LANG: "C" } });
    const bar = out.split("\n").find((line) => /^ {2}B+N+$/.test(line)) ?? "";
    const share = [...bar].filter((cell) => cell === "B").length / bar.trim().length;
    assert.ok(Math.abs(share - 0.25) < 0.02, bar);
  });

  test("sysctls: settled numbers as the capture's variant has them", async () => {
    const document = await plan(CAPTURE, "--sysctl", "vm.min_free_kbytes=16384");
    assert.equal(document.moment, "settled");
    assert.equal(document.minFreeKbytes, 16384);
    const text = corpusFiles("x86_64-6.1-8G-smp2").get("sysctl/min16M/zoneinfo") ?? "";
    const kernel = [...text.matchAll(/^ {8}min {6}(\d+)$/gm)].map(([, pages]) => Number(pages));
    const predicted = document.nodes[0]?.zones.map(({ watermarks }) => watermarks.min) ?? [];
    assert.deepEqual(predicted.slice(0, kernel.length), kernel.slice(0, predicted.length));
    assert.ok(kernel.length >= 3);
  });

  test("one write may be written in many ways", async () => {
    const spelled = ["256 256 8 0 0", "256_256_8_0_0", "256\t256\t8\t0\t0"];
    const documents = await Promise.all(
      spelled.map((text) => plan(CAPTURE, "--sysctl", `lowmem_reserve_ratio=${text}`)),
    );
    assert.deepEqual(documents[1], documents[0]);
    assert.deepEqual(documents[2], documents[0]);
    const joined = await plan(
      CAPTURE,
      "--sysctl",
      "min_free_kbytes=9999,watermark_scale_factor=50",
    );
    const twice = ["--sysctl", "min_free_kbytes=9999", "--sysctl", "watermark_scale_factor=50"];
    assert.deepEqual(joined, await plan(CAPTURE, ...twice));
    assert.equal(joined.sysctls.watermarkScaleFactor, 50);
  });

  test("--managed, --ram, --cpus, --device, --set, --kernel", async () => {
    const given = "N0/DMA=3840,N0/DMA32=750000,N0/Normal=1200000,N0/Movable=0,N0/Device=0";
    const managed = zone(await plan(CAPTURE, "--managed", given), "DMA32").managed;
    assert.deepEqual([managed.pages, managed.from], [750000, "given"]);
    const present = (document: PlanDocument): number =>
      document.nodes.flatMap(({ zones }) => zones).reduce((sum, { present: p }) => sum + p, 0);
    const [small, large] = [
      await plan(CAPTURE, "--ram", "2G"),
      await plan(CAPTURE, "--ram", "16G"),
    ];
    assert.ok(present(large) > 7 * present(small));
    assert.equal((await plan(CAPTURE, "--cpus", "16")).nodes[0]?.cpus, 16);
    const nic = (await plan(CAPTURE, "--device", "nic:32:24")).devices.find(
      ({ name }) => name === "nic",
    );
    assert.deepEqual([nic?.dmaBits, nic?.coherentBits, nic?.coherentFrom], [32, 24, "DMA"]);
    assert.equal((await plan(CAPTURE, "--set", "swiotlb=noforce")).pools.swiotlb, null);
    assert.equal((await plan(CAPTURE, "--kernel", "5.10")).era.name, "5.10");
  });

  test("an era or architecture without captures is called unverified", async () => {
    assert.match((await run(["plan", CAPTURE, "--kernel", "6.8"])).out, /UNVERIFIED/);
    assert.doesNotMatch((await run(["plan", CAPTURE])).out, /UNVERIFIED/);
  });
});

describe("check", () => {
  test("one line of agreement, and exit code 0", async () => {
    const { code, out } = await run(["check", BUNDLED]);
    assert.equal(code, 0, out);
    assert.match(out, /(\d+) of \1 fields equal/);
  });

  test("a table of differences, and exit code 1", async () => {
    const wrong = "N0/DMA=3000,N0/DMA32=700000,N0/Normal=1200000,N0/Movable=0,N0/Device=0";
    const { code, out } = await run(["check", BUNDLED, "--managed", wrong]);
    assert.equal(code, 1);
    assert.match(out, /N0\/DMA32 +\S+ .*\d/);
  });
});

describe("diff", () => {
  test("nothing changes between a machine and itself", async () => {
    const { code, out } = await run(["diff", CAPTURE, CAPTURE]);
    assert.equal(code, 0);
    assert.match(out, /nothing changes/);
  });

  test("who is affected comes with the exit code that --fail-on asks for", async () => {
    const args = ["diff", machine("board-arm64"), machine("board-arm64"), "--set", "cma=16M"];
    const quiet = await run([...args, "--fail-on", "bounce"]);
    assert.equal(quiet.code, 0, quiet.out);
    const loud = await run([...args, "--fail-on", "bounce,cma-shrunk"]);
    assert.equal(loud.code, 1);
    assert.match(loud.out, /cma-shrunk +cma has 16 MiB, before 256 MiB {2}\(--fail-on\)/);
  });

  test("a device that is asked about is there before and after", async () => {
    const args = ["diff", CAPTURE, CAPTURE, "--set", "swiotlb=noforce", "--device", "nic:32"];
    const { code, out } = await run([...args, "--fail-on", "unreachable"]);
    assert.equal(code, 1);
    assert.match(out, /unreachable +nic/);
  });
});

describe("inspect and the first screen", () => {
  test("the kernel's own free pages and marks, and the agreement", async () => {
    const { code, out } = await run(["inspect", BUNDLED]);
    assert.equal(code, 0);
    const text = corpusFiles("x86_64-6.1-8G-smp2").get("zoneinfo") ?? "";
    for (const [, pages] of text.matchAll(/pages free +(\d+)/g)) {
      if (Number(pages) > 0) assert.ok(out.includes(formatCount(Number(pages))), pages);
    }
    assert.match(out, /fields equal/);
  });

  test("fits one screen of 100 columns, names its sources, and says what to try", async () => {
    const { code, out } = await run([]);
    assert.equal(code, 0);
    const lines = out.trimEnd().split("\n");
    assert.ok(lines.length <= 48, `${lines.length} lines`);
    for (const bits of [24, 29, 30, 32, 64]) assert.match(out, new RegExp(`^  ${bits}-bit`, "m"));
    assert.match(out, /zoneinfo/);
    assert.match(out, /fields equal|not predicted/);
    assert.equal(lines.filter((line) => line.startsWith("  ./bin/zonewright ")).length, 3);
    assert.equal((await run(["start"])).code, 0);
  });
});

test("where there is no Linux, the capture that comes along is there", async () => {
  const { code, out } = await run(["inspect", bundledCapture()]);
  assert.equal(code, 0);
  assert.match(out, /^x86_64-6\.1-8G\n/);
});

test("check and inspect read an archive from standard input", async () => {
  const stdin = readFileSync(BUNDLED);
  assert.equal((await run(["check", "-"], { stdin })).code, 0);
  assert.equal((await run(["inspect", "-"], { stdin })).code, 0);
  assert.equal(
    (await run(["check", "-"], { stdin: "arch: arm64\nkernel: 6.1\nram: 1G\n" })).code,
    3,
  );
});

describe("a capture without a memory map", () => {
  const files = corpusFiles("x86_64-6.1-8G-smp2");
  const kept = ["zoneinfo", "version", "cmdline", "cpuinfo"];

  test("is drawn from zoneinfo's spans and not compared with itself", async (t) => {
    const folder = scratch(t);
    for (const name of kept) writeFileSync(join(folder, name), files.get(name) ?? "");
    const { code, out } = await run(["inspect", folder]);
    assert.equal(code, 0);
    assert.match(out, /not predicted/);
    assert.doesNotMatch(out, /fields equal/);
    assert.match(out, /32-bit +32/);
  });

  test("nor does a plan invent one", async (t) => {
    const folder = scratch(t);
    for (const name of kept) writeFileSync(join(folder, name), files.get(name) ?? "");
    const { code, err } = await run(["plan", folder]);
    assert.equal(code, 3);
    assert.match(err, /memory map/);
  });
});

test("help is for people who have never seen it, version is a number", async () => {
  const help = await run(["--help"]);
  assert.equal(help.code, 0);
  for (const word of ["plan", "check", "inspect", "diff", "Exit codes"])
    assert.ok(help.out.includes(word));
  for (const command of ["plan", "check", "inspect", "diff"]) {
    const { code, out } = await run([command, "--help"]);
    assert.equal(code, 0);
    assert.match(out, /Examples:\n {2}zonewright/);
  }
  assert.deepEqual(await run(["--version"]), { code: 0, out: "1.2.3\n", err: "" });
});

test("a share of memory is what the kernel's own MemTotal, or LowTotal, makes of it", async () => {
  for (const [name, wanted] of [
    ["x86_64-6.1-2G", /^MemTotal: +(\d+)/m],
    ["i386pae-6.1-4G", /^LowTotal: +(\d+)/m],
  ] as const) {
    const total = Number(wanted.exec(corpusFiles(name).get("meminfo") ?? "")?.[1]);
    const writes = ["--sysctl", "watermark_scale_factor=1000,min_free_kbytes=20%"];
    const { out } = await run(["plan", packed(name), "--json", ...writes]);
    assert.equal(JSON.parse(out).sysctls.minFreeKbytes, Math.floor(total / 5), name);
  }
});
