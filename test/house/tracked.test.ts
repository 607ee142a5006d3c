// Goal: nothing in the repository tells where or on what it was written, and anyone's npm can
// install from it. Method: every tracked text file is searched for absolute machine paths, hosts of
// package registries and words of a workplace; the lock file for addresses.
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { z } from "zod";
import { ROOT, trackedFiles } from "./project.ts";

// Spelled in pieces, so that this file does not find itself.
const FORBIDDEN: readonly (readonly [string, RegExp])[] = [
  ["a path of one machine", pattern("(?<![\\w.:-])/(work|root|tmp|home|Users)", "/[\\w.-]")],
  ["a registry's host", pattern("registry\\.(np", "mjs|yarnpkg|npmmirror)\\b")],
  ["a word of a workplace", pattern("\\b(sub-?agents?|co-?", "pilot|scratch ?pad)\\b", "i")],
  ["a conflict left over", pattern("^(<{7}|>{7}", ") ", "m")],
];
/** Text of other people's machines is what these are about: captures, and samples of logs. */
const FOREIGN_TEXT = /^(corpus|test\/.*(samples?|fixtures?))\//;
const LARGEST_FILE_BYTES = 1_000_000; // of text; captures have their own limit

const texts = trackedFiles()
  .filter((path) => !FOREIGN_TEXT.test(path) && !/\.(gz|zst|png|wasm|dtb)$/.test(path))
  .filter((path) => statSync(join(ROOT, path), { throwIfNoEntry: false })?.isFile() === true)
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));

for (const [what, regex] of FORBIDDEN) {
  test(`no file holds ${what}`, () => {
    ok(texts.length > 20, `only ${texts.length} files were searched`);
    const found = texts.flatMap(({ path, text }) => {
      const match = regex.exec(text);
      if (match === null) return [];
      return [`${path}:${text.slice(0, match.index).split("\n").length}: ${match[0]}`];
    });
    deepEqual(found, []);
  });
}

test("the search finds what it is for", () => {
  const samples = ["/ro ot/x", "regist ry.npmjs.org", "sub agent", "<<<<<<< HEAD"];
  for (const [index, [what, regex]] of FORBIDDEN.entries()) {
    const sample = (samples[index] ?? "").replace(/(?<=\w) (?=\w)/, "");
    ok(regex.test(sample), `${what} is not found in "${sample}"`);
  }
  equal(FORBIDDEN[0]?.[1].test("https://example.org/work/x, /proc/zoneinfo, a/tmp/b"), false);
});

test("no text is larger than a reader would open", () => {
  const large = texts.filter(({ text }) => text.length > LARGEST_FILE_BYTES);
  deepEqual(
    large.map(({ path }) => path),
    [],
  );
});

test("the lock file names packages, not addresses, and covers package.json", () => {
  const Packages = z.record(
    z.string(),
    z.looseObject({
      resolved: z.string().optional(),
      optionalDependencies: z.record(z.string(), z.string()).optional(),
    }),
  );
  const Lock = z.looseObject({ packages: Packages });
  const text = readFileSync(join(ROOT, "package-lock.json"), "utf8");
  const { packages } = Lock.parse(JSON.parse(text));
  const addressed = Object.entries(packages).filter(([, entry]) => entry.resolved !== undefined);
  deepEqual(
    addressed.map(([name]) => name),
    [],
  );

  // npm ci refuses a lock that lacks a platform's package (scripts/lock.mjs completes it).
  const missing = Object.entries(packages).flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {}).filter(
      (name) =>
        packages[`node_modules/${name}`] === undefined &&
        packages[`${path}/node_modules/${name}`] === undefined,
    ),
  );
  deepEqual(missing, []);
});

function pattern(start: string, rest: string, flags = ""): RegExp {
  return new RegExp(start + rest, flags);
}
