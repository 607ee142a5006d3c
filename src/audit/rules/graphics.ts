/**
 * Pages whose physical address goes into a table of 32 bits: GART, IOMMU, GPU page tables.
 *
 * A page that a driver maps where it takes it has an address by the device's mask, whatever table that
 * goes into. Not so in the code of the tables themselves, which maps them to write caches back and needs
 * the address that it allocated: a bounce would not be seen.
 */
import { type Case, isUnder, type Rule, touchedBy } from "../judgement.ts";

const PLACES = ["gpu", "iommu", "agp", "drm"];

export const graphics: Rule = (use) => {
  const { file, facts, families, hit, zone } = use;
  const isPlace = isUnder(file, ...PLACES);
  const isSigned = facts.signs.includes("iommu") || facts.signs.includes("drm");
  const isTable = /mmu|gart|gtt|iommu|pgtable/i.test(file);
  if (hit.role !== "value" || !(isPlace || isSigned || (isTable && zone === "DMA32"))) return null;
  // A user of an IOMMU is no table of one.
  const isObject = families.has("slab") || families.has("cache") || families.has("cache-create");
  if (isObject && !isPlace && !isTable) return null;
  if (families.has("slab") && zone === "DMA" && !isUnder(file, "iommu")) return null;
  const physical = touchedBy(use, /^(virt_to_phys|page_to_phys|__pa)/);
  if (physical === null && !isTable && isMappedAtOnce(use)) return null;
  return {
    category: "gpu-iommu-32bit",
    verdict: "legitimate",
    group: "limited-hardware",
    why:
      physical === null
        ? "pages for a translation table or a graphics aperture with 32-bit entries, which no device mask describes"
        : `the page's physical address is programmed (${physical}) into tables with narrow entries`,
    fix: "needs an allocator by mask: dma_alloc_pages() with the device's mask for tables; shmem and TTM need the mask handed down",
    confidence: isPlace ? "high" : "medium",
  };
};

/** One function takes the pages and maps them. */
function isMappedAtOnce({ families, touches, sink }: Case): boolean {
  if (!families.has("pages") || sink === null) return false;
  return touches.some(({ callee, fn }) => fn === sink.call.fn && MAPS.test(callee));
}

const MAPS = /^(dma|pci)_map_(single|page|sg)/;
