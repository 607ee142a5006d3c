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
import { type InputOptions, rolldown } from "rolldown";
import { withoutExtras } from "./without-extras.ts";

/** As deep as the sources, so that they find the packages' folder from there too. */
const built = fileURLToPath(new URL("built", import.meta.url));
const engine = fileURLToPath(new URL("../src/mm/index.ts", import.meta.url));
const worker = fileURLToPath(new URL("worker.ts", import.meta.url));
const dmaWorker = fileURLToPath(new URL("dma-worker.ts", import.meta.url));
const swiotlbWorker = fileURLToPath(new URL("swiotlb-worker.ts", import.meta.url));
const iovaWorker = fileURLToPath(new URL("iova-worker.ts", import.meta.url));
const explainWorker = fileURLToPath(new URL("explain-worker.ts", import.meta.url));
const bootWorker = fileURLToPath(new URL("boot-worker.ts", import.meta.url));

const replayWorker = fileURLToPath(new URL("replay-worker.ts", import.meta.url));
const sharedWorker = fileURLToPath(new URL("shared-worker.ts", import.meta.url));

/** The allocator is not in the first three: it stays the module that is published. */
const BUNDLES = {
  "shared-worker": { input: sharedWorker, external: [/^node:/, "zonewright/mm"] },
  worker: { input: worker, external: [/^node:/, "zonewright/mm"] },
  "dma-worker": { input: dmaWorker, external: [/^node:/] },
  "swiotlb-worker": { input: swiotlbWorker, external: [/^node:/] },
  "iova-worker": { input: iovaWorker, external: [/^node:/] },
  "explain-worker": { input: explainWorker, external: [/^node:/, /tree-sitter/] },
  "replay-worker": { input: replayWorker, external: [/^node:/] },
  "boot-worker": { input: bootWorker, external: [/^node:/, "zonewright/mm"] },
  "worker-whole": { input: worker, ...withEngine() },
  "worker-bare": { input: worker, ...withEngine(), plugins: [withoutExtras()] },
} satisfies Record<string, InputOptions>;
type Bundle = keyof typeof BUNDLES;

function withEngine(): InputOptions {
  return { external: [/^node:/], resolve: { alias: { "zonewright/mm": engine } } };
}

/** Path of the bundle of one of the workers. */
export function workerPath(name: Bundle): string {
  return join(built, `${name}.mjs`);
}

/** Writes these bundles. */
export async function bundleWorkers(names: readonly Bundle[]): Promise<void> {
  mkdirSync(built, { recursive: true });
  await Promise.all(names.map(bundleOne));
}

async function bundleOne(name: Bundle): Promise<void> {
  const build = await rolldown({ platform: "node", ...BUNDLES[name] });
  // Another run may be starting from the old one.
  const part = `${workerPath(name)}.${process.pid}`;
  await build.write({ format: "esm", codeSplitting: false, file: part });
  await build.close();
  renameSync(part, workerPath(name));
}
