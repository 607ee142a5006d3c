// Goal: the ratchets count what they are for, and nothing in strings or comments. Method: a small
// source with one of each, and its look-alikes, is counted by hand.
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { hitsIn } from "../../scripts/tidy.ts";

const rulesIn = (source: string): string[] =>
  hitsIn("x.ts", source).map(({ rule, line }) => `${rule}:${line}`);

test("each rule finds its own", () => {
  deepEqual(rulesIn("let a: any;\n"), ["any:1"]);
  deepEqual(rulesIn("\nconst a = b as string;\n"), ["casts:2"]);
  deepEqual(rulesIn("const a = <string>b;\n"), ["casts:1"]);
  deepEqual(rulesIn("f(\n  a!,\n);\n"), ["nonNull:2"]);
  deepEqual(rulesIn(`// ${"TO"}DO\n`), ["todo:1"]);
  deepEqual(rulesIn("x;\n".repeat(351)), ["longFiles:1"]);
  deepEqual(rulesIn(`\nclass A {\n  f() {${"\n".repeat(70)}}\n}\n`), ["longFunctions:3"]);
  deepEqual(rulesIn(`const f = () => {${"\n".repeat(70)}};\n`), ["longFunctions:1"]);
});

test("look-alikes are not counted", () => {
  const source = [
    "// any file as it is: not!",
    'const text = "b as any";',
    "const list = [1] as const;",
    "const no = !list;",
    "const on: boolean = a != b;",
    "export { f as g } from './g.ts';",
    "type K<T> = { [P in keyof T as Uppercase<P & string>]: T[P] };",
    "",
  ].join("\n");
  deepEqual(rulesIn(source), []);
  equal(rulesIn("x;\n".repeat(350)).length, 0);
  equal(rulesIn(`function f() {${"\n".repeat(69)}}\n`).length, 0);
});
