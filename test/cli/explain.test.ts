// Goal: `zonewright explain` keeps its contract: a document that obeys its schema, exit codes, packed
// and piped input, a screen that names its numbers, redaction that says what it took. Method: the
// reports of the lab's kernel and synthetic ones, from files, packed, and on standard input.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync, zstdCompressSync } from "node:zlib";
import { explainSchema } from "../../src/documents/index.ts";
import { blocksOf, failureHeader, reportLines } from "../support/reports.ts";
import { run, scratch } from "./run.ts";

const LAB = fileURLToPath(new URL("../explain/fixtures/i-oom-256M.dmesg.gz", import.meta.url));
const FRAGMENTED = reportLines({
  header: failureHeader(4, "0xcc0(GFP_KERNEL)", "secret-app"),
  comm: "secret-app",
  zones: [
    {
      name: "Normal",
      free: 400_000,
      min: 65_536,
      boost: 0,
      managed: 8_388_608,
      highatomic: 0,
      freeCma: 0,
      reserve: [0, 0, 0, 0, 0],
      blocks: blocksOf({ 0: 40_000, 1: 30_000 }),
    },
  ],
}).join("\n");

test("the document has the contract's fields and obeys its schema", async () => {
  const { code, out, err } = await run(["explain", LAB, "--json"]);
  equal(err, "");
  equal(code, 1);
  const document = explainSchema.parse(JSON.parse(out));
  equal(document.schema, "zonewright/explain/1");
  deepEqual(
    document.findings.map(({ kind, cause, order, era }) => [kind, cause, order, era]),
    [
      ["oom", "below-watermark", 0, "6.1"],
      ["oom", "boost-only", 0, "6.1"],
      ["memory-state", "passes-now", null, "6.1"],
      ["oom", "forced", -1, "6.1"],
    ],
  );
  const [zone] = document.findings[0]?.zones ?? [];
  deepEqual(
    [zone?.name, zone?.eligible, zone?.free, zone?.needs, zone?.mark, zone?.watermarkOk],
    ["DMA32", true, 233, 237, "min", false],
  );
});

test("standard input, plain or packed, is read as a file is", async (t) => {
  const packed = readFileSync(LAB);
  const plain = gunzipSync(packed);
  const zst = join(scratch(t), "log.zst");
  writeFileSync(zst, zstdCompressSync(plain));
  const findings = async (path: string, stdin?: Uint8Array): Promise<unknown> => {
    const { out } = await run(["explain", path, "--json"], stdin === undefined ? {} : { stdin });
    return JSON.parse(out).findings;
  };
  const expected = await findings(LAB);
  deepEqual(await findings("-", plain), expected);
  deepEqual(await findings("-", packed), expected);
  deepEqual(await findings(zst), expected);
});

test("the screen shows sentence, zones, orders, evidence and advice", async () => {
  const { code, out } = await run(["explain", "-"], { stdin: FRAGMENTED });
  equal(code, 1);
  match(out, /pieces: the largest is an order-1 block/);
  match(out, /fragmentation · computed from the printed state/);
  match(out, /Normal +has +[█░]+ +99 985 usable of 100 000 free/);
  match(out, /\[4\]/);
  match(out, /^ {2}line 1 +secret-app: page allocation failure/m);
  match(out, /^ {2}computed +ask for an order-1 block/m);
  ok(out.split("\n").length < 50, "one screen");
  ok(out.split("\n").every((line) => line.length <= 100));
});

test("--all counts equal reports; --redact says what it took", async () => {
  const stdin = `${FRAGMENTED}\n`.repeat(7);
  const all = await run(["explain", "-", "--all", "--redact", "--json"], { stdin });
  const document = explainSchema.parse(JSON.parse(all.out));
  deepEqual(
    document.findings.map(({ count }) => count),
    [7],
  );
  equal(document.redacted?.["tasks"], 1);
  ok(!all.out.includes("secret-app"));
  const screen = await run(["explain", "-", "--all"], { stdin });
  match(screen.out, /^ +7 +page-allocation-failure +fragmentation/m);
});

test("a log without reports is fine, and tables of /proc are pointed out", async () => {
  const none = await run(["explain", "-"], { stdin: "eth0: link up\n" });
  deepEqual([none.code, none.err], [0, ""]);
  match(none.out, /no report of refused memory/);
  const table = await run(["explain", "-"], {
    stdin: "a\nNode 0, zone   Normal\n  pages free 1\n",
  });
  equal(table.code, 0);
  match(table.out, /tables of \/proc \(line 2\): zonewright inspect/);
});

test("words that no rule knows are one line", async () => {
  const { code, out } = await run(["explain", "-", "--json"], {
    stdin: "SLUB: Unable to allocate memory on node -1\n",
  });
  equal(code, 1);
  const [finding] = explainSchema.parse(JSON.parse(out)).findings;
  deepEqual([finding?.kind, finding?.cause], ["unknown", "not-in-report"]);
});

test("what cannot be read is one clear line and exit code 3", async (t) => {
  const folder = scratch(t);
  const cut = join(folder, "cut.gz");
  writeFileSync(cut, readFileSync(LAB).subarray(0, 2000));
  for (const path of [folder, join(folder, "none"), cut]) {
    const { code, out, err } = await run(["explain", path]);
    equal(code, 3);
    equal(out, "");
    match(err, /^zonewright: [^\n]+\n$/);
  }
  equal((await run(["explain"])).code, 2);
});
