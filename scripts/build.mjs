/**
 * Builds dist/ (--clean: from nothing; --bundle, --prune: that step alone).
 *
 *   dist/<layer>/*.js, *.d.ts   the engine as a library, file for file (tsc -b)
 *   dist/cli/zonewright.js      the command line as one file, third parties inside (rolldown);
 *                               tsc only checks src/cli, nothing runs from it
 *   dist/mm/allocator.js        the page allocator as one module: V8 folds the constants of a
 *                               module, but loads imported ones each time they are used
 *   dist/dma/layer.js           the DMA layer in the same way
 *   dist/vendor/*.js            third parties of the library, see vendor.mjs
 *   dist/wasm/*.wasm            the C parser and its grammar, which src/host/c-parser.ts opens
 *
 * The bundle is made from src/ and needs no tsc, so bin/zonewright can refresh it in a moment. It
 * is stale when the fingerprint of src/ (count, bytes, newest change) is not the one in its stamp.
 * The fingerprint is taken before the sources are read: an edit during a build makes it stale
 * again. Plain JavaScript without dependencies at load, because any Node from 22.15 may run it.
 */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const entry = join(root, "src/cli/main.ts");
const outFile = join(root, "dist/cli/zonewright.js");
/** Layers that are published as one module each: source, output. */
const MODULES = [
  [join(root, "src/mm/index.ts"), join(root, "dist/mm/allocator.js")],
  [join(root, "src/dma/index.ts"), join(root, "dist/dma/layer.js")],
];
const wasm = [
  "node_modules/web-tree-sitter/web-tree-sitter.wasm",
  "node_modules/tree-sitter-c/tree-sitter-c.wasm",
];
const stamp = join(root, "dist/cli/.zonewright.stamp");
const modulesStamp = join(root, "dist/cli/.modules.stamp");

/** Whether dist/cli/zonewright.js is older than the sources. */
export function isStale() {
  if (!existsSync(outFile) || !existsSync(stamp)) return true;
  return readFileSync(stamp, "utf8") !== fingerprint();
}

/** Whether one of the layers that are published as one module is. */
export function areModulesStale() {
  const isThere = MODULES.every(([, output]) => existsSync(output)) && existsSync(modulesStamp);
  return !isThere || readFileSync(modulesStamp, "utf8") !== fingerprint();
}

/** Writes dist/cli/zonewright.js; gives the packages inside. Throws when src/ does not compile. */
export async function bundle() {
  const print = fingerprint();
  const { bundleOne } = await import("./vendor.mjs");
  const { code, packages } = await bundleOne(entry);
  place(outFile, code);
  writeFileSync(stamp, print);
  return packages;
}

/** Renamed into place: another process may be starting from the old one. */
function place(file, code) {
  mkdirSync(dirname(file), { recursive: true });
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, code);
  renameSync(fresh, file);
}

/** Copies what is loaded at run time and is no module. */
function copyWasm() {
  mkdirSync(join(root, "dist/wasm"), { recursive: true });
  for (const path of wasm) copyFileSync(join(root, path), join(root, "dist/wasm", basename(path)));
}

/** Writes dist/mm/allocator.js and dist/dma/layer.js. */
export async function bundleModules() {
  const print = fingerprint();
  const { bundleOne } = await import("./vendor.mjs");
  for (const [source, output] of MODULES) {
    const { code } = await bundleOne(source);
    place(output, code);
  }
  writeFileSync(modulesStamp, print);
}

/** Runs `tsc -b` on the library. True if it compiles. */
function compile() {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const args = [tsc, "-b", "src", "src/cli"];
  return spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status === 0;
}

/** Drops files of dist/ whose source is gone: they would still be published, and imported. */
function prune() {
  const dist = join(root, "dist");
  if (!existsSync(dist)) return;
  const emitted = /\.(js|d\.ts)(\.map)?$/;
  for (const path of readdirSync(dist, { recursive: true })) {
    const file = join(dist, path);
    const source = join(root, "src", path.replace(emitted, ".ts"));
    const bundled = isBundled(file) || /^vendor[/\\]/.test(path);
    if (emitted.test(path) && !bundled && !existsSync(source)) rmSync(file);
  }
}

function isBundled(file) {
  return file === outFile || MODULES.some(([, output]) => file === output);
}

function fingerprint() {
  let count = 0;
  let bytes = 0;
  let newest = 0;
  const see = (path) => {
    const { size, mtimeMs } = statSync(path);
    count++;
    bytes += size;
    newest = Math.max(newest, mtimeMs);
  };
  const walk = (folder) => {
    for (const file of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, file.name);
      if (file.isDirectory()) walk(path);
      else if (file.name.endsWith(".ts")) see(path);
    }
  };
  walk(join(root, "src"));
  for (const path of ["package-lock.json", "scripts/build.mjs"]) see(join(root, path));
  return `${count} files, ${bytes} bytes, newest ${newest}`;
}

async function main(options) {
  if (options.has("--clean")) rmSync(join(root, "dist"), { recursive: true, force: true });
  prune();
  if (options.has("--prune")) return;
  if (!options.has("--bundle") && !compile()) {
    process.exitCode = 1;
    return;
  }
  const { vendorAll } = await import("./vendor.mjs");
  copyWasm();
  await vendorAll(await bundle());
  await bundleModules();
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(new Set(process.argv.slice(2))).catch((error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
}
