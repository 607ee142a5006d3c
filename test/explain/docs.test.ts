// Goal: docs/explain.md says what the rules say. Method: make its tables again and compare.
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { explainPage } from "../../scripts/explain-rules.ts";

test("docs/explain.md is what the rules say", () => {
  const page = readFileSync(new URL("../../docs/explain.md", import.meta.url), "utf8");
  assert.equal(page, explainPage(), "run node scripts/explain-rules.ts");
});
