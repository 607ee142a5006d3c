/**
 * Linux 6.12 (Debian 6.12.95 to 6.12.117).
 *
 * Linux: mm/page_alloc.c, mm/khugepaged.c, kernel/dma/swiotlb.c, arch/arm64/mm/init.c
 */
import { EVERY_ARCH, type Policy } from "./policy.ts";
import { V6_6 } from "./v6_6.ts";

export const V6_12: Policy = {
  ...V6_6,
  name: "6.12",
  capturedOn: ["x86_64", "arm64"],
  readOn: EVERY_ARCH.filter((arch) => arch !== "ia64"), // left in 6.7
  readIn: "6.12.117",
  watermarks: { ...V6_6.watermarks, promo: true },
  pageset: { ...V6_6.pageset, tuned: true }, // since 6.7: between high_min and high_max
  swiotlb: { ...V6_6.swiotlb, alwaysOnArm64: true },
  boot: {
    ...V6_6.boot,
    memoryLineAfterAlternatives: true,
    arm64ZoneDma: "limit",
    sortsReservedMemory: false, // captured: the tree's order
    arm64ZoneDevice: true,
    nodesStartAtRam: true,
  },
};
