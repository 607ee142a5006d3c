// Goal: imports go down only, and the engine sees neither Node nor the DOM, because anything else
// does not compile. Method: for each layer a project like its own, with probe files added that
// import every other layer, or use a global of a host, is given to the compiler; each probe must
// fail with the expected error, and one that is allowed must pass.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { LAYERS } from "./layers.ts";
import { layerConfig, ROOT } from "./project.ts";

const NOT_LISTED = "TS6307"; // the file belongs to a project that is not referenced
const NO_SUCH_NAME = ["TS2304", "TS2580", "TS2584", "TS2591"]; // with or without advice on a library

const names = LAYERS.map(({ name }) => name);
const work = join(ROOT, "node_modules/.cache/zonewright/layers");

describe("the layers", () => {
  test("are the folders of src/", () => {
    const folders = readdirSync(join(ROOT, "src"), { withFileTypes: true })
      .filter((file) => file.isDirectory())
      .map(({ name }) => name);
    deepEqual(folders.sort(), [...names].sort());
  });

  for (const [place, { name, engine }] of LAYERS.entries()) {
    test(`${name} references only layers below it`, () => {
      const below = names.slice(0, place);
      const { references } = layerConfig(name);
      deepEqual(
        references.filter((layer) => !below.includes(layer)),
        [],
      );
      equal(new Set(references).size, references.length);
    });

    test(`${name} ${engine ? "asks for no ambient types" : "may use Node"}`, () => {
      const { types, lib } = layerConfig(name);
      deepEqual(types, engine ? [] : ["node"]);
      deepEqual(lib, [], "lib is set once, in tsconfig.base.json");
    });
  }

  test("have no DOM in the base configuration", () => {
    const base = readFileSync(join(ROOT, "tsconfig.base.json"), "utf8");
    match(base, /"lib": \["ES2024"\]/);
    match(base, /"types": \[\]/);
  });
});

describe("the compiler", () => {
  before(() => mkdirSync(work, { recursive: true }));
  after(() => rmSync(work, { recursive: true, force: true }));

  let refused = 0;
  for (const { name, engine } of LAYERS) {
    test(`refuses ${name} the layers above it${engine ? ", and a host's globals" : ""}`, () => {
      const { references } = layerConfig(name);
      const reachable = reach(references);
      const others = names.filter((layer) => layer !== name && aModuleOf(layer) !== null);
      const probes = new Map<string, string>();
      for (const layer of others) probes.set(`to-${layer}`, importOf(layer));
      for (const global of ["process", "document", "console"]) {
        probes.set(`global-${global}`, `export const probe: unknown = ${global};\n`);
      }
      probes.set(
        "node-builtin",
        'import { readFileSync } from "node:fs";\nexport { readFileSync };\n',
      );
      const errors = compile(name, references, probes);

      for (const layer of others) {
        const codes = errors.get(`to-${layer}`) ?? [];
        if (reachable.has(layer)) deepEqual(codes, [], `${name} may import ${layer}`);
        else
          ok(codes.includes(NOT_LISTED), `${name} compiles with an import of ${layer}: ${codes}`);
        if (!reachable.has(layer)) refused++;
      }
      const allowed = (probe: string): boolean => errors.get(probe) === undefined;
      equal(allowed("global-document"), false);
      for (const global of ["process", "document", "console"]) {
        const [code = ""] = errors.get(`global-${global}`) ?? [];
        if (engine) ok(NO_SUCH_NAME.includes(code), `${name} compiles with ${global}: ${code}`);
      }
      equal(allowed("node-builtin"), !engine);
      equal(allowed("global-process"), !engine);
    });
  }

  test("was asked about most pairs", () => {
    ok(refused >= 30, `only ${refused} upward imports were tried`);
  });
});

/** The error codes that the compiler gives for each probe, were it a file of `layer`. */
function compile(
  layer: string,
  references: readonly string[],
  probes: ReadonlyMap<string, string>,
): Map<string, string[]> {
  const folder = join(work, layer);
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of probes) writeFileSync(join(folder, `${name}.ts`), text);
  const config = {
    extends: `../../../../../src/${layer}/tsconfig.json`,
    compilerOptions: {
      rootDir: ROOT,
      outDir: join(folder, "out"),
      tsBuildInfoFile: join(folder, "out/.tsbuildinfo"),
      rewriteRelativeImportExtensions: false,
      allowImportingTsExtensions: true,
      emitDeclarationOnly: true,
      typeRoots: [join(ROOT, "node_modules/@types")],
    },
    include: [join(ROOT, "src", layer, "**/*.ts"), "*.ts"],
    references: references.map((name) => ({ path: join(ROOT, "src", name) })),
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const { stdout } = spawnSync(process.execPath, [tsc, "-p", folder, "--pretty", "false"], {
    cwd: folder,
    encoding: "utf8",
  });
  const errors = new Map<string, string[]>();
  // An error runs from its own line to the next that is not indented. A file that is not listed is
  // reported once, at any one of its importers; the others are named below.
  for (const error of stdout.split(/\n(?! )/)) {
    const [, place = "", code = ""] = /^(.+?)\.ts\(.*?error (TS\d+)/.exec(error) ?? [];
    const importers = [...error.matchAll(/from file '([^']+)\.ts'/g)].map(([, file = ""]) => file);
    const at = new Set([join(folder, place), ...importers].map((file) => relative(folder, file)));
    for (const probe of at) {
      if (probes.has(probe)) errors.set(probe, [...(errors.get(probe) ?? []), code]);
    }
  }
  return errors;
}

/** `layers` and all they reference: the compiler follows references of references. */
function reach(layers: readonly string[], found: Set<string> = new Set()): ReadonlySet<string> {
  for (const layer of layers) {
    if (found.has(layer)) continue;
    found.add(layer);
    reach(layerConfig(layer).references, found);
  }
  return found;
}

/** A line that imports something of `layer`, seen from a probe. */
function importOf(layer: string): string {
  const target = relative(join(work, "x"), join(ROOT, "src", layer, aModuleOf(layer) ?? ""));
  return `import * as other from "${target.replaceAll("\\", "/")}";\nexport const probe: unknown = other;\n`;
}

/** The module of `layer` with the fewest imports, so that a probe brings little with it. */
function aModuleOf(layer: string): string | null {
  const folder = join(ROOT, "src", layer);
  const modules = readdirSync(folder, { withFileTypes: true })
    .filter((file) => file.isFile() && file.name.endsWith(".ts"))
    .map(({ name }) => ({ name, imports: importsIn(join(folder, name)) }))
    .sort((a, b) => a.imports - b.imports);
  return modules[0]?.name ?? null;
}

function importsIn(path: string): number {
  return readFileSync(path, "utf8").match(/\bfrom "/g)?.length ?? 0;
}
