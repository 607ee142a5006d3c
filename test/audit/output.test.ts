// Goal: what the audit writes is what others read: SARIF that obeys its schema, a patch that git
// applies and that takes out exactly the flags, ids that survive moved lines. Method: the schema of
// OASIS, git itself on files in a folder of its own, and sources put together at random.
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as z from "zod";
import {
  costOf,
  identities,
  isFinding,
  isRequest,
  markdownOf,
  patchOf,
  sarifOf,
} from "../../src/audit/index.ts";
import { auditOf } from "./sources.ts";

const SCHEMA = new URL("sarif-schema-2.1.0.json", import.meta.url);
const SOURCE = `/* GFP_DMA */
static int x_probe(struct x *x)
{
	x->a = kmalloc(64, GFP_KERNEL | GFP_DMA);
	x->b = kmalloc(64,
		       GFP_DMA | GFP_KERNEL);
	x->c = dma_alloc_coherent(x->dev, 8, &x->h, GFP_DMA);
	x->d = kzalloc(sizeof(*x), (GFP_KERNEL | GFP_DMA) | __GFP_NOWARN);
	x->e = alloc_pages(GFP_DMA | GFP_DMA32, 0);
	return dma_set_mask(x->dev, DMA_BIT_MASK(40));
}
`;

describe("SARIF", () => {
  const schema = sarifSchema();
  const uses = auditOf({ "drivers/x y/ä.c": SOURCE });

  test("obeys the schema of OASIS, with and without a baseline", () => {
    const unparsed = [{ file: "a.c", line: 3, text: "what?" }];
    for (const known of [null, new Set(identities(uses).slice(0, 2))]) {
      schema.parse(sarifOf(uses, { version: "1.2.3", known, unparsed }));
    }
    schema.parse(sarifOf([], { version: "1.2.3", known: null, unparsed: [] }));
  });

  test("and the schema is one that refuses", () => {
    const log = JSON.parse(
      JSON.stringify(sarifOf(uses, { version: "1", known: null, unparsed: [] })),
    );
    log.runs[0].results[0].level = "fatal";
    equal(schema.safeParse(log).success, false);
  });

  test("names files as URIs and leaves comments out", () => {
    const text = JSON.stringify(sarifOf(uses, { version: "1", known: null, unparsed: [] }));
    ok(text.includes('"uri":"drivers/x%20y/%C3%A4.c"'));
    ok(!text.includes('"ruleId":"comment"'));
  });
});

describe("a patch", () => {
  test("takes out the flag and nothing else", () => {
    const patched = apply("x.c", SOURCE);
    match(patched, /x->a = kmalloc\(64, GFP_KERNEL\);\n/);
    match(patched, /x->b = kmalloc\(64,\n\t\t {7}GFP_KERNEL\);\n/);
    match(patched, /x->c = dma_alloc_coherent\(x->dev, 8, &x->h, GFP_KERNEL\);\n/);
    match(patched, /x->d = kzalloc\(sizeof\(\*x\), \(GFP_KERNEL\) \| __GFP_NOWARN\);\n/);
    match(patched, /x->e = alloc_pages\(GFP_DMA \| GFP_DMA32, 0\);\n/);
    match(patched, /^\/\* GFP_DMA \*\/\n/);
  });

  test("leaves what others may depend on", () => {
    const text = `void f(void)
{
	gfp_t gfp = GFP_KERNEL | GFP_DMA;
	p = kmalloc(8, gfp);
	other_layer(gfp);
}
`;
    equal(patchOf("x.c", text, auditOf({ "x.c": text })), "");
  });

  test("a cache without its only flag has none", () => {
    const text = `int x_init(void)
{
	c = kmem_cache_create("x", 64, 0, SLAB_CACHE_DMA, NULL);
	p = kmem_cache_alloc(c, GFP_KERNEL);
}
`;
    equal(apply("x.c", text), text.replace("SLAB_CACHE_DMA", "0"));
  });

  test("keeps the flag where the buffer is too large to bounce", () => {
    const text = (size: string): string => `int x_init(void)
{
	p = kmalloc(${size}, GFP_KERNEL | GFP_DMA);
}
`;
    const of = (size: string): string => patchOf("x.c", text(size), auditOf({ "x.c": text(size) }));
    notEqual(of("256 * 1024"), "");
    equal(of("512 * 1024"), "");
  });

  test("is empty for a file without uses", () => {
    equal(patchOf("y.c", "int a;\n", auditOf({ "x.c": SOURCE })), "");
  });

  test("applies whatever surrounds the flags, also without a last line break", () => {
    const line = fc.constantFrom(
      "p = kmalloc(8, GFP_KERNEL | GFP_DMA);",
      "p = kmalloc(8,\n\tGFP_DMA |\n\tGFP_ATOMIC); q = kzalloc(9, GFP_DMA | GFP_KERNEL);",
      "other(1);",
      "",
      "/* GFP_KERNEL | GFP_DMA */",
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 14 }), fc.boolean(), (lines, ends) => {
        const text = `void f(void)\n{\n${lines.join("\n")}\n}${ends ? "\n" : ""}`;
        const uses = auditOf({ "x.c": text });
        const count = uses.filter(({ removal }) => removal !== null).length;
        const patched = count === 0 ? text : apply("x.c", text);
        const left = auditOf({ "x.c": patched }).filter(({ group }) => group !== "no-use");
        deepEqual(left, []);
        equal(uses.filter(({ group }) => group !== "no-use").length, count);
      }),
      { numRuns: 25 },
    );
  });
});

