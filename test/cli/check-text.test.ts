// Goal: `check` takes what people have: a lone zoneinfo, a paste of /proc, a log with reports, a copy of
// /proc. Method: files made of a capture and of a report, the exit codes and what is printed.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { checkSchema } from "../../src/documents/index.ts";
import { corpusFiles } from "../support/corpus.ts";
import { failureHeader, reportLines } from "../support/reports.ts";
import { run, scratch } from "./run.ts";

const FILES = corpusFiles("x86_64-6.1-8G-smp2");
const ZONEINFO = FILES.get("zoneinfo") ?? "";

test("a lone zoneinfo, packed or not, with its kernel or without", async (t) => {
  const path = join(scratch(t), "zoneinfo.txt");
  writeFileSync(path, ZONEINFO);
  const told = await run(["check", path, "--kernel", "6.1"]);
  assert.equal(told.code, 0, told.err);
  assert.match(told.out, /kernel's zoneinfo: (\d+) of \1 fields equal/);
  assert.match(told.out, /rules of 6\.1 \(captured\)/);
  const guessed = await run(["check", path, "--json"]);
  assert.equal(guessed.code, 0, guessed.err);
  const document = checkSchema.parse(JSON.parse(guessed.out));
  assert.equal(document.equal, document.fields);
  assert.equal(document.plan.era.basis, "inferred");
  assert.ok(document.notPredicted.some(({ field }) => field === "sysctl min_free_kbytes"));
});

test("files of /proc in one text, under headings", async (t) => {
  const path = join(scratch(t), "paste.txt");
  const parts = ["zoneinfo", "version"].map((name) => `#### /proc/${name}\n${FILES.get(name)}`);
  writeFileSync(path, `My machine:\n${parts.join("\n")}`);
  const { code, out } = await run(["check", path]);
  assert.equal(code, 0);
  assert.match(out, /kernel 6\.1\.0-50-amd64/);
});

test("a copy of / with nothing but proc/", async (t) => {
  const folder = scratch(t);
  mkdirSync(join(folder, "proc/sys/kernel"), { recursive: true });
  writeFileSync(join(folder, "proc/zoneinfo"), ZONEINFO);
  writeFileSync(join(folder, "proc/sys/kernel/osrelease"), "6.1.0-50-amd64\n");
  const { code, out, err } = await run(["check", folder]);
  assert.equal(code, 0, err);
  assert.match(out, /kernel 6\.1\.0-50-amd64, rules of 6\.1 \(captured\)/);
});

test("a number that no rule gives: exit code 1, and a table", async (t) => {
  const path = join(scratch(t), "zoneinfo");
  writeFileSync(
    path,
    ZONEINFO.replace(/^(\s+low\s+)(\d+)$/m, (_, words, low) => `${words}${Number(low) + 7}`),
  );
  const { code, out } = await run(["check", path, "--kernel", "6.1"]);
  assert.equal(code, 1);
  assert.match(out, /N0\/DMA +low/);
});

test("each report of a log, as one document or as a list of them", async (t) => {
  // 16896 pages of min_free_kbytes shared by 4096 and 204800 pages: 331 and 16564.
  const zones = [
    {
      name: "DMA",
      free: 9000,
      min: 1324,
      low: 1652,
      high: 1980,
      boost: 0,
      managed: 16384,
      reserve: [0, 800, 800],
    },
    {
      name: "DMA32",
      free: 9000,
      min: 66256,
      low: 82820,
      high: 99384,
      boost: 0,
      managed: 819200,
      reserve: [0, 0, 0],
    },
  ];
  const header = failureHeader(0, "0xcc0(GFP_KERNEL)");
  const lines = reportLines({ header, release: "6.1.0-50-amd64", zones }).join("\n");
  const path = join(scratch(t), "log");
  writeFileSync(path, `${lines}\n`);
  const one = await run(["check", path, "--json"]);
  const document = checkSchema.parse(JSON.parse(one.out));
  assert.deepEqual(document.differences, []);
  assert.equal(document.fields, 12);
  assert.equal(one.code, 0);
  writeFileSync(path, `${lines}\n${lines.replace("low:1652kB", "low:1660kB")}\n`);
  const two = await run(["check", path, "--json"]);
  assert.equal(two.code, 1);
  assert.equal(JSON.parse(two.out).length, 2);
  assert.equal((await run(["check", path])).out.match(/fields equal/g)?.length, 2);
});

test("a text with nothing in it is refused as before", async (t) => {
  const path = join(scratch(t), "notes.txt");
  writeFileSync(path, "nothing to see\n");
  const { code, err } = await run(["check", path]);
  assert.equal(code, 3);
  assert.match(err, /it is not an archive of a capture/);
});
