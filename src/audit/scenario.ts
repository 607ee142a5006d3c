/**
 * What the DMA layer can be asked of a fix: each flag that the patch drops, as a call of
 * examples/dropped-flag.ts. Text only; nothing here runs it.
 */
import { ALLOCATORS } from "./allocators.ts";
import type { Use } from "./use.ts";
import { zoneOf } from "./words.ts";

/** Where no mask is set: what every device begins with. Linux: device_initialize(), pci_setup_device() */
const DEFAULT_BITS = 32;
/** In place of a size that is computed at run time. */
const PAGE_BYTES = 4096;
const POOL_BLOCK_BYTES = 64;
/** The largest block of the buddy, and of kmalloc(). */
const LARGEST_BYTES = 4 * 2 ** 20;

const KEPT: ReadonlyMap<string, string> = new Map([
  ["dma_alloc_pages", "pages"],
  ["dma_alloc_noncoherent", "pages"],
  ["dmam_alloc_noncoherent", "pages"],
  ["dma_pool_alloc", "pool"],
  ["dma_pool_zalloc", "pool"],
  ["pci_pool_alloc", "pool"],
  ["pci_pool_zalloc", "pool"],
]);

/** A TypeScript module for one file; empty where the patch drops nothing there. `runner` is imported. */
export function scenarioOf(file: string, uses: readonly Use[], runner: string): string {
  const dropped = uses.filter((use) => use.file === file && use.removal !== null);
  if (dropped.length === 0) return "";
  return [
    `// ${plain(file)}: its buffers with and without the zone flags that audit --patch drops.`,
    'import process from "node:process";',
    `import { dropFlags } from ${JSON.stringify(runner)};`,
    "",
    "const failed = dropFlags(",
    "  [",
    ...dropped.flatMap(callOf),
    "  ],",
    `  (line) => process.stdout.write(\`\${line}\\n\`),`,
    ");",
    "if (failed > 0) process.exitCode = 1;",
    "",
  ].join("\n");
}

function callOf({ file, line, flag, allocator, size, device }: Use): string[] {
  const call = allocator ?? "kmalloc";
  const family = ALLOCATORS.get(call)?.family ?? "slab";
  const how = family === "dma" ? (KEPT.get(call) ?? "coherent") : "mapped";
  const known = size?.bytes ?? null;
  const stand = how === "pool" ? POOL_BLOCK_BYTES : PAGE_BYTES;
  const bytes = Math.min(known === null || known < 1 ? stand : known, LARGEST_BYTES);
  const bits = device.bits[0] ?? DEFAULT_BITS;
  const notes = [
    known === null ? `${plain(size?.text ?? "its size")} is computed at run time` : "",
    device.bits.length === 0 ? "no mask is set here: 32 bits" : "",
    device.direction === null && how === "mapped" ? "the direction is not written here" : "",
  ].filter((note) => note !== "");
  return [
    ...(notes.length === 0 ? [] : [`    // ${notes.join("; ")}`]),
    "    {",
    `      place: ${JSON.stringify(`${file}:${line}`)},`,
    `      call: ${JSON.stringify(call)},`,
    `      how: "${how}",`,
    `      flag: "GFP_${zoneOf(flag) ?? "DMA"}",`,
    `      isSlab: ${family === "slab"},`,
    `      bytes: ${bytes},`,
    `      bits: ${bits},`,
    `      direction: "${device.direction ?? "both"}",`,
    "    },",
  ];
}

/** One line of a comment. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, " ");
}
