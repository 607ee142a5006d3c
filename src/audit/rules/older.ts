/** Interfaces of their own: ISA DMA channels, bounce limits, private memory, the zone's size. */
import type { Judgement, Rule } from "../judgement.ts";

const HIGH = "high" as const;

export const older: Rule = ({ hit, build }) => {
  if (hit.role !== "call" && hit.role !== "set") return null;
  switch (hit.word) {
    case "request_dma":
      return isaDma(
        "an ISA DMA channel: its controller has 24 address bits",
        "memory by dma_alloc_coherent() with a 24-bit mask",
        build?.architectures ?? [],
      );
    case "isa_virt_to_bus":
    case "isa_page_to_bus":
      return isaDma(
        "an ISA bus address computed from a virtual one, past the DMA API",
        "dma_map_single() with the device's mask",
        build?.architectures ?? [],
      );
    case "virt_to_bus":
      return {
        category: "bus-address",
        verdict: "legitimate purpose, wrong interface",
        group: "limited-hardware",
        why: "a bus address computed from a virtual one, past the DMA API: nothing checks what the device reaches",
        fix: "dma_map_single() with the device's mask",
        confidence: HIGH,
      };
    case "unchecked_isa_dma":
      return limited("block-bounce", "the host wants every request below 16 MiB; gone since 5.13");
    case "blk_queue_bounce_limit":
      return {
        category: "block-bounce",
        verdict: "replaceable",
        group: "block-layer",
        why: "the queue's requests are copied to low memory by the block layer",
        fix: "kmap the segments in the driver, or map them for DMA; the limit goes away with highmem",
        confidence: HIGH,
      };
    case "__get_dma_pages":
      return limited("page-alloc-other", "__get_dma_pages() is __get_free_pages() with GFP_DMA");
    case "vmalloc_32":
    case "vmalloc_32_user":
      return limited("vmalloc-32bit", `${hit.word}() takes pages below 4 GiB`);
    case "dma_zone_size":
    case "arm_dma_zone_size":
      return {
        ...limited("zone-size", "the board makes ZONE_DMA as large as its devices reach"),
        fix: "dma-ranges in the devicetree, from which the zone's limit follows",
      };
    default:
      return /declare_coherent/.test(hit.word)
        ? {
            ...limited("private-memory", "the device gets coherent memory of its own"),
            fix: "none: it needs no zone; reserved-memory of the devicetree says the same",
          }
        : null;
  }
};

function limited(category: string, why: string): Judgement {
  return {
    category,
    verdict: "legitimate",
    group: "limited-hardware",
    why,
    fix: "allocate by the device's mask",
    confidence: HIGH,
  };
}

function isaDma(why: string, fix: string, architectures: readonly string[]): Judgement {
  const where = architectures.length > 0 && architectures.length < 6;
  return {
    category: "isa-24bit",
    verdict: "legitimate purpose, wrong interface",
    group: "limited-hardware",
    why: where ? `${why}; built on ${architectures.join(", ")} only` : why,
    fix,
    confidence: HIGH,
  };
}
