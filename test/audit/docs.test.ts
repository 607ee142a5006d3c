// Goal: docs/audit.md names every category that a rule can say. Method: the rules' own text.
import { deepEqual, ok } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

test("docs/audit.md has a row for each category", () => {
  const folder = new URL("../../src/audit/rules/", import.meta.url);
  const said = new Set<string>();
  for (const name of readdirSync(folder)) {
    const text = readFileSync(new URL(name, folder), "utf8");
    for (const [, category = ""] of text.matchAll(/category: (?:[^",;]*\? )?"([\w-]+)"/g))
      said.add(category);
    for (const [, category = ""] of text.matchAll(/limited\("([\w-]+)"/g)) said.add(category);
  }
  ok(said.size > 15);
  const docs = readFileSync(new URL("../../docs/audit.md", import.meta.url), "utf8");
  deepEqual(
    [...said].filter((category) => !docs.includes(`\`${category}\``)),
    [],
  );
});
