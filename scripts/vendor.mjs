/**
 * Gives the library in dist/ its third parties, so that importing it needs no other package.
 *
 * tsc leaves `from "yaml"` in what it emits. Here the names that dist/ imports of each package are
 * bundled, and no others, into dist/vendor/<package>.js, and the imports are turned to it. Running
 * again on what is done already changes nothing. Licences of all that is inside are written to
 * dist/THIRD-PARTY.md.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const vendor = join(dist, "vendor");
const cache = join(root, "node_modules/.cache/zonewright");

/** Bundles an entry into one ES module. Gives its code and the packages inside; throws if it cannot. */
export async function bundleOne(input) {
  const { rolldown } = await import("rolldown");
  const build = await rolldown({
    input,
    platform: "node",
    // Not "node": the build for any host is an ES module, and only that can be cut to what is used.
    resolve: { conditionNames: ["import", "default"] },
    external: /^node:/,
    plugins: [{ name: "node-builtins", resolveId: asBuiltin }],
    onLog: (level, log, handle) => {
      // Emscripten's glue has an eval for C code that asks for JavaScript; the grammar has none.
      const isGlue = log.code === "EVAL" && /web-tree-sitter/.test(log.id ?? log.message);
      if (!isGlue) handle(level === "warn" ? "error" : level, log);
    },
  });
  const { output } = await build.generate({ format: "esm", codeSplitting: false });
  await build.close();
  const [chunk, ...others] = output;
  if (others.length > 0) throw new Error(`the bundle of ${input} has ${output.length} files`);
  const used = Object.entries(chunk.modules).filter(([, { renderedLength }]) => renderedLength > 0);
  return { code: chunk.code, packages: packagesOf(used.map(([path]) => path)) };
}

/** `import "module"` of a third party as `import "node:module"`: no package has such a name. */
function asBuiltin(id) {
  return isBuiltin(id) && !id.startsWith("node:") ? { id: `node:${id}`, external: true } : null;
}

/** Vendors what dist/ imports; `packages` are those that other bundles of dist/ hold. */
export async function vendorAll(packages) {
  const uses = await readUses();
  const inside = new Set(packages);
  rmSync(vendor, { recursive: true, force: true });
  for (const [name, names] of uses) {
    const entry = join(cache, `vendor-${fileName(name)}.mjs`);
    mkdirSync(vendor, { recursive: true });
    mkdirSync(cache, { recursive: true });
    const list = [...names.keys()].sort();
    writeFileSync(
      entry,
      `export ${list.includes("*") ? "*" : `{ ${list.join(", ")} }`} from "${name}";\n`,
    );
    const bundle = await bundleOne(entry);
    writeFileSync(join(vendor, `${fileName(name)}.js`), bundle.code);
    for (const folder of bundle.packages) inside.add(folder);
  }
  writeFileSync(join(dist, "THIRD-PARTY.md"), licences([...inside].sort()));
}

/** Package to names imported of it, by all modules of dist/; turns their imports on the way. */
async function readUses() {
  const { parseAst } = await import("rolldown/parseAst");
  const uses = new Map();
  const modules = readdirSync(dist, { recursive: true }).filter(
    (path) => path.endsWith(".js") && !/^(cli|vendor)[/\\]/.test(path),
  );
  for (const path of modules) {
    const file = join(dist, path);
    let code = readFileSync(file, "utf8");
    const statements = parseAst(code, { lang: "js" }, file).body.filter(
      (node) => node.source != null,
    );
    for (const { source, specifiers, type } of statements.reverse()) {
      const name = packageIn(source.value);
      if (name === null) continue;
      if (type !== "ImportDeclaration")
        throw new Error(`${path} exports from ${name}: import it first`);
      const names = uses.get(name) ?? new Map();
      for (const specifier of specifiers) names.set(importedName(specifier), true);
      uses.set(name, names);
      const target = relative(dirname(file), join(vendor, `${fileName(name)}.js`)).replaceAll(
        "\\",
        "/",
      );
      const turned = target.startsWith(".") ? target : `./${target}`;
      code = code.slice(0, source.start) + JSON.stringify(turned) + code.slice(source.end);
    }
    if (code !== readFileSync(file, "utf8")) writeFileSync(file, code);
  }
  return uses;
}

/** The package that a specifier names, bare or turned already; null for our own and Node's. */
function packageIn(specifier) {
  const turned = /^\.{1,2}\/(?:\.\.\/)*vendor\/(.+)\.js$/.exec(specifier);
  if (turned !== null) return turned[1].replace("__", "/");
  return specifier.startsWith(".") || specifier.startsWith("node:") ? null : specifier;
}

function fileName(name) {
  return name.replace("/", "__");
}

function importedName({ type, imported }) {
  if (type === "ImportNamespaceSpecifier") return "*";
  return type === "ImportDefaultSpecifier" ? "default" : imported.name;
}

/** Folders of the packages that modules lie in. */
function packagesOf(paths) {
  const folders = paths.map(
    (path) => /^.*node_modules[/\\](?:@[^/\\]+[/\\])?[^/\\]+/.exec(path)?.[0],
  );
  return [...new Set(folders.filter((folder) => folder !== undefined))].filter((folder) =>
    existsSync(join(folder, "package.json")),
  );
}

function licences(folders) {
  const parts = folders.map((folder) => {
    const { name, version, license } = JSON.parse(
      readFileSync(join(folder, "package.json"), "utf8"),
    );
    const file = readdirSync(folder).find((path) => /^licen[cs]e/i.test(path));
    const text = file === undefined ? license : readFileSync(join(folder, file), "utf8").trim();
    return `## ${name} ${version}\n\n${text}\n`;
  });
  return ["# Third parties inside dist/\n", ...parts].join("\n");
}
