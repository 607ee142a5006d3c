// Goal: `zonewright audit` keeps its contract: a document that obeys its schema, SARIF, Markdown and a
// patch, a baseline that lets only what is new fail, one error a line. Method: a small tree on disk.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { auditSchema } from "../../src/documents/index.ts";
import { machine, run, scratch } from "./run.ts";

const USER = `int x_probe(struct x *x)
{
	x->a = kmalloc(64, GFP_KERNEL | GFP_DMA);
	/* GFP_DMA */
	return dma_set_mask(x->dev, DMA_BIT_MASK(40));
}
`;

function tree(t: TestContext): string {
  const root = scratch(t);
  mkdirSync(join(root, "drivers"));
  writeFileSync(join(root, "drivers/x.c"), USER);
  return root;
}

test("the document has the contract's fields and obeys its schema", async (t) => {
  const root = tree(t);
  const { code, out, err } = await run(["audit", root, "--json", "--no-cache"]);
  deepEqual([code, err], [1, ""]);
  const document = auditSchema.parse(JSON.parse(out));
  equal(document.schema, "zonewright/audit/1");
  deepEqual(
    document.uses.map(({ file, line, flag, allocator, category, verdict, finding }) => [
      file.endsWith("/drivers/x.c"),
      line,
      flag,
      allocator,
      category,
      verdict,
      finding,
    ]),
    [
      [true, 3, "GFP_DMA", "kmalloc", "kmalloc-streaming", "replaceable (misuse)", true],
      [true, 4, "GFP_DMA", null, "comment", "n/a", false],
      [true, 5, "dma_set_mask", "dma_set_mask", "mask-wide", "legitimate", false],
    ],
  );
  ok(document.uses.every(({ why, fix, confidence }) => why !== "" && fix !== null && confidence));
  deepEqual(document.unparsed, []);
});

test("a screen says what there is, what is to do, and what the rest costs", async (t) => {
  const { code, out } = await run(["audit", tree(t), "--no-cache"]);
  equal(code, 1);
  for (const words of [
    /2 uses, 1 to do/,
    /By verdict/,
    /By folder/,
    /To do/,
    /GFP_DMA in kmalloc\(\)/,
  ]) {
    match(out, words);
  }
});

test("what the rest costs is a command that plan takes", async (t) => {
  const root = scratch(t);
  mkdirSync(join(root, "drivers/s390"), { recursive: true });
  const text = USER.replace("64,", "9000,").replace("GFP_DMA */", "*/");
  writeFileSync(join(root, "drivers/s390/x.c"), text);
  const { out } = await run(["audit", root, "--no-cache"]);
  const [, words = ""] = /^ +zonewright (plan MACHINE .*)$/m.exec(out) ?? [];
  equal(words, "plan MACHINE --mask-pool 12K");
  const machinePath = machine("desktop-8G");
  const plan = await run(words.replace("MACHINE", machinePath).split(" "));
  deepEqual([plan.code, plan.err], [0, ""]);
  match(plan.out, /12 KiB/);
});

test("nothing to do is exit code 0", async (t) => {
  const root = scratch(t);
  writeFileSync(
    join(root, "x.c"),
    "int probe(void) { return dma_set_mask(d, DMA_BIT_MASK(32)); }\n",
  );
  equal((await run(["audit", root, "--no-cache"])).code, 0);
  writeFileSync(join(root, "x.c"), "int a;\n");
  const { code, out } = await run(["audit", root, "--no-cache"]);
  equal(code, 0);
  match(out, /0 uses/);
});

test("a baseline: what it knows does not count, what is new does", async (t) => {
  const root = tree(t);
  const before = join(root, "before.json");
  writeFileSync(before, (await run(["audit", root, "--json", "--no-cache"])).out);
  equal((await run(["audit", root, "--baseline", before, "--no-cache"])).code, 0);
  writeFileSync(
    join(root, "drivers/x.c"),
    `\n\n${USER}void g(void)\n{\n\tp = kzalloc(1, GFP_DMA);\n}\n`,
  );
  const { code, out } = await run(["audit", root, "--baseline", before, "--json", "--no-cache"]);
  equal(code, 1);
  const { uses } = auditSchema.parse(JSON.parse(out));
  deepEqual(
    uses.map(({ line, isNew }) => [line, isNew]),
    [
      [5, false],
      [6, false],
      [7, false],
      [11, true],
    ],
  );
  const sarif = await run(["audit", root, "--baseline", before, "--sarif", "--no-cache"]);
  deepEqual(
    [...sarif.out.matchAll(/"baselineState": "(\w+)"/g)].map(([, state]) => state),
    ["unchanged", "unchanged", "new"],
  );
});

test("SARIF, Markdown and a patch are each the whole of standard output", async (t) => {
  const root = tree(t);
  const sarif = JSON.parse((await run(["audit", root, "--sarif", "--no-cache"])).out);
  equal(sarif.version, "2.1.0");
  match((await run(["audit", root, "--markdown", "--no-cache"])).out, /^# Users of low memory/);
  const { code, out } = await run(["audit", root, "--patch", "--no-cache"]);
  equal(code, 1);
  match(out, /^--- a\//);
  match(out, /^\+\tx->a = kmalloc\(64, GFP_KERNEL\);$/m);
});

test("bad input is one line with the place and a mend", async (t) => {
  const root = tree(t);
  const notOurs = join(root, "x.json");
  writeFileSync(notOurs, '{"uses": 1}');
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [["audit"], 2, /missing required argument/],
    [["audit", root, "--json", "--sarif"], 2, /only one of them/],
    [["audit", join(root, "none")], 3, /none: no such file or folder; give a folder/],
    [["audit", root, "--baseline", join(root, "none")], 3, /none: .*; make one with audit --json/],
    [["audit", root, "--baseline", notOurs], 3, /x\.json: not a document of audit --json/],
    [["audit", root, "--baseline", join(root, "drivers/x.c")], 3, /not a document/],
  ];
  for (const [args, code, words] of cases) {
    const result = await run(args);
    equal(result.code, code, args.join(" "));
    match(result.err, words);
    equal(result.err.split("\n").length, 2);
    equal(result.out, "");
  }
});

test("the schema is published", async () => {
  const { out } = await run(["schema", "audit"]);
  equal(JSON.parse(out).$id, "zonewright/audit/1");
});
