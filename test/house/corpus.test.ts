// Goal: the corpus stays small enough to clone and every capture says where it comes from, so that
// anyone can make it again. Method: open every archive and check its origin against its own files.
import { deepEqual, equal, ok } from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { z } from "zod";
import { corpusFiles, corpusNames } from "../support/corpus.ts";
import { ROOT, run } from "./project.ts";

const CORPUS_BYTES = 15_000_000;

const Origin = z.looseObject({
  name: z.string().min(1),
  arch: z.string().min(1),
  kernel: z.string().regex(/^\d+\.\d+/),
  memory: z.string().min(1),
  cmdline: z.string(),
  qemu_command: z.string().regex(/^qemu-system-\w+ .*-m /),
});

test("the corpus is small", () => {
  const folder = join(ROOT, "corpus");
  const bytes = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((path) => statSync(join(folder, path)))
    .reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0);
  ok(bytes < CORPUS_BYTES, `${bytes} bytes`);
});

describe("each capture", () => {
  const names = corpusNames();
  const seen = new Set<string>();

  test("has its origin: kernel, memory, command line and how it was booted", () => {
    ok(names.length >= 100, `only ${names.length} captures`);
    for (const name of names) {
      const files = corpusFiles(name);
      const origin = Origin.parse(JSON.parse(files.get("meta.json") ?? "{}"));
      ok(
        name === origin.name || name === `trace-${origin.name}`,
        `${name} calls itself ${origin.name}`,
      );
      ok(!seen.has(name));
      seen.add(name);
      const version = files.get("version");
      if (version !== undefined) ok(version.startsWith(`Linux version ${origin.kernel} `), name);
      const cmdline = files.get("cmdline");
      if (cmdline !== undefined) equal(words(cmdline), words(origin.cmdline));
    }
  });

  test("has the tables that plans are checked against", () => {
    const needed = ["zoneinfo", "buddyinfo", "dmesg"];
    const lacking = names.filter((name) => {
      const files = corpusFiles(name);
      return !needed.every((path) => (files.get(path) ?? "").length > 0);
    });
    deepEqual(lacking, []);
  });
});

test("docs/corpus.md lists every capture", () => {
  const { status, stderr } = run(process.execPath, ["scripts/corpus-table.ts", "--check"]);
  equal(status, 0, stderr);
});

function words(text: string): string {
  return text.trim().split(/\s+/).join(" ");
}
