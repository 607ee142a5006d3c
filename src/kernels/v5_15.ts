/**
 * Linux 5.15 (read in 5.15.0): the pagesets of 5.14, which follow the low mark, and x86's first MiB of
 * 5.13; everything else as 6.1, without areas in the bounce pool.
 *
 * Linux: zone_highsize(), mm/page_alloc.c; start_stop_khugepaged(), mm/khugepaged.c
 */
import { EVERY_ARCH, type Policy } from "./policy.ts";
import { V6_1 } from "./v6_1.ts";

export const V5_15: Policy = {
  ...V6_1,
  name: "5.15",
  capturedOn: [],
  readOn: EVERY_ARCH,
  readIn: "5.15.0",
  sysctls: { watermarkScaleFactorMax: 1000 }, // raised in 5.18
  // With `never` khugepaged is not started, and nothing is computed again.
  khugepaged: { ...V6_1.khugepaged, neverRecomputes: false },
  swiotlb: { ...V6_1.swiotlb, areas: false },
  // rmem_cma_setup(): the larger of MAX_ORDER - 1 and pageblock_order, up to 5.17
  boot: { ...V6_1.boot, cmaAlignsToMaxOrder: true },
};
