// Goal: what users install works: every entry point resolves, with types, without any dependency,
// and the tarball holds the built package and nothing else. Method: resolve the exports by our own
// name, follow their imports through dist/, and read the file list that npm would pack.
import { deepEqual, equal, ok } from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseAst } from "rolldown/parseAst";
import { z } from "zod";
import { outputOf, ROOT } from "./project.ts";

const Manifest = z.looseObject({
  name: z.string(),
  version: z.string(),
  engines: z.object({ node: z.string() }),
  bin: z.record(z.string(), z.string()),
  exports: z.record(
    z.string(),
    z.union([z.string(), z.object({ types: z.string(), default: z.string() })]),
  ),
  dependencies: z.never().optional(),
});
const Packed = z.array(
  z.object({ files: z.array(z.object({ path: z.string(), size: z.number(), mode: z.number() })) }),
);

const manifest = Manifest.parse(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")));

describe("each entry point", () => {
  for (const [name, target] of Object.entries(manifest.exports)) {
    const specifier = name.replace(/^\./, manifest.name);
    if (typeof target === "string") {
      test(`${specifier} resolves`, () => {
        equal(fileURLToPath(import.meta.resolve(specifier)), join(ROOT, target));
      });
      continue;
    }

    test(`${specifier} resolves, loads, and has types`, async () => {
      equal(fileURLToPath(import.meta.resolve(specifier)), join(ROOT, target.default));
      ok(existsSync(join(ROOT, target.types)), `${target.types} is missing: npm run build`);
      const module: unknown = await import(specifier);
      ok(typeof module === "object" && module !== null && Object.keys(module).length > 0);
      ok(!("default" in module), "named exports only");
    });

    test(`${specifier} needs no other package`, () => {
      deepEqual(foreignImports([join(ROOT, target.default)]), []);
      deepEqual(foreignImports([join(ROOT, target.types)]), []);
    });
  }
});

describe("the tarball", () => {
  const npm = process.env.npm_execpath;
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts", "--loglevel=error"];
  const text =
    npm === undefined ? outputOf("npm", args) : outputOf(process.execPath, [npm, ...args]);
  const files = Packed.parse(JSON.parse(text)).flatMap((pack) => pack.files);
  const paths = files.map(({ path }) => path);

  test("holds the licence, the bin, and both sides of every source", () => {
    for (const path of ["LICENSE", "CHANGELOG.md", "package.json", "bin/zonewright"]) {
      ok(paths.includes(path), `${path} is missing`);
    }
    for (const path of Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === "string" ? [] : [entry.types, entry.default],
    )) {
      ok(paths.includes(path.replace("./", "")), `${path} is missing`);
    }
    const unbuilt = paths
      .filter((path) => /^src\/(?!cli\/).*\.ts$/.test(path))
      .map((path) => path.replace(/^src\//, "dist/").replace(/\.ts$/, ".js"))
      .filter((path) => !paths.includes(path));
    deepEqual(unbuilt, [], "a source without its build");
  });

  test("holds no corpus, no test, no tool of ours", () => {
    const allowed =
      /^(LICENSE|README\.md|CHANGELOG\.md|package\.json|bin\/(zonewright|package\.json)|examples\/.+\.(yaml|dtb|dts|ts|md|tar\.gz)|src\/.+\.ts|dist\/.+\.(js|d\.ts|map)|dist\/.+\.html|dist\/wasm\/(web-tree-sitter|tree-sitter-c)\.wasm|dist\/THIRD-PARTY\.md)$/;
    deepEqual(
      paths.filter((path) => !allowed.test(path)),
      [],
    );
    const commandLine = paths.filter((path) => path.startsWith("dist/cli/"));
    deepEqual(commandLine, ["dist/cli/zonewright.js"], "the command line is one file");
  });

  test("has an executable bin and stays small", () => {
    for (const path of Object.values(manifest.bin)) {
      const file = files.find((packed) => packed.path === path.replace("./", ""));
      ok(file !== undefined && (file.mode & 0o111) === 0o111, `${path} is not executable`);
    }
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    // The grammar of C as WebAssembly is nearly a megabyte of it.
    ok(bytes < 16_000_000, `${bytes} bytes unpacked`);
  });
});

test("the command line carries its libraries", () => {
  deepEqual(foreignImports([join(ROOT, "dist/cli/zonewright.js")]), []);
});

test("bin/zonewright and package.json ask for the same Node", () => {
  const bin = readFileSync(join(ROOT, "bin/zonewright"), "utf8");
  const [, major, minor] = /OLDEST = \[(\d+), (\d+)\]/.exec(bin) ?? [];
  equal(manifest.engines.node, `>=${major}.${minor}`);
});

/** Packages that are imported from `entries` on, directly or not, apart from Node's own. */
function foreignImports(entries: readonly string[]): string[] {
  const seen = new Set<string>(entries);
  const foreign = new Set<string>();
  for (const file of seen) {
    for (const specifier of importsOf(file)) {
      if (specifier.startsWith(".")) {
        const path = join(dirname(file), specifier);
        seen.add(file.endsWith(".d.ts") ? path.replace(/(\.d)?\.[jt]s$/, ".d.ts") : path);
      } else if (!specifier.startsWith("node:")) foreign.add(specifier);
    }
  }
  return [...foreign].sort();
}

/** Specifiers of a module's imports, re-exports, `import()` calls and types. */
function importsOf(file: string): string[] {
  const lang = file.endsWith(".d.ts") ? "dts" : "js";
  const specifiers: string[] = [];
  // Each of these nodes has its specifier, a literal, in `source`; so has nothing else.
  JSON.stringify(parseAst(readFileSync(file, "utf8"), { lang }, file), (key, value: unknown) => {
    if (key === "source" && typeof value === "object" && value !== null && "value" in value) {
      if (typeof value.value === "string") specifiers.push(value.value);
    }
    return typeof value === "bigint" ? null : value;
  });
  return specifiers;
}
