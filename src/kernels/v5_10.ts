/**
 * Linux 5.10 (Debian 5.10.223). Fitted to captures: no source of this era was
 * read, so what no capture shows is taken from 6.1.
 */
import type { Policy } from "./policy.ts";
import { V6_1 } from "./v6_1.ts";

export const V5_10: Policy = {
  ...V6_1,
  name: "5.10",
  capturedOn: ["x86_64", "i386"],
  // i386 prints 32/32/32 for an empty Movable zone even without RAM in HighMem.
  watermarks: { ...V6_1.watermarks, movableIsSpecial: "highmem-configured" },
  sysctls: { watermarkScaleFactorMax: 1000 }, // raised in 5.18
  // Captured at 2 GiB: the first value stays.
  khugepaged: { neverRecomputes: false },
  pageset: { high: "six-batches", tuned: false, fractionSysctl: "percpu_pagelist_fraction" },
  swiotlb: {
    areas: false,
    slotMetadataBytes: { bits64: 12, bits32: 12 }, // the list and orig_addr arrays: measured
    alwaysOnArm64: false,
  },
  boot: {
    ...V6_1.boot,
    reservesFirstMib: false,
    cmaAlignsToMaxOrder: true, // rmem_cma_setup(): the larger of MAX_ORDER - 1 and pageblock_order
  },
};
