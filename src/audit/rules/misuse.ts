/** kmalloc(GFP_DMA) for a buffer that is mapped, or handed to a bus that maps it. */
import { ALLOCATORS } from "../allocators.ts";
import { type Rule, touchedBy } from "../judgement.ts";

/** Linux: ARCH_DMA_MINALIGN: every kmalloc() is fit for streaming DMA. */
export const misuse: Rule = (use) => {
  const { families, zone, sink, hit, reach } = use;
  const isSlab = families.has("slab") || families.has("cache") || families.has("cache-create");
  const isPassedOn =
    sink !== null && !sink.isKnown && /alloc|dup|get|new|create/i.test(sink.call.callee);
  if (zone === null || hit.role !== "value") return null;
  if (!isSlab && !isPassedOn) return null;
  const mapped =
    touchedBy(use, /^(dma_map|pci_map|sg_)/) ??
    touchedBy(use, /^(usb|spi|i2c|sdio|regmap|f:|serial)/);
  const plain = reach.sinks.find(({ call }) =>
    /^(slab|cache)/.test(ALLOCATORS.get(call.callee)?.family ?? ""),
  );
  const callee = (plain ?? sink)?.call.callee ?? "kmalloc";
  return {
    category: "kmalloc-streaming",
    verdict: "replaceable (misuse)",
    group: "misuse",
    why:
      mapped === null
        ? `${callee}() with a zone flag, in a driver that shows no 24-bit limit: taken for "fit for DMA", which any kmalloc() is`
        : `the buffer goes to ${mapped}: mapping follows the device's mask, so the zone flag only empties ZONE_DMA`,
    fix: "drop the flag; if the device is limited, its dma mask says so",
    confidence: mapped !== null ? "high" : reach.sinks.length > 0 ? "medium" : "low",
    dropsFlag: true,
  };
};

export const socketBuffer: Rule = ({ families, zone, hit }) => {
  if (!families.has("skb") || zone === null || hit.role !== "value") return null;
  return {
    category: "net-skb",
    verdict: "replaceable",
    group: "misuse",
    why: "a socket buffer asked for low: its mapping bounces through swiotlb where the device's mask is narrow",
    fix: "drop the flag and set the device's mask",
    confidence: "medium",
    dropsFlag: true,
  };
};
