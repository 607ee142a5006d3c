// Goal: the board that comes along has the zones and the CMA area that such boards print. Method: its
// .dtb planned as a user would; its .dts too, where dtc is installed; the places are those of public
// boot logs of a Raspberry Pi 4 with 4 GiB.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { planSchema } from "../../src/documents/index.ts";
import { run } from "./run.ts";

const BOARD = "examples/machines/board-1g-dma";

async function planOf(path: string): Promise<string> {
  const { code, out, err } = await run(["plan", path, "--kernel", "5.15", "--json"]);
  assert.equal(code, 0, err);
  return out;
}

test("S2 a board whose bus reaches 1 GiB has a DMA zone of 1 GiB", async () => {
  const { nodes, pools, devices } = planSchema.parse(JSON.parse(await planOf(`${BOARD}.dtb`)));
  const zones = nodes[0]?.zones.filter((zone) => zone.present > 0) ?? [];
  // Zone ranges: DMA [mem 0x0-0x3fffffff], DMA32 [mem 0x40000000-0xfbffffff]
  assert.deepEqual(
    zones.map(({ name, startPfn, spanned }) => [name, startPfn, (startPfn ?? 0) + spanned]),
    [
      ["DMA", 0, 0x40000],
      ["DMA32", 0x40000, 0xfc000],
    ],
  );
  // Reserved memory: created CMA memory pool at 0x0000000037400000, size 64 MiB
  assert.deepEqual(
    pools.cma.map(({ start, bytes }) => [start, bytes]),
    [[0x37400000, 64 * 2 ** 20]],
  );
  assert.equal(devices.find(({ name }) => name === "fe007000.dma")?.coherentFrom, "DMA");
});

const dtc = spawnSync("dtc", ["--version"]).status === 0;
test("its source says the same", { skip: dtc ? false : "dtc is not installed" }, async () => {
  const plain = (text: string): string => text.replaceAll(/board-1g-dma\.dt[bs]/g, "board");
  assert.equal(plain(await planOf(`${BOARD}.dts`)), plain(await planOf(`${BOARD}.dtb`)));
});
