// Goal: `zonewright size` keeps its contract: the document obeys its schema, exit codes, one clear
// line for what cannot be asked, an archive as good as its folder, and a screen without numbers that
// the document does not have. Method: recordings of real kernels, as archives, laid out, and cut.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { sizeSchema } from "../../src/documents/index.ts";
import { dmaFiles, traceFiles } from "../support/corpus.ts";
import { run, scratch } from "./run.ts";

function archive(name: string): string {
  return fileURLToPath(new URL(`../../corpus/dma/${name}.tar.zst`, import.meta.url));
}

/** The recording's folder; `keep` chooses its files, `change` edits the trace. */
function folderOf(
  test: { after(clean: () => void): void },
  files: ReadonlyMap<string, string>,
  keep: (path: string) => boolean = () => true,
  change: (text: string) => string = (text) => text,
): string {
  const folder = scratch(test);
  for (const [path, text] of files) {
    const place = join(folder, path);
    if (path.endsWith("/") || !keep(path)) continue;
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, path === "trace.txt" ? change(text) : text);
  }
  return folder;
}

const SMALL = "e-dma-6G-6.12-small";

describe("the document", () => {
  test("obeys its schema and names the pool, the step below, the margin apart", async () => {
    const { code, out, err } = await run(["size", archive(SMALL), "--margin", "25%", "--json"]);
    deepEqual([code, err], [0, ""]);
    const document = sizeSchema.parse(JSON.parse(out));
    const [sizing] = document.sizings;
    deepEqual(
      [
        sizing?.name,
        sizing?.status,
        sizing?.answer?.set,
        sizing?.margin?.set,
        sizing?.below?.value,
      ],
      ["swiotlb", "sized", "swiotlb=1024,force", "swiotlb=2048,force", 512],
    );
    deepEqual([document.kernel, document.era], ["6.12.95", "6.12"]);
    deepEqual([document.stopped, document.issues], [false, []]);
    const [{ length } = { length: 0 }] = document.workloads;
    ok(length > 12e6 && length < 13e6);
    const values = sizing?.trials.map(({ value }) => value) ?? [];
    deepEqual(
      values,
      [...values].sort((a, b) => a - b),
    );
  });

  test("a folder gives what its archive gives, and nothing stays in the temporary folder", async (t) => {
    const before = readdirSync(tmpdir());
    const packed = await run(["size", archive("e-dma-6G-6.12"), "--json"]);
    const left = readdirSync(tmpdir()).filter((name) => !before.includes(name));
    deepEqual(
      left.filter((name) => readdirSync(join(tmpdir(), name)).includes("trace.txt")),
      [],
    );
    const plain = await run(["size", folderOf(t, dmaFiles("e-dma-6G-6.12")), "--json"]);
    const bare = ({ out }: { out: string }): object => ({ ...JSON.parse(out), trace: "" });
    deepEqual(bare(plain), bare(packed));
    equal(JSON.parse(plain.out).sizings[0].answer.set, "swiotlb=512");
  });

  test("an archive of a trace replays, too", async () => {
    const path = fileURLToPath(
      new URL("../../corpus/traces/a-boot-512M-smp2.tar.zst", import.meta.url),
    );
    const { code, out } = await run(["replay", path, "--json"]);
    deepEqual([code, JSON.parse(out).pfnEqual], [0, 5316]);
  });
});