test("ids stay when lines move, and change with what is written", () => {
  const before = identities(auditOf({ "x.c": SOURCE }));
  const moved = identities(auditOf({ "x.c": `#include <a.h>\n\n${SOURCE}` }));
  deepEqual(moved, before);
  equal(new Set(before).size, before.length);
  const other = identities(auditOf({ "x.c": SOURCE.replace("x->a", "x->z") }));
  notEqual(other[1], before[1]);
  deepEqual(other.slice(2), before.slice(2));
});

test("Markdown has a row for each finding, and nothing breaks out of its cell", () => {
  const uses = auditOf({ "a|b.c": SOURCE });
  const text = markdownOf(uses, 1);
  match(text, /\| a\\\|b\.c:4 \| GFP_DMA in kmalloc\(\) \| /);
  ok(!text.includes("a|b.c:"));
  const rows = text.match(/^\| a\\\|b\.c:\d+ \|/gm) ?? [];
  equal(rows.length, uses.filter((use) => isRequest(use) && isFinding(use)).length);
});

test("Markdown has a section for each verdict that asks for something, urgent ones first", () => {
  const quiet = `void f(struct device *d)
{
	dma_set_mask(d, DMA_BIT_MASK(32));
}
`;
  const text = markdownOf(auditOf({ "a.c": SOURCE, "b.c": quiet }), 2);
  const headings = [...text.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  deepEqual(headings, ["By folder", "bug", "replaceable (misuse)", "replaceable (no-op)"]);
  // The summary counts all, and leads to the sections; what is right has none.
  const summary = text.slice(0, text.indexOf("## By folder"));
  match(summary, /^\| \[bug\]\(#bug\) \| 2 \| .* \|$/m);
  match(summary, /^\| \[replaceable \(misuse\)\]\(#replaceable-misuse\) \| 3 \| /m);
  match(summary, /^\| legitimate \| 2 \| .* mask-32bit 1/m);
  ok(!text.includes("b.c:3"), "nothing is to do there");
  // What to use instead is said once for a kind.
  equal(text.match(/^Instead: drop the flag; if the device is limited/gm)?.length, 1);
  // Every table has as many cells as its head.
  for (const block of text.split("\n\n").filter((one) => one.startsWith("|"))) {
    const widths = block
      .trim()
      .split("\n")
      .map((line) => line.split(/(?<!\\)\|/).length);
    equal(new Set(widths).size, 1, block);
  }
});

test("Markdown of nothing is a summary of nothing", () => {
  const text = markdownOf([], 3);
  match(text, /0 uses in 3 files; 0 to do/);
  ok(!/^## (?!By folder)/m.test(text));
});

test("the cost counts what must stay: known sizes as given out, unknown ones apart", () => {
  const text = `void f(int n)
{
	a = kmalloc(100, GFP_KERNEL | GFP_DMA);
	b = (void *)__get_free_pages(GFP_KERNEL | GFP_DMA, 2);
	c = kmalloc(n, GFP_KERNEL | GFP_DMA);
	d = dma_alloc_coherent(x, 4096, &h, GFP_KERNEL | GFP_DMA);
}
`;
  const cost = costOf(auditOf({ "drivers/s390/x.c": text, "drivers/x/x.c": text }), null);
  deepEqual(cost.rows, [
    { bits: 31, zone: "DMA", places: 3, files: 1, bytes: 128 + 4 * 4096, unknown: 1 },
  ]);
  equal(cost.leastBytes, 128 + 4 * 4096 + 4096);
  equal(cost.maskPool, "24K");
});

/** The file after git applied its patch. */
function apply(name: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "audit-patch-"));
  try {
    writeFileSync(join(folder, name), text);
    const patch = patchOf(name, text, auditOf({ [name]: text }));
    const { status, stderr } = spawnSync("git", ["apply", "--whitespace=nowarn", "-"], {
      cwd: folder,
      input: patch,
      encoding: "utf8",
      env: { ...process.env, GIT_CEILING_DIRECTORIES: tmpdir() },
    });
    equal(status, 0, `${stderr}\n${patch}`);
    return readFileSync(join(folder, name), "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** zod takes a URI reference for a whole URI, so that one format is left to the test above. */
function sarifSchema(): z.ZodType {
  const schema = JSON.parse(readFileSync(SCHEMA, "utf8"), (_, value: unknown) => {
    if (typeof value !== "object" || value === null || !("format" in value)) return value;
    const { format, ...rest } = value;
    return format === "uri-reference" ? rest : value;
  });
  return z.fromJSONSchema(schema, { defaultTarget: "draft-4" });
}
