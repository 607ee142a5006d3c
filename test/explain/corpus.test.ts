// Goal: no failure is found where there was none. Method: every capture and recording of the corpus
// is read as if it were a log; what is found must be one of the few that do hold such a line.
import { deepEqual, ok } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { explain } from "./explain.ts";

const LAYOUTS = new URL("../../corpus/layouts/", import.meta.url);
/** Boots whose kernel said so itself. */
const SAID = [
  ["arm64-6.12-3G-efi.tar.gz", "pool-rounded"],
  ["x86_64-6.1-3G-swiotlb20000-force.tar.gz", "pool-rounded"],
  ["x86_64-6.1-6G-swiotlb-noforce.tar.gz", "pool-not-reserved"],
];

test("a sound machine's log has no finding", () => {
  const names = readdirSync(LAYOUTS).filter((name) => name.endsWith(".tar.gz"));
  ok(names.length > 100);
  const found = names.sort().flatMap((name) => {
    const text = gunzipSync(readFileSync(new URL(name, LAYOUTS))).toString("latin1");
    return explain(text).map(({ cause }) => [name, cause]);
  });
  deepEqual(found, SAID);
});
