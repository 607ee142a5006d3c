// Goal: what README.md shows is what a reader gets. Method: run every command of its sessions
// (```console blocks) with the real bin and compare the lines, up to a line "…"; import what its
// library examples import, run them, and compare values where it states them in a comment.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createMemory } from "../../src/mm/index.ts";
import { machineFromDescription, planMachine } from "../../src/plan/index.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

interface Shown {
  readonly command: string;
  readonly lines: readonly string[];
  /** False when the output goes on after "…". */
  readonly whole: boolean;
}

function sessions(): Shown[] {
  return [...README.matchAll(/```console\n([\s\S]*?)```/g)].flatMap(([, block = ""]) =>
    block
      .replaceAll("\\\n", " ")
      .split(/^\$ /m)
      .slice(1)
      .map((text): Shown => {
        const [command = "", ...lines] = text.trimEnd().split("\n");
        const cut = lines.indexOf("…");
        return { command, lines: cut < 0 ? lines : lines.slice(0, cut), whole: cut < 0 };
      }),
  );
}

test("the sessions of the README are what the commands print", () => {
  let status: number | null = null;
  let ran = 0;
  for (const { command, lines, whole } of sessions()) {
    if (command === "echo $?") {
      assert.deepEqual(lines, [String(status)], command);
      continue;
    }
    const [name, ...args] = command.split(/\s+/);
    assert.equal(name, "zonewright");
    const result = spawnSync(process.execPath, ["bin/zonewright", ...args], {
      cwd: ROOT,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1", COLUMNS: "100", LANG: "C.UTF-8" },
    });
    status = result.status;
    const printed = result.stdout.trimEnd().split("\n");
    const shown = whole ? printed : printed.slice(0, lines.length);
    assert.deepEqual(
      shown.map((line) => line.trimEnd()),
      lines.filter((line, i) => line !== "" || i < lines.length - 1),
      command,
    );
    ran++;
  }
  assert.ok(ran >= 2, "the README shows no session");
});

test("the machine of the README's example has the zones it says", () => {
  assert.match(
    README,
    /\[\["DMA", 262144\], \["DMA32", 786432\], \["Normal", 0\], \["Movable", 0\]\]/,
  );
  const { value } = machineFromDescription({
    name: "board",
    arch: "arm64",
    kernel: "6.1",
    base: 0,
    ram: 4 * 2 ** 30,
    dmaLimit: 2 ** 30,
  });
  const plan = value && planMachine(value).value;
  assert.deepEqual(
    plan?.nodes[0]?.zones.map((zone) => [zone.name, zone.present]),
    [
      ["DMA", 262144],
      ["DMA32", 786432],
      ["Normal", 0],
      ["Movable", 0],
    ],
  );
});

test("the memory of the README's example gives what it says", () => {
  const memory = createMemory({
    bytes: new ArrayBuffer(64 * 2 ** 20),
    zones: [
      { name: "DMA", pages: 4096 },
      { name: "Normal", pages: 12288 },
    ],
  });
  const ring = memory.alloc(2, "DMA");
  assert.equal(memory.zoneOf(ring), "DMA");
  assert.equal(ring % 4, 0);
  assert.equal(memory.zoneOf(memory.alloc(0)), "Normal");
});
