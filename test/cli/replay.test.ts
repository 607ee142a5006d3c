// Goal: `zonewright replay` keeps its contract: JSON that obeys its schema, a CSV row for each
// request, exit codes, one clear line for input that is no trace. Method: a recorded boot of the
// corpus, laid out in a folder of its own; the same cut, emptied, and without its snapshot.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { gzipSync } from "node:zlib";
import { replaySchema } from "../../src/documents/index.ts";
import { traceFiles } from "../support/corpus.ts";
import { run, scratch } from "./run.ts";

/** A trace's folder; `change` edits the text of the trace. */
function folderOf(
  test: { after(clean: () => void): void },
  name: string,
  change: (text: string) => string = (text) => text,
): string {
  const folder = scratch(test);
  for (const [path, text] of traceFiles(name)) {
    const place = join(folder, path);
    if (path.endsWith("/")) continue;
    mkdirSync(dirname(place), { recursive: true });
    if (path === "trace.txt") writeFileSync(`${place}.gz`, gzipSync(change(text), { level: 1 }));
    else writeFileSync(place, text);
  }
  return folder;
}

test("the document has the contract's fields and obeys its schema", async (t) => {
  const { code, out, err } = await run(["replay", folderOf(t, "a-boot-512M-smp2"), "--json"]);
  equal(err, "");
  equal(code, 0);
  const document = JSON.parse(out);
  replaySchema.parse(document);
  const { schema, allocations, zoneEqual, pfnEqual, repairs, lostEvents, final } = document;
  deepEqual(
    { schema, allocations, zoneEqual, pfnEqual, repairs, lostEvents },
    {
      schema: "zonewright/replay/1",
      allocations: 5316,
      zoneEqual: 5316,
      pfnEqual: 5316,
      repairs: 0,
      lostEvents: 0,
    },
  );
  equal(document.freeRunning.firstDivergence, null);
  equal(document.whatIf, null);
  deepEqual([final.freeListsEqual, final.pcpEqual, final.buddyinfoEqual], [true, true, true]);
});

test("without lists the document and the screen say what the start was made of", async (t) => {
  const folder = folderOf(t, "a-boot-512M-i386pae");
  const { code, out } = await run(["replay", folder, "--json"]);
  equal(code, 1);
  const document = JSON.parse(out);
  replaySchema.parse(document);
  const { start, allocations, zoneEqual, final, freeRunning } = document;
  deepEqual(
    [start, zoneEqual, freeRunning.zoneEqual],
    ["flags and counts", allocations, allocations],
  );
  const { freeListsEqual, pcpEqual, freePages } = final;
  deepEqual([freeListsEqual, pcpEqual, freePages.both], [null, null, freePages.recorded]);
  const screen = await run(["replay", folder]);
  match(
    screen.out,
    /started from page flags and sums: order within lists and per-CPU pages unknown/,
  );
  match(screen.out, /free pages +115\D406 of 115\D406 equal, all at the end/);
});

test("a CSV row for each mm_page_alloc, as many equal as the blind run says", async (t) => {
  const folder = folderOf(t, "a-boot-512M-arm64-6.12");
  const csv = join(folder, "decisions.csv");
  const { code, out } = await run(["replay", folder, "--json", "--decisions", csv]);
  equal(code, 0);
  const [head, ...rows] = readFileSync(csv, "utf8").trimEnd().split("\n");
  equal(head, "seq,pfn_recorded,pfn_predicted,zone_predicted");
  const document = JSON.parse(out);
  equal(rows.length, document.allocations);
  const cells = rows.map((row) => row.split(","));
  equal(cells.filter(([, real, own]) => real === own).length, document.freeRunning.pfnEqual);
  ok(document.freeRunning.pfnEqual < document.pfnEqual);
  ok(document.assumptions.hiddenBulkPages > 0);
  ok(cells.every(([seq, , , zone], i) => Number(seq) === i && zone === "DMA"));
});

test("the screen says what is equal, and where it first was not", async (t) => {
  const good = await run(["replay", folderOf(t, "a-boot-512M")]);
  equal(good.code, 0);
  match(good.out, /pages +5\D268 of 5\D268 equal, all/);
  match(good.out, /First difference of the blind run\n {2}none/);
  match(good.out, /free DMA32/);
  const bad = await run(["replay", folderOf(t, "a-boot-512M-arm64-6.12")]);
  match(bad.out, /Repaired run: wrong answers mended, with assumptions/);
  match(bad.out, /assumed from recorded pages: \d+ early/);
  match(bad.out, /another page of the same zone: ours 0x[0-9a-f]+, recorded 0x[0-9a-f]+/);
});

