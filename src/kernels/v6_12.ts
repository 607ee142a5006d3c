/**
 * Linux 6.12 (Debian 6.12.95 to 6.12.117).
 *
 * Linux: mm/page_alloc.c, mm/khugepaged.c, kernel/dma/swiotlb.c, arch/arm64/mm/init.c
 */
import type { Policy } from "./policy.ts";
import { V6_1 } from "./v6_1.ts";

export const V6_12: Policy = {
  ...V6_1,
  name: "6.12",
  capturedOn: ["x86_64", "arm64"],
  watermarks: { ...V6_1.watermarks, movableIsSpecial: "always", promo: true },
  pageset: { ...V6_1.pageset, tuned: true }, // since 6.7: between high_min and high_max
  swiotlb: { ...V6_1.swiotlb, alwaysOnArm64: true },
  boot: {
    reservesFirstMib: true,
    memoryLineAfterAlternatives: true,
    arm64ZoneDma: "limit",
    sortsReservedMemory: false, // captured: the tree's order
    arm64ZoneDevice: true,
    nodesStartAtRam: true,
    mirrorNeedsMirrors: true,
  },
};