describe("the screen", () => {
  for (const columns of [60, 100, 160]) {
    test(`fits ${columns} columns`, async () => {
      const screen = await run(["size", archive(SMALL), "--margin", "25"], { columns });
      const out = stripVTControlCharacters(screen.out);
      // The first line is the path, as it was given.
      for (const line of out.split("\n").slice(1)) ok(line.length <= columns, line);
      match(out, /swiotlb=1024,force is the smallest that carries it/);
      match(out, /with 25 % +swiotlb=2048,force/);
      match(out, /7 requests go without/);
    });
  }

  test("is plain ASCII where the terminal wants that", async () => {
    const { out } = await run(["size", archive(SMALL)], { env: { LC_ALL: "C" } });
    ok(![...out].some((letter) => letter > "~"), "a letter beyond ASCII");
    match(out, /####/);
  });

  test("says what areas and force make of it", async () => {
    const areas = await run(["size", archive("e-dma-6G-6.12-smp2"), "--areas", "50"]);
    match(areas.out, /boot with +swiotlb=8192,64,force/);
    match(areas.out, /or +swiotlb=1024,1,force +with one area for all CPUs/);
    const force = await run(["size", archive("e-dma-6G-6.12"), "--for", "swiotlb", "--force"]);
    match(force.out, /or +swiotlb=4096,force +if no request ended before its burst was over/);
  });
});

describe("zones and reserves", () => {
  const trace = (name: string): string =>
    fileURLToPath(new URL(`../../corpus/traces/${name}.tar.zst`, import.meta.url));

  const board = "g-cma-arm64-256M-6.12";

  test("an arm64 board: a zone of its first blocks, with the step below; what is not told is left out", async () => {
    const { code, out, err } = await run(["size", trace(board), "--json"]);
    deepEqual([code, err], [0, ""]);
    const { sizings, workloads } = sizeSchema.parse(JSON.parse(out));
    const [cma, dma] = sizings;
    deepEqual(
      sizings.map(({ name }) => name),
      ["cma", "dma"],
    );
    deepEqual([cma?.answer?.set, cma?.where], ["cma=2M", "command line"]);
    // RAM begins at 1 GiB, and the kernel lies in the first blocks.
    deepEqual(
      [dma?.status, dma?.where, dma?.answer?.set, dma?.below?.set],
      ["sized", "replay --set", "dma=1056M", "dma=1052M"],
    );
    deepEqual([dma?.below?.refused, dma?.below?.mayWait, dma?.recorded?.refused], [2, 2, 0]);
    match(dma?.below?.first?.because.join(" ") ?? "", /GFP_KERNEL\|GFP_DMA DMA skipped/);
    match(workloads[0]?.words ?? "", /8 ranges asked of CMA areas/);
    match(workloads[1]?.words ?? "", /requests for pages/);
  });

  test("what was named and is not told is said, on screen and by the exit code", async () => {
    const { code, out } = await run([
      "size",
      trace(board),
      "--for",
      "lowmem_reserve_ratio,min_free_kbytes",
    ]);
    equal(code, 3);
    match(out, /lowmem_reserve_ratio: nothing to go by/);
    match(out, /min_free_kbytes: nothing to go by/);
  });
});

test("Ctrl-C: what is known by then is printed, the rest says that it was stopped, exit code 1", async () => {
  const path = fileURLToPath(
    new URL("../../corpus/traces/a-boot-512M-smp2.tar.zst", import.meta.url),
  );
  const before = process.listenerCount("SIGINT");
  const size = run(["size", path, "--for", "dma,dma32", "--json"]);
  // As soon as it listens, it is asked to stop.
  const timer = setInterval(() => {
    if (process.listenerCount("SIGINT") > before) process.emit("SIGINT");
  }, 5);
  const { code, out } = await size;
  clearInterval(timer);
  equal(code, 1);
  const document = sizeSchema.parse(JSON.parse(out));
  equal(document.stopped, true);
  deepEqual(
    document.sizings.map(({ name }) => name),
    ["dma", "dma32"],
  );
  ok(document.sizings.some(({ status }) => status === "stopped"));
  equal(process.listenerCount("SIGINT"), before, "Ctrl-C ends the program again");
});

describe("what cannot be asked", () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["--for", "ram"], /--for: "ram" is nothing that can be sized \(?known are swiotlb/],
    [["--margin", "much"], /--margin: "much" is no percentage/],
    [["--areas", "0"], /--areas: "0" is no number of areas/],
  ];
  for (const [args, words] of cases) {
    test(args.join(" "), async () => {
      const { code, out, err } = await run(["size", archive(SMALL), ...args]);
      deepEqual([code, out], [2, ""]);
      match(err.replace(/; /g, " "), words);
      equal(err.trimEnd().split("\n").length, 1);
    });
  }

  test("no trace, no capture, no version, no calls", async (t) => {
    const missing = await run(["size", join(scratch(t), "none")]);
    equal(missing.code, 3);
    const alone = folderOf(t, dmaFiles(SMALL), (path) => !path.startsWith("before/"));
    const bare = await run(["size", alone]);
    equal(bare.code, 2);
    match(bare.err, /--from: no capture lies beside/);
    const nameless = folderOf(t, dmaFiles(SMALL), (path) => path !== "before/version");
    const unknown = await run(["size", nameless]);
    equal(unknown.code, 3);
    match(unknown.err, /no version is in it/);
    const quiet = await run(["size", folderOf(t, traceFiles("a-boot-512M"))]);
    equal(quiet.code, 3);
    match(quiet.out, /swiotlb: nothing to go by/);
  });

  test("an archive without a trace", async () => {
    const capture = new URL("../../examples/captures/x86_64-6.1-8G.tar.gz", import.meta.url);
    const { code, err } = await run(["size", fileURLToPath(capture)]);
    equal(code, 3);
    match(err, /no trace.txt is in the archive/);
  });
});

test("a mapping that no pool takes: exit code 1, and what to change instead", async (t) => {
  // One segment of a page becomes one of 512 KiB.
  const folder = folderOf(t, dmaFiles("e-dma-6G-6.12"), undefined, (text) =>
    text.replace(/(dma_map_page: 0000:00:04\.0 .*size=)\d+/, "$1524288"),
  );
  const { code, out } = await run(["size", folder]);
  match(out, /swiotlb: no value carries it/);
  match(out, /maps 512 KiB at once/);
  equal(code, 1);
});
