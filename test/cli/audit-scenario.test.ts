// Goal: what `audit --scenario` writes runs as it is and passes, for every kind of fix; and fails where
// a fix would. Method: a small tree, its scenarios run by a Node of their own.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type TestContext, test } from "node:test";
import { run, scratch } from "./run.ts";

const DRIVER = `#define RING 0x800
int x_probe(struct x *x, int n)
{
	x->map = dma_map_single(x->dev, x->a, 1500, DMA_TO_DEVICE);
	x->a = kmalloc(1500, GFP_KERNEL | GFP_DMA);
	x->b = kzalloc(n, GFP_KERNEL | GFP_DMA);
	x->ring = dma_alloc_coherent(x->dev, RING, &x->h, GFP_KERNEL | GFP_DMA32);
	x->pages = dma_alloc_noncoherent(x->dev, 8192, &x->h, DMA_FROM_DEVICE, GFP_KERNEL | GFP_DMA);
	x->desc = dma_pool_alloc(x->pool, GFP_KERNEL | GFP_DMA, &x->h);
	x->skb = alloc_skb(2000, GFP_KERNEL | GFP_DMA);
	x->c = kmalloc(64, GFP_KERNEL | GFP_DMA32);
	x->large = kmalloc(1024 * 1024, GFP_KERNEL | GFP_DMA);
	return dma_set_mask_and_coherent(x->dev, DMA_BIT_MASK(32));
}
`;

interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function node(path: string): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path], { encoding: "utf8" });
  return { status, out: stdout, err: stderr };
}

async function written(t: TestContext): Promise<string> {
  const root = scratch(t);
  mkdirSync(join(root, "drivers"));
  writeFileSync(join(root, "drivers/x.c"), DRIVER);
  writeFileSync(join(root, "none.c"), "int x;\n");
  const folder = join(root, "try it");
  const { code, out, err } = await run(["audit", root, "--scenario", folder, "--no-cache"]);
  deepEqual([code, err], [1, ""]);
  match(out, /^7 flags of 1 files; run them with: node .*all\.ts\n$/);
  return folder;
}

test("each dropped flag is a life of its buffer, before and after, and passes", async (t) => {
  const folder = await written(t);
  const { status, out, err } = node(join(folder, "all.ts"));
  deepEqual([status, err], [0, ""]);
  const lines = out.trimEnd().split("\n");
  deepEqual(
    lines.filter((_, i) => i % 3 === 0).map((line) => line.replace(/ \S*x\.c:/, " x.c:")),
    [
      "pass  x.c:5  kmalloc()  1500 bytes, 32 bits, to device",
      "pass  x.c:6  kzalloc()  4096 bytes, 32 bits, both",
      "pass  x.c:7  dma_alloc_coherent()  2048 bytes, 32 bits, both",
      "pass  x.c:8  dma_alloc_noncoherent()  8192 bytes, 32 bits, both",
      "pass  x.c:9  dma_pool_alloc()  64 bytes, 32 bits, both",
      "pass  x.c:10  alloc_skb()  2000 bytes, 32 bits, both",
      "pass  x.c:11  kmalloc()  64 bytes, 32 bits, both",
    ],
  );
  deepEqual(lines.slice(1, 3), [
    "      GFP_DMA    zone DMA, 0 bounces",
    "      without    zone Normal, 1 bounce",
  ]);
  match(lines[7] ?? "", /zone DMA32, 0 bounces/);
  match(lines[10] ?? "", /GFP_DMA +refused/);
  match(lines[11] ?? "", /without +zone DMA32, 0 bounces/);
  match(lines[19] ?? "", /GFP_DMA32 +zone Normal, 1 bounce/);
});

test("a fix that cannot work fails", async (t) => {
  const folder = await written(t);
  const [name = ""] = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) =>
    path.endsWith("x.c.ts"),
  );
  const path = join(folder, name);
  const text = readFileSync(path, "utf8");
  ok(text.includes("bytes: 1500"));
  writeFileSync(path, text.replace("bytes: 1500", "bytes: 524288"));
  const { status, out } = node(join(folder, "all.ts"));
  equal(status, 1);
  match(out, /^FAIL .*x\.c:5 /m);
  match(out, /without +zone Normal, 0 bounces, not mapped: larger than a bounce buffer/);
});

test("a folder that cannot be written is one error", async (t) => {
  const root = scratch(t);
  writeFileSync(join(root, "x.c"), DRIVER);
  const path = join(root, "x.c");
  const { code, out, err } = await run(["audit", path, "--scenario", path, "--no-cache"]);
  deepEqual([code, out], [3, ""]);
  match(err, /x\.c/);
});