test("a trace cut in mid-line and one with lost events go on, and say so", async (t) => {
  const cut = await run(["replay", folderOf(t, "a-boot-512M", halfOf), "--json"]);
  const document = JSON.parse(cut.out);
  equal(document.final, null);
  ok(document.pfnEqual > 1000 && document.pfnEqual === document.allocations);
  ok(document.issues.some((issue: { message: string }) => /cut|line end/.test(issue.message)));
  const lost = await run([
    "replay",
    folderOf(t, "a-boot-512M", (text) =>
      text.replace(/(SNAP BEGIN before[^\n]*\n)/, "$1CPU:0 [LOST 7 EVENTS]\n"),
    ),
    "--json",
  ]);
  equal(JSON.parse(lost.out).lostEvents, 7);
});

test("--set: both machines side by side, as a document and on the screen", async (t) => {
  const folder = folderOf(t, "a-boot-512M-smp2");
  const set = ["--set", "min_free_kbytes=430000", "--set", "dma=0"];
  const { code, out, err } = await run(["replay", folder, ...set, "--json"]);
  equal(err, "");
  // The recording itself is replayed as ever.
  equal(code, 0);
  const document = JSON.parse(out);
  const { whatIf } = replaySchema.parse(document);
  ok(whatIf !== null);
  deepEqual(
    whatIf.set.map(({ name, value, before }) => [name, value, before]),
    [
      ["min_free_kbytes", "430000", "2697"],
      ["dma", "0", null],
    ],
  );
  equal(whatIf.allocations.recorded, document.allocations);
  ok(whatIf.refused.requests > 0 && whatIf.refused.mayWait > 0);
  equal(whatIf.zones.find(({ name }) => name === "DMA")?.managed.changed, 0);
  equal("timeline" in document.whatIf, false);
  const screen = await run(["replay", folder, ...set]);
  match(screen.out, /What if\n {2}min_free_kbytes=430000 \(recorded: 2697\), dma=0/);
  match(screen.out, /DMA memory +15 MiB +0 B/);
  match(screen.out, /DMA32 skipped: \d+ <= \d+ \+ 0 \(below the mark\)/);
});

