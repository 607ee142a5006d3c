/** The words of C that the audit looks for, and which files are worth a parse. */

/** Zone bits of allocations. */
export const FLAGS: ReadonlySet<string> = new Set([
  "GFP_DMA",
  "__GFP_DMA",
  "GFP_DMA32",
  "__GFP_DMA32",
  "SLAB_CACHE_DMA",
  "SLAB_CACHE_DMA32",
]);

/** Argument that holds the mask. Linux: include/linux/dma-mapping.h; pci_* went in 5.18 */
export const MASK_CALLS: ReadonlyMap<string, number> = new Map([
  ["dma_set_mask", 1],
  ["dma_set_coherent_mask", 1],
  ["dma_set_mask_and_coherent", 1],
  ["dma_coerce_mask_and_coherent", 1],
  ["pci_set_dma_mask", 1],
  ["pci_set_consistent_dma_mask", 1],
  ["pci_set_dma_max_mask", 1],
]);

/** Fields that hold a mask: written in tables of devices and by buses. */
export const MASK_FIELDS: ReadonlySet<string> = new Set(["coherent_dma_mask", "dma_mask"]);

/** Calls that are a use of low memory in themselves. */
export const PLAIN_CALLS: ReadonlySet<string> = new Set([
  "dma_declare_coherent_memory",
  "dmam_declare_coherent_memory",
  "dma_declare_coherent_resource",
  "blk_queue_bounce_limit",
  "request_dma",
  "isa_virt_to_bus",
  "isa_page_to_bus",
  "virt_to_bus",
  "__get_dma_pages",
  "vmalloc_32",
  "vmalloc_32_user",
]);

/** Fields that are a use when they are set. */
export const PLAIN_FIELDS: ReadonlySet<string> = new Set([
  "unchecked_isa_dma",
  "dma_zone_size",
  "arm_dma_zone_size",
]);

/** Every word that is looked up in the text itself. */
export const TRACKED: RegExp = new RegExp(
  `\\b(?:${[...FLAGS, ...MASK_CALLS.keys(), ...MASK_FIELDS, ...PLAIN_CALLS, ...PLAIN_FIELDS].join("|")})\\b`,
  "g",
);

/** A file without any of these has no facts: it is not parsed. */
const WORTH =
  /GFP_DMA|SLAB_CACHE_DMA|\bgfp_t\b|dma_mask\b|DMA_BIT_MASK|dma_(?:set|coerce)_|dma_zone_size|declare_coherent|bounce_limit|request_dma|virt_to_bus|page_to_bus|unchecked_isa|__get_dma_pages|vmalloc_32/;

export function isWorthParsing(text: string): boolean {
  return WORTH.test(text);
}

/** The zones that a flag asks for. */
export function zoneOf(flag: string): "DMA" | "DMA32" | null {
  if (!FLAGS.has(flag)) return null;
  return flag.endsWith("32") ? "DMA32" : "DMA";
}
