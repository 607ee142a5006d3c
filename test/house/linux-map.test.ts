// Goal: docs/linux-map.md says what the doc comments say, and the engine has no hole in it. Method:
// make the page again and compare; every file of mm/ but the named ones must name its counterpart.
import { strict as assert } from "node:assert";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { entriesOf, linuxMap } from "../../scripts/linux-map.ts";

/** Files of mm/ that have no counterpart: plumbing of this project. */
const OWN = new Set([
  "arguments.ts",
  "index.ts",
  "image.ts",
  "extent.ts",
  "bound.ts",
  "bound-views.ts",
  "create-memory.ts",
  "recover-zone.ts",
  "rule.ts",
  "refusal-words.ts",
  "verify.ts",
  "verify-lists.ts",
]);

test("docs/linux-map.md is what the sources say", () => {
  const page = readFileSync(new URL("../../docs/linux-map.md", import.meta.url), "utf8");
  assert.equal(page, linuxMap(), "run node scripts/linux-map.ts");
});

test("every file of the allocator names what it follows", () => {
  const folder = new URL("../../src/mm/", import.meta.url);
  const silent = readdirSync(folder).filter((file) => {
    if (!file.endsWith(".ts") || OWN.has(file)) return false;
    return entriesOf(file, readFileSync(new URL(file, folder), "utf8")).length === 0;
  });
  assert.deepEqual(silent, []);
});

test("a comment's last line and the name after it make an entry", () => {
  const source =
    "/** A.\n *\n * Linux: f(), mm/a.c\n */\nexport function g(): void {}\n/** No. */\nlet x;\n";
  assert.deepEqual(entriesOf("a.ts", source), [{ file: "a.ts", name: "g", linux: "f(), mm/a.c" }]);
});
