// Goal: the examples do what their pages say. Method: each is run, and every line that it prints is
// compared; docs/allocator.md must show the same lines.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { buddyLesson } from "../../examples/buddy-lesson.ts";
import { cmaArea } from "../../examples/cma-area.ts";
import { dropFlags, EXAMPLE } from "../../examples/dropped-flag.ts";
import { emulatorRam } from "../../examples/emulator-ram.ts";
import { lruCache } from "../../examples/lru-cache.ts";
import { networkCard } from "../../examples/network-card.ts";
import { pagePool } from "../../examples/page-pool.ts";
import { sharedPages } from "../../examples/shared-pages.ts";

const PAGE = readFileSync(new URL("../../docs/allocator.md", import.meta.url), "utf8");

function linesOf(example: (print: (line: string) => void) => void): string[] {
  const lines: string[] = [];
  example((line) => lines.push(line));
  return lines;
}

test("an emulator's RAM", () => {
  const lines = linesOf(emulatorRam);
  assert.deepEqual(lines, [
    "device ring   0x0000000, 16 KiB in zone DMA",
    "guest page    0x1000000, 4 KiB in zone Normal",
    "guest reads   ca fe",
    "after grow    ca fe",
    "guest takes   8123 pages more, then is refused",
    "kept for DMA  64 pages",
    "device again  0x0fc0000, 64 KiB",
  ]);
  assert.ok(PAGE.includes(lines.join("\n")));
});

test("a page pool shared by four workers", async () => {
  const lines: string[] = [];
  await pagePool((line) => lines.push(line));
  assert.deepEqual(lines, [
    "400 tiles of 16 KiB from 4 workers, none copied",
    `sum of their bytes: ${(1 + 2 + 3 + 4) * 100 * 16384}`,
    "worker 1 was terminated with 7 blocks in its hands: recovered",
    "free again: 4096 of 4096 pages",
  ]);
  assert.ok(PAGE.includes(lines.join("\n")));
});

test("more pages than memory, for four workers", async () => {
  const lines: string[] = [];
  await sharedPages((line) => lines.push(line));
  assert.deepEqual(lines, [
    "2000 pages in 1024 frames: more than 2000 were written out and read back",
    "worker 1 was terminated: 7 pages of its own are gone",
    "pages that each worker added one to: 2000",
    "the camera has 1 MiB at pfn 512",
    "pages that still say so: 2000",
  ]);
  assert.ok(PAGE.includes(lines.join("\n")));
});

test("a CMA area that survives fragmentation", () => {
  const lines = linesOf(cmaArea);
  assert.deepEqual(lines, [
    "4301 pages of applications, 819 of them in the camera's area",
    "a block of 4 MiB from the free lists: none",
    "cma: cma_alloc: camera: alloc failed, req-size: 2048 pages, ret: -16",
    "held in place: pfn 6144",
    "when it is let go: 8 MiB at pfn 5120, 819 pages have moved",
    "pages whose bytes have changed: 0",
  ]);
  assert.ok(PAGE.includes(lines.join("\n")));
});

test("an LRU cache that gives memory back when asked", () => {
  const lines = linesOf(lruCache);
  assert.deepEqual(lines, [
    "6733 tiles were made, 3963 fit into 4096 pages, nobody was refused",
    "other work took 2048 pages: the cache gave 2806 back",
    "of its 200 favourite tiles it still has 200",
  ]);
  assert.ok(PAGE.includes(lines.join("\n")));
});

test("a lesson on the buddy allocator", () => {
  const lines = linesOf(buddyLesson);
  const counts = lines.flatMap((line) => {
    const row = /^Node 0, zone +DMA +(.*)$/.exec(line)?.[1];
    return row === undefined ? [] : [row.trim().split(/\s+/).map(Number)];
  });
  assert.deepEqual(counts, [
    [0, 0, 0, 0, 0, 0, 1],
    [0, 0, 1, 1, 1, 1, 0],
    [0, 0, 1, 0, 1, 1, 0],
    [0, 0, 0, 1, 1, 1, 0],
    [0, 0, 0, 0, 0, 0, 1],
  ]);
  assert.ok(PAGE.includes(lines.join("\n")));
});

test("S8 a driver of an old network card", () => {
  const lines = linesOf(networkCard);
  assert.ok(lines.includes("the card sends  hello"));
  assert.ok(lines.includes("the CPU reads   hello, too early"));
  assert.ok(lines.includes("after the sync  world"));
  assert.ok(lines.includes("after the unmap fault: freed"));
  const page = readFileSync(new URL("../../docs/dma.md", import.meta.url), "utf8");
  assert.ok(page.includes(lines.join("\n")));
});

test("what a driver's buffers do with and without a zone flag", () => {
  const lines = linesOf((print) => {
    assert.equal(dropFlags(EXAMPLE, print), 0);
  });
  assert.deepEqual(lines, [
    "pass  a packet  kmalloc()  1500 bytes, 32 bits, to device",
    "      GFP_DMA    zone DMA, 0 bounces",
    "      without    zone Normal, 1 bounce",
    "pass  a ring  dma_alloc_coherent()  4096 bytes, 32 bits, both",
    "      GFP_DMA    zone DMA32, 0 bounces",
    "      without    zone DMA32, 0 bounces",
  ]);
  const audit = readFileSync(new URL("../../docs/audit.md", import.meta.url), "utf8");
  assert.ok(audit.includes(lines.slice(0, 3).join("\n")));
});
