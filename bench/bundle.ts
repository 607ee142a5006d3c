/**
 * The measured processes run plain JavaScript, as those who import the package do. Node strips types
 * with a WebAssembly module, and a WebAssembly memory that grows detaches its buffer: from then on
 * V8 checks each typed array for that at each use, here as in the other packages. W3 is a sixth
 * slower then.
 */
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

/** As deep as the sources, so that they find the packages' folder from there too. */
const built = fileURLToPath(new URL("built", import.meta.url));

const WORKERS = {
  worker: new URL("worker.ts", import.meta.url),
  "boot-worker": new URL("boot-worker.ts", import.meta.url),
};

/** Path of the bundle of one of the workers. */
export function workerPath(name: keyof typeof WORKERS): string {
  return join(built, `${name}.mjs`);
}

/** Writes all bundles. The allocator is not in them: it stays the module that is published. */
export async function bundleWorkers(): Promise<void> {
  mkdirSync(built, { recursive: true });
  await Promise.all([bundleOne("worker"), bundleOne("boot-worker")]);
}

async function bundleOne(name: keyof typeof WORKERS): Promise<void> {
  const build = await rolldown({
    input: fileURLToPath(WORKERS[name]),
    platform: "node",
    external: [/^node:/, "zonewright/mm"],
  });
  // Another run may be starting from the old one.
  const part = `${workerPath(name)}.${process.pid}`;
  await build.write({ format: "esm", codeSplitting: false, file: part });
  await build.close();
  renameSync(part, workerPath(name));
}