test("the README's replay is what is printed, line after line", async (t) => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const block = /```text\n\$ mkdir load[\s\S]*?```/.exec(readme)?.[0].split("\n") ?? [];
  const args =
    block
      .find((line) => line.startsWith("$ zonewright"))
      ?.split(" ")
      .slice(2) ?? [];
  deepEqual(args.slice(0, 2), ["replay", "load"]);
  const folder = folderOf(t, "c-pressure-256M");
  const { out } = await run(["replay", folder, ...args.slice(2)], { env: { COLUMNS: "80" } });
  const printed = out.split("\n").map((line) => line.trimEnd());
  let at = 0;
  const shown = block.filter((line) => !/^(```|\$ |…)/.test(line));
  ok(shown.length > 15);
  for (const line of shown) {
    const found = printed.indexOf(line, at);
    ok(found >= 0, line);
    at = found + 1;
  }
});

test("charts fit the terminal, with colours, without, and in ASCII", async (t) => {
  const folder = folderOf(t, "a-boot-512M");
  const args = ["replay", folder, "--set", "min_free_kbytes=430000"];
  for (const columns of [80, 140]) {
    const { out } = await run(args, { columns });
    ok(out.includes("\u001b["));
    const plain = await run(args, { columns, env: { NO_COLOR: "1" } });
    equal(stripVTControlCharacters(out), plain.out);
    const widths = plain.out.split("\n").map((line) => [...line].length);
    ok(
      Math.max(...widths) <= columns && Math.max(...widths) > columns - 12,
      `${Math.max(...widths)}`,
    );
    match(plain.out, /Free memory over [\d.]+ m?s, a column is [\d.]+ [mµ]?s/);
    match(plain.out, /free DMA32 +[\d.]+ to [\d.]+ MiB|free DMA32 +[\d.]+ MiB to/);
    match(plain.out, /10 {2}4 MiB +\d+ MiB │/);
    match(plain.out, /allocations +5.268 │/);
    const ascii = await run(args, { columns, env: { LC_ALL: "C" } });
    match(stripVTControlCharacters(ascii.out), /^[\n -~]*$/);
  }
});

test("--perfetto: a trace file beside whatever is printed", async (t) => {
  const folder = folderOf(t, "a-boot-512M");
  const path = join(folder, "trace.json");
  const { code, out } = await run(["replay", folder, "--json", "--perfetto", path]);
  equal(code, 0);
  const { events } = JSON.parse(out);
  ok(events > 10000);
  const { traceEvents } = JSON.parse(readFileSync(path, "utf8"));
  const free = traceEvents.filter((e: { name: string }) => e.name === "free DMA32");
  ok(free.length > 10);
  const noFile = await run(["replay", folder, "--perfetto", join(folder, "no/such/file")]);
  equal(noFile.code, 2);
  match(noFile.err, /--perfetto/);
});

test("settings that cannot be: exit 2, one line that names the setting and the way out", async (t) => {
  const folder = folderOf(t, "a-boot-512M");
  for (const [set, words] of [
    ["mem=128M", /^zonewright: --set mem: .*; plan --set mem=… says/],
    ["nonsense=1", /^zonewright: --set nonsense: .*known are min_free_kbytes/],
    ["watermark_scale_factor=99999", /^zonewright: --set watermark_scale_factor: .*give 1 to 3000/],
    ["dma32=18M", /^zonewright: --set dma32: .*give a multiple of 4 MiB/],
    ["cma=64M", /^zonewright: --set cma: this kernel cannot lend CMA areas/],
  ] as const) {
    const { code, out, err } = await run(["replay", folder, "--set", set]);
    equal(code, 2, set);
    equal(out, "");
    match(err, words);
    equal(err.trimEnd().split("\n").length, 1);
  }
});

function halfOf(text: string): string {
  const from = text.indexOf("SNAP BEGIN before");
  return text.slice(0, from + Math.floor((text.length - from) / 2));
}

test("input that is no trace, or no start: one line, exit 3", async (t) => {
  const noSnap = folderOf(t, "a-boot-512M");
  rmSync(join(noSnap, "before/snap/freelists"));
  const empty = folderOf(t, "a-boot-512M", () => "");
  const binary = folderOf(t, "a-boot-512M", () => "\u0000\u0001\n".repeat(2000));
  const torn = folderOf(t, "a-boot-512M");
  const lists = join(torn, "before/snap/freelists");
  writeFileSync(lists, readFileSync(lists, "utf8").replace(/: (\w+)$/m, ": "));
  for (const [folder, words] of [
    [noSnap, /neither snap\/freelists and .* nor snap\/kpageflags.rle, .* are in it/],
    [empty, /no marker "SNAP BEGIN"/],
    [binary, /no marker "SNAP BEGIN"/],
    [torn, /freelists/],
    [join(noSnap, "nothing"), /no such file/],
  ] as const) {
    const { code, out, err } = await run(["replay", folder]);
    equal(code, 3, `${folder}: ${err}`);
    equal(out, "");
    match(err, words);
    equal(err.trimEnd().split("\n").length, 1, err);
  }
});

test("- is standard input, packed or not; it needs --from", async (t) => {
  const folder = folderOf(t, "a-boot-512M");
  const stdin = readFileSync(join(folder, "trace.txt.gz"));
  const copies = scratch(t);
  const { TMPDIR } = process.env;
  process.env.TMPDIR = copies;
  t.after(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  });
  const { code, out } = await run(["replay", "-", "--from", join(folder, "before"), "--json"], {
    stdin,
  });
  equal(code, 0);
  equal(JSON.parse(out).pfnEqual, 5268);
  const alone = await run(["replay", "-"], { stdin });
  equal(alone.code, 2);
  match(alone.err, /^zonewright: --from: nothing lies beside standard input/);
  equal((await run(["replay", "-", "--from", folder], { stdin })).code, 3);
  deepEqual(readdirSync(copies), [], "copies are deleted");
});

test("options that cannot be: exit 2", async (t) => {
  const folder = folderOf(t, "a-boot-512M");
  const alone = join(folder, "alone");
  mkdirSync(alone);
  writeFileSync(join(alone, "trace.txt"), "");
  const noStart = await run(["replay", alone]);
  equal(noStart.code, 2);
  match(noStart.err, /^zonewright: --from: no capture lies beside/);
  const noFile = await run(["replay", folder, "--decisions", join(folder, "no/such/file.csv")]);
  equal(noFile.code, 2);
  match(noFile.err, /--decisions/);
});
