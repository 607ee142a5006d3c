// Goal: S10: `zonewright replay` tells what an IOMMU's domains gave out, as JSON that obeys its schema
// and on the screen; without the capture's texts it says what it took for granted. Method: a recording
// of the corpus laid out in a folder, whole and without its groups and log.
import { deepEqual, equal, match } from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { replaySchema } from "../../src/documents/index.ts";
import { traceFiles } from "../support/corpus.ts";
import { run, scratch } from "./run.ts";

test("S10: replay --json has dma.iova, the screen the same in words", async (t) => {
  const folder = scratch(t);
  for (const [path, text] of traceFiles("f-iommu-q35-2G")) {
    const place = join(folder, path);
    if (path.endsWith("/")) continue;
    mkdirSync(dirname(place), { recursive: true });
    if (path === "trace.txt") writeFileSync(`${place}.gz`, gzipSync(text, { level: 1 }));
    else writeFileSync(place, text);
  }
  const { code, out, err } = await run(["replay", folder, "--json"]);
  equal(err, "");
  equal(code, 0);
  const document = JSON.parse(out);
  replaySchema.parse(document);
  const { iova } = document.dma;
  deepEqual(Object.keys(document.dma), ["iova"]);
  deepEqual(iova.allocations, { recorded: 533, equal: 533 });
  deepEqual([iova.sizes.equal, iova.handles.equal, iova.coherent.equal], [371, 348, 23]);
  deepEqual(iova.assumed, ["250 ticks a second"]);
  equal(
    iova.domains.every(({ mode }: { mode: string }) => mode === "lazy"),
    true,
  );
  const wrong = { ...document, dma: { iova: { ...iova, frees: "many" } } };
  equal(replaySchema.safeParse(wrong).success, false);

  const screen = await run(["replay", folder]);
  match(screen.out, /IOMMU: addresses, by the rules of 6\.1\n/);
  match(screen.out, /addresses, with the recorded frees: 533 of 533\n/);

  for (const name of ["iommu_groups", "dmesg"]) rmSync(join(folder, "before", name));
  const bare = JSON.parse((await run(["replay", folder, "--json"])).out).dma.iova;
  // The windows below which nothing was given out do not matter here.
  deepEqual(bare.allocations, { recorded: 533, equal: 533 });
  equal(bare.tables, null);
  deepEqual(bare.assumed.slice(0, 2), [
    "unmaps are lazy",
    "the interrupt window of x86 is reserved, no other",
  ]);
});
