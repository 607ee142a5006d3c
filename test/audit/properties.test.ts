// Goal: no text breaks the audit, and no flag that a plain search finds is lost. Method: random
// bytes, and C put together at random and then torn; each word in the text must come out as a hit,
// with the kind that a scanner of its own, too simple to be wrong, gives it.
import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { bracketText } from "../../src/audit/clean.ts";
import { functionAt, functionsOf } from "../../src/audit/functions.ts";
import { CODE, COMMENT, lexicalOf, STRING } from "../../src/audit/lexical.ts";
import { auditOf, factsOf } from "./sources.ts";

/** Pieces of C, whole and torn. */
const piece = fc.constantFrom(
  "void f(int a)\n{\n",
  "}\n",
  "p = kmalloc(8, GFP_KERNEL | GFP_DMA);\n",
  "gfp |= GFP_DMA32;",
  "dma_set_mask(d, DMA_BIT_MASK(",
  "30));\n",
  "/* GFP_DMA",
  "*/",
  "// __GFP_DMA\n",
  '"GFP_DMA32',
  '"',
  "'",
  "\\\n",
  "#if 0\n",
  "#else\n",
  "#endif\n",
  "#define M(x) kmalloc(x, GFP_DMA)\n",
  "struct s { int a; } t[] = { { GFP_DMA, { .b = 3 } } };\n",
  "(((((",
  "))",
  "{",
  "\0",
  "\u00ff",
  " | ",
  "~",
  "if (x & ",
  "static u64 m = ",
  "case ",
);
const torn = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));
const bytes = fc
  .uint8Array({ maxLength: 400 })
  .map((array) => Buffer.from(array).toString("latin1"));
const text = fc.oneof(torn, bytes);
const WORD = /\b(?:__)?GFP_DMA(?:32)?\b/g;

/** Character by character: is `offset` code, comment or inside quotes? */
function kindAt(source: string, offset: number): number {
  let state = "code";
  for (let at = 0; at <= offset; at++) {
    const two = source.slice(at, at + 2);
    const one = source[at];
    if (state === "code") {
      if (at === offset && two !== "/*" && two !== "//" && one !== '"' && one !== "'") return CODE;
      if (two === "/*" || two === "//") {
        state = two;
        if (at === offset) return COMMENT;
        at++;
        if (at === offset) return COMMENT;
      } else if (one === '"' || one === "'") state = one;
    } else if (state === "/*") {
      if (two === "*/") {
        state = "code";
        at++;
        if (at >= offset) return COMMENT;
      }
    } else if (state === "//") {
      if (one === "\n" && source[at - 1] !== "\\") {
        state = "code";
        if (at === offset) return CODE;
      }
    } else if (one === "\\") at++;
    else if (one === state) {
      if (at === offset) return STRING;
      state = "code";
    } else if (one === "\n") {
      state = "code";
      if (at === offset) return CODE;
    }
  }
  return state === "code" ? CODE : state.startsWith("/") ? COMMENT : STRING;
}

describe("any text", () => {
  test("is told apart character by character as a simple scanner does", () => {
    fc.assert(
      fc.property(text, (source) => {
        const { kinds, bare, lineStarts } = lexicalOf(source);
        equal(bare.length, source.length);
        equal(lineStarts.length, source.split("\n").length);
        for (const { index } of source.matchAll(WORD)) {
          equal(kinds[index], kindAt(source, index), JSON.stringify([source, index]));
        }
        for (let at = 0; at < bare.length; at++) {
          if (kinds[at] === CODE) equal(bare[at], source[at]);
          else ok(/[\s"']/.test(bare[at] ?? ""));
        }
      }),
      { numRuns: 400 },
    );
  });

  test("gives every flag as one use at its place", () => {
    fc.assert(
      fc.property(text, (source) => {
        const found = auditOf({ "x.c": source }).filter(
          ({ textual, flag }) => textual && flag.includes("GFP_DMA"),
        );
        const lines = [...source.matchAll(WORD)].map(({ 0: word, index }) => {
          const before = source.slice(0, index).split("\n");
          return [before.length, (before.at(-1) ?? "").length + 1, word];
        });
        deepEqual(
          found.map(({ line, column, flag }) => [line, column, flag]),
          lines,
        );
        for (const use of found) ok(use.why !== "" && use.rule !== "");
      }),
      { numRuns: 300 },
    );
  });

  test("gives the same facts each time, as plain data", () => {
    fc.assert(
      fc.property(torn, (source) => {
        const facts = factsOf(source);
        deepEqual(JSON.parse(JSON.stringify(facts)), factsOf(source));
      }),
      { numRuns: 100 },
    );
  });

  test("has functions that do not overlap and hold their own offsets", () => {
    fc.assert(
      fc.property(torn, (source) => {
        const lexical = lexicalOf(source);
        const functions = functionsOf(lexical, bracketText(lexical.bare));
        let last = 0;
        for (const one of functions) {
          ok(one.start >= last && one.bodyStart > one.start && one.end > one.bodyStart);
          equal(functionAt(functions, one.start), one);
          equal(functionAt(functions, one.end - 1), one);
          last = one.end;
        }
      }),
      { numRuns: 200 },
    );
  });
});

test("nesting deeper than any stack, and lines longer than any screen, end", () => {
  const deep = 20_000;
  const nested = `void f(void)\n{\n\tx = ${"(".repeat(deep)}GFP_DMA${")".repeat(deep)};\n}\n`;
  equal(auditOf({ "x.c": nested }).length, 1);
  const braces = `void f(void)\n${"{".repeat(deep)}kmalloc(8, GFP_DMA);${"}".repeat(deep)}\n`;
  equal(auditOf({ "x.c": braces }).length, 1);
  const long = `void f(void) { ${"a = b | c; ".repeat(20_000)} p = kmalloc(8, GFP_DMA); }`;
  equal(auditOf({ "x.c": long }).length, 1);
  const sum = `void f(void) { p = kmalloc(8, ${"A | ".repeat(deep)} GFP_DMA); }`;
  equal(auditOf({ "x.c": sum }).length, 1);
});
